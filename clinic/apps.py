from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate, pre_save


class ClinicConfig(AppConfig):
    """The ground floor: sites, staff, resources and their hours; audit trail; outbox."""

    name = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        from clinic import checks, receivers, roles, validators  # noqa: F401  (registers the checks, connects the receivers)
        from clinic.celery import app  # noqa: F401  (makes it the app of every shared_task)

        for label in validators.APPS:
            for model in apps.get_app_config(label).get_models():
                validators.guard(model)
        pre_save.connect(validators.refuse_broken_lines)

        post_migrate.connect(roles.grant_all, sender=self)
