"""Reading a table that somebody saved from a spreadsheet or another system. Pure: bytes in, cells and refusals out.

A file is refused as a whole when it cannot be read for certain (its encoding, its header, a quote that never ends);
a row is refused alone when one of its cells cannot be trusted. Nothing is guessed: what is unclear is named, with the
row as the spreadsheet numbers it, so that it can be mended there.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from clinic.text_rules import FORMULA, PHONE, YEARS, breaks

#: A larger file is refused before it is read, in bytes: ten thousand patients need less than two megabytes.
LARGEST = 20 * 1024 * 1024
#: What separates the cells. Spreadsheets of many countries write semicolons.
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Column:
    """A column that the file may have. `required`: it must be there, and no row may leave it empty.

    `longest`: characters that a cell may have. `phone`: a cell may begin with a plus sign.
    """

    name: str
    required: bool = False
    longest: int = 500
    phone: bool = False


@dataclass(frozen=True)
class RowRefusal:
    """Why a row, or the file, is not taken: `code` is stable, `sentence` is for people.

    `row` counts as a spreadsheet does, the header being row 1. `column` is "" when it is about the whole row. `value`
    is what stood there; it is the patient's, and is shown to the person who brought the file and to nobody else.
    """

    row: int
    column: str
    code: str
    sentence: str
    value: str = ""


@dataclass(frozen=True)
class CsvRow:
    """One row that could be read: its number and its cells by column, stripped; "" where the file has none."""

    number: int
    cells: dict[str, str]

    def refuse(self, column: str, code: str, sentence: str) -> RowRefusal:
        """A refusal of this row about one of its cells."""
        return RowRefusal(self.number, column, code, sentence, self.cells.get(column, ""))


@dataclass
class CsvTable:
    """What a file says. `rows` are those without refusals; `total` counts those with refusals as well.

    `unreadable`: the refusals are about the whole file, and nothing of it may be used.
    """

    columns: frozenset[str] = frozenset()
    rows: list[CsvRow] = field(default_factory=list)
    refusals: list[RowRefusal] = field(default_factory=list)
    total: int = 0
    unreadable: bool = False


class UnreadableFile(Exception):
    """The whole file is refused, for these reasons."""

    def __init__(self, *refusals: RowRefusal) -> None:
        super().__init__(refusals[0].code)
        self.refusals = list(refusals)


def read_csv(data: bytes, columns: Sequence[Column]) -> CsvTable:
    """The rows of a CSV file with a header, or why not.

    Codes about the file: "too_large", "encoding", "empty", "missing_column", "unknown_column", "duplicate_column",
    "broken_quotes", "cell_too_long"; about a row: "cell_count", "required", "formula", "control_character",
    "max_length".
    """
    try:
        return sheet_of(decode(data), columns)
    except UnreadableFile as refused:
        return CsvTable(refusals=refused.refusals, unreadable=True)


def decode(data: bytes) -> str:
    """The file's text: UTF-8 with or without its mark, or UTF-16 with it. Raises Unreadable."""
    if len(data) > LARGEST:
        raise UnreadableFile(too_large())
    encoding = "utf-8"
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            encoding = name
            break
    if encoding == "utf-8" and b"\0" in data[:1000]:
        raise UnreadableFile(
            RowRefusal(
                1, "", "encoding", "This is no text in UTF-8. Save it as “CSV UTF-8”, not as a workbook."
            )
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise UnreadableFile(
            RowRefusal(
                line,
                "",
                "encoding",
                f"A character in line {line} cannot be read: the file is not in UTF-8. "
                "Save it as “CSV UTF-8” and try again.",
            )
        ) from None
    if not text.strip():
        raise UnreadableFile(RowRefusal(1, "", "empty", "The file is empty."))
    return text


def too_large() -> RowRefusal:
    """The refusal of a file that is larger than LARGEST."""
    return RowRefusal(
        1, "", "too_large", f"The file is larger than {LARGEST // 1024 // 1024} MB. Split it and try again."
    )


def sheet_of(text: str, columns: Sequence[Column]) -> CsvTable:
    """The rows of the text. Raises Unreadable."""
    known = {column.name: column for column in columns}
    records = records_of(text, delimiter_of(text, known))
    first, header = next((number, record) for number, record in records if any(map(str.strip, record)))
    header = [heading(cell) for cell in header]
    refuse_header(first, header, columns)
    sheet = CsvTable(columns=frozenset(header))
    for number, record in records:
        if not any(cell.strip() for cell in record):
            continue  # spreadsheets leave empty rows at the end
        sheet.total += 1
        if len(record) != len(header):
            sheet.refusals.append(
                RowRefusal(
                    number, "", "cell_count", f"This row has {len(record)} cells, the header {len(header)}."
                )
            )
            continue
        cells = {
            name: unicodedata.normalize("NFC", cell.strip())
            for name, cell in zip(header, record, strict=True)
        }
        row = CsvRow(number, dict.fromkeys(known, "") | cells)
        refusals = [refusal for name in header for refusal in refusals_of_cell(row, known[name])]
        if refusals:
            sheet.refusals += refusals
        else:
            sheet.rows.append(row)
    if not sheet.total:
        raise UnreadableFile(RowRefusal(first, "", "empty", "Below the header the file has no rows."))
    return sheet


def delimiter_of(text: str, known: dict[str, Column]) -> str:
    """What separates the cells: that with which the header names the most columns."""
    first = text.lstrip().splitlines()[0]

    def named(delimiter: str) -> int:
        return sum(heading(cell.strip('"')) in known for cell in first.split(delimiter))

    return max(DELIMITERS, key=named)


def records_of(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number, from the header on. Raises Unreadable where the rest cannot be read for certain."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            if "field limit" in str(exc):
                raise UnreadableFile(
                    RowRefusal(
                        number,
                        "",
                        "cell_too_long",
                        f"A cell in row {number} never seems to end: is a quotation mark missing?",
                    )
                ) from None
            raise UnreadableFile(
                RowRefusal(
                    number,
                    "",
                    "broken_quotes",
                    f"From row {number} on the file cannot be read: a quotation mark is missing or stands "
                    "inside a cell, where it must be doubled.",
                )
            ) from None
        yield number, record


def heading(cell: str) -> str:
    """A column's name as it is meant: "Record Number" is record_number."""
    return re.sub(r"[\s-]+", "_", cell.strip().casefold())


def refuse_header(number: int, header: Sequence[str], columns: Sequence[Column]) -> None:
    """Raise Unreadable unless every required column is there, and every other is known and there once.

    An unknown column is named by its place: where the header is missing, its name is some patient's.
    """
    known = [column.name for column in columns]
    refusals = [
        RowRefusal(number, column.name, "missing_column", f"The column “{column.name}” is missing.")
        for column in columns
        if column.required and column.name not in header
    ]
    for place, name in enumerate(header, start=1):
        if name not in known:
            sentence = f"Column {place} has a name that is not known; possible are {', '.join(known)}."
            refusals.append(RowRefusal(number, f"column {place}", "unknown_column", sentence, name[:60]))
        elif name in header[: place - 1]:
            sentence = f"The column “{name}” is there twice."
            refusals.append(RowRefusal(number, name, "duplicate_column", sentence))
    if refusals:
        raise UnreadableFile(*refusals)


def refusals_of_cell(row: CsvRow, column: Column) -> Iterator[RowRefusal]:
    """What is wrong with a cell whatever it means."""
    cell = row.cells[column.name]
    if not cell:
        if column.required:
            yield row.refuse(column.name, "required", "This cell must not be empty.")
        return
    if cell.startswith(FORMULA) and not (column.phone and PHONE.match(cell)):
        yield row.refuse(
            column.name,
            "formula",
            f"A cell must not begin with “{cell[0]}”: spreadsheets run it as a formula.",
        )
    if breaks(cell):
        yield row.refuse(
            column.name, "control_character", "This cell has a line break or another control character in it."
        )
    if len(cell) > column.longest:
        sentence = f"This cell has {len(cell)} characters; {column.longest} are possible."
        yield RowRefusal(row.number, column.name, "max_length", sentence, cell[:60] + "…")


def date_in(row: CsvRow, column: str) -> date | RowRefusal:
    """The date in a cell, written 1944-05-06; codes "invalid_date", "no_such_date" and "out_of_range"."""
    cell = row.cells[column]
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
        return row.refuse(column, "invalid_date", "A date is written year-month-day: 1944-05-06.")
    try:
        day = date.fromisoformat(cell)
    except ValueError:
        return row.refuse(column, "no_such_date", "The calendar has no such day.")
    if day.year not in YEARS:
        return row.refuse(column, "out_of_range", f"The year must lie between {YEARS[0]} and {YEARS[-1]}.")
    return day
