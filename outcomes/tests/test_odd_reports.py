"""Reports of hardly anybody: of one patient, of nobody but those who were treated again, of nobody but tests. The page,
the API and the exports say the same of them, and nothing that cannot be known."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.tests.admin_client import clock, signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import CourseSummary, FollowUp
from outcomes.reports import Selection, compare_groups, procedure_report
from outcomes.tests.factories import AFTER_ALL_COURSES, answered_course, treat_again
from procedures.tests.factories import World, another_type

PAGE = "/admin/outcomes/followup/reports/procedures/"


def one_patient(world: World) -> FollowUp:
    return answered_course(world, {42: 2, 92: 2, 184: 8, 275: 8})


def only_the_treated_again(world: World) -> FollowUp:
    first = answered_course(world, {42: 2, 92: 2})
    treat_again(world, first, after=113, pain=8)
    return first


def only_tests(world: World) -> FollowUp:
    world.ablation.purpose = "diagnostic_and_therapeutic"
    world.ablation.save()
    return world.performed(intent="diagnostic").follow_up


@pytest.mark.parametrize("smallest", [1, 5])
@pytest.mark.parametrize("who", [one_patient, only_the_treated_again, only_tests])
def test_page_api_and_exports_of_hardly_anybody(
    world: World, client: Client, who: Any, smallest: int
) -> None:
    world.site.smallest_cell = smallest
    world.site.save()
    follow_up = who(world)
    day = follow_up.procedure.performed_at.astimezone(world.site.zone).date()
    asked = {"performed_from": f"{day}", "performed_until": f"{day}"}
    selection, now = (
        Selection(performed_from=day, performed_until=day),
        world.at(MONDAY, 9) + AFTER_ALL_COURSES,
    )

    report = procedure_report(selection, user=world.physician, now=now)
    assert (report.funnel.treated, report.tests.tests) == ((0, 1) if who is only_tests else (1, 0))
    assert all(curve.hidden == (smallest > 1) for curve in report.curves)
    for point in report.points:
        assert point.fifty.due >= point.fifty.asked >= point.fifty.answered
        assert point.fifty.hidden == (0 < point.fifty.answered < smallest)

    with clock(now):
        page = signed_in(world.physician, client).get(PAGE, asked)
    assert page.status_code == 200
    assert page.context["report"].funnel == report.funnel
    assert page.context["report"].curves == report.curves
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    body = call(world.nurse, "GET", f"reports/procedure/?{query}", now=now).json()
    assert body["funnel"] == vars(report.funnel)
    assert [(point["at"], point["fifty"]["due"], point["groups"]) for point in body["points"]] == [
        (point.at, point.fifty.due, point.groups) for point in report.points
    ]
    for kind_of_table in ("follow_ups", "check_ins"):
        export = services.request_export(
            kind_of_table, selection, deidentified=False, by=world.physician, now=now
        )
        data = b"".join(services.download(export, by=world.physician, now=now)).decode()
        rows = list(csv.DictReader(io.StringIO(data[1:])))
        assert {row["follow_up"] for row in rows} == {str(follow_up.pk)}


def test_confounded_after_a_known_loss_stays_with_its_loss(world: World) -> None:
    """Another treatment of the region came after relief was lost, and nobody asked for the pain before it."""
    world.site.smallest_cell = 1
    world.site.save()
    injection = another_type(world, "esi_interlaminar", family="epidural_steroid_injection")
    lost, unknown = answered_course(world, {42: 2, 92: 8, 184: 8}), answered_course(world, {14: 2})
    for follow_up in (lost, unknown):
        day = follow_up.procedure.performed_at.astimezone(world.site.zone).date() + timedelta(days=211)
        other = world.performed(procedure_type=injection, patient=follow_up.patient, day=day, baseline=None)
        CourseSummary.objects.filter(pk=other.follow_up.pk).update(voided=True)
    kept = CourseSummary.objects.get(pk=lost.pk)
    assert (kept.lost_after, kept.lost_until, kept.verdict) == (42, 92, "lost_early")
    assert CourseSummary.objects.get(pk=unknown.pk).verdict == "confounded"
    now = world.at(MONDAY + timedelta(days=700), 9)
    report = procedure_report(Selection(), user=world.physician, now=now)
    point = next(point for point in report.points if point.at == 275)
    assert (point.fifty.due, point.fifty.asked) == (1, 0)
    assert {name: number for name, number in point.groups.items() if number} == {"again_out_of_relief": 1}
    assert (report.funnel.confounded, report.funnel.evaluable, report.curves[0].total) == (1, 1, 1)
    assert report.curves[0].window
    assert report.curves[0].window[0]
    assert report.curves[0].window[0].known_out == 1


def test_a_group_of_one_and_a_group_of_nobody_are_not_compared(world: World) -> None:
    world.site.smallest_cell = 1
    world.site.save()
    day = one_patient(world).procedure.performed_at.astimezone(world.site.zone).date()
    found = compare_groups(
        Selection(performed_from=day, performed_until=day),
        Selection(performed_from=day + timedelta(days=400), performed_until=day + timedelta(days=401)),
        names=("one", "nobody"),
        user=world.physician,
        now=world.now,
    )
    assert (found.why_not, found.tests) == ("nothing_known", ())


def test_nothing_is_told_after_the_last_planned_check_in(world: World, client: Client) -> None:
    """On the page, by API, in the runs and in a comparison: END lies after it, as in a plan of before."""
    world.site.smallest_cell = 1
    world.site.save()
    short = world.ablation.relief_profiles.get()
    short.pk, short.version, short.in_force_from = None, 2, world.now - timedelta(days=1)
    short.check_in_days = [1, 7, 14, 42, 92, 184]
    short.save()
    for number in range(6):
        treat_again(world, answered_course(world, {42: 2, 92: 2, 184: 2}), after=211 + 7 * number, pain=8)
    now = world.at(MONDAY + timedelta(days=900), 9)
    report = procedure_report(Selection(), user=world.physician, now=now)
    for curve in report.curves:
        assert (curve.told_until, curve.places[-1].at, curve.half_lost) == (184, 184, None)
        assert curve.window
        assert (curve.window[0] and curve.window[0].low, curve.window[1]) == (1, None)
        assert all(piece.ends is not None and piece.ends <= 184 for piece in curve.pieces)
        assert [run.at_window and run.at_window[1] for run in curve.runs] == [None] * len(curve.runs)
        assert (curve.places[-1].known_in, curve.places[-1].known_out) == (6, 0)
    body = call(world.nurse, "GET", "reports/procedure/", now=now).json()
    for curve in body["curves"]:
        assert (curve["told_until"], curve["window_first"]["low"], curve["window_last"]) == (184, 1, None)
        assert {run["window_last"] and 1 for run in curve["runs"]} == {None}
    with clock(now):
        page = signed_in(world.physician, client).get(PAGE, {"intent": ""})
    assert page.status_code == 200
    assert page.context["report"].curves == report.curves
