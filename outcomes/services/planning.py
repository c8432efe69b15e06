"""Planning again what was not asked yet, and ending a course before its plan does."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max

from clinic import audit
from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.models import CheckIn, FollowUp
from outcomes.schedule import DAY, Planned, following, plan
from outcomes.services.following import end, reopen, row, settle_neighbours
from outcomes.services.judging import in_minutes, judge
from procedures.models import Procedure

#: Why staff may end a course.
ENDINGS = (FollowUp.Closed.OTHER_CARE, FollowUp.Closed.TRANSFERRED, FollowUp.Closed.EXPLANTED)
#: What of these can be taken back: a device that was taken out is out.
RESUMED = (FollowUp.Closed.OTHER_CARE, FollowUp.Closed.TRANSFERRED)


def replan_site(site: Site, *, reason: str) -> int:
    """The site's clock or its hour has changed: have the tick plan its open follow-ups again; how many."""
    return FollowUp.objects.filter(procedure__site=site, closed_at=None).update(replan_because=reason)


@transaction.atomic
def replan_procedure(procedure: Procedure, *, reason: str, now: datetime) -> None:
    """The procedure's time was corrected: plan its follow-up again, by the profile that counts now, and judge it.

    A course that it ended, because it repeated its treatment, ends with it.
    """
    ended = (
        FollowUp.objects.filter(ended_by__procedure=procedure).select_for_update(of=("self",)).order_by("pk")
    )
    for pk in list(ended.values_list("pk", flat=True)):
        FollowUp.objects.filter(pk=pk).update(closed_at=procedure.performed_at)
        judge(pk, now=now)
    follow_up = FollowUp.objects.filter(procedure=procedure).first()
    if follow_up is not None:
        replan(follow_up.pk, reason=reason, now=now)


def replan_marked(*, now: datetime, limit: int = 1000) -> int:
    """Plan again what is marked so; how many follow-ups. The tick runs it."""
    marked = FollowUp.objects.exclude(replan_because="").order_by("pk").values_list("pk", "replan_because")
    return sum(replan(pk, reason=reason, now=now) is not None for pk, reason in list(marked[:limit]))


@transaction.atomic
def replan(follow_up_id: int, *, reason: str, now: datetime) -> FollowUp:
    """Plan a follow-up's check-ins again, all or none. Only those that nobody was asked yet move, come or go.

    What was asked, answered, missed or replaced stays where it was. A check-in that the plan has no longer is void
    until the plan has it again; one that is new and over already is not written. Idempotent.
    """
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__relief_profile")
        .get(pk=follow_up_id)
    )
    procedure = follow_up.procedure
    follow_up.relief_profile, follow_up.replan_because = procedure.relief_profile, ""
    follow_up.save(update_fields=["relief_profile", "replan_because"])
    if follow_up.closed_at is None:
        wanted = {one.offset_minutes: one for one in plan_of(follow_up)}
        unsent = follow_up.check_ins.select_for_update().filter(
            status__in=[CheckIn.Status.PLANNED, CheckIn.Status.VOIDED], invited_at=None
        )
        moved = []
        for check_in in unsent:
            one = wanted.get(check_in.offset_minutes)
            if one is None:
                check_in.status = CheckIn.Status.VOIDED
            else:
                check_in.status = CheckIn.Status.PLANNED
                check_in.opens_at, check_in.due_at, check_in.closes_at = (
                    one.opens_at,
                    one.due_at,
                    one.closes_at,
                )
                check_in.hold_until = None
            moved.append(check_in)
        CheckIn.objects.bulk_update(moved, ["opens_at", "due_at", "closes_at", "hold_until", "status"])
        there = set(follow_up.check_ins.values_list("offset_minutes", flat=True))
        CheckIn.objects.bulk_create(
            [
                row(follow_up, one)
                for offset, one in wanted.items()
                if offset not in there and one.closes_at > now
            ],
            ignore_conflicts=True,
        )
    audit.record("follow_up.replanned", follow_up, by=None, at=now, site=procedure.site, reason=reason)
    return judge(follow_up.pk, now=now)


def plan_of(follow_up: FollowUp) -> list[Planned]:
    """The whole plan by today's facts, with as many repetitions as are written down already."""
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    site = procedure.site
    planned = plan(
        procedure.performed_at,
        days=profile.check_in_days,
        minutes=profile.check_in_minutes,
        every_days=profile.check_in_every_days,
        at=site.check_in_at,
        zone=site.zone,
    )
    last = follow_up.check_ins.aggregate(last=Max("offset_minutes"))["last"] or 0
    every = profile.check_in_every_days
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
    follow_up_id: int, *, because: str, reason: str = "", by: User | None, now: datetime
) -> FollowUp:
    """End a course: the patient goes another way now, so that nothing of this treatment is to come; another clinic
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
    if because not in ENDINGS:
        raise Refusal("A course ends so by itself, or not at all.", code="not_possible", field="because")
    if follow_up.closed_because == because:
        return follow_up
    if follow_up.closed_at:
        raise Refusal("This course has ended already.", code="closed", field="because")
    return finish(follow_up, because, at=now, reason=reason, by=by, now=now)


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
    if follow_up.closed_because not in RESUMED:
        raise Refusal("This course is over for good.", code="not_possible", field="reason")
    if not reason.strip():
        raise Refusal("Say why.", code="reason_required", field="reason")
    reopen(follow_up)
    settle_neighbours(follow_up, now=now)  # the treatment may have been repeated since
    audit.record("follow_up.resumed", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason)
    return judge(follow_up.pk, now=now)


def finish(
    follow_up: FollowUp, because: str, *, at: datetime, reason: str = "", by: User | None, now: datetime
) -> FollowUp:
    """End a course that runs, at the instant `at`, and judge it. Wants it locked, and `procedure__site` selected."""
    end(follow_up, because, at=at)
    audit.record(
        f"follow_up.{because}", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason
    )
    return judge(follow_up.pk, now=now)


@transaction.atomic
def say_consistent(follow_up_id: int, *, consistent: bool, by: User | None, now: datetime) -> FollowUp:
    """Keep a clinician's answer: did the relief of a diagnostic block last as long as its agent works?

    Coverage rules ask for it beside the diary. The same answer once more changes nothing.

    Raises Refusal "not_diagnostic" for a course that is not counted in minutes; PermissionDenied without the permission
    to perform procedures.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "relief_profile")
        .get(pk=follow_up_id)
    )
    if not in_minutes(follow_up):
        raise Refusal("Only a diagnostic block has a diary.", code="not_diagnostic", field="consistent")
    if follow_up.consistent_with_agent != consistent:
        follow_up.consistent_with_agent = consistent
        follow_up.save(update_fields=["consistent_with_agent"])
        audit.record("follow_up.duration_answered", follow_up, by=by, at=now, site=follow_up.procedure.site)
    return follow_up


@transaction.atomic
def tell_apart(follow_up_id: int, *, reason: str, by: User | None, now: datetime) -> FollowUp:
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
    if follow_up.not_confounded_because != reason:
        follow_up.not_confounded_because = reason
        follow_up.save(update_fields=["not_confounded_because"])
        audit.record(
            "follow_up.told_apart", follow_up, by=by, at=now, site=follow_up.procedure.site, reason=reason
        )
    return judge(follow_up_id, now=now)
