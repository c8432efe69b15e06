"""Asking once more after a first bad score: a check-in that confirms a loss or takes the suspicion away."""

from collections.abc import Sequence
from datetime import datetime

from outcomes.models import CheckIn, FollowUp
from outcomes.questions import PAIN_NOW
from outcomes.relief import Course, Judgement, Verdict
from outcomes.schedule import confirmation, confirms, days_after
from outcomes.services.course_data import CheckInReading

#: Check-ins of the plan that do not ask: replaced by another, or taken out of the plan.
NOT_ASKED = (CheckIn.Status.SUPERSEDED, CheckIn.Status.VOIDED)


def confirm(
    follow_up: FollowUp,
    course: Course,
    judgement: Judgement,
    rows: Sequence[CheckInReading],
    *,
    now: datetime,
) -> None:
    """Bring the confirmation of a course in line with what it shows; in the transaction that judged it. Idempotent.

    While relief is lost, unconfirmed, one is planned for the first bad score, unless a check-in of the plan asks soon
    enough; none while the course does not run or the patient cannot be asked, and never a second one for the same
    score. It is withdrawn when its reason is gone: the score was corrected, relief is back, or the loss is established.

    `rows` are the check-ins that the course was judged by. Wants the follow-up locked, and `procedure__site`,
    `procedure__procedure_type` and `patient` selected.
    """
    open_now = any(row.kind == CheckIn.Kind.CONFIRMATION and row.status in CheckIn.OPEN for row in rows)
    wanted = judgement.verdict == Verdict.LOST_UNCONFIRMED and course.unit == "day" and follow_up.seeks_relief
    if not (open_now or wanted):
        return
    first = first_bad(follow_up, judgement) if wanted and may_be_asked(follow_up) else None
    if open_now:
        others = follow_up.check_ins.filter(kind=CheckIn.Kind.CONFIRMATION, status__in=CheckIn.OPEN)
        if first:
            others = others.exclude(confirms=first)
        others.update(status=CheckIn.Status.VOIDED)
    if first and not first.confirmations.exclude(status=CheckIn.Status.VOIDED).exists():
        ask_again(follow_up, first, now=now)


def may_be_asked(follow_up: FollowUp) -> bool:
    """Whether anything of this course is still asked at all. Who only wants no e-mails is a matter of asking."""
    patient = follow_up.patient
    return follow_up.closed_at is None and patient.died_on is None and patient.merged_into_id is None


def first_bad(follow_up: FollowUp, judgement: Judgement) -> CheckIn | None:
    """The check-in whose answer is the first bad score; None when nothing is suspected."""
    if judgement.suspected is None:
        return None
    procedure = follow_up.procedure
    instrument, _, item = PAIN_NOW.partition(".")
    answered = follow_up.check_ins.filter(
        answer__measurements__instrument=instrument,
        answer__measurements__item=item,
        answer__measurements__superseded_at=None,
    ).select_related("answer")
    return next(
        (
            check_in
            for check_in in answered.order_by("-answer__answered_at", "-offset_minutes", "-pk")
            if days_after(procedure.performed_at, check_in.answer.answered_at, procedure.site.zone)
            == judgement.suspected.seen_at
        ),
        None,
    )


def ask_again(follow_up: FollowUp, first: CheckIn, *, now: datetime) -> None:
    """Plan the confirmation of that check-in's score, unless the plan asks soon enough, or it would be over already."""
    procedure = follow_up.procedure
    site, answered_at = procedure.site, first.answer.answered_at
    planned = confirmation(procedure.performed_at, answered_at, at=site.check_in_at, zone=site.zone)
    of_the_plan = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED).exclude(status__in=NOT_ASKED)
    dues = of_the_plan.filter(due_at__gt=answered_at).values_list("due_at", flat=True)
    if planned.closes_at <= now or any(confirms(due_at, answered_at, planned, site.zone) for due_at in dues):
        return
    CheckIn.objects.create(
        follow_up=follow_up,
        kind=CheckIn.Kind.CONFIRMATION,
        confirms=first,
        offset_minutes=planned.offset_minutes,
        opens_at=planned.opens_at,
        due_at=planned.due_at,
        closes_at=planned.closes_at,
    )
