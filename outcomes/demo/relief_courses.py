"""How relief really runs in the made-up patients. Pure: a random source in, a course out.

Every shape names where its figures come from (the catalogue holds the references).
"Working value" means that no source gives the figure and that it was chosen to look plausible; nothing here is a claim
about a treatment. Time counts in days from the procedure, depth is the share of the earlier pain that is gone, 0–1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, inf, log, sqrt
from random import Random
from statistics import NormalDist

HOUR = 1 / 24
#: A month as the quoted trials count it, in days.
MONTH = 365.25 / 12


@dataclass(frozen=True)
class ReliefPeriod:
    """From day `begins` to before day `ends` the share `depth` of the pain is gone."""

    begins: float
    ends: float
    depth: float


@dataclass(frozen=True)
class SimulatedCourse:
    """What is true for one patient after one procedure, whether anybody asks or not.

    `rest` is the relief outside all spells; until day `sore_until` the pain is somewhat worse than before.
    """

    spells: tuple[ReliefPeriod, ...] = ()
    rest: float = 0.0
    sore_until: float = 0.0

    def relief(self, day: float) -> float:
        """The share of the earlier pain that is gone on `day`; negative while it is worse."""
        return max(
            (spell.depth for spell in self.spells if spell.begins <= day < spell.ends),
            default=-0.15 if day < self.sore_until else self.rest,
        )

    def works(self, day: float) -> bool:
        """Whether at least half of the pain is gone on `day`."""
        return self.relief(day) >= 0.5

    @property
    def lasts(self) -> float:
        """The day on which relief of at least half ends for good; 0 when there never was any."""
        return max((spell.ends for spell in self.spells if spell.depth >= 0.5), default=0.0)


def score(course: SimulatedCourse, day: float, *, baseline: int, rng: Random) -> int:
    """What the patient says on `day`, 0–10: the true pain with a noise of 0.6 points (working value), rounded."""
    true = baseline * (1 - course.relief(day))
    return min(10, max(0, round(true + rng.gauss(0, 0.6))))


def relieved(
    rng: Random,
    begins: float,
    ends: float,
    *,
    depth: tuple[float, float] = (0.6, 0.95),
    sore_until: float = 0,
) -> SimulatedCourse:
    """One spell of good relief; before and after it little is gone. Depths are working values."""
    return SimulatedCourse(
        (ReliefPeriod(begins, max(ends, begins), rng.uniform(*depth)),),
        rng.uniform(0, 0.2),
        min(sore_until, begins),
    )


def unrelieved(rng: Random, *, sore_until: float = 0) -> SimulatedCourse:
    """No lasting relief. For one in four all is well for a week or two, and one in three has partial relief, 30 % to
    45 %, for some months (working values)."""
    lot = rng.random()
    if lot < 1 / 4:
        return SimulatedCourse(
            (ReliefPeriod(rng.uniform(0.5, 2), rng.uniform(8, 13), rng.uniform(0.6, 0.9)),),
            rng.uniform(0, 0.15),
        )
    if lot < 1 / 4 + 1 / 3:
        partial = ReliefPeriod(rng.uniform(3, 10), rng.uniform(90, 270), rng.uniform(0.32, 0.44))
        return SimulatedCourse((partial,), rng.uniform(0, 0.15), sore_until)
    return SimulatedCourse((), rng.uniform(-0.1, 0.2), sore_until)


def around(rng: Random, median: float, spread: float) -> float:
    """A log-normal time with that median; `spread` is the standard deviation of its logarithm."""
    return median * exp(rng.gauss(0, spread))


def median_of_responders(at: float, share_beyond: float, responders: float, spread: float) -> float:
    """The responders' median when `share_beyond` of everybody, and nobody else, still has relief at day `at`."""
    return at * exp(-spread * NormalDist().inv_cdf(1 - share_beyond / responders))


def facet_ablation(rng: Random) -> SimulatedCourse:
    """Lord 1996 (N Engl J Med): the median time to the return of half the pain is 263 days, 8 for sham.

    The median is of all treated. That 8 in 10 respond and that the times spread by 0.5 are working values; together
    they put the responders' median near 308 days, beside about ten months a treatment in Rambaransingh 2010. Relief by
    day 10 to 21, soreness up to 14 days: leaflets (Vasundhara, Amarillo).
    """
    if rng.random() > 0.8:
        return unrelieved(rng, sore_until=14)
    ends = around(rng, median_of_responders(263, 0.5, 0.8, 0.5), 0.5)
    return relieved(rng, rng.uniform(10, 21), ends, sore_until=rng.uniform(3, 14))


def sacroiliac_ablation(rng: Random) -> SimulatedCourse:
    """Stelzer 2013 (cooled): half the pain gone in 86 % at 4–6 months, 71 % at 6–12 and 48 % later.

    Read as days 150, 270 and 450; the end of those beyond, up to day 900, is a working value.
    """
    lot = rng.random()
    marks = [(1.0, 90.0), (0.86, 150.0), (0.71, 270.0), (0.48, 450.0), (0.0, 900.0)]
    if lot > 0.9:  # of the 14 % without relief at five months, 10 never had any (working value)
        return unrelieved(rng, sore_until=14)
    for (more, early), (less, late) in pairwise(marks):
        if lot >= less:
            ends = early + (late - early) * (more - lot) / (more - less)
            return relieved(rng, rng.uniform(10, 21), ends, sore_until=rng.uniform(3, 14))
    raise AssertionError("unreachable")


def peripheral_ablation(rng: Random) -> SimulatedCourse:
    """Kose 2022 (knee): 62 % with at least half the pain gone at six months. Responders 3 in 4, spread 0.5: working."""
    if rng.random() > 0.75:
        return unrelieved(rng, sore_until=10)
    ends = around(rng, median_of_responders(6 * MONTH, 0.62, 0.75, 0.5), 0.5)
    return relieved(rng, rng.uniform(7, 21), ends, sore_until=rng.uniform(2, 10))


def transforaminal_steroid(rng: Random) -> SimulatedCourse:
    """Smith 2020 (Pain Med, disc herniation): half the pain gone in 63 %, 74 % and 64 % at 1, 3 and 6 months.

    Who moves is not published (working value): 53 % respond early and last beyond six months, 10 % respond early and
    lose it between day 100 and 180, 11 % respond only between day 35 and 85, and 26 % never do. The end of those
    beyond six months, up to day 540, is a working value. Begins at 2–7 days: Rutherford and UI Health leaflets.
    """
    lot = rng.random()
    if lot < 0.53:
        return relieved(rng, rng.uniform(2, 7), rng.uniform(190, 540))
    if lot < 0.63:
        return relieved(rng, rng.uniform(2, 7), rng.uniform(100, 180))
    if lot < 0.74:
        return relieved(rng, rng.uniform(35, 85), rng.uniform(190, 540))
    return unrelieved(rng)


def epidural_steroid(rng: Random) -> SimulatedCourse:
    """A practice series of 2,024 (PubMed 23895182): 40.9 % responders at two weeks, 45.6 % at two months.

    Who moves is a working value: 32.9 % respond early and last, 8 % lose it between day 15 and 58, 12.7 % respond
    between day 15 and 50. "A few weeks or months" (seeds): ends between day 61 and 240, most often near 100.
    """
    lot = rng.random()
    if lot < 0.329:
        return relieved(rng, rng.uniform(2, 7), rng.triangular(61, 240, 100))
    if lot < 0.409:
        return relieved(rng, rng.uniform(2, 7), rng.uniform(15, 58))
    if lot < 0.536:
        return relieved(rng, rng.uniform(15, 50), rng.triangular(61, 240, 100))
    return unrelieved(rng)


def anaesthetic(rng: Random) -> SimulatedCourse:
    """A diagnostic block: relief for 2 to 6 hours (Jupiter leaflet). That 6 in 10 blocks hit the source, nearly
    wholly when they do, is a working value."""
    if rng.random() > 0.6:
        return SimulatedCourse((), rng.uniform(0, 0.3))
    return relieved(rng, 10 / 60 * HOUR, rng.uniform(2, 6) * HOUR, depth=(0.9, 1.0))


def joint_steroid(rng: Random) -> SimulatedCourse:
    """NHS: begins within days, around two months; worse for a day or two in 1 in 10 (leaflets).

    Responders 3 in 4 and a spread of 0.4 are working values; six weeks (GSTT) lies inside it.
    """
    sore = rng.uniform(1, 2) if rng.random() < 0.1 else 0.0
    if rng.random() > 0.75:
        return unrelieved(rng, sore_until=sore)
    return relieved(rng, rng.uniform(1, 7), around(rng, 2 * MONTH, 0.4), sore_until=sore)


def spinal_joint_steroid(rng: Random) -> SimulatedCourse:
    """Facet and sacroiliac joint injection: the anaesthetic's hours (leaflets), then weeks to months (seed 001).

    One in two responds, median three months (the target of LCD L39462), spread 0.5: working values.
    """
    hours = ReliefPeriod(10 / 60 * HOUR, rng.uniform(2, 6) * HOUR, rng.uniform(0.7, 1.0))
    if rng.random() > 0.5:
        return SimulatedCourse((hours,) if rng.random() < 0.5 else (), rng.uniform(0, 0.3))
    steroid = ReliefPeriod(rng.uniform(2, 7), around(rng, 3 * MONTH, 0.5), rng.uniform(0.6, 0.9))
    return SimulatedCourse((hours, steroid), rng.uniform(0, 0.2))


def occipital_block(rng: Random) -> SimulatedCourse:
    """74 patients with cluster headache (JNNP 2010): median onset 1 day, median duration 21 days, mean 42.

    A log-normal with that median and mean spreads by sqrt(2·ln(42/21)) = 1.18. Responders 8 in 10: working value.
    """
    if rng.random() > 0.8:
        return unrelieved(rng)
    begins = around(rng, 1, 0.5)
    return relieved(rng, begins, begins + around(rng, 21, sqrt(2 * log(42 / 21))))


def sympathetic_block(rng: Random) -> SimulatedCourse:
    """van Eijs: a good or moderate response in 31 %. How long is not established (working value: median 21 days)."""
    if rng.random() > 0.31:
        return unrelieved(rng)
    return relieved(rng, rng.uniform(0, 2), around(rng, 21, 0.8), depth=(0.5, 0.8))


def trigger_point(rng: Random) -> SimulatedCourse:
    """Begins after 24–72 hours, about 30 days (a clinic page, low quality). Responders 7 in 10, spread 0.5: working."""
    if rng.random() > 0.7:
        return unrelieved(rng, sore_until=2)
    return relieved(rng, rng.uniform(1, 3), around(rng, 30, 0.5), sore_until=2)


def device_trial(rng: Random) -> SimulatedCourse:
    """A stimulator on trial: 3 in 4 reach half the pain within two days and keep it to its end (working values)."""
    if rng.random() > 0.75:
        return SimulatedCourse((), rng.uniform(0.1, 0.4))
    return relieved(rng, rng.uniform(0.1, 2), 10, depth=(0.55, 0.9))


def pump_trial(rng: Random) -> SimulatedCourse:
    """One injection into the spinal fluid: 3 in 4 reach half the pain, for one to two days (working values)."""
    if rng.random() > 0.75:
        return SimulatedCourse((), rng.uniform(0.1, 0.4))
    return relieved(rng, rng.uniform(1, 4) * HOUR, rng.uniform(24, 48) * HOUR, depth=(0.55, 0.9))


def device_implant(rng: Random) -> SimulatedCourse:
    """Among stimulators taken out the median time was 20 months, for lack of effect in 81 % (J Neurosurg Spine 2019).

    That one in four loses the effect, at a median of 20 months with a spread of 0.6, and that it begins within six
    weeks, are working values; the others keep it.
    """
    ends = around(rng, 20 * MONTH, 0.6) if rng.random() < 0.25 else inf
    return relieved(rng, rng.uniform(1, 42), ends, depth=(0.5, 0.8), sore_until=7)


def peripheral_stimulation(rng: Random) -> SimulatedCourse:
    """Gilmore 2021: 73 % with at least 30 % relief after 60 days, held to 14 months in most of those followed."""
    if rng.random() > 0.73:
        return SimulatedCourse((), rng.uniform(0, 0.25))
    ends = 14 * MONTH * (1 if rng.random() < 0.7 else rng.uniform(0.3, 0.9))
    return relieved(rng, rng.uniform(1, 14), ends, depth=(0.35, 0.9))


def adhesiolysis(rng: Random) -> SimulatedCourse:
    """Hossieni 2017: half the pain gone in 76.7 % over 12 weeks; Manchikanti 2012: about 12 weeks each. Spread 0.35:
    working value."""
    if rng.random() > 0.767:
        return unrelieved(rng)
    return relieved(rng, rng.uniform(2, 14), around(rng, 84, 0.35))


def adjustment(rng: Random) -> SimulatedCourse:
    """Programming: half of them help for two to six months. No source (working value)."""
    if rng.random() < 0.5:
        return SimulatedCourse((), rng.uniform(0, 0.3))
    return relieved(rng, rng.uniform(0, 3), rng.uniform(60, 180), depth=(0.4, 0.7))


def refill(rng: Random) -> SimulatedCourse:
    """A pump that is filled goes on as before: 9 in 10 feel it for two to six months. No source (working value)."""
    if rng.random() > 0.9:
        return SimulatedCourse((), rng.uniform(0, 0.3))
    return relieved(rng, rng.uniform(0, 3), rng.uniform(60, 180), depth=(0.5, 0.8))


#: The shape of each procedure type's courses, by code.
SHAPES: dict[str, Callable[[Random], SimulatedCourse]] = {
    code: shape
    for shape, codes in (
        (epidural_steroid, "esi_interlaminar esi_caudal"),
        (transforaminal_steroid, "esi_transforaminal"),
        (spinal_joint_steroid, "facet_joint_injection sacroiliac_joint_injection"),
        (
            anaesthetic,
            "medial_branch_block selective_nerve_root_block peripheral_nerve_block si_lateral_branch_block",
        ),
        (sympathetic_block, "stellate_ganglion_block lumbar_sympathetic_block"),
        (occipital_block, "occipital_nerve_block"),
        (facet_ablation, "rfa_facet"),
        (sacroiliac_ablation, "rfa_sacroiliac"),
        (peripheral_ablation, "rfa_peripheral"),
        (device_trial, "scs_trial pns_trial"),
        (device_implant, "scs_implant neurostimulator_revision itp_implant pns_implant"),
        (adjustment, "neurostimulator_programming"),
        (pump_trial, "itp_trial"),
        (refill, "itp_refill_adjustment"),
        (peripheral_stimulation, "pns_temporary"),
        (joint_steroid, "joint_injection"),
        (trigger_point, "trigger_point_injection"),
        (adhesiolysis, "epidural_adhesiolysis"),
    )
    for code in codes.split()
}

#: In so many courses relief ends too soon, where early losses are what is looked at, and not before so many days after
#: the first judged one (working values). They are for `outcomes.simulation`; the demo's patients have none of them.
EARLY, SOONEST = 0.2, 1


def with_early_losses(
    shape: Callable[[Random], SimulatedCourse], *, judged_from: int, start: int, share: float = EARLY
) -> Callable[[Random], SimulatedCourse]:
    """`shape` with a share of courses that work on the first judged day and end before `start`, the first day of the
    relief window.

    These are courses of the shape as well, cut short: on which day is even between SOONEST days after the first judged
    one and `start` (working value). The others stay as they are, early losses among them.
    """

    def course(rng: Random) -> SimulatedCourse:
        if rng.random() >= share:
            return shape(rng)
        while not (whole := shape(rng)).works(judged_from):
            pass
        ends = min(whole.lasts, rng.uniform(judged_from + SOONEST, start))
        kept = [replace(spell, ends=min(spell.ends, ends)) for spell in whole.spells if spell.begins < ends]
        return replace(whole, spells=tuple(kept))

    return course
