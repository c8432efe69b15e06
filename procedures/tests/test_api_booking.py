"""Holding, retrying, overbooking and moving a patient through the day by API."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken
from rest_framework.test import APIClient

from clinic import roles
from clinic.models import Site
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, resource, staff
from procedures import services
from procedures.models import Appointment, Procedure
from procedures.services.booking import HOLD_LASTS
from procedures.tests.factories import World, booked_appointment, booking_request, row_counts
from procedures.workflow import STEPS, possible

#: A key as a client would make one.
KEY = {"Idempotency-Key": "3f0c2c52-6c0e-4d05-9d8e-8f4f0b1c6a11"}


def held(world: World, **changes: Any) -> dict[str, Any]:
    """The answer to a request that holds Monday at nine."""
    response = call(
        world.clerk, "POST", "appointments/", booking_request(world, hold=True, **changes), now=world.now
    )
    assert response.status_code == 201, response.json()
    shown: dict[str, Any] = response.json()
    return shown


def test_a_held_time_is_booked_by_a_step(world: World) -> None:
    shown = held(world)
    assert (shown["status"], shown["held_until"]) == ("held", "2027-01-08T17:10:00Z")
    assert shown["possible_steps"] == ["book", "cancel"]
    other = booking_request(world, patient=world.another_patient().pk)
    assert call(world.clerk, "POST", "appointments/", other, now=world.now).status_code == 409
    response = call(world.clerk, "POST", f"appointments/{shown['id']}/book/", now=world.now)
    assert response.status_code == 200
    after = response.json()
    assert (after["status"], after["held_until"]) == ("booked", None)
    assert [(step["step"], step["status"], step["by"]) for step in after["steps"]] == [
        ("hold", "held", str(world.clerk)),
        ("book", "booked", str(world.clerk)),
    ]


def test_a_hold_that_ran_out_is_no_longer_booked_and_its_time_is_free(world: World) -> None:
    shown = held(world)
    later = world.now + HOLD_LASTS
    before = row_counts()
    response = call(world.clerk, "POST", f"appointments/{shown['id']}/book/", now=later)
    assert faults(response) == [("status", "hold_expired")]
    assert row_counts() == before
    other = booking_request(world, patient=world.another_patient().pk)
    assert call(world.clerk, "POST", "appointments/", other, now=later).status_code == 201
    gone = call(world.clerk, "GET", f"appointments/{shown['id']}/", now=later).json()
    assert (gone["status"], gone["ended_reason"]) == ("cancelled", "The hold ran out.")
    assert gone["steps"][-1]["by"] is None


@pytest.mark.parametrize("hold", ["true", 1, None, "yes", []])
def test_a_hold_is_true_or_false(world: World, hold: object) -> None:
    response = call(world.clerk, "POST", "appointments/", booking_request(world, hold=hold), now=world.now)
    assert response.status_code == 400
    assert [field for field, _ in faults(response)] == ["hold"]


def test_the_same_request_again_makes_nothing_new(world: World) -> None:
    first = call(world.clerk, "POST", "appointments/", booking_request(world), now=world.now, **KEY)
    assert first.status_code == 201
    before = row_counts()
    again = call(
        world.clerk,
        "POST",
        "appointments/",
        booking_request(world),
        now=world.now + timedelta(minutes=1),
        **KEY,
    )
    assert (again.status_code, again.json()) == (200, first.json())
    assert row_counts() == before
    # Long after, the patient has come and gone: the answer is still about the same appointment.
    services.cancel(first.json()["id"], reason="ill", by=world.clerk, now=world.now)
    again = call(
        world.clerk, "POST", "appointments/", booking_request(world), now=world.now + timedelta(days=9), **KEY
    )
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize("changes", [{"starts_at": "2027-01-11T13:00"}, {"patient": 2}])
def test_a_key_is_good_for_one_request(world: World, changes: dict[str, Any]) -> None:
    if "patient" in changes:
        changes = {"patient": world.another_patient().pk}
    assert (
        call(world.clerk, "POST", "appointments/", booking_request(world), now=world.now, **KEY).status_code
        == 201
    )
    before = row_counts()
    response = call(
        world.clerk, "POST", "appointments/", booking_request(world, **changes), now=world.now, **KEY
    )
    assert response.status_code == 409
    assert faults(response) == [("Idempotency-Key", "key_reused")]
    assert row_counts() == before


def test_a_refused_request_does_not_use_its_key_up(world: World) -> None:
    bad = booking_request(world, starts_at="2027-01-11T18:00")
    assert call(world.clerk, "POST", "appointments/", bad, now=world.now, **KEY).status_code == 400
    assert (
        call(world.clerk, "POST", "appointments/", booking_request(world), now=world.now, **KEY).status_code
        == 201
    )


def test_keys_are_ones_own(world: World) -> None:
    assert (
        call(world.clerk, "POST", "appointments/", booking_request(world), now=world.now, **KEY).status_code
        == 201
    )
    other = booking_request(world, patient=world.another_patient().pk, starts_at="2027-01-11T13:00")
    assert call(world.nurse, "POST", "appointments/", other, now=world.now, **KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 101, "two words", "schlüssel"])
def test_a_key_is_1_to_100_visible_characters(world: World, key: str) -> None:
    before = row_counts()
    response = call(
        world.clerk,
        "POST",
        "appointments/",
        booking_request(world),
        now=world.now,
        **{"Idempotency-Key": key},
    )
    assert faults(response) == [("Idempotency-Key", "invalid")]
    assert row_counts() == before


def test_overbooking_needs_permission_reason_and_a_resource_that_allows_it(world: World) -> None:
    booked_appointment(world)
    second = booking_request(world, patient=world.another_patient().pk, overbooked_reason="An emergency.")
    before = row_counts()
    assert call(world.clerk, "POST", "appointments/", second, now=world.now).status_code == 403
    # No resource of this clinic may be held twice as yet.
    assert call(world.physician, "POST", "appointments/", second, now=world.now).status_code == 409
    assert row_counts() == before
    for needed in (world.room, world.bay, world.doctor):
        needed.overbooking = 1
        needed.save()
    response = call(world.physician, "POST", "appointments/", second, now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert (shown["overbooked"], shown["overbooked_reason"]) == (True, "An emergency.")
    assert [row["lane"] for row in shown["reservations"]] == [1, 1, 1]
    assert shown["steps"][0]["reason"] == "An emergency."
    third = second | {"patient": world.another_patient(3).pk}
    assert call(world.physician, "POST", "appointments/", third, now=world.now).status_code == 409
    # The patient is in one place all the same.
    same = second | {"patient": world.patient.pk}
    assert call(world.physician, "POST", "appointments/", same, now=world.now).status_code == 409


def test_overbooking_nothing_is_no_overbooking(world: World) -> None:
    inputs = booking_request(world, overbooked_reason="To be sure.")
    shown = call(world.physician, "POST", "appointments/", inputs, now=world.now).json()
    assert (shown["overbooked"], shown["overbooked_reason"]) == (False, "")


def test_moving_into_a_taken_time_needs_the_same_permission(world: World) -> None:
    booked_appointment(world)
    other = booked_appointment(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    inputs = {"starts_at": "2027-01-11T09:00", "overbooked_reason": "An emergency."}
    path = f"appointments/{other.pk}/reschedule/"
    before = row_counts()
    assert call(world.clerk, "POST", path, inputs, now=world.now).status_code == 403
    assert call(world.physician, "POST", path, inputs, now=world.now).status_code == 409
    assert row_counts() == before
    other.refresh_from_db()
    assert other.status == "booked"


def test_a_clinician_without_privilege_and_an_inactive_one_are_refused(world: World) -> None:
    category = world.doctor.categories.get()
    category.needs_privilege = True
    category.save()
    inputs = booking_request(world, resources=[world.doctor.pk])
    before = row_counts()
    assert faults(call(world.clerk, "POST", "appointments/", inputs, now=world.now)) == [
        ("resources", "no_privilege")
    ]
    world.doctor.active = False
    world.doctor.save()
    assert faults(call(world.clerk, "POST", "appointments/", inputs, now=world.now)) == [
        ("resources", "inactive")
    ]
    assert row_counts() == before


def test_a_patients_way_through_the_day(world: World) -> None:
    appointment = booked_appointment(world)
    nine = world.at(MONDAY, 9)
    for name, status in (
        ("confirm", "confirmed"),
        ("arrive", "arrived"),
        ("undo-arrival", "confirmed"),
        ("arrive", "arrived"),
        ("make-ready", "ready"),
        ("start", "in_procedure"),
        ("to-recovery", "recovering"),
    ):
        response = call(world.nurse, "POST", f"appointments/{appointment.pk}/{name}/", now=nine)
        assert (response.status_code, response.json()["status"]) == (200, status)
    shown = response.json()
    assert [step["step"] for step in shown["steps"]] == [
        *("book", "confirm", "arrive", "undo_arrival", "arrive", "make_ready", "start", "to_recovery")
    ]
    assert shown["steps"][-1]["at"] == "2027-01-11T14:00:00Z"
    record = {"performed_at": "2027-01-11T09:00", "baseline_pain": 8}
    path = f"appointments/{appointment.pk}/complete/"
    assert call(world.nurse, "POST", path, record, now=nine).status_code == 201
    shown = call(world.physician, "GET", f"appointments/{appointment.pk}/", now=nine).json()
    assert (shown["status"], shown["possible_steps"]) == ("completed", ["enter_in_error"])


def test_a_step_that_does_not_lead_on_is_refused(world: World) -> None:
    appointment = booked_appointment(world)
    nine = world.at(MONDAY, 9)
    before = row_counts()
    for name in ("book", "undo-arrival", "make-ready", "start", "to-recovery"):
        response = call(world.nurse, "POST", f"appointments/{appointment.pk}/{name}/", now=nine)
        assert faults(response) == [("status", "not_allowed_now")], name
    assert row_counts() == before


def test_a_no_show_is_marked_from_the_start_on(world: World) -> None:
    appointment = booked_appointment(world)
    path = f"appointments/{appointment.pk}/mark-no-show/"
    assert faults(call(world.clerk, "POST", path, now=world.now)) == [("status", "too_early")]
    assert call(world.clerk, "POST", path, now=world.at(MONDAY, 10)).json()["status"] == "no_show"


def test_cancelling_says_whose_wish_it_was(world: World) -> None:
    first = booked_appointment(world)
    path = f"appointments/{first.pk}/cancel/"
    before = row_counts()
    bad = {"reason": "ill", "ended_by": "the weather"}
    assert faults(call(world.clerk, "POST", path, bad, now=world.now)) == [("ended_by", "invalid_choice")]
    assert row_counts() == before
    shown = call(world.clerk, "POST", path, {"reason": "ill", "ended_by": "patient"}, now=world.now).json()
    assert (shown["ended_by"], shown["ended_reason"]) == ("patient", "ill")
    assert shown["possible_steps"] == []  # to enter it in error is the physician's
    second = booked_appointment(world)
    shown = call(
        world.clerk, "POST", f"appointments/{second.pk}/cancel/", {"reason": "burst pipe"}, now=world.now
    ).json()
    assert shown["ended_by"] == "clinic"


def test_entered_in_error_takes_the_procedure_along(world: World) -> None:
    procedure = world.performed()
    path = f"appointments/{procedure.appointment_id}/enter-in-error/"
    assert call(world.nurse, "POST", path, {"reason": "wrong patient"}, now=world.now).status_code == 403
    assert faults(call(world.physician, "POST", path, {}, now=world.now)) == [("reason", "required")]
    shown = call(world.physician, "POST", path, {"reason": "wrong patient"}, now=world.now).json()
    assert shown["status"] == "entered_in_error"
    assert Procedure.objects.get().status == "entered_in_error"


@pytest.mark.parametrize("status", Appointment.Status.values)
def test_possible_steps_are_those_that_the_user_may_take(world: World, status: str) -> None:
    appointment = booked_appointment(world)
    values: dict[str, Any] = {"status": status, "ended_reason": "a reason"}
    if status == "held":
        values["held_until"] = world.now + HOLD_LASTS
    Appointment.objects.filter(pk=appointment.pk).update(**values)
    for user in (world.clerk, world.nurse, world.physician):
        path = f"appointments/{appointment.pk}/"
        shown = call(user, "GET", path, now=world.now).json()["possible_steps"]
        for step in STEPS.values():
            address = f"{path}{step.name.replace('_', '-')}/"
            response = call(user, "POST", address, {"nonsense": 1}, now=world.now)
            assert response.status_code == (400 if user.has_perm(step.permission) else 403), address
            assert (step.name in shown) == (step in possible(status) and user.has_perm(step.permission))


def test_the_day_list_takes_the_same_queries_for_1_row_and_for_6(world: World) -> None:
    def counted() -> tuple[int, list[dict[str, Any]]]:
        with CaptureQueriesContext(connection) as queries:
            response = call(
                world.nurse,
                "GET",
                f"appointments/?site={world.site.pk}&day=2027-01-11&clinician={world.doctor.pk}",
                now=world.at(MONDAY, 8),
            )
        return len(queries), response.json()["results"]

    first = booked_appointment(world, starts_at=world.at(MONDAY, 8))
    few, shown = counted()
    assert [row["id"] for row in shown] == [first.pk]
    resource("Bay 2", world.bay.categories.get(), world.site)
    for number in range(2, 7):
        made = booked_appointment(
            world,
            patient=world.another_patient(number),
            starts_at=world.at(MONDAY, 7 + number),
        )
        services.take_step(made.pk, "confirm", by=world.clerk, now=world.now)
    many, shown = counted()
    assert len(shown) == 6
    assert all(len(row["steps"]) == 2 and row["possible_steps"] for row in shown[1:])
    assert many == few


def test_steps_of_another_sites_appointment_do_not_exist(world: World) -> None:
    appointment = booked_appointment(world)
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, other)
    before = row_counts()
    for step in STEPS.values():
        name = {"complete": "perform"}.get(step.name, step.name.replace("_", "-"))
        path = f"appointments/{appointment.pk}/{name}/"
        assert call(stranger, "POST", path, {}, now=world.now).status_code == 404
    assert row_counts() == before


def test_midnight_of_the_spring_day_is_crossed(world: World) -> None:
    """105 minutes from Saturday 23:30 on; on Sunday, 14 March 2027, the clocks jump from two to three."""
    for needed in (world.room, world.bay, world.doctor):
        needed.working_hours.all().delete()
        for weekday in (5, 6):
            needed.working_hours.create(site=world.site, weekday=weekday, opens="00:00", closes="23:59")
    response = call(
        world.clerk,
        "POST",
        "appointments/",
        booking_request(world, starts_at="2027-03-13T23:30"),
        now=world.now,
    )
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert shown["ends_at_local"] == "2027-03-14T01:15:00-05:00"
    path = f"appointments/{shown['id']}/reschedule/"
    response = call(world.clerk, "POST", path, {"starts_at": "2027-03-14T01:30"}, now=world.now)
    assert response.status_code == 201, response.json()
    assert response.json()["ends_at_local"] == "2027-03-14T04:15:00-04:00"


@pytest.mark.parametrize("named", [0, 1, 3])
def test_what_booking_answers_is_what_is_read_afterwards(world: World, named: int) -> None:
    """It is not read again for the answer."""
    resources = [world.doctor, world.room, world.bay][:named]
    asked = booking_request(world, note="by the window", resources=[resource.pk for resource in resources])
    answer = call(world.clerk, "POST", "appointments/", asked, now=world.now)
    assert answer.status_code == 201
    shown = call(world.clerk, "GET", f"appointments/{answer.json()['id']}/", now=world.now)
    assert answer.json() == shown.json()
    assert len(shown.json()["reservations"]) == 3


def test_booking_by_token_asks_the_database_eighteen_times(
    world: World, django_assert_num_queries: Any
) -> None:
    client = APIClient(
        headers={"Authorization": f"Token {AuthToken.objects.create(world.clerk, expiry=None)[1]}"}
    )
    asked = booking_request(world, resources=[world.doctor.pk, world.room.pk, world.bay.pk])
    at_that_time = mock.patch("procedures.api.appointments.timezone.now", return_value=world.now)
    # Who it is (knox asks twice), what they may do and where; four things that the request names; in one transaction
    # (a savepoint here) a look, the locks, another look; the appointment, its reservations, step, event and letter.
    with at_that_time, django_assert_num_queries(4 + 4 + 2 + 8):
        assert client.post("/api/v1/appointments/", asked, format="json").status_code == 201
