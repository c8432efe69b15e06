"""Listed for `manage.py help` only: `clinic.dev.bootstrap` takes `bench` before Django is loaded."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Run the benchmarks on a throw-away PostgreSQL."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run it as `python3 manage.py bench`.")
