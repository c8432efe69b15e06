"""Patients who asked for another time: found at once, counted on the first page, settled once."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from clinic import roles
from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, levels, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World

LIST = "/admin/procedures/appointment/"


@pytest.fixture
def asked(world: World) -> Appointment:
    """Monday's appointment, whose patient has asked for another time."""
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    return services.ask_for_change(booked.pk, now=world.now)


@pytest.fixture
def quiet(world: World) -> Appointment:
    """Tuesday's, whose patient has asked for nothing."""
    appointment = world.appointment(
        patient=world.another_patient(), starts_at=world.at(MONDAY + timedelta(days=1), 9)
    )
    return services.book(appointment, by=world.clerk, now=world.now)


def found(world: World, query: str) -> list[int]:
    response = call(world.clerk, "GET", f"appointments/?{query}", now=world.now)
    assert response.status_code == 200, response.json()
    return [row["id"] for row in response.json()["results"]]


def events() -> list[str]:
    wanted = AuditEvent.objects.filter(action__startswith="appointment.change").order_by("pk")
    return list(wanted.values_list("action", flat=True))


def test_those_who_asked_are_found_and_settled_once(
    world: World, asked: Appointment, quiet: Appointment
) -> None:
    assert found(world, "") == [asked.pk, quiet.pk]
    assert found(world, "wants_change=true") == [asked.pk]
    assert found(world, "wants_change=false") == [quiet.pk]
    for _ in range(2):
        response = call(world.clerk, "POST", f"appointments/{asked.pk}/settle-change/", now=world.now)
        assert response.status_code == 200, response.json()
        assert (response.json()["wants_change_at"], response.json()["status"]) == (None, "booked")
    assert found(world, "wants_change=true") == []
    assert events() == ["appointment.change_wanted", "appointment.change_settled"]
    event = AuditEvent.objects.get(action="appointment.change_settled")
    assert (event.by, event.site, event.object_id) == (world.clerk, world.site, asked.pk)


def test_the_patient_can_ask_again(world: World, asked: Appointment) -> None:
    services.settle_change(asked.pk, by=world.clerk, now=world.now)
    again = services.ask_for_change(asked.pk, now=world.now + timedelta(hours=1))
    assert again.wants_change_at == world.now + timedelta(hours=1)


def test_moving_or_cancelling_settles_it_as_well(world: World, asked: Appointment) -> None:
    moved = services.reschedule(asked.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    assert moved.wants_change_at is None
    assert found(world, "wants_change=true") == []
    services.ask_for_change(moved.pk, now=world.now)
    assert found(world, "wants_change=true") == [moved.pk]
    services.cancel(moved.pk, reason="ill", by=world.clerk, now=world.now)
    assert found(world, "wants_change=true") == []


def test_settling_is_for_those_who_may_book_and_at_their_own_site(world: World, asked: Appointment) -> None:
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    stranger = staff("stranger@example.org", roles.FRONT_DESK, far)
    manager = staff("manager@example.org", roles.MANAGER, world.site)
    path = f"appointments/{asked.pk}/settle-change/"
    assert call(stranger, "POST", path, now=world.now).status_code == 404
    assert call(manager, "POST", path, now=world.now).status_code == 403
    with pytest.raises(PermissionDenied):
        services.settle_change(asked.pk, by=manager, now=world.now)
    assert faults(call(world.clerk, "POST", path, {"why": "x"}, now=world.now)) == [("why", "unknown_field")]
    query = "appointments/?wants_change=perhaps"
    assert faults(call(world.clerk, "GET", query, now=world.now)) == [("wants_change", "invalid")]
    assert found(world, "wants_change=true") == [asked.pk]


# At the front desk.


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the clerk of the small clinic is signed in."""
    return signed_in(world.clerk, client)


def get(desk: Client, world: World, address: str) -> Any:
    with clock(world.now):
        return desk.get(address)


def test_the_list_shows_them_on_whatever_day_soonest_first(
    desk: Client, world: World, asked: Appointment, quiet: Appointment
) -> None:
    later = world.appointment(
        patient=world.another_patient(3), starts_at=world.at(MONDAY + timedelta(days=30), 9)
    )
    services.ask_for_change(services.book(later, by=world.clerk, now=world.now).pk, now=world.now)
    said = words(get(desk, world, f"{LIST}?wants_change=yes"))
    assert said.index("O&#x27;Brien") < said.index("García3")
    assert "García2" not in said
    assert "García2" in words(get(desk, world, f"{LIST}?when=all"))


def test_the_request_is_settled_with_one_click_where_it_is_shown(
    desk: Client, world: World, asked: Appointment, quiet: Appointment
) -> None:
    address = f"{LIST}{asked.pk}/settle-change/"
    page = f"{LIST}{asked.pk}/change/"
    assert address in get(desk, world, page).content.decode()
    assert address in get(desk, world, f"{LIST}?wants_change=yes").content.decode()
    assert f"{LIST}{quiet.pk}/settle-change/" not in get(desk, world, f"{LIST}?when=all").content.decode()
    with clock(world.now):
        for told in ("success", "error"):
            response = desk.post(
                f"{address}?next={quote('/admin/procedures/appointment/?wants_change=yes')}", follow=True
            )
            assert set(levels(response)) == {told}
            assert response.request["QUERY_STRING"] == "wants_change=yes"
    assert b'class="desk-empty"' in response.content
    assert address not in get(desk, world, page).content.decode()
    assert events() == ["appointment.change_wanted", "appointment.change_settled"]


def test_who_may_not_book_does_not_settle(world: World, client: Client, asked: Appointment) -> None:
    signed_in(staff("manager@example.org", roles.MANAGER, world.site), client)
    assert "settle-change" not in get(client, world, f"{LIST}{asked.pk}/change/").content.decode()
    assert client.post(f"{LIST}{asked.pk}/settle-change/").status_code == 403
    assert events() == ["appointment.change_wanted"]
