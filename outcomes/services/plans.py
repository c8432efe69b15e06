"""Planning again what was not asked yet, and ending a course before its plan does."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from clinic import audit
from clinic.database import for_each_row
from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.models import CheckIn, FollowUp
from outcomes.schedule import DAY, Planned, diary, following
from outcomes.services.alerts import raise_settled
from outcomes.services.courses import BY_ANOTHER, in_minutes
from outcomes.services.follow_ups import (
    first_plan,
    mark_closed,
    new_check_in,
    newer_profile,
    reopen,
    settle_neighbours,
)
from outcomes.services.judgement import mark_confounded, update_verdict
from procedures.models import Procedure, ReliefProfile

#: What of a relief profile says when to ask those whose course runs; their diary is over.
PLAN = ("check_in_days", "check_in_every_days")
#: Why staff may end a course.
ENDINGS = (FollowUp.Closed.OTHER_CARE, FollowUp.Closed.TRANSFERRED, FollowUp.Closed.EXPLANTED)
#: What of these can be taken back: a device that was taken out is out.
RESUMED = (FollowUp.Closed.OTHER_CARE, FollowUp.Closed.TRANSFERRED)


def replan_site(site: Site, *, reason: str) -> int:
    """The site's clock or its hour has changed: have the tick plan its open follow-ups again; how many."""
    return FollowUp.objects.filter(procedure__site=site, closed_at=None).update(replan_reason=reason)


@transaction.atomic
def replan_procedure(procedure: Procedure, *, reason: str, now: datetime) -> None:
    """The procedure's time was corrected: plan its follow-up again, by the profile that counts now, and judge it.

    What it ended, and what ended it, ends where it does now, or goes on where the other one is not the later one any
    more, or not within its window.
    """
    own = Q(procedure=procedure, closed_reason__in=BY_ANOTHER)
    touched = list(
        FollowUp.objects.filter(own | Q(ended_by__procedure=procedure))
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    for follow_up in touched:
        reopen(follow_up)
    FollowUp.objects.filter(procedure=procedure).update(relief_profile=procedure.relief_profile)
    drop_end_before(procedure, now=now)
    of_it = list(FollowUp.objects.filter(procedure=procedure).values_list("pk", flat=True))
    numbers = [*of_it, *(follow_up.pk for follow_up in touched if follow_up.pk not in of_it)]
    for pk in numbers:  # its own course first, so that none is judged as running that ends all the same
        follow_up = FollowUp.objects.select_related("procedure__procedure_type", "relief_profile").get(pk=pk)
        if follow_up.closed_at is None:
            settle_neighbours(follow_up, now=now)
        if pk not in of_it:
            update_verdict(pk, now=now)
    for pk in of_it:
        replan(pk, reason=reason, now=now)
    blurred = FollowUp.objects.filter(
        Q(confounded_by__in=numbers) | Q(pk__in=numbers, confounded_by__isnull=False)
    )
    for pk in list(blurred.order_by("pk").values_list("pk", flat=True)):
        mark_confounded(pk, now=now)


def drop_end_before(procedure: Procedure, *, now: datetime) -> None:
    """A trial cannot have ended before the corrected day of its procedure: nobody has said then when it did."""
    day = procedure.performed_at.astimezone(procedure.site.zone).date()
    for follow_up in FollowUp.objects.filter(procedure=procedure, trial_ended_on__lt=day):
        follow_up.trial_ended_on = None
        follow_up.save(update_fields=["trial_ended_on"])
        audit.record("follow_up.trial_end_dropped", follow_up, by=None, at=now, site=procedure.site)


@transaction.atomic
def take_new_plan(profile: ReliefProfile) -> int:
    """A procedure type has a new version of its relief profile: its courses that run ask by it from now on.

    They are still judged by the version of their day. Where its plan is another one, the tick plans them again; returns
    how many.
    """
    others = profile.procedure_type.relief_profiles.exclude(pk=profile.pk)
    return ask_by(profile, others.filter(version__lt=profile.version))


def take_missed_plans(*, now: datetime) -> int:
    """The same for what a restore or a fault has left with the plan of an older version than the one in force."""
    newest = ReliefProfile.objects.filter(in_force_from__lte=now).order_by("-version")
    newest_of_type = newest.filter(procedure_type=OuterRef("procedure_type")).values("version")[:1]
    older = ReliefProfile.objects.filter(version__lt=Subquery(newest_of_type))
    taken = 0
    for kind in set(older.order_by().values_list("procedure_type", flat=True)):
        with transaction.atomic():
            of_kind = older.filter(procedure_type=kind)
            taken += ask_by(newest.filter(procedure_type=kind)[0], of_kind)
    return taken


def ask_by(profile: ReliefProfile, others: QuerySet[ReliefProfile]) -> int:
    """Have the courses that run and ask by one of the `others` ask by `profile`; how many are to be planned again."""
    same = [
        other.pk for other in others if all(getattr(other, name) == getattr(profile, name) for name in PLAN)
    ]
    running = FollowUp.objects.filter(closed_at=None).alias(
        asks_by=Coalesce("check_in_profile", "relief_profile")
    )
    to_plan = running.filter(asks_by__in=others.exclude(pk__in=same)).update(
        check_in_profile=profile, replan_reason="The check-in plan of this procedure type has changed."
    )
    running.filter(asks_by__in=same).update(check_in_profile=profile)
    return to_plan


def replan_marked(*, now: datetime, limit: int = 1000) -> int:
    """Plan again what is marked so; how many follow-ups. The tick runs it.

    On the hour it looks first for courses that have missed a new version of their plan.
    """
    if not now.minute:
        take_missed_plans(now=now)
    marked = FollowUp.objects.exclude(replan_reason="").order_by("pk").values_list("pk", "replan_reason")
    return for_each_row(list(marked[:limit]), lambda row: replan(row[0], reason=row[1], now=now) is not None)


@transaction.atomic
def replan(follow_up_id: int, *, reason: str, now: datetime) -> FollowUp:
    """Plan a follow-up's check-ins again, all or none. Only those that nobody was asked yet move, come or go.

    What was asked, answered, missed or replaced stays where it was; only, what is waiting for its answer closes when
    the plan now asks the next one. A check-in that the plan has no longer is void until the plan has it again; one
    that is new and over already is not written. Confirmations and reports are no part of the plan. Idempotent.

    The figures of judgement become those of the procedure, whose time may have been corrected. A course that runs asks
    by the newest version in force, whatever its day.
    """
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "procedure__relief_profile")
        .get(pk=follow_up_id)
    )
    procedure = follow_up.procedure
    follow_up.relief_profile, follow_up.replan_reason = procedure.relief_profile, ""
    if follow_up.closed_at is None:
        follow_up.check_in_profile = newer_profile(procedure, now=now)
    follow_up.save(update_fields=["relief_profile", "check_in_profile", "replan_reason"])
    if follow_up.closed_at is None:
        write_plan(follow_up, now=now)
    audit.record("follow_up.replanned", follow_up, by=None, at=now, site=procedure.site, reason=reason)
    return update_verdict(follow_up.pk, now=now)


def write_plan(follow_up: FollowUp, *, now: datetime) -> None:
    """Move, add and void check-ins as `replan` says. Wants the follow-up locked."""
    wanted = {planned.offset_minutes: planned for planned in plan_of(follow_up)}
    in_plan = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
    unsent = in_plan.select_for_update().filter(
        status__in=[CheckIn.Status.PLANNED, CheckIn.Status.VOIDED], invited_at=None
    )
    moved = []
    for check_in in unsent:
        planned = wanted.get(check_in.offset_minutes)
        if planned is None or (check_in.status == CheckIn.Status.VOIDED and planned.closes_at <= now):
            check_in.status = CheckIn.Status.VOIDED
        else:
            check_in.status, check_in.hold_until = CheckIn.Status.PLANNED, None
            check_in.opens_at, check_in.due_at, check_in.closes_at = (
                planned.opens_at,
                planned.due_at,
                planned.closes_at,
            )
        moved.append(check_in)
    CheckIn.objects.bulk_update(moved, ["opens_at", "due_at", "closes_at", "hold_until", "status"])
    there = set(in_plan.values_list("offset_minutes", flat=True))
    new = [planned for offset, planned in wanted.items() if offset not in there and planned.closes_at > now]
    CheckIn.objects.bulk_create([new_check_in(follow_up, planned) for planned in new], ignore_conflicts=True)
    profile = follow_up.relief_profile
    hours = diary(days=profile.check_in_days, minutes=profile.check_in_minutes)
    coming = list(in_plan.filter(status=CheckIn.Status.PLANNED).order_by("offset_minutes"))
    for asked in in_plan.filter(status=CheckIn.Status.INVITED).exclude(offset_minutes__in=hours):
        due_at = next(
            (check_in.due_at for check_in in coming if check_in.offset_minutes > asked.offset_minutes), None
        )
        if due_at and asked.due_at < max(due_at, now) < asked.closes_at:
            asked.closes_at = max(due_at, now)
            asked.save(update_fields=["closes_at"])


def plan_of(follow_up: FollowUp) -> list[Planned]:
    """The whole plan by today's facts, with as many repetitions as are written down already."""
    procedure, site = follow_up.procedure, follow_up.procedure.site
    planned = first_plan(follow_up)
    in_plan = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
    last = in_plan.aggregate(last=Max("offset_minutes"))["last"] or 0
    every = follow_up.plan_profile.check_in_every_days if follow_up.asks_days else None
    while every and planned[-1].offset_minutes + every * DAY <= last:
        planned.append(
            following(
                procedure.performed_at,
                last_offset=planned[-1].offset_minutes,
                every_days=every,
                at=site.check_in_at,
                zone=site.zone,
            )
        )
    return planned


@transaction.atomic
def end_follow_up(
    follow_up_id: int, *, closed_reason: str, reason: str = "", by: User | None, now: datetime
) -> FollowUp:
    """End a course: the patient chose other care, so that nothing of this treatment is to come; another clinic
    treats them; or the device was taken out. Nothing more is asked.

    Ending it a second time for the same cause changes nothing. Raises Refusal "not_possible" for another cause,
    "closed" when it has ended otherwise; PermissionDenied without the permission to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site")
        .get(pk=follow_up_id)
    )
    if closed_reason not in ENDINGS:
        raise Refusal(
            "A course ends so by itself, or not at all.", code="not_possible", field="closed_reason"
        )
    if follow_up.closed_reason == closed_reason:
        return follow_up
    if follow_up.closed_at:
        raise Refusal("This course has ended already.", code="closed", field="closed_reason")
    return close_and_judge(follow_up, closed_reason, at=now, reason=reason, by=by, now=now)


@transaction.atomic
def rejudge_after_death_taken_back(patient_id: int, *, now: datetime) -> None:
    """A death was taken back: the patient's courses call again for what nobody hears of those who have died."""
    running = FollowUp.objects.filter(patient=patient_id, closed_at=None)
    for pk in list(running.order_by("pk").values_list("pk", flat=True)):
        raise_settled(update_verdict(pk, now=now), now=now)


@transaction.atomic
def resume_follow_up(follow_up_id: int, *, reason: str, by: User | None, now: datetime) -> FollowUp:
    """Let a course go on that staff had ended by mistake, or whose patient has come back; the rest of it is asked.

    What was not asked meanwhile is missed, and says so. A course that runs stays as it is.

    Raises Refusal "not_possible" for one that ended by itself or with its device, "reason_required"; PermissionDenied
    without the permission to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "relief_profile")
        .get(pk=follow_up_id)
    )
    if not follow_up.closed_at:
        return follow_up
    if follow_up.closed_reason not in RESUMED:
        raise Refusal("This course is over for good.", code="not_possible", field="reason")
    if not reason.strip():
        raise Refusal("Say why.", code="reason_required", field="reason")
    reopen(follow_up)
    settle_neighbours(follow_up, now=now)  # the treatment may have been repeated since
    audit.record("follow_up.resumed", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason)
    resumed = update_verdict(follow_up.pk, now=now)
    if resumed.closed_at is None:
        raise_settled(resumed, now=now)
    return resumed


def close_and_judge(
    follow_up: FollowUp, closed_reason: str, *, at: datetime, reason: str = "", by: User | None, now: datetime
) -> FollowUp:
    """End a course that runs, at the instant `at`, and judge it. Wants it locked, and `procedure__site` selected."""
    mark_closed(follow_up, closed_reason, at=at)
    audit.record(
        f"follow_up.{closed_reason}", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason
    )
    return update_verdict(follow_up.pk, now=now)


@transaction.atomic
def record_consistent_duration(
    follow_up_id: int, *, consistent: bool, by: User | None, now: datetime
) -> FollowUp:
    """Keep a clinician's answer: did the relief of a test last as long as its agent works?

    Coverage rules ask for it beside the diary. The same answer once more changes nothing.

    Raises Refusal "not_diagnostic" for what is no test; PermissionDenied without the permission
    to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "relief_profile")
        .get(pk=follow_up_id)
    )
    if not in_minutes(follow_up):
        raise Refusal("Only a test has a diary.", code="not_diagnostic", field="consistent")
    if follow_up.consistent_with_agent != consistent:
        follow_up.consistent_with_agent = consistent
        follow_up.save(update_fields=["consistent_with_agent"])
        audit.record("follow_up.duration_answered", follow_up, by=by, at=now, site=follow_up.procedure.site)
    return follow_up


@transaction.atomic
def clear_confounding(follow_up_id: int, *, reason: str, by: User | None, now: datetime) -> FollowUp:
    """Say, for a reason, that a confounded course can be judged after all: another procedure does not blur it.

    Raises Refusal "reason_required", "not_confounded"; PermissionDenied without the permission to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site")
        .get(pk=follow_up_id)
    )
    if follow_up.confounded_by_id is None:
        raise Refusal("No other procedure blurs this course.", code="not_confounded", field="reason")
    if not reason.strip():
        raise Refusal("Say why.", code="reason_required", field="reason")
    if follow_up.not_confounded_reason != reason:
        follow_up.not_confounded_reason = reason
        follow_up.save(update_fields=["not_confounded_reason"])
        audit.record(
            "follow_up.told_apart", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason
        )
    return update_verdict(follow_up_id, now=now)
