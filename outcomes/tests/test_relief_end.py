"""The interval in which relief ended, on plain values."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from outcomes.relief import Course, Reading, Verdict, judge
from outcomes.relief_end import ReliefEndInterval, lasting
from outcomes.tests.relief_courses import any_course, facet_course, in_order


def told(any_course: Course) -> ReliefEndInterval | None:
    return lasting(any_course, judge(any_course))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(42, 7)], ReliefEndInterval(0, 42, False, None, 42)),  # never in relief
        ([(14, 9), (60, 7), (92, 8)], ReliefEndInterval(0, 60, False, None, 92)),  # from the first judged one
        ([(42, 3)], ReliefEndInterval(42, None, True, None, 42)),
        ([(14, 2)], None),  # a good first day is no response
        ([(14, 2), (20, 9)], None),
        ([(14, 2), (42, 7)], ReliefEndInterval(0, 42, False, None, 42)),
        ([(42, 7), (92, 7), (184, 2)], ReliefEndInterval(0, 42, False, None, 184)),  # late relief is none
        (
            [(42, 4), (92, 5)],
            ReliefEndInterval(42, None, True, None, 92),
        ),  # one point over the line is no loss
        ([(42, 3), (92, 7)], ReliefEndInterval(42, None, True, 92, 92)),  # one bad score is a suspicion
        ([(42, 3), (92, 7), (184, 3)], ReliefEndInterval(184, None, True, None, 184)),
        ([(42, 3), (92, 7), (184, 7)], ReliefEndInterval(42, 92, True, None, 184)),
        ([(42, 3), (92, 7), (184, 7), (275, 2)], ReliefEndInterval(42, 92, True, None, 275)),  # a loss stands
        ([(42, 7), (92, 3)], ReliefEndInterval(92, None, True, None, 92)),  # relief came late
        ([(42, 3), (92, 7), (92, 8)], ReliefEndInterval(42, None, True, 92, 92)),  # one day is one check-in
    ],
)
def test_when_relief_ended(readings: list[tuple[int, int]], expected: ReliefEndInterval | None) -> None:
    assert told(facet_course(8, *readings)) == expected


@pytest.mark.parametrize(
    ("until", "suspected", "ended_by"), [(None, None, None), (None, 92, 92), (92, None, 92)]
)
def test_a_curve_takes_a_bad_score_that_nothing_has_confirmed(
    until: int | None, suspected: int | None, ended_by: int | None
) -> None:
    assert ReliefEndInterval(42, until, True, suspected, 92).ended_by == ended_by


def test_silence_widens_the_interval() -> None:
    assert told(facet_course(8, (42, 2), (275, 8), (366, 8), silent=(92, 184))) == ReliefEndInterval(
        42, 275, True, None, 366
    )
    assert told(facet_course(8, (42, 2), silent=(92, 184))) == ReliefEndInterval(42, None, True, None, 42)


def repeated(*readings: tuple[int, int], pain: int, at: int = 150, baseline: int = 8) -> Course:
    """A course that ended on day `at`, when the same treatment was given again; `pain` is the score before that."""
    known = facet_course(baseline, *readings, repeated_at=at)
    return replace(known, readings=[*known.readings, Reading(at, pain, before_treatment=True)])


@pytest.mark.parametrize(
    ("readings", "pain", "expected"),
    [
        (
            [(42, 3)],
            7,
            ReliefEndInterval(42, 150, True, None, 42),
        ),  # it was gone when the treatment was repeated
        (
            [(42, 3)],
            4,
            ReliefEndInterval(150, None, True, None, 42),
        ),  # exactly half is relief: it still helped
        (
            [(42, 3), (92, 7)],
            7,
            ReliefEndInterval(42, 92, True, None, 92),
        ),  # it confirms the earlier bad score
        ([(42, 3), (92, 7)], 3, ReliefEndInterval(150, None, True, None, 92)),  # and here it contradicts it
        (
            [(42, 3), (92, 7), (140, 7)],
            8,
            ReliefEndInterval(42, 92, True, None, 140),
        ),  # it moves no established loss
        ([(42, 7)], 8, ReliefEndInterval(0, 42, False, None, 42)),  # never in relief
        ([], 3, ReliefEndInterval(150, None, True, None, None)),
    ],
)
def test_the_pain_before_a_repeat_tells_whether_relief_had_ended(
    readings: list[tuple[int, int]], pain: int, expected: ReliefEndInterval | None
) -> None:
    assert told(repeated(*readings, pain=pain)) == expected


def test_of_the_silent_pain_before_a_repeat_tells_nothing() -> None:
    """Who has relief still and is silent does not come for a repeat: losses alone would count."""
    assert told(replace(repeated(pain=8), silent=(42, 92))) is None
    assert told(replace(repeated(pain=3), silent=(42, 92))) == ReliefEndInterval(150, None, True, None, None)


def test_who_is_treated_again_before_anybody_could_be_silent_has_lost_relief() -> None:
    """To leave them out would show too much relief: as many of the others answer later."""
    assert told(repeated((14, 3), pain=8, at=21)) == ReliefEndInterval(0, 21, False, None, 14)
    assert told(repeated(pain=8, at=43)) == ReliefEndInterval(0, 43, False, None, None)
    assert told(replace(repeated(pain=8, at=30), silent=(14,))) == ReliefEndInterval(0, 30, False, None, None)
    assert told(replace(repeated(pain=8, at=30), confounded=True)) is None


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(42, 3), (92, 2)], ReliefEndInterval(92, 120, True, None, 92)),
        ([(42, 3), (92, 7)], ReliefEndInterval(42, 92, True, None, 92)),  # it confirms the bad score
        ([(42, 3), (120, 3)], ReliefEndInterval(120, 121, True, None, 120)),
        ([(42, 7)], ReliefEndInterval(0, 42, False, None, 42)),
        ([], ReliefEndInterval(0, 120, False, None, None)),
        ([(42, 3), (92, 7), (110, 7)], ReliefEndInterval(42, 92, True, None, 110)),
    ],
)
def test_a_device_that_is_taken_out_for_not_helping_has_lost_its_effect(
    readings: list[tuple[int, int]], expected: ReliefEndInterval
) -> None:
    assert told(facet_course(8, *readings, useless_at=120)) == expected


@pytest.mark.parametrize(
    "nothing",
    [
        facet_course(None, (92, 2)),
        facet_course(0, (92, 0)),
        facet_course(8, (92, 2), confounded=True),
        facet_course(8),
        facet_course(8, (1, 9), (14, 8)),
        facet_course(8, silent=(42, 92, 184)),
    ],
)
def test_where_nothing_can_be_told_there_is_no_interval(nothing: Course) -> None:
    assert told(nothing) is None


def test_a_bad_score_at_the_procedure_itself_still_makes_an_interval() -> None:
    assert told(facet_course(8, (0, 8), evaluate_after=0)) == ReliefEndInterval(0, 1, False, None, 0)


@given(any_course)
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
    start, end = any_course.window_from, any_course.window_until
    match judgement.verdict:
        case Verdict.LOST_EARLY:
            assert found.until is not None
            assert found.until <= start
        case Verdict.POSSIBLY_EARLY | Verdict.DATE_UNKNOWN:
            assert found.until is not None
            assert found.after < start < found.until
        case Verdict.LOST_WITHIN | Verdict.REACHED_END:
            assert found.until is not None
            assert start <= found.after < end
        case Verdict.OUTLASTING:
            assert found.after >= end  # it is known, not only found late
        case Verdict.LOST_UNCONFIRMED:
            assert (found.until, found.suspected_until) == (None, found.ended_by)
            assert found.ended_by is not None
        case Verdict.IN_RELIEF | Verdict.FLUCTUATING:
            assert found.responded
            assert found.ended_by is None
        case Verdict.NO_RELIEF:
            assert not found.responded
            assert found.after == 0
            assert found.until is not None


@given(any_course, st.lists(st.tuples(st.integers(0, 41), st.integers(6, 10)), max_size=3))
def test_flares_change_nothing(any_course: Course, flares: list[tuple[int, int]]) -> None:
    assume(any_course.baseline)
    readings = [*any_course.readings, *(Reading(day, min(10, score)) for day, score in flares)]
    bad = [
        reading
        for reading in readings
        if reading in any_course.readings or 2 * reading.score > (any_course.baseline or 0)
    ]
    flared = replace(any_course, readings=in_order(bad))
    before, after = told(any_course), told(flared)
    if before is None:
        assert after is None
    else:
        assert after == replace(before, last_answer=flared.last_answer)
