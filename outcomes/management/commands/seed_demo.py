"""The made-up demo clinic."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clinic.refusals import Refusal
from outcomes.demo import clinic_history
from outcomes.demo.clinic import sign_ins

#: A line of progress after so many patients.
EVERY = 5


class Command(BaseCommand):
    help = (
        "Makes a demo clinic of made-up patients: the essentials, then two years of history. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--essentials", action="store_true", help="Only the clinic as it stands today.")
        parser.add_argument("--history", action="store_true", help="Only the two years before.")
        parser.add_argument(
            "--yes-this-is-not-a-real-clinic",
            dest="sure",
            action="store_true",
            help="Needed where DEBUG is off.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG and not options["sure"]:
            raise CommandError("DEBUG is off: this could be a real clinic, and the demo was not made.")
        both = options["essentials"] == options["history"]
        try:
            if both or options["essentials"]:
                self.essentials()
            if both or options["history"]:
                self.history()
        except Refusal as refusal:
            raise CommandError(refusal.message) from None

    def essentials(self) -> None:
        if clinic_history.made_at():
            self.stdout.write("The demo clinic is there already; nothing was changed.")
        else:
            clinic_history.make_essentials(now=timezone.now(), number=clinic_history.PATIENTS)
        text = sign_ins(settings.SITE_URL)
        file = settings.DATA_DIR / "demo-sign-ins.txt"
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_text(text)
        self.stdout.write(text, ending="")

    def history(self) -> None:
        before = clinic_history.patients_told()
        number = total = 0
        for number, total in clinic_history.tell_history(clock=timezone.now):
            if number > before and (number % EVERY == 0 or number == total):
                self.stdout.write(f"Demo history: {number} of {total} patients")
                self.stdout.flush()
        if number == before:
            self.stdout.write("The demo history is complete already; nothing was changed.")
