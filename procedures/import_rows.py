"""A file of future appointments: its columns, and what each row says. Pure: no database, no clock."""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time

from clinic.csv_import.files import Column, CsvRow, CsvTable, RowRefusal, date_in, read_csv

COLUMNS = (
    Column("record_number", required=True, longest=20),
    Column("procedure_type", required=True, longest=50),
    Column("site", required=True, longest=100),
    Column("date", required=True, longest=10),
    Column("time", required=True, longest=5),
    Column("intent", longest=12),
    Column("region", longest=50),
    Column("side", longest=10),
    Column("levels", longest=60),
    Column("indication", longest=8),
    Column("clinician", longest=100),
    Column("room", longest=100),
    Column("note", longest=500),
    Column("external_id", longest=80),
)


@dataclass(frozen=True)
class AppointmentRow:
    """One appointment as the file has it. `wall` is what the clock on the site's wall shows when it begins.

    `values` are the fields of the appointment that the row fills in. `request_key` names the row, so that it is
    booked once however often the file is imported.
    """

    row: CsvRow
    record_number: str
    procedure_type: str
    site: str
    wall: datetime
    values: dict[str, str]
    request_key: str


def read_appointments(data: bytes) -> tuple[CsvTable, list[AppointmentRow]]:
    """The file and its appointments; rows that were refused are in the sheet's refusals only.

    Codes beyond those of `clinic.csv_import.files`: "duplicate_row", "invalid_date", "no_such_date", "out_of_range",
    "invalid_time".
    """
    sheet = read_csv(data, COLUMNS)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for row in sheet.rows:
        places[key_of(row)].append(row.number)
    entries = []
    for row in sheet.rows:
        entry = entry_of(row)
        refusals = entry if isinstance(entry, list) else []
        rows = places[key_of(row)]
        if len(rows) > 1:
            # All of them: which one is right, the file does not say.
            listed = ", ".join(map(str, rows[:10]))
            column = "external_id" if row.cells["external_id"] else "time"
            sentence = f"This appointment stands in several rows: {listed}."
            refusals.append(row.refuse(column, "duplicate_row", sentence))
        sheet.refusals += refusals
        if not refusals and isinstance(entry, AppointmentRow):
            entries.append(entry)
    return sheet, entries


def entry_of(row: CsvRow) -> AppointmentRow | list[RowRefusal]:
    """What one row says, or why it cannot be read."""
    cells = row.cells
    day, at = date_in(row, "date"), time_in(row)
    if isinstance(day, RowRefusal) or isinstance(at, RowRefusal):
        return [found for found in (day, at) if isinstance(found, RowRefusal)]
    values = {
        "intent": cells["intent"].casefold(),
        "region": re.sub(r"\s+", "_", cells["region"].casefold()),
        "laterality": cells["side"].casefold(),
        "levels": cells["levels"],
        "indication": cells["indication"].upper(),
        "note": cells["note"],
    }
    return AppointmentRow(
        row,
        record_number=cells["record_number"],
        procedure_type=cells["procedure_type"].casefold(),
        site=cells["site"],
        wall=datetime.combine(day, at),
        values={name: value for name, value in values.items() if value},
        request_key=key_of(row),
    )


def time_in(row: CsvRow) -> time | RowRefusal:
    """The time of day, written 09:30; code "invalid_time"."""
    cell = row.cells["time"]
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", cell)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        return row.refuse("time", "invalid_time", "A time is written in 24 hours: 09:30.")
    return time(int(found[1]), int(found[2]))


def key_of(row: CsvRow) -> str:
    """What names the row for ever: its external_id, or else who, what, where and when, as a hash."""
    cells = row.cells
    if cells["external_id"]:
        return f"import:{cells['external_id']}"
    named = [cells["record_number"]]
    named += [cells[name].casefold() for name in ("procedure_type", "site", "date")]
    named.append(cells["time"].zfill(5))
    return "import:" + hashlib.sha256("\n".join(named).encode()).hexdigest()
