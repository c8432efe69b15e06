"""`manage.py mark_displaced`: look again at every appointment to come; see `services.mark_displaced`."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from procedures.services import mark_displaced


class Command(BaseCommand):
    help = "Mark every appointment to come that has lost what it holds. Running it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        found = mark_displaced(now=timezone.now())
        self.stdout.write(f"{len(found)} appointments are displaced that were not marked before.")
