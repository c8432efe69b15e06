"""Closing and opening again by API, with the look beforehand."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Closure, Site
from clinic.refusals import Refusal
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.tests.factories import World, booked_appointment, booking_request


def closure(world: World, **changes: Any) -> dict[str, Any]:
    """A request that is granted: Room 1 is closed on Monday morning."""
    return {
        "resource": world.room.pk,
        "starts_at": "2027-01-11T08:00",
        "ends_at": "2027-01-11T12:00",
        "reason": "New floor",
    } | changes


def test_whom_it_would_displace_is_seen_first_and_nothing_is_saved(world: World) -> None:
    first = booked_appointment(world)
    booked_appointment(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    before = (Closure.objects.count(), AuditEvent.objects.count())
    response = call(world.clerk, "POST", "closures/preview/", closure(world), now=world.now)
    assert response.status_code == 200, response.json()
    assert response.json()["count"] == 1
    assert [row["id"] for row in response.json()["appointments"]] == [first.pk]
    assert (Closure.objects.count(), AuditEvent.objects.count()) == before
    whole = closure(world, resource=None, site=world.site.pk, ends_at="2027-01-12T00:00")
    assert call(world.clerk, "POST", "closures/preview/", whole, now=world.now).json()["count"] == 2


def test_closing_keeps_new_bookings_out_and_opening_lets_them_in(world: World) -> None:
    first = booked_appointment(world)
    response = call(world.clerk, "POST", "closures/", closure(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert shown["starts_at"] == "2027-01-11T13:00:00Z"
    assert shown["ends_at_local"] == "2027-01-11T12:00:00-05:00"
    assert (shown["resource"], shown["site"]) == ({"id": world.room.pk, "name": "Room 1"}, None)
    path = f"closures/{shown['id']}/"
    displaced = call(world.clerk, "GET", f"{path}displaced/", now=world.now).json()
    assert [row["id"] for row in displaced["appointments"]] == [first.pk]
    inputs = booking_request(world, patient=world.another_patient().pk, starts_at="2027-01-11T10:00")
    assert faults(call(world.clerk, "POST", "appointments/", inputs, now=world.now)) == [
        ("starts_at", "closed")
    ]
    # The guided way out: move whom it displaces.
    moved = {"starts_at": "2027-01-11T13:00"}
    assert (
        call(world.clerk, "POST", f"appointments/{first.pk}/reschedule/", moved, now=world.now).status_code
        == 201
    )
    assert call(world.clerk, "GET", f"{path}displaced/", now=world.now).json()["count"] == 0
    response = call(world.clerk, "DELETE", path, now=world.now)
    assert (response.status_code, Closure.objects.count()) == (204, 0)
    assert call(world.clerk, "POST", "appointments/", inputs, now=world.now).status_code == 201
    assert {"closure.added", "closure.removed"} <= set(AuditEvent.objects.values_list("action", flat=True))


def test_a_yearly_closure_shows_its_later_years_and_goes_with_them(world: World) -> None:
    inputs = closure(
        world,
        resource=None,
        site=world.site.pk,
        starts_at="2027-12-25T00:00",
        ends_at="2027-12-26T00:00",
        yearly=True,
    )
    made = call(world.clerk, "POST", "closures/", inputs, now=world.now).json()
    listed = call(world.nurse, "GET", "closures/", now=world.now).json()["results"]
    assert listed[0] == made
    assert len(listed) > 1
    assert {row["repeats"] for row in listed[1:]} == {made["id"]}
    assert all(row["starts_at_local"].endswith("-12-25T00:00:00-05:00") for row in listed)
    call(world.clerk, "DELETE", f"closures/{made['id']}/", now=world.now)
    assert Closure.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ends_at": "2027-01-11T08:00"}, ("ends_at", "ends_before_start")),
        ({"ends_at": "2027-01-11T07:00"}, ("ends_at", "ends_before_start")),
        ({"ends_at": "2027-03-14T02:30"}, ("ends_at", "no_such_time")),
        ({"starts_at": "2027-03-14T02:30", "ends_at": "2027-03-14T03:30"}, ("starts_at", "no_such_time")),
        ({"starts_at": "2027-01-11"}, ("starts_at", "invalid")),
        ({"ends_at": "2200-01-01T00:00"}, ("ends_at", "out_of_range")),
        ({"resource": None}, ("site", "site_or_resource")),
        ({"resource": 987654}, ("resource", "does_not_exist")),
        ({"resource": "1"}, ("resource", "incorrect_type")),
        ({"site": 987654}, ("site", "does_not_exist")),
        ({"reason": " "}, ("reason", "blank")),
        ({"reason": "x" * 201}, ("reason", "max_length")),
        ({"yearly": "yes"}, ("yearly", "invalid")),
        ({"repeats": 1}, ("repeats", "unknown_field")),
    ],
)
@pytest.mark.parametrize("path", ["closures/", "closures/preview/"])
def test_a_bad_closure_is_refused_alike_when_looked_at_and_when_made(
    world: World, path: str, changes: dict[str, Any], fault: tuple[str, str]
) -> None:
    before = AuditEvent.objects.count()
    response = call(world.clerk, "POST", path, closure(world, **changes), now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)
    assert (Closure.objects.count(), AuditEvent.objects.count()) == (0, before)


def test_a_site_and_a_resource_are_not_closed_at_once(world: World) -> None:
    response = call(world.clerk, "POST", "closures/", closure(world, site=world.site.pk), now=world.now)
    assert faults(response) == [("site", "site_or_resource")]


def test_another_sites_closures_and_appointments_do_not_exist(world: World) -> None:
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.FRONT_DESK, other)
    made = call(world.clerk, "POST", "closures/", closure(world), now=world.now).json()
    assert call(stranger, "GET", "closures/", now=world.now).json()["results"] == []
    for verb, path in (("GET", ""), ("GET", "displaced/"), ("DELETE", "")):
        assert call(stranger, verb, f"closures/{made['id']}/{path}", now=world.now).status_code == 404
    assert faults(call(stranger, "POST", "closures/", closure(world), now=world.now)) == [
        ("resource", "does_not_exist")
    ]
    # The doctor also works at Hillside: whoever sees them there learns how many are displaced, not who at Riverside.
    world.doctor.working_hours.create(site=other, weekday=5, opens="08:00", closes="12:00")
    booked_appointment(world, starts_at=world.at(MONDAY, 13))
    leave = closure(world, resource=world.doctor.pk, ends_at="2027-01-12T08:00")
    assert call(stranger, "POST", "closures/preview/", leave, now=world.now).json() == {
        "count": 1,
        "appointments": [],
    }
    assert Closure.objects.count() == 1


def test_lists_are_narrowed(world: World) -> None:
    for changes in ({}, {"resource": world.doctor.pk}, {"resource": None, "site": world.site.pk}):
        call(world.clerk, "POST", "closures/", closure(world, **changes), now=world.now)
    room, doctor, site = Closure.objects.order_by("pk").values_list("pk", flat=True)

    def found(query: str) -> list[int]:
        response = call(world.nurse, "GET", f"closures/?{query}", now=world.now)
        assert response.status_code == 200, response.json()
        return [row["id"] for row in response.json()["results"]]

    assert found("") == found(f"site={world.site.pk}") == [room, doctor, site]
    assert found(f"resource={world.doctor.pk}") == [doctor]
    assert found("ends_after=2027-01-11T17:00:00Z") == []
    assert found("starts_before=2027-01-11T13:00:00Z") == []
    assert found("ends_after=2027-01-11T16:59:00Z&starts_before=2027-01-11T13:01:00Z") == [room, doctor, site]


def test_a_preview_takes_the_same_queries_for_1_and_for_5(world: World) -> None:
    def counted() -> tuple[int, int]:
        week = closure(world, ends_at="2027-01-18T08:00")
        with CaptureQueriesContext(connection) as queries:
            response = call(world.clerk, "POST", "closures/preview/", week, now=world.now)
        return len(queries), response.json()["count"]

    booked_appointment(world)
    few = counted()
    for number in range(1, 5):
        made = booked_appointment(
            world,
            patient=world.another_patient(number + 1),
            starts_at=world.at(MONDAY + timedelta(days=number), 9),
        )
        services.take_step(made.pk, "confirm", by=world.clerk, now=world.now)
    assert (few, counted()) == ((few[0], 1), (few[0], 5))


def test_a_physician_enters_their_own_leave_and_nobody_elses(world: World) -> None:
    for other in (closure(world), closure(world, resource=None, site=world.site.pk)):
        assert faults(call(world.physician, "POST", "closures/", other, now=world.now)) == [
            ("resource", "not_yours")
        ]
    assert not Closure.objects.exists()
    leave = closure(world, resource=world.doctor.pk, reason="Away")
    made = call(world.physician, "POST", "closures/", leave, now=world.now)
    assert made.status_code == 201, made.json()
    assert AuditEvent.objects.get(action="closure.added").by == world.physician
    assert faults(call(world.nurse, "DELETE", f"closures/{made.json()['id']}/", now=world.now)) == [
        ("resource", "not_yours")
    ]
    assert call(world.physician, "DELETE", f"closures/{made.json()['id']}/", now=world.now).status_code == 204
    assert not Closure.objects.exists()


def test_somebody_elses_closure_is_not_made_ones_own_leave(world: World) -> None:
    made = services.close(
        Closure(
            resource=world.room, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9), reason="Floor"
        ),
        by=world.clerk,
        now=world.now,
    )
    made.resource = world.doctor
    with pytest.raises(Refusal) as refused:
        services.close(made, by=world.physician, now=world.now)
    assert refused.value.code == "not_yours"
