"""Moving an appointment from state to state: only by the named steps of `procedures.workflow`, each written down."""

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients.models import Patient
from procedures.models import Appointment, AppointmentStep, Procedure
from procedures.services import notifications
from procedures.services.displacement import reasons
from procedures.services.locks import lock, refuse_if_closed_since, refuse_if_taken_again
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
    zone = appointment.site.zone
    if name == "arrive" and appointment.starts_at.astimezone(zone).date() != now.astimezone(zone).date():
        raise Refusal("This appointment is not today.", code="not_today", field="status")
    if name == "mark_no_show" and appointment.starts_at > now:
        raise Refusal("The appointment has not begun yet.", code="too_early", field="status")
    if name == "book":
        refuse_to_book(appointment, now=now)
    if name == "cancel":
        appointment.ended_by = ended_by or Appointment.EndedBy.CLINIC
        appointment.ended_reason = reason
    if name == "enter_in_error":
        void_procedure(appointment, reason=reason, by=by, now=now)
    if name == "undo_no_show":
        hold_again(appointment, now=now)
    expected = appointment.status in EXPECTED
    to = state_before(appointment, step) if step.undoes else step.to
    write_step(appointment, name, to, by=by, now=now, reason=reason, actor=actor)
    if name == "book":
        notifications.notify_booked(appointment, now=now)
    elif name in ("cancel", "enter_in_error") and expected:
        notifications.notify_cancelled(appointment, now=now)
    return appointment


def refuse_gone(patient: Patient) -> None:
    """Raise Refusal "patient_not_bookable" for a patient who has died or whose record is part of another."""
    if patient.died_on or patient.merged_into_id:
        state = "has died" if patient.died_on else "was merged into another record"
        raise Refusal(f"This patient {state}.", code="patient_not_bookable", field="patient")


def refuse_to_book(appointment: Appointment, *, now: datetime) -> None:
    """Refuse to book a hold, locked by the caller, that has run out or into which somebody has closed."""
    refuse_gone(appointment.patient)
    if appointment.held_until and appointment.held_until <= now:
        raise Refusal("This hold has run out.", code="hold_expired", field="status")
    lock(appointment.reservations.all(), appointment.patient_id)
    refuse_if_closed_since(appointment)


def hold_again(gone: Appointment, *, now: datetime) -> None:
    """Take everything that a no-show gave back, the same resources in the same lanes, unless it is too late."""
    refuse_gone(gone.patient)
    if gone.starts_at < now - UNDONE_WITHIN:
        raise Refusal("This no-show is too old to be undone.", code="too_late", field="status")
    held = gone.reservations.all()
    lock(held, gone.patient_id)
    refuse_if_taken_again(gone)
    held.update(released_at=None)
    refuse_if_closed_since(gone)
    gone.displaced_reason = reasons([gone]).get(gone.pk, "")  # hours may have changed since
    gone.save(update_fields=["displaced_reason"])


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


def write_step(
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
    # A hold was never more than a thought: that it ends is no news for those who wait.
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


def void_procedure(appointment: Appointment, *, reason: str, by: User | None, now: datetime) -> None:
    """Mark the appointment's procedure, if there is one, as entered in error: nothing more is asked about it."""
    procedure = (
        Procedure.objects.select_for_update(of=("self",))
        .select_related("site")
        .filter(appointment=appointment)
        .exclude(status=Procedure.Status.ENTERED_IN_ERROR)
        .first()
    )
    if procedure is not None:
        procedure.status = Procedure.Status.ENTERED_IN_ERROR
        procedure.save(update_fields=["status"])
        audit.record("procedure.voided", procedure, by=by, at=now, site=procedure.site, reason=reason)
        procedure_voided.send(Procedure, procedure=procedure, now=now)


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
