"""Relief and verdicts, on plain values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.relief import (
    LOST_VERDICTS,
    Course,
    Judgement,
    Note,
    Reading,
    Relief,
    Responder,
    Status,
    Verdict,
    judge,
    judged,
    meets,
    percent_relief,
    relief_of,
    responders,
)
from outcomes.tests.relief_courses import any_course, facet_course, in_order, scores


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
    assert judge(facet_course(baseline, (92, score))).verdict == Verdict.NO_BASELINE


@given(st.integers(1, 10), scores, st.integers(1, 100))
def test_thresholds_are_met_exactly(baseline: int, score: int, percent: int) -> None:
    from fractions import Fraction

    assert meets(baseline, score, percent) == (Fraction(baseline - score, baseline) >= Fraction(percent, 100))


@pytest.mark.parametrize(
    ("baseline", "score", "expected"),
    [
        (None, 3, Relief(Status.BASELINE_MISSING, None, None, low_baseline=False)),
        (None, None, Relief(Status.BASELINE_MISSING, None, None, low_baseline=False)),
        (0, 0, Relief(Status.BASELINE_ZERO, None, 0, low_baseline=True)),  # not 100 %
        (0, 3, Relief(Status.BASELINE_ZERO, None, -3, low_baseline=True)),
        (8, None, Relief(Status.SCORE_MISSING, None, None, low_baseline=False)),
        (4, 6, Relief(Status.COMPUTED, -50, -2, low_baseline=False)),  # worse, and the sign is kept
        (3, 2, Relief(Status.COMPUTED, 33, 1, low_baseline=True)),
        (4, 3, Relief(Status.COMPUTED, 25, 1, low_baseline=False)),
        (5, 1, Relief(Status.COMPUTED, 80, 4, low_baseline=False)),
        (10, 5, Relief(Status.COMPUTED, 50, 5, low_baseline=False)),
    ],
)
def test_what_two_figures_show(baseline: int | None, score: int | None, expected: Relief) -> None:
    assert relief_of(baseline, score) == expected


def test_no_share_is_rounded_up_to_a_threshold() -> None:
    assert percent_relief(1000, 201) == 79  # 79.9
    assert percent_relief(3, 4) == -33
    assert not meets(1000, 201, 80)
    assert meets(5, 1, 80)
    assert meets(10, 5, 50)


@pytest.mark.parametrize(
    ("baseline", "score", "pgic", "expected"),
    [
        (None, 2, 2, Responder(None, None, None, True)),
        (0, 0, 1, Responder(None, None, None, True)),  # nothing to respond to
        (8, None, 3, Responder(None, None, None, False)),
        (8, 4, None, Responder(True, True, True, None, False)),
        (8, 5, 7, Responder(True, False, True, False, False)),
        (10, 7, 2, Responder(True, False, True, True, False)),
        (5, 1, 1, Responder(True, True, True, True, True)),  # exactly 80 %
        (10, 9, 4, Responder(False, False, False, False, False)),
        (2, 1, 2, Responder(True, True, False, True, False)),  # half, but one point
        (10, 8, 3, Responder(False, False, True, False, False)),  # exactly two points, and only 20 %
        (4, 6, 6, Responder(False, False, False, False, False)),
    ],
)
def test_responders_by_each_definition(
    baseline: int | None, score: int | None, pgic: int | None, expected: Responder
) -> None:
    assert responders(baseline, score, pgic, percent=80) == expected


def test_a_sacroiliac_test_asks_for_75_percent() -> None:
    assert responders(8, 2, percent=75).profile
    assert responders(8, 2, percent=80).profile is False
    assert responders(8, 2).profile is None


def test_exactly_half_is_relief_and_one_more_is_not() -> None:
    assert judge(facet_course(8, (92, 4))).verdict == Verdict.IN_RELIEF
    assert judge(facet_course(8, (92, 5))).verdict == Verdict.PARTIAL


def test_exactly_thirty_percent_is_partial_and_one_more_is_none() -> None:
    assert judge(facet_course(10, (92, 7))).verdict == Verdict.PARTIAL
    assert judge(facet_course(10, (92, 8))).verdict == Verdict.NO_RELIEF


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
        ([(42, 2), (92, 7)], Verdict.LOST_UNCONFIRMED),  # one bad score may be noise
        ([(42, 2), (92, 7), (184, 3)], Verdict.IN_RELIEF),
        ([(42, 2), (92, 7), (184, 7)], Verdict.LOST_EARLY),  # known to lie in (42, 92]
        ([(42, 2), (184, 2), (275, 7), (366, 8)], Verdict.LOST_WITHIN),
        ([(42, 2), (184, 2), (366, 2)], Verdict.OUTLASTING),
        ([(42, 2), (366, 2), (548, 8), (731, 8)], Verdict.OUTLASTING),
        ([(42, 2), (92, 7), (184, 7), (275, 2)], Verdict.LOST_EARLY),  # an established loss stands
        ([(14, 2), (42, 8)], Verdict.NO_RELIEF),  # a good score before the first judged day is no response
        ([(14, 2), (42, 8), (92, 8)], Verdict.NO_RELIEF),
        ([(42, 8), (92, 3)], Verdict.IN_RELIEF),  # late, but there
        ([(42, 8), (92, 8), (184, 3)], Verdict.NO_RELIEF),  # too late
    ],
)
def test_verdicts_of_an_ablation(readings: list[tuple[int, int]], verdict: Verdict) -> None:
    judgement = judge(facet_course(8, *readings))
    assert judgement.verdict == verdict, judgement.reason


@pytest.mark.parametrize(
    ("last_good", "first_bad", "verdict"),
    [
        (100, 179, Verdict.LOST_EARLY),
        (100, 180, Verdict.LOST_EARLY),
        (100, 260, Verdict.POSSIBLY_EARLY),  # 80 of 160 days
        (100, 261, Verdict.DATE_UNKNOWN),
        (179, 181, Verdict.POSSIBLY_EARLY),
        (179, 182, Verdict.DATE_UNKNOWN),
        (180, 181, Verdict.LOST_WITHIN),
        (180, 550, Verdict.LOST_WITHIN),  # 185 of 370 days
        (180, 551, Verdict.REACHED_END),
        (364, 366, Verdict.LOST_WITHIN),
        (364, 367, Verdict.REACHED_END),
        (365, 366, Verdict.OUTLASTING),
    ],
)
def test_a_loss_against_the_window_by_where_most_of_its_days_lie(
    last_good: int, first_bad: int, verdict: Verdict
) -> None:
    assert judge(facet_course(8, (last_good, 2), (first_bad, 8), (700, 8))).verdict == verdict
    suspected = judge(facet_course(8, (last_good, 2), (first_bad, 8)))
    outlasted = last_good >= 365
    assert suspected.verdict == (Verdict.OUTLASTING if outlasted else Verdict.LOST_UNCONFIRMED)
    assert suspected.loss_kind == verdict


def before_a_repeat(*readings: tuple[int, int], pain: int, at: int = 150) -> Judgement:
    """From a baseline of 8; on day `at` the treatment is given again, with that pain before it."""
    known = [Reading(*reading) for reading in readings] + [Reading(at, pain, before_treatment=True)]
    return judge(Course(8, known, (), evaluate_after=42, window_from=180, window_until=365, repeated_at=at))


def test_bad_pain_before_a_repeat_is_a_loss_and_the_reason_says_where_it_was_named() -> None:
    found = before_a_repeat((42, 2), pain=7)
    assert (found.verdict, found.lost_between) == (Verdict.LOST_EARLY, (42, 150))
    assert found.reason == (
        "Relief ended after day 42 and by day 150; it was expected to last until day 180 at least. "
        "Pain 8 before, 7 on day 150, before the next treatment (12 % less)."
    )
    confirmed = before_a_repeat((42, 2), (92, 7), pain=7)
    assert (confirmed.verdict, confirmed.lost_between) == (Verdict.LOST_EARLY, (42, 92))
    assert (
        "7 on day 92 (12 % less), confirmed by the pain before the next treatment on day 150."
        in confirmed.reason
    )
    assert before_a_repeat((42, 2), pain=7, at=250).verdict == Verdict.POSSIBLY_EARLY
    assert before_a_repeat((42, 2), (200, 2), pain=7, at=250).verdict == Verdict.LOST_WITHIN
    assert before_a_repeat((42, 2), (366, 3), pain=7, at=500).verdict == Verdict.OUTLASTING


def test_good_pain_before_a_repeat_is_relief() -> None:
    found = before_a_repeat((42, 2), (92, 7), pain=4)
    assert found.verdict == Verdict.IN_RELIEF
    assert "4 on day 150, before the next treatment (50 % less)" in found.reason
    assert before_a_repeat(pain=4, at=400).verdict == Verdict.OUTLASTING


def test_bad_pain_before_a_repeat_does_not_tell_that_there_never_was_relief() -> None:
    """Who is treated again is so because the pain is back."""
    assert before_a_repeat(pain=8).verdict == Verdict.UNKNOWN
    assert before_a_repeat((14, 9), pain=8).verdict == Verdict.UNKNOWN
    assert before_a_repeat((42, 8), pain=8).verdict == Verdict.NO_RELIEF
    assert before_a_repeat((42, 5), pain=8).verdict == Verdict.PARTIAL
    assert before_a_repeat((14, 2), pain=8, at=21).verdict == Verdict.UNKNOWN  # ended before it was judged


def taken_out(*readings: tuple[int, int], silent: tuple[int, ...] = ()) -> Judgement:
    """From a baseline of 8; on day 120 the device is taken out because it did not help enough."""
    return judge(facet_course(8, *readings, silent=silent, useless_at=120))


def test_a_device_that_is_taken_out_for_not_helping_is_a_loss_or_no_relief() -> None:
    found = taken_out((42, 3), (92, 2))
    assert (found.verdict, found.lost_between) == (Verdict.LOST_EARLY, (92, 120))
    assert found.reason.endswith("and the device was taken out on day 120: it did not help enough.")
    assert taken_out((42, 3), (92, 7)).lost_between == (42, 92)
    assert taken_out((42, 8)).verdict == Verdict.NO_RELIEF
    silent = taken_out(silent=(42, 92))
    assert silent.verdict == Verdict.NO_RELIEF
    assert "taken out on day 120" in silent.reason


def test_by_lords_rule_half_is_lost_already() -> None:
    readings = ((42, 2), (92, 4), (184, 4))
    assert judge(facet_course(8, *readings)).verdict == Verdict.IN_RELIEF
    by_lord = judge(facet_course(8, *readings, half_is_loss=True))
    assert (by_lord.verdict, by_lord.lost_between) == (Verdict.LOST_EARLY, (42, 92))
    assert judge(facet_course(8, (42, 3), half_is_loss=True)).verdict == Verdict.IN_RELIEF
    assert judge(facet_course(8, (42, 4), half_is_loss=True)).verdict == Verdict.PARTIAL


@given(st.integers(1, 10), scores)
def test_lords_rule_differs_at_exactly_half_only(baseline: int, score: int) -> None:
    ours = judge(facet_course(baseline, (92, score))).verdict == Verdict.IN_RELIEF
    lords = judge(facet_course(baseline, (92, score), half_is_loss=True)).verdict == Verdict.IN_RELIEF
    assert (ours != lords) == (2 * score == baseline)


def worn_off(*readings: tuple[int, int], says: int) -> Judgement:
    """From a baseline of 8; on day `says` the patient says that relief has worn off."""
    told = [Reading(at, score, worn_off=at == says) for at, score in readings]
    return judge(Course(8, told, (), evaluate_after=42, window_from=180, window_until=365))


def test_one_bad_score_and_the_patients_word_are_a_loss() -> None:
    found = worn_off((42, 2), (92, 7), says=92)
    assert (found.verdict, found.lost_between) == (Verdict.LOST_EARLY, (42, 92))
    assert "confirmed by the patient on day 92" in found.reason
    assert (
        "confirmed by the next score on day 184" in judge(facet_course(8, (42, 2), (92, 7), (184, 7))).reason
    )
    assert worn_off((42, 2), (184, 2), (275, 7), says=275).verdict == Verdict.LOST_WITHIN
    # It stands, whatever comes after it.
    assert worn_off((42, 2), (92, 7), (184, 2), says=92).verdict == Verdict.LOST_EARLY


def test_the_patients_word_alone_is_no_loss() -> None:
    assert worn_off((42, 2), (92, 3), says=92).verdict == Verdict.IN_RELIEF  # the score says otherwise
    assert worn_off((42, 2), (92, 3), says=92).remarks[0].note == Note.WORN_OFF_SAID
    assert worn_off((14, 2), (20, 8), says=20).verdict == Verdict.TOO_EARLY  # a flare
    assert worn_off((42, 8), says=42).verdict == Verdict.NO_RELIEF  # there was no relief that could wear off
    # Said of the second bad score, the loss lies where the first one was.
    assert worn_off((42, 2), (92, 7), (184, 7), says=184).lost_between == (42, 92)


def test_two_scores_of_one_day_are_one_check_in() -> None:
    assert judge(facet_course(8, (42, 2), (92, 7), (92, 8))).verdict == Verdict.LOST_UNCONFIRMED
    assert judge(facet_course(8, (42, 2), (92, 7), (92, 3))).verdict == Verdict.IN_RELIEF
    assert judged(facet_course(8, (42, 2), (92, 7), (92, 3))) == [Reading(42, 2), Reading(92, 3)]
    said = [Reading(42, 2), Reading(92, 7, worn_off=True, ended_on=80), Reading(92, 8)]
    found = judge(replace(facet_course(8), readings=said))
    assert (found.verdict, found.lost_between) == (
        Verdict.LOST_EARLY,
        (42, 80),
    )  # what was said beside it stays


@pytest.mark.parametrize(
    ("readings", "verdict", "between"),
    [
        # An answer and the pain before the next treatment on one day: together they confirm, in whichever order.
        (
            [Reading(92, 2), Reading(189, 8), Reading(189, 7, before_treatment=True)],
            "possibly_early",
            (92, 189),
        ),
        (
            [Reading(92, 2), Reading(189, 7, before_treatment=True), Reading(189, 8)],
            "possibly_early",
            (92, 189),
        ),
        # What was answered on that day is no less an answer.
        ([Reading(42, 8), Reading(42, 8, before_treatment=True)], "no_relief", None),
        ([Reading(42, 8, before_treatment=True), Reading(42, 8)], "no_relief", None),
        ([Reading(42, 2), Reading(42, 3, before_treatment=True)], "in_relief", None),
        # Where the two say the opposite, who comes for a treatment comes because the pain is back.
        ([Reading(42, 2), Reading(42, 8, before_treatment=True)], "unknown", None),
    ],
)
def test_an_answer_on_the_day_of_the_next_treatment_counts_beside_the_pain_before_it(
    readings: list[Reading], verdict: str, between: tuple[int, int] | None
) -> None:
    found = judge(replace(facet_course(8), readings=readings, ended=True))
    assert (found.verdict, found.lost_between) == (verdict, between), found.reason
    other = judge(replace(facet_course(8), readings=readings, ended=True, other_treatment=True))
    assert other.verdict == ("confounded" if verdict == "unknown" else verdict)


def test_after_a_low_baseline_the_points_stand_beside_the_percentage() -> None:
    assert "(66 % less: 2 points)" in judge(facet_course(3, (92, 1))).reason
    assert "(33 % more: 1 point)" in judge(facet_course(3, (92, 4))).reason
    assert "points" not in judge(facet_course(8, (92, 1))).reason


def test_a_loss_lies_between_two_check_ins() -> None:
    assert judge(facet_course(8, (42, 2), (92, 2), (184, 7), (275, 8))).lost_between == (92, 184)


def test_silence_is_never_failure() -> None:
    assert judge(facet_course(8, silent=(42, 92))).verdict == Verdict.UNKNOWN
    assert judge(facet_course(8, (42, 2), silent=(92, 184))).verdict == Verdict.UNKNOWN
    assert judge(facet_course(8, (42, 2), silent=(92,))).verdict == Verdict.IN_RELIEF
    assert judge(facet_course(8, (42, 2), (275, 2), silent=(92, 184))).verdict == Verdict.IN_RELIEF
    # What is established does not become unknown again.
    assert judge(facet_course(8, (42, 2), (92, 8), (184, 8), silent=(275, 366))).verdict == Verdict.LOST_EARLY


@pytest.mark.parametrize(
    ("readings", "silent", "verdict"),
    [
        ([], (1, 7, 41), Verdict.TOO_EARLY),  # nothing was to be known yet
        ([], (42,), Verdict.UNKNOWN),  # nobody has ever been heard
        ([(14, 2)], (42,), Verdict.TOO_EARLY),
        ([(14, 2)], (14, 42, 92), Verdict.UNKNOWN),
        ([(42, 2)], (42, 92), Verdict.IN_RELIEF),  # who was heard that day was not silent on it
        ([(42, 2), (92, 8)], (184, 275), Verdict.LOST_UNCONFIRMED),  # the bad score goes before the silence
        ([(42, 5)], (92, 184), Verdict.UNKNOWN),  # some relief, and nobody knows what became of it
        ([(42, 8)], (92, 184), Verdict.NO_RELIEF),  # silence takes back nothing that was said
    ],
)
def test_two_check_ins_in_a_row_without_an_answer_leave_nothing_known(
    readings: list[tuple[int, int]], silent: tuple[int, ...], verdict: Verdict
) -> None:
    found = judge(facet_course(8, *readings, silent=silent))
    assert found.verdict == verdict, found.reason


def test_who_was_never_heard_of_from_the_procedure_on_is_unknown() -> None:
    assert judge(facet_course(8, silent=(0,), evaluate_after=0)).verdict == Verdict.UNKNOWN


def test_relief_outlasts_its_window_from_its_last_day_on() -> None:
    last_day = judge(facet_course(8, (364, 2)))
    assert last_day.verdict == Verdict.IN_RELIEF
    assert last_day.reason == (
        "Pain 8 before, 2 on day 364 (75 % less); at least 50 % counts as relief. "
        "It is expected to end between day 180 and day 365."
    )
    assert judge(facet_course(8, (365, 2))).verdict == Verdict.OUTLASTING
    assert judge(facet_course(8, (42, 8), (365, 2))).verdict == Verdict.IN_RELIEF  # relief came late
    assert judge(facet_course(8, (365, 2), ongoing=True)).verdict == Verdict.IN_RELIEF  # its end is nominal


def test_relief_that_was_known_after_the_window_has_outlasted_it_whatever_comes_later() -> None:
    """One bad score since then, or silence, takes nothing back: a loss would lie after the window as well."""
    suspected = judge(facet_course(8, (42, 2), (366, 2), (548, 8)))
    assert suspected.verdict == Verdict.OUTLASTING
    assert suspected.reason == (
        "Pain 8 before, 2 on day 366 (75 % less); relief was expected to end by day 365. "
        "Pain 8 before, 8 on day 548 (unchanged): one bad score may be noise."
    )
    assert suspected.lost_between is None
    assert judge(facet_course(8, (366, 2), (548, 8), silent=(731, 913))).verdict == Verdict.OUTLASTING
    assert judge(facet_course(8, (364, 2), (548, 8))).verdict == Verdict.LOST_UNCONFIRMED


def test_the_reason_says_which_baseline_is_lacking() -> None:
    assert "before the procedure is missing" in judge(facet_course(None, (92, 2))).reason
    assert "before the procedure is 0" in judge(facet_course(0, (92, 2))).reason


@pytest.mark.parametrize(
    ("unit", "at", "words"), [("day", 92, "day 92"), ("minute", 60, "hour 1"), ("minute", 200, "hour 3.3")]
)
def test_a_reader_is_told_days_or_hours(unit: str, at: int, words: str) -> None:
    assert facet_course(8, unit=unit).words(at) == words


def test_confounded_is_said_so() -> None:
    assert judge(facet_course(8, (42, 2), confounded=True)).verdict == Verdict.CONFOUNDED


def test_a_diagnostic_block_is_judged_in_minutes() -> None:
    block = judge(
        facet_course(
            8, (30, 1), (60, 0), (240, 1), (360, 7), (480, 8),
            evaluate_after=0, window_from=120, window_until=720, success_percent=80, unit="minute",
        )
    )  # fmt: skip
    assert (block.verdict, block.lost_between) == (Verdict.LOST_WITHIN, (240, 360))
    assert "hour 6" in block.reason


def test_a_reason_fits_whatever_a_patient_says_every_day() -> None:
    """The row takes a thousand characters."""
    daily = [Reading(42 + day, (2, 9)[day % 2], worn_off=day % 2 == 0) for day in range(900)]
    for baseline, readings in ((8, [Reading(41, 5), *daily]), (3, daily[1::2]), (8, [*daily[1::2], *daily])):
        readings = sorted(readings, key=lambda reading: reading.at)
        found = judge(replace(facet_course(baseline), readings=readings))
        assert len(found.reason) < 1000
        assert any(len(remark.at) > 100 for remark in found.remarks)
    assert facet_course(8).list_words(range(1, 9)) == (
        "day 1, day 2, day 3, day 4, day 5, day 6 and 2 times more up to day 8"
    )


@given(any_course)
def test_every_course_has_one_verdict_with_a_reason_that_fits(any_course: Course) -> None:
    first, second = judge(any_course), judge(any_course)
    assert first == second
    assert 0 < len(first.reason) <= 500
    if first.lost_between:
        left, right = first.lost_between
        assert left < right
        assert first.verdict in (*LOST_VERDICTS, Verdict.OUTLASTING)
        assert first.responded
    assert not (first.loss and first.suspected)
    assert (first.verdict == Verdict.LOST_UNCONFIRMED) <= (first.suspected is not None)


@given(any_course, st.lists(st.tuples(st.integers(1, 200), scores), min_size=1, max_size=3))
def test_what_is_established_stands_whatever_comes_later(
    any_course: Course, later: list[tuple[int, int]]
) -> None:
    readings = [replace(reading, before_treatment=False) for reading in any_course.readings]
    so_far = replace(any_course, readings=readings, useless_at=None)
    before = judge(so_far)
    if before.loss:
        at = readings[-1].at
        for gap, score in later:
            at += gap
            readings = [*readings, Reading(at, score)]
        after = judge(replace(so_far, readings=readings))
        assert (after.verdict, after.lost_between) == (before.verdict, before.lost_between)


@given(any_course, st.integers(0, 41), st.integers(6, 10))
def test_a_flare_changes_nothing(any_course: Course, day: int, score: int) -> None:
    if any_course.baseline and any_course.readings and not meets(any_course.baseline, score, 50):
        flared = replace(any_course, readings=in_order([*any_course.readings, Reading(day, score)]))
        assert judge(flared).verdict == judge(any_course).verdict


@given(any_course, st.integers(0, 41), st.integers(0, 10))
def test_what_is_said_before_the_first_judged_day_changes_no_verdict(
    any_course: Course, day: int, score: int
) -> None:
    """A good first day makes no responder, and a bad one no failure."""
    if any_course.readings:
        told = replace(any_course, readings=in_order([*any_course.readings, Reading(day, score)]))
        before, after = judge(any_course), judge(told)
        assert (after.verdict, after.responded, after.loss) == (before.verdict, before.responded, before.loss)


@given(any_course)
def test_who_was_never_in_relief_loses_none(any_course: Course) -> None:
    found = judge(any_course)
    if found.verdict in (*LOST_VERDICTS, Verdict.OUTLASTING, Verdict.FLUCTUATING, Verdict.LOST_UNCONFIRMED):
        assert found.responded
    if found.verdict == Verdict.NO_RELIEF:
        assert not found.responded or any_course.useless_at


@given(any_course, st.integers(0, 2))
def test_an_ended_course_is_never_too_early(any_course: Course, answers: int) -> None:
    ended = replace(any_course, ended=True, readings=any_course.readings[:answers])
    assert judge(ended).verdict != Verdict.TOO_EARLY
