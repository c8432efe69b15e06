"""Opening, extending and ending follow-ups."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q, Subquery

from clinic import audit
from clinic.database import for_each_row
from clinic.models import OutgoingEmail
from outcomes.models import CheckIn, ContactAttempt, FollowUp
from outcomes.models.follow_ups import FollowUpQuerySet
from outcomes.schedule import DAY, Planned, diary, following, plan
from outcomes.services.alerts import raise_settled
from outcomes.services.courses import BY_ANOTHER, same_side
from outcomes.services.judgement import mark_confounded, summarise, update_verdict
from patients.models import Caregiver
from procedures.models import Intent, Procedure, ReliefProfile

#: Among so many procedures each tick looks for some without a follow-up.
LATEST = 5000


@transaction.atomic
def open_follow_up(procedure: Procedure, *, now: datetime) -> FollowUp | None:
    """Begin the course after `procedure` and write one row for each planned check-in.

    It is judged by the profile of the day of the procedure, and asks by the one in force now, where that is newer, as
    after an import. Idempotent: the tick runs it again for whatever was missed. None for a procedure that is not
    followed, because it was aborted or entered in error.
    """
    locked = Procedure.objects.select_for_update(of=("self",)).select_related(
        "site", "patient", "procedure_type", "relief_profile"
    )
    procedure = locked.get(pk=procedure.pk)
    if procedure.status not in Procedure.FOLLOWED:
        return None
    follow_up, made = FollowUp.objects.get_or_create(
        procedure=procedure,
        defaults={
            "patient": procedure.patient,
            "relief_profile": procedure.relief_profile,
            "check_in_profile": newer_profile(procedure, now=now),
            "opened_at": now,
        },
    )
    if not made:
        return follow_up
    planned = first_plan(follow_up)
    CheckIn.objects.bulk_create([new_check_in(follow_up, entry) for entry in planned], ignore_conflicts=True)
    audit.record("follow_up.opened", follow_up, by=None, at=now, site=procedure.site)
    settle_neighbours(follow_up, now=now)
    update_verdict(follow_up.pk, now=now)
    return follow_up


def newer_profile(procedure: Procedure, *, now: datetime) -> ReliefProfile | None:
    """The version of its type's relief profile that is in force, by which it asks; None when that is its own."""
    newest = procedure.procedure_type.profile_on(now)
    return newest if newest.version > procedure.relief_profile.version else None


def first_plan(follow_up: FollowUp) -> list[Planned]:
    """The check-ins of a follow-up by today's facts; of those that repeat, the first.

    The diary is that of the profile by which it is judged: it is over in a day, and entries are not to come or go while
    the patient writes it. The days are those of `plan_profile`; a test without a steroid asks none
    (`FollowUp.asks_days`) but day 1, where it is hour 24 of the diary.
    """
    profile, site = follow_up.relief_profile, follow_up.procedure.site
    hours = diary(days=profile.check_in_days, minutes=profile.check_in_minutes)
    planned = plan(
        follow_up.procedure.performed_at,
        days=[day for day in follow_up.plan_profile.check_in_days if day * DAY not in hours],
        minutes=sorted(hours),
        every_days=follow_up.plan_profile.check_in_every_days,
        at=site.check_in_at,
        zone=site.zone,
    )
    if follow_up.asks_days:
        return planned
    return [entry for entry in planned if entry.offset_minutes in profile.check_in_minutes]


def new_check_in(follow_up: FollowUp, planned: Planned) -> CheckIn:
    """The row of one planned check-in."""
    return CheckIn(
        follow_up=follow_up,
        offset_minutes=planned.offset_minutes,
        opens_at=planned.opens_at,
        due_at=planned.due_at,
        closes_at=planned.closes_at,
    )


def settle_neighbours(follow_up: FollowUp, *, now: datetime) -> None:
    """What a new follow-up does to the patient's others, and they to it, whichever was recorded first.

    Maintenance of a device ends what it repeats or starts anew (`maintained_by`). A repeat of the same family on the
    same region ends the earlier course on that day, and so does another treatment of that region within the earlier
    course's window; the pain before it is the last score of that course. The effect of a device goes on beside another
    treatment: its course does not end, and what is felt within the other's window is left out. Which of the courses
    cannot be told apart then, says `judgement.mark_confounded`. A diagnostic block, which is over in hours, does none
    of this, nor does maintenance that starts nothing anew, such as a refill.
    """
    of_patient = FollowUp.objects.filter(patient=follow_up.patient_id)
    for later in [follow_up, *since(follow_up, of_patient)]:
        ended = maintained_by(later, of_patient)
        if ended:
            mark_closed(ended, FollowUp.Closed.REPEATED, at=later.procedure.performed_at, by=later)
            update_verdict(ended.pk, now=now)
    treating = of_patient.seeking_relief()
    procedure = follow_up.procedure
    if not procedure.region or not treating.filter(pk=follow_up.pk, closed_at=None).exists():
        return
    family = procedure.procedure_type.family
    # A course that a later treatment has ended ran at this procedure's time all the same: of several, recorded in any
    # order, the first one after it ends it.
    ran_then = Q(closed_at=None) | Q(closed_reason__in=BY_ANOTHER, closed_at__gt=procedure.performed_at)
    others = (
        treating.select_for_update(of=("self",))
        .filter(ran_then, procedure__region=procedure.region)
        .exclude(pk=follow_up.pk)
        .select_related("procedure__procedure_type", "relief_profile")
        .order_by("procedure__performed_at", "pk")
    )
    for other in others:
        if not same_side(other.procedure.laterality, procedure.laterality):
            continue
        earlier, later = sorted((other, follow_up), key=lambda follow_up: follow_up.procedure.performed_at)
        then = later.procedure.performed_at
        within = timedelta(days=earlier.relief_profile.window_until_days)
        before = earlier.ended_by_id
        if other.procedure.procedure_type.family == family:
            mark_closed(earlier, FollowUp.Closed.REPEATED, at=then, by=later)
        elif then < earlier.procedure.performed_at + within and not earlier.relief_profile.ongoing:
            mark_closed(earlier, FollowUp.Closed.OTHER_TREATMENT, at=then, by=later)
        update_verdict(other.pk, now=now)
        if earlier.pk != other.pk:
            update_verdict(earlier.pk, now=now)
        if before and before != earlier.ended_by_id:
            mark_confounded(before, now=now)
        if follow_up.closed_at:
            break  # the course is over where the next one began; what came after that does not touch it


def since(follow_up: FollowUp, of_patient: FollowUpQuerySet) -> list[FollowUp]:
    """Maintenance that was performed after the follow-up's procedure, in order of time."""
    later = of_patient.filter(
        procedure__intent=Intent.MAINTENANCE, procedure__performed_at__gt=follow_up.procedure.performed_at
    )
    rows = later.exclude(closed_reason=FollowUp.Closed.VOIDED).select_related("procedure__procedure_type")
    return list(rows.order_by("procedure__performed_at", "pk"))


def maintained_by(later: FollowUp, of_patient: FollowUpQuerySet) -> FollowUp | None:
    """The course that runs and that this maintenance of a device ends, locked; None when there is none.

    That is the one after the last maintenance of the same type, or, where the type starts implants anew, the one after
    the implant. Of several devices it is the one in the same region and on the same side; where that does not tell
    which, staff end the course themselves.
    """
    procedure = later.procedure
    if procedure.intent != Intent.MAINTENANCE:
        return None
    kind = procedure.procedure_type
    running = (
        of_patient.select_for_update(of=("self",))
        .filter(
            Q(procedure__procedure_type=kind)
            | Q(procedure__intent=Intent.IMPLANT, procedure__procedure_type__family__in=kind.restarts),
            closed_at=None,
            procedure__performed_at__lt=procedure.performed_at,
        )
        .exclude(pk=later.pk)
        .select_related("procedure")
        .order_by("procedure__performed_at", "pk")
    )
    devices = list(running)
    here = [
        device
        for device in devices
        if device.procedure.region == procedure.region
        and same_side(device.procedure.laterality, procedure.laterality)
    ]
    return next((found[0] for found in (here, devices) if len(found) == 1), None)


def mark_closed(follow_up: FollowUp, closed_reason: str, *, at: datetime, by: FollowUp | None = None) -> None:
    """Close the course at the instant `at`: what it would still have asked is void, and so is what nobody answered
    since then, where the end is written down late. What was answered stays.

    `by`: the follow-up of the procedure that ended it; None when it ends otherwise. What was said of an end that stood
    until now goes with it.
    """
    changed = ["closed_at", "closed_reason", "ended_by"]
    if follow_up.ended_by_id and follow_up.confounded_by_id == follow_up.ended_by_id:
        follow_up.confounded_by = None
        changed.append("confounded_by")
    follow_up.closed_at, follow_up.closed_reason, follow_up.ended_by = at, closed_reason, by
    follow_up.save(update_fields=changed)
    over = Q(status__in=CheckIn.OPEN) | Q(status=CheckIn.Status.MISSED, due_at__gt=at)
    follow_up.check_ins.filter(over).update(status=CheckIn.Status.VOIDED)


def reopen(follow_up: FollowUp) -> None:
    """Let a course go on that had ended: what was still to be asked then is to be asked again.

    So is what was queued and then held back because the course had ended. What the plan had dropped before comes back
    with it, and goes when the tick plans it again.
    """
    if follow_up.confounded_by_id == follow_up.ended_by_id:
        follow_up.confounded_by = None
    follow_up.closed_at, follow_up.closed_reason, follow_up.ended_by = None, FollowUp.Closed.NOT, None
    if follow_up.check_in_profile_id:
        follow_up.replan_reason = "The course goes on."
    changed = ["closed_at", "closed_reason", "ended_by", "confounded_by", "replan_reason"]
    follow_up.save(update_fields=changed)
    void = follow_up.check_ins.filter(status=CheckIn.Status.VOIDED, kind=CheckIn.Kind.PLANNED)
    held_back = ContactAttempt.objects.filter(
        check_in__in=void, email__status=OutgoingEmail.Status.SKIPPED
    ).values_list("check_in", flat=True)
    void.filter(pk__in=list(held_back)).update(invited_at=None, remind_at=None)
    void.filter(invited_at=None).update(status=CheckIn.Status.PLANNED)
    void.update(status=CheckIn.Status.INVITED)


@transaction.atomic
def void_follow_up(procedure: Procedure, *, now: datetime) -> None:
    """The procedure was entered in error: nothing more is asked, and what it did to other courses is undone.

    Idempotent.
    """
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "relief_profile")
        .filter(procedure=procedure)
        .first()
    )
    if follow_up is None or follow_up.closed_reason == FollowUp.Closed.VOIDED:
        return
    mark_closed(follow_up, FollowUp.Closed.VOIDED, at=now)
    ended = follow_up.ended.select_for_update(of=("self",)).select_related("patient", "procedure__site")
    for repeated in ended.order_by("pk"):
        reopen(repeated)
        settle_neighbours(repeated, now=now)  # another repeat may have followed
        if update_verdict(repeated.pk, now=now).closed_at is None:
            raise_settled(repeated, now=now)
    for pk in list(
        FollowUp.objects.filter(confounded_by=follow_up).values_list("pk", flat=True).order_by("pk")
    ):
        mark_confounded(pk, now=now)
    beside = FollowUp.objects.filter(patient=follow_up.patient_id, relief_profile__ongoing=True)
    for pk in list(beside.exclude(pk=follow_up.pk).order_by("pk").values_list("pk", flat=True)):
        update_verdict(pk, now=now)  # what was felt beside it counts again
    summarise([follow_up], now=now)
    audit.record("follow_up.voided", follow_up, by=None, at=now, site=procedure.site)


def open_missing_follow_ups(*, now: datetime, limit: int = 1000) -> int:
    """Open what an import, a restore or a fault left without a follow-up; how many.

    Looks among the LATEST procedures, and on the hour among all: that takes longer with every year of the clinic.
    """
    missing = Procedure.objects.filter(status__in=Procedure.FOLLOWED, follow_up=None)
    if now.minute:
        newest = Procedure.objects.aggregate(newest=Max("pk"))["newest"] or 0
        missing = missing.filter(pk__gt=newest - LATEST)
    return for_each_row(
        missing.order_by("pk")[:limit], lambda procedure: open_follow_up(procedure, now=now) is not None
    )


def extend_plans(*, now: datetime, limit: int = 1000) -> int:
    """Where check-ins repeat without end, write the next one when the last has fallen due; how many were written.

    Not for who has died or wants no more e-mails, unless a caregiver is asked. Whoever changes their mind is asked
    again from then on.
    """
    repeating = list(
        ReliefProfile.objects.filter(check_in_every_days__isnull=False).values_list("pk", flat=True)
    )
    last = (
        CheckIn.objects.filter(follow_up=OuterRef("pk"), kind=CheckIn.Kind.PLANNED)
        .exclude(status=CheckIn.Status.VOIDED)
        .order_by("-offset_minutes")
        .values("due_at", "offset_minutes")
    )
    running = (
        FollowUp.objects.filter(
            Q(check_in_profile__in=repeating) | Q(check_in_profile=None, relief_profile__in=repeating),
            Q(patient__opted_out_at=None)
            | Exists(Caregiver.objects.asked().filter(patient=OuterRef("patient"))),
            closed_at=None,
            patient__died_on=None,
        )
        .annotate(last_due_at=Subquery(last.values("due_at")[:1]))
        .filter(last_due_at__lte=now)
        .order_by("pk")
        .values_list("pk", flat=True)[:limit]
    )
    return for_each_row(list(running), lambda pk: extend(pk, now=now))


@transaction.atomic
def extend(follow_up_id: int, *, now: datetime) -> int:
    """Write the follow-up's next repeating check-ins up to one that is still to come; how many."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile")
        .get(pk=follow_up_id)
    )
    every = follow_up.plan_profile.check_in_every_days if follow_up.asks_days else None
    in_plan = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED).exclude(status=CheckIn.Status.VOIDED)
    offset = in_plan.aggregate(last=Max("offset_minutes"))["last"]
    written = 0
    while every and offset is not None:
        planned = following(
            follow_up.procedure.performed_at,
            last_offset=offset,
            every_days=every,
            at=follow_up.procedure.site.check_in_at,
            zone=follow_up.procedure.site.zone,
        )
        CheckIn.objects.bulk_create([new_check_in(follow_up, planned)], ignore_conflicts=True)
        written, offset = written + 1, planned.offset_minutes
        if planned.due_at > now:
            break
    return written
