"""Tables of outcomes for programs and researchers: CSV whose columns, order and meaning are said in one place."""

from outcomes.exports.columns import Column, Shield
from outcomes.exports.csv_writer import Writer
from outcomes.exports.deidentification import Shielding
from outcomes.exports.dictionary import ENTRY, entries
from outcomes.exports.tables import TABLES, ExportTable
