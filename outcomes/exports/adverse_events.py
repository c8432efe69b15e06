"""The table of adverse events."""

from datetime import date

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, read_columns
from outcomes.exports.follow_ups import chosen
from outcomes.models import AdverseEvent
from outcomes.models.adverse_events import TERMS
from outcomes.reports import Selection


def rows(selection: Selection, user: User) -> QuerySet[AdverseEvent]:
    return AdverseEvent.objects.standing().filter(follow_up__summary__in=chosen(selection, user))


def term_words(term: str) -> str:
    return str({code.value: words for code, words in TERMS}[term])


def outcome_words(outcome: str) -> str:
    return str(AdverseEvent.Outcome(outcome).label)


def days_after(onset_on: date, performed_on: date) -> int:
    return (onset_on - performed_on).days


def columns() -> list[Column]:
    return read_columns("adverse_events", (term_words, outcome_words, days_after), way="follow_up__")
