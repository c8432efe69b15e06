"""Which follow-ups a report is about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.models import CourseSummary
from outcomes.models.summaries import CourseSummaryQuerySet
from procedures.models import Intent, ProcedureType

#: Reports of longer periods are no slower, but a slip of the keyboard is likelier.
YEARS = range(1990, 2200)


@dataclass(frozen=True)
class Selection:
    """Follow-ups by what was done, why, by whom, where and when; None and "" leave it open.

    `procedure_type` is a code, `indication` the beginning of an ICD-10-CM code, `performer` and `site` are numbers.
    `performed_from` and `performed_until` are the first and the last day, on each site's wall clock.
    """

    procedure_type: str = ""
    intent: str = ""
    indication: str = ""
    performer: int | None = None
    site: int | None = None
    performed_from: date | None = None
    performed_until: date | None = None

    def check(self, user: User) -> None:
        """Refuse what cannot be meant, or what `user` may not see.

        Raises Refusal, with the field: "unknown_procedure_type", "unknown_intent", "unknown_performer",
        "unknown_site" (also for a site of others), "empty_period" (ends before it begins), "out_of_range".
        """
        if self.procedure_type and not ProcedureType.objects.filter(code=self.procedure_type).exists():
            refuse("There is no such procedure type.", "unknown_procedure_type", "procedure_type")
        if self.intent and self.intent not in Intent.values:
            refuse("There is no such intent.", "unknown_intent", "intent")
        if self.performer is not None and not User.objects.filter(pk=self.performer).exists():
            refuse("There is no such clinician.", "unknown_performer", "performer")
        if self.site is not None and not Site.objects.visible_to(user).filter(pk=self.site).exists():
            refuse("There is no such site among yours.", "unknown_site", "site")
        for name in ("performed_from", "performed_until"):
            day = getattr(self, name)
            if day is not None and day.year not in YEARS:
                refuse("This is not a day in the years 1990 to 2199.", "out_of_range", name)
        if self.performed_from and self.performed_until and self.performed_until < self.performed_from:
            refuse("The period ends before it begins.", "empty_period", "performed_until")

    def summaries(self, user: User) -> CourseSummaryQuerySet:
        """Their summaries, as far as `user` may see them, without procedures that were entered in error."""
        rows = CourseSummary.objects.visible_to(user).counted()
        lookups: dict[str, Any] = {
            "procedure_type__code": self.procedure_type,
            "intent": self.intent,
            "indication__startswith": self.indication.upper(),
            "performer": self.performer,
            "site": self.site,
            "performed_on__gte": self.performed_from,
            "performed_on__lte": self.performed_until,
        }
        return rows.filter(**{name: value for name, value in lookups.items() if value not in ("", None)})

    @classmethod
    def from_query(cls, given: Mapping[str, str]) -> "Selection":
        """What `query` wrote."""
        read: dict[str, Callable[[str], Any]] = {
            "performer": int,
            "site": int,
            "performed_from": date.fromisoformat,
            "performed_until": date.fromisoformat,
        }
        return cls(**{name: read.get(name, str)(value) for name, value in given.items()})

    def query(self) -> dict[str, str]:
        """What stands behind the question mark of a page about it: only what is not left open."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(value) for name, value in given.items() if value not in ("", None)}


def refuse(sentence: str, code: str, field: str) -> None:
    raise Refusal(sentence, code=code, field=field)


def smallest_cell(user: User, selection: Selection) -> int:
    """The fewest answers of which the reports of these sites still show a rate: the largest of their settings."""
    sites = Site.objects.visible_to(user)
    if selection.site is not None:
        sites = sites.filter(pk=selection.site)
    return max(sites.values_list("smallest_cell", flat=True), default=1)


def select_summaries(
    rows: QuerySet[CourseSummary], statement: str, *columns: str, more: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """The rows of a statement that reads `columns` of the summaries from a table `chosen`.

    For what the ORM cannot say: counting over arrays. `statement` holds no value of a user; `more` are the values of
    its own placeholders. No rows at all where nothing can be selected.
    """
    try:
        sql, params = rows.order_by().values_list(*columns).query.sql_with_params()
    except EmptyResultSet:
        return []
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH chosen ({names}) AS ({sql}) {statement}", [*params, *more])
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
