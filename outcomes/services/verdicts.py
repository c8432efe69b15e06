"""The verdict on a follow-up by what it is judged as: a treatment by its course, a test by its diary, a
trial by its days; upkeep of a device has none."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from outcomes import trial_result
from outcomes.diary_result import COVERED_PERCENT, DiaryEntry, Outcome, Result, Why, result
from outcomes.models import CheckIn, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import PAIN_NOW, TOOK_MEDICINE
from outcomes.relief import Course, Judgement, Note, Remark, Verdict, judge, judged, remark_words
from outcomes.schedule import DAY
from outcomes.services.courses import CheckInReading, fetched_check_ins, window_of_test


def trial_from(follow_up: FollowUp, rows: Sequence[CheckInReading]) -> trial_result.Result | None:
    """What a trial shows; None without a baseline above 0. Wants `procedure__site` and `relief_profile` selected.

    The answer to a planned check-in speaks for the days since the planned one before it.
    """
    procedure, profile = follow_up.procedure, follow_up.relief_profile
    if not procedure.baseline_pain:
        return None
    zone, performed_at, closed_at = procedure.site.zone, procedure.performed_at, follow_up.closed_at
    performed_on = performed_at.astimezone(zone).date()
    out = follow_up.trial_ended_on
    until = None if out is None else (out - performed_on).days
    planned = {row.offset_minutes // DAY for row in rows if row.kind == CheckIn.Kind.PLANNED}
    scores = []
    for row in sorted(rows, key=lambda row: row.answered_at or performed_at):
        if row.answered_at is None or PAIN_NOW not in row.values:
            continue
        felt_at = performed_at + timedelta(minutes=row.offset_minutes) if row.late else row.answered_at
        if felt_at < performed_at or (closed_at and felt_at > closed_at):
            continue
        asked = row.offset_minutes // DAY
        since = max((day for day in planned if day < asked), default=0)
        own = row.kind != CheckIn.Kind.PLANNED
        at = (felt_at.astimezone(zone).date() - performed_on).days
        scores.append(trial_result.Score(at, row.values[PAIN_NOW], None if own else since))
    return trial_result.result(
        scores,
        baseline=procedure.baseline_pain,
        percent=profile.percent_for(procedure.intent),
        days_percent=profile.trial_days_percent,
        until=until,
        open_still=closed_at is None
        and any(
            row.status in CheckIn.OPEN and (until is None or row.offset_minutes // DAY <= until)
            for row in rows
            if row.kind == CheckIn.Kind.PLANNED
        ),
    )


def judge_trial(follow_up: FollowUp, course: Course, rows: Sequence[CheckInReading]) -> Judgement:
    """The verdict on a trial, with how many of its days are known and have enough less pain. What another treatment of
    the region may have brought decides nothing."""
    found = trial_from(follow_up, rows)
    if found is None:
        return judge(course)  # no baseline
    if course.confounded:
        return Judgement(
            Verdict.INDETERMINATE,
            "Another treatment of the same region worked when the trial began: less pain may be that treatment's.",
        )
    said = [trial_words(found, percent=course.success_percent)]
    if found.ended:
        needed = follow_up.relief_profile.trial_days_percent
        said.append(f"It passes with {needed} % of its days.")
    else:
        said.append("Nobody has said when the lead or catheter came out: without that a trial has no result.")
    if found.ended and found.outcome == trial_result.Outcome.INDETERMINATE:
        said.append("The days without an answer could decide it either way.")
    return Judgement(Verdict(found.outcome.value), " ".join(said))


def trial_words(found: trial_result.Result, *, percent: int) -> str:
    """What the days of a trial show, as a sentence."""
    days = f"{found.days} day{'' if found.days == 1 else 's'}"
    of = "Trial of" if found.ended else "Trial, until now"
    return f"{of} {days}: {found.known} known, {found.relief} of them with at least {percent} % less pain."


def not_judged(course: Course) -> Judgement:
    """What the course after upkeep shows: nothing, but that the pain was worse than before. The device's effect was
    there before it, so that pain which is no less is no failure."""
    said = ["Upkeep of a device is not judged: its effect was there before."]
    worse = tuple(
        reading.at
        for reading in judged(course)
        if course.baseline is not None and reading.score > course.baseline
    )
    remarks = (Remark(Note.WORSE, worse),) if worse else ()
    said += [remark_words(course, remark) for remark in remarks]
    return Judgement(Verdict.NOT_JUDGED, " ".join(said), remarks=remarks)


def diary_from(follow_up: FollowUp, rows: Sequence[CheckInReading]) -> Result | None:
    """What the diary of a test shows; None without a baseline above 0.

    Its hours are those of the profile by which the test is judged, and every one that was answered on the first day:
    the plan may be another one by now. Each entry counts at its planned hour, whenever it was written.
    """
    profile = follow_up.relief_profile
    entries = {
        row.offset_minutes: DiaryEntry(
            row.values[PAIN_NOW],
            took_medicine=row.values[TOOK_MEDICINE] == 1 if TOOK_MEDICINE in row.values else None,
            late=row.late,
        )
        for row in rows
        if row.kind == CheckIn.Kind.PLANNED and row.offset_minutes <= DAY and PAIN_NOW in row.values
    }
    first, last = window_of_test(profile)
    return result(
        entries,
        hours=sorted({*profile.check_in_minutes, *entries}),
        baseline=follow_up.procedure.baseline_pain,
        percent=profile.percent_for(follow_up.procedure.intent),
        window_from=first,
        window_until=last,
        in_a_row=settings.DIARY_HOURS_IN_A_ROW,
    )


def judge_test(follow_up: FollowUp, course: Course, rows: Sequence[CheckInReading]) -> Judgement:
    """The verdict on a test. It is too early for one only while the diary is open and what is missing may still come:
    medicine that was taken cannot be untaken."""
    found = diary_from(follow_up, rows)
    if found is None:
        return judge(course)  # no baseline
    open_still = follow_up.closed_at is None and any(
        row.status in CheckIn.OPEN and row.kind == CheckIn.Kind.PLANNED and row.offset_minutes <= DAY
        for row in rows
    )
    remarks: tuple[Remark, ...] = ()
    if found.outcome == Outcome.INDETERMINATE and found.why != Why.MEDICINE and open_still:
        verdict = Verdict.TOO_EARLY
        said = ["The diary is still open: what was written until now does not decide yet."]
    else:
        verdict = Verdict(found.outcome.value)
        said = [why_words(course, found)]
        if verdict == Verdict.POSITIVE and found.long_relief and found.relief_seen_at is not None:
            remarks = (Remark(Note.LONG_RELIEF, (found.relief_seen_at,)),)
    said += [
        entries_words(found, percent=course.success_percent),
        *(remark_words(course, remark) for remark in remarks),
    ]
    return Judgement(verdict, " ".join(said), remarks=remarks, covered_percent=found.covered_percent)


def why_words(course: Course, found: Result) -> str:
    """Why a test is what it is, as a sentence."""
    in_a_row = settings.DIARY_HOURS_IN_A_ROW
    percent, before = course.success_percent, f"Pain {course.baseline} before"
    if found.outcome == Outcome.POSITIVE and found.decided_at is not None:
        return (
            f"{before}; at least {percent} % less at {in_a_row} planned hours in a row, the last of them "
            f"{course.words(found.decided_at)}, and no entry with less relief before."
        )
    if found.why == Why.MEDICINE and found.medicine_by is not None:
        return (
            f"Pain medicine had been taken by {course.words(found.medicine_by)}, before the anesthetic is expected "
            "to have worn off: less pain may be the medicine's."
        )
    if found.gone_at is not None and found.outcome == Outcome.NEGATIVE:
        return (
            f"{before}; less than {percent} % relief at {course.words(found.gone_at)}, before {in_a_row} planned hours "
            f"in a row, the last of them at {course.words(course.window_from)} or later, had shown it."
        )
    if found.why == Why.NOT_COVERED and found.gone_at is not None:
        return (
            f"{before}; less than {percent} % relief at {course.words(found.gone_at)}, but entries cover less than "
            f"{COVERED_PERCENT} % of the time up to then."
        )
    if not found.entries:
        return "Nothing was written in the diary. Silence is no result."
    return (
        f"The entries show neither {in_a_row} planned hours in a row with at least {percent} % less pain, the last of "
        "them within the window, nor too little relief before that."
    )


def entries_words(found: Result, *, percent: int) -> str:
    """How much is known, as a sentence."""
    said = (
        f"Entries cover {found.covered_percent} % of the first {found.window_minutes / 60:g} hours, "
        f"{found.relief_percent} % with at least {percent} % less pain."
    )
    if found.late:
        said += f" Written late, and counted at their hour: {found.late} of {found.entries}."
    return said


def diary_result(follow_up: FollowUp) -> Result | None:
    """What the diary of a test shows; None for other courses and without a baseline above 0.

    Wants `procedure`, `relief_profile` and `check_ins__answer__measurements` fetched.
    """
    if follow_up.judged_as != JudgedAs.TEST:
        return None
    return diary_from(follow_up, fetched_check_ins(follow_up))
