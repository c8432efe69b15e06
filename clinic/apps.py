from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ClinicConfig(AppConfig):
    """The ground floor: sites, staff, resources and their hours; audit trail; outbox."""

    name = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        from clinic import checks, receivers, roles  # noqa: F401  (registers the checks, connects the receivers)
        from clinic.celery import app  # noqa: F401  (makes it the app of every shared_task)

        post_migrate.connect(roles.grant_all, sender=self)
