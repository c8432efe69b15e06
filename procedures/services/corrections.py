"""Correcting what is meant by an appointment, in its place: its time and all that it holds stay."""

from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic import audit
from clinic.models import User
from procedures.models import Appointment
from procedures.services.booking import refuse_side
from procedures.services.transitions import lock_appointment, refuse_unless
from procedures.workflow import BOOK

#: What can be corrected. No letter and no page of the patient's says any of it, so that none has to follow.
CORRECTED = ("laterality", "levels", "indication", "note")
#: Until the procedure begins; what was performed is corrected in its record.
CORRECTABLE = frozenset(
    (
        Appointment.Status.REQUESTED,
        Appointment.Status.HELD,
        *Appointment.EXPECTED,
        Appointment.Status.ARRIVED,
        Appointment.Status.READY,
    )
)


@transaction.atomic
def correct(appointment_id: int, *, values: Mapping[str, str], by: User | None, now: datetime) -> Appointment:
    """Set those of CORRECTED that `values` names; the others, the time and everything held stay as they are.

    The patient is written to only when what they were told changes, and of these things they are told nothing. Where
    nothing differs nothing is written down. Raises PermissionDenied when `by` may not book; ValidationError by field
    for values that no appointment may have; Refusal "not_allowed_now" once the procedure has begun or the appointment
    has ended, "side_required", "side_not_possible".
    """
    if by is not None and not by.has_perm(BOOK):
        raise PermissionDenied
    if unknown := set(values) - set(CORRECTED):
        raise TypeError(f"not to be corrected: {sorted(unknown)}")
    appointment = lock_appointment(appointment_id)
    refuse_unless(appointment, CORRECTABLE)
    changed = [name for name in CORRECTED if name in values and values[name] != getattr(appointment, name)]
    if not changed:
        return appointment
    for name in changed:
        setattr(appointment, name, values[name])
    others = {field.name for field in Appointment._meta.fields} - set(changed)
    appointment.clean_fields(exclude=others)
    if "laterality" in changed:
        refuse_side(appointment.procedure_type, appointment.laterality)
    appointment.save(update_fields=changed)
    audit.record(
        "appointment.corrected",
        appointment,
        by=by,
        at=now,
        site=appointment.site,
        reason=", ".join(changed),
    )
    return appointment
