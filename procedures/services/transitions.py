"""Moving an appointment from state to state: only by the named steps of `procedures.workflow`, each written down."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from clinic import audit
from clinic.database import for_each_row
from clinic.models import Closure, User
from clinic.refusals import Refusal
from procedures.models import Appointment, AppointmentStep, Procedure, Reservation
from procedures.services import notifications
from procedures.services.booking_checks import SlotUnavailable, closed, lock, refuse_gone, span_words
from procedures.services.displacement import reasons
from procedures.services.openings import note_freed
from procedures.signals import procedure_voided
from procedures.workflow import BY_THEMSELVES, EXPECTED, STEPS, Step

#: How long after its start a no-show can be undone (a choice; unconfirmed): over a weekend, and not for ever.
UNDONE_WITHIN = timedelta(days=7)


def lock_appointment(appointment_id: int) -> Appointment:
    """The appointment, locked until the transaction ends."""
    return with_details().select_for_update(of=("self",)).get(pk=appointment_id)


def lock_appointment_if_free(appointment_id: int) -> Appointment | None:
    """The same; None while somebody else has it locked."""
    return with_details().select_for_update(of=("self",), skip_locked=True).filter(pk=appointment_id).first()


def with_details() -> QuerySet[Appointment]:
    return Appointment.objects.select_related("site", "patient", "procedure_type")


@transaction.atomic
def take_step(
    appointment_id: int,
    name: str,
    *,
    by: User | None,
    now: datetime,
    reason: str = "",
    ended_by: str = "",
    actor: str = "",
) -> Appointment:
    """Take the step `name` of `procedures.workflow.STEPS` with an appointment.

    `by` None: time or the patient (`actor`) does it. `ended_by`: who cancels, "patient" or "clinic" (the default).
    "accept" is taken by `accept` and "complete" by `perform`, not here.

    Raises PermissionDenied when `by` lacks the step's permission; Refusal "unknown_step", "reason_required",
    "not_allowed_now" unless the appointment is in a state from which the step leads on, "not_today" for an arrival
    on another day, "too_early" for a no-show before the start, "too_late" for undoing one after UNDONE_WITHIN; for
    booking a hold "hold_expired" when it has run out; for this and for undoing a no-show "patient_not_bookable" of one
    who has died since; "closed" when somebody closed meanwhile what it holds, or what
    the no-show held; for this "taken" as well, when somebody else has it.
    """
    step = STEPS.get(name)
    if step is None or name in BY_THEMSELVES:
        raise Refusal("There is no such step.", code="unknown_step", field="step")
    if by is not None and not by.has_perm(step.permission):
        raise PermissionDenied
    reason = reason.strip()
    if step.needs_reason and not reason:
        raise Refusal("Say why.", code="reason_required", field="reason")
    appointment = lock_appointment(appointment_id)
    refuse_unless(appointment, step.origins)
    asked = StepRequest(by=by, now=now, reason=reason, ended_by=ended_by, status=appointment.status)
    handlers = HANDLERS.get(name, StepHandlers())
    handlers.before(appointment, asked)
    to = state_before(appointment, step) if step.undoes else step.to
    apply_step(appointment, name, to, by=by, now=now, reason=reason, actor=actor)
    handlers.after(appointment, asked)
    return appointment


class StepRequest(NamedTuple):
    """Who takes a step, when and why; `status`: that of the appointment before it."""

    by: User | None
    now: datetime
    reason: str
    ended_by: str
    status: str


def refuse_unless_today(appointment: Appointment, asked: StepRequest) -> None:
    zone = appointment.site.zone
    if appointment.starts_at.astimezone(zone).date() != asked.now.astimezone(zone).date():
        raise Refusal("This appointment is not today.", code="not_today", field="status")


def refuse_before_start(appointment: Appointment, asked: StepRequest) -> None:
    if appointment.starts_at > asked.now:
        raise Refusal("The appointment has not begun yet.", code="too_early", field="status")


def say_who_cancels(appointment: Appointment, asked: StepRequest) -> None:
    appointment.ended_by = asked.ended_by or Appointment.EndedBy.CLINIC
    appointment.ended_reason = asked.reason


def refuse_lost_hold(appointment: Appointment, asked: StepRequest) -> None:
    """Refuse to book a hold, locked by the caller, that has run out or into which somebody has closed."""
    refuse_gone(appointment.patient)
    if appointment.held_until and appointment.held_until <= asked.now:
        raise Refusal("This hold has run out.", code="hold_expired", field="status")
    lock(appointment.reservations.all(), appointment.patient_id)
    refuse_if_closed_since(appointment)


def hold_again(gone: Appointment, asked: StepRequest) -> None:
    """Take everything that a no-show gave back, the same resources in the same lanes, unless it is too late."""
    refuse_gone(gone.patient)
    if gone.starts_at < asked.now - UNDONE_WITHIN:
        raise Refusal("This no-show is too old to be undone.", code="too_late", field="status")
    held = gone.reservations.all()
    lock(held, gone.patient_id)
    refuse_if_taken_again(gone)
    held.update(released_at=None)
    refuse_if_closed_since(gone)
    gone.displaced_reason = reasons([gone]).get(gone.pk, "")  # hours may have changed since
    gone.save(update_fields=["displaced_reason"])


def refuse_if_closed_since(held: Appointment) -> None:
    """With the locks held: Refusal "closed" when anything that `held` holds was closed after it was taken."""
    holding = Reservation.objects.filter(
        Q(resource=OuterRef("resource")) | Q(appointment__site=OuterRef("site")),
        appointment=held,
        released_at=None,
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    )
    during = Q(site=held.site_id, starts_at__lt=held.ends_at, ends_at__gt=held.starts_at)
    closure = Closure.objects.select_related("site", "resource").filter(Exists(holding) | during).first()
    if closure:
        words = span_words(held.starts_at, held.ends_at, held.site)
        raise closed(str(closure.site or closure.resource), words, closure.reason)


def refuse_if_taken_again(gone: Appointment) -> None:
    """With the locks held: SlotUnavailable when the patient, or anything that `gone` held, was given to another since.

    Who shares a resource with it for a reason, in another lane, is not in its way.
    """
    during = Q(starts_at__lt=gone.ends_at, ends_at__gt=gone.starts_at)
    busy = Appointment.objects.filter(during, patient=gone.patient_id, status__in=Appointment.LIVE).first()
    if busy:
        words = span_words(busy.starts_at, busy.ends_at, gone.site)
        raise SlotUnavailable(f"The patient has another appointment {words}.")
    held = gone.reservations.filter(
        resource=OuterRef("resource"), starts_at__lt=OuterRef("ends_at"), ends_at__gt=OuterRef("starts_at")
    )
    in_the_way = Q(Exists(held.filter(lane=OuterRef("lane"))))
    if not gone.overbooked_reason:
        in_the_way |= Q(Exists(held), appointment__overbooked_reason="")
    rival = Reservation.objects.filter(in_the_way, released_at=None).select_related("resource").first()
    if rival:
        words = span_words(rival.starts_at, rival.ends_at, gone.site)
        raise SlotUnavailable(f"{rival.resource} is taken {words}.")


def state_before(appointment: Appointment, step: Step) -> str:
    """The state from which the step was taken that `step` undoes: its row is the last of the history."""
    before = appointment.steps.order_by("-pk").values_list("status", flat=True)[1:2]
    return next((status for status in before if status in step.goals), step.to)


def refuse_unless(appointment: Appointment, origins: frozenset[str]) -> None:
    """Raise Refusal "not_allowed_now" unless the appointment's status is among `origins`."""
    if appointment.status not in origins:
        raise Refusal(
            f"This appointment is already {appointment.get_status_display()}.",
            code="not_allowed_now",
            field="status",
        )


def apply_step(
    appointment: Appointment,
    name: str,
    to: str,
    *,
    by: User | None,
    now: datetime,
    reason: str = "",
    actor: str = "",
    frees: bool = True,
) -> None:
    """Save the new status with its row of history and its audit event; give the time back when it ends.

    `frees`: that is news for those who wait, unless the caller says it later.
    """
    # The time of a hold that ends is not offered to the waitlist.
    gives_back = appointment.live and appointment.status != Appointment.Status.HELD
    appointment.status, appointment.held_until = to, None
    appointment.save(update_fields=["status", "held_until", "ended_by", "ended_reason"])
    if not appointment.live:
        appointment.reservations.filter(released_at=None).update(released_at=now)
        if gives_back and frees:
            note_freed(appointment, now=now)
    AppointmentStep.objects.create(
        appointment=appointment, at=now, step=name, status=to, by=by, reason=reason
    )
    action = "appointment.rescheduled" if name == "reschedule" else f"appointment.{to}"
    audit.record(action, appointment, by=by, at=now, site=appointment.site, reason=reason, actor=actor)


def void_procedure(appointment: Appointment, asked: StepRequest) -> None:
    """Mark the appointment's procedure, if there is one, as entered in error: nothing more is asked about it."""
    procedure = (
        Procedure.objects.select_for_update(of=("self",))
        .select_related("site")
        .filter(appointment=appointment)
        .exclude(status=Procedure.Status.ENTERED_IN_ERROR)
        .first()
    )
    if procedure is not None:
        by, now, reason = asked.by, asked.now, asked.reason
        procedure.status = Procedure.Status.ENTERED_IN_ERROR
        procedure.save(update_fields=["status"])
        audit.record("procedure.voided", procedure, by=by, at=now, site=procedure.site, reason=reason)
        procedure_voided.send(Procedure, procedure=procedure, now=now)


def tell_booked(appointment: Appointment, asked: StepRequest) -> None:
    notifications.notify_booked(appointment, now=asked.now)


def tell_cancelled(appointment: Appointment, asked: StepRequest) -> None:
    """Tell the patient, unless they were not expected anyhow."""
    if asked.status in EXPECTED:
        notifications.notify_cancelled(appointment, now=asked.now)


def nothing(appointment: Appointment, asked: StepRequest) -> None:
    """What most steps ask before, and do after, their row of history."""


class StepHandlers(NamedTuple):
    """What is asked or done with the appointment, locked, before a step is written down, and what follows from it."""

    before: Callable[[Appointment, StepRequest], None] = nothing
    after: Callable[[Appointment, StepRequest], None] = nothing


#: By the step's name in `procedures.workflow.STEPS`; a step that is not here only changes the status.
HANDLERS = {
    "book": StepHandlers(refuse_lost_hold, tell_booked),
    "arrive": StepHandlers(refuse_unless_today),
    "mark_no_show": StepHandlers(refuse_before_start),
    "undo_no_show": StepHandlers(hold_again),
    "cancel": StepHandlers(say_who_cancels, tell_cancelled),
    "enter_in_error": StepHandlers(void_procedure, tell_cancelled),
}


def cancel(
    appointment_id: int, *, reason: str, ended_by: str = "", by: User | None, now: datetime
) -> Appointment:
    """Cancel an appointment; its time is free at once. Raises as `take_step` does."""
    return take_step(appointment_id, "cancel", by=by, now=now, reason=reason, ended_by=ended_by)


def arrive(appointment_id: int, *, by: User | None, now: datetime) -> Appointment:
    """The patient is here. Raises as `take_step` does."""
    return take_step(appointment_id, "arrive", by=by, now=now)


def mark_no_show(appointment_id: int, *, by: User | None, now: datetime) -> Appointment:
    """The patient did not come. Raises as `take_step` does."""
    return take_step(appointment_id, "mark_no_show", by=by, now=now)


def release_expired_holds(*, now: datetime) -> int:
    """Give back the times whose hold has run out; how many. The tick does it, and booking where one is in its way."""
    expired = Appointment.objects.filter(status=Appointment.Status.HELD, held_until__lte=now)
    numbers = expired.order_by("held_until", "pk").values_list("pk", flat=True)
    return for_each_row(list(numbers), lambda number: release_hold(number, now=now))


@transaction.atomic
def release_hold(appointment_id: int, *, now: datetime) -> bool:
    """Release one hold, unless it was booked meanwhile or another transaction has it locked."""
    appointment = lock_appointment_if_free(appointment_id)
    if (
        appointment is None
        or appointment.status != Appointment.Status.HELD
        or not appointment.held_until
        or appointment.held_until > now
    ):
        return False
    appointment.ended_by, appointment.ended_reason = Appointment.EndedBy.CLINIC, "The hold ran out."
    apply_step(
        appointment, "expire", Appointment.Status.CANCELLED, by=None, now=now, reason="The hold ran out."
    )
    return True
