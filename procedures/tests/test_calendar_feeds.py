"""Handing out a calendar's secret address, by API and on the resource's page: shown once, replaced, revoked."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from clinic import roles
from clinic.models import AuditEvent, Site, User
from clinic.tests.admin_client import clock, levels, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from procedures import services
from procedures.models import CalendarFeed
from procedures.tests.factories import World


@pytest.fixture
def stranger(world: World) -> User:
    """A clerk of another site."""
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    return staff("stranger@example.org", roles.FRONT_DESK, far)


def path(world: World) -> str:
    return f"resources/{world.doctor.pk}/calendar-feed/"


def page(world: World, name: str = "") -> str:
    last = f"calendar-address/{name}/" if name else "change/"
    return f"/admin/clinic/resource/{world.doctor.pk}/{last}"


def opens(address: str) -> bool:
    """Whether a calendar program finds a calendar there."""
    return Client().get(re.sub(r"^https?://[^/]+", "", address)).status_code == 200


# By API.


def test_an_address_is_issued_shown_once_and_works(world: World) -> None:
    nothing = {"issued_at": None, "issued_by": None}
    assert call(world.clerk, "GET", path(world), now=world.now).json() == nothing
    response = call(world.clerk, "POST", path(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert shown["address"].startswith("http://")
    assert opens(shown["address"])
    assert response["Cache-Control"] == "no-store"
    address = shown.pop("address")
    assert shown == {"issued_at": "2027-01-08T17:00:00Z", "issued_by": str(world.clerk)}
    seen = call(world.nurse, "GET", path(world), now=world.now)
    assert seen.json() == shown
    assert address not in seen.content.decode()


def test_a_new_address_replaces_the_old_and_revoking_ends_it_once(world: World) -> None:
    first, second = (
        call(world.clerk, "POST", path(world), now=world.now).json()["address"] for _ in range(2)
    )
    assert (opens(first), opens(second)) == (False, True)
    for _ in range(2):
        assert call(world.clerk, "DELETE", path(world), now=world.now).status_code == 204
    assert not opens(second)
    assert call(world.clerk, "GET", path(world), now=world.now).json()["issued_at"] is None
    actions = AuditEvent.objects.filter(action__startswith="calendar_feed").values_list("action", flat=True)
    assert sorted(actions) == ["calendar_feed.issued"] * 2 + ["calendar_feed.revoked"] * 2


def test_a_resource_that_is_out_of_use_gets_no_address(world: World) -> None:
    world.doctor.active = False
    world.doctor.save()
    response = call(world.clerk, "POST", path(world), now=world.now)
    assert (response.status_code, faults(response)) == (400, [("", "inactive")])
    world.doctor.active = True
    world.doctor.save()
    world.physician.is_active = False
    world.physician.save()
    assert faults(call(world.clerk, "POST", path(world), now=world.now)) == [("", "inactive")]
    assert not CalendarFeed.objects.exists()


def test_who_may_not_hand_out_a_calendar_is_refused(world: World, stranger: User) -> None:
    for method in ("POST", "DELETE"):
        assert call(world.nurse, method, path(world), now=world.now).status_code == 403
        assert call(stranger, method, path(world), now=world.now).status_code == 404
    assert call(stranger, "GET", path(world), now=world.now).status_code == 404
    assert faults(call(world.clerk, "POST", path(world), {"days": 7}, now=world.now)) == [
        ("days", "unknown_field")
    ]
    assert not CalendarFeed.objects.exists()


def test_a_physician_hands_out_their_own_calendar_and_nobody_elses(world: World, client: Client) -> None:
    colleague = staff("colleague@example.org", roles.PHYSICIAN, world.site)
    own = call(world.physician, "POST", path(world), now=world.now)
    assert own.status_code == 201
    for method in ("POST", "DELETE"):
        assert call(colleague, method, path(world), now=world.now).status_code == 403
    signed_in(colleague, client)
    for name in ("issue", "revoke"):
        assert client.post(page(world, name)).status_code == 403
    assert "Revoke" not in words(client.get(page(world)))
    assert opens(own.json()["address"])
    colleague.user_permissions.add(Permission.objects.get(codename="publish_others"))
    assert call(colleague, "POST", path(world), now=world.now).status_code == 201
    room = f"resources/{world.room.pk}/calendar-feed/"
    assert call(world.physician, "POST", room, now=world.now).status_code == 403
    assert call(world.clerk, "POST", room, now=world.now).status_code == 201


# On the resource's page.


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the clerk of the small clinic is signed in."""
    return signed_in(world.clerk, client)


def issued(response: Any) -> str:
    """The address on the page."""
    found = re.search(r'<input type="text" readonly value="([^"]+)"', response.content.decode())
    assert found
    return found[1]


def test_a_clerk_is_asked_then_shown_the_address_once(desk: Client, world: World) -> None:
    with clock(world.now):
        asked = desk.get(page(world, "issue"))
        assert "stops working" not in words(asked)
        assert not CalendarFeed.objects.exists()
        response = desk.post(page(world, "issue"))
        address = issued(response)
        assert opens(address)
        assert "secret" in words(response)
        assert "no-store" in response["Cache-Control"]
        again = desk.get(page(world)).content.decode()
        assert address not in again
        assert "Issued Fri 8 Jan 2027, 12:00 EST by Front desk Test." in again
        assert "stops working" in words(desk.get(page(world, "issue")))
        newer = issued(desk.post(page(world, "issue")))
    assert (opens(address), opens(newer)) == (False, True)


def test_a_clerk_revokes_after_being_asked_and_a_second_click_changes_nothing(
    desk: Client, world: World
) -> None:
    services.issue_feed(world.doctor, by=world.clerk, now=world.now)
    with clock(world.now):
        assert CalendarFeed.objects.get().revoked_at is None
        for _ in range(2):
            desk.post(page(world, "revoke"))
        assert levels(desk.get(page(world, "revoke"), follow=True)) == ["error", "error"]
    assert CalendarFeed.objects.get().revoked_at == world.now
    assert AuditEvent.objects.filter(action="calendar_feed.revoked").count() == 1


def test_only_who_may_hand_out_calendars_is_offered_it(world: World, client: Client, stranger: User) -> None:
    signed_in(world.nurse, client)
    said = words(client.get(page(world)))
    assert "Calendar address" in said
    assert "Issue" not in said
    for name in ("issue", "revoke"):
        assert client.get(page(world, name)).status_code == 403
        assert client.post(page(world, name)).status_code == 403
    signed_in(stranger, client)
    for name in ("", "issue", "revoke"):
        assert client.get(page(world, name)).status_code == 404
        assert client.post(page(world, name)).status_code == 404
    assert not CalendarFeed.objects.exists()


def test_issuing_needs_the_pages_own_form(world: World) -> None:
    strict = signed_in(world.clerk, Client(enforce_csrf_checks=True))
    assert strict.post(page(world, "issue")).status_code == 403
    assert not CalendarFeed.objects.exists()


def test_of_a_resource_out_of_use_only_revoking_is_offered(desk: Client, world: World) -> None:
    services.issue_feed(world.doctor, by=world.clerk, now=world.now)
    world.doctor.active = False
    world.doctor.save()
    said = words(desk.get(page(world)))
    assert "Revoke" in said
    assert "Issue a new" not in said
    assert levels(desk.post(page(world, "issue"), follow=True)) == ["error"]
