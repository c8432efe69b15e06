"""Published times, small enough to be written down, whose results are known.

Each set was compared row by row with another public copy, which is named beside it.
"""

from math import inf

Times = tuple[list[float], list[bool]]

#: Freireich et al., Blood 1963;21:699-716: weeks of remission; true where it ended. As in the
#: copy of lifelines, `gehan.dat`.
MERCAPTOPURINE: Times = (
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
    [bool(flag) for flag in (1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0)],
)
PLACEBO: Times = (
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23],
    [True] * 21,
)
#: Miller, Survival Analysis, 1981: weeks of remission with and without maintenance in acute myeloid leukaemia. As in
#: the copy of the R package survival, `aml`.
MAINTAINED: Times = (
    [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161],
    [bool(flag) for flag in (1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0)],
)
NOT_MAINTAINED: Times = (
    [5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45],
    [bool(flag) for flag in (1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1)],
)
#: Hoel and Walburg, J Natl Cancer Inst 1972;49:361-372: days of age at death, with and without a lung tumour, of mice
#: kept conventionally and germ-free. All 144 are as in the copy of lifelines, `mice.csv`.
MICE: dict[str, tuple[list[int], list[int]]] = {
    "conventional": (
        [
            *[
                381,
                477,
                485,
                515,
                539,
                563,
                565,
                582,
                603,
                616,
                624,
                650,
                651,
                656,
                659,
                672,
                679,
                698,
                702,
                709,
            ],
            *[723, 731, 775, 779, 795, 811, 839],
        ],
        [
            *[
                45,
                198,
                215,
                217,
                257,
                262,
                266,
                371,
                431,
                447,
                454,
                459,
                475,
                479,
                484,
                500,
                502,
                503,
                505,
                508,
            ],
            *[
                516,
                531,
                541,
                553,
                556,
                570,
                572,
                575,
                577,
                585,
                588,
                594,
                600,
                601,
                608,
                614,
                616,
                632,
                632,
                638,
            ],
            *[
                642,
                642,
                642,
                644,
                644,
                647,
                647,
                653,
                659,
                660,
                662,
                663,
                667,
                667,
                673,
                673,
                677,
                689,
                693,
                718,
            ],
            *[720, 721, 728, 760, 762, 773, 777, 815, 886],
        ],
    ),
    "germ-free": (
        [
            *[
                546,
                609,
                692,
                692,
                710,
                752,
                773,
                781,
                782,
                789,
                808,
                810,
                814,
                842,
                846,
                851,
                871,
                873,
                876,
                888,
            ],
            *[888, 890, 894, 896, 911, 913, 914, 914, 916, 921, 921, 926, 936, 945, 1008],
        ],
        [
            *[412, 524, 647, 648, 695, 785, 814, 817, 851, 880, 913, 942, 986],
        ],
    ),
}
#: Finkelstein and Wolfe, Biometrics 1985;41:933-945, table 4: months until the breast retracted, as (L, R]. All 94
#: are as in the copy of the R package MLEcens, `cosmesis`, and in the one that the SAS/STAT 14.1 User's Guide prints
#: (The ICLIFETEST Procedure, Getting Started).
RADIOTHERAPY: list[tuple[float, float]] = [
    *[(45, inf), (6, 10), (0, 7), (46, inf), (46, inf), (7, 16), (17, inf), (7, 14), (37, 44), (0, 8)],
    *[
        (4, 11),
        (15, inf),
        (11, 15),
        (22, inf),
        (46, inf),
        (46, inf),
        (25, 37),
        (46, inf),
        (26, 40),
        (46, inf),
    ],
    *[
        (27, 34),
        (36, 44),
        (46, inf),
        (36, 48),
        (37, inf),
        (40, inf),
        (17, 25),
        (46, inf),
        (11, 18),
        (38, inf),
    ],
    *[(5, 12), (37, inf), (0, 5), (18, inf), (24, inf), (36, inf), (5, 11), (19, 35), (17, 25), (24, inf)],
    *[(32, inf), (33, inf), (19, 26), (37, inf), (34, inf), (36, inf)],
]
WITH_CHEMOTHERAPY: list[tuple[float, float]] = [
    *[(8, 12), (0, 22), (24, 31), (17, 27), (17, 23), (24, 30), (16, 24), (13, inf), (11, 13), (16, 20)],
    *[(18, 25), (17, 26), (32, inf), (23, inf), (44, 48), (14, 17), (0, 5), (5, 8), (12, 20), (11, inf)],
    *[(33, 40), (31, inf), (13, 39), (19, 32), (34, inf), (13, inf), (16, 24), (35, inf), (15, 22), (11, 17)],
    *[(22, 32), (10, 35), (30, 34), (13, inf), (10, 17), (8, 21), (4, 9), (11, inf), (14, 19), (4, 8)],
    *[(34, inf), (30, 36), (18, 24), (16, 60), (35, 39), (21, inf), (11, 20), (48, inf)],
]
