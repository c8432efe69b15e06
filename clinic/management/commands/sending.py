from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from clinic.models import OutgoingEmail, OutgoingText, User
from clinic.refusals import Refusal
from clinic.restores import decisions, why_paused
from clinic.restores.decisions import ChosenMessages


class Command(BaseCommand):
    help = "Says whether anything is sent, and after a restore lets it: what the page “Sending” does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--go-on",
            choices=["mark", "send", "hold"],
            help="End the pause; what probably went out already is marked as sent, sent again, or held.",
        )
        parser.add_argument("--by", help="The e-mail address of the administrator who decides that.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["go_on"]:
            self.go_on(options["go_on"], options["by"] or "")
        now, pause = timezone.now(), why_paused()
        if pause:
            self.stdout.write(
                f"Nothing is sent since {pause.began_at:%Y-%m-%d %H:%M UTC}: {pause} ({pause.reason})."
            )
        else:
            self.stdout.write("Sending is not paused.")
        doubtful = decisions.doubtful(OutgoingEmail).count() + decisions.doubtful(OutgoingText).count()
        ready = (
            decisions.to_go(OutgoingEmail, now=now).count() + decisions.to_go(OutgoingText, now=now).count()
        )
        self.stdout.write(f"Probably went out already: {doubtful}. Waiting to go out: {ready}.")

    @transaction.atomic
    def go_on(self, how: str, email: str) -> None:
        """Decide about everything that is doubtful, and end the pause; CommandError when that is refused."""
        by = User.objects.filter(email__iexact=email, is_active=True).first() if email else None
        if by is None or not by.has_perm("clinic.decide_sending"):
            raise CommandError("--by must name an administrator: who decides is written down.")
        chosen = ChosenMessages(
            emails=list(decisions.doubtful(OutgoingEmail).values_list("pk", flat=True)),
            texts=list(decisions.doubtful(OutgoingText).values_list("pk", flat=True)),
        )
        now = timezone.now()
        try:
            if how == "mark":
                decisions.mark_as_sent(chosen, by=by, now=now)
            elif how == "send":
                decisions.send_again(chosen, by=by, now=now)
            decisions.go_on(by=by, now=now)
        except Refusal as refusal:
            raise CommandError(f"{refusal.code}: {refusal.message}") from None
