"""Bookings per second: the service and the API beside bare psycopg writing the same rows."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
from django.contrib.auth.models import Group
from django.db import connection, models
from knox.models import AuthToken

from bench import page
from bench.clients import clients
from bench.clinic import CLIENTS, Clinic
from bench.table import Row, interleave
from clinic import roles
from clinic.models import AuditEvent
from patients.models import Patient
from procedures.models import AppointmentStep, Reservation
from procedures.services import book

Slots = list[tuple[datetime, int]]


def measure(clinic: Clinic, port: int, *, quick: bool) -> list[Row]:
    """With one client and with CLIENTS, each of which books resources of its own."""
    # There are eight starts a day within the 24 months that can be booked; the races need a thousand of them.
    rounds, each = (3, 40) if quick else (9, 60)
    token = sign_in(clinic)
    return [
        *beside(clinic, port, token, 1, rounds, each),
        *beside(clinic, port, token, CLIENTS, rounds, each // 2),
    ]


def sign_in(clinic: Clinic) -> str:
    """The clerk's token."""
    roles.grant_all()
    clinic.clerk.groups.add(Group.objects.get(name=roles.FRONT_DESK))
    clinic.clerk.sites.add(clinic.site)
    token: str = AuthToken.objects.create(clinic.clerk)[1]
    return token


def beside(clinic: Clinic, port: int, token: str, number: int, rounds: int, each: int) -> list[Row]:
    """`number` clients at once, `each` bookings a client and round."""
    who = f"{number} client{'s' if number > 1 else ''}"
    with clients(number) as run:

        def arm(work: Callable[..., Callable[[], None]], *more: object) -> Callable[[], float]:
            def once() -> float:
                tasks = [(clinic, client, clinic.slots(client, each), *more) for client in range(number)]
                return number * each / run(work, tasks)

            return once

        service, api, keyed, all_rows, two_tables = interleave(
            f"Booking, {who}",
            rounds,
            arm(by_service),
            arm(by_api, port, token, False),
            arm(by_api, port, token, True),
            arm(by_psycopg, True),
            arm(by_psycopg, False),
        )
    same, fewer = "psycopg, the same rows", "psycopg, appointment and reservations alone"
    return [
        Row(f"bookings by the service, {who}", service, all_rows, bare_what=same, goal="≥ 50 %"),
        Row(f"bookings by the service, {who}", service, two_tables, bare_what=fewer),
        Row(f"bookings by the API, {who}", api, all_rows, bare_what=same, goal="≥ 50 %"),
        Row(f"bookings by the API, {who}", api, two_tables, bare_what=fewer),
        Row(f"bookings by the API with an Idempotency-Key, {who}", keyed, all_rows, bare_what=same),
    ]


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


def by_api(
    clinic: Clinic, client: int, slots: Slots, port: int, token: str, keyed: bool
) -> Callable[[], None]:
    """POST every slot over one keep-alive connection, to an address that answers 201 with the appointment."""
    requests = []
    for number, (starts_at, patient) in enumerate(slots):
        body = json.dumps(
            {
                "patient": patient,
                "procedure_type": clinic.kind.code,
                "site": clinic.site.pk,
                "starts_at": starts_at.isoformat(),
                "region": "lumbar",
                "laterality": "left",
                "resources": [resource.pk for resource in clinic.resources[client]],
            }
        )
        key = f"Idempotency-Key: {client}-{starts_at:%Y%m%d%H}-{number}\r\n" if keyed else ""
        requests.append(
            f"POST /api/v1/appointments/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Token {token}\r\nContent-Type: application/json\r\n{key}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
    return page.ask(port, requests, b" 201 ")


def by_psycopg(clinic: Clinic, client: int, slots: Slots, trail: bool) -> Callable[[], None]:
    """Insert the same rows with the same SQL, one transaction a slot; values are made ready beforehand.

    `trail`: the step and the audit event too.
    """
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
        step = AppointmentStep(at=clinic.now, step="book", status="booked", by=clinic.clerk)
        ready.append((values([appointment]), values(reservations), values([step]), values([event])))
    into_appointment = insert(type(appointment), 1) + ' RETURNING "id"'
    into_reservation = insert(Reservation, len(requirements))
    into_steps, into_trail = insert(AppointmentStep, 1), insert(AuditEvent, 1)
    bare = psycopg.connect(os.environ["DATABASE_URL"])

    def work() -> None:
        with bare, bare.cursor() as cursor:
            for row, reservations, step, event in ready:
                (pk,) = cursor.execute(into_appointment, row).fetchone()
                cursor.execute(into_reservation, [pk if value is OWN_ID else value for value in reservations])
                if trail:
                    cursor.execute(into_steps, [pk if value is OWN_ID else value for value in step])
                    cursor.execute(into_trail, [pk if value is OWN_ID else value for value in event])
                bare.commit()

    return work


#: Stands for the appointment's number, which is known when its row is written.
OWN_ID = object()
FILLED = {Reservation: "appointment", AppointmentStep: "appointment", AuditEvent: "object_id"}


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
