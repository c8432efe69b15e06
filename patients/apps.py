from django.apps import AppConfig


class PatientsConfig(AppConfig):
    """Who the patients are and how they may be reached."""

    name = "patients"
    verbose_name = "Patients"
