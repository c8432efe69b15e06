"""The table of follow-ups: what was done, what it shows, and when relief ended."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, read_columns
from outcomes.models import CourseSummary, FollowUp
from outcomes.models.follow_ups import VERDICTS
from outcomes.relief import Verdict
from outcomes.reports import Selection
from patients.models import full_years
from procedures.models import Intent

NOT_TREATING = (Intent.DIAGNOSTIC, Intent.TRIAL)


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
    own = (verdict_words, ending_words, answered, of_treatments, of_windows, days_between)
    return read_columns("follow_ups", (*own, full_years, len))
