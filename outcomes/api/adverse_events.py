"""Adverse events: the list, recording and correcting."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    ChoicesQuery,
    Input,
    NumberQuery,
    Query,
    VisibleField,
    WholeNumberField,
    YesNoField,
    YesNoQuery,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from outcomes import services
from outcomes.models import AdverseEvent, FollowUp
from outcomes.models.adverse_events import TERMS
from patients import services as patients
from patients.api import PatientNameSerializer
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.api.devices import BecauseInput

VIEW, RECORD = "outcomes.view_adverseevent", "outcomes.record_adverseevent"
CODES = [(term.value, label) for term, label in TERMS]


class AdverseEventSerializer(serializers.ModelSerializer[AdverseEvent]):
    """Something bad that happened after a procedure, whatever caused it.

    `onset_on`: the day on which it began, on the site's calendar. `severity` is how strong it is, `serious` what it led
    to. `relation`: how likely the `suspect` caused it. `grade` null: not graded. `corrected_reason`: why it was last
    changed, empty when it never was. `entered_in_error_at` is set on what was a mistake; it counts nowhere.
    """

    patient = PatientNameSerializer(source="follow_up.patient")
    procedure = serializers.IntegerField(source="follow_up.procedure_id")
    procedure_type = ProcedureTypeNameSerializer(source="follow_up.procedure.procedure_type")
    site = SiteNameSerializer(source="follow_up.procedure.site")

    class Meta:
        model = AdverseEvent
        fields = [
            *("id", "follow_up", "procedure", "patient", "procedure_type", "site", "term", "onset_on"),
            *("severity", "serious", "outcome", "relation", "suspect", "grade", "description"),
            *("recorded_by", "recorded_at", "corrected_reason"),
            *("entered_in_error_at", "entered_in_error_reason"),
        ]


class WhatHappenedInput(Input):
    """What happened. `other` needs a `description`; what was `fatal` is serious and severe, and grade 5 if graded."""

    term = serializers.ChoiceField(CODES)
    onset_on = serializers.DateField()
    severity = serializers.ChoiceField(AdverseEvent.Severity.choices)
    serious = YesNoField()
    outcome = serializers.ChoiceField(AdverseEvent.Outcome.choices)
    relation = serializers.ChoiceField(AdverseEvent.Relation.choices)
    suspect = serializers.ChoiceField(AdverseEvent.Suspect.choices, required=False)
    grade = WholeNumberField(min_value=1, max_value=5, required=False, allow_null=True)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class AdverseEventInput(WhatHappenedInput):
    """What happened, and in the course after which procedure."""

    follow_up = VisibleField(queryset=FollowUp.objects.all())


class CorrectEventInput(WhatHappenedInput, BecauseInput):
    """What is to be said instead; what is not named stays. Why is always named."""


class AdverseEventQuery(Query):
    """What the list of adverse events can be narrowed to."""

    lookups = {
        "follow_up": "follow_up",
        "patient": "follow_up__patient",
        "site": "follow_up__procedure__site",
        "procedure": "follow_up__procedure",
        "procedure_type": "follow_up__procedure__procedure_type__code",
        "term": "term",
        "severity": "severity",
        "serious": "serious",
        "outcome": "outcome",
        "onset_from": "onset_on__gte",
        "onset_before": "onset_on__lt",
    }

    follow_up = NumberQuery()
    patient = NumberQuery()
    site = NumberQuery()
    procedure = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    term = ChoicesQuery(CODES, required=False)
    severity = ChoicesQuery(AdverseEvent.Severity.choices, required=False)
    serious = YesNoQuery(required=False)
    outcome = ChoicesQuery(AdverseEvent.Outcome.choices, required=False)
    onset_from = serializers.DateField(required=False)
    onset_before = serializers.DateField(required=False)
    standing = YesNoQuery(
        default=True, help_text="Without the mistakes, unless told; `false` for the mistakes alone."
    )

    def narrow(self, rows: Any) -> Any:
        return super().narrow(rows).filter(entered_in_error_at__isnull=self.validated_data["standing"])


@extend_schema_view(
    list=extend_schema(description="Adverse events after procedures at your sites, the latest first."),
)
class AdverseEvents(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = AdverseEvent.objects.select_related(
        "follow_up__patient", "follow_up__procedure__procedure_type", "follow_up__procedure__site"
    )
    serializer_class = AdverseEventSerializer
    query_class = AdverseEventQuery
    ordering = ("-onset_on", "-pk")
    permissions_needed = {
        "list": VIEW,
        "retrieve": VIEW,
        "create": RECORD,
        "correct": RECORD,
        "void": RECORD,
    }
    may_refuse = {"create": [409], "correct": [409]}

    def retrieve(self, request: Request, pk: int) -> Response:
        """One adverse event. That you looked at the patient's data is written down."""
        event = self.get_object()
        patients.record_page_view(event.follow_up.patient, by=self.user, now=timezone.now())
        return Response(self.get_serializer(event).data)

    @extend_schema(request=AdverseEventInput, responses={201: AdverseEventSerializer})
    def create(self, request: Request) -> Response:
        """Record an adverse event. Refuses with 409, `recorded_already`, what stands already."""
        event = AdverseEvent(**self.inputs(AdverseEventInput))
        services.record_adverse_event(event, by=self.user, now=timezone.now())
        return self.shown(event.pk, status=201)

    @extend_schema(request=CorrectEventInput, responses=AdverseEventSerializer)
    @action(detail=True, methods=["post"])
    def correct(self, request: Request, pk: int) -> Response:
        """Say better what happened, or how it went on. What stood before stays in the history."""
        event = self.get_object()
        changes = dict(self.inputs(CorrectEventInput, partial=True))
        services.correct_adverse_event(
            event.pk,
            reason=changes.pop("reason", ""),
            changes=changes,
            by=self.user,
            now=timezone.now(),
        )
        return self.shown(event.pk)

    @extend_schema(request=BecauseInput, responses=AdverseEventSerializer)
    @action(detail=True, methods=["post"])
    def void(self, request: Request, pk: int) -> Response:
        """Mark an adverse event as entered in error. It stays on record and counts nowhere."""
        event = self.get_object()
        services.void_adverse_event(event.pk, **self.inputs(BecauseInput), by=self.user, now=timezone.now())
        return self.shown(event.pk)
