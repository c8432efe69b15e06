from django.apps import AppConfig


class ProceduresConfig(AppConfig):
    """The catalogue, appointments and their reservations, performed procedures."""

    name = "procedures"
    verbose_name = "Procedures"

    def ready(self) -> None:
        from procedures import receivers  # noqa: F401  (connects them)
