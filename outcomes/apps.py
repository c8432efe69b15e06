from django.apps import AppConfig


class OutcomesConfig(AppConfig):
    """Follow-ups, check-ins, answers, and what they show against the expected relief window."""

    name = "outcomes"
    verbose_name = "Outcomes"

    def ready(self) -> None:
        from outcomes import receivers  # noqa: F401  (connects them)
        from outcomes.instruments import checks  # noqa: F401  (registers it)
