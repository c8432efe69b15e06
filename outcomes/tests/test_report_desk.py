"""Reports and worklists at the front desk: who may see them, what they say, and the rows behind their numbers."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.desk import queries, signed_in, words
from conftest import World, staff
from outcomes.models import CourseSummary, FollowUp, VerdictChange
from outcomes.relief import Verdict
from outcomes.reports import WORKLISTS, Selection, overview_report, procedure_report
from outcomes.reports.counting import AT, WHOLE
from outcomes.reports.drilling import rows_behind
from outcomes.tests.test_reports import course

HILL = {"name": "Hill", "phone": "1", "time_zone": "America/New_York"}
ROOT = "/admin/outcomes/followup/"
REPORTS = ("reports/clinic/", "reports/procedures/", "reports/compare/", "reports/response/")


@pytest.fixture
def told(world: World) -> World:
    """A few courses at a site that shows a rate of a single answer."""
    world.site.smallest_cell = 1
    world.site.save()
    course(world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
    course(world, {42: 7, 92: 8, 184: None})
    course(world, {42: 2, 92: 7, 184: 8})
    course(world, {42: 2, 92: 2}, baseline=None)
    return world


def test_every_number_of_a_report_is_the_number_of_rows_behind_it(told: World) -> None:
    selection = Selection(procedure_type="rfa_facet")
    report = procedure_report(selection, user=told.physician, now=told.now)

    def behind(cell: str) -> int:
        return rows_behind(selection, cell, told.physician, now=told.now).count()

    funnel = vars(report.funnel)
    assert {name: behind(name) for name in funnel} == funnel
    assert {name: behind(f"verdict:{name}") for name in report.verdicts} == report.verdicts
    assert behind("responders") == report.curves[1].total
    for point in report.points:
        cell = f"at:{point.at}"
        for name in ("thirty", "fifty", "success", "two_points", "improved"):
            assert behind(f"{cell}:{name}") == getattr(point, name).count, (cell, name)
        assert behind(f"{cell}:due") == point.fifty.due
        assert behind(f"{cell}:answered") == point.fifty.answered
        assert behind(f"{cell}:silent") == point.fifty.due - point.fifty.answered
        assert behind(f"{cell}:told") == point.improved.answered
        assert behind(f"{cell}:peg") == point.peg_known


def test_the_overview_counts_a_verdict_once_and_the_rows_behind_it_are_those(told: World) -> None:
    """Found without relief, then lost early after a correction: it stands under what it shows now."""
    (site,) = overview_report(user=told.physician, now=told.now).sites
    for name in ("lost_early", "no_relief"):
        rows = rows_behind(Selection(site=told.site.pk), f"month:{name}", told.physician, now=told.now)
        assert {one.verdict for one in rows} == {name}
        assert rows.count() == getattr(site, name)
    follow_up = FollowUp.objects.get(verdict="no_relief")
    VerdictChange.objects.create(follow_up=follow_up, at=told.now, verdict="lost_early", reason="corrected")
    FollowUp.objects.filter(pk=follow_up.pk).update(verdict="lost_early")
    (after,) = overview_report(user=told.physician, now=told.now).sites
    assert (after.lost_early, after.no_relief) == (site.lost_early + 1, site.no_relief - 1)
    (later,) = overview_report(user=told.physician, now=told.now + timedelta(days=1500)).sites
    assert (later.lost_early, later.no_relief) == (0, 0)


@pytest.mark.parametrize(
    "cell",
    ["", "nobody", "at:92", "at:92:everything", "at:-1:due", "verdict:guilty", "satisfied:9", "adverse:'"],
)
def test_an_unknown_number_is_refused(told: World, client: Client, cell: str) -> None:
    with pytest.raises(Refusal) as refused:
        rows_behind(Selection(), cell, told.physician, now=told.now)
    assert (refused.value.code, refused.value.field) == ("unknown_cell", "cell")
    page = signed_in(told.physician, client).get(ROOT, {"cell": cell})
    assert page.status_code == 200
    assert "No report has such a number." in words(page)


@pytest.mark.parametrize("cell", [*WHOLE, *(f"at:92:{name}" for name in AT), "adverse:any", "satisfied:5"])
def test_each_cell_can_be_opened_and_shows_nobody_of_another_site(
    told: World, client: Client, cell: str
) -> None:
    page = signed_in(told.physician, client).get(ROOT, {"cell": cell, "procedure_type": "rfa_facet"})
    assert page.status_code == 200
    assert (
        page.context["cl"].result_count
        == rows_behind(Selection(), cell, told.physician, now=told.now).count()
    )
    assert "Follow-ups " in page.context["behind"]
    stranger = staff("stranger@example.org", "Physician", type(told.site).objects.create(**HILL))
    assert not rows_behind(Selection(), cell, stranger, now=told.now).exists()


def test_the_links_of_a_report_lead_to_as_many_rows_as_they_say(told: World, client: Client) -> None:
    desk = signed_in(told.physician, client)
    html = desk.get(f"{ROOT}reports/procedures/?procedure_type=rfa_facet").content.decode()
    links = re.findall(r'href="(/admin/outcomes/followup/\?[^"]*cell=[^"]*)">(\d+)<', html)
    assert len(links) > 20
    for address, number in {(unescape(address), number) for address, number in links}:
        assert desk.get(address).context["cl"].result_count == int(number), address


def test_a_report_says_what_it_counts_with_its_response_and_what_is_unconfirmed(
    told: World, client: Client
) -> None:
    page = signed_in(told.physician, client).get(f"{ROOT}reports/procedures/?procedure_type=rfa_facet")
    said, html = words(page), page.content.decode()
    for part in (
        "Treated 4",
        "left out: no pain score above 0 before the procedure",
        "unconfirmed",
        "All treated",
        "Responders only",
        "not known",
        "That is no proof of no harm.",
    ):
        assert part in said or part in html, part
    assert html.count("<svg") >= html.count("<figure")
    assert html.count("<desc") >= 4
    viewed = AuditEvent.objects.get(action="report.viewed")
    assert (viewed.reason, viewed.by) == ("procedure", told.physician)


def test_small_cells_are_hidden_on_the_page(told: World, client: Client) -> None:
    told.site.smallest_cell = 5
    told.site.save()
    said = words(signed_in(told.physician, client).get(f"{ROOT}reports/procedures/?procedure_type=rfa_facet"))
    assert "Fewer than 5 follow-ups: hidden." in said
    assert "hidden" in said.split("day 92", 1)[1]
    assert "Fewer than 5" in said


@pytest.mark.parametrize("address", REPORTS)
def test_reports_open_for_some_roles_and_with_nothing_to_show(
    world: World, client: Client, address: str
) -> None:
    for user, status in ((world.clerk, 403), (world.nurse, 200), (world.physician, 200), (world.admin, 200)):
        assert signed_in(user, client).get(ROOT + address).status_code == status
    assert signed_in(world.physician, client).get(f"{ROOT}{address}?intent=").status_code in (200, 422)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"procedure_type": "leeches"}, "procedure_type"),
        ({"site": "999"}, "site"),
        ({"performed_from": "2026-02-02", "performed_until": "2026-02-01"}, "performed_until"),
        ({"performed_from": "1026-02-02"}, "performed_from"),
        ({"performed_from": "soon"}, "performed_from"),
    ],
)
def test_a_refusal_stands_at_its_field_and_the_input_is_kept(
    told: World, client: Client, query: dict[str, str], field: str
) -> None:
    for page in ("reports/procedures/", "reports/response/"):
        shown = signed_in(told.physician, client).get(ROOT + page, {"indication": "M54", **query})
        assert shown.status_code == 422
        assert list(shown.context["form"].errors) == [field]
        assert 'value="M54"' in shown.content.decode()


def compared(client: Client, **query: Any) -> Any:
    return client.get(f"{ROOT}reports/compare/", {"dimension": "period", **query})


PERIODS = {
    "one_from": "2026-01-01",
    "one_until": "2027-03-01",
    "other_from": "2027-03-02",
    "other_until": "2028-01-01",
}


def test_two_groups_are_compared_in_words_with_a_warning(told: World, client: Client) -> None:
    desk = signed_in(told.physician, client)
    assert "First group, from" in words(compared(desk))
    page = compared(desk, **PERIODS)
    said = words(page)
    assert "These patients were not assigned by lot." in said
    assert page.status_code == 200
    overlapping = compared(desk, **{**PERIODS, "other_from": "2027-01-01"})
    assert overlapping.status_code == 422
    assert "A follow-up could be in both groups." in words(overlapping)
    assert compared(desk, one_from="2026-01-01").status_code == 422


def test_worklists_fill_and_are_empty_for_others(told: World, client: Client) -> None:
    early = CourseSummary.objects.get(verdict=Verdict.LOST_EARLY).follow_up
    clerk = signed_in(told.clerk, client)
    page = clerk.get(f"{ROOT}worklists/?list=losing_early")
    assert early.verdict_reason in words(page)
    assert str(early.patient) in unescape(words(page))
    assert "Nobody has fallen silent." in words(clerk.get(f"{ROOT}worklists/?list=silent"))
    repeat = words(clerk.get(f"{ROOT}worklists/?list=due_for_repeat"))
    assert "Book" in repeat
    elsewhere = staff("x@example.org", "Nurse", type(told.site).objects.create(**HILL))
    assert "Nobody is losing relief early." in words(signed_in(elsewhere, client).get(f"{ROOT}worklists/"))


@pytest.mark.parametrize(
    "address",
    [
        *(f"worklists/?list={code}" for code in WORKLISTS),
        "reports/procedures/?procedure_type=rfa_facet",
        "reports/clinic/",
        "reports/response/",
        "?cell=treated",
    ],
)
def test_the_number_of_queries_stays_the_same(told: World, client: Client, address: str) -> None:
    desk = signed_in(told.physician, client)
    before = queries(lambda: desk.get(ROOT + address))
    for _ in range(2):
        course(told, {42: 2, 92: 7, 184: 8})
        course(told, {42: 7, 92: 8})
        course(told, {42: 2, 92: 2, 184: 2, 275: 8, 366: 8})
    assert queries(lambda: desk.get(ROOT + address)) == before
