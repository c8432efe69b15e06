"""Do curves show what is true? Made-up clinics whose patients' relief is known; see docs/simulation.md."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from outcomes.simulation.curves import CODES, HABITS, TYPES, DayResult, Measured, measure
from outcomes.simulation.tables import curves_row, curves_table

#: The generated part of the page lies between these lines.
BEGINS, ENDS = "<!-- curves: `manage.py simulate_curves --page` -->\n", "<!-- end of curves -->\n"
#: Of failures so many are treated again.
AGAIN = (0, 0.3, 0.5)


class Command(BaseCommand):
    help = (
        "Plays made-up clinics whose patients' relief is known, and counts in how many the band of the curve holds the "
        "true share still in relief. Needs nothing in the database, and takes a quarter of a minute for 60 clinics."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "results", type=Path, help="A file of JSON lines; what is in it is not run again."
        )
        parser.add_argument("--types", nargs="+", choices=sorted(TYPES), default=list(CODES))
        parser.add_argument("--habits", nargs="+", choices=list(HABITS), default=list(HABITS))
        parser.add_argument("--patients", nargs="+", type=int, default=[60, 150], help="Of each clinic.")
        parser.add_argument("--clinics", type=int, default=60)
        parser.add_argument("--page", type=Path, help="Run nothing: write the tables into this page.")

    def handle(self, *args: Any, **options: Any) -> None:
        results: Path = options["results"]
        lines = results.read_text().splitlines() if results.exists() else []
        done = [parse_result(line) for line in lines]
        if options["page"]:
            return write(options["page"], done)
        known = {(curve.habits, curve.code, curve.patients, curve.clinics, curve.again) for curve in done}
        clinics = options["clinics"]
        for name in options["habits"]:
            for code in options["types"]:
                for patients in options["patients"]:
                    for again in AGAIN:
                        if (name, code, patients, clinics, again) in known:
                            continue
                        habits = replace(HABITS[name], again=again)
                        found = measure(code, habits, name, patients=patients, clinics=clinics)
                        with results.open("a") as file:  # several may write to it at once, a line each
                            file.write(json.dumps(found) + "\n")
                        self.stdout.write(f"{name}: {' | '.join(curves_row(found))}")
                        self.stdout.flush()
        return None


def parse_result(line: str) -> Measured:
    """What one line of the results says."""
    found = Measured(*json.loads(line))
    return found._replace(at=[DayResult(*at) for at in found.at])


def write(page: Path, found: list[Measured]) -> None:
    """Write a table of each kind of habits into the page."""
    tables = "\n".join(
        curves_table(
            sorted(rows, key=lambda curve: (CODES.index(curve.code), curve.patients, curve.again)), name
        )
        for name in HABITS
        if (rows := [curve for curve in found if curve.habits == name])
    )
    before, _, rest = page.read_text().partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    page.write_text(f"{before}{BEGINS}\nWritten on {timezone.now():%Y-%m-%d}.\n\n{tables}\n{ENDS}{after}")
