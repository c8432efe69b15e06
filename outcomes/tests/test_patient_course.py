"""A patient's whole course: on one page, as one time line."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client

from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, queries, signed_in, words
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from outcomes.charts.timeline import Band, Dose, EventMark, Labels, draw
from outcomes.models import AdverseEvent, FollowUp
from outcomes.patient_course import dose_steps, patient_course
from outcomes.tests.factories import next_ablation
from patients import mme
from patients.models import OpioidUse
from patients.tests.factories import takes_opioid
from procedures.services import void
from procedures.tests.factories import World

SVG = "{http://www.w3.org/2000/svg}"


def harmed(world: World, follow_up: FollowUp, term: str = "infection", *, serious: bool = True) -> None:
    AdverseEvent.objects.create(
        follow_up=follow_up,
        term=term,
        onset_on=follow_up.procedure.performed_at.date() + timedelta(days=3),
        severity="severe",
        serious=serious,
        outcome="resolved",
        relation="possible",
        recorded_at=world.now + timedelta(days=900),
    )


@pytest.fixture
def told(world: World) -> World:
    """A patient with two ablations, an opioid that was halved, and an infection."""
    first = next_ablation(world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8}, side="left")
    next_ablation(world, {42: 7, 92: 8}, side="right", baseline=3)
    takes_opioid(world, "60", MONDAY - timedelta(days=30), MONDAY + timedelta(days=60))
    takes_opioid(world, "30", MONDAY + timedelta(days=61))
    harmed(world, first)
    return world


def later(world: World) -> datetime:
    """When the course is looked at: after all its answers."""
    return world.at(MONDAY + timedelta(days=400), 12)


def page(world: World) -> str:
    return f"/admin/patients/patient/{world.patient.pk}/course/"


def test_every_verdict_with_its_reason_and_figures_is_on_the_page(told: World, client: Client) -> None:
    signed_in(told.nurse, client)
    with clock(later(told)):
        response = client.get(page(told))
    html, said = response.content.decode(), unescape(words(response))
    for follow_up in FollowUp.objects.all():
        assert f">{follow_up.verdict_reason}" in html  # on the page, not only in the chart's description
        assert str(follow_up.get_verdict_display()) in said
    for phrase in (
        *("after day 184, by day 275", "by day 42", "8 / 10", "3 / 10", "infection", "60 MME", "30 MME"),
        *(str(told.patient), told.patient.record_number, f"{told.patient.born_on:%Y-%m-%d}", "Riverside"),
    ):
        assert phrase in said, phrase
    assert "estimate; never use it to switch drugs" in html


def test_looking_at_it_is_written_down(told: World, client: Client) -> None:
    signed_in(told.nurse, client)
    client.get(page(told))
    call(told.nurse, "GET", f"patients/{told.patient.pk}/course/", now=later(told))
    events = AuditEvent.objects.filter(action="patient.read", by=told.nurse, object_id=told.patient.pk)
    assert events.count() == 2


def test_a_patient_of_another_site_is_not_there(told: World, client: Client) -> None:
    hill = Site.objects.create(name="Hill", phone="1", time_zone="America/Denver")
    stranger = staff("hill@example.org", "Physician", hill)
    signed_in(stranger, client)
    assert client.get(page(told)).status_code == 404
    assert call(stranger, "GET", f"patients/{told.patient.pk}/course/", now=later(told)).status_code == 404


def test_without_the_permissions_nobody_sees_it(told: World, client: Client) -> None:
    for codename in ("view_followup", "view_patient"):
        user = staff(f"{codename}@example.org", "Nurse", told.site)
        role = user.groups.get()
        gone = role.permissions.get(codename=codename)
        role.permissions.remove(gone)
        signed_in(user, client)
        assert client.get(page(told)).status_code == 403
        role.permissions.add(gone)


def test_what_a_role_may_not_see_is_not_in_it(told: World, client: Client) -> None:
    role = told.nurse.groups.get()
    role.permissions.remove(*role.permissions.filter(codename__in=["view_opioiduse", "view_adverseevent"]))
    signed_in(told.nurse, client)
    said = words(client.get(page(told)))
    assert "infection" not in said
    assert "MME" not in said


def test_what_happened_at_another_site_is_not_in_it(told: World) -> None:
    hill = Site.objects.create(name="Hill", phone="1", time_zone="America/Denver")
    follow_up = FollowUp.objects.order_by("pk")[0]
    type(follow_up.procedure).objects.filter(pk=follow_up.procedure_id).update(site=hill)
    known = patient_course(told.patient, user=told.nurse, now=later(told))
    assert [up.follow_up.pk for up in known.follow_ups] == [FollowUp.objects.order_by("pk")[1].pk]
    assert known.events == []


def test_a_procedure_that_was_entered_in_error_is_not_in_it(told: World) -> None:
    follow_up = FollowUp.objects.order_by("pk")[0]
    void(follow_up.procedure_id, reason="wrong patient", by=told.physician, now=later(told))
    known = patient_course(told.patient, user=told.nurse, now=later(told))
    assert follow_up.pk not in [up.follow_up.pk for up in known.follow_ups]
    assert known.events == []


def test_the_number_of_queries_stays_the_same(told: World, client: Client) -> None:
    signed_in(told.nurse, client)
    address = f"patients/{told.patient.pk}/course/"
    before = (
        queries(lambda: client.get(page(told))),
        queries(lambda: call(told.nurse, "GET", address, now=later(told))),
    )
    for side in ("left", "right"):
        harmed(told, next_ablation(told, {42: 3, 92: 2, 184: 8}, side=side), "bleeding", serious=False)
        takes_opioid(told, "2", MONDAY, drug="buprenorphine" if side == "left" else "tramadol")
    after = (
        queries(lambda: client.get(page(told))),
        queries(lambda: call(told.nurse, "GET", address, now=later(told))),
    )
    assert after == before


def test_a_patient_without_a_procedure_has_an_empty_page(world: World, client: Client) -> None:
    signed_in(world.nurse, client)
    assert "Nothing has been performed yet that is followed." in words(client.get(page(world)))


def test_the_patients_page_and_the_follow_ups_page_lead_to_it(told: World, client: Client) -> None:
    signed_in(told.nurse, client)
    follow_up = FollowUp.objects.all()[0]
    for address in (
        f"/admin/patients/patient/{told.patient.pk}/change/",
        f"/admin/outcomes/followup/{follow_up.pk}/change/",
    ):
        assert f'href="{page(told)}"' in client.get(address).content.decode()


def test_the_totals_of_all_days_are_stretches_without_a_change(world: World) -> None:
    assert dose_steps([]) == []
    takes_opioid(world, "60", MONDAY, MONDAY + timedelta(days=9))
    takes_opioid(world, "20", MONDAY + timedelta(days=5))
    takes_opioid(world, "8", MONDAY + timedelta(days=12), drug="buprenorphine")
    found = [(step.from_on, step.until_on, step.total.mme) for step in dose_steps(OpioidUse.objects.all())]
    day = [MONDAY + timedelta(days=number) for number in range(13)]
    assert found == [
        (day[0], day[4], Decimal(60)),
        (day[5], day[9], Decimal(80)),
        (day[10], day[11], Decimal(20)),
        (day[12], None, Decimal(20)),
    ]
    last = dose_steps(OpioidUse.objects.all())[-1]
    assert last.total.left_out == ((mme.Drug.BUPRENORPHINE, mme.LeftOut.NO_FACTOR),)


def test_a_change_of_dose_within_a_day_makes_no_peak(world: World) -> None:
    change = MONDAY + timedelta(days=5)
    takes_opioid(world, "60", MONDAY, change)
    takes_opioid(world, "20", change)
    found = [(step.from_on, step.until_on, step.total.mme) for step in dose_steps(OpioidUse.objects.all())]
    assert found == [(MONDAY, change - timedelta(days=1), Decimal(60)), (change, None, Decimal(20))]


START = float(date(2026, 1, 5).toordinal())


def band(number: int, performed: float, **values: Any) -> Band:
    """A follow-up of a year, with its window from half a year on."""
    plain: dict[str, Any] = {
        "name": 'Ablation <"lumbar">',
        "verdict": "in relief",
        "until": performed + 365,
        "window": (performed + 180, performed + 360),
        "baseline": (performed - 3, 8),
    }
    return Band(number=number, performed=performed, **plain | values)


def drawn(bands: list[Band], doses: list[Dose], marks: list[EventMark], today: float) -> ElementTree.Element:
    labels = Labels(title="Course of <one> & all", description="1: in relief")
    return ElementTree.fromstring(draw(bands, doses, marks, labels, name="timeline", today=today))


def test_the_time_line_is_well_formed_and_shows_everything() -> None:
    bands = [
        band(1, START, scores=[(START + 42, 3), (START + 92, 2)], missed=[START + 7.0, START + 184]),
        band(2, START + 200.4, relief_until=START + 300, lost_until=START + 390),
    ]
    doses = [Dose(START - 90, START + 61, 60), Dose(START + 61, START + 200, 30, least=True)]
    doses.append(Dose(START + 200, None, None))
    marks = [EventMark(START + 3, "a", True), EventMark(START + 3, "b", False)]
    svg = drawn(bands, doses, marks, START + 400)
    said = ["".join(element.itertext()) for element in svg.iter(f"{SVG}text")]
    assert svg.find(f"{SVG}title") is not None
    assert svg.find(f"{SVG}desc") is not None
    for phrase in (
        *('1  Ablation <"lumbar">: in relief', '2  Ablation <"lumbar">: in relief', "60", "≥ 30"),
        *("not counted", "a", "b", "today", "Jan 2026", "estimate; never use it to switch drugs"),
        *("relief ended in here", "serious one", "not answered"),
    ):
        assert phrase in said, phrase
    answers = [element for element in svg if element.get("class") == "chart-answer"]
    assert len(answers) == 2
    hollow = [element for element in svg if element.tag == f"{SVG}circle" and element.get("r") == "3.2"]
    assert len(hollow) == 2


@pytest.mark.parametrize("days", [0.0, 0.3, 3.0, 400.0, 9000.0])
def test_nothing_is_drawn_outside_the_sheet(days: float) -> None:
    bands = [
        band(number, START + number * days / 9, until=START + days, window=(START, START + 40000))
        for number in range(1, 10)
    ]
    doses = [Dose(START - 4000, START - 3000, 10), Dose(START - 3000, START + 90000, 20)]
    svg = drawn(bands, doses, [EventMark(START, "a", False)], START + days)
    width, height = (float(part) for part in (svg.get("viewBox") or "").split()[2:])
    for element in svg.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("cy", height)):
            at = element.get(name)
            assert at is None or -12 <= float(at) <= most, (element.tag, element.attrib)


def test_what_there_is_none_of_takes_no_room() -> None:
    bare = drawn([band(1, START, baseline=None)], [], [], START + 30)
    said = ["".join(element.itertext()) for element in bare.iter(f"{SVG}text")]
    assert "opioids" not in said
    assert "adverse" not in said
    assert "answered" not in said
