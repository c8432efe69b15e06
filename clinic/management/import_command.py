"""What the commands that import a file share. They print row numbers, columns and reasons, never what a cell says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clinic.csv_import.files import LARGEST, too_large
from clinic.csv_import.imports import Mode, Outcome, Report


class ImportCommand(BaseCommand):
    """A file, and whether to check it, to import all of it or nothing, or its good rows."""

    #: The service that imports.
    service: Callable[..., Report]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="A CSV file; docs/imports.md names its columns.")
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument(
            "--dry-run", action="store_true", help="Say what would be done and refused; save nothing."
        )
        choice.add_argument(
            "--good-rows-only", action="store_true", help="Leave refused rows out, and import the others."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        mode = Mode.CHECK if options["dry_run"] else Mode.GOOD if options["good_rows_only"] else Mode.ALL
        report = type(self).service(
            self.read(options["file"]), mode=mode, by=None, now=timezone.now(), progress=self.progress
        )
        for refusal in report.refusals:
            column = f", {refusal.column}" if refusal.column else ""
            self.stderr.write(f"row {refusal.row}{column}: {refusal.sentence} [{refusal.code}]")
        for line in report.lines:
            if line.columns:
                what = (
                    "kept as booked, the file differs in" if line.outcome == Outcome.UNCHANGED else "changed"
                )
                self.stdout.write(f"row {line.row}: {what} {', '.join(line.columns)}")
            if line.kept:
                self.stdout.write(f"row {line.row}: kept as it was taken back {', '.join(line.kept)}")
        self.stdout.write(report.summary)
        if mode == Mode.CHECK:
            self.stdout.write("Checked only; nothing was saved.")
        elif not report.saved and report.refusals:
            raise CommandError("Nothing was saved.")
        if report.refusals and mode == Mode.CHECK:
            raise CommandError("Rows would be refused.")

    def read(self, file: Path) -> bytes:
        """What is in the file. CommandError when it cannot be opened, or is too large to be meant."""
        try:
            if file.stat().st_size > LARGEST:
                raise CommandError(too_large().sentence)
            return file.read_bytes()
        except OSError as exc:
            raise CommandError(f"{file} cannot be read: {exc.strerror}.") from None

    def progress(self, what: str, done: int, total: int) -> None:
        self.stdout.write(f"{done} of {total} rows {what}")
        self.stdout.flush()
