"""Are verdicts and alerts true? Made-up patients, followed by the real services; see docs/simulation.md."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from outcomes.demo.clinic import Place, build
from outcomes.simulation.counts import count
from outcomes.simulation.runs import BEFORE, BEGIN_ON, followed
from outcomes.simulation.simulated_patients import Habits
from outcomes.simulation.tables import RUNS, Cell, figures
from patients.models import Patient
from procedures import catalogue
from procedures.services.catalogue_loader import load

#: The generated part of the page lies between these lines.
BEGINS, ENDS = "<!-- figures: `manage.py simulate_verdicts --page` -->\n", "<!-- end of figures -->\n"
HABITS = {
    "exact": Habits(exact=True),
    "before": Habits(exact=True),
    "habits": Habits(exact=False, calls=True, reports=True),
    "no_reports": Habits(exact=False, calls=True),
    "no_calls": Habits(exact=False, reports=True),
    "neither": Habits(exact=False),
}


class Command(BaseCommand):
    help = (
        "Follows made-up patients whose relief is known through the real services, and counts what verdicts and "
        "alerts say of them. Wants an empty database: python -m clinic.dev.embedded python manage.py simulate_verdicts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "results", type=Path, help="A file of JSON lines; what is in it is not run again."
        )
        parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
        parser.add_argument("--types", nargs="+", choices=BEFORE, default=list(BEFORE))
        parser.add_argument("--patients", type=int, default=20, help="Of each type in each run.")
        parser.add_argument("--seed", default="one")
        parser.add_argument("--page", type=Path, help="Run nothing: write the tables into this page.")

    def handle(self, *args: Any, **options: Any) -> None:
        results: Path = options["results"]
        lines = results.read_text().splitlines() if results.exists() else []
        done = [Cell(*json.loads(line)) for line in lines]
        if options["page"]:
            return self.write(options["page"], done)
        known = {(cell.run, cell.code, cell.patients, cell.seed) for cell in done}
        place = empty_clinic()
        plans = {kind.code: kind.check_ins.days for kind in catalogue.read_catalogue().procedure_types}
        for run in options["runs"]:
            for code in options["types"]:
                cell = (run, code, options["patients"], options["seed"])
                if cell in known:
                    continue
                began = datetime.now(UTC)
                told = followed(
                    code,
                    place,
                    days=BEFORE[code] if run == "before" else plans[code],
                    seed=options["seed"],
                    number=options["patients"],
                    habits=HABITS[run],
                )
                with results.open("a") as file:  # several may write to it at once, a line each
                    file.write(json.dumps(Cell(*cell, count(told))) + "\n")
                seconds = (datetime.now(UTC) - began).total_seconds()
                self.stdout.write(f"{run}, {code}: {options['patients']} patients in {seconds:.0f} s")
                self.stdout.flush()
        return None

    def write(self, page: Path, cells: list[Cell]) -> None:
        before, _, rest = page.read_text().partition(BEGINS)
        _, _, after = rest.partition(ENDS)
        page.write_text(f"{before}{BEGINS}\n{figures(cells)}\n{ENDS}{after}")


def empty_clinic() -> Place:
    """A clinic without patients, in a database without any. Raises CommandError where there are some."""
    tables = connection.introspection.table_names()
    if Patient._meta.db_table in tables and Patient.objects.exists():
        raise CommandError("There are patients in this database: nothing was run.")
    call_command("migrate", verbosity=0)
    load(catalogue.read_catalogue(), by=None, now=datetime(BEGIN_ON.year - 1, 1, 1, tzinfo=UTC))
    # No quiet hours, open every day, and no clock that changes: each day of a course is twenty-four hours long.
    return build().places["desert"]
