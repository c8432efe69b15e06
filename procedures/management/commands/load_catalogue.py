"""Write the catalogue's files into the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clinic.toml_pages import PagesError
from procedures.catalogue import FOLDER, read_catalogue
from procedures.services.catalogue_loader import LoadReport, load


class Command(BaseCommand):
    help = "Loads the procedure types from their files. Safe to repeat; what was edited here is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--folder", type=Path, default=FOLDER, help="Another catalogue than the project's own."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            catalogue = read_catalogue(options["folder"])
        except PagesError as exc:
            raise CommandError(f"The catalogue was not loaded:\n{exc}") from exc
        report = load(catalogue, by=None, now=timezone.now())
        self.stdout.write("\n".join(sentences(report, len(catalogue.procedure_types))))


def sentences(report: LoadReport, types: int) -> list[str]:
    """The report in plain words, a line each."""
    lines = [f"{code}: added" for code in report.added]
    lines += [f"{code}: {field} changed" for code, field in report.changed]
    lines += [f"{code}: {field} kept as edited here" for code, field in report.kept_local]
    lines.append(
        f"{types} procedure types: {len(report.added)} entries added, {len(report.changed)} fields changed, "
        f"{len(report.kept_local)} kept as edited here."
    )
    return lines
