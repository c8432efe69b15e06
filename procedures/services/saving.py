"""Saving: an appointment and all that is written down with it, in one statement that is planned once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection, connections, models

from clinic.models import AuditEvent
from procedures import prepared
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
    """Insert a new appointment with its rows, all or none; sets its number.

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
    [(appointment.pk,)] = prepared.rows(statement(), values)
    appointment._state.adding, appointment._state.db = False, database.alias


@cache
def columns(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """The columns that are written: not the number, what the database fills in, or what points at the appointment."""
    return [
        field
        for field in model._meta.local_concrete_fields
        if not field.primary_key and not field.has_db_default() and field.column != PARTS.get(model)
    ]


@cache
def statement() -> str:
    """The statement, made of the models' columns: nothing that anybody typed is in it.

    Foreign keys are looked at when it is over, so its rows may point at each other.
    """
    slots = [f"%(appointment_{field.column})s::{kind(field)}" for field in columns(Appointment)]
    appointment = f"{into(Appointment)} VALUES ({', '.join(slots)}) RETURNING id"
    parts = []
    for model, pointer in PARTS.items():
        name = model._meta.model_name
        slots = [f"%({name}_{field.column})s::{kind(field)}[]" for field in columns(model)]
        source = f"appointment, UNNEST({', '.join(slots)}) AS part"
        parts.append(f", {name} AS ({into(model, pointer)} SELECT appointment.id, part.* FROM {source})")  # noqa: S608
    return f"WITH appointment AS ({appointment}){''.join(parts)} SELECT id FROM appointment"  # noqa: S608


def into(model: type[models.Model], *first: str) -> str:
    names = [*first, *(str(field.column) for field in columns(model))]
    listed = ", ".join(connection.ops.quote_name(name) for name in names)
    return f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({listed})"


def kind(field: "models.Field[Any, Any]") -> str:
    """A column's type without its length: a cast to varchar(16) would cut what is longer, saving it refuses."""
    return (field.db_type(connection) or "").partition("(")[0]
