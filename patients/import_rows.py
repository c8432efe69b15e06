"""A file of patients: its columns, and what each row says. Pure: no database, no clock."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from clinic.csv_import.files import Column, CsvRow, CsvTable, RowRefusal, date_in, read_csv
from patients.record_numbers import number_key

COLUMNS = (
    Column("record_number", required=True, longest=20),
    Column("given_name", longest=100),
    Column("family_name", required=True, longest=100),
    Column("born_on", required=True, longest=10),
    Column("site", required=True, longest=100),
    Column("email", longest=254),
    Column("phone", longest=40, phone=True),
    Column("language", longest=5),
    Column("agreed_to_email", longest=10),
    Column("another_person", longest=3),
)


@dataclass(frozen=True)
class PatientRow:
    """One patient as the file has them.

    `values` are the fields that the row fills in: an empty cell says nothing. `agreed`: whether the patient agreed to
    e-mail, or the day on which they did; None when the row does not say. `insists`: this is another person than the one
    of the same name and birth date who is registered already.
    """

    row: CsvRow
    record_number: str
    born_on: date
    site: str
    values: dict[str, str]
    agreed: bool | date | None
    insists: bool = False


def read_patients(data: bytes) -> tuple[CsvTable, list[PatientRow]]:
    """The file and its patients; rows that were refused are in the sheet's refusals only.

    Codes beyond those of `clinic.csv_import.files`: "duplicate_row", "invalid_date", "no_such_date", "out_of_range",
    "yes_no_or_date", "yes_or_no".
    """
    sheet = read_csv(data, COLUMNS)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for row in sheet.rows:
        places[number_key(row.cells["record_number"])].append(row.number)
    entries = []
    for row in sheet.rows:
        entry = entry_of(row)
        refusals = entry if isinstance(entry, list) else []
        rows = places[number_key(row.cells["record_number"])]
        if len(rows) > 1:
            # All of them: which one is right, the file does not say.
            listed = ", ".join(map(str, rows[:10]))
            sentence = f"This record number stands in several rows: {listed}."
            refusals.append(row.refuse("record_number", "duplicate_row", sentence))
        sheet.refusals += refusals
        if not refusals and isinstance(entry, PatientRow):
            entries.append(entry)
    return sheet, entries


def entry_of(row: CsvRow) -> PatientRow | list[RowRefusal]:
    """What one row says, or why it cannot be read."""
    cells = row.cells
    born_on = date_in(row, "born_on")
    agreed = agreement_in(row)
    refusals = [found for found in (born_on, agreed) if isinstance(found, RowRefusal)]
    if cells["another_person"].casefold() not in ("", "yes", "no"):
        refusals.append(row.refuse("another_person", "yes_or_no", "Write yes or no."))
    if refusals or isinstance(born_on, RowRefusal) or isinstance(agreed, RowRefusal):
        return refusals
    names = ("given_name", "family_name", "email", "phone", "language")
    values = {name: cells[name] for name in names if cells[name]}
    if "language" in values:
        values["language"] = values["language"].casefold()
    insists = cells["another_person"].casefold() == "yes"
    return PatientRow(row, cells["record_number"], born_on, cells["site"], values, agreed, insists)


def agreement_in(row: CsvRow) -> bool | date | RowRefusal | None:
    """Whether, or on which day, the patient agreed to e-mail."""
    cell = row.cells["agreed_to_email"].casefold()
    if cell in ("", "yes", "no"):
        return {"": None, "yes": True, "no": False}[cell]
    if cell[:1].isdigit():
        return date_in(row, "agreed_to_email")
    return row.refuse("agreed_to_email", "yes_no_or_date", "Write yes, no, or the day of the agreement.")
