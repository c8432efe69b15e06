"""Merging two records of one patient: what a merge would do, and doing it."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import MOST, Input, Query, VisibleField
from clinic.api.viewsets import SiteScopedViewSet
from clinic.row_versions import one_at_a_time
from patients import services
from patients.api.patients import PatientSerializer
from patients.models import Patient

MERGE = "patients.merge_patient"


class MergeQuery(Query):
    """Which record would become a part of the other one."""

    duplicate = serializers.IntegerField(min_value=1, max_value=MOST)


class MergeInput(Input):
    """`duplicate`: the record that becomes a part of this one. `take`: what is taken from it; the rest stays."""

    duplicate = VisibleField(queryset=Patient.objects.all())
    take = serializers.ListField(
        child=serializers.ChoiceField([(name, name) for name in services.CHOICES]),
        required=False,
        default=list,
    )


class ObstacleSerializer(serializers.Serializer[services.Obstacle]):
    """What must be settled before two records can be merged."""

    code = serializers.CharField()
    detail = serializers.CharField(source="sentence")


class MergePreviewSerializer(serializers.Serializer[Any]):
    """Both records, what stands in the way, and the numbers of the rows that would move, by kind."""

    kept = PatientSerializer()
    duplicate = PatientSerializer()
    obstacles = ObstacleSerializer(many=True)
    moves = serializers.DictField(child=serializers.ListField(child=serializers.IntegerField()))


class MergedSerializer(serializers.Serializer[services.Merged]):
    """The record that was kept, and the numbers of the rows that moved to it, by kind."""

    kept = PatientSerializer()
    moved = serializers.DictField(child=serializers.ListField(child=serializers.IntegerField()))


class Merges(SiteScopedViewSet):
    """Two records of one patient become one."""

    queryset = Patient.objects.select_related("site")
    serializer_class = PatientSerializer
    permissions_needed = {"preview": MERGE, "merge": MERGE}
    may_refuse = {"preview": [400, 404, 409], "merge": [400, 404, 409]}

    @extend_schema(
        responses=MergePreviewSerializer, parameters=[OpenApiParameter("duplicate", int, required=True)]
    )
    def preview(self, request: Request, pk: int) -> Response:
        """What merging `duplicate` into this record would do. Changes nothing; that you looked is written down."""
        kept = self.get_object()
        query = MergeQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        duplicate = self.get_queryset().filter(pk=query.validated_data["duplicate"]).first()
        if duplicate is None:
            raise serializers.ValidationError(
                {
                    "duplicate": [
                        ErrorDetail("There is no such record that you may see.", code="does_not_exist")
                    ]
                }
            )
        self.duplicate = duplicate
        told = self.told(kept)
        for patient in (kept, duplicate):
            services.record_page_view(patient, by=self.user, now=timezone.now())
        return Response(told)

    def told(self, row: Patient) -> Any:
        """Both records, and what a merge of them would do."""
        services.refuse_pair(self.duplicate, row)
        shown = {
            "kept": row,
            "duplicate": self.duplicate,
            "obstacles": services.obstacles(self.duplicate, row, now=timezone.now()),
            "moves": services.belonging(self.duplicate),
        }
        return MergePreviewSerializer(shown).data

    @extend_schema(request=MergeInput, responses=MergedSerializer)
    def merge(self, request: Request, pk: int) -> Response:
        """Make another record of the same patient a part of this one, for good. There is no undo.

        Everything that points to `duplicate` points to this record afterwards. Consents and stops are the stricter of
        both. What must be settled first is refused with 409, one entry each: `appointments_overlap`, `courses_overlap`,
        `waiting_twice`, `opioid_twice`, `caregiver_twice`. The ETag for If-Match is that of the preview of this pair.
        """
        get_object_or_404(self.get_queryset(), pk=pk)
        said = self.inputs(MergeInput)
        for number in sorted({pk, said["duplicate"].pk}):
            one_at_a_time(Patient, number)
        self.duplicate = self.get_queryset().get(pk=said["duplicate"].pk)
        kept = self.get_object()
        merged = services.merge(
            said["duplicate"].pk, kept.pk, take=said["take"], by=self.user, now=timezone.now()
        )
        return Response(MergedSerializer(merged).data)
