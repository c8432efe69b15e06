"""Times that appointments give back: one task each for the front desk, until it is filled, dismissed or past."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef

from clinic import audit
from clinic.models import Closure, User
from clinic.refusals import Refusal
from procedures.models import Appointment, FreedTime, Reservation

#: What staff must hold to work with the waitlist and with freed times.
MANAGE = "procedures.manage_waitlistentry"


def note_freed(appointment: Appointment, *, now: datetime) -> None:
    """Write down that `appointment` has given its time back before it began; a second time changes nothing.

    Nothing is written down for a time that has begun, at which the site is closed, or of which somebody else has a
    part (it had been overbooked, or was moved by a few minutes): nobody could be offered it. Nor for one that lies
    within what an open freed time gave back already: whoever took that has gone again, and one task is enough.
    """
    if appointment.starts_at <= now:
        return
    given_back = appointment.reservations.all()
    if given_back.filter(taken_again()).exists():
        return
    if not given_back.exclude(freed_already(appointment)).exists():
        return
    if Closure.objects.filter(
        site=appointment.site_id,
        starts_at__lt=appointment.ends_at,
        ends_at__gt=appointment.starts_at,
    ).exists():
        return
    freed = FreedTime(
        appointment=appointment,
        site_id=appointment.site_id,
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        created_at=now,
    )
    FreedTime.objects.bulk_create([freed], ignore_conflicts=True)


@transaction.atomic
def dismiss_freed(freed_id: int, *, by: User | None, now: datetime) -> FreedTime:
    """Dismiss a freed time, so that it is offered to nobody.

    Raises PermissionDenied when `by` may not manage the waitlist; Refusal "freed_time_closed".
    """
    refuse_unless_allowed(by)
    freed = locked_freed(freed_id, now=now)
    close_freed(freed, FreedTime.Closed.DISMISSED, by=by, now=now)
    return freed


def close_passed_times(*, now: datetime) -> int:
    """Close the freed times whose start has come; how many. The tick runs it."""
    return FreedTime.objects.filter(closed_at=None, starts_at__lte=now).update(
        closed_at=now, closed_reason=FreedTime.Closed.PASSED
    )


def close_filled_times(*, now: datetime) -> int:
    """Close the freed times of which others have everything by now, past the waitlist; how many. The tick runs it.

    A hold takes nothing for good.
    """
    whole = Reservation.objects.filter(
        resource=OuterRef("resource"),
        released_at=None,
        starts_at__lte=OuterRef("starts_at"),
        ends_at__gte=OuterRef("ends_at"),
    ).exclude(appointment__status=Appointment.Status.HELD)
    given_back = Reservation.objects.filter(appointment=OuterRef("appointment"))
    return FreedTime.objects.filter(
        Exists(given_back), ~Exists(given_back.exclude(Exists(whole))), closed_at=None, starts_at__gt=now
    ).update(closed_at=now, closed_reason=FreedTime.Closed.FILLED)


def refuse_unless_allowed(by: User | None) -> None:
    """Raise PermissionDenied unless `by` may manage the waitlist; None, time or an import, may."""
    if by is not None and not by.has_perm(MANAGE):
        raise PermissionDenied


def locked_freed(freed_id: int, *, now: datetime) -> FreedTime:
    """The freed time, locked until the transaction ends. Refusal "freed_time_closed" unless it can still be given."""
    freed = (
        FreedTime.objects.select_for_update(of=("self",))
        .select_related("site", "appointment")
        .get(pk=freed_id)
    )
    if freed.closed_at or freed.starts_at <= now:
        how = freed.get_closed_reason_display() if freed.closed_at else FreedTime.Closed.PASSED.label
        raise Refusal(f"This time is not free any more: {how}.", code="freed_time_closed")
    return freed


def close_freed(freed: FreedTime, reason: FreedTime.Closed, *, by: User | None, now: datetime) -> None:
    """Save that a freed time, locked by the caller, is no task any more, with its audit event."""
    freed.closed_at, freed.closed_reason, freed.closed_by = now, reason, by
    freed.save(update_fields=["closed_at", "closed_reason", "closed_by"])
    audit.record(f"freed_time.{reason.value}", freed, by=by, at=now, site=freed.site)


def taken_again() -> Exists:
    """For queries of reservations: whether somebody holds the resource then, or a part of that time."""
    return Exists(
        Reservation.objects.filter(
            resource=OuterRef("resource"),
            released_at=None,
            starts_at__lt=OuterRef("ends_at"),
            ends_at__gt=OuterRef("starts_at"),
        )
    )


def partly_taken() -> Exists:
    """For queries of freed times: whether somebody holds by now what the freed appointment had held."""
    return Exists(Reservation.objects.filter(taken_again(), appointment=OuterRef("appointment")))


def freed_already(appointment: Appointment) -> Exists:
    """For queries of reservations: whether an open freed time, of another appointment, gave all of it back before."""
    return Exists(
        Reservation.objects.filter(
            resource=OuterRef("resource"),
            starts_at__lte=OuterRef("starts_at"),
            ends_at__gte=OuterRef("ends_at"),
            appointment__freed_time__site=appointment.site_id,
            appointment__freed_time__closed_at=None,
            appointment__freed_time__isnull=False,
        ).exclude(appointment=appointment)
    )
