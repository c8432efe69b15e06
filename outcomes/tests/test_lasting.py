"""The interval in which relief ended, on plain values."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from outcomes.lasting import Lasting, lasting
from outcomes.relief import Course, Reading, Verdict, judge
from outcomes.tests.test_relief import course, courses


def told(any_course: Course) -> Lasting | None:
    return lasting(any_course, judge(any_course))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(42, 7)], Lasting(0, 42, False, None, 42)),  # never in relief
        ([(14, 9), (60, 7), (92, 8)], Lasting(0, 60, False, None, 92)),  # from the first judged one
        ([(42, 3)], Lasting(42, None, True, None, 42)),
        ([(14, 2)], Lasting(14, None, True, None, 14)),  # good news counts before the first day of judgement
        ([(14, 2), (20, 9)], Lasting(14, None, True, None, 20)),  # a flare ends nothing
        ([(42, 3), (92, 7)], Lasting(42, None, True, 92, 92)),  # one bad score is a suspicion
        ([(42, 3), (92, 7), (184, 3)], Lasting(184, None, True, None, 184)),
        ([(42, 3), (92, 7), (184, 7)], Lasting(42, 92, True, None, 184)),
        ([(42, 3), (92, 7), (184, 7), (275, 2)], Lasting(42, 92, True, None, 275)),  # a loss stands
        ([(42, 7), (92, 3)], Lasting(92, None, True, None, 92)),  # relief came late
        ([(42, 3), (92, 7), (92, 8)], Lasting(42, None, True, 92, 92)),  # one day is one check-in
    ],
)
def test_when_relief_ended(readings: list[tuple[int, int]], expected: Lasting) -> None:
    assert told(course(8, *readings)) == expected


def test_silence_widens_the_interval() -> None:
    assert told(course(8, (42, 2), (275, 8), (366, 8), silent=(92, 184))) == Lasting(42, 275, True, None, 366)
    assert told(course(8, (42, 2), silent=(92, 184))) == Lasting(42, None, True, None, 42)


@pytest.mark.parametrize(
    ("readings", "pain", "suspected"),
    [
        ([(42, 3)], 7, 150),  # it was gone when the treatment was repeated
        ([(42, 3)], 4, None),  # exactly half is relief: repeated while it still helped
        ([(42, 3), (92, 7)], 7, 92),  # an earlier bad score comes first
    ],
)
def test_the_pain_before_a_repeat_tells_whether_relief_had_ended(
    readings: list[tuple[int, int]], pain: int, suspected: int | None
) -> None:
    known = course(8, *readings)
    told = lasting(known, judge(known), at_repeat=Reading(150, pain))
    assert told == Lasting(42, None, True, suspected, readings[-1][0])
    assert told.ended_by == suspected


def test_a_repeat_moves_no_established_loss() -> None:
    known = course(8, (42, 3), (92, 7), (140, 7))
    told = lasting(known, judge(known), at_repeat=Reading(150, 8))
    assert told == Lasting(42, 92, True, None, 140)
    assert told.ended_by == 92


@pytest.mark.parametrize(
    "nothing",
    [
        course(None, (92, 2)),
        course(0, (92, 0)),
        course(8, (92, 2), confounded=True),
        course(8),
        course(8, (1, 9), (14, 8)),
        course(8, silent=(42, 92, 184)),
    ],
)
def test_where_nothing_can_be_told_there_is_no_interval(nothing: Course) -> None:
    assert told(nothing) is None


def test_a_bad_score_at_the_procedure_itself_still_makes_an_interval() -> None:
    assert told(course(8, (0, 8), evaluate_after=0)) == Lasting(0, 1, False, None, 0)


@given(courses)
def test_it_ends_after_it_began_and_as_the_verdict_says(any_course: Course) -> None:
    judgement = judge(any_course)
    found = lasting(any_course, judgement)
    if judgement.verdict in (Verdict.CONFOUNDED, Verdict.NO_BASELINE):
        assert found is None
        return
    if found is None:  # then nothing was judged, and only silence or the wait can be the verdict
        assert judgement.verdict in (Verdict.TOO_EARLY, Verdict.UNKNOWN)
        return
    assert found.after >= 0
    assert found.until is None or found.until > found.after
    assert found.suspected_until is None or found.suspected_until > found.after
    if judgement.lost_between:
        assert (found.after, found.until) == judgement.lost_between
        assert found.responded
    match judgement.verdict:
        case Verdict.LOST_EARLY:
            assert found.until is not None
            assert found.until < any_course.window_from
        case Verdict.LOST_WITHIN:
            assert found.until is not None
            assert any_course.window_from <= found.until <= any_course.window_until
        case Verdict.OUTLASTING:
            assert found.after > any_course.window_until or (found.until or 0) > any_course.window_until
        case Verdict.IN_RELIEF:
            assert found.responded
            assert found.until is None
        case Verdict.NO_RELIEF | Verdict.PARTIAL:
            assert not found.responded
            assert found.after == 0
            assert found.until is not None


@given(courses, st.lists(st.tuples(st.integers(0, 41), st.integers(6, 10)), max_size=3))
def test_flares_change_nothing(any_course: Course, flares: list[tuple[int, int]]) -> None:
    assume(any_course.baseline)
    readings = [*any_course.readings, *(Reading(day, min(10, score)) for day, score in flares)]
    bad = [
        one for one in readings if one in any_course.readings or 2 * one.score > (any_course.baseline or 0)
    ]
    flared = replace(any_course, readings=sorted(bad))
    before, after = told(any_course), told(flared)
    if before is None:
        assert after is None
    else:
        assert after == replace(before, last_answer=flared.readings[-1].at)
