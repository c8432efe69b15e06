"""What patients say on the page of their appointment, and settling it. Again, or too late, it changes nothing."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic import audit
from clinic.models import User
from procedures.models import Appointment
from procedures.services.transitions import lock_appointment, take_step
from procedures.workflow import BOOK


def may_reply(appointment: Appointment, *, now: datetime) -> bool:
    """Whether the patient can still say something: the appointment is expected and has not begun."""
    return appointment.status in Appointment.EXPECTED and now < appointment.starts_at


@transaction.atomic
def confirm_by_patient(appointment_id: int, *, now: datetime) -> Appointment:
    """The patient will come: the appointment is confirmed, and a wish for another time is taken back."""
    appointment = lock_appointment(appointment_id)
    if not may_reply(appointment, now=now):
        return appointment
    if appointment.wants_change_at:
        appointment.wants_change_at = None
        appointment.save(update_fields=["wants_change_at"])
        write_down("appointment.change_not_wanted", appointment, now=now)
    if appointment.status == Appointment.Status.BOOKED:
        appointment = take_step(appointment_id, "confirm", by=None, now=now, actor="patient")
    return appointment


@transaction.atomic
def ask_for_change(appointment_id: int, *, now: datetime) -> Appointment:
    """The patient needs another time. The front desk is shown it; the appointment stands until somebody moves it."""
    appointment = lock_appointment(appointment_id)
    if may_reply(appointment, now=now) and not appointment.wants_change_at:
        appointment.wants_change_at = now
        appointment.save(update_fields=["wants_change_at"])
        write_down("appointment.change_wanted", appointment, now=now)
    return appointment


@transaction.atomic
def settle_change(appointment_id: int, *, by: User | None, now: datetime) -> Appointment:
    """The clinic has dealt with the patient's wish for another time: the appointment stands, and the mark goes.

    Where there is no such wish, or not any more, nothing changes. Moving or cancelling needs no settling: the new
    appointment begins without the mark. Raises PermissionDenied when `by` may not book, and so not move either.
    """
    if by is not None and not by.has_perm(BOOK):
        raise PermissionDenied
    appointment = lock_appointment(appointment_id)
    if appointment.wants_change_at:
        appointment.wants_change_at = None
        appointment.save(update_fields=["wants_change_at"])
        audit.record("appointment.change_settled", appointment, by=by, at=now, site=appointment.site)
    return appointment


def write_down(action: str, appointment: Appointment, *, now: datetime) -> None:
    """The audit event of what the patient said."""
    audit.record(action, appointment, by=None, at=now, site=appointment.site, actor="patient")
