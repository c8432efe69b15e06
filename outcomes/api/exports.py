"""Exports by API: ask for a table, see how far it is, and take it."""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import ChoicesQuery, Query, YesNoField
from clinic.api.viewsets import SiteScopedViewSet
from outcomes import services
from outcomes.api.reports.parameters import SelectionQuery
from outcomes.exports import entries as dictionary
from outcomes.models import Export
from outcomes.services.exports import EXPORT


class ExportSerializer(serializers.ModelSerializer[Export]):
    """One table that somebody asked for.

    `rows_total` is what was counted at the request, `rows_done` what is written so far; `rows_suppressed` were left
    out of a de-identified file because too few patients were like them. `problem` is the code of why it failed.
    """

    selection = serializers.DictField(child=serializers.CharField())

    class Meta:
        model = Export
        fields = [
            *("id", "kind", "deidentified", "selection", "status", "rows_done", "rows_total"),
            *("rows_suppressed", "requested_by", "requested_at", "done_at", "expires_at", "problem"),
        ]


class ExportInput(SelectionQuery):
    """Which table, of which follow-ups."""

    kind = serializers.ChoiceField(Export.Kind.choices)
    deidentified = YesNoField(
        help_text="No names and numbers, days moved, ages in bands, rare groups left out."
    )


class ExportQuery(Query):
    """What a list of exports can be narrowed to."""

    lookups = {"kind": "kind", "status": "status"}

    kind = ChoicesQuery(Export.Kind.choices, required=False)
    status = ChoicesQuery(Export.Status.choices, required=False)


class ColumnSerializer(serializers.Serializer[Any]):
    """One column of an export. `empty`: what an empty cell means. `deidentified`: what becomes of it there."""

    table = serializers.CharField()
    column = serializers.CharField()
    type = serializers.CharField(help_text="text, integer, boolean, date or instant")
    meaning = serializers.CharField()
    unit = serializers.CharField()
    scale = serializers.CharField()
    empty = serializers.CharField()
    deidentified = serializers.CharField()


@extend_schema_view(
    list=extend_schema(description="The exports that you asked for, latest first; all for an administrator."),
    retrieve=extend_schema(description="One export, and how far it is."),
)
class Exports(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = Export.objects.all()
    serializer_class = ExportSerializer
    query_class = ExportQuery
    ordering = ("-pk",)
    permissions_needed = dict.fromkeys(("list", "retrieve", "create", "download", "dictionary"), EXPORT)

    @extend_schema(request=ExportInput, responses={201: ExportSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a table. A small one is ready in the answer; a larger one is made within some minutes.

        `too_many` while five of yours are unfinished.
        """
        form = ExportInput(data=request.data, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        export = services.request_export(
            form.validated_data["kind"],
            form.selection(),
            deidentified=form.validated_data["deidentified"],
            by=self.user,
            now=timezone.now(),
        )
        return self.shown(export.pk, status=201)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    @action(detail=True)
    def download(self, request: Request, pk: int) -> Any:
        """The file, as CSV in UTF-8 with a byte order mark. That you took it is written down.

        `not_ready` while it is being made, `expired` after `expires_at`.
        """
        pieces = services.download(self.get_object(), by=self.user, now=timezone.now())
        return StreamingHttpResponse(
            pieces, content_type="text/csv; charset=utf-8", headers={"Cache-Control": "no-store"}
        )

    @extend_schema(responses=ColumnSerializer(many=True), filters=False)
    @action(detail=False, pagination_class=None)
    def dictionary(self, request: Request) -> Response:
        """What each column of each table means, in the order in which they stand in the files."""
        return Response(ColumnSerializer([column._asdict() for column in dictionary()], many=True).data)
