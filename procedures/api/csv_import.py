"""Importing coming appointments by API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.csv_import import ImportInput, ImportReportSerializer, Imports
from procedures.services.imports import import_appointments
from procedures.workflow import BOOK


class ImportAppointments(Imports):
    """Appointments from a file."""

    permissions_needed = {"post": BOOK}

    @extend_schema(request=ImportInput, responses=ImportReportSerializer)
    def post(self, request: Request) -> Response:
        """Book the appointments of a CSV file, or check what that would do.

        Every row goes through the rules of booking. A row that was imported before is left as the clinic has it now,
        so that the same file again books nothing. `docs/imports.md` names the columns.
        """
        return self.imported(request, import_appointments)
