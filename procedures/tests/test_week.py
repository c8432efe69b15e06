"""The week: what its list and its calendar show, and that dragging obeys the same rules as every other door."""

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clinic.models import Closure, Site
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, queries, signed_in, words
from clinic.tests.factories import MONDAY
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World

WEEK = "/admin/procedures/appointment/week/"


@pytest.fixture
def desk(world: World) -> Client:
    return signed_in(world.clerk)


def look(desk: Client, world: World, day: date = MONDAY, **query: Any) -> Any:
    with clock(world.now):
        return desk.get(WEEK, {"site": str(world.site.pk), "day": day.isoformat(), **query})


def drop(desk: Client, world: World, appointment: Appointment, starts: str, **more: Any) -> Any:
    with clock(world.now):
        said = {"appointment": appointment.pk, "starts": starts} | more
        return desk.post(f"{WEEK}move/?{beside(appointment)}", said)


def book(world: World, **values: Any) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def calendar(page: Any) -> dict[str, Any]:
    """What the page hands to its calendar."""
    found = re.search(
        r'<script id="desk-calendar-data"[^>]*>(.*?)</script>', page.content.decode(), re.DOTALL
    )
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def test_list_and_calendar_show_the_same_on_the_sites_clock(desk: Client, world: World) -> None:
    booked = book(world)
    page = look(desk, world, MONDAY + timedelta(days=3))
    assert "Monday 11 January" in words(page)
    assert "09:00–10:45" in words(page)
    event = calendar(page)["events"][0]
    assert (event["start"], event["end"]) == ("2027-01-11T09:00:00", "2027-01-11T10:45:00")
    assert event["startEditable"] is True
    assert f"?move={booked.pk}&amp;on=2027-01-11" in page.content.decode()


def test_an_empty_week_says_so_and_leads_to_booking(desk: Client, world: World) -> None:
    page = look(desk, world)
    assert words(page).count("Nothing is booked.") == 5
    assert calendar(page)["hiddenDays"] == [6, 0]
    assert f"site={world.site.pk}&amp;on=2027-01-11" in page.content.decode()
    assert "on=2027-01-04" not in look(desk, world, date(2027, 1, 4)).content.decode()  # that day is over


def test_it_can_be_narrowed_to_a_resource(desk: Client, world: World) -> None:
    book(world)
    assert len(calendar(look(desk, world, resource=world.doctor.pk))["events"]) == 1
    other = services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
    )
    other.reservations.filter(resource=world.doctor).delete()
    assert len(calendar(look(desk, world, resource=world.doctor.pk))["events"]) == 1
    assert len(calendar(look(desk, world))["events"]) == 2


def test_closures_stand_on_their_days_with_their_reason(desk: Client, world: World) -> None:
    Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY, 0), ends_at=world.at(date(2027, 1, 12), 12), reason="Snow"
    )
    page = look(desk, world)
    assert "Riverside, all day: Snow" in words(page)
    assert "Riverside, 00:00–12:00: Snow" in words(page)
    assert [event["display"] for event in calendar(page)["events"]] == ["background"]


def test_a_drop_is_asked_about_first_and_changes_nothing(desk: Client, world: World) -> None:
    old = book(world)
    answer = drop(desk, world, old, "2027-01-12T13:00", check=1)
    assert answer.status_code == 200
    assert (
        "from Mon 11 Jan 2027, 09:00–10:45 EST to Tue 12 Jan 2027, 13:00–14:45 EST" in answer.json()["words"]
    )
    assert Appointment.objects.get() == old


def test_a_drop_moves_once_however_often_it_is_sent(desk: Client, world: World) -> None:
    old = book(world)
    query = f"site={world.site.pk}&day=2027-01-11"
    for _ in range(2):
        answer = drop(desk, world, old, "2027-01-12T13:00", key="k", query=query)
        assert answer.headers["Location"] == f"{WEEK}?{query}"
    new = Appointment.objects.get(rescheduled_from=old)
    assert new.starts_at == world.at(date(2027, 1, 12), 13)
    assert Appointment.objects.count() == 2


@pytest.mark.parametrize(
    ("starts", "code"),
    [
        ("2027-01-12T10:00", "closed"),
        ("2027-01-13T20:00", "outside_hours"),
        ("2027-01-04T10:00", "in_the_past"),
        ("2027-03-14T02:30", "no_such_time"),
        ("2027-01-13T10:00+00:00", "invalid"),
        ("", "invalid"),
    ],
)
def test_a_drop_that_will_not_do_is_refused_with_its_reason(
    desk: Client, world: World, starts: str, code: str
) -> None:
    old = book(world)
    Closure.objects.create(
        site=world.site,
        starts_at=world.at(date(2027, 1, 12), 0),
        ends_at=world.at(date(2027, 1, 13), 0),
        reason="Snow",
    )
    answer = drop(desk, world, old, starts, check=1)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["words"]
    with clock(world.now):
        assert desk.get(drop(desk, world, old, starts).headers["Location"]).status_code == 200
    old.refresh_from_db()
    assert (old.status, Appointment.objects.count()) == ("booked", 1)


def test_the_clinician_stays_when_something_is_dropped(desk: Client, world: World) -> None:
    old = book(world)
    book(world, patient=world.another_patient(), starts_at=world.at(date(2027, 1, 12), 13))
    answer = drop(desk, world, old, "2027-01-12T13:30", check=1)
    assert answer.json()["code"] == "taken"
    assert "Dr Test" in answer.json()["words"]


def test_who_may_not_book_may_look_but_not_drag(world: World) -> None:
    old = book(world)
    world.nurse.user_permissions.clear()
    client = signed_in(world.nurse)
    may = world.nurse.has_perm("procedures.book_appointment")
    page = look(client, world)
    assert calendar(page)["events"][0]["startEditable"] is may
    assert drop(client, world, old, "2027-01-12T13:00", check=1).status_code == (200 if may else 403)


def test_another_sites_appointments_are_neither_shown_nor_moved(desk: Client, world: World) -> None:
    old = book(world)
    world.clerk.sites.set(
        [Site.objects.create(name="Harbor", time_zone="Europe/London", phone="+44 20 7946 0000")]
    )
    assert calendar(look(desk, world))["events"] == []
    assert drop(desk, world, old, "2027-01-12T13:00", check=1).status_code == 404


def test_signing_in_again_comes_back_to_the_week(desk: Client, world: World) -> None:
    with clock(world.now):
        assert desk.get(f"{WEEK}move/")["Location"] == WEEK


def test_the_number_of_queries_does_not_grow(desk: Client, world: World) -> None:
    book(world)
    few = queries(lambda: look(desk, world))
    for number in range(2, 5):
        patient = world.another_patient(number)
        book(world, patient=patient, starts_at=world.at(MONDAY + timedelta(days=number - 1), 9))
    assert queries(lambda: look(desk, world)) == few


def test_the_calendar_stands_in_the_sidebar(desk: Client, world: World) -> None:
    assert reverse("admin:procedures_appointment_week") in desk.get("/admin/").content.decode()
