"""What a booking leaves behind: every row as if each had been saved by itself, and whose doing it was."""

import pghistory
import pytest
import structlog
from django.apps import apps
from django.db import DataError, connection

from clinic import audit, prepared
from clinic.models import AuditEvent
from procedures import services
from procedures.models import Appointment, AppointmentStep, Reservation
from procedures.services import appointment_rows
from procedures.tests.factories import World

pytestmark = pytest.mark.django_db


def fields(event: AuditEvent) -> dict[str, object]:
    """All of an event but its number and when the database got it."""
    return {
        field.attname: getattr(event, field.attname)
        for field in AuditEvent._meta.concrete_fields
        if field.attname not in ("id", "recorded_at")
    }


@pytest.mark.parametrize("staff", [True, False])
def test_the_event_is_the_one_that_the_trail_would_write(world: World, staff: bool) -> None:
    by = world.clerk if staff else None
    with structlog.contextvars.bound_contextvars(request_id="a-request"):
        booked = services.book(world.appointment(), by=by, now=world.now)
        written = AuditEvent.objects.latest("pk")
        audit.record("appointment.booked", booked, by=by, at=world.now, site=world.site)
    assert fields(written) == fields(AuditEvent.objects.latest("pk"))
    assert written.request_id == "a-request"


def test_history_knows_whose_doing_it_was(world: World) -> None:
    with pghistory.context(user=world.clerk.pk, request="a-request") as context:
        booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    for name, number in (("appointmentevent", 1), ("reservationevent", 3)):
        events = apps.get_model("procedures", name).objects.all()
        assert [event.pgh_context_id for event in events] == [context.id] * number
        assert {event.pgh_context.metadata["user"] for event in events} == {world.clerk.pk}
    assert events.first().appointment_id == booked.pk


def test_what_is_too_long_is_refused_and_not_cut(world: World) -> None:
    appointment = world.appointment()
    reservations = services.check(appointment, now=world.now)
    appointment.levels = "L" * 61
    step = AppointmentStep(at=world.now, step="book", status="booked")
    event = AuditEvent(at=world.now, actor="staff", action="appointment.booked")
    with pytest.raises(DataError):
        appointment_rows.insert(appointment, reservations, step, event)


def test_what_was_booked_reads_as_it_was_said(world: World) -> None:
    said = world.appointment(levels="L3–L5", indication="M47.816", note='"quotes", {braces}, 100 %, NULL')
    booked = services.book(said, by=world.clerk, now=world.now)
    read = Appointment.objects.get(pk=booked.pk)
    for field in Appointment._meta.concrete_fields:
        assert getattr(read, field.attname) == getattr(booked, field.attname), field.attname


def test_it_books_where_nothing_can_be_prepared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    monkeypatch.setattr(prepared, "Prepared", None)
    services.book(world.appointment(), by=world.clerk, now=world.now)
    assert Reservation.objects.count() == 3
