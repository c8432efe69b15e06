"""Judging follow-ups: stored data in, a verdict with its reason out, and every change kept; what reports count follows,
and so do alerts and the check-in that confirms a first bad score."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from outcomes import relief
from outcomes.alert_rules import Kind, called_for
from outcomes.models import CHANNELS, CheckIn, CourseSummary, FollowUp, VerdictChange
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import CHANGE, PAIN_NOW, PEG
from outcomes.relief import DEFINITION, LOST_VERDICTS, Course, Judgement, Verdict
from outcomes.relief_end import lasting, lasting_by_lord
from outcomes.schedule import DAY, confirmation, confirms, days_after
from outcomes.services.alerts import review_alerts
from outcomes.services.courses import (
    SATISFIED,
    CheckInReading,
    check_ins_of_courses,
    course_from_rows,
    endings,
    in_minutes,
    other_treatments,
    treats_within,
)
from outcomes.services.verdicts import judge_test, judge_trial, not_judged
from procedures.models import Appointment, Baseline, Procedure
from procedures.services.baselines import baselines_of_each

#: Verdicts by which a course is known to be out of relief. Outlasting relief may be over as well.
OUT_OF_RELIEF = LOST_VERDICTS | {Verdict.NO_RELIEF, Verdict.FAILED}
#: A check-in in one of these has fallen due for the patient: it came back, or its time is over.
DUE = (CheckIn.Status.ANSWERED, CheckIn.Status.MISSED)
#: Check-ins of the plan that do not ask: replaced by another, or taken out of the plan.
NOT_ASKED = (CheckIn.Status.SUPERSEDED, CheckIn.Status.VOIDED)
#: Columns that `write_summaries` writes; the key stays.
COLUMNS = [field.name for field in CourseSummary._meta.fields if not field.primary_key]
#: Among so many follow-ups each tick looks for some without a summary.
LATEST = 5000


@transaction.atomic
def update_verdict(follow_up_id: int, *, now: datetime) -> FollowUp:
    """Judge a follow-up by what is stored; a verdict or reason that differs replaces the old, which is kept.

    The alerts about the course then follow what it shows, and so does what reports count.
    """
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related(
            "procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile", "patient"
        )
        .get(pk=follow_up_id)
    )
    rows = check_ins_of_courses([follow_up.pk])[follow_up.pk]
    ending = endings([follow_up])[follow_up.pk]
    course = course_from_rows(follow_up, rows, ending)
    judgement = judgement_of(follow_up, course, rows)
    if (judgement.verdict, judgement.reason) != (follow_up.verdict, follow_up.verdict_reason):
        if judgement.verdict != follow_up.verdict or not follow_up.verdict_reason:
            VerdictChange.objects.create(
                follow_up=follow_up,
                at=now,
                previous=follow_up.verdict if follow_up.verdict_reason else "",
                verdict=judgement.verdict,
                reason=judgement.reason,
            )
        follow_up.verdict, follow_up.verdict_reason = judgement.verdict.value, judgement.reason
    if follow_up.closed_reason == FollowUp.Closed.OTHER_TREATMENT:
        # Nothing was known of it when the other treatment began: the two cannot be told apart.
        alone = judgement.first_judged is not None
        if alone and follow_up.confounded_by_id == follow_up.ended_by_id:
            follow_up.confounded_by = None
        elif not alone and follow_up.confounded_by_id is None:
            follow_up.confounded_by = follow_up.ended_by
    follow_up.judged_at = now
    follow_up.save(update_fields=["verdict", "verdict_reason", "judged_at", "confounded_by"])
    peg = pegs_before([follow_up]).get(follow_up.pk)
    write_summaries([summary_of(follow_up, course, judgement, rows, baseline_peg=peg)])
    # A test that asks by days as well, because a steroid was given, can tell of worse pain and fall silent.
    days = in_minutes(follow_up) and bool(follow_up.procedure.steroid_given)
    alerting = course_from_rows(follow_up, rows, ending, by_day=True) if days else course
    calls = called_for(alerting, judgement, seeks_relief=follow_up.judged_as == JudgedAs.TREATMENT)
    if follow_up.judged_as == JudgedAs.UPKEEP:
        calls = {kind: call for kind, call in calls.items() if kind == Kind.WORSE}
    review_alerts(follow_up, calls, now=now)
    plan_confirmation(follow_up, course, judgement, rows, now=now)
    for later in confounded_by_this(follow_up):
        mark_confounded(later, now=now)
    return follow_up


def judgement_of(follow_up: FollowUp, course: Course, rows: Sequence[CheckInReading]) -> Judgement:
    """What a follow-up shows. `course` and `rows` are what has been read of it; asks the database for nothing."""
    if follow_up.judged_as == JudgedAs.TEST:
        return judge_test(follow_up, course, rows)
    if follow_up.judged_as == JudgedAs.UPKEEP:
        return not_judged(course)
    if follow_up.judged_as == JudgedAs.TRIAL:
        return judge_trial(follow_up, course, rows)
    return relief.judge(course)


def judge_by_baseline(procedure: Procedure, *, now: datetime) -> None:
    """The pain before a procedure was corrected: judge its follow-up again, and the course that it ended, whose last
    score that pain is."""
    affected = FollowUp.objects.filter(Q(procedure=procedure) | Q(ended_by__procedure=procedure))
    for pk in affected.order_by("pk").values_list("pk", flat=True):
        update_verdict(pk, now=now)


def confounded_by_this(follow_up: FollowUp) -> list[int]:
    """The follow-ups of later treatments, by number, that cannot be told apart from this one unless it is known to be
    lost."""
    if follow_up.closed_reason == FollowUp.Closed.OTHER_TREATMENT and follow_up.ended_by_id:
        return [follow_up.ended_by_id]
    if follow_up.relief_profile.ongoing:
        return [follow_up.pk for follow_up in other_treatments([follow_up]).get(follow_up.pk, ())]
    return []


def mark_confounded(follow_up_id: int, *, now: datetime) -> None:
    """Say of a follow-up whether an earlier treatment blurs it: one that ran when it began, and that is not known to be
    lost. Judges it again when that has changed."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__procedure_type", "relief_profile")
        .get(pk=follow_up_id)
    )
    before = (
        FollowUp.objects.seeking_relief()
        .filter(
            Q(ended_by=follow_up, closed_reason=FollowUp.Closed.OTHER_TREATMENT)
            | Q(relief_profile__ongoing=True, patient=follow_up.patient_id),
        )
        .exclude(closed_reason=FollowUp.Closed.VOIDED)
        .exclude(verdict__in=OUT_OF_RELIEF)
        .exclude(verdict=Verdict.OUTLASTING, summary__lost_until__isnull=False)
        .select_related("procedure__procedure_type", "relief_profile")
        .order_by("procedure__performed_at", "pk")
    )
    cause = next(
        (
            earlier
            for earlier in before
            if earlier.ended_by_id == follow_up.pk or treats_within(follow_up, earlier)
        ),
        None,
    )
    if cause is None and follow_up.confounded_by_id == follow_up.ended_by_id:
        return  # nothing blurs it, or only that nothing was known when the next treatment began
    if (cause.pk if cause else None) != follow_up.confounded_by_id:
        follow_up.confounded_by = cause
        follow_up.save(update_fields=["confounded_by"])
        update_verdict(follow_up.pk, now=now)


def summary_of(
    follow_up: FollowUp,
    course: Course,
    judgement: Judgement,
    rows: Sequence[CheckInReading],
    *,
    baseline_peg: int | None,
) -> CourseSummary:
    """The row of a follow-up with these check-ins, not saved. Wants `procedure__site` and `relief_profile` selected."""
    procedure = follow_up.procedure
    last = lords = None
    if follow_up.judged_as == JudgedAs.TREATMENT:  # pain after a test or a trial is no end of relief to count
        last, lords = lasting(course, judgement), lasting_by_lord(course, judgement)
    days = course.unit == "day"
    asked = [row for row in rows if row.status in DUE and row.kind == CheckIn.Kind.PLANNED]
    return CourseSummary(
        follow_up=follow_up,
        patient_id=follow_up.patient_id,
        procedure_type_id=procedure.procedure_type_id,
        site_id=procedure.site_id,
        performer_id=procedure.performer_id,
        intent=procedure.intent,
        indication=procedure.indication,
        region=procedure.region,
        performed_on=procedure.performed_at.astimezone(procedure.site.zone).date(),
        voided=follow_up.closed_reason == FollowUp.Closed.VOIDED,
        verdict=judgement.verdict.value,
        definition=DEFINITION,
        unit=course.unit,
        evaluate_after=course.evaluate_after,
        window_from=course.window_from,
        window_until=course.window_until,
        success_percent=course.success_percent,
        baseline=course.baseline,
        baseline_peg=baseline_peg,
        lost_after=last.after if last else None,
        lost_until=last.until if last else None,
        responded=last.responded if last else False,
        suspected_until=last.suspected_until if last else None,
        covered_percent=judgement.covered_percent,
        loss_kind=judgement.loss_kind,
        back_since=judgement.back_since,
        remarks=[remark.note.value for remark in judgement.remarks],
        repeated_at=course.repeated_at,
        last_answer=course.last_answer,
        lords_after=lords.after if lords else None,
        lords_until=lords.ended_by if lords else None,
        days=[point.offset_minutes // DAY if days else point.offset_minutes for point in asked],
        scores=[point.values.get(PAIN_NOW) for point in asked],
        channels=[CHANNELS.index(point.channel) for point in asked],
        pegs=[peg_sum(point.values) for point in asked],
        changes=[point.values.get(CHANGE) for point in asked],
        satisfied=[point.values.get(SATISFIED) for point in asked],
    )


def peg_sum(values: Mapping[str, int]) -> int | None:
    """The sum of the PEG's three items, 0–30; None unless all three were answered."""
    given = [values[key] for key in PEG if key in values]
    return sum(given) if len(given) == len(PEG) else None


def pegs_before(follow_ups: Collection[FollowUp]) -> dict[int, int]:
    """The sum of the PEG's items before each of these procedures, 0–30; one query where no patient was asked it, and
    else a few for any number of them."""
    asked = set(
        Baseline.objects.filter(
            instrument="peg", appointment__patient__in={up.patient_id for up in follow_ups}
        ).values_list("appointment__patient", flat=True)
    )
    if not asked:
        return {}
    wanted = {up.procedure.appointment_id: up for up in follow_ups if up.patient_id in asked}
    appointments = Appointment.objects.in_bulk(wanted)
    for number, appointment in appointments.items():
        appointment.site = wanted[number].procedure.site  # read already
    used = baselines_of_each(
        [(appointment, wanted[number].procedure.performed_at) for number, appointment in appointments.items()]
    )
    sums = {
        wanted[number].pk: peg_sum({key: each.value for key, each in of.items()})
        for number, of in used.items()
    }
    return {pk: total for pk, total in sums.items() if total is not None}


def write_summaries(summaries: Sequence[CourseSummary]) -> None:
    """Write the rows, in the place of those that are there."""
    CourseSummary.objects.bulk_create(
        summaries, update_conflicts=True, unique_fields=["follow_up"], update_fields=COLUMNS
    )


def summarise(follow_ups: list[FollowUp], *, now: datetime) -> None:
    """Write the summaries of these follow-ups, locked by whoever calls, in a fixed number of queries.

    Whose verdict is another by now is judged again, so that screens and reports say the same: a few more for each.
    """
    rows, how, pegs = (
        check_ins_of_courses([up.pk for up in follow_ups]),
        endings(follow_ups),
        pegs_before(follow_ups),
    )
    summaries = []
    for up in follow_ups:
        course = course_from_rows(up, rows[up.pk], how[up.pk])
        judgement = judgement_of(up, course, rows[up.pk])
        if up.verdict_reason and (up.verdict, up.verdict_reason) != (judgement.verdict, judgement.reason):
            update_verdict(up.pk, now=now)
        else:
            summaries.append(summary_of(up, course, judgement, rows[up.pk], baseline_peg=pegs.get(up.pk)))
    write_summaries(summaries)


def summarise_missing(*, now: datetime, limit: int = 1000) -> int:
    """Write the summaries that an import, a restore or an upgrade has left out; how many. The tick runs it.

    Looks among the LATEST follow-ups, and on the hour among all: that takes longer with every year of the clinic.
    """
    wanted = FollowUp.objects.filter(summary=None)
    if now.minute:
        newest = FollowUp.objects.aggregate(newest=Max("pk"))["newest"] or 0
        wanted = wanted.filter(pk__gt=newest - LATEST)
    with transaction.atomic():
        missing = list(
            wanted.select_for_update(of=("self",), skip_locked=True)
            .select_related(
                "procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile"
            )
            .order_by("pk")[:limit]
        )
        summarise(missing, now=now)
    return len(missing)


def plan_confirmation(
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
