"""The verdict on a follow-up by what it is judged as: a treatment by its course, a test by its diary; upkeep of a
device has none."""

from collections.abc import Sequence

from django.conf import settings

from outcomes.diary import COVERED_PERCENT, Entry, Outcome, Result, Why, result
from outcomes.models import CheckIn, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import PAIN_NOW, TOOK_MEDICINE
from outcomes.relief import Course, Judgement, Note, Remark, Verdict, judge, judged, remark_words
from outcomes.schedule import DAY
from outcomes.services.reading import Read
from procedures.models import ReliefProfile

#: When an anesthetic is expected to have worn off, in minutes, for a profile made before tests had to say so: that of
#: the catalogue's blocks, 2 to 12 hours (docs/catalogue.md; unconfirmed).
HOURS = (2 * 60, 12 * 60)


def window_of_test(profile: ReliefProfile) -> tuple[int, int]:
    """The first and the last minute of the time in which the effect of a test is expected to end."""
    if not profile.window_until_minutes:
        return HOURS
    return profile.window_from_minutes or 0, profile.window_until_minutes


def judgement_of(follow_up: FollowUp, course: Course, rows: Sequence[Read]) -> Judgement:
    """What a follow-up shows. `course` and `rows` are what has been read of it; asks the database for nothing."""
    if follow_up.judged_as == JudgedAs.TEST:
        return judge_test(follow_up, course, rows)
    if follow_up.judged_as == JudgedAs.UPKEEP:
        return not_judged(course)
    return judge(course)


def not_judged(course: Course) -> Judgement:
    """What the course after upkeep shows: nothing, but that the pain was worse than before. The device's effect was
    there before it, so that pain which is no less is no failure."""
    said = ["Upkeep of a device is not judged: its effect was there before."]
    worse = tuple(
        one.at for one in judged(course) if course.baseline is not None and one.score > course.baseline
    )
    remarks = (Remark(Note.WORSE, worse),) if worse else ()
    said += [remark_words(course, remark) for remark in remarks]
    return Judgement(Verdict.NOT_JUDGED, " ".join(said), remarks=remarks)


def diary_from(follow_up: FollowUp, rows: Sequence[Read]) -> Result | None:
    """What the diary of a test shows; None without a baseline above 0.

    Its hours are those of the profile by which the test is judged, and every one that was answered on the first day:
    the plan may be another one by now. Each entry counts at its planned hour, whenever it was written.
    """
    profile = follow_up.relief_profile
    entries = {
        row.offset_minutes: Entry(
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


def judge_test(follow_up: FollowUp, course: Course, rows: Sequence[Read]) -> Judgement:
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
    said += [entries_words(found), *(remark_words(course, remark) for remark in remarks)]
    return Judgement(verdict, " ".join(said), remarks=remarks, covered_percent=found.covered_percent)


def why_words(course: Course, found: Result) -> str:
    """Why a test is what it is, as a sentence."""
    in_a_row = settings.DIARY_HOURS_IN_A_ROW
    percent, before = course.success_percent, f"Pain {course.baseline} before"
    if found.outcome == Outcome.POSITIVE and found.decided_at is not None:
        return (
            f"{before}, at least {percent} % less at {in_a_row} planned hours in a row, the last of them "
            f"{course.words(found.decided_at)}, and no entry with less relief before."
        )
    if found.why == Why.MEDICINE and found.medicine_by is not None:
        return (
            f"Pain medicine had been taken by {course.words(found.medicine_by)}, before the anesthetic is expected "
            "to have worn off: less pain may be the medicine's."
        )
    if found.gone_at is not None and found.outcome == Outcome.NEGATIVE:
        return (
            f"{before}, not {percent} % less at {course.words(found.gone_at)}, and never before at {in_a_row} planned "
            f"hours in a row up to {course.words(course.window_from)} or later."
        )
    if found.why == Why.NOT_COVERED and found.gone_at is not None:
        return (
            f"{before}, not {percent} % less at {course.words(found.gone_at)}, but entries cover less than "
            f"{COVERED_PERCENT} % of the time before."
        )
    if not found.entries:
        return "Nothing was written in the diary. Silence is no result."
    return f"The entries show neither {in_a_row} planned hours in a row in relief within the window, nor pain before."


def entries_words(found: Result) -> str:
    """How much is known, as a sentence."""
    said = (
        f"Entries cover {found.covered_percent} % of the first {found.window_minutes / 60:g} hours, "
        f"{found.relief_percent} % are in relief."
    )
    if found.late:
        said += f" Written late, and counted at their hour: {found.late} of {found.entries}."
    return said
