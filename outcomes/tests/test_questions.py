"""Which questions a check-in asks on which day. Pure: no database."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.instruments import FOLDER, BilingualText
from outcomes.instruments.loader import read_instruments
from outcomes.questions import (
    PAIN_NOW,
    PEG,
    PEG_EVERY_DAYS,
    PEG_FROM_DAY,
    SATISFACTION,
    CheckInStep,
    check_in_steps,
    most_urgent,
    peg_days,
    red_flag,
    satisfaction_day,
    short_days,
)

INSTRUMENTS = {
    instrument.key: instrument
    for instrument in sorted(read_instruments(FOLDER).values(), key=lambda instrument: instrument.version)
}
ABLATION = [1, 7, 14, 42, 92, 184, 275, 366, 548, 731]
FLAGS = [
    red_flag("fever_chills", BilingualText("Fever?", "¿Fiebre?"), "same_day"),
    red_flag("new_weakness", BilingualText("Weakness?", "¿Debilidad?"), "emergency"),
]


def asked(
    day: int, *, evaluate_after: int = 42, device: bool = False, flags: bool = True
) -> list[CheckInStep]:
    return check_in_steps(
        day,
        days=ABLATION,
        plan=ABLATION,
        evaluate_after=evaluate_after,
        window_from=180,
        device=device,
        flags=FLAGS if flags else [],
        instruments=INSTRUMENTS,
    )


def keys(found: list[CheckInStep]) -> list[tuple[str, list[str]]]:
    return [(step.name, [question.key for question in step.questions]) for step in found]


def test_a_day_later_the_pain_now_and_whether_all_is_well() -> None:
    assert keys(asked(1)) == [
        ("pain", ["nrs.now"]),
        ("safety", ["red_flag.new_weakness", "red_flag.fever_chills"]),  # the most urgent first
    ]


def test_a_look_back_waits_until_it_no_longer_reaches_behind_the_procedure() -> None:
    looks_back = {"nrs.average_7_days", "nrs.worst_24_hours", *PEG}
    for day in range(7):
        assert not looks_back & {key for _, some in keys(asked(day)) for key in some}
    assert keys(asked(7))[0] == ("pain", ["nrs.now", "nrs.average_7_days", "nrs.worst_24_hours"])


def test_change_and_medicine_from_the_first_day_of_judgement_on() -> None:
    assert [name for name, _ in keys(asked(14))] == ["pain", "safety"]
    assert keys(asked(92)) == [
        ("pain", ["nrs.now", "nrs.average_7_days", "nrs.worst_24_hours"]),
        ("change", ["pgic.change", "pain_medicine.any"]),
    ]
    assert "pgic.change" in asked(14, evaluate_after=14)[-1]


def test_where_the_peg_is_due_it_stands_for_the_average() -> None:
    assert keys(asked(42)) == [
        ("pain", ["nrs.now", "nrs.worst_24_hours"]),
        ("change", [*PEG, "pgic.change", "pain_medicine.any"]),
    ]
    assert peg_days(ABLATION) == {42, 184, 275, 366, 548, 731}
    assert peg_days([1, 3, 7, 14, 28, 60, 92, 184]) == {28, 92, 184}


def test_red_flags_until_day_14_and_for_a_device_always() -> None:
    for day, device, wanted in ((0, False, True), (14, False, True), (15, False, False), (365, True, True)):
        names = [step.name for step in asked(day, device=device)]
        assert ("safety" in names) is wanted, (day, device)
    assert [step.name for step in asked(1, flags=False)] == ["pain"]


@given(st.integers(0, 800), st.integers(1, 90), st.booleans(), st.lists(st.integers(0, 800), max_size=12))
def test_every_check_in_asks_for_the_pain_now_first_and_for_a_remark_last(
    day: int, evaluate_after: int, device: bool, days: list[int]
) -> None:
    found = check_in_steps(
        day,
        days=[*days, day],
        plan=days,
        evaluate_after=evaluate_after,
        window_from=180,
        device=device,
        flags=FLAGS,
        instruments=INSTRUMENTS,
    )
    questions = [question for step in found for question in step.questions]
    assert questions[0].key == PAIN_NOW
    assert questions[0].required
    assert len({question.key for question in questions}) == len(questions)
    assert [step.remark for step in found] == [False] * (len(found) - 1) + [True]
    # Two more on the one day that asks about satisfaction.
    core = [question for question in questions if not question.urgency and question.key not in SATISFACTION]
    assert len(core) <= 7


@given(st.lists(st.integers(0, 2000), unique=True))
def test_a_later_check_in_never_changes_which_earlier_ones_ask_the_peg(days: list[int]) -> None:
    chosen = sorted(peg_days(days))
    assert all(day >= PEG_FROM_DAY for day in chosen)
    assert all(later - earlier >= PEG_EVERY_DAYS for earlier, later in pairwise(chosen))
    for day in sorted(days):
        assert peg_days([other for other in days if other <= day]) == {
            first for first in chosen if first <= day
        }


@pytest.mark.parametrize(
    ("urgencies", "most"),
    [
        (["next_working_day", "emergency", "same_day"], "emergency"),
        (["next_working_day", "same_day"], "same_day"),
        ([], ""),
    ],
)
def test_the_most_urgent_counts(urgencies: list[str], most: str) -> None:
    assert most_urgent(urgencies) == most


def test_satisfaction_is_asked_once_when_relief_may_end() -> None:
    wanting = [day for day in ABLATION if all(key in asked(day)[-1] for key in SATISFACTION)]
    assert wanting == [184]


@given(st.lists(st.integers(0, 800), unique=True), st.integers(0, 60), st.integers(0, 400))
def test_satisfaction_is_never_asked_before_it_can_be_told(
    days: list[int], evaluate_after: int, window_from: int
) -> None:
    day = satisfaction_day(days, evaluate_after=evaluate_after, window_from=window_from)
    late = [day for day in days if day >= evaluate_after and day >= window_from]
    assert day == (min(late) if late else None)


#: The days of a plan, its first day of judgement, the first day of its window, its short check-ins, and the days of PEG
#: and satisfaction: those that they had before the short ones came.
PLANS = [
    (
        [1, 7, 14, 42, 92, 166, 180, 184, 275, 366, 548, 731],
        42,
        180,
        {166, 180},
        {42, 184, 275, 366, 548, 731},
        184,
    ),
    ([1, 3, 7, 14, 18, 21, 28, 60, 92, 180, 184], 14, 21, {18, 21, 180}, {28, 92, 184}, 28),
    ([1, 3, 7, 14, 18, 21, 28, 42, 60, 90], 14, 21, {18, 21}, {28, 90}, 28),
    ([1, 3, 7, 14, 18, 21, 28, 60, 92, 122], 14, 21, {18, 21}, {28, 92}, 28),
    ([1, 3, 7, 14, 28, 53, 60, 92, 180, 184], 28, 60, {53, 180}, {28, 92, 184}, 60),
    ([1, 3, 7, 11, 14, 28, 42, 60], 7, 14, {11}, {28}, 14),
    ([1, 3, 7, 14, 42, 90, 166, 180, 270, 365, 545], 90, 180, {166}, {42, 180, 270, 365, 545}, 180),
    ([1, 2, 3, 4, 5, 6, 7], 3, 1, set(), set(), 3),  # a trial is asked every day, for safety as well
]


@pytest.mark.parametrize(("plan", "evaluate_after", "window_from", "short", "peg", "satisfaction"), PLANS)
@pytest.mark.parametrize("device", [False, True])
def test_a_check_in_close_before_another_asks_the_pain_now_and_nothing_else(
    plan: list[int],
    evaluate_after: int,
    window_from: int,
    short: set[int],
    peg: set[int],
    satisfaction: int,
    device: bool,
) -> None:
    assert short_days(plan, evaluate_after=evaluate_after, window_from=window_from) == short
    found = {
        day: keys(
            check_in_steps(
                day,
                days=plan,
                plan=plan,
                evaluate_after=evaluate_after,
                window_from=window_from,
                device=device,
                flags=FLAGS,
                instruments=INSTRUMENTS,
            )
        )
        for day in plan
    }
    assert {day for day, asked in found.items() if asked == [("pain", [PAIN_NOW])]} == short
    every = {day: {key for _, some in asked for key in some} for day, asked in found.items()}
    assert {day for day, asked in every.items() if set(PEG) <= asked} == peg
    assert [day for day, asked in every.items() if set(SATISFACTION) <= asked] == [satisfaction]


def test_what_repeats_without_end_is_never_short() -> None:
    """Else a plan that repeats every week would ask for nothing but the pain, for ever."""
    plan = [1, 7, 14, 30]
    rows = [*plan, 37, 44, 51]
    asked = check_in_steps(
        44,
        days=rows,
        plan=plan,
        evaluate_after=7,
        window_from=7,
        device=False,
        flags=[],
        instruments=INSTRUMENTS,
    )
    assert "pgic.change" in asked[-1]


@given(st.lists(st.integers(1, 800), unique=True), st.integers(1, 90), st.integers(1, 400))
def test_the_last_check_in_and_those_for_safety_are_never_short(
    plan: list[int], evaluate_after: int, window_from: int
) -> None:
    short = short_days(plan, evaluate_after=evaluate_after, window_from=window_from)
    assert max(plan, default=0) not in short
    assert all(day > evaluate_after for day in short)
    assert len([day for day in short if day <= 14]) <= 1
