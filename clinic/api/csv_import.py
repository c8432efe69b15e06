"""Importing a file by API: the form that brings it, the report, and 422 when nothing of it could be saved."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clinic.api.fields import Input
from clinic.api.refusals import MEDIA_TYPE, body
from clinic.api.viewsets import NoStoreAPIView
from clinic.csv_import.files import too_large
from clinic.csv_import.imports import Mode, Outcome, Report, RowOutcome
from clinic.models import User
from clinic.uploads import InMemoryUploadHandler

#: How many refusals, and how many noted rows, a report lists; the numbers beside them count all.
MOST = 1000


class Form(MultiPartParser):
    """A form with a file. One with more parts or longer words than anybody means is a refusal, not a fault."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except SuspiciousOperation:
            raise ParseError("The form has too many parts, or one that is no file is too long.") from None


class ImportInput(Input):
    """The file, and what is to be done with it."""

    file = serializers.FileField(allow_empty_file=True, help_text="CSV, at most 20 MB.")
    mode = serializers.ChoiceField(Mode.choices, default=Mode.CHECK, help_text="`check` unless told.")


class RowRefusalSerializer(serializers.Serializer[Any]):
    """Why a row, or the file, is not taken. The header is row 1; `column` empty: it is about the whole row."""

    row = serializers.IntegerField()
    column = serializers.CharField()
    code = serializers.CharField(help_text="Stable; for programs.")
    detail = serializers.CharField(source="sentence", help_text="A sentence; for people.")


class NotedRowSerializer(serializers.Serializer[Any]):
    """A row that differs from what is known, and in which columns.

    `changed`: they are new. `unchanged`: of an appointment that was booked before, what was booked stays.
    """

    row = serializers.IntegerField()
    outcome = serializers.ChoiceField(Outcome.choices)
    columns = serializers.ListField(child=serializers.CharField())
    kept = serializers.ListField(
        child=serializers.CharField(),
        help_text="Columns of which what is known stays: a file does not undo what the patient has taken back since.",
    )


class CountsSerializer(serializers.Serializer[Any]):
    """How many rows had which outcome; where nothing was saved, how many would have had it."""

    added = serializers.IntegerField(read_only=True)
    changed = serializers.IntegerField(read_only=True)
    unchanged = serializers.IntegerField(read_only=True)
    refused = serializers.IntegerField(read_only=True)

    def to_representation(self, report: Report) -> dict[str, int]:
        return {outcome.value: report.count(outcome) for outcome in Outcome}


class ImportReportSerializer(serializers.Serializer[Any]):
    """What an import did; of a check, or where it was refused as a whole, what it would have done.

    `saved`: whether anything was kept. `unreadable`: the refusals are about the whole file, and no row was looked at.
    `refusals` and `noted` are the first 1000 each; `more_refusals` and `more_noted` say how many there are besides.
    """

    mode = serializers.ChoiceField(Mode.choices)
    saved = serializers.BooleanField()
    unreadable = serializers.BooleanField()
    total = serializers.IntegerField(help_text="Rows below the header.")
    counts = CountsSerializer(source="*")
    refusals = serializers.SerializerMethodField()
    more_refusals = serializers.SerializerMethodField()
    noted = serializers.SerializerMethodField()
    more_noted = serializers.SerializerMethodField()

    @extend_schema_field(RowRefusalSerializer(many=True))
    def get_refusals(self, report: Report) -> Any:
        return RowRefusalSerializer(report.refusals[:MOST], many=True).data

    def get_more_refusals(self, report: Report) -> int:
        return max(len(report.refusals) - MOST, 0)

    @extend_schema_field(NotedRowSerializer(many=True))
    def get_noted(self, report: Report) -> Any:
        return NotedRowSerializer(noted(report)[:MOST], many=True).data

    def get_more_noted(self, report: Report) -> int:
        return max(len(noted(report)) - MOST, 0)


def noted(report: Report) -> list[RowOutcome]:
    """The rows that differ from what is known."""
    return [line for line in report.lines if line.columns or line.kept]


class Imports(NoStoreAPIView, APIView):
    """Takes a file. Subclasses name the permissions, and in `post` the service that imports."""

    parser_classes = [Form]
    may_refuse = {"post": [422]}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # Before anything reads the body, be it the look for a forged form.
        self.upload = InMemoryUploadHandler(request)
        request.upload_handlers = [self.upload]
        return super().initialize_request(request, *args, **kwargs)

    def imported(self, request: Request, service: Callable[..., Report]) -> Response:
        """The report; a refusal with the report where something was to be saved and nothing was."""
        assert isinstance(request.user, User)
        sent = self.inputs(request)
        report = service(sent["file"].read(), mode=Mode(sent["mode"]), by=request.user, now=timezone.now())
        shown = ImportReportSerializer(report).data
        if report.saved or report.mode == Mode.CHECK:
            return Response(shown)
        entries = [
            {"field": "file", "code": refusal.code, "detail": refusal.sentence}
            for refusal in (report.refusals if report.unreadable else ())
        ] or [{"field": "file", "code": "rows_refused", "detail": report.summary}]
        refused = body("Nothing was imported.", 422, entries[0]["code"], entries)
        return Response(refused | {"report": shown}, status=422, content_type=MEDIA_TYPE)

    def inputs(self, request: Request) -> dict[str, Any]:
        """What the form says. Raises ValidationError by field: code "too_large", or "given_twice" for any of them."""
        data: Any = request.data
        faults = {}
        if isinstance(data, QueryDict):
            faults = {
                name: [ErrorDetail("Give it once.", code="given_twice")]
                for name, values in data.lists()
                if len(values) > 1
            }
        if self.upload.too_large:
            faults["file"] = [ErrorDetail(too_large().sentence, code="too_large")]
        if faults:
            raise serializers.ValidationError(faults)
        form = ImportInput(data=data)
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)
