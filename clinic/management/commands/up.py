"""Listed for `manage.py help` only: `clinic.dev.bootstrap` takes `up` before Django is loaded."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Start everything on this machine: PostgreSQL, Valkey, web, worker, beat and a demo clinic."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Run it as `python3 manage.py up`.")
