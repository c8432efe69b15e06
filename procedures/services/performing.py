"""Recording what was actually done. This, and nothing else, starts a follow-up."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from procedures.models import Appointment, Procedure, ReliefProfile
from procedures.services.stepping import locked, refuse_unless, take_step, write
from procedures.signals import procedure_performed
from procedures.steps import STEPS


@dataclass(frozen=True)
class Performed:
    """What the physician's record says.

    `baseline_pain`: the pain now, 0–10, asked before the procedure; None when nobody asked. `performer` None: not
    said. `region`, `laterality`, `levels` and `indication` None: as booked.
    """

    performed_at: datetime
    status: str = Procedure.Status.COMPLETED
    baseline_pain: int | None = None
    performer: User | None = None
    region: str | None = None
    laterality: str | None = None
    levels: str | None = None
    indication: str | None = None
    agent: str = ""
    complications: str = ""


def check_performed(appointment: Appointment, record: Performed, *, now: datetime) -> None:
    """Refuse a record that cannot be true.

    Raises Refusal "not_allowed_now" (the appointment is over or was cancelled), "in_the_future", "before_booking_day"
    (performed on an earlier day than the appointment's), "score_out_of_range", "status_not_possible".
    """
    refuse_unless(appointment, STEPS["complete"].origins)
    if record.status not in (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED):
        raise Refusal("Completed, partly done or aborted.", code="status_not_possible", field="status")
    if record.performed_at > now:
        raise Refusal(
            "A procedure cannot have been performed in the future.",
            code="in_the_future",
            field="performed_at",
        )
    zone = appointment.site.zone
    if record.performed_at.astimezone(zone).date() < appointment.starts_at.astimezone(zone).date():
        raise Refusal(
            "This is before the day of the appointment.", code="before_booking_day", field="performed_at"
        )
    check_score(record.baseline_pain, field="baseline_pain")


def check_score(score: int | None, *, field: str) -> None:
    """Raise Refusal "score_out_of_range" unless `score` is None or a whole number from 0 to 10."""
    if score is not None and (isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= 10):
        raise Refusal("A pain score is a whole number from 0 to 10.", code="score_out_of_range", field=field)


@transaction.atomic
def perform(appointment_id: int, record: Performed, *, by: User | None, now: datetime) -> Procedure:
    """Record that the appointment's procedure was performed; its follow-up begins, unless it was aborted.

    Raises as `check_performed` does, and Refusal "no_relief_profile" for a type that has none.
    """
    appointment = locked(appointment_id)
    check_performed(appointment, record, now=now)
    try:
        profile = appointment.procedure_type.profile_on(record.performed_at)
    except ReliefProfile.DoesNotExist:
        raise Refusal(
            "This procedure type has no relief profile yet.", code="no_relief_profile", field="procedure_type"
        ) from None
    procedure = Procedure(
        appointment=appointment,
        patient=appointment.patient,
        procedure_type=appointment.procedure_type,
        relief_profile=profile,
        site=appointment.site,
        status=record.status,
        intent=appointment.intent,
        performed_at=record.performed_at,
        performer=record.performer,
        region=appointment.region if record.region is None else record.region,
        laterality=appointment.laterality if record.laterality is None else record.laterality,
        levels=appointment.levels if record.levels is None else record.levels,
        indication=appointment.indication if record.indication is None else record.indication,
        baseline_pain=record.baseline_pain,
        agent=record.agent,
        complications=record.complications,
        recorded_at=now,
    )
    procedure.full_clean()
    procedure.save(force_insert=True)
    write(appointment, "complete", Appointment.Status.COMPLETED, by=by, now=now)
    audit.record("procedure.performed", procedure, by=by, at=now, site=procedure.site, reason=record.status)
    procedure_performed.send(Procedure, procedure=procedure, now=now)
    return procedure


@transaction.atomic
def void(procedure_id: int, *, reason: str, by: User | None, now: datetime) -> Procedure:
    """Mark a procedure, with its appointment, as entered in error. Its row and its answers stay; nothing more is asked.

    Raises as `take_step` does: "reason_required" without a reason, "not_allowed_now" when it is void already.
    """
    procedure = Procedure.objects.get(pk=procedure_id)
    take_step(procedure.appointment_id, "enter_in_error", by=by, now=now, reason=reason)
    procedure.refresh_from_db()
    return procedure
