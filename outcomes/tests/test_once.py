"""A POST that is sent again under its Idempotency-Key is done once, whichever it is; another one is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from clinic import services as ground
from clinic.api.viewsets import REPLAYED, IdempotentAPIView
from clinic.models import AuditEvent, SentRequest, User
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from outcomes.tests.api_operations import OPEN_IN_API, operations
from patients.models import Patient
from patients.tests.factories import registration
from procedures import services
from procedures.models import Appointment, AppointmentStep, CalendarFeed, WaitlistEntry
from procedures.tests.factories import World, appointment_row, appointments_csv, booking_request

KEY = {"Idempotency-Key": "3f0c2c52-6c0e-4d05-9d8e-8f4f0b1c6a11"}


def post(world: World, path: str, data: Any, user: User | None = None, **more: Any) -> Any:
    headers = KEY | more.pop("headers", {})
    return call(user or world.clerk, "POST", path, data, now=more.get("now", world.now), **headers)


def test_every_post_of_somebody_signed_in_takes_a_key(world: World) -> None:
    posts = {name: view for name, view, _ in operations() if name.startswith("POST ")}
    assert len(posts) > 50
    for name, view in posts.items():
        if name in OPEN_IN_API:  # signing in again is harmless, and its answer a secret
            continue
        assert issubclass(view, IdempotentAPIView), name
        path = name.removeprefix("POST ").format(pk=1, patient=1, code="x")
        response = post(world, path, {}, world.admin, headers={"Idempotency-Key": "two words"})
        assert faults(response) == [("Idempotency-Key", "invalid")], name


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"hold": True}, {"hold": False}),
        ({"hold": False}, {"hold": True}),
        ({}, {"note": "Her sister drives."}),
        ({}, {"levels": "L4–L5"}),
        ({}, {"request": True}),
        ({"request": True}, {}),
    ],
)
def test_a_booking_under_a_used_key_is_the_same_in_every_word(world: World, first: Any, then: Any) -> None:
    """`hold: true`, then `hold: false`, was answered with 200 and "held"; and the time lapsed."""
    made = post(world, "appointments/", booking_request(world, **first))
    assert (made.status_code, made.has_header(REPLAYED)) == (201, False)
    other = post(world, "appointments/", booking_request(world, **then))
    assert (other.status_code, faults(other)) == (409, [("Idempotency-Key", "key_reused")])
    again = post(world, "appointments/", booking_request(world, **first))
    assert (again.status_code, again[REPLAYED], again.json()["id"]) == (200, "true", made.json()["id"])
    assert Appointment.objects.count() == 1


def test_a_key_is_of_one_address_too(world: World) -> None:
    made = post(world, "appointments/", booking_request(world)).json()
    moved = post(world, f"appointments/{made['id']}/reschedule/", {"starts_at": "2027-01-11T13:00"})
    assert (moved.status_code, faults(moved)) == (409, [("Idempotency-Key", "key_reused")])
    other = post(world, f"appointments/{made['id']}/confirm/", {})
    assert (other.status_code, faults(other)) == (409, [("Idempotency-Key", "key_reused")])
    query = post(world, "appointments/?a=b", booking_request(world))
    assert query.status_code == 409
    assert Appointment.objects.get().status == "booked"


def test_moving_again_under_the_key_moves_nothing(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    path, to = f"appointments/{old.pk}/reschedule/", {"starts_at": "2027-01-11T13:00"}
    answers = [post(world, path, to) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, "true", "true"]
    reason = {"overbooked_reason": "An emergency."}
    assert faults(post(world, path, to | reason)) == [("Idempotency-Key", "key_reused")]


def test_a_step_is_taken_once_and_answered_as_it_was(world: World) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    path = f"appointments/{booked.pk}/confirm/"
    first = post(world, path, {})
    services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    again = post(world, path, {})
    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json(), again[REPLAYED]) == (again.json(), "true")
    assert again["Cache-Control"] == "no-store"
    assert AppointmentStep.objects.filter(appointment=booked, step="confirm").count() == 1
    assert faults(call(world.clerk, "POST", path, {}, now=world.now)) == [("status", "not_allowed_now")]


def test_a_patient_is_registered_once_and_whitespace_and_order_do_not_matter(world: World) -> None:
    said = registration(world)
    first = post(world, "patients/", said)
    assert first.status_code == 201, first.json()
    again = post(world, "patients/", dict(reversed(said.items())))
    assert (again.status_code, again.json(), again[REPLAYED]) == (201, first.json(), "true")
    other = post(world, "patients/", said | {"family_name": "Other"})
    assert faults(other) == [("Idempotency-Key", "key_reused")]
    assert Patient.objects.count() == 2
    assert AuditEvent.objects.filter(action="patient.registered").count() == 1


def test_a_refused_request_does_not_use_its_key_up(world: World) -> None:
    said = registration(world)
    assert post(world, "patients/", said | {"born_on": "2040-01-01"}).status_code == 400
    assert post(world, "patients/", said, world.nurse, headers={"Accept": "text/html"}).status_code == 406
    assert not SentRequest.objects.exists()
    assert post(world, "patients/", said).status_code == 201


def test_keys_are_ones_own(world: World) -> None:
    said = registration(world)
    assert post(world, "patients/", said).status_code == 201
    other = post(world, "patients/", said | {"record_number": "P99", "insist": True}, world.nurse)
    assert (other.status_code, other.has_header(REPLAYED)) == (201, False)


def test_a_file_is_imported_once_and_another_under_the_key_refused(world: World) -> None:
    def send(data: bytes) -> Any:
        client = APIClient()
        client.force_authenticate(User.objects.get(pk=world.clerk.pk))
        form = {"file": SimpleUploadedFile("a.csv", data, "text/csv"), "mode": "all"}
        return client.post("/api/v1/imports/appointments/", form, format="multipart", headers=KEY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: world.now)
        first, again = send(appointments_csv(appointment_row())), send(appointments_csv(appointment_row()))
        assert (first.status_code, again.status_code) == (200, 200), first.json()
        assert (again[REPLAYED], again.json()["counts"]) == ("true", first.json()["counts"])
        assert first.json()["counts"]["added"] == 1
        assert faults(send(appointments_csv(appointment_row(time="13:00")))) == [
            ("Idempotency-Key", "key_reused")
        ]
    assert Appointment.objects.count() == 1


def test_an_answer_that_was_a_secret_is_not_kept_and_nothing_is_done_again(world: World) -> None:
    path = f"resources/{world.doctor.pk}/calendar-feed/"
    first = post(world, path, {})
    assert first.status_code == 201
    again = post(world, path, {})
    assert (again.status_code, faults(again)) == (409, [("Idempotency-Key", "answer_not_kept")])
    assert CalendarFeed.objects.get().revoked_at is None
    assert SentRequest.objects.get().answer is None


def test_answers_go_after_some_days_and_the_key_stays_used(world: World) -> None:
    said = registration(world)
    booked = post(world, "appointments/", booking_request(world), headers={"Idempotency-Key": "b"}).json()
    assert post(world, "patients/", said).status_code == 201
    assert ground.drop_old_answers(now=world.now + ground.ANSWERS_KEPT) == 0
    later = world.now + ground.ANSWERS_KEPT + timedelta(seconds=1)
    assert ground.drop_old_answers(now=later) == 1
    assert ground.drop_old_answers(now=later) == 0
    again = post(world, "patients/", said, now=later)
    assert (again.status_code, faults(again)) == (409, [("Idempotency-Key", "answer_not_kept")])
    assert faults(post(world, "patients/", said | {"family_name": "X"}, now=later)) == [
        ("Idempotency-Key", "key_reused")
    ]
    still = post(world, "appointments/", booking_request(world), now=later, headers={"Idempotency-Key": "b"})
    assert (still.status_code, still.json()["id"], still[REPLAYED]) == (200, booked["id"], "true")


def test_a_waiting_patient_is_booked_once(world: World) -> None:
    entry = WaitlistEntry(
        patient=world.patient,
        procedure_type=world.ablation,
        region="lumbar",
        laterality="left",
        earliest_on=world.now.date(),
    )
    services.join_waitlist(entry, by=world.clerk, now=world.now)
    path = f"waitlist/{entry.pk}/book/"
    said = {"site": world.site.pk, "starts_at": f"{MONDAY}T09:00"}
    answers = [post(world, path, said) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200], answers[0].json()
    assert answers[1][REPLAYED] == "true"
    assert faults(post(world, path, said | {"resources": [world.room.pk]})) == [
        ("Idempotency-Key", "key_reused")
    ]


def test_a_form_at_the_desk_names_everything_that_is_typed(world: World) -> None:
    """The same page sent twice is one click; with anything else typed it is another request."""
    from procedures.admin.appointment_forms import BookingForm

    form = BookingForm.__new__(BookingForm)
    typed = {
        "key": "k",
        "note": "a",
        "only_request": False,
        "resources": [world.room],
        "patient": world.patient,
    }
    keys = set()
    changes: list[dict[str, Any]] = [
        {},
        {},
        {"note": "b"},
        {"only_request": True},
        {"resources": []},
        {"key": "l"},
    ]
    for change in changes:
        form.cleaned_data = typed | change
        keys.add(form.request_key())
    assert len(keys) == 5
    assert all(len(key) <= 100 for key in keys)
