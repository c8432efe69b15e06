"""The rows of a booking: an appointment and all that is written down with it, in one statement that is planned once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection, connections, models

from clinic import prepared
from clinic.models import AuditEvent
from clinic.prepared import AnyField, into, kind
from procedures.models import Appointment, AppointmentStep, Reservation

#: What is written together with an appointment, and the column that points at it.
PARTS: dict[type[models.Model], str] = {
    Reservation: "appointment_id",
    AppointmentStep: "appointment_id",
    AuditEvent: "object_id",
}


def insert(
    appointment: Appointment,
    reservations: Sequence[Reservation],
    step: AppointmentStep,
    event: AuditEvent,
) -> None:
    """Insert a new appointment with its rows, all or none; sets their numbers.

    Raises IntegrityError as saving each of them would. Nothing is checked here, and no signal is sent.
    """
    database = connections[connection.alias]  # `connection` itself looks for it at every name
    values: dict[str, Any] = {
        f"appointment_{field.column}": field.get_db_prep_save(getattr(appointment, field.attname), database)
        for field in columns(Appointment)
    }
    written: tuple[Sequence[models.Model], ...] = (reservations, [step], [event])
    for model, parts in zip(PARTS, written, strict=True):
        name = model._meta.model_name
        # Made by this house a moment ago, of values that need no conversion.
        values |= {
            f"{name}_{field.column}": [getattr(part, field.attname) for part in parts]
            for field in columns(model)
        }
    [(appointment.pk, *numbers)] = prepared.rows(statement(), values)
    for parts, given in zip(([appointment], *written), ([appointment.pk], *numbers), strict=True):
        for part, number in zip(parts, given or (), strict=True):  # nothing written: nothing numbered
            part.pk, part._state.adding, part._state.db = number, False, database.alias
    # In the order in which they would be read.
    known(appointment, "reservations", sorted(reservations, key=lambda reservation: reservation.starts_at))
    known(appointment, "steps", [step])


def known(appointment: Appointment, name: str, rows: list[Any]) -> None:
    """Have the appointment know its rows as if they had been prefetched: who shows it need not read them."""
    found = getattr(appointment, name).all()
    found._result_cache, found._prefetch_done = rows, True
    appointment.__dict__.setdefault("_prefetched_objects_cache", {})[name] = found


@cache
def columns(model: type[models.Model]) -> "list[AnyField]":
    """The columns that are written from values: all but what points at the appointment."""
    return [field for field in prepared.written(model) if field.column != PARTS.get(model)]


@cache
def statement() -> str:
    """The statement, made of the models' columns: nothing that anybody typed is in it.

    Foreign keys are looked at when it is over, so its rows may point at each other.
    """
    slots = [f"%(appointment_{field.column})s::{kind(field)}" for field in columns(Appointment)]
    appointment = f"{into(Appointment, columns(Appointment))} VALUES ({', '.join(slots)}) RETURNING id"
    parts = []
    for model, pointer in PARTS.items():
        name, own = model._meta.model_name, columns(model)
        slots = [f"%({name}_{field.column})s::{kind(field)}[]" for field in own]
        source = f"appointment, UNNEST({', '.join(slots)}) AS part"
        select = f"SELECT appointment.id, part.* FROM {source} RETURNING id"  # noqa: S608
        parts.append(f", {name} AS ({into(model, own, pointer)} {select})")
    # They are numbered as they are written, one after the other.
    numbers = "".join(
        f", (SELECT ARRAY_AGG(id ORDER BY id) FROM {model._meta.model_name})"  # noqa: S608
        for model in PARTS
    )
    return f"WITH appointment AS ({appointment}){''.join(parts)} SELECT id{numbers} FROM appointment"  # noqa: S608
