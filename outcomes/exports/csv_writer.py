"""From what was read to the cells of a file. Each column is put together once and then run for every row."""

from collections.abc import Callable, Container, Mapping
from datetime import date, datetime
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from outcomes.exports.check_ins import FIGURES
from outcomes.exports.columns import Column, Shield, cell, harmless, utc
from outcomes.exports.deidentification import Shielding, band
from outcomes.exports.tables import ExportTable, Row
from patients.models import full_years

Make = Callable[[Row], Any]

#: How a value of each type is written; numbers are written as they are, None is an empty cell.
WRITE: Mapping[str, Callable[[Any], str] | None] = {
    "text": harmless,
    "integer": None,
    "number": None,
    "boolean": cell,
    "date": date.isoformat,
    "instant": utc,
}


class Writer:
    """The cells of a table's rows, as they are or shielded.

    Wants rows as `Table.batches` gives them for `lookups`.
    """

    def __init__(self, table: ExportTable, shielding: Shielding | None) -> None:
        self.shielding = shielding
        self.totals, way = table.totals is not None, table.way
        of_cell = (f"{way}procedure__procedure_type", f"{way}patient__born_on", f"{way}summary__performed_on")
        whose = () if self.totals else (f"{way}patient", *of_cell)
        self.lookups = list(dict.fromkeys([*table.lookups(), *whose]))
        self.places = {lookup: place for place, lookup in enumerate([*self.lookups, FIGURES])}
        self.patient = self.places.get(f"{way}patient", 0)
        self.cell = itemgetter(*(self.places.get(lookup, 0) for lookup in of_cell))
        self.makes = [self.make(column) for column in table.columns()]

    def cells(self, row: Row) -> list[Any]:
        """One row as `columns.lines` wants it."""
        return [make(row) for make in self.makes]

    def left_out(self, row: Row, rare: Container[tuple[int, str]]) -> bool:
        """Whether a de-identified file does without the row, because it is about too few.

        `rare`: what patients can be recognised by, procedure types with a band of age.
        """
        if self.totals:
            return bool(row[0])
        kind, born_on, performed_on = self.cell(row)
        return (kind, band(full_years(born_on, performed_on))) in rare

    def make(self, column: Column) -> Make:
        """How a column's cell is made of a row."""
        if self.shielding and column.shield is not Shield.KEEP:
            return self.shielded(column, self.shielding)
        value, write = self.value(column), WRITE[column.type]
        if write is None:
            return value

        def make(row: Row) -> str | None:
            return None if (found := value(row)) is None else write(found)

        return make

    def value(self, column: Column) -> Make:
        """What a column holds."""
        first, *others = (self.places[lookup] for lookup in column.lookups)
        of = column.value
        if of is None:
            return itemgetter(first)
        if not others:
            return lambda row: None if row[first] is None else of(row[first])
        all_of = itemgetter(first, *others)
        return lambda row: None if row[first] is None else of(*all_of(row))

    def shielded(self, column: Column, shielding: Shielding) -> Make:
        """What stands in the column's place in a de-identified file."""
        value, whose, patient = self.value(column), column.whose, self.patient
        first, *others = (self.places[lookup] for lookup in column.lookups)
        zone = others[0] if others else first

        def coded(row: Row) -> str | None:
            return None if (number := row[first]) is None else shielding.code(whose, number)

        def moved(row: Row) -> str | None:
            """A date; of an instant what the clock on the wall showed, which says nothing of where the wall is."""
            moment = row[first]
            if moment is None:
                return None
            if not isinstance(moment, datetime):
                return str(shielding.shift(moment, row[patient]).isoformat())
            wall = moment.astimezone(ZoneInfo(row[zone])).replace(tzinfo=None)
            return shielding.shift(wall, row[patient]).isoformat(sep=" ", timespec="seconds")

        def in_bands(row: Row) -> str | None:
            return None if (age := value(row)) is None else band(age)

        makes: dict[Shield, Make] = {
            Shield.DROP: lambda row: None,
            Shield.CODE: coded,
            Shield.SHIFT: moved,
            Shield.BAND: in_bands,
            Shield.COMMON: lambda row: cell(shielding.told(whose, value(row))),
        }
        return makes[column.shield]
