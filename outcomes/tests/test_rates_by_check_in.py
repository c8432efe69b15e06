"""Whom a rate at a check-in is about: everybody of that age, also who was treated again, each by name."""

from datetime import timedelta

import pytest

from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import CourseSummary, FollowUp
from outcomes.reports import Selection, procedure_report
from outcomes.reports.counts import ENDED, CheckInCounts
from outcomes.reports.drill_down import rows_behind
from outcomes.tests.factories import AFTER_ALL_COURSES, answered_course, treat_again
from procedures.tests.factories import World

EVERYBODY = Selection()


def point_at(world: World, day: int, selection: Selection = EVERYBODY) -> CheckInCounts:
    report = procedure_report(selection, user=world.physician, now=world.at(MONDAY, 9) + AFTER_ALL_COURSES)
    return next(point for point in report.points if point.at == day)


def shares(point: CheckInCounts) -> tuple[tuple[int, int], ...]:
    """Count and denominator of the complete, the worst and the best case of 50 % less pain."""
    rate = point.fifty
    return tuple((share.count, share.of) for share in (rate.complete, rate.worst, rate.best) if share)


def test_who_was_treated_again_stays_in_the_box(unmasked_world: World) -> None:
    """7 of 8 who answered were in relief, with a box of 54–92 %; of the 18 of that age 7 are known to be."""
    for place in range(13):
        answered_course(unmasked_world, {42: 2, 92: 2, 184: (8 if place == 7 else 2) if place < 8 else None})
    for _ in range(5):
        treat_again(unmasked_world, answered_course(unmasked_world, {42: 2, 92: 8}), after=113, pain=8)
    point = point_at(unmasked_world, 184)
    assert (point.fifty.due, point.fifty.asked, point.fifty.answered) == (18, 13, 8)
    assert point.groups == dict.fromkeys(ENDED, 0) | {"again_out_of_relief": 5}
    assert shares(point) == ((7, 8), (7, 18), (12, 18))


@pytest.mark.parametrize(
    ("scores", "pain", "group", "best"),
    [
        ({42: 2, 92: 2}, 8, "again_out_of_relief", 0),
        ({42: 2, 92: 2}, 2, "again_in_relief", 1),
        ({42: 2, 92: 2}, None, "again_not_asked", 1),
        ({42: 8, 92: 8}, None, "again_out_of_relief", 0),  # nobody asked, and there was no relief to lose
    ],
)
def test_only_the_treated_again(
    unmasked_world: World, scores: dict[int, int | None], pain: int | None, group: str, best: int
) -> None:
    """A report of one patient, who was treated again: no answer, no rate of them, and a box that says so."""
    first = answered_course(unmasked_world, scores)
    treat_again(unmasked_world, first, after=113, pain=pain)
    performed = first.procedure.performed_at.astimezone(unmasked_world.site.zone).date()
    selection = Selection(performed_from=performed, performed_until=performed)
    point = point_at(unmasked_world, 184, selection)
    assert (point.fifty.due, point.fifty.asked, point.fifty.answered) == (1, 0, 0)
    assert (point.fifty.complete, point.fifty.response) == (None, None)
    assert shares(point) == ((0, 1), (best, 1))
    assert point.groups == dict.fromkeys(ENDED, 0) | {group: 1}
    now = unmasked_world.at(MONDAY, 9) + AFTER_ALL_COURSES
    for name in ("again", group):
        assert list(rows_behind(selection, f"at:184:{name}", unmasked_world.physician, now=now)) == [first]


def test_before_the_day_of_a_check_in_nobody_is_due(unmasked_world: World) -> None:
    """By the calendar: its time is over two weeks after its day at the latest."""
    first = answered_course(unmasked_world, {42: 2, 92: 2})
    treat_again(unmasked_world, first, after=113, pain=8)
    day = first.procedure.performed_at.astimezone(unmasked_world.site.zone).date()
    selection = Selection(performed_from=day, performed_until=day)

    def days(after: int) -> set[int]:
        now = unmasked_world.at(day + timedelta(days=after), 12)
        report = procedure_report(selection, user=unmasked_world.physician, now=now)
        return {point.at for point in report.points}

    assert 184 not in days(197)
    assert 184 in days(198)


def test_other_ends_have_their_names(unmasked_world: World) -> None:
    left, dead = (
        answered_course(unmasked_world, {42: 2, 92: 2}),
        answered_course(unmasked_world, {42: 2, 92: 2}),
    )
    begun = {follow_up.pk: follow_up.procedure.performed_at for follow_up in (left, dead)}
    services.end_follow_up(
        left.pk,
        closed_reason="transferred",
        by=unmasked_world.physician,
        now=begun[left.pk] + timedelta(days=110),
    )
    gone = begun[dead.pk] + timedelta(days=112)
    FollowUp.objects.filter(pk=dead.pk).update(closed_at=gone, closed_reason="died")
    point = point_at(unmasked_world, 184)
    assert point.groups == dict.fromkeys(ENDED, 0) | {"transferred": 1, "died": 1}
    assert shares(point) == ((0, 2), (2, 2))


def test_what_was_never_asked_is_silent(unmasked_world: World) -> None:
    """A check-in that was left out because a newer one was due is in no list of answers, and its day has come."""
    first = answered_course(unmasked_world, {42: 2, 92: 2, 184: 2})
    check_in = first.check_ins.get(offset_minutes=92 * 1440)
    check_in.answer.measurements.all().delete()
    check_in.answer.delete()
    check_in.status = "superseded"
    check_in.save()
    services.update_verdict(first.pk, now=unmasked_world.now)
    assert 92 not in CourseSummary.objects.get(pk=first.pk).days
    point = point_at(unmasked_world, 92)
    assert (point.fifty.due, point.fifty.asked, point.fifty.answered) == (1, 1, 0)


def test_a_report_of_only_tests(unmasked_world: World) -> None:
    unmasked_world.ablation.purpose = "diagnostic_and_therapeutic"
    unmasked_world.ablation.save()
    unmasked_world.performed(intent="diagnostic")
    report = procedure_report(
        Selection(intent="diagnostic"),
        user=unmasked_world.physician,
        now=unmasked_world.at(MONDAY, 9) + AFTER_ALL_COURSES,
    )
    assert (report.procedures, report.tests.tests, report.funnel.treated) == (1, 1, 0)
    assert (list(report.points), list(report.curves)) == ([], [])


def test_losing_early_and_open_are_no_tests_of_last_year(unmasked_world: World) -> None:
    """The call that the documentation gives. A test that was never closed, and was judged as a treatment."""
    lost = answered_course(unmasked_world, {42: 2, 92: 8, 184: 8})
    unmasked_world.ablation.purpose = "diagnostic_and_therapeutic"
    unmasked_world.ablation.save()
    test = unmasked_world.performed(intent="diagnostic").follow_up
    FollowUp.objects.filter(pk=test.pk).update(verdict="lost_early")
    rows = call(
        unmasked_world.nurse, "GET", "follow-ups/?verdict=lost_early&open=true", now=unmasked_world.now
    ).json()
    assert [row["id"] for row in rows["results"]] == [lost.pk]
