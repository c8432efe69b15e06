"""What a booking leaves behind, and whose doing it was."""

import pghistory
import psycopg
import pytest
import structlog
from django.apps import apps
from django.db import connection

from clinic.models import AuditEvent
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("staff", [True, False])
def test_the_event_says_who_what_and_by_which_request(world: World, staff: bool) -> None:
    by = world.clerk if staff else None
    with structlog.contextvars.bound_contextvars(request_id="a-request"):
        booked = services.book(world.appointment(), by=by, now=world.now)
    written = AuditEvent.objects.latest("pk")
    assert (written.action, written.object_id, written.by) == ("appointment.booked", booked.pk, by)
    assert (written.actor, written.request_id) == ("staff" if staff else "time", "a-request")


def test_history_knows_whose_doing_it_was(world: World) -> None:
    with pghistory.context(user=world.clerk.pk, request="a-request") as context:
        booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    for name, number in (("appointmentevent", 1), ("reservationevent", 3)):
        events = apps.get_model("procedures", name).objects.all()
        assert [event.pgh_context_id for event in events] == [context.id] * number
        assert {event.pgh_context.metadata["user"] for event in events} == {world.clerk.pk}
    assert events.first().appointment_id == booked.pk


def test_what_was_booked_reads_as_it_was_said(world: World) -> None:
    said = world.appointment(levels="L3–L5", indication="M47.816", note='"quotes", {braces}, 100 %, NULL')
    booked = services.book(said, by=world.clerk, now=world.now)
    read = Appointment.objects.get(pk=booked.pk)
    for field in Appointment._meta.concrete_fields:
        assert getattr(read, field.attname) == getattr(booked, field.attname), field.attname


def test_it_books_behind_a_pooler_where_nothing_can_be_prepared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    monkeypatch.setattr(psycopg, "Cursor", None)
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    assert booked.reservations.count() == 3
