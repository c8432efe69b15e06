"""The tables: which columns they have, and their rows, in batches by number so that a million need little memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet

from clinic.models import User
from outcomes.exports import adverse_event_table, adverse_events, check_ins, follow_ups
from outcomes.exports.columns import Column
from outcomes.reports import Selection

#: Rows that are read at once.
BATCH = 2_000
Row = tuple[Any, ...]


@dataclass(frozen=True)
class ExportTable:
    """One kind of export. `rows(selection, user)` are those that `user` may see, in no order; `columns` are fixed.

    `way`: the lookup from a row to its follow-up, with two underscores behind. `figures`, if there are any, by the
    numbers of rows: the value of the lookup "figures". `totals`: a table of counts, whose rows are about nobody in
    particular; all of them at once, and columns read their attributes. `hidden` of such a row: it is of so few that a
    de-identified file does without it.
    """

    code: str
    meaning: str
    columns: Callable[[], Sequence[Column]]
    rows: Callable[[Selection, User], QuerySet[Any]]
    way: str = ""
    figures: Callable[[Sequence[int]], Mapping[int, Any]] | None = None
    totals: Callable[[Selection, User], Sequence[Any]] | None = None

    def lookups(self) -> list[str]:
        """What the columns read from the database, each once; the row's number stands first, or if it is hidden."""
        read = (lookup for column in self.columns() for lookup in column.lookups)
        first = "hidden" if self.totals else "pk"
        return list(dict.fromkeys([first, *(name for name in read if name != check_ins.FIGURES)]))

    def batches(self, selection: Selection, user: User, lookups: Sequence[str]) -> Iterator[list[Row]]:
        """The rows by their numbers, so many at once: the values of `lookups`, of which the first is "pk", and at the
        end the figures."""
        if self.totals:
            found = list(map(attrgetter(*lookups), self.totals(selection, user)))
            yield [(*row, {}) for row in found]
            return
        last = 0
        rows: QuerySet[Any] = self.rows(selection, user).order_by("pk").values_list(*lookups)
        while batch := list(rows.filter(pk__gt=last)[:BATCH]):
            last = batch[-1][0]
            known = self.figures([row[0] for row in batch]) if self.figures else {}
            yield [(*row, known.get(row[0], {})) for row in batch]


TABLES: dict[str, ExportTable] = {
    table.code: table
    for table in (
        ExportTable(
            "follow_ups",
            "One row a follow-up: what was done, what it shows, and when relief ended",
            cache(follow_ups.columns),
            follow_ups.rows,
        ),
        ExportTable(
            "check_ins",
            "One row a check-in, asked or not, with every figure of its answer; remarks are not in it",
            cache(check_ins.columns),
            check_ins.rows,
            check_ins.WAY,
            check_ins.measured,
        ),
        ExportTable(
            "adverse_events",
            "One row an adverse event that was not entered in error",
            cache(adverse_events.columns),
            adverse_events.rows,
            "follow_up__",
        ),
        ExportTable(
            "harm",
            "One row a procedure type: how many procedures led to adverse events, each counted once, by its worst "
            "event. Counts are never hidden; their shares are where procedures are few",
            cache(adverse_event_table.columns),
            adverse_event_table.rows,
            totals=adverse_event_table.totals,
        ),
    )
}
