"""The reports by API: the numbers of the reports, strict questions, and a trail of who looked."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Site, User
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from outcomes.api.reports.procedure import RUNS
from outcomes.models import AdverseEvent, CheckIn, CourseSummary, FollowUp
from outcomes.reports import Selection, compare_groups, procedure_report
from outcomes.reports.curves import OTHERS
from outcomes.tests import test_reports
from outcomes.tests.factories import answered_course, two_groups
from procedures.tests.factories import World

REPORTS = ("overview", "procedure", "response")


def queries(user: User, path: str, world: World) -> int:
    """How many queries the answer takes."""
    with CaptureQueriesContext(connection) as captured:
        assert call(user, "GET", path, now=world.now).status_code == 200
    return len(captured)


def test_the_procedure_report_has_the_numbers_of_the_report(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
    answered_course(unmasked_world, {42: 7, 92: 8, 184: None})
    answered_course(unmasked_world, {42: 2}, baseline=None)
    body = call(
        unmasked_world.nurse, "GET", "reports/procedure/?procedure_type=rfa_facet", now=unmasked_world.now
    ).json()
    report = procedure_report(
        Selection(procedure_type="rfa_facet"), user=unmasked_world.nurse, now=unmasked_world.now
    )
    assert body["funnel"] == vars(report.funnel)
    assert body["verdicts"] == report.verdicts
    assert body["selection"] == vars(report.selection)
    assert body["window"] == {"earliest": 180, "latest": 365, "confirmed": False}
    at = {point["at"]: point for point in body["points"]}
    assert at[184]["fifty"]["worst"]["value"] == 0.5
    assert at[184]["fifty"]["best"]["value"] == 1
    assert (at[184]["pain"], at[184]["pain_before"], at[184]["channels"]["email"]) == (4, 8, 1)
    treated, responders = body["curves"]
    assert treated["population"] == "all_treated"
    for curve, counted in zip(body["curves"], report.curves, strict=True):
        assert curve["half_lost"] == (counted.half_lost and vars(counted.half_lost))
    assert responders["window_first"]["low"] == 1
    assert responders["window_last"]["high"] == 0


def rates_in(tree: Any, way: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of an answer, with the way to it."""
    if isinstance(tree, dict):
        yield way, tree
        for name, below in tree.items():
            yield from rates_in(below, f"{way}.{name}")
    elif isinstance(tree, list):
        for below in tree:
            yield from rates_in(below, f"{way}[]")


#: Shares that hang on no answer: of all that were treated, could be counted or were resolved. Theirs say of how many.
NO_QUESTION = {
    "any": "follow_ups",
    "serious": "follow_ups",
    "halved": "took",
    "stopped": "took",
    "acted_on": "site",
    "share": "count",  # of procedures with harm
}


@pytest.mark.parametrize(
    "path", ["overview/", "procedure/", "response/", "comparison/?dimension=performer&one={}&other={}"]
)
def test_no_rate_stands_without_who_answered(unmasked_world: World, path: str) -> None:
    """Wherever the API tells a share, beside it stands of how many, and how many of those who were due answered."""
    first, other = two_groups(unmasked_world, 3)
    answered_course(unmasked_world, {42: 3, 92: None})
    now = CheckIn.objects.filter(status="answered").latest("due_at").due_at + timedelta(days=1)
    body = call(
        unmasked_world.nurse, "GET", "reports/" + path.format(first.performer, other.performer), now=now
    ).json()
    found = 0
    for way, one_of in rates_in(body):
        shares = {name for name, value in one_of.items() if isinstance(value, dict) and "value" in value}
        for name in shares:
            assert set(one_of[name]) == {"count", "of", "value", "low", "high"}, (way, name)
        if "value" in one_of or not (shares or "places" in one_of):
            continue
        found += 1
        for name in shares - {"response"} & set(NO_QUESTION):
            assert NO_QUESTION[name] in one_of, (way, name)
        if shares - set(NO_QUESTION) - {"response"}:
            assert {"treated", "due", "answered", "response"} <= set(one_of), way
            assert one_of["response"]["of"] == one_of.get("asked", one_of["due"]), way
        if "places" in one_of:
            assert one_of["response"]["of"] > 0, way
            assert all({"known_in", "known_out"} <= set(at) for at in one_of["places"]), way
        if "pain" in one_of:
            assert one_of["fifty"]["response"], way
    assert found >= 1


def test_harm_and_opioids_are_told_as_on_the_page(unmasked_world: World) -> None:
    harmed = answered_course(unmasked_world, {42: 3})
    AdverseEvent.objects.create(
        follow_up=harmed,
        term="infection",
        onset_on=harmed.procedure.performed_at.date(),
        severity="severe",
        serious=True,
        outcome="resolved",
        relation="possible",
        recorded_at=unmasked_world.now + timedelta(days=900),
    )
    body = call(unmasked_world.nurse, "GET", "reports/procedure/", now=unmasked_world.now).json()
    line = {"term": "infection", "mild": 0, "moderate": 0, "severe": 1, "serious": 1, "follow_ups": 1}
    assert (body["adverse"]["lines"], body["adverse"]["related"]) == ([line], 1)
    assert (body["adverse"]["any"]["count"], body["adverse"]["follow_ups"]) == (1, 1)
    assert body["mme"] == {name: 0 if name in ("took", "countable") else None for name in body["mme"]}


def test_hidden_numbers_are_hidden_here_too(world: World) -> None:
    answered_course(world, {42: 3})
    body = call(world.nurse, "GET", "reports/procedure/", now=world.now).json()
    point = next(point for point in body["points"] if point["at"] == 42)
    assert (point["fifty"]["hidden"], point["fifty"]["count"], point["pain"]) == (True, None, None)
    assert all(curve["hidden"] and curve["half_lost"] is None for curve in body["curves"])


def test_who_answers(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 3, 92: 2})
    answered_course(unmasked_world, {42: 3, 92: None})
    body = call(unmasked_world.nurse, "GET", "reports/response/", now=unmasked_world.now)
    days = {line["label"]: line for line in body.json()["days"]}
    assert (days["day 92"]["due"], days["day 92"]["answered"]) == (2, 1)
    assert days["day 92"]["response"]["value"] == 0.5
    assert [line["label"] for line in body.json()["languages"]] == ["en"]


def test_an_overview_of_ones_own_sites(world: World) -> None:
    elsewhere = Site.objects.create(name="Hill", time_zone="America/New_York", phone="+1 212 555 0101")
    stranger = staff("stranger@example.org", roles.MANAGER, elsewhere)
    body = call(stranger, "GET", "reports/overview/", now=world.now).json()
    assert [line["site"]["name"] for line in body["sites"]] == ["Hill"]
    assert body["sites"][0]["response"] is None


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("procedure_type=leeches", ("procedure_type", "unknown_procedure_type")),
        ("intent=curious", ("intent", "invalid_choice")),
        ("performer=1000000", ("performer", "unknown_performer")),
        ("site=1000000", ("site", "unknown_site")),
        ("site=0", ("site", "min_value")),
        ("performed_from=2027-02-30", ("performed_from", "invalid")),
        ("performed_from=2027-02-02&performed_until=2027-02-01", ("performed_until", "empty_period")),
        ("performed_from=1027-02-02", ("performed_from", "out_of_range")),
        ("grouping=colour", ("grouping", "unknown_field")),
    ],
)
@pytest.mark.parametrize("report", ["procedure", "response"])
def test_what_cannot_be_meant_is_refused_by_field(
    world: World, report: str, query: str, fault: tuple[str, str]
) -> None:
    response = call(world.physician, "GET", f"reports/{report}/?{query}", now=world.now)
    assert response.status_code == 400
    assert faults(response) == [fault]
    assert not AuditEvent.objects.filter(action="report.viewed").exists()


@pytest.mark.parametrize("path", [*(f"{name}/" for name in REPORTS), "worklists/silent/"])
def test_that_somebody_looked_is_written_down(world: World, path: str) -> None:
    response = call(world.physician, "GET", f"reports/{path}", now=world.now)
    assert response["Cache-Control"] == "no-store"
    event = AuditEvent.objects.get(action="report.viewed")
    assert (event.by, event.reason) == (world.physician, path.strip("/").removeprefix("worklists/"))


def test_reports_take_as_many_queries_however_much_there_is(unmasked_world: World) -> None:
    paths = [*(f"reports/{name}/" for name in REPORTS), "reports/worklists/losing_early/"]
    counts = []
    for _ in range(2):
        answered_course(unmasked_world, {42: 2, 92: 7, 184: 8})
        counts.append([queries(unmasked_world.physician, path, unmasked_world) for path in paths])
    assert counts[0] == counts[1]


def worklist(world: World, code: str, query: str = "") -> list[dict[str, object]]:
    response = call(world.nurse, "GET", f"reports/worklists/{code}/{query}", now=world.now)
    assert response.status_code == 200
    rows: list[dict[str, object]] = response.json()["results"]
    return rows


def test_who_loses_relief_soonest_stands_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_reports, "numbers", count(2))  # one after the other, whatever was tested before
    later = answered_course(world, {42: 2, 92: 2, 184: 8, 275: 8})
    sooner = answered_course(world, {42: 2, 92: 7, 184: 8})
    doubtful = answered_course(world, {42: 2, 92: 2, 184: 8})
    rows = worklist(world, "losing_early")
    assert [(row["id"], row["verdict"], row["confirmed"]) for row in rows] == [
        (sooner.pk, "lost_early", True),
        (later.pk, "possibly_early", True),
        (doubtful.pk, "lost_unconfirmed", False),
    ]
    assert [row["lost_percent"] for row in rows] == [51, 102, 102]
    assert (rows[0]["lost_percent"], rows[0]["ended"]) == (
        51,
        {
            "unit": "day",
            "after": 42,
            "until": 92,
            "responded": True,
            "suspected_until": None,
            "loss_kind": "lost_early",
            "ended_by": 92,
        },
    )
    assert "phone" in rows[0]["patient"]  # type: ignore[operator]


def test_pages_of_a_worklist_hold_everybody_once(world: World) -> None:
    made = [answered_course(world, {42: 2, 92: 7, 184: 8}).pk for _ in range(3)]
    first = call(world.nurse, "GET", "reports/worklists/losing_early/?page_size=2", now=world.now).json()
    rest = call(world.nurse, "GET", first["next"].partition("/api/v1/")[2], now=world.now).json()
    assert sorted(row["id"] for row in first["results"] + rest["results"]) == sorted(made)
    assert rest["next"] is None


def test_who_never_answered_stands_before_who_fell_silent(world: World) -> None:
    fell = answered_course(world, {42: 2, 92: None, 184: None, 275: None})
    never = answered_course(world, {42: None, 92: None, 184: None})
    rows = worklist(world, "silent")
    assert [(row["id"], row["last_answer"]) for row in rows] == [(never.pk, None), (fell.pk, 42)]
    assert worklist(world, "silent", "?procedure_type=esi_caudal") == []


def test_no_relief_and_due_for_repeat(world: World) -> None:
    none = answered_course(world, {42: 7, 92: 8})
    over = answered_course(world, {42: 2, 92: 2, 184: 2, 275: 7, 366: 8})
    assert [row["id"] for row in worklist(world, "no_relief")] == [none.pk]
    (row,) = worklist(world, "due_for_repeat")
    assert (row["id"], row["ended"]["until"]) == (over.pk, 275)  # type: ignore[index]


def test_a_worklist_that_does_not_exist_is_not_found(world: World) -> None:
    response = call(world.nurse, "GET", "reports/worklists/leeches/", now=world.now)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_every_other_assumption_has_a_name_that_the_api_knows(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 2, 92: 2, 184: 7})  # suspected, confirmed by nothing
    repeated = answered_course(unmasked_world, {42: 2, 92: 2})
    CourseSummary.objects.filter(pk=repeated.pk).update(repeated_at=120)
    body = call(unmasked_world.nurse, "GET", "reports/procedure/", now=unmasked_world.now).json()
    assert [run["name"] for run in body["curves"][0]["runs"]] == list(OTHERS)
    assert [name for name, _ in RUNS] == list(OTHERS)


def test_two_groups_have_the_numbers_of_the_comparison(unmasked_world: World) -> None:
    first, other = two_groups(unmasked_world, 3)
    path = f"reports/comparison/?dimension=performer&one={first.performer}&other={other.performer}"
    body = call(unmasked_world.nurse, "GET", path, now=unmasked_world.now).json()
    names = (str(first.performer), str(other.performer))
    report = compare_groups(first, other, names=names, user=unmasked_world.nurse, now=unmasked_world.now)
    assert (body["dimension"], body["why_not"], len(body["tests"])) == ("performer", "", 3)
    assert [test["p_permuted"] for test in body["tests"]] == [test.p_permuted for test in report.tests]
    assert [group["name"] for group in body["groups"]] == [group.name for group in report.groups]
    assert [group["report"]["funnel"] for group in body["groups"]] == [
        vars(group.report.funnel) for group in report.groups
    ]
    event = AuditEvent.objects.get(action="report.viewed")
    assert (event.by, event.reason) == (unmasked_world.nurse, "comparison")


def test_two_periods_are_compared(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 2, 92: 7, 184: 8})
    path = "reports/comparison/?dimension=period&one=/2026-12-31&other=2027-01-01/"
    body = call(unmasked_world.nurse, "GET", path, now=unmasked_world.now).json()
    assert [group["report"]["funnel"]["treated"] for group in body["groups"]] == [0, 1]
    assert (body["tests"], body["why_not"]) == ([], "nothing_known")


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("dimension=colour&one=red&other=blue", ("dimension", "invalid_choice")),
        ("dimension=site&one=Riverside&other=2", ("one", "invalid")),
        ("dimension=performer&one=1&other=99999999999999999999", ("other", "invalid")),
        ("dimension=period&one=2026&other=2027", ("one", "invalid")),
        ("dimension=intent&one=trial&other=trial", ("dimension", "same_group")),
        ("dimension=indication&one=M47&other=M47.816", ("indication", "groups_overlap")),
        ("dimension=intent&intent=trial&one=trial&other=implant", ("intent", "not_open")),
        ("dimension=intent&one=trial", ("other", "required")),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(world: World, query: str, fault: tuple[str, str]) -> None:
    response = call(world.physician, "GET", f"reports/comparison/?{query}", now=world.now)
    assert response.status_code == 400
    assert faults(response) == [fault]
    assert not AuditEvent.objects.filter(action="report.viewed").exists()


def test_a_patients_whole_course(unmasked_world: World) -> None:
    follow_up = answered_course(unmasked_world, {42: 2, 92: 7, 184: 8})
    patient = follow_up.patient
    body = call(unmasked_world.nurse, "GET", f"patients/{patient.pk}/course/", now=unmasked_world.now)
    assert body["Cache-Control"] == "no-store"
    (shown,) = body.json()["follow_ups"]
    assert (shown["id"], shown["verdict"]) == (follow_up.pk, follow_up.verdict)
    assert shown["verdict_reason"] == follow_up.verdict_reason != ""
    assert (shown["relief_ended"]["after"], shown["relief_ended"]["until"]) == (42, 92)
    assert body.json()["opioids_today"]["counted"] == 0
    assert (
        AuditEvent.objects.filter(
            action="patient.read", object_id=patient.pk, by=unmasked_world.nurse
        ).count()
        == 1
    )


def test_a_patient_of_another_site_has_no_course(world: World) -> None:
    elsewhere = Site.objects.create(name="Hill", time_zone="America/New_York", phone="+1 212 555 0101")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, elsewhere)
    response = call(stranger, "GET", f"patients/{world.patient.pk}/course/", now=world.now)
    assert response.status_code == 404
    assert not AuditEvent.objects.filter(action="patient.read").exists()


def test_a_whole_course_takes_as_many_queries_however_long_it_is(unmasked_world: World) -> None:
    first = answered_course(unmasked_world, {42: 2, 92: 7, 184: 8})
    path = f"patients/{first.patient_id}/course/"
    counts = []
    for _ in range(2):
        counts.append(queries(unmasked_world.nurse, path, unmasked_world))
        more = answered_course(unmasked_world, {42: 2, 92: 7, 184: 8})
        FollowUp.objects.filter(pk=more.pk).update(patient=first.patient_id)
    counts.append(queries(unmasked_world.nurse, path, unmasked_world))
    assert len(set(counts)) == 1
