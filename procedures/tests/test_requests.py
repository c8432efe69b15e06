"""A procedure that is only requested takes nobody's time; the front desk finds it, and accepts it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from clinic import roles
from clinic.models import AuditEvent, OutgoingEmail
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment, Reservation
from procedures.tests.factories import World, booking_request, row_counts
from procedures.tests.races import run_together

LIST, FIND = "/admin/procedures/appointment/", "/admin/procedures/appointment/find/"


@pytest.fixture
def wanted(world: World) -> Appointment:
    """Requested for Monday at nine."""
    return services.book(world.appointment(), by=world.admin, now=world.now, request=True)


def code_of(act: Any) -> str:
    with pytest.raises(Refusal) as refused:
        act()
    return str(refused.value.code)


def letters() -> int:
    return OutgoingEmail.objects.filter(template="procedures.emails.booked").count()


def test_a_request_takes_no_time_and_tells_nobody(world: World, wanted: Appointment) -> None:
    assert (wanted.status, wanted.reservations.count(), letters()) == ("requested", 0, 0)
    assert [(step.step, step.status) for step in wanted.steps.all()] == [("request", "requested")]
    assert AuditEvent.objects.filter(action="appointment.requested", object_id=wanted.pk).exists()
    # Somebody else may have the time, and so may the patient for something else.
    assert services.book(world.appointment(), by=world.clerk, now=world.now).status == "booked"


def test_accepting_books_it_once_and_tells_the_patient(world: World, wanted: Appointment) -> None:
    later = world.now + timedelta(hours=1)
    booked = services.accept(wanted.pk, by=world.clerk, now=later)
    assert (booked.status, booked.starts_at, booked.created_at) == ("booked", world.at(MONDAY, 9), later)
    assert booked.reservations.filter(released_at=None).count() == 3
    assert letters() == 1
    assert [(step.step, step.by) for step in booked.steps.order_by("pk")] == [
        ("request", world.admin),
        ("accept", world.clerk),
    ]
    assert code_of(lambda: services.accept(wanted.pk, by=world.clerk, now=later)) == "not_allowed_now"


def test_accepting_what_is_taken_is_refused_and_another_time_is_not(
    world: World, wanted: Appointment
) -> None:
    services.book(world.appointment(patient=world.another_patient()), by=world.clerk, now=world.now)
    assert code_of(lambda: services.accept(wanted.pk, by=world.clerk, now=world.now)) == "taken"
    wanted.refresh_from_db()
    assert (wanted.status, wanted.reservations.count()) == ("requested", 0)
    another = world.at(MONDAY, 14)
    booked = services.accept(
        wanted.pk, starts_at=another, resources=[world.room], by=world.clerk, now=world.now
    )
    assert (booked.starts_at, booked.ends_at - booked.starts_at) == (
        another,
        wanted.ends_at - wanted.starts_at,
    )
    assert {row.resource for row in booked.reservations.all()} >= {world.room}


def test_a_request_whose_time_has_passed_still_waits_for_another(world: World, wanted: Appointment) -> None:
    late = world.at(MONDAY, 12)
    assert code_of(lambda: services.accept(wanted.pk, by=world.clerk, now=late)) == "in_the_past"
    assert (
        services.accept(wanted.pk, starts_at=world.at(MONDAY, 14), by=world.clerk, now=late).status
        == "booked"
    )


def test_who_may_not_book_accepts_nothing_and_who_may_not_overbook_overbooks_nothing(
    world: World, wanted: Appointment
) -> None:
    manager = staff("a manager", roles.MANAGER, world.site)
    with pytest.raises(PermissionDenied):
        services.accept(wanted.pk, by=manager, now=world.now)
    with pytest.raises(PermissionDenied):
        services.accept(wanted.pk, overbooked_reason="So it is", by=world.clerk, now=world.now)


@pytest.mark.parametrize(
    ("field", "given"), [("hold", True), ("overbooked_reason", "Full"), ("resources", "the room")]
)
def test_a_request_that_would_lose_something_is_refused(world: World, field: str, given: Any) -> None:
    given = [world.room.pk] if field == "resources" else given
    before = row_counts()
    doctor = staff("a physician", roles.PHYSICIAN, world.site)
    asked = booking_request(world, request=True, **{field: given})
    response = call(doctor, "POST", "appointments/", asked, now=world.now)
    assert (response.status_code, faults(response)) == (400, [(field, "not_needed")])
    assert row_counts() == before


def test_nonsense_is_refused_of_a_request_too(world: World) -> None:
    gone = booking_request(world, request=True, starts_at="2020-01-06T09:00")
    response = call(world.clerk, "POST", "appointments/", gone, now=world.now)
    assert faults(response) == [("starts_at", "in_the_past")]


@pytest.mark.django_db(transaction=True)
def test_two_clerks_accept_two_requests_for_one_time(world: World) -> None:
    for turn in range(4):
        asked = [
            services.book(
                world.appointment(patient=world.another_patient(700 + 2 * turn + number)),
                by=world.clerk, now=world.now, request=True,
            )
            for number in range(2)
        ]  # fmt: skip
        outcome = run_together(
            *(lambda pk=appointment.pk: services.accept(pk, by=None, now=world.now) for appointment in asked)
        )
        assert outcome == {"won": 1, "taken": 1}
        for appointment in asked:
            services.cancel(appointment.pk, reason="next turn", by=None, now=world.now)


@pytest.mark.django_db(transaction=True)
def test_two_clicks_accept_once(world: World) -> None:
    asked = services.book(world.appointment(), by=world.clerk, now=world.now, request=True)
    outcome = run_together(*[lambda: services.accept(asked.pk, by=None, now=world.now)] * 2)
    assert outcome == {"won": 1, "not_allowed_now": 1}
    assert (Reservation.objects.filter(appointment=asked).count(), letters()) == (3, 1)


def test_a_physician_requests_and_a_clerk_accepts_by_api(world: World) -> None:
    doctor = staff("a physician", roles.PHYSICIAN, world.site)
    key = {"Idempotency-Key": "a-request-of-mine"}
    asked = booking_request(world, request=True, note="Her sister drives")
    first = call(doctor, "POST", "appointments/", asked, now=world.now, **key)
    again = call(doctor, "POST", "appointments/", asked, now=world.now, **key)
    assert (first.status_code, again.status_code) == (201, 200)
    shown = first.json()
    assert again.json()["id"] == shown["id"]
    assert (shown["status"], shown["reservations"]) == ("requested", [])
    found = call(world.clerk, "GET", "appointments/?status=requested", now=world.now).json()["results"]
    assert [row["id"] for row in found] == [shown["id"]]
    assert found[0]["possible_steps"] == ["accept", "cancel"]
    response = call(
        world.clerk,
        "POST",
        f"appointments/{shown['id']}/accept/",
        {"starts_at": "2027-01-11T10:00"},
        now=world.now,
    )
    assert response.status_code == 200, response.json()
    after = response.json()
    assert (after["status"], after["starts_at_local"][:16]) == ("booked", "2027-01-11T10:00")
    # A client that never got its answer makes nothing more by asking again, though the time is another by now.
    late = call(doctor, "POST", "appointments/", asked, now=world.now, **key)
    assert (late.status_code, late.json()["id"], late.json()["status"]) == (200, shown["id"], "booked")
    assert Appointment.objects.count() == 1
    # The key still names what was asked for, and not what became of it.
    for other in (asked | {"starts_at": "2027-01-11T10:00"}, asked | {"laterality": "right"}):
        response = call(doctor, "POST", "appointments/", other, now=world.now, **key)
        assert (response.status_code, faults(response)) == (409, [("Idempotency-Key", "key_reused")])


def test_accepting_a_taken_time_by_api_is_a_conflict(world: World, wanted: Appointment) -> None:
    services.book(world.appointment(patient=world.another_patient()), by=world.clerk, now=world.now)
    response = call(world.clerk, "POST", f"appointments/{wanted.pk}/accept/", {}, now=world.now)
    assert (response.status_code, faults(response)) == (409, [("starts_at", "taken")])


def test_the_desk_requests_finds_and_accepts(world: World, client: Client) -> None:
    desk = signed_in(world.clerk, client)
    form = {
        "patient": world.patient.pk, "procedure_type": world.ablation.pk, "site": world.site.pk,
        "starts_0": "2027-01-11", "starts_1": "09:00",
        "region": "lumbar", "laterality": "left", "only_request": "on",
    }  # fmt: skip
    with clock(world.now):
        response = desk.post(f"{LIST}add/", form)
        assert response.status_code == 302, words(response)
        asked = Appointment.objects.get()
        assert asked.status == "requested"
        first_page = desk.get("/admin/").content.decode()
        assert "requested, to be booked" in first_page
        assert "status__exact=requested&amp;when=all" in first_page
        listed = desk.get(f"{LIST}?status__exact=requested&when=all").content.decode()
        assert f"{LIST}{asked.pk}/accept/" in listed
        page = desk.get(f"{LIST}{asked.pk}/change/").content.decode()
        assert f"{FIND}?accept={asked.pk}&amp;on=2027-01-11" in page
        assert "Front desk Test" not in page.split("How it came about")[1].split("Steps")[0]
        times = desk.get(FIND, {"accept": asked.pk})
        assert "asked for Mon 11 Jan 2027" in words(times)
        sure = desk.get(f"{FIND}?accept={asked.pk}&slot=2027-01-11T15:00Z+{world.site.pk}")
        assert "Book it?" in words(sure)
        done = desk.post(f"{FIND}?accept={asked.pk}&slot=2027-01-11T15:00Z+{world.site.pk}", follow=True)
        assert "The appointment is booked." in words(done)
        # The second click, from the back button, finds it booked and moves nothing.
        desk.post(f"{FIND}?accept={asked.pk}&slot=2027-01-11T15:00Z+{world.site.pk}")
        booked = words(desk.get(f"{LIST}{asked.pk}/change/"))
        assert "Booked by Front desk Test" in booked
    asked.refresh_from_db()
    assert (asked.status, asked.starts_at) == ("booked", world.at(MONDAY, 10))
    assert Appointment.objects.count() == 1


def test_the_desk_accepts_at_the_time_that_was_asked_for(
    world: World, client: Client, wanted: Appointment
) -> None:
    desk, at_nine = signed_in(world.clerk, client), {"starts_0": "2027-01-11", "starts_1": "09:00"}
    with clock(world.now):
        page = desk.get(f"{LIST}{wanted.pk}/accept/").content.decode()
        assert 'value="2027-01-11"' in page
        assert 'value="09:00"' in page
        taken = services.book(
            world.appointment(patient=world.another_patient()), by=world.clerk, now=world.now
        )
        refused = desk.post(f"{LIST}{wanted.pk}/accept/", at_nine)
        assert refused.status_code == 422
        services.cancel(taken.pk, reason="ill", by=None, now=world.now)
        assert desk.post(f"{LIST}{wanted.pk}/accept/", at_nine).status_code == 302
    wanted.refresh_from_db()
    assert wanted.status == "booked"


def test_a_request_stands_among_what_is_coming_on_the_patients_page(
    world: World, client: Client, wanted: Appointment
) -> None:
    with clock(world.now):
        page = words(
            signed_in(world.clerk, client).get(f"/admin/patients/patient/{world.patient.pk}/change/")
        )
    assert page.index("requested") < page.index("Past") if "Past" in page else "requested" in page
