from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Brings the database up to date for this release: migrations, the catalog, and verdicts by today's definition. "
        "`up` and a deployment run it at each start. Safe to repeat. Each step is one process's, not one of its own."
    )
    requires_system_checks = []  # `migrate` asks for them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="Make the demo clinic as it stands today, if there is none yet.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        steps: list[tuple[str, list[str]]] = [
            ("Bringing the database up to date", ["migrate", "--no-input"]),
            ("Loading the catalog of procedures", ["load_catalogue"]),
            ("Judging follow-ups by this release", ["judge_follow_ups"]),
        ]
        if options["demo"] and not (settings.DATA_DIR / "demo-sign-ins.txt").exists():
            steps.append(("Making the demo clinic", ["seed_demo", "--essentials"]))
        for title, command in steps:
            self.stdout.write(f"== {title}")
            self.stdout.flush()
            call_command(
                *command, skip_checks=command[0] != "migrate", stdout=self.stdout, stderr=self.stderr
            )
