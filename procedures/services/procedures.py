"""Recording what was actually done. This, and nothing else, starts a follow-up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet

from clinic import audit
from clinic.models import Resource, ResourceCategory, User
from clinic.refusals import Refusal
from procedures.baselines import PAIN, BaselineScore, source_of
from procedures.models import Appointment, Privilege, Procedure, ProcedureType, ReliefProfile
from procedures.services.baselines import baselines_of, check_scores, keep, use
from procedures.services.booking import refuse_side
from procedures.services.transitions import apply_step, lock_appointment, refuse_unless, take_step
from procedures.signals import procedure_corrected, procedure_performed
from procedures.workflow import STEPS

#: A procedure may begin so long before its appointment without a word (a choice; unconfirmed).
EARLY = timedelta(minutes=60)


@dataclass(frozen=True)
class Performed:
    """What the physician's record says.

    `baseline_pain`: the pain now, 0–10, asked on the day, before the procedure; None: the score counts that was noted
    before, if there is one. `baselines`: what else was asked then, by "instrument.item", such as "peg.pain".
    `performer` and `steroid_given` None: not said. `region`, `laterality`, `levels` and `indication` None: as booked.
    `reason`: why it was performed at a time that does not fit the appointment; "" where it fits.
    """

    performed_at: datetime
    status: str = Procedure.Status.COMPLETED
    baseline_pain: int | None = None
    baselines: Mapping[str, int] = field(default_factory=dict)
    performer: User | None = None
    region: str | None = None
    laterality: str | None = None
    levels: str | None = None
    indication: str | None = None
    agent: str = ""
    steroid_given: bool | None = None
    complications: str = ""
    reason: str = ""


def check_performed(appointment: Appointment, record: Performed, *, now: datetime) -> None:
    """Refuse a record that cannot be true.

    Raises Refusal "not_allowed_now" (the appointment is over or was cancelled), "in_the_future", "before_booking_day"
    (performed on an earlier day than the appointment's), "reason_required" (at a time that does not fit it, see
    `fits`), "score_out_of_range", "unknown_item", "status_not_possible", "region_not_possible", "side_required",
    "side_not_possible", and "no_privilege" (field "performer").
    """
    refuse_unless(appointment, STEPS["complete"].origins)
    if record.status not in (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED):
        raise Refusal("Completed, partly done or aborted.", code="status_not_possible", field="status")
    check_moment(appointment, record.performed_at, now=now)
    if not fits(appointment, record.performed_at) and not record.reason.strip():
        raise Refusal(
            "This time does not fit the appointment. Say why it was performed then.",
            code="reason_required",
            field="reason",
        )
    check_place(appointment, record)
    check_performer(appointment, record)
    check_score(record.baseline_pain, field="baseline_pain")
    check_scores(record.baselines)
    if PAIN in record.baselines:
        raise Refusal("The pain now is the score before.", code="unknown_item", field=PAIN)


def check_moment(appointment: Appointment, performed_at: datetime, *, now: datetime) -> None:
    """Refuse an instant at which the appointment's procedure cannot have been performed; codes as above."""
    if performed_at > now:
        raise Refusal(
            "A procedure cannot have been performed in the future.",
            code="in_the_future",
            field="performed_at",
        )
    zone = appointment.site.zone
    if performed_at.astimezone(zone).date() < appointment.starts_at.astimezone(zone).date():
        raise Refusal(
            "This is before the day of the appointment.", code="before_booking_day", field="performed_at"
        )


def fits(appointment: Appointment, performed_at: datetime) -> bool:
    """Whether a procedure can have been performed then as it was booked: on the appointment's day, and at most EARLY
    before its start, or from when the patient arrived who came earlier still. An arrival that was undone is none."""
    zone = appointment.site.zone
    if performed_at.astimezone(zone).date() != appointment.starts_at.astimezone(zone).date():
        return False
    steps = appointment.steps.filter(step="arrive" if appointment.status in Appointment.PRESENT else "")
    arrived = steps.order_by("-pk").values_list("at", flat=True).first()
    earliest = appointment.starts_at - EARLY
    return performed_at >= (min(arrived, earliest) if arrived else earliest)


def check_place(appointment: Appointment, record: Performed) -> None:
    """Refuse a region or a side that the procedure type does not have."""
    kind = appointment.procedure_type
    if record.region and record.region not in kind.regions:
        raise Refusal(
            f"Possible here: {', '.join(kind.regions)}.", code="region_not_possible", field="region"
        )
    if record.laterality is not None:
        refuse_side(kind, record.laterality)


def check_performer(appointment: Appointment, record: Performed) -> None:
    """Refuse a performer who could not have been booked for it."""
    if record.performer is None:
        return
    zone = appointment.site.zone
    able = performers(appointment.procedure_type, record.performed_at.astimezone(zone).date())
    if not able.filter(pk=record.performer.pk).exists():
        raise Refusal(
            f"{record.performer} has no privilege for {appointment.procedure_type}.",
            code="no_privilege",
            field="performer",
        )


def performers(kind: ProcedureType, day: date) -> QuerySet[User]:
    """Who can perform procedures of this type on `day`, by what booking asks for: people of a category that it needs,
    with the privilege for its family where a category needs one."""
    needed = ResourceCategory.objects.filter(requirements__procedure_type=kind)
    privileged = needed.filter(needs_privilege=True)
    people = Resource.objects.filter(user__isnull=False)
    if privileged.exists():
        valid = Privilege.objects.filter(
            Q(valid_until_on=None) | Q(valid_until_on__gte=day), family=kind.family
        ).values("resource")
        people = people.filter(categories__in=privileged, pk__in=valid)
    else:
        people = people.filter(categories__in=needed)
    return User.objects.filter(pk__in=people.values("user"))


def profile_at(kind: ProcedureType, moment: datetime) -> ReliefProfile:
    """The relief profile in force then; Refusal "no_relief_profile" when there was none."""
    try:
        return kind.profile_on(moment)
    except ReliefProfile.DoesNotExist:
        raise Refusal(
            "This procedure type has no relief profile yet.", code="no_relief_profile", field="procedure_type"
        ) from None


def check_score(score: int | None, *, field: str) -> None:
    """Raise Refusal "score_out_of_range" unless `score` is None or a whole number from 0 to 10."""
    if score is not None and (isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= 10):
        raise Refusal("A pain score is a whole number from 0 to 10.", code="score_out_of_range", field=field)


@transaction.atomic
def perform(appointment_id: int, record: Performed, *, by: User | None, now: datetime) -> Procedure:
    """Record that the appointment's procedure was performed; its follow-up begins, unless it was aborted.

    Raises as `check_performed` does, and Refusal "no_relief_profile" for a type that has none.
    """
    appointment = lock_appointment(appointment_id)
    check_performed(appointment, record, now=now)
    profile = profile_at(appointment.procedure_type, record.performed_at)
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
        agent=record.agent,
        steroid_given=record.steroid_given,
        complications=record.complications,
        recorded_at=now,
    )
    named = dict(record.baselines)
    if record.baseline_pain is not None:
        named[PAIN] = record.baseline_pain
    keep(appointment, named, taken_at=record.performed_at, by=by, now=now)
    use(procedure, baselines_of(appointment, performed_at=record.performed_at).get(PAIN))
    procedure.full_clean()
    procedure.save(force_insert=True)
    apply_step(appointment, "complete", Appointment.Status.COMPLETED, by=by, now=now)
    why = f"{record.status}: {record.reason.strip()}" if record.reason.strip() else record.status
    audit.record("procedure.performed", procedure, by=by, at=now, site=procedure.site, reason=why)
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


@transaction.atomic
def correct_time(
    procedure_id: int, *, performed_at: datetime, reason: str, by: User | None, now: datetime
) -> Procedure:
    """Say when the procedure was really performed. It is judged by the relief profile in force then.

    What its follow-up has not asked yet is planned again. The same time again changes nothing.

    Raises Refusal "reason_required", "in_the_future", "after_recording", "before_booking_day", "no_relief_profile",
    "not_allowed_now" for one that was entered in error, and PermissionDenied without the permission to perform.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    procedure = (
        Procedure.objects.select_for_update(of=("self",))
        .select_related("appointment", "site", "procedure_type")
        .get(pk=procedure_id)
    )
    if procedure.status == Procedure.Status.ENTERED_IN_ERROR:
        raise Refusal("This procedure was entered in error.", code="not_allowed_now", field="performed_at")
    if procedure.performed_at == performed_at:
        return procedure
    if not reason.strip():
        raise Refusal("Say why.", code="reason_required", field="reason")
    check_moment(procedure.appointment, performed_at, now=now)
    if performed_at > procedure.recorded_at:
        raise Refusal("It was recorded before that.", code="after_recording", field="performed_at")
    move_baseline(procedure, to=performed_at)
    procedure.performed_at = performed_at
    procedure.relief_profile = profile_at(procedure.procedure_type, performed_at)
    procedure.save(
        update_fields=[
            *("performed_at", "relief_profile", "baseline_pain", "baseline_taken_at", "baseline_source")
        ]
    )
    audit.record("procedure.time_corrected", procedure, by=by, at=now, site=procedure.site, reason=reason)
    procedure_corrected.send(Procedure, procedure=procedure, reason=reason, now=now)
    return procedure


def move_baseline(procedure: Procedure, *, to: datetime) -> None:
    """Fit the pain before to the corrected time `to` of a procedure. Saves nothing.

    What was named at the procedure moves with it. What was noted at its own time stays, unless it is now from after the
    procedure: then the latest score from before it counts.
    """
    taken_at = procedure.baseline_taken_at
    if taken_at is None or procedure.baseline_pain is None:
        return
    if taken_at == procedure.performed_at:
        taken_at = to
    if taken_at > to:
        use(procedure, baselines_of(procedure.appointment, performed_at=to).get(PAIN))
    else:
        zone = procedure.site.zone
        use(procedure, BaselineScore(procedure.baseline_pain, taken_at, source_of(taken_at, to, zone=zone)))
