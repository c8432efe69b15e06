"""The table of adverse events."""

from datetime import date

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports.columns import Column, Shield
from outcomes.exports.common_columns import common
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
    return [
        Column(
            "adverse_event",
            "integer",
            "Number of the event",
            "pk",
            shield=Shield.CODE,
            whose="adverse_event",
        ),
        *common("follow_up__"),
        Column("term", "text", "What happened, as a code", "term"),
        Column("term_label", "text", "The same in words", "term", term_words),
        Column("onset_on", "date", "The day on which it began", "onset_on", shield=Shield.SHIFT),
        Column(
            "onset_after",
            "integer",
            "How long after the procedure",
            ("onset_on", "follow_up__summary__performed_on"),
            days_after,
            unit="days",
        ),
        Column("severity", "text", "mild, moderate or severe", "severity"),
        Column("serious", "boolean", "By its consequences", "serious"),
        Column("outcome", "text", "What became of it, as a code", "outcome"),
        Column("outcome_label", "text", "The same in words", "outcome", outcome_words),
        Column("relation", "text", "How likely the suspect caused it", "relation"),
        Column("suspect", "text", "procedure or device", "suspect"),
        Column("grade", "integer", "Its grade", "grade", scale="1–5", empty="Not graded"),
        Column("description", "text", "In words", "description", empty="None", shield=Shield.DROP),
    ]
