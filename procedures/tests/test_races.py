"""Races over one slot, with real connections; and the proof that there is something to race for."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from django.db import connection

from clinic.tests.factories import MONDAY, resource
from procedures import services
from procedures.models import Appointment, Reservation
from procedures.services import booking
from procedures.tests.factories import World
from procedures.tests.races import race

RIVALS = 50

pytestmark = pytest.mark.django_db(transaction=True)


def fifty(world: World) -> Sequence[Callable[..., object]]:
    """Fifty patients who all want Monday at nine."""
    patients = [world.another_patient(number) for number in range(2, RIVALS + 2)]
    return [
        lambda patient=patient: services.book(
            world.appointment(patient=patient), by=world.clerk, now=world.now
        )
        for patient in patients
    ]


def test_of_fifty_rivals_one_wins_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    assert race(monkeypatch, fifty(world)) == {"won": 1, "taken": RIVALS - 1}
    assert Appointment.objects.count() == 1
    assert Reservation.objects.count() == 3


def test_with_two_rooms_two_win(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    for first in (world.room, world.bay, world.doctor):
        resource(f"{first} again", first.categories.get(), world.site)
    assert race(monkeypatch, fifty(world)) == {"won": 2, "taken": RIVALS - 2}


def test_the_database_alone_keeps_the_slot_single(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(booking, "lock", lambda *_: None)
    monkeypatch.setattr(booking, "refuse_if_taken_since", lambda *_: None)
    outcome = race(monkeypatch, fifty(world)[:8])
    assert outcome["won"] == 1
    assert Appointment.objects.count() == 1


def test_the_race_is_real(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """If this fails, the tests above prove nothing."""
    monkeypatch.setattr(booking, "lock", lambda *_: None)
    monkeypatch.setattr(booking, "refuse_if_taken_since", lambda *_: None)
    guard = next(c for c in Reservation._meta.constraints if c.name == "resource_is_held_once")
    with connection.schema_editor() as schema:
        schema.remove_constraint(Reservation, guard)
    try:
        outcome = race(monkeypatch, fifty(world)[:8])
        assert outcome == {"won": 8}
    finally:
        Reservation.objects.all().delete()
        with connection.schema_editor() as schema:
            schema.add_constraint(Reservation, guard)


def test_one_patient_cannot_be_booked_twice_at_once(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Two clerks, the same patient, different rooms and physicians."""
    rooms = [[world.room, world.bay, world.doctor]]
    rooms.append([resource(f"{room} again", room.categories.get(), world.site) for room in rooms[0]])
    attempts = [
        lambda chosen=chosen: services.book(
            world.appointment(), resources=chosen, by=world.clerk, now=world.now
        )
        for chosen in rooms
    ]
    assert race(monkeypatch, attempts) == {"won": 1, "taken": 1}


def test_two_clerks_who_swap_two_appointments_never_wait_in_a_ring(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    def booked(at: datetime, number: int) -> Appointment:
        return services.book(
            world.appointment(patient=world.another_patient(number), starts_at=at),
            by=world.clerk,
            now=world.now,
        )

    for turn in range(5):
        nine, noon = booked(world.at(MONDAY, 9), 100 + turn), booked(world.at(MONDAY, 12), 200 + turn)
        with monkeypatch.context() as patch:
            outcome = race(
                patch,
                [
                    lambda n=nine, t=noon.starts_at: services.reschedule(
                        n.pk, starts_at=t, by=None, now=world.now
                    ),
                    lambda n=noon, t=nine.starts_at: services.reschedule(
                        n.pk, starts_at=t, by=None, now=world.now
                    ),
                ],
            )
        assert set(outcome) <= {"won", "taken"}
        for appointment in Appointment.objects.filter(status="booked"):
            services.cancel(appointment.pk, reason="next turn", by=None, now=world.now)
