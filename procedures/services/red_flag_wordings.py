"""The words of red flags as they stood when they were asked: answers are read by the words that the patient saw."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from procedures.models import RedFlag


class Wording(NamedTuple):
    """A red flag's question in English and Spanish, and how urgent its yes was."""

    code: str
    question: str
    question_es: str
    urgency: str


def wordings_at(codes: Collection[str], at: datetime) -> list[Wording]:
    """Those of the red flags with these codes as they stood at the instant `at`, by code; in one query.

    One that did not exist yet has its first words, as of an import or a clock that was wrong. A code that was deleted
    since keeps its words; one that never was is left out.
    """
    if not codes:
        return []
    history = RedFlag.pgh_event_model  # type: ignore[attr-defined]  # made by the decorator
    rows = history.objects.filter(code__in=codes).order_by("pgh_created_at", "pgh_id")
    found: dict[str, Wording] = {}
    for since, *words in rows.values_list("pgh_created_at", "code", "question", "question_es", "urgency"):
        wording = Wording(*words)
        if since <= at or wording.code not in found:
            found[wording.code] = wording
    return sorted(found.values())
