"""The table of follow-ups: what was done, what it shows, and when relief ended."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, Shield
from outcomes.exports.common_columns import common, moments
from outcomes.models import CourseSummary, FollowUp
from outcomes.models.follow_ups import VERDICTS
from outcomes.relief import Verdict
from outcomes.reports import Selection
from patients.models import full_years
from procedures.models import Intent

#: What says whether a follow-up is judged as a treatment: its intent, and that it has a verdict.
JUDGED = ("procedure__intent", "verdict")
NOT_TREATING = (Intent.DIAGNOSTIC, Intent.TRIAL)
NO_TREATMENT = "A test, a trial or upkeep"
NO_WINDOW = "A trial or upkeep"


def chosen(selection: Selection, user: User) -> QuerySet[CourseSummary]:
    """The summaries of a selection, as a part of another query."""
    return selection.summaries(user).order_by()


def rows(selection: Selection, user: User) -> QuerySet[FollowUp]:
    return FollowUp.objects.filter(summary__in=chosen(selection, user))


def verdict_words(verdict: str) -> str:
    return str({code.value: words for code, words in VERDICTS}[verdict])


def ending_words(reason: str) -> str:
    return str(FollowUp.Closed(reason).label) if reason else ""


def answered(scores: Sequence[int | None]) -> int:
    """How many of these check-ins were answered."""
    return sum(score is not None for score in scores)


def of_treatments(value: Any, intent: str, verdict: str) -> Any:
    """What only treatments have; empty of tests, trials and upkeep."""
    return None if intent in NOT_TREATING or verdict == Verdict.NOT_JUDGED else value


def of_windows(value: Any, intent: str, verdict: str) -> Any:
    """What treatments and tests have; empty of trials and upkeep."""
    return value if intent == Intent.DIAGNOSTIC else of_treatments(value, intent, verdict)


def days_between(later: date, earlier: date) -> int:
    return (later - earlier).days


def columns() -> list[Column]:
    after = "see unit"
    return [
        *common(),
        Column("procedure_type_name", "text", "Its name", "procedure__procedure_type__name"),
        Column("family", "text", "Its family", "procedure__procedure_type__family"),
        Column(
            "intent",
            "text",
            "What it was done for: diagnostic, therapeutic, trial, implant or maintenance",
            "procedure__intent",
        ),
        Column("status", "text", "completed or partial", "procedure__status"),
        Column("region", "text", "Region of the body, as a code", "procedure__region", empty="Not said"),
        Column(
            "laterality",
            "text",
            "left, right, bilateral or midline",
            "procedure__laterality",
            empty="No side",
        ),
        Column(
            "levels", "text", "Levels, as written", "procedure__levels", empty="Not said", shield=Shield.DROP
        ),
        Column(
            "indication",
            "text",
            "ICD-10-CM code of the indication",
            "procedure__indication",
            empty="Not said",
            shield=Shield.COMMON,
            whose="indication",
        ),
        Column(
            "steroid_given",
            "boolean",
            "Whether a steroid was injected: a test is asked beyond its diary only then",
            "procedure__steroid_given",
            empty="Not said",
        ),
        Column(
            "performer",
            "integer",
            "Number of the member of staff who performed it",
            "procedure__performer",
            empty="Not said",
            shield=Shield.CODE,
            whose="staff",
        ),
        *moments("performed", "When it was performed", "procedure__performed_at"),
        Column(
            "age",
            "integer",
            "The patient's age at the procedure",
            ("patient__born_on", "summary__performed_on"),
            full_years,
            unit="years",
            shield=Shield.BAND,
        ),
        Column(
            "language",
            "text",
            "The patient's language",
            "patient__language",
            shield=Shield.COMMON,
            whose="language",
        ),
        Column(
            "baseline_pain",
            "integer",
            "Pain before the procedure",
            "procedure__baseline_pain",
            scale="0–10",
            empty="Not asked: relief cannot be computed",
        ),
        Column(
            "baseline_source",
            "text",
            "day_of: asked on the day; earlier: the latest within 30 days before",
            "procedure__baseline_source",
            empty="Not said",
        ),
        Column(
            "unit",
            "text",
            "In what the positions of this row are counted from the procedure: day (calendar days) or minute",
            "summary__unit",
        ),
        Column(
            "evaluate_after",
            "integer",
            "First position that is judged",
            ("summary__evaluate_after", *JUDGED),
            of_treatments,
            unit=after,
            empty=NO_TREATMENT,
        ),
        Column(
            "window_from",
            "integer",
            "Relief is expected to end from here; of a test, the anesthetic is expected to have worn off from here",
            ("summary__window_from", *JUDGED),
            of_windows,
            unit=after,
            empty=NO_WINDOW,
        ),
        Column(
            "window_until",
            "integer",
            "to here",
            ("summary__window_until", *JUDGED),
            of_windows,
            unit=after,
            empty=NO_WINDOW,
        ),
        Column(
            "success_percent",
            "integer",
            "So much less pain counts",
            "summary__success_percent",
            unit="percent",
        ),
        Column("verdict", "text", "What the follow-up shows, as a code", "verdict"),
        Column("verdict_label", "text", "The same in words", "verdict", verdict_words),
        Column(
            "covered_percent",
            "integer",
            "Of a test, the share of the window that entries of the diary cover",
            "summary__covered_percent",
            unit="percent",
            empty="No test, or no baseline",
        ),
        Column(
            "trial_days",
            "integer",
            "Of a trial, how many days after the procedure lead or catheter came out",
            ("trial_ended_on", "summary__performed_on"),
            days_between,
            unit="days",
            empty="No trial, or nobody has said it",
        ),
        Column("verdict_reason", "text", "Why, in a sentence", "verdict_reason", shield=Shield.DROP),
        Column(
            "lost_after",
            "integer",
            "Relief ended later than this",
            "summary__lost_after",
            unit=after,
            empty=f"{NO_TREATMENT}, no baseline, confounded, or nothing to judge yet",
        ),
        Column(
            "lost_until",
            "integer",
            "and not later than this",
            "summary__lost_until",
            unit=after,
            empty=f"Not seen to end. {NO_TREATMENT}",
        ),
        Column(
            "responded",
            "boolean",
            "Seen in relief at some check-in that counts",
            ("summary__responded", *JUDGED),
            of_treatments,
            empty=NO_TREATMENT,
        ),
        Column(
            "suspected_until",
            "integer",
            "First bad score after the last good one, which nothing has confirmed",
            "summary__suspected_until",
            unit=after,
            empty="None",
        ),
        Column(
            "loss_kind",
            "text",
            "What the loss, confirmed or not, is against the window, as the code of its verdict",
            "summary__loss_kind",
            empty="No loss known or suspected",
        ),
        Column(
            "repeated_at",
            "integer",
            "The treatment was repeated, which ended the course",
            "summary__repeated_at",
            unit=after,
            empty="Not repeated",
        ),
        Column(
            "last_answer",
            "integer",
            "Position of the last answer",
            "summary__last_answer",
            unit=after,
            empty="None",
        ),
        Column("check_ins_due", "integer", "Check-ins that fell due", "summary__scores", len),
        Column(
            "check_ins_answered",
            "integer",
            "How many of them were answered",
            "summary__scores",
            answered,
        ),
        Column("closed_reason", "text", "Why the course ended, as a code", "closed_reason", empty="It runs"),
        Column(
            "closed_reason_label",
            "text",
            "The same in words",
            "closed_reason",
            ending_words,
            empty="It runs",
        ),
        *moments("closed", "When it ended", "closed_at", empty="It runs"),
        Column(
            "confounded_by",
            "integer",
            "The other follow-up of the same region that makes this one unreadable",
            "confounded_by",
            empty="None",
            shield=Shield.CODE,
            whose="follow_up",
        ),
    ]
