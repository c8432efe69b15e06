"""The import of appointments, as the list of appointments offers it."""

from typing import Any

from clinic.admin.csv_import import ImportsFiles
from clinic.csv_import.imports import Steps
from procedures.import_rows import COLUMNS
from procedures.services.imports import appointments_from


class ImportsAppointments(ImportsFiles):
    """Mixed into the admin of appointments; see ImportsFiles."""

    import_permissions = ("procedures.book_appointment",)
    import_columns = COLUMNS

    def import_steps(self, data: bytes, **how: Any) -> Steps:
        return appointments_from(data, **how)
