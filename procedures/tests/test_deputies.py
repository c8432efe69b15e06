"""Who stands in for somebody who is away: by the service, the API and the form, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from clinic.models import Closure, Resource, Site, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.tests.factories import World

CLOSURES = "/admin/clinic/closure/"


def leave(world: World, **changes: Any) -> Closure:
    values: dict[str, Any] = {
        "resource": world.doctor,
        "starts_at": world.at(MONDAY, 0),
        "ends_at": world.at(MONDAY + timedelta(days=7), 0),
        "reason": "leave",
        "deputy": world.nurse,
    }
    return Closure(**values | changes)


def who(world: World, name: str) -> User:
    """A possible deputy, by what speaks for or against them."""
    if name == "inactive":
        User.objects.filter(pk=world.nurse.pk).update(is_active=False)
    if name == "elsewhere":
        far = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
        return staff("far@example.org", "Physician", far)
    people = {"nurse": world.nurse, "inactive": world.nurse, "clerk": world.clerk, "self": world.physician}
    return people[name]


def test_time_off_names_a_deputy_and_every_year_again(world: World) -> None:
    made = services.close(leave(world, yearly=True), by=world.physician, now=world.now)
    assert {closure.deputy for closure in Closure.objects.all()} == {world.nurse}
    assert Closure.objects.filter(repeats=made).count() == 2
    services.extend_yearly_closures(now=world.now + timedelta(days=800))
    assert {closure.deputy for closure in Closure.objects.all()} == {world.nurse}
    made.refresh_from_db()
    made.deputy = None
    services.close(made, by=world.physician, now=world.now)
    assert {closure.deputy for closure in Closure.objects.all()} == {None}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("self", "own_deputy"),
        ("inactive", "not_allowed"),
        ("clerk", "not_allowed"),
        ("elsewhere", "not_allowed"),
    ],
)
def test_who_cannot_stand_in_is_refused_and_nothing_is_saved(world: World, name: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        services.close(leave(world, deputy=who(world, name)), by=world.physician, now=world.now)
    assert (refused.value.code, refused.value.field) == (code, "deputy")
    assert not Closure.objects.exists()


def test_neither_a_site_nor_a_room_has_a_deputy(world: World) -> None:
    cases: dict[str, dict[str, Any]] = {
        "deputy_of_a_site": {"resource": None, "site": world.site},
        "deputy_of_a_thing": {"resource": world.room},
    }
    for code, changes in cases.items():
        with pytest.raises(Refusal) as refused:
            services.close(leave(world, **changes), by=world.clerk, now=world.now)
        assert (refused.value.code, refused.value.field) == (code, "deputy")
    with pytest.raises(IntegrityError, match="closure_deputy_of_a_resource"), transaction.atomic():
        leave(world, resource=None, site=world.site).save()


def test_an_administrator_and_somebody_who_is_away_too_can_be_named(world: World) -> None:
    services.close(leave(world, deputy=world.admin), by=world.physician, now=world.now)
    nurse = Resource.objects.create(name="Nurse", site=world.site, user=world.nurse)
    services.close(leave(world, resource=nurse, deputy=world.physician), by=world.clerk, now=world.now)
    services.close(leave(world, ends_at=world.at(MONDAY, 12)), by=world.physician, now=world.now)
    assert Closure.objects.count() == 3


def inputs(world: World, **changes: Any) -> dict[str, Any]:
    said = {"resource": world.doctor.pk, "starts_at": "2027-01-11T08:00", "ends_at": "2027-01-12T08:00"}
    return said | {"reason": "leave", "deputy": world.nurse.pk} | changes


def test_the_api_takes_and_shows_the_deputy(world: World) -> None:
    made = call(world.physician, "POST", "closures/", inputs(world), now=world.now)
    assert made.status_code == 201, made.json()
    nurse = {"id": world.nurse.pk, "name": "Nurse Test"}
    assert made.json()["deputy"] == nurse
    listed = call(world.nurse, "GET", "closures/", now=world.now).json()["results"]
    assert [row["deputy"] for row in listed] == [nurse]
    for day, none in ((13, {"deputy": None}), (14, {})):
        when = {"starts_at": f"2027-01-{day}T08:00", "ends_at": f"2027-01-{day}T18:00"}
        said = {name: value for name, value in inputs(world, **when).items() if name != "deputy"} | none
        made = call(world.physician, "POST", "closures/", said, now=world.now)
        assert (made.status_code, made.json()["deputy"]) == (201, None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("self", "own_deputy"),
        ("inactive", "not_allowed"),
        ("clerk", "not_allowed"),
        ("elsewhere", "does_not_exist"),
    ],
)
def test_the_api_refuses_the_same_by_code_and_field(world: World, name: str, code: str) -> None:
    said = inputs(world, deputy=who(world, name).pk)
    assert faults(call(world.physician, "POST", "closures/", said, now=world.now)) == [("deputy", code)]
    assert not Closure.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"deputy": "1"}, "incorrect_type"),
        ({"deputy": True}, "incorrect_type"),
        ({"deputy": 987654}, "does_not_exist"),
        ({"resource": "room"}, "deputy_of_a_thing"),
        ({"resource": None, "site": "site"}, "deputy_of_a_site"),
    ],
)
def test_a_bad_deputy_is_refused_by_the_api(world: World, changes: dict[str, Any], code: str) -> None:
    names = {"room": world.room.pk, "site": world.site.pk}
    said = inputs(world, **{name: names.get(str(value), value) for name, value in changes.items()})
    assert faults(call(world.clerk, "POST", "closures/", said, now=world.now)) == [("deputy", code)]


def typed(world: World, client: Client, **changes: Any) -> Any:
    data = {"resource": world.doctor.pk, "starts_0": MONDAY.isoformat(), "starts_1": "00:00"}
    data |= {"ends_0": (MONDAY + timedelta(days=1)).isoformat(), "ends_1": "00:00", "reason": "leave"}
    with clock(world.now):
        return client.post(f"{CLOSURES}add/", data | changes)


def offered(client: Client) -> list[str]:
    page = client.get(f"{CLOSURES}add/")
    return [str(text) for value, text in page.context["adminform"].form.fields["deputy"].choices if value]


def test_the_form_offers_who_may_handle_alerts_and_saves_who_stands_in(world: World, client: Client) -> None:
    signed_in(world.physician, client)
    assert offered(client) == ["Admin", "Nurse Test"]  # not oneself, not the front desk
    assert typed(world, client, deputy=world.nurse.pk).status_code == 302
    assert Closure.objects.get().deputy == world.nurse
    with clock(world.now):
        assert "Nurse Test" in words(client.get(CLOSURES))
        changed = client.get(f"{CLOSURES}{Closure.objects.get().pk}/change/")
    assert changed.context["adminform"].form["deputy"].value() == world.nurse.pk


def test_the_form_says_beside_the_deputy_what_is_wrong(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    cases: dict[str, dict[str, Any]] = {
        "own_deputy": {"deputy": world.physician.pk},
        "deputy_of_a_thing": {"deputy": world.nurse.pk, "resource": world.room.pk},
        "deputy_of_a_site": {"deputy": world.nurse.pk, "resource": "", "site": world.site.pk},
        "invalid_choice": {"deputy": world.clerk.pk},
    }
    for code, said in cases.items():
        assert errors(typed(world, client, **said)) == {"deputy": [code]}, code
    assert not Closure.objects.exists()
