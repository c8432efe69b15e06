"""Judging follow-ups: stored data in, a verdict with its reason out, and every change kept."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from outcomes.alerts import called_for
from outcomes.diary import Entry, Result, result
from outcomes.models import Answer, CheckIn, FollowUp, VerdictChange
from outcomes.questions import PAIN_NOW as PAIN
from outcomes.questions import WORN_OFF
from outcomes.relief import Course, Reading
from outcomes.relief import judge as judge_course
from outcomes.schedule import DAY
from outcomes.services.alerting import review
from outcomes.services.reading import Read, read
from outcomes.services.summarising import keep, peg_sum, summary_of
from procedures.models import Appointment, Baseline, ImplantedDevice, Intent, Procedure
from procedures.services.baselining import baselines_of_each


class Ending(NamedTuple):
    """What the end of a course tells of relief. `useless`: a device was taken out because it did not help enough.

    `pain_before_repeat`: the pain before the same treatment was given again, when it was named and what it was, 0–10;
    None without a repeat, or when nobody asked.
    """

    useless: bool = False
    pain_before_repeat: tuple[datetime, int] | None = None


#: Of a course that runs, or whose end tells nothing.
RUNS = Ending()
#: The instrument and item on which baseline and answers are compared: the pain now, 0–10.
PAIN_NOW = {"instrument": "nrs", "version": "1", "item": "now"}


def in_minutes(follow_up: FollowUp) -> bool:
    """Whether the course is counted in minutes: a diagnostic block, whose anaesthetic wears off within hours."""
    diagnostic = follow_up.procedure.intent == Intent.DIAGNOSTIC
    return diagnostic and follow_up.relief_profile.window_until_minutes is not None


def position(moment: datetime, performed_at: datetime, *, zone: ZoneInfo, minutes: bool) -> int:
    """Where `moment` lies after the procedure: minutes, or calendar days on the clock in `zone`."""
    if minutes:
        return max(0, int((moment - performed_at) / timedelta(minutes=1)))
    return (moment.astimezone(zone).date() - performed_at.astimezone(zone).date()).days


def felt_at(check_in: CheckIn, answer: Answer, performed_at: datetime) -> datetime:
    """When the pain of an answer was felt: when it was written down, or, for a late entry of a diary, at its hour."""
    if answer.late:
        return performed_at + timedelta(minutes=check_in.offset_minutes)
    return answer.answered_at


def course_of(follow_up: FollowUp) -> Course:
    """The stored facts of a follow-up as plain values, for `outcomes.relief`.

    Wants `procedure__site` and `relief_profile` selected; reads the answers and the silent check-ins itself.
    """
    return courses_of([follow_up])[follow_up.pk]


def courses_of(follow_ups: Collection[FollowUp]) -> dict[int, Course]:
    """The same for several follow-ups, by their numbers; a few queries for any number of them."""
    rows, how = read([one.pk for one in follow_ups]), endings(follow_ups)
    return {one.pk: course_from_rows(one, rows[one.pk], how[one.pk]) for one in follow_ups}


def course_from_rows(follow_up: FollowUp, rows: Sequence[Read], ending: Ending) -> Course:
    """The same from what has been read already."""
    performed_at = follow_up.procedure.performed_at
    felt = sorted(
        (
            (
                performed_at + timedelta(minutes=row.offset_minutes) if row.late else row.answered_at,
                row.offset_minutes,
                row.values,
            )
            for row in rows
            if row.answered_at and PAIN in row.values
        ),
        key=lambda one: one[:2],
    )
    return course_from(
        follow_up,
        scores=[(moment, values[PAIN]) for moment, _, values in felt],
        worn_off=[moment for moment, _, values in felt if values.get(WORN_OFF) == 1],
        silent=[row.offset_minutes for row in rows if row.status == CheckIn.Status.MISSED],
        ending=ending,
    )


def endings(follow_ups: Collection[FollowUp]) -> dict[int, Ending]:
    """How each of these courses ended, as far as that tells of relief; two queries at most."""
    explanted = [one for one in follow_ups if one.closed_because == FollowUp.Closed.EXPLANTED]
    useless: set[int] = set()
    if explanted:
        useless = set(
            ImplantedDevice.objects.standing()
            .filter(
                procedure__in=[one.procedure_id for one in explanted],
                explanted_because=ImplantedDevice.Explanted.NO_EFFECT,
            )
            .values_list("procedure", flat=True)
        )
    pain = pain_at_repeats([one for one in follow_ups if one.closed_because == FollowUp.Closed.REPEATED])
    return {
        one.pk: Ending(useless=one.procedure_id in useless, pain_before_repeat=pain.get(one.pk))
        for one in follow_ups
    }


def pegs_before(follow_ups: Collection[FollowUp]) -> dict[int, int]:
    """The sum of the PEG's items before each of these procedures, 0–30; one query where no patient was asked it, and
    else a few for any number of them."""
    asked = set(
        Baseline.objects.filter(
            instrument="peg", appointment__patient__in={one.patient_id for one in follow_ups}
        ).values_list("appointment__patient", flat=True)
    )
    if not asked:
        return {}
    wanted = {one.procedure.appointment_id: one for one in follow_ups if one.patient_id in asked}
    appointments = Appointment.objects.in_bulk(wanted)
    for number, appointment in appointments.items():
        appointment.site = wanted[number].procedure.site  # read already
    used = baselines_of_each(
        [(one, wanted[number].procedure.performed_at) for number, one in appointments.items()]
    )
    sums = {
        wanted[number].pk: peg_sum({key: each.value for key, each in of.items()})
        for number, of in used.items()
    }
    return {pk: total for pk, total in sums.items() if total is not None}


def pain_at_repeats(repeated: Collection[FollowUp]) -> dict[int, tuple[datetime, int]]:
    """The pain before the treatment that ended each of these courses was given again: when it was named, and what it
    was, 0–10; without those whom nobody asked. One query, or none."""
    if not repeated:
        return {}
    named = FollowUp.objects.filter(
        pk__in=[one.pk for one in repeated], repeated_by__procedure__baseline_pain__isnull=False
    ).values_list(
        "pk",
        Coalesce("repeated_by__procedure__baseline_taken_at", "repeated_by__procedure__performed_at"),
        "repeated_by__procedure__baseline_pain",
    )
    return {pk: (taken_at, pain) for pk, taken_at, pain in named}


def ended_at(follow_up: FollowUp) -> int:
    """Where a course that has ended did so, in its unit. The day of an explant ends with the course, at midnight: that
    instant is the next day's."""
    procedure = follow_up.procedure
    assert follow_up.closed_at
    explanted = follow_up.closed_because == FollowUp.Closed.EXPLANTED
    return position(
        follow_up.closed_at - timedelta(microseconds=1 if explanted else 0),
        procedure.performed_at,
        zone=procedure.site.zone,
        minutes=in_minutes(follow_up),
    )


def course_from(
    follow_up: FollowUp,
    *,
    scores: Iterable[tuple[datetime, int]],
    silent: Iterable[int],
    worn_off: Collection[datetime] = (),
    ending: Ending = RUNS,
) -> Course:
    """A course of what has been read already: asks the database for nothing, so that many can be charted at once.

    `scores`: when the pain was felt (`felt_at`), and what; of two at one instant the later one in the list counts.
    `worn_off`: at which of these instants the patient said that relief has worn off; a verdict needs it, a chart does
    not. `silent`: minutes after the procedure of the check-ins that nobody answered, in order. `ending`: what the end
    of the course tells of relief; a chart does not need it either. What was felt before the procedure, or after the
    course had ended, is left out, and so are silence after its end, and a pain before a repeat that was noted before
    the first treatment. Wants `procedure__site` and `relief_profile` selected.
    """
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    zone, minutes = procedure.site.zone, in_minutes(follow_up)
    felt = [(moment, value, False) for moment, value in scores]
    if ending.pain_before_repeat:
        felt.append((*ending.pain_before_repeat, True))
    readings = [
        Reading(
            position(moment, procedure.performed_at, zone=zone, minutes=minutes),
            value,
            worn_off=not before_repeat and moment in worn_off,
            before_repeat=before_repeat,
        )
        for moment, value, before_repeat in sorted(felt, key=lambda one: one[0])
        if procedure.performed_at <= moment and (follow_up.closed_at is None or moment <= follow_up.closed_at)
    ]
    if minutes:
        evaluate_after, window = 0, (profile.window_from_minutes or 0, profile.window_until_minutes or 0)
    else:
        evaluate_after = profile.evaluate_after_days
        window = (profile.window_from_days, profile.window_until_days)
    ended = ended_at(follow_up) if follow_up.closed_at else None
    positions = [offset if minutes else offset // DAY for offset in silent]
    return Course(
        baseline=procedure.baseline_pain,
        readings=readings,
        silent=[at for at in positions if ended is None or at <= ended],
        evaluate_after=evaluate_after,
        window_from=window[0],
        window_until=window[1],
        success_percent=profile.percent_for(procedure.intent),
        unit="minute" if minutes else "day",
        confounded=follow_up.confounded_by_id is not None and not follow_up.not_confounded_because,
        repeated_at=ended if follow_up.closed_because == FollowUp.Closed.REPEATED else None,
        useless_at=ended if ending.useless else None,
    )


def diary_result(follow_up: FollowUp) -> Result | None:
    """What the diary of a diagnostic block shows; None for other courses, without a baseline, or before any entry.

    Wants `procedure`, `relief_profile` and `check_ins__answer__measurements` fetched. Every check-in within the longest
    expected time counts, whether it was asked in the diary or on the next day.
    """
    if not in_minutes(follow_up):
        return None
    profile = follow_up.relief_profile
    entries: dict[int, Entry] = {}
    hours: list[int] = []
    for check_in in follow_up.check_ins.all():
        if check_in.status == CheckIn.Status.VOIDED:
            continue
        hours.append(check_in.offset_minutes)
        answer: Answer | None = getattr(check_in, "answer", None)
        given = {(m.instrument, m.item): m.value for m in answer.measurements.all()} if answer else {}
        score = given.get((PAIN_NOW["instrument"], PAIN_NOW["item"]))
        if answer and score is not None:
            took = given.get(("diary", "took_medicine"))
            entries[check_in.offset_minutes] = Entry(
                score, took_medicine=None if took is None else took == 1, late=answer.late
            )
    if not entries:
        return None
    return result(
        entries,
        hours=sorted(hours),
        baseline=follow_up.procedure.baseline_pain,
        percent=profile.percent_for(follow_up.procedure.intent),
        window_from=profile.window_from_minutes or 0,
        window_until=profile.window_until_minutes or 0,
        in_a_row=settings.DIARY_HOURS_IN_A_ROW,
    )


def judge_by_baseline(procedure: Procedure, *, now: datetime) -> None:
    """The pain before a procedure was corrected: judge its follow-up again, and the course that it repeated, whose end
    that pain tells of."""
    told = FollowUp.objects.filter(Q(procedure=procedure) | Q(repeated_by__procedure=procedure))
    for pk in told.order_by("pk").values_list("pk", flat=True):
        judge(pk, now=now)


@transaction.atomic
def judge(follow_up_id: int, *, now: datetime) -> FollowUp:
    """Judge a follow-up by what is stored; a verdict or reason that differs replaces the old, which is kept.

    The alerts about the course then follow what it shows (`alerting.review`), and so does what reports count
    (`summarising`).
    """
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "procedure__procedure_type", "relief_profile", "patient")
        .get(pk=follow_up_id)
    )
    rows = read([follow_up.pk])[follow_up.pk]
    course = course_from_rows(follow_up, rows, endings([follow_up])[follow_up.pk])
    judgement = judge_course(course)
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
    follow_up.judged_at = now
    follow_up.save(update_fields=["verdict", "verdict_reason", "judged_at"])
    peg = pegs_before([follow_up]).get(follow_up.pk)
    keep([summary_of(follow_up, course, judgement, rows, baseline_peg=peg)])
    review(follow_up, called_for(course, judgement, seeks_relief=follow_up.seeks_relief), now=now)
    return follow_up
