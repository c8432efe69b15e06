"""The day board: who is where, how late, and one click to the next step."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.models import Closure, Site, WorkingHours
from clinic.tests.admin_client import clock, queries, signed_in, words
from clinic.tests.factories import MONDAY, resource, staff
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World

BOARD = "/admin/procedures/appointment/board/"


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    return signed_in(world.clerk, client)


def booked(world: World, **values: Any) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def test_a_day_is_shown_by_room_and_by_clinician(desk: Client, world: World) -> None:
    booked(world)
    with clock(world.at(MONDAY, 8)):
        rooms = desk.get(BOARD)
        clinicians = desk.get(BOARD, {"by": "clinicians"})
    assert [column.name for column in rooms.context["columns"]] == ["Room 1"]
    assert [column.name for column in clinicians.context["columns"]] == ["Dr Test"]
    for page in (rooms, clinicians):
        assert "09:00–10:45" in words(page)
        assert "booked" in words(page)
        assert "late" not in words(page)


def test_who_is_late_who_is_overbooked_and_whose_baseline_is_missing_is_said(
    world: World, client: Client
) -> None:
    for held in (world.room, world.bay, world.doctor):
        held.overbooking = 1
        held.save()
    booked(world)
    other = world.another_patient()
    services.book(
        world.appointment(patient=other, overbooked_reason="in great pain"),
        by=world.physician,
        now=world.now,
    )
    world.performed(baseline=None, hour=13)
    signed_in(world.clerk, client)
    with clock(world.at(MONDAY, 9, 20)):
        columns = client.get(BOARD).context["columns"]
    marks = [mark for column in columns for card in column.cards for mark in card.marks]
    assert Counter(kind for _, kind in marks) == {"danger": 3, "warning": 1}
    assert len([words for words, _ in marks if "20 min" in words]) == 2  # the two who are late


def test_one_click_takes_a_step_and_comes_back(desk: Client, world: World) -> None:
    appointment = booked(world)
    with clock(world.at(MONDAY, 9)):
        page = desk.get(BOARD, {"day": MONDAY.isoformat(), "by": "clinicians"})
        address = page.content.decode().split('formaction="')[1].split('"')[0].replace("&amp;", "&")
        response = desk.post(address)
    assert response["Location"] == f"{BOARD}?day={MONDAY}&by=clinicians#appointment-{appointment.pk}"
    assert page.content.decode().count(f'id="appointment-{appointment.pk}"') == 1
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.ARRIVED


def test_what_is_closed_is_not_called_free(desk: Client, world: World) -> None:
    booked(world)
    other = resource("Room 2", world.room.categories.get(), world.site)
    third = resource("Room 3", world.room.categories.get(), world.site)
    free = resource("Room 4", world.room.categories.get(), world.site)
    WorkingHours.objects.filter(resource=third).update(weekday=1)
    Closure.objects.create(
        resource=other, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 12), reason="Painting"
    )
    with clock(world.at(MONDAY, 8)):
        page = desk.get(BOARD)
    said = {column.name: (column.closed, column.works) for column in page.context["columns"]}
    assert said == {
        "Room 1": ([], True),
        "Room 2": (["Room 2, 08:00–12:00: Painting"], True),
        "Room 3": ([], False),
        "Room 4": ([], True),
    }
    assert page.content.count(b" data-free>") == 1
    assert page.content.count(b" data-no-hours>") == 1
    assert free.name in words(page)
    Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY, 0), ends_at=world.at(MONDAY, 23), reason="Snow"
    )
    with clock(world.at(MONDAY, 8)):
        page = desk.get(BOARD)
    assert page.context["closed"] == ["Riverside, 00:00–23:00: Snow"]
    assert b" data-free>" not in page.content


def test_a_day_that_is_closed_or_over_offers_no_booking(desk: Client, world: World) -> None:
    day = MONDAY + timedelta(days=1)
    Closure.objects.create(
        site=world.site,
        starts_at=world.at(day, 0),
        ends_at=world.at(day + timedelta(days=1), 0),
        reason="Snow",
    )
    for shown in (day, MONDAY - timedelta(days=7), MONDAY + timedelta(days=5)):
        with clock(world.now):
            page = desk.get(BOARD, {"day": shown.isoformat()})
        assert page.context["count"] == 0
        assert b"/appointment/find/?site=" not in page.content
        assert page.context["works"] is (shown.weekday() != 5)


def test_whoever_waits_without_a_score_of_the_day_is_marked(world: World, client: Client) -> None:
    appointment = booked(world)
    services.arrive(appointment.pk, by=world.clerk, now=world.at(MONDAY, 9))
    signed_in(world.nurse, client)
    with clock(world.at(MONDAY, 9)):
        before = client.get(BOARD)
        services.note_baseline(
            appointment.pk,
            values={"nrs.now": 7},
            taken_at=world.at(MONDAY, 9),
            by=world.nurse,
            now=world.at(MONDAY, 9),
        )
        after = client.get(BOARD)
    assert f"/{appointment.pk}/baseline/?next=" in before.content.decode()
    assert f"/{appointment.pk}/baseline/" not in after.content.decode()


def test_a_day_without_appointments_says_so_and_offers_to_book(desk: Client, world: World) -> None:
    with clock(world.now):
        page = desk.get(BOARD)
    assert page.context["count"] == 0
    assert b"/appointment/find/?site=" in page.content


@pytest.mark.parametrize(
    "query",
    ["day=nonsense", "day=2027-13-45", "site=99999", "by=machines", "day=0001-01-01", "day=9999-12-31"],
)
def test_a_nonsensical_address_is_no_fault(desk: Client, world: World, query: str) -> None:
    with clock(world.now):
        assert desk.get(f"{BOARD}?{query}").status_code == 200


def test_a_cancelled_appointment_is_counted_but_not_on_the_board(desk: Client, world: World) -> None:
    services.cancel(booked(world).pk, reason="ill", by=world.clerk, now=world.now)
    with clock(world.at(MONDAY, 8)):
        page = desk.get(BOARD)
    assert page.context["count"] == 0
    assert "cancelled" in words(page)


def test_another_sites_day_is_not_shown(world: World, client: Client) -> None:
    booked(world)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
    with clock(world.at(MONDAY, 8)):
        page = client.get(BOARD, {"site": world.site.pk})
    assert page.context["site"] == elsewhere
    assert "Brien" not in words(page)
    nowhere = staff("nowhere@example.org", "Front desk", elsewhere)
    nowhere.sites.clear()
    signed_in(nowhere, client)
    assert client.get(BOARD).context.get("site") is None


def test_the_board_asks_as_much_for_thirty_as_for_three(desk: Client, world: World) -> None:
    rooms = [
        resource(f"{name} {number}", held.categories.get(), world.site)
        for number in range(2, 16)
        for name, held in (("Room", world.room), ("Bay", world.bay), ("Dr", world.doctor))
    ]
    assert rooms
    start, evening = world.at(MONDAY, 8), world.at(MONDAY, 18)

    def book(first: int, last: int) -> None:
        for held in rooms[first:last]:
            Closure.objects.create(
                resource=held, starts_at=evening, ends_at=evening + timedelta(hours=1), reason="Cleaning"
            )
        for number in range(first, last):
            begin = start + timedelta(hours=number // 15 * 2)
            booked(world, patient=world.another_patient(number + 10), starts_at=begin)

    with clock(world.at(MONDAY, 9)):
        book(0, 3)
        few = queries(lambda: desk.get(BOARD))
        book(3, 30)
        assert queries(lambda: desk.get(BOARD)) == few
        assert desk.get(BOARD).context["count"] == 30
