"""The data dictionary: every column of every table, from the code that writes them."""

from typing import NamedTuple

from outcomes.exports.tables import TABLES


class DictionaryEntry(NamedTuple):
    """One column, as the dictionary says it."""

    table: str
    column: str
    type: str
    meaning: str
    unit: str
    scale: str
    empty: str
    deidentified: str


#: The dictionary's own columns.
ENTRY = DictionaryEntry._fields


def entries() -> list[DictionaryEntry]:
    """All columns in the order in which they stand in the files."""
    return [
        DictionaryEntry(
            table.code,
            column.name,
            column.type,
            column.meaning,
            column.unit,
            column.scale,
            column.empty,
            column.shield.value,
        )
        for table in TABLES.values()
        for column in table.columns()
    ]
