"""Requests for an appointment: what was only requested is booked, at its time or at another."""

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import PermissionDenied

from clinic.models import Resource, User
from procedures.models import Appointment, Reservation
from procedures.services import notifications
from procedures.services.booking import ATTEMPTS, BY_A_RIVAL, booking_transaction, refuse_overbooking, reserve
from procedures.services.booking_checks import SlotUnavailable
from procedures.services.transitions import apply_step, lock_appointment, refuse_unless
from procedures.workflow import STEPS

STEP = STEPS["accept"]


def accept(
    appointment_id: int,
    *,
    starts_at: datetime | None = None,
    resources: Iterable[Resource] = (),
    overbooked_reason: str = "",
    by: User | None,
    now: datetime,
) -> Appointment:
    """Book what was requested, at `starts_at` or, when None, at the time that was asked for; then tell the patient.

    Raises as `book` does; PermissionDenied when `by` may not book; Refusal "not_allowed_now" unless it is requested.
    """
    if by is not None and not by.has_perm(STEP.permission):
        raise PermissionDenied
    refuse_overbooking(overbooked_reason, by=by)
    chosen = list(resources)

    for _ in range(ATTEMPTS):
        with booking_transaction(now=now):
            wanted = lock_appointment(appointment_id)
            refuse_unless(wanted, STEP.origins)
            wanted.starts_at, wanted.overbooked_reason = starts_at or wanted.starts_at, overbooked_reason
            # Since when it is booked: whether a reminder would still be news depends on it.
            wanted.created_at = now
            reservations = reserve(wanted, chosen, now=now)
            # Who asked stays in `booked_by`: their request, sent again, must find it. The step says who accepted.
            wanted.save(update_fields=["starts_at", "ends_at", "overbooked_reason", "created_at"])
            Reservation.objects.bulk_create(reservations)
            apply_step(wanted, "accept", STEP.to, by=by, now=now, reason=overbooked_reason)
            notifications.notify_booked(wanted, now=now)
            return wanted
    raise SlotUnavailable(BY_A_RIVAL)
