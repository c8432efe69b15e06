"""What every import from a file shares: its three modes, its report, and refusals told by row and column."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import connection, models

from clinic import audit
from clinic.csv_import.files import CsvRow, RowRefusal
from clinic.models import Site, User
from clinic.refusals import Refusal

T = TypeVar("T")

#: Called now and then with what was done ("checked", "saved") to how many of how many rows.
Progress = Callable[[str, int, int], None]
#: How many rows are looked up with one query each of patients, earlier rows …
CHUNK = 500
#: `Progress` is told after so many rows.
EVERY = 1000
#: Advisory lock that lets one import save at a time, so that two never wait for each other in a ring. Any number,
#: used nowhere else.
IMPORTING = 7_461_002
NO_CHOICE = "This is none of the possible values."


class Mode(models.TextChoices):
    """What is to be done with a file."""

    CHECK = "check", "Check only"
    ALL = "all", "Import everything, or nothing if one row is refused"
    GOOD = "good", "Import the good rows and leave the refused ones out"


class Outcome(models.TextChoices):
    """What became of a row, or would become of it."""

    ADDED = "added", "added"
    CHANGED = "changed", "changed"
    UNCHANGED = "unchanged", "unchanged"
    REFUSED = "refused", "refused"


@dataclass(frozen=True)
class RowOutcome:
    """One row's outcome; of a changed row `columns` says which cells are new.

    Of an unchanged appointment `columns` says in which cells the file differs from what was booked and stays. `kept`:
    in which cells the file says something that it may not undo, so that what is known stays, whatever the outcome.
    """

    row: int
    outcome: Outcome
    columns: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass
class Report:
    """What an import did, or in a check, or when it was refused as a whole, what it would have done."""

    mode: Mode
    total: int = 0
    lines: list[RowOutcome] = field(default_factory=list)
    refusals: list[RowRefusal] = field(default_factory=list)
    #: Whether anything was kept. False for a check, and for all-or-nothing with a refusal.
    saved: bool = False
    #: Whether the refusals are about the whole file, and no row was looked at.
    unreadable: bool = False

    def count(self, outcome: Outcome) -> int:
        """How many rows had this outcome."""
        if outcome == Outcome.REFUSED:
            return self.total - len(self.lines)
        return sum(line.outcome == outcome for line in self.lines)

    @property
    def summary(self) -> str:
        """The numbers, with nothing of what the rows say."""
        counts = ", ".join(f"{self.count(outcome)} {outcome.label}" for outcome in Outcome)
        return f"{self.total} rows: {counts}."

    def sort(self) -> None:
        """Rows in the order of the file."""
        self.lines.sort(key=lambda line: line.row)
        self.refusals.sort(key=lambda refusal: refusal.row)


#: An import under way: after each row, what was done ("checked", "saved") to how many of how many; at last the report.
#: Whoever stops asking for the next step stops the import: what is open then is rolled back.
Steps = Generator[tuple[str, int, int], None, Report]


def chunks(rows: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """`rows` in pieces of at most `size`."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def finish(steps: "Steps", progress: Progress | None) -> "Report":
    """Take all the steps of an import; `progress` is told of every EVERYth of them and of the last."""
    while True:
        try:
            what, done, total = next(steps)
        except StopIteration as ended:
            return cast(Report, ended.value)
        if progress and (done % EVERY == 0 or done == total):
            progress(what, done, total)


def refusals_of(row: CsvRow, refusal: ValidationError, columns: Mapping[str, str]) -> list[RowRefusal]:
    """What a service refused, by the file's columns; `columns`: the file's column for a model's field."""
    faults: dict[str, list[ValidationError]]
    if isinstance(refusal, Refusal):
        faults = {refusal.field or "": [refusal]}
    elif hasattr(refusal, "error_dict"):
        faults = refusal.error_dict
    else:
        faults = {"": refusal.error_list}
    result = []
    for name, some in faults.items():
        column = columns.get(name, "" if name == NON_FIELD_ERRORS else name)
        for fault in some:
            result.append(
                RowRefusal(
                    row.number,
                    column,
                    str(fault.code or "invalid"),
                    # Django's own sentence repeats the value, which is the patient's.
                    NO_CHOICE if fault.code == "invalid_choice" else " ".join(fault.messages),
                    row.cells.get(column, ""),
                )
            )
    return result


def sites_by_name(by: User | None) -> dict[str, Site]:
    """The sites to which `by` may bring rows, by name as it is written or in small letters; None: all of them."""
    sites = list(Site.objects.all() if by is None else Site.objects.visible_to(by))
    return {site.name.casefold(): site for site in sites} | {site.name: site for site in sites}


@contextmanager
def refusing(row: CsvRow, report: Report, columns: Mapping[str, str]) -> Iterator[None]:
    """Within it, what is refused is told by the report; `columns` as in `refusals_of`."""
    try:
        yield
    except ValidationError as refusal:
        report.refusals += refusals_of(row, refusal, columns)


def one_at_a_time() -> None:
    """Wait, inside a transaction, until no other import is saving."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [IMPORTING])


def write_down(what: str, report: Report, *, by: User | None, now: datetime) -> None:
    """Put the import itself into the trail: who, when and how many rows; a check leaves no trace."""
    if report.mode != Mode.CHECK:
        action = f"{what}.imported" if report.saved else f"{what}.import_refused"
        audit.record(
            action, None, by=by, at=now, actor="import", reason=f"{report.mode.value}: {report.summary}"
        )
