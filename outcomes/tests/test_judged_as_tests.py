"""Procedures done as a test: judged by their diary, over with it, and never told in the words of a treatment."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from clinic.tests.admin_client import signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Alert, CheckIn, CourseSummary, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.reports import WORKLISTS, Selection, procedure_report
from outcomes.services.plans import write_plan
from outcomes.services.rejudgement import judge_again
from outcomes.tests.factories import DIARY_MINUTES, TREATMENT_DAYS, diary_profile, write_diary
from procedures import services as procedures
from procedures.tests.factories import World

#: Words that are said of treatments alone.
OF_TREATMENTS = (
    *("lost", "outlast", "no relief", "in relief since", "worn off since", "responder", "confounded"),
    *("losing", "due for repeat", "relief ended", "relief expected", "fluctuating", "partial relief"),
)


@pytest.fixture
def block(world: World) -> FollowUp:
    """A test on Monday at nine, pain 8 before."""
    diary_profile(world)
    return FollowUp.objects.get(pk=world.performed(intent="diagnostic").follow_up.pk)


def at(follow_up: FollowUp, minutes: float) -> datetime:
    return follow_up.procedure.performed_at + timedelta(minutes=minutes)


def over(follow_up: FollowUp, *, days: int = 5) -> FollowUp:
    """The tick some days later, when the diary is over."""
    services.tick(now=at(follow_up, days * 1440))
    follow_up.refresh_from_db()
    return follow_up


def test_four_hourly_entries_without_pain_and_then_pain_again_are_a_positive_test(block: FollowUp) -> None:
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 0, 240: 8, 360: 8})
    assert (block.judged_as, block.verdict) == (JudgedAs.TEST, "positive")
    assert services.course_of(block).unit == "minute"


def test_relief_that_is_gone_before_the_window_is_negative(block: FollowUp) -> None:
    assert write_diary(block, {30: 0, 60: 0, 120: 8}).verdict == "negative"


def test_what_is_mostly_unknown_is_indeterminate_when_the_diary_is_over_and_too_early_before(
    block: FollowUp,
) -> None:
    assert write_diary(block, {30: 0, 60: 0}).verdict == "too_early"
    assert over(block).verdict == "indeterminate"
    assert block.summary.covered_percent == 8


def test_silence_is_no_result(block: FollowUp) -> None:
    assert block.verdict == "too_early"
    assert over(block).verdict == "indeterminate"


def test_long_relief_is_positive_with_a_remark(block: FollowUp) -> None:
    write_diary(block, dict.fromkeys(DIARY_MINUTES, 1))
    assert block.verdict == "positive"
    assert block.summary.remarks == ["long_relief"]


def test_pain_medicine_within_the_window_leaves_the_test_indeterminate_at_once(block: FollowUp) -> None:
    assert write_diary(block, {30: 0, 60: 0, 120: 0}, medicine_by=120).verdict == "indeterminate"


def test_without_a_score_before_there_is_no_result(world: World) -> None:
    diary_profile(world)
    block = world.performed(intent="diagnostic", baseline=None).follow_up
    assert write_diary(block, {30: 0, 60: 0}).verdict == "no_baseline"
    assert block.summary.covered_percent is None


@pytest.mark.parametrize("order", [(30, 60, 120, 180), (180, 120, 60, 30), (120, 30, 180, 60)])
@pytest.mark.parametrize("late", [0, 300])
def test_entries_count_at_their_hour_in_whatever_order_and_however_late(
    block: FollowUp, order: tuple[int, ...], late: float
) -> None:
    scores = {30: 0, 60: 0, 120: 0, 180: 8}
    assert (
        write_diary(block, {minutes: scores[minutes] for minutes in order}, late=late).verdict == "positive"
    )
    assert {check_in.answer.late for check_in in block.check_ins.filter(status="answered")} == {late > 0}


def test_an_entry_that_is_written_twice_counts_once(block: FollowUp) -> None:
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8})
    assert write_diary(block, {60: 8, 120: 9}).verdict == "positive"
    assert block.check_ins.filter(answer__isnull=False).count() == 4


def test_another_purpose_of_its_type_changes_no_result(world: World, block: FollowUp) -> None:
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8})
    for purpose in ("therapeutic", "diagnostic", "device_trial"):
        world.ablation.purpose = purpose
        world.ablation.save()
        list(judge_again(everything=True, now=at(block, 240)))
        block = FollowUp.objects.get(pk=block.pk)
        assert (block.judged_as, block.verdict) == (JudgedAs.TEST, "positive")


@pytest.mark.parametrize("performed", ["2027-03-14T01:15-05:00", "2027-11-06T22:30-04:00"])
def test_a_clock_change_and_midnight_change_no_result(block: FollowUp, performed: str) -> None:
    moment = datetime.fromisoformat(performed)
    type(block.procedure).objects.filter(pk=block.procedure_id).update(
        performed_at=moment, recorded_at=moment
    )
    block.procedure.refresh_from_db()
    services.replan(block.pk, reason="test", now=moment)
    assert write_diary(block, {30: 0, 60: 0, 120: 0, 180: 0, 240: 8}).verdict == "positive"


def test_nothing_of_a_test_counts_as_relief_that_was_lost(world: World, block: FollowUp) -> None:
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8, 240: 9, 360: 10})
    kept = CourseSummary.objects.get(pk=block.pk)
    assert (kept.lost_after, kept.lost_until, kept.suspected_until, kept.loss_kind) == (None, None, None, "")
    assert (kept.lords_after, kept.responded, kept.repeated_at) == (None, False, None)
    assert not Alert.objects.filter(follow_up=block).exists()
    for worklist in WORKLISTS.values():
        assert not worklist.rows(world.admin, at(block, 600)).exists()


def offsets(follow_up: FollowUp) -> list[int]:
    planned = follow_up.check_ins.exclude(status=CheckIn.Status.VOIDED).order_by("offset_minutes")
    return list(planned.values_list("offset_minutes", flat=True))


def test_a_test_ends_with_its_diary_and_is_still_corrected(world: World, block: FollowUp) -> None:
    assert offsets(block) == DIARY_MINUTES
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8})
    assert block.closed_at is None
    over(block)
    assert (block.closed_reason, block.verdict) == ("diary_over", "positive")
    check_in = block.check_ins.get(offset_minutes=60)
    services.correct_answer(
        check_in.answer.pk, values={"nrs.now": 8}, reason="misread", by=world.nurse, now=at(block, 6 * 1440)
    )
    block.refresh_from_db()
    assert (block.closed_reason, block.verdict) == ("diary_over", "negative")
    assert over(block, days=9).closed_reason == "diary_over"


def with_steroid(world: World, given: bool | None) -> FollowUp:
    appointment = procedures.book(
        world.appointment(intent="diagnostic", patient=world.another_patient()), by=world.clerk, now=world.now
    )
    record = procedures.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=8, steroid_given=given)
    procedure = procedures.perform(appointment.pk, record, by=world.physician, now=world.at(MONDAY, 10))
    found: FollowUp = procedure.follow_up
    return found


@pytest.mark.parametrize("given", [None, False])
def test_without_a_steroid_no_day_is_asked(world: World, given: bool | None) -> None:
    diary_profile(world)
    assert offsets(with_steroid(world, given)) == DIARY_MINUTES


def test_with_a_steroid_the_days_are_asked_and_the_verdict_stays_the_tests(world: World) -> None:
    diary_profile(world)
    block = with_steroid(world, True)
    assert offsets(block) == [*DIARY_MINUTES, *(day * 1440 for day in TREATMENT_DAYS[1:])]
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8})
    assert over(block).closed_reason == ""
    write_diary(block, {21 * 1440: 9, 28 * 1440: 9})
    assert block.verdict == "positive"
    assert set(Alert.objects.filter(follow_up=block).values_list("kind", flat=True)) <= {"worse", "silent"}
    assert over(block, days=120).closed_reason == "diary_over"


def test_tests_of_before_are_closed_when_they_are_judged_again(world: World, block: FollowUp) -> None:
    write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8})
    # As it was: the days were asked as well, and nothing ever closed it.
    type(block.procedure).objects.filter(pk=block.procedure_id).update(steroid_given=True)
    write_plan(FollowUp.objects.get(pk=block.pk), now=at(block, 240))
    type(block.procedure).objects.filter(pk=block.procedure_id).update(steroid_given=None)
    services.close_past(now=at(block, 5 * 1440))
    FollowUp.objects.filter(pk=block.pk).update(verdict="lost_within_window")
    CourseSummary.objects.update(definition=2, lost_after=120, lost_until=180)
    (progress,) = judge_again(now=at(block, 5 * 1440))
    assert progress.changed == {("lost_within_window", "positive"): 1}
    block.refresh_from_db()
    assert (block.closed_reason, block.verdict) == ("diary_over", "positive")
    assert CourseSummary.objects.get(pk=block.pk).lost_after is None
    assert offsets(block) == DIARY_MINUTES
    assert not list(judge_again(now=at(block, 6 * 1440)))


def test_a_profile_of_before_is_judged_by_the_hours_of_the_catalogue(world: World) -> None:
    diary_profile(world, window_from_minutes=None, window_until_minutes=None)
    block = world.performed(intent="diagnostic").follow_up
    course = services.course_of(block)
    assert (course.unit, course.window_from, course.window_until) == ("minute", 120, 720)
    assert write_diary(block, {30: 0, 60: 0, 120: 0, 180: 8}).verdict == "positive"


def test_a_test_is_told_without_the_words_of_a_treatment(world: World, client: Client) -> None:
    diary_profile(world)
    results = {
        "positive": {30: 0, 60: 0, 120: 0, 180: 8},
        "negative": {30: 8, 60: 8, 120: 8, 180: 8},
        "indeterminate": {30: 0, 60: 0},
    }
    made = {}
    for number, (verdict, scores) in enumerate(results.items(), 2):
        patient = world.another_patient(number)
        block = world.performed(intent="diagnostic", patient=patient, hour=8 + number).follow_up
        made[verdict] = over(write_diary(block, scores))
        assert block.verdict == verdict
    signed_in(world.physician, client)
    now = at(made["positive"], 6 * 1440)
    for verdict, block in made.items():
        said = words(client.get(f"/admin/outcomes/followup/{block.pk}/change/"))
        assert verdict in said.lower()
        course = call(world.physician, "GET", f"follow-ups/{block.pk}/", now=now).json()
        assert course["diary"]["outcome"] == course["verdict"] == verdict
        assert (course["relief_ended"], course["closed_reason"]) == (None, "diary_over")
        assert course["relief_window"]["unit"] == "minute"
        for text in (block.verdict_reason, course["verdict_reason"]):
            assert [word for word in OF_TREATMENTS if word in text.lower()] == []
    page = client.get(
        "/admin/outcomes/followup/reports/procedures/?procedure_type=rfa_facet&intent=diagnostic"
    )
    said = words(page).lower()
    assert page.status_code == 200
    for word in ("how long relief lasts", "lost early", "responders", "at least 50 % less pain"):
        assert word not in said
    assert "3 procedures were done as a test" in said


def test_a_report_of_only_tests_counts_results_and_nothing_of_treatments(world: World) -> None:
    diary_profile(world)
    for number, scores in enumerate(({30: 0, 60: 0, 120: 0}, {30: 8, 60: 8, 120: 8}, {30: 0}), 2):
        patient = world.another_patient(number)
        over(
            write_diary(
                world.performed(intent="diagnostic", patient=patient, hour=8 + number).follow_up, scores
            )
        )
    now = world.now + timedelta(days=20)
    report = procedure_report(Selection(procedure_type="rfa_facet"), user=world.admin, now=now)
    tests = report.tests
    assert (tests.tests, tests.positive, tests.negative, tests.indeterminate, tests.undecided) == (
        3,
        1,
        1,
        1,
        0,
    )
    assert (report.funnel.treated, report.funnel.in_curve, report.curves, report.points) == (0, 0, [], [])
    shown = call(world.admin, "GET", "reports/procedure/?procedure_type=rfa_facet", now=now).json()
    assert shown["tests"]["positive"] == 1
    world.performed(patient=world.another_patient(9), hour=14, intent="therapeutic")
    both = procedure_report(Selection(procedure_type="rfa_facet"), user=world.admin, now=now)
    assert (both.funnel.treated, both.tests.tests, both.unit, both.other_unit) == (1, 3, "day", 3)
