from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from outcomes import services

#: A line of progress after so many follow-ups.
EVERY = 10_000


class Command(BaseCommand):
    help = (
        "Judges and counts every follow-up anew for the reports. Safe to repeat, and while patients answer."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        shown = done = total = 0
        for done, total in services.rebuild_summaries(now=timezone.now()):
            if done - shown >= EVERY or done == total:
                self.stdout.write(f"Follow-ups counted: {done} of {total}")
                self.stdout.flush()
                shown = done
        if not total:
            self.stdout.write("There are no follow-ups.")
