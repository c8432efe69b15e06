from typing import Any

from django.core.management.base import BaseCommand

from outcomes.exports import ENTRY, TABLES, entries

HEADINGS = [name.replace("_", " ") for name in ENTRY[1:-1]] + ["de-identified"]
INTRODUCTION = """# Data dictionary

Every column of the exports, from the code that writes them (`python3 manage.py data_dictionary`). A file is CSV in
UTF-8 with a byte order mark, with commas, and quotes where they are needed. The columns are always all there, in this
order. Instants are in UTC; beside each stands what the clock on the site's wall showed, in a de-identified file that
alone and without its distance from UTC. `true` and `false` are words.
Text that a spreadsheet would run as a formula has an apostrophe in front. What becomes of a column in a de-identified
file stands last; [privacy.md](privacy.md) says what that is worth.
"""


def dictionary() -> str:
    """The page docs/data-dictionary.md."""
    found = entries()
    parts = [INTRODUCTION]
    for table in TABLES.values():
        rows = [row(*HEADINGS), row(*["---"] * len(HEADINGS))]
        rows += [row(f"`{column.column}`", *column[2:]) for column in found if column.table == table.code]
        parts.append(f"## {table.code}\n\n{table.meaning}.\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


class Command(BaseCommand):
    help = "Writes the page that says what each column of the exports means."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(dictionary(), ending="")
