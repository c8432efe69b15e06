from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clinic import outbox, restores, sms
from outcomes import services


class Command(BaseCommand):
    help = "Does everything that is due, once: asks patients, closes check-ins, sends the outbox, seals the trail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--now", help="The instant to act at, as ISO 8601 with an offset: 2027-01-15T10:00:00-05:00."
        )
        parser.add_argument("--no-send", action="store_true", help="Leave what is due in the outbox.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = instant(options["now"]) if options["now"] else timezone.now()
        done: dict[str, int] = {}
        try:
            done |= services.tick(now=now, pretended=bool(options["now"]))
            done["exports_made"] = services.make_exports(now=now)
        finally:
            if not options["no_send"]:
                done |= {f"emails_{outcome}": count for outcome, count in outbox.send_due(now=now).items()}
                done |= {f"texts_{outcome}": count for outcome, count in sms.send_due(now=now).items()}
            if pause := restores.why_paused():
                self.stderr.write(f"Nothing was sent: {pause} ({pause.reason}).")
        words = [f"{name.replace('_', ' ')}: {count}" for name, count in done.items() if count]
        self.stdout.write(", ".join(words) or "Nothing was due.")


def instant(text: str) -> datetime:
    """The UTC instant that `text` names; CommandError when it is no ISO 8601 instant with an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--now: {text!r} is no ISO 8601 instant.") from None
    if moment.tzinfo is None:
        raise CommandError("--now needs an offset, such as Z or -05:00.")
    return moment.astimezone(UTC)
