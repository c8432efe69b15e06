"""Listed for `manage.py help` only: `clinic.dev.bootstrap` takes `test` before Django is loaded."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Run all tests on a throw-away PostgreSQL; arguments go to pytest."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run it as `python3 manage.py test`.")
