"""Relief and verdicts, on plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.relief import Course, Reading, Verdict, judge, meets, percent_relief

scores = st.integers(0, 10)


def course(
    baseline: int | None, *readings: tuple[int, int], silent: tuple[int, ...] = (), **more: object
) -> Course:
    """A facet ablation: judged from day 42, expected to end between days 180 and 365."""
    facts: dict[str, object] = {"evaluate_after": 42, "window_from": 180, "window_until": 365} | more
    return Course(baseline, [Reading(*one) for one in readings], silent, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("baseline", "score", "percent"),
    [(8, 3, 62), (10, 5, 50), (5, 1, 80), (4, 6, -50), (3, 4, -33), (9, 4, 55), (7, 7, 0), (1, 0, 100)],
)
def test_percent_relief(baseline: int, score: int, percent: int) -> None:
    assert percent_relief(baseline, score) == percent


@pytest.mark.parametrize("baseline", [None, 0])
@given(score=scores)
def test_without_a_baseline_above_zero_relief_is_unknown_and_not_zero_or_a_hundred(
    baseline: int | None, score: int
) -> None:
    assert percent_relief(baseline, score) is None
    assert judge(course(baseline, (92, score))).verdict == Verdict.NO_BASELINE


@given(st.integers(1, 10), scores, st.integers(1, 100))
def test_thresholds_are_met_exactly(baseline: int, score: int, percent: int) -> None:
    from fractions import Fraction

    assert meets(baseline, score, percent) == (Fraction(baseline - score, baseline) >= Fraction(percent, 100))


def test_exactly_half_is_relief_and_one_more_is_not() -> None:
    assert judge(course(8, (92, 4))).verdict == Verdict.IN_RELIEF
    assert judge(course(8, (92, 5))).verdict == Verdict.PARTIAL


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ([], Verdict.TOO_EARLY),
        ([(1, 9), (14, 8)], Verdict.TOO_EARLY),  # flares
        ([(14, 2)], Verdict.TOO_EARLY),  # good news, but not judged yet
        ([(42, 3)], Verdict.IN_RELIEF),
        ([(42, 5)], Verdict.PARTIAL),
        ([(42, 7)], Verdict.NO_RELIEF),
        ([(42, 9)], Verdict.NO_RELIEF),
        ([(14, 9), (42, 3)], Verdict.IN_RELIEF),  # the flare passed
        ([(42, 2), (92, 7)], Verdict.IN_RELIEF),  # one low score is noise
        ([(42, 2), (92, 7), (184, 3)], Verdict.IN_RELIEF),
        ([(42, 2), (92, 7), (184, 7)], Verdict.LOST_EARLY),  # known to lie in (42, 92]
        ([(42, 2), (92, 2), (184, 7), (275, 8)], Verdict.LOST_WITHIN),
        ([(42, 2), (184, 2), (366, 2)], Verdict.OUTLASTING),
        ([(42, 2), (366, 2), (548, 8), (731, 8)], Verdict.OUTLASTING),
        ([(42, 2), (92, 7), (184, 7), (275, 2)], Verdict.LOST_EARLY),  # an established loss stands
        ([(14, 2), (42, 8)], Verdict.TOO_EARLY),  # relief came, one bad score since
        ([(14, 2), (42, 8), (92, 8)], Verdict.LOST_EARLY),
        ([(42, 8), (92, 3)], Verdict.IN_RELIEF),  # late, but there
    ],
)
def test_verdicts_of_an_ablation(readings: list[tuple[int, int]], verdict: Verdict) -> None:
    judgement = judge(course(8, *readings))
    assert judgement.verdict == verdict, judgement.reason


@pytest.mark.parametrize(
    ("first_bad", "verdict"),
    [
        (179, Verdict.LOST_EARLY),
        (180, Verdict.LOST_WITHIN),
        (365, Verdict.LOST_WITHIN),
        (366, Verdict.OUTLASTING),
    ],
)
def test_the_window_includes_both_its_days(first_bad: int, verdict: Verdict) -> None:
    assert judge(course(8, (100, 2), (first_bad, 8), (700, 8))).verdict == verdict


def test_a_loss_lies_between_two_check_ins() -> None:
    assert judge(course(8, (42, 2), (92, 2), (184, 7), (275, 8))).lost_between == (92, 184)


def test_silence_is_never_failure() -> None:
    assert judge(course(8, silent=(42, 92))).verdict == Verdict.UNKNOWN
    assert judge(course(8, (42, 2), silent=(92, 184))).verdict == Verdict.UNKNOWN
    assert judge(course(8, (42, 2), silent=(92,))).verdict == Verdict.IN_RELIEF
    assert judge(course(8, (42, 2), (275, 2), silent=(92, 184))).verdict == Verdict.IN_RELIEF
    # What is established does not become unknown again.
    assert judge(course(8, (42, 2), (92, 8), (184, 8), silent=(275, 366))).verdict == Verdict.LOST_EARLY


def test_confounded_is_said_so() -> None:
    assert judge(course(8, (42, 2), confounded=True)).verdict == Verdict.CONFOUNDED


def test_a_diagnostic_block_is_judged_in_minutes() -> None:
    block = judge(
        course(
            8, (30, 1), (60, 0), (240, 1), (360, 7), (480, 8),
            evaluate_after=0, window_from=120, window_until=720, success_percent=80, unit="minute",
        )
    )  # fmt: skip
    assert (block.verdict, block.lost_between) == (Verdict.LOST_WITHIN, (240, 360))
    assert "hour 6" in block.reason


courses = st.builds(
    Course,
    baseline=st.none() | scores,
    readings=st.lists(st.builds(Reading, st.integers(0, 800), scores), max_size=8).map(sorted),
    silent=st.lists(st.integers(0, 800), max_size=4).map(sorted),
    evaluate_after=st.just(42),
    window_from=st.just(180),
    window_until=st.just(365),
    success_percent=st.sampled_from([50, 75, 80]),
    confounded=st.booleans(),
)


@given(courses)
def test_every_course_has_one_verdict_with_a_reason_that_fits(any_course: Course) -> None:
    first, second = judge(any_course), judge(any_course)
    assert first == second
    assert 0 < len(first.reason) <= 500
    if first.lost_between:
        left, right = first.lost_between
        assert left < right
        assert first.verdict in (Verdict.LOST_EARLY, Verdict.LOST_WITHIN, Verdict.OUTLASTING)


@given(courses, st.integers(0, 41), st.integers(6, 10))
def test_a_flare_changes_nothing(any_course: Course, day: int, score: int) -> None:
    from dataclasses import replace

    if any_course.baseline and any_course.readings and not meets(any_course.baseline, score, 50):
        flared = replace(any_course, readings=sorted([*any_course.readings, Reading(day, score)]))
        assert judge(flared).verdict == judge(any_course).verdict
