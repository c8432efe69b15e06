"""Reports and worklists at the front desk: who may see them, what they say, and the rows behind their numbers."""

import re
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from clinic.models import AuditEvent, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, queries, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.models import AdverseEvent, Alert, Answer, CourseSummary, FollowUp, VerdictChange
from outcomes.questions import CHANGE, PEG
from outcomes.relief import Verdict
from outcomes.reports import WORKLISTS, Selection, overview_report, procedure_report
from outcomes.reports.cell_words import WORDS
from outcomes.reports.counts import AT, WHOLE
from outcomes.reports.drill_down import CELLS, rows_behind
from outcomes.reports.overview import MONTH
from outcomes.services.courses import SATISFIED
from outcomes.tests.factories import answered_course
from patients.models import OpioidUse, Patient
from procedures import services as procedures
from procedures.models import ReliefProfile
from procedures.tests.factories import World

HILL = {"name": "Hill", "phone": "1", "time_zone": "America/New_York"}
ROOT = "/admin/outcomes/followup/"
REPORTS = ("reports/clinic/", "reports/procedures/", "reports/compare/", "reports/response/")


@pytest.fixture
def told(world: World) -> World:
    """A few courses at a site that shows a rate of a single answer."""
    world.site.smallest_cell = 1
    world.site.save()
    answered_course(world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
    answered_course(world, {42: 7, 92: 8, 184: None})
    answered_course(world, {42: 2, 92: 7, 184: 8})
    answered_course(world, {42: 2, 92: 2}, baseline=None)
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
        assert behind(f"{cell}:silent") == point.fifty.asked - point.fifty.answered
        assert {name: behind(f"{cell}:{name}") for name in point.groups} == point.groups
        assert behind(f"{cell}:told") == point.improved.answered
        assert behind(f"{cell}:peg") == point.peg_known


def test_the_overview_counts_a_verdict_once_and_the_rows_behind_it_are_those(told: World) -> None:
    """Found without relief, then lost early after a correction: it stands under what it shows now."""
    (site,) = overview_report(user=told.physician, now=told.now).sites
    for name, verdicts in MONTH.items():
        rows = rows_behind(Selection(site=told.site.pk), f"month:{name}", told.physician, now=told.now)
        assert {follow_up.verdict for follow_up in rows} <= set(verdicts)
        assert rows.count() == getattr(site, name)
    follow_up = FollowUp.objects.get(verdict="no_relief")
    VerdictChange.objects.create(follow_up=follow_up, at=told.now, verdict="lost_early", reason="corrected")
    FollowUp.objects.filter(pk=follow_up.pk).update(verdict="lost_early")
    (after,) = overview_report(user=told.physician, now=told.now).sites
    assert (after.lost_early, after.no_relief) == (site.lost_early + 1, site.no_relief - 1)
    (later,) = overview_report(user=told.physician, now=told.now + timedelta(days=1500)).sites
    assert (later.lost_early, later.no_relief) == (0, 0)


def test_what_is_possibly_lost_early_counts_as_losing_early_and_once(told: World) -> None:
    """In the month in which it was found first, not again when the date becomes sure."""
    (site,) = overview_report(user=told.physician, now=told.now).sites
    follow_up = FollowUp.objects.get(verdict="no_relief")
    FollowUp.objects.filter(pk=follow_up.pk).update(verdict="possibly_early")
    changed = {"follow_up": follow_up, "reason": "test"}
    VerdictChange.objects.create(**changed, at=told.now, previous="no_relief", verdict="possibly_early")
    (possibly,) = overview_report(user=told.physician, now=told.now).sites
    assert possibly.lost_early == site.lost_early + 1
    rows = rows_behind(Selection(site=told.site.pk), "month:lost_early", told.physician, now=told.now)
    assert follow_up in rows
    later = told.now + timedelta(days=1500)
    FollowUp.objects.filter(pk=follow_up.pk).update(verdict="lost_early")
    VerdictChange.objects.create(**changed, at=later, previous="possibly_early", verdict="lost_early")
    (sure,) = overview_report(user=told.physician, now=told.now).sites
    (again,) = overview_report(user=told.physician, now=later).sites
    assert (sure.lost_early, again.lost_early) == (site.lost_early + 1, 0)


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


def test_a_list_takes_no_number_that_counts_other_rows(told: World, client: Client) -> None:
    page = signed_in(told.physician, client).get(ROOT, {"cell": "asked:all:due"})
    assert (page.status_code, page.context["cl"].result_count, page.context["behind"]) == (200, 0, "")


def test_every_word_of_the_drill_down_has_its_number() -> None:
    """A cell without a sentence stops the service when it starts; a sentence without a cell stands here."""
    patterns = {cell.words for cell in CELLS}
    assert set(WORDS["cells"].values()) == patterns
    named = {place for name in WORDS["cells"] for place in re.findall(r"{(\w+)}", name)}
    assert set(WORDS) - {"cells"} <= named


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


#: A number that leads to its rows.
LINK = re.compile(
    r'<a class="desk-(?:card-)?link" href="([^"]+)">(?:<span class="desk-figure">)?(\d+)<', re.ASCII
)
#: A number of rows that leads nowhere.
BARE = re.compile(r"<(?:td|dd)>\s*(?:<span[^>]*>\s*)?([1-9]\d*)(?! ?%)(?: of \d+)?\s*<", re.ASCII)
FULL = (
    "reports/clinic/",
    "reports/procedures/?intent=",
    "reports/response/?procedure_type=rfa_facet",
    "reports/compare/?dimension=period&one_from=2026-01-01&one_until={}&other_from={}&other_until=2029-01-01",
)


def asked_all(world: World) -> None:
    """A course whose first judged check-in is answered in full: pain, PEG, change and satisfaction."""
    start = world.at(MONDAY + timedelta(days=2), 9)
    appointment = procedures.book(
        world.appointment(patient=world.another_patient(76), starts_at=start), by=world.clerk, now=world.now
    )
    record = procedures.Performed(performed_at=start, baseline_pain=8, baselines=dict.fromkeys(PEG, 8))
    follow_up = procedures.perform(
        appointment.pk, record, by=world.physician, now=start + timedelta(hours=1)
    ).follow_up
    check_in = follow_up.check_ins.get(offset_minutes=42 * 1440)
    values = {"nrs.now": 3, CHANGE: 2, SATISFIED: 5, **dict.fromkeys(PEG, 3)}
    services.store_answer(
        check_in.pk, values=values, channel="phone", language="en", by=world.nurse, now=check_in.due_at
    )


@pytest.fixture
def full(told: World) -> datetime:
    """A clinic in which every number of every report counts something; and when it is looked at."""
    world = told
    early = FollowUp.objects.get(verdict="lost_early")
    more: list[dict[int, int | None]] = [
        {42: 2, 92: 3, 184: 8, 275: 8},
        {42: 6, 92: None},
        {42: 1, 184: None},
    ]
    for scores in more:
        answered_course(world, scores)
    asked_all(world)
    world.ablation.purpose = "diagnostic_and_therapeutic"
    world.ablation.save()
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.window_from_minutes, profile.window_until_minutes = 120, 240
    profile.check_in_minutes = [30, 60, 120]
    profile.save()
    tuesday = MONDAY + timedelta(days=1)
    block = world.performed(intent="diagnostic", patient=world.another_patient(77), day=tuesday).follow_up
    for minutes, score in ((30, 1), (60, 2), (120, 8)):
        check_in = block.check_ins.get(offset_minutes=minutes)
        services.store_answer(
            check_in.pk,
            values={"nrs.now": score},
            channel="clinic",
            language="en",
            by=world.nurse,
            now=check_in.due_at,
        )
    Patient.objects.filter(pk=early.patient_id).update(language="es", born_on=date(1990, 1, 1))
    for term, serious, severity in (("infection", True, "severe"), ("bleeding", False, "mild")):
        AdverseEvent.objects.create(
            follow_up=early,
            term=term,
            onset_on=MONDAY,
            severity=severity,
            serious=serious,
            outcome="resolved",
            relation="possible" if serious else "unrelated",
            recorded_at=world.now + timedelta(days=900),
        )
    now = Answer.objects.latest("answered_at").answered_at + timedelta(days=2)
    for place, follow_up in enumerate(FollowUp.objects.order_by("pk")):
        # Opioids of all, of which some are halved and some cannot be counted.
        day = CourseSummary.objects.get(pk=follow_up.pk).performed_on
        CourseSummary.objects.filter(pk=follow_up.pk).update(window_from=30)
        took = {"patient": follow_up.patient, "unit": "mg/day", "prescription": "x"}
        for dose, since, until in ((60, day - timedelta(days=9), day), (20, day + timedelta(days=1), None)):
            OpioidUse.objects.create(
                **took,
                drug="morphine" if place % 3 else "buprenorphine",
                dose=dose,
                from_on=since,
                until_on=until,
                mme_per_day=dose if place % 3 else None,
                mme_version="CDC-2022" if place % 3 else "",
                recorded_at=world.now + timedelta(days=900),
            )
        VerdictChange.objects.create(
            follow_up=follow_up, at=now - timedelta(hours=1), verdict=follow_up.verdict, reason="again"
        )
    Alert.objects.all().delete()
    kinds = (
        ("lost_early", 5, ""),
        ("no_relief", 40, ""),
        ("silent", 3, "spoken"),
        ("worse", 2, "not_reached"),
    )
    for kind, days, resolution in kinds:
        raised = now - timedelta(days=days)
        Alert.objects.create(
            follow_up=early,
            patient=early.patient,
            site=world.site,
            kind=kind,
            urgency="routine",
            raised_at=raised,
            due_at=raised + timedelta(days=7),
            resolved_at=now if resolution else None,
            resolution=resolution,
        )
    return now


def test_every_number_of_every_report_leads_to_exactly_the_rows_that_it_counts(
    told: World, full: datetime, client: Client
) -> None:
    """No number of rows stands without a way to them, and each way leads to as many."""
    desk = signed_in(told.physician, client)
    seen: dict[str, set[str]] = {}
    days = sorted(CourseSummary.objects.values_list("performed_on", flat=True))
    middle = days[len(days) // 2]
    with clock(full):
        for page in FULL:
            html = desk.get(ROOT + page.format(middle - timedelta(days=1), middle)).content.decode()
            links = {(unescape(address), int(number)) for address, number in LINK.findall(html)}
            assert len(links) > 5, page
            for address, number in links:
                shown = desk.get(address)
                assert shown.context["cl"].result_count == number, (page, address)
                seen.setdefault(address.partition("?")[0], set()).add(address)
                if "cell=" in address:
                    assert "cell" not in shown.context["behind"], "it is said in words"
            assert not BARE.findall(html), page
    every = {
        unquote(way.split("cell=")[1].split("&")[0])
        for ways in seen.values()
        for way in ways
        if "cell=" in way
    }
    cells = {re.sub(r"\d+m?", "#", cell) for cell in every}
    for cell in (
        *("treated", "no_baseline", "evaluable", "due", "answered", "in_curve", "satisfied", "satisfied:#"),
        *(
            "at:#:told",
            "at:#:change_#",
            "at:#:silent",
            "curve:responders:#:known_in",
            "curve:responders:#:all",
        ),
        *("curve:all_treated:#:unknown", "curve:all_treated:#:known_out", "opioids:took", "opioids:halved"),
        *("adverse:any", "events:infection:severe", "events:related", "month:lost_early", "asked:recent:due"),
        *("asked:day:#:due", "asked:language:es:answered", "asked:minute:#:answered", "asked:age:#-#:due"),
        *("asked:channel:email:answered", "alerts:raised", "alerts:acted", "alerts:resolved"),
    ):
        assert cell in cells, cell


def test_the_list_of_alerts_and_the_overview_say_the_same_of_them(
    told: World, full: datetime, client: Client
) -> None:
    """Whoever could not be reached was not helped: that is no alert acted on, on neither page."""
    desk = signed_in(told.physician, client)
    with clock(full):
        assert "1 of 2 resolved (50 %)" in words(desk.get("/admin/outcomes/alert/"))
        (site,) = overview_report(user=told.physician, now=full).sites
    assert site.load.acted_on
    assert (site.load.acted_on.count, site.load.acted_on.of, site.load.raised) == (1, 2, 3)


def test_who_may_not_see_alerts_gets_their_number_without_the_way(
    told: World, full: datetime, client: Client
) -> None:
    Permission.objects.get(codename="view_alert").group_set.clear()
    with clock(full):
        page = signed_in(User.objects.get(pk=told.physician.pk), client).get(f"{ROOT}reports/clinic/")
    assert "/alert/" not in page.content.decode().partition('class="desk-overview"')[2]
    assert "open alerts" in words(page)


def test_who_may_not_see_patients_gets_every_number_and_no_way_to_them(
    told: World, full: datetime, client: Client
) -> None:
    rows = ("view_followup", "view_checkin", "view_alert", "view_adverseevent")
    for permission in Permission.objects.filter(codename__in=rows):
        permission.group_set.clear()
    desk = signed_in(User.objects.get(pk=told.physician.pk), client)
    days = sorted(CourseSummary.objects.values_list("performed_on", flat=True))
    middle = days[len(days) // 2]
    with clock(full):
        for page in FULL:
            html = desk.get(ROOT + page.format(middle - timedelta(days=1), middle)).content.decode()
            assert not LINK.findall(html), page
            assert "cell=" not in html, page
            assert BARE.findall(html) or "desk-figure" in html, "the numbers are there"


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


def test_a_window_that_a_physician_stands_by_is_not_called_unconfirmed(told: World, client: Client) -> None:
    """Wherever it is drawn, and only once everybody's window is: an older version of the profile may not be."""
    desk, address = signed_in(told.physician, client), f"{ROOT}reports/procedures/?procedure_type=rfa_facet"
    api = "reports/procedure/?procedure_type=rfa_facet"

    def said() -> tuple[bool, bool, bool]:
        html = desk.get(address).content.decode()
        window = call(told.physician, "GET", api, now=told.now).json()["window"]
        return (
            "180–365 (unconfirmed" in html,
            "(unconfirmed figures of the catalogue)" in html,
            window["confirmed"],
        )

    assert said() == (True, True, False)
    profile = ReliefProfile.objects.get()
    confirm = procedures.confirm_figure
    confirm(told.ablation, "onset", profile=profile, by=told.physician, now=told.now)
    assert said() == (True, True, False), "another figure is no window"
    confirm(told.ablation, "relief_window", profile=profile, by=told.physician, now=told.now)
    assert said() == (False, False, True)
    profile.pk, profile.version = None, 2
    profile.in_force_from = told.now
    profile.save()
    FollowUp.objects.filter(pk=FollowUp.objects.earliest("pk").pk).update(relief_profile=profile)
    assert said() == (True, True, False)


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
    assert 'name="one_from"' in compared(desk).content.decode()
    page = compared(desk, **PERIODS)
    said = words(page)
    assert "These patients were not assigned by lot." in said
    assert page.status_code == 200
    mixed = "Different relief windows are among these follow-ups"
    assert mixed not in said
    first, *others = CourseSummary.objects.order_by("pk").values_list("pk", flat=True)
    CourseSummary.objects.update(performed_on=date(2027, 2, 1))
    CourseSummary.objects.filter(pk=others[-1]).update(performed_on=date(2027, 4, 1))
    CourseSummary.objects.filter(pk=first).update(window_from=21, window_until=180)
    assert mixed in words(compared(desk, **PERIODS))
    overlapping = compared(desk, **{**PERIODS, "other_from": "2027-01-01"})
    assert overlapping.status_code == 422
    assert "groups_overlap" in str(errors(overlapping))
    assert compared(desk, one_from="2026-01-01").status_code == 422


def test_worklists_fill_and_are_empty_for_others(told: World, client: Client) -> None:
    early = CourseSummary.objects.get(verdict=Verdict.LOST_EARLY).follow_up
    clerk = signed_in(told.clerk, client)
    page = clerk.get(f"{ROOT}worklists/?list=losing_early")
    assert early.verdict_reason in words(page)
    assert str(early.patient) in unescape(words(page))
    assert b'class="desk-empty"' in clerk.get(f"{ROOT}worklists/?list=silent").content
    repeat = words(clerk.get(f"{ROOT}worklists/?list=due_for_repeat"))
    assert "Book" in repeat
    elsewhere = staff("x@example.org", "Nurse", type(told.site).objects.create(**HILL))
    assert b'class="desk-empty"' in signed_in(elsewhere, client).get(f"{ROOT}worklists/").content


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
        answered_course(told, {42: 2, 92: 7, 184: 8})
        answered_course(told, {42: 7, 92: 8})
        answered_course(told, {42: 2, 92: 2, 184: 2, 275: 8, 366: 8})
    assert queries(lambda: desk.get(ROOT + address)) == before
