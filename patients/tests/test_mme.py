"""MME by CDC's table of 2022: the four checks, what older tables said, and what a total leaves out."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.mme import CDC_2022, THRESHOLDS, Drug, LeftOut, Unit, per_day, total_on, units_of

MG, MCG = Unit.MG_A_DAY, Unit.MCG_AN_HOUR


@dataclass(frozen=True)
class Row:
    """A row as a total reads it."""

    drug: str
    mme_per_day: Decimal | None
    from_on: date = date(2027, 1, 1)
    until_on: date | None = None
    intrathecal: bool = False


@pytest.mark.parametrize(
    ("drug", "dose", "unit", "mme"),
    [
        (Drug.HYDROCODONE, "20", MG, "20"),  # 5 mg four times a day
        (Drug.OXYCODONE, "20", MG, "30"),  # ER, 10 mg twice a day
        (Drug.FENTANYL_PATCH, "25", MCG, "60"),
        (Drug.METHADONE, "20", MG, "94"),
    ],
)
def test_the_checks_of_the_source(drug: Drug, dose: str, unit: Unit, mme: str) -> None:
    assert per_day(drug, Decimal(dose), unit) == Decimal(mme)


def test_the_whole_table_with_its_version_and_source() -> None:
    assert {drug.value: str(factor) for drug, factor in CDC_2022.factors.items()} == {
        "codeine": "0.15",
        "fentanyl_patch": "2.4",
        "hydrocodone": "1.0",
        "hydromorphone": "5.0",
        "methadone": "4.7",
        "morphine": "1.0",
        "oxycodone": "1.5",
        "oxymorphone": "3.0",
        "tapentadol": "0.4",
        "tramadol": "0.2",
    }
    assert CDC_2022.version == "CDC-2022"
    assert "2022" in CDC_2022.source
    assert CDC_2022.confirmed == ""
    assert THRESHOLDS == (50, 90)


@pytest.mark.parametrize(
    ("drug", "unit", "older"),
    [
        (Drug.HYDROMORPHONE, MG, "4"),
        (Drug.TRAMADOL, MG, "0.1"),
        (Drug.FENTANYL_PATCH, MCG, "7.2"),
        (Drug.BUPRENORPHINE, MG, "10"),
        (Drug.BUPRENORPHINE, MG, "12.6"),
        (Drug.BUPRENORPHINE, MCG, "12.6"),
    ],
)
def test_no_factor_of_an_older_table_is_used(drug: Drug, unit: Unit, older: str) -> None:
    assert per_day(drug, Decimal(1), unit) != Decimal(older)


def test_methadone_has_one_factor_and_no_tiers() -> None:
    for dose in (1, 20, 21, 40, 41, 60, 61, 200):
        assert per_day(Drug.METHADONE, Decimal(dose), MG) == Decimal("4.7") * dose


@pytest.mark.parametrize("drug", [Drug.BUPRENORPHINE, Drug.OTHER])
@pytest.mark.parametrize("unit", list(Unit))
def test_what_has_no_factor_has_no_mme(drug: Drug, unit: Unit) -> None:
    assert per_day(drug, Decimal(8), unit) is None


def test_what_goes_into_the_spinal_fluid_has_none_either() -> None:
    assert per_day(Drug.MORPHINE, Decimal(5), MG, intrathecal=True) is None


@pytest.mark.parametrize(
    ("drug", "unit"), [(Drug.FENTANYL_PATCH, MG), (Drug.MORPHINE, MCG), (Drug.METHADONE, MCG)]
)
def test_a_dose_in_the_wrong_unit_is_refused_and_not_guessed(drug: Drug, unit: Unit) -> None:
    with pytest.raises(ValueError, match="not counted in"):
        per_day(drug, Decimal(25), unit)


@given(
    st.sampled_from(sorted(CDC_2022.factors)),
    st.decimals("0.001", "99999.999", places=3),
    st.decimals("0.001", "99999.999", places=3),
)
def test_doses_add_up_exactly(drug: Drug, first: Decimal, other: Decimal) -> None:
    (unit,) = units_of(drug)
    apart = (per_day(drug, first, unit) or Decimal(0)) + (per_day(drug, other, unit) or Decimal(0))
    assert per_day(drug, first + other, unit) == apart


DAY = date(2027, 1, 11)


def test_the_total_of_a_day_says_what_it_leaves_out() -> None:
    total = total_on(
        [
            Row("oxycodone", Decimal(30)),
            Row("fentanyl_patch", Decimal(60)),
            Row("buprenorphine", None),
            Row("morphine", None, intrathecal=True),
        ],
        DAY,
    )
    assert (total.mme, total.counted) == (Decimal(90), 2)
    assert total.left_out == (
        (Drug.BUPRENORPHINE, LeftOut.NO_FACTOR),
        (Drug.MORPHINE, LeftOut.INTRATHECAL),
    )


def test_the_first_and_the_last_day_both_count() -> None:
    row = Row("morphine", Decimal(15), from_on=date(2027, 1, 10), until_on=date(2027, 1, 12))
    days = [date(2027, 1, day) for day in range(9, 14)]
    assert [total_on([row], day).mme for day in days] == [0, 15, 15, 15, 0]


CHANGE = date(2027, 1, 12)
OLD = Row("oxycodone", Decimal(60), until_on=CHANGE)


@pytest.mark.parametrize(
    ("rows", "mme"),
    [
        ([OLD], 60),
        ([OLD, Row("oxycodone", Decimal(30), from_on=CHANGE)], 30),
        ([Row("oxycodone", Decimal(30), from_on=CHANGE, until_on=CHANGE), OLD], 30),
        ([OLD, OLD, Row("oxycodone", Decimal(30), from_on=CHANGE)], 30),  # two tablets made one
        (
            [
                OLD,
                Row("oxycodone", Decimal(30), from_on=CHANGE),
                Row("oxycodone", Decimal(5), from_on=CHANGE),
            ],
            35,
        ),
        # Changed twice on one day: the one that goes on.
        (
            [
                OLD,
                Row("oxycodone", Decimal(40), from_on=CHANGE, until_on=CHANGE),
                Row("oxycodone", Decimal(30), from_on=CHANGE),
            ],
            30,
        ),
        (
            [OLD, Row("oxycodone", Decimal(30), from_on=date(2027, 1, 11))],
            90,
        ),  # side by side since the day before
        ([OLD, Row("morphine", Decimal(30), from_on=CHANGE)], 90),  # another drug takes nothing's place
        ([OLD, Row("oxycodone", None, from_on=CHANGE, intrathecal=True)], 60),  # nor another route
        (
            [replace(OLD, until_on=None), Row("oxycodone", Decimal(30), from_on=CHANGE)],
            90,
        ),  # nobody said it ended
    ],
)
def test_on_the_day_of_a_change_the_dose_that_holds_counts(rows: list[Row], mme: int) -> None:
    assert total_on(rows, CHANGE).mme == mme


def test_nothing_taken_is_nought_and_nothing_countable_is_not() -> None:
    assert total_on([], DAY).mme == 0
    only = total_on([Row("buprenorphine", None)], DAY)
    assert (only.mme, only.counted) == (None, 0)
