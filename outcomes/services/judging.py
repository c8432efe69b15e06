"""Judging follow-ups: stored data in, a verdict with its reason out, and every change kept."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from outcomes.models import CheckIn, FollowUp, Measurement, VerdictChange
from outcomes.relief import Course, Reading
from outcomes.relief import judge as judge_course
from outcomes.schedule import DAY
from procedures.models import Intent

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


def course_of(follow_up: FollowUp) -> Course:
    """The stored facts of a follow-up as plain values, for `outcomes.relief`.

    Wants `procedure__site` and `relief_profile` selected; reads the answers and the silent check-ins itself.
    """
    scores = Measurement.objects.filter(
        answer__check_in__follow_up=follow_up, instrument=PAIN_NOW["instrument"], item=PAIN_NOW["item"]
    ).order_by("answer__answered_at", "answer__check_in__offset_minutes")
    silent = follow_up.check_ins.filter(status=CheckIn.Status.MISSED).order_by("offset_minutes")
    return course_from(
        follow_up,
        scores=scores.values_list("answer__answered_at", "value"),
        silent=silent.values_list("offset_minutes", flat=True),
    )


def course_from(
    follow_up: FollowUp, *, scores: Iterable[tuple[datetime, int]], silent: Iterable[int]
) -> Course:
    """A course of what has been read already: asks the database for nothing, so that many can be charted at once.

    `scores`: when the pain now was answered, and what, in order of time; `silent`: minutes after the procedure of
    the check-ins that nobody answered, in order. Wants `procedure__site` and `relief_profile` selected.
    """
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    zone, minutes = procedure.site.zone, in_minutes(follow_up)
    readings = [
        Reading(position(answered_at, procedure.performed_at, zone=zone, minutes=minutes), value)
        for answered_at, value in scores
        if follow_up.closed_at is None or answered_at <= follow_up.closed_at
    ]
    if minutes:
        evaluate_after, window = 0, (profile.window_from_minutes or 0, profile.window_until_minutes or 0)
    else:
        evaluate_after = profile.evaluate_after_days
        window = (profile.window_from_days, profile.window_until_days)
    return Course(
        baseline=procedure.baseline_pain,
        readings=readings,
        silent=[offset if minutes else offset // DAY for offset in silent],
        evaluate_after=evaluate_after,
        window_from=window[0],
        window_until=window[1],
        success_percent=profile.percent_for(procedure.intent),
        unit="minute" if minutes else "day",
        confounded=follow_up.confounded_by_id is not None and not follow_up.not_confounded_because,
    )


@transaction.atomic
def judge(follow_up_id: int, *, now: datetime) -> FollowUp:
    """Judge a follow-up by what is stored; a verdict or reason that differs replaces the old, which is kept."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site", "relief_profile")
        .get(pk=follow_up_id)
    )
    judgement = judge_course(course_of(follow_up))
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
    return follow_up
