"""Bookings per second: the service and the API beside bare psycopg writing the same rows; and races for one slot."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection
from threading import Barrier
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection, connections, models
from knox.models import AuthToken

from bench.clients import clients
from bench.clinic import CLIENTS, Clinic
from bench.table import Row, interleave
from clinic import roles
from clinic.dev.bootstrap import step
from clinic.models import AuditEvent
from clinic.refusals import Refusal
from patients.models import Patient
from procedures.models import AppointmentStep, Reservation
from procedures.services import book

Slots = list[tuple[datetime, int]]
#: So many connections want one slot in a race.
RIVALS = 50


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """With one client and with CLIENTS, each of which books resources of its own; then the races."""
    # There are eight starts a day within the 24 months that can be booked; the races need a thousand of them.
    rounds, each = (3, 40) if quick else (9, 60)
    roles.grant_all()
    clinic.clerk.groups.add(Group.objects.get(name=roles.FRONT_DESK))
    clinic.clerk.sites.add(clinic.site)
    token: str = AuthToken.objects.create(clinic.clerk)[1]
    rows = beside(clinic, token, 1, rounds, each) + beside(clinic, token, CLIENTS, rounds, each // 2)
    return [*rows, races(clinic, 20 if quick else 1000)]


def beside(clinic: Clinic, token: str, number: int, rounds: int, each: int) -> list[Row]:
    """`number` clients at once, `each` bookings a client and round."""
    who = f"{number} client{'s' if number > 1 else ''}"
    with clients(number) as run:

        def arm(work: Callable[..., Callable[[], None]], *more: object) -> Callable[[], float]:
            def once() -> float:
                # The first slot is for what is made ready before.
                tasks = [(clinic, client, clinic.slots(client, each + 1), *more) for client in range(number)]
                return number * each / run(work, tasks)

            return once

        arms = arm(by_service), arm(by_api, token, False), arm(by_api, token, True), arm(by_psycopg)
        *ours, bare = interleave(f"Booking, {who}", rounds, *arms)
    names = ("by the service", "by the API", "by the API with an Idempotency-Key")
    return [
        Row(f"bookings {name}, {who}", rate, bare, bare_what="psycopg, the same rows", goal=goal)
        for name, rate, goal in zip(names, ours, ("≥ 50 %", "≥ 50 %", ""), strict=True)
    ]


def by_service(clinic: Clinic, client: int, slots: Slots) -> Callable[[], None]:
    """Book every slot; the objects that an edge would have read are read beforehand."""
    resources = clinic.resources[client]
    patients = Patient.objects.in_bulk([patient for _, patient in slots])
    appointments = [clinic.appointment(starts_at, patients[patient]) for starts_at, patient in slots[1:]]

    def work() -> None:
        for appointment in appointments:
            # quietly: the outbox has a table row of its own, and a measurement of its own.
            book(appointment, resources=resources, by=clinic.clerk, now=clinic.now, quietly=True)

    return work


def by_api(clinic: Clinic, client: int, slots: Slots, token: str, keyed: bool) -> Callable[[], None]:
    """POST every slot over one keep-alive connection, to an address that answers 201 with the appointment."""
    server = HTTPConnection("127.0.0.1", urlsplit(settings.SITE_URL).port, timeout=30)
    server.connect()
    same = {
        "procedure_type": clinic.kind.code,
        "site": clinic.site.pk,
        "region": "lumbar",
        "laterality": "left",
    }
    same |= {"resources": [resource.pk for resource in clinic.resources[client]]}
    requests = []
    for starts_at, patient in slots[1:]:
        headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": f"{client}-{starts_at:%Y%m%d%H}"} if keyed else {}
        body = json.dumps(same | {"patient": patient, "starts_at": starts_at.isoformat()})
        requests.append((body.encode(), headers))

    def work() -> None:
        for body, headers in requests:
            server.request("POST", "/api/v1/appointments/", body, headers)
            answer = server.getresponse()
            if answer.status != HTTPStatus.CREATED:
                raise RuntimeError(answer.read().decode())
            answer.read()
        server.close()

    return work


def by_psycopg(clinic: Clinic, client: int, slots: Slots) -> Callable[[], None]:
    """Write the rows of one booking of the service again for each slot: the same SQL, one transaction a slot; values
    are made ready beforehand."""
    (at, patient), *slots = slots
    made = clinic.appointment(at, Patient.objects.get(pk=patient))
    made = book(made, resources=clinic.resources[client], by=clinic.clerk, now=clinic.now, quietly=True)
    reservations, steps = (
        list(made.reservations.all()),
        list(AppointmentStep.objects.filter(appointment=made)),
    )
    events = list(AuditEvent.objects.filter(object_type="procedures.appointment", object_id=made.pk))
    first, others = (
        insert([made]) + ' RETURNING "id"',
        [insert(rows) for rows in (reservations, steps, events)],
    )
    ready = []
    for starts_at, patient in slots:
        for row in (made, *reservations):
            row.starts_at, row.ends_at = row.starts_at + (starts_at - at), row.ends_at + (starts_at - at)
        made.patient_id, at = patient, starts_at
        ready.append((values([made]), [values(rows) for rows in (reservations, steps, events)]))
    bare = psycopg.connect(os.environ["DATABASE_URL"])

    def work() -> None:
        with bare, bare.cursor() as cursor:
            for row, more in ready:
                (pk,) = cursor.execute(first, row).fetchone()
                for statement, filled in zip(others, more, strict=True):
                    cursor.execute(statement, [pk if value is OWN_ID else value for value in filled])
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


def insert(rows: list[models.Model]) -> str:
    """One statement for that many rows, as Django would write it."""
    names = [field.column for field in columns(type(rows[0]))]
    row = "(" + ", ".join(["%s"] * len(names)) + ")"
    listed = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{rows[0]._meta.db_table}" ({listed}) VALUES ' + ", ".join([row] * len(rows))


def races(clinic: Clinic, number: int) -> Row:
    """RIVALS patients want the same resources at the same moment, over a connection each; one gets them each time."""
    barrier = Barrier(RIVALS)
    starts = [starts_at for starts_at, _ in clinic.slots(0, number)]

    def compete(patient: Patient) -> list[str]:
        endings = []
        for starts_at in starts:
            appointment = clinic.appointment(starts_at, patient)
            connection.ensure_connection()
            barrier.wait(60)
            try:
                book(
                    appointment, resources=clinic.resources[0], by=clinic.clerk, now=clinic.now, quietly=True
                )
                endings.append("won")
            except Refusal as refusal:
                endings.append(refusal.code)
        connections.close_all()
        return endings

    with step(f"{number:,} races of {RIVALS}"), ThreadPoolExecutor(RIVALS) as pool:
        endings = list(pool.map(compete, clinic.patients[:RIVALS]))
    fair = sum(sorted(race) == ["taken"] * (RIVALS - 1) + ["won"] for race in zip(*endings, strict=True))
    what = f"races of {RIVALS} for one slot: exactly one winner, the others told that it is taken"
    return Row(what, fair, number, " races", "run", "100 %")
