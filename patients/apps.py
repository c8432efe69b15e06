from django.apps import AppConfig


class PatientsConfig(AppConfig):
    """Who the patients are and how they may be reached."""

    name = "patients"
    verbose_name = "Patients"

    def ready(self) -> None:
        from patients import receivers  # noqa: F401  (connects them)
