"""What a column of an export is. Pure: values in, cells out."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from clinic.text_rules import FORMULA

#: Excel takes a CSV file for UTF-8 only when it begins with this mark; other programs pass over it.
MARK = "\ufeff"
#: With these a spreadsheet begins a formula, or passes over what stands before one.
RISKY = frozenset((*FORMULA, "\t", "\r", "\n"))


class Shield(StrEnum):
    """What becomes of a column when patients must not be recognised."""

    KEEP = "kept"
    DROP = "left empty"
    CODE = "replaced by a random code, the same in all tables of one selection"
    SHIFT = "moved by a number of days that is the same for everything of a patient"
    BAND = "given as a band of years"
    COMMON = "left empty where fewer patients than the smallest cell share it"


@dataclass(frozen=True)
class Column:
    """One column: its name, and how its value is made.

    `type`: "text", "integer", "number", "boolean", "date" or "instant". `reads`: lookups from the row of the table.
    `value` makes the value of them; without it the first is the value. Where the first or the value is None the cell is
    empty. `unit` and `scale`: "" where there is none. `empty`: what an empty cell means, "" where it never is. `whose`:
    of which kind of thing a CODE or COMMON is one ("patient", "language", …).
    """

    name: str
    type: str
    meaning: str
    reads: str | tuple[str, ...]
    value: Callable[..., Any] | None = None
    unit: str = ""
    scale: str = ""
    empty: str = ""
    shield: Shield = Shield.KEEP
    whose: str = ""

    @property
    def lookups(self) -> tuple[str, ...]:
        return (self.reads,) if isinstance(self.reads, str) else self.reads


def cell(value: Any) -> str:
    """A value as it stands in the file.

    None is empty; instants are in UTC; true and false are words. Text that a spreadsheet would run as a formula gets
    an apostrophe in front. A number is written as a number, a negative one as well.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, date):
        return value.isoformat()
    return harmless(value) if isinstance(value, str) else str(value)


def harmless(text: str) -> str:
    """Text that no spreadsheet runs."""
    return f"'{text}" if text[:1] in RISKY else text


def utc(moment: datetime) -> str:
    """An instant in UTC, to the second."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def local(moment: datetime, zone: str) -> str:
    """An instant as the clock on the site's wall showed it, with its distance from UTC. `zone`: a name of IANA."""
    return moment.astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="seconds")


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows of cells as CSV (RFC 4180). None is an empty cell, and a whole number is written as it is."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
