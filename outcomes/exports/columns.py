"""What a column of an export is. Pure: values in, cells out."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from clinic.csv_files import FORMULA

#: Excel takes a CSV file for UTF-8 only when it begins with this mark; other programs pass over it.
MARK = "\ufeff"


class Shield(StrEnum):
    """What becomes of a column when patients must not be recognised."""

    KEEP = "kept"
    DROP = "left empty"
    CODE = "replaced by a random code, the same within the file"
    SHIFT = "moved by a number of days that is the same for everything of a patient"
    BAND = "given as a band of years"


@dataclass(frozen=True)
class Column:
    """One column: its name, and how its value is read from a row of the table.

    `type`: "text", "integer", "boolean", "date" or "instant". `unit` and `scale`: "" where there is none. `empty`: what
    an empty cell means, "" where it never is. `whose`: of which kind of row a CODE is one ("patient", "staff", …).
    """

    name: str
    type: str
    meaning: str
    value: Callable[[Any], Any]
    unit: str = ""
    scale: str = ""
    empty: str = ""
    shield: Shield = Shield.KEEP
    whose: str = ""


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
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if value.startswith((*FORMULA, "\t", "\r", "\n")) else value
    return str(value)


def local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """An instant as the clock on the site's wall showed it, with its distance from UTC."""
    return None if moment is None else moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
