"""Bookings per second: `procedures.services.book` beside bare psycopg writing the same rows."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
from django.db import connection, models

from bench.clients import clients
from bench.clinic import CLIENTS, Clinic
from bench.table import Row, interleave
from clinic.models import AuditEvent
from patients.models import Patient
from procedures.models import Reservation
from procedures.services import book

Slots = list[tuple[datetime, int]]


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """With one client and with CLIENTS, each of which books resources of its own."""
    rounds, each = (3, 40) if quick else (9, 200)
    return [
        beside(clinic, 1, rounds, each, goal="≥ 40 %, then 60 %"),
        beside(clinic, CLIENTS, rounds, each // 2),
    ]


def beside(clinic: Clinic, number: int, rounds: int, each: int, *, goal: str = "") -> Row:
    """`number` clients at once, `each` bookings a client and round."""
    who = f"{number} client{'s' if number > 1 else ''}"
    with clients(number) as run:

        def arm(work: Callable[..., Callable[[], None]]) -> float:
            tasks = [(clinic, client, clinic.slots(client, each)) for client in range(number)]
            return number * each / run(work, tasks)

        ours, bare = interleave(f"Booking, {who}", rounds, lambda: arm(by_service), lambda: arm(by_psycopg))
    return Row(f"bookings, {who}", ours, bare, bare_what="psycopg", goal=goal)


def by_service(clinic: Clinic, client: int, slots: Slots) -> Callable[[], None]:
    """Book every slot; the objects that an edge would have read are read beforehand."""
    resources = clinic.resources[client]
    patients = Patient.objects.in_bulk([patient for _, patient in slots])
    appointments = [clinic.appointment(starts_at, patients[patient]) for starts_at, patient in slots]

    def work() -> None:
        for appointment in appointments:
            # quietly: the outbox has a table row of its own, and a measurement of its own.
            book(appointment, resources=resources, by=clinic.clerk, now=clinic.now, quietly=True)

    return work


def by_psycopg(clinic: Clinic, client: int, slots: Slots) -> Callable[[], None]:
    """Insert the same rows with the same SQL, one transaction a slot; values are made ready beforehand."""
    resources = {resource.categories.get().pk: resource for resource in clinic.resources[client]}
    requirements = list(clinic.kind.requirements.all())
    patients = Patient.objects.in_bulk([patient for _, patient in slots])
    ready = []
    for starts_at, patient in slots:
        appointment = clinic.appointment(starts_at, patients[patient])
        appointment.ends_at = starts_at + timedelta(minutes=clinic.kind.total_minutes)
        appointment.intent, appointment.created_at = "therapeutic", clinic.now
        reservations = [
            Reservation(
                resource=resources[one.category_id],
                starts_at=(start := starts_at + timedelta(minutes=one.starts_after_minutes)),
                ends_at=start + timedelta(minutes=one.lasts_minutes),
            )
            for one in requirements
        ]
        event = AuditEvent(
            at=clinic.now,
            by=clinic.clerk,
            actor="staff",
            action="appointment.booked",
            object_type="procedures.appointment",
            site=clinic.site,
        )
        ready.append((values([appointment]), values(reservations), values([event])))
    into_appointment = insert(type(appointment), 1) + ' RETURNING "id"'
    into_reservation = insert(Reservation, len(requirements))
    into_trail = insert(AuditEvent, 1)
    bare = psycopg.connect(os.environ["DATABASE_URL"])

    def work() -> None:
        with bare, bare.cursor() as cursor:
            for row, reservations, event in ready:
                (pk,) = cursor.execute(into_appointment, row).fetchone()
                cursor.execute(into_reservation, [pk if value is OWN_ID else value for value in reservations])
                cursor.execute(into_trail, [pk if value is OWN_ID else value for value in event])
                bare.commit()

    return work


#: Stands for the appointment's number, which is known when its row is written.
OWN_ID = object()
FILLED = {Reservation: "appointment", AuditEvent: "object_id"}


def columns(model: type[models.Model]) -> list[models.Field]:
    """The columns that an insert names: not the number, and not what the database fills in by itself."""
    fields = model._meta.local_concrete_fields
    return [field for field in fields if not field.primary_key and not field.has_db_default()]


def values(rows: list[models.Model]) -> list[object]:
    """The rows' values, one after the other, as psycopg takes them."""
    return [
        OWN_ID
        if FILLED.get(type(row)) == field.name
        else field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in columns(type(row))
    ]


def insert(model: type[models.Model], rows: int) -> str:
    """One statement for that many rows, as Django would write it."""
    names = [field.column for field in columns(model)]
    row = "(" + ", ".join(["%s"] * len(names)) + ")"
    listed = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{model._meta.db_table}" ({listed}) VALUES ' + ", ".join([row] * rows)
