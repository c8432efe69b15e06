"""Do curves show what is true? Made-up clinics whose patients' relief is known; see docs/simulation.md."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from outcomes.simulation.curves import CODES, HABITS, TYPES, Measured, measure
from outcomes.simulation.page import curves_row, curves_table

#: The generated part of the page lies between these lines.
BEGINS, ENDS = "<!-- curves: `manage.py simulate_curves --page` -->\n", "<!-- end of curves -->\n"
#: Of failures so many are treated again.
AGAIN = (0, 0.3, 0.5)


class Command(BaseCommand):
    help = (
        "Plays made-up clinics whose patients' relief is known, and counts in how many the band of the curve holds the "
        "true share still in relief. Needs no database, and takes some minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--types", nargs="+", choices=sorted(TYPES), default=list(CODES))
        parser.add_argument("--habits", nargs="+", choices=list(HABITS), default=list(HABITS))
        parser.add_argument("--patients", nargs="+", type=int, default=[60, 150], help="Of each clinic.")
        parser.add_argument("--clinics", type=int, default=60)
        parser.add_argument("--seed", default="one")
        parser.add_argument("--page", type=Path, help="Write the table into this page as well.")

    def handle(self, *args: Any, **options: Any) -> None:
        found: dict[str, list[Measured]] = {name: [] for name in options["habits"]}
        for name, measured in found.items():
            for code in options["types"]:
                for patients in options["patients"]:
                    for again in AGAIN:
                        habits = replace(HABITS[name], again=again)
                        size = {"patients": patients, "clinics": options["clinics"]}
                        measured.append(measure(code, habits, seed=options["seed"], **size))
                        self.stdout.write(f"{name}: {' | '.join(curves_row(measured[-1]))}")
                        self.stdout.flush()
        if page := options["page"]:
            tables = "\n".join(curves_table(measured, name) for name, measured in found.items())
            size = f"{options['clinics']} clinics in each cell, seed “{options['seed']}”"
            head = f"Run on {timezone.now():%Y-%m-%d}: {size}."
            before, _, rest = page.read_text().partition(BEGINS)
            _, _, after = rest.partition(ENDS)
            page.write_text(f"{before}{BEGINS}\n{head}\n\n{tables}\n{ENDS}{after}")
