from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from outcomes import services

#: A line of progress after so many follow-ups.
EVERY = 10_000


class Command(BaseCommand):
    help = (
        "Judges again every follow-up that an earlier release has judged by another definition, and lists which "
        "verdicts have changed. Safe to repeat, and while patients answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="every follow-up, as after an import or a restore"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        progress = None
        shown = 0
        for progress in services.judge_again(everything=options["all"], now=timezone.now()):
            if progress.done - shown >= EVERY or progress.done == progress.total:
                self.stdout.write(f"Follow-ups judged: {progress.done} of {progress.total}")
                self.stdout.flush()
                shown = progress.done
        if progress is None:
            self.stdout.write("Every follow-up is judged by this release.")
            return
        for (before, after), count in progress.changed.most_common():
            self.stdout.write(f"{count:>6}  {before} -> {after}")
        if not progress.changed:
            self.stdout.write("No verdict has changed.")
