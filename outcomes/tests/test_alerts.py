"""Which alerts a course calls for: every edge, as plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.models import OPTIONAL_ALERTS
from outcomes.alert_rules import Kind, called_for
from outcomes.models import Alert
from outcomes.relief import Course, Reading, judge

LOST_EARLY, LOST_EFFECT = Kind.LOST_EARLY, Kind.LOST_EFFECT
NO_RELIEF, WORSE, SILENT = Kind.NO_RELIEF, Kind.WORSE, Kind.SILENT


def called(
    readings: dict[int, int],
    *,
    silent: list[int] | None = None,
    baseline: int | None = 6,
    seeks_relief: bool = True,
    **more: object,
) -> dict[Kind, int]:
    """What the course of an ablation calls for: judged from day 42 on, to last from day 180 to 365.

    What is not confirmed stands as a negative number.
    """
    course = Course(
        baseline=baseline,
        readings=[Reading(*pair) for pair in readings.items()],
        silent=silent or [],
        evaluate_after=42,
        window_from=180,
        window_until=365,
        **more,  # type: ignore[arg-type]
    )
    calls = called_for(course, judge(course), seeks_relief=seeks_relief)
    return {kind: call.since if call.confirmed else -call.since for kind, call in calls.items()}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ({}, {}),
        ({42: 2, 92: 6}, {LOST_EARLY: -92}),
        ({42: 2, 92: 6, 184: 2}, {}),
        ({42: 2, 92: 6, 184: 5}, {LOST_EARLY: 92}),
        ({42: 2, 92: 6, 184: 5, 275: 1}, {LOST_EARLY: 92}),
        ({42: 2, 92: 6, 184: 5, 275: 1, 366: 2}, {}),
        ({42: 2, 92: 6, 184: 5, 275: 1, 366: 2, 548: 6}, {LOST_EARLY: 92}),
        ({42: 2, 184: 6, 275: 6}, {LOST_EARLY: 184}),
        ({42: 2, 184: 2, 275: 6, 366: 6}, {}),
        ({42: 2, 275: 6, 366: 6}, {LOST_EARLY: 275}),
        ({42: 2, 166: 2, 275: 6, 366: 6}, {}),
        ({41: 6}, {}),
        ({42: 6}, {NO_RELIEF: 42}),
        ({42: 5, 92: 6}, {NO_RELIEF: 42}),
        ({42: 4, 92: 6}, {NO_RELIEF: 92}),
        ({42: 6, 92: 4}, {}),
        ({42: 6, 92: 3}, {}),
        ({14: 7, 41: 7}, {}),
        ({41: 7, 42: 7}, {NO_RELIEF: 42}),
        ({42: 7, 92: 7}, {NO_RELIEF: 42, WORSE: 92}),
        ({42: 7, 92: 7, 184: 8}, {NO_RELIEF: 42, WORSE: 92}),
        ({42: 7, 92: 6, 184: 7}, {NO_RELIEF: 42}),
        ({42: 7, 92: 7, 184: 6}, {NO_RELIEF: 42}),
        ({42: 7, 92: 7, 184: 2}, {}),
        ({42: 7, 184: 2, 275: 7, 366: 8}, {WORSE: 366}),
    ],
    ids=[
        "nothing is known",
        "one bad score, not confirmed",
        "relief again",
        "lost early, since the score that found it",
        "one good score does not settle it",
        "two good scores do",
        "and then it is gone again",
        "possibly early",
        "lost within the window is what was expected",
        "possibly early, found late",
        "date unknown is no alert",
        "a bad score before the first day of judgement is a flare",
        "no relief on the first day of judgement",
        "no relief, since the first of the scores in a row",
        "partial relief first",
        "partial relief at last",
        "half is relief",
        "above the baseline, but before the first day of judgement",
        "one of two above the baseline is before the first day of judgement",
        "two above the baseline in a row",
        "a third one changes nothing",
        "not in a row",
        "as before the procedure again: not worse any more",
        "relief at last",
        "worse later, when relief is over",
    ],
)
def test_what_scores_call_for(readings: dict[int, int], expected: dict[Kind, int]) -> None:
    assert called(readings) == expected


def test_that_a_test_is_over_is_its_result_but_worse_pain_is_not() -> None:
    for readings in ({42: 2, 92: 6, 184: 5}, {42: 6}):
        assert called(readings)
        assert called(readings, seeks_relief=False) == {}
    assert called({42: 7, 92: 7}, seeks_relief=False) == {WORSE: 92}
    assert called({}, silent=[1, 7], seeks_relief=False) == {SILENT: 7}


@pytest.mark.parametrize(
    ("readings", "silent", "expected"),
    [
        ({}, [1], {}),
        ({}, [1, 7], {SILENT: 7}),
        ({}, [1, 7, 14], {SILENT: 7}),
        ({7: 2}, [1, 14], {}),
        ({7: 2}, [1, 14, 42], {SILENT: 42}),
        ({14: 2}, [1, 7], {}),
        ({15: 2}, [1, 7, 14, 42], {}),
        ({}, [0, 1], {SILENT: 1}),
        ({7: 2}, [7, 14], {}),
    ],
    ids=[
        "once",
        "twice in a row, since the second",
        "three times, since the second",
        "not in a row",
        "twice since the last answer",
        "answered since",
        "answered a day late",
        "from the day of the procedure on",
        "who was heard that day was not silent on it",
    ],
)
def test_silence(readings: dict[int, int], silent: list[int], expected: dict[Kind, int]) -> None:
    assert called(readings, silent=silent) == expected


def test_a_device_taken_out_before_any_score_calls_for_nothing() -> None:
    """The verdict is no relief, and no score is there since which it could hold."""
    assert called({}, useless_at=120) == {}


def test_an_effect_that_should_not_end_calls_for_somebody_when_it_does() -> None:
    assert called({42: 2, 92: 6, 180: 6}, ongoing=True) == {LOST_EARLY: 92}
    assert called({42: 2, 180: 2, 275: 6}, ongoing=True) == {LOST_EFFECT: -275}
    assert called({42: 2, 180: 2, 275: 6, 366: 6}, ongoing=True) == {LOST_EFFECT: 275}
    assert called({42: 2, 166: 2, 275: 6, 366: 6}, ongoing=True) == {LOST_EFFECT: 275}  # when, is not known
    assert called({42: 2, 180: 2, 275: 6, 366: 6}) == {}


def test_without_a_baseline_only_silence_can_be_heard() -> None:
    assert called({42: 9, 92: 9}, baseline=None) == {}
    assert called({42: 9}, silent=[92, 184], baseline=None) == {SILENT: 184}


def test_pain_above_a_baseline_of_none_is_worse_though_relief_cannot_be_computed() -> None:
    assert called({42: 1, 92: 1}, baseline=0) == {WORSE: 92}
    assert called({42: 0, 92: 0}, baseline=0) == {}


def test_two_treatments_that_cannot_be_told_apart_can_still_make_it_worse() -> None:
    assert called({42: 7, 92: 7}, confounded=True) == {WORSE: 92}


@given(
    st.dictionaries(st.integers(0, 800), st.integers(0, 10), max_size=12),
    st.lists(st.integers(0, 800), max_size=12),
    st.none() | st.integers(0, 10),
)
def test_a_course_counted_in_minutes_calls_for_nothing(
    readings: dict[int, int], silent: list[int], baseline: int | None
) -> None:
    ordered = dict(sorted(readings.items()))
    assert called(ordered, silent=sorted(silent), baseline=baseline, unit="minute") == {}


@given(
    st.dictionaries(st.integers(0, 800), st.integers(0, 10), max_size=12),
    st.lists(st.integers(0, 800), max_size=12, unique=True),
    st.none() | st.integers(0, 10),
)
def test_what_is_called_for_has_a_reading_or_a_silence_behind_it(
    readings: dict[int, int], silent: list[int], baseline: int | None
) -> None:
    ordered = dict(sorted(readings.items()))
    for kind, since in called(ordered, silent=sorted(silent), baseline=baseline).items():
        assert abs(since) in (silent if kind == SILENT else readings)


def test_the_kinds_are_the_alerts_and_all_but_red_flags_can_be_done_without() -> None:
    assert {kind.value for kind in Kind} | {"red_flag", "device_due", "pain_back"} == set(Alert.Kind.values)
    assert [*OPTIONAL_ALERTS] == [pair for pair in Alert.Kind.choices if pair[0] != "red_flag"]
