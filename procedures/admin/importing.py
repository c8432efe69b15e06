"""The import of appointments, as the list of appointments offers it."""

from typing import Any

from clinic.admin.importing import ImportsFiles
from clinic.importing import Report
from procedures.importing import COLUMNS
from procedures.services.importing import import_appointments


class ImportsAppointments(ImportsFiles):
    """Mixed into the admin of appointments; see ImportsFiles."""

    import_permissions = ("procedures.book_appointment",)
    import_columns = COLUMNS

    def import_service(self, data: bytes, **how: Any) -> Report:
        return import_appointments(data, **how)
