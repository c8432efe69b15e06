"""Performed procedures: the wire's shape here, the rules in `procedures.services`."""

from collections.abc import Iterable

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    ChoicesQuery,
    Input,
    InstantField,
    LocalTimeField,
    NumberQuery,
    Query,
    SiteTimeField,
    VisibleField,
    WholeNumberField,
    YesNoField,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from clinic.models import Site, User
from patients import services as patients
from patients.api import PatientNameSerializer
from procedures import services
from procedures.api.appointment_serializers import ReasonInput, TimeInput
from procedures.api.baselines import BaselineSerializer, PainInput, ScoreField
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.models import Procedure

#: How a procedure can have gone when it is recorded; that it was entered in error is found out later.
PERFORMED = [
    (status.value, status.label)
    for status in (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED)
]


class ProcedureSerializer(serializers.ModelSerializer[Procedure]):
    """What was performed. `baseline_pain`: 0–10, asked before it; null: nobody asked.

    It is the score that counts of all `baselines`: that of the day, else the latest of the 30 days before.
    `baseline_taken_at` says when it was named, `baseline_source` whether that was on the day; null and empty without a
    score, and where it was recorded before these were kept.
    """

    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer()
    site = SiteNameSerializer()
    performed_at_local = LocalTimeField()
    baselines = BaselineSerializer(source="appointment.baselines", many=True)
    relief_profile_version = serializers.IntegerField(source="relief_profile.version")

    class Meta:
        model = Procedure
        fields = [
            *("id", "appointment", "patient", "procedure_type", "site", "status", "intent", "performed_at"),
            *("performed_at_local", "performer", "region", "laterality", "levels", "indication"),
            *("baseline_pain", "baseline_taken_at", "baseline_source", "baselines"),
            *("agent", "steroid_given", "complications", "relief_profile_version", "recorded_at"),
        ]


class ColleagueField(VisibleField):
    """The number of a member of staff who works at one of the user's sites."""

    def find(self, pk: int, user: User) -> Iterable[User]:
        sites = Site.objects.visible_to(user)
        return User.objects.filter(pk=pk, is_active=True, sites__in=sites).distinct()


class PerformInput(Input, serializers.ModelSerializer[Procedure]):
    """What was done. `baseline_pain` is the pain now, asked on the day, before the procedure; null when nobody asked:
    then the score counts that was noted before. `baselines`: what else was asked then, by "instrument.item".

    `region`, `laterality`, `levels` and `indication` are as booked where they are left out. `steroid_given`: whether a
    steroid was injected; null when that is not said. Only with one a test asks beyond its diary.
    """

    performed_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    status = serializers.ChoiceField(PERFORMED, required=False, help_text="`completed` unless told.")
    baseline_pain = ScoreField(required=False, allow_null=True)
    baselines = serializers.DictField(
        child=WholeNumberField(), required=False, help_text="`peg.pain`, `peg.enjoyment`, `peg.activity`."
    )
    performer = ColleagueField(
        queryset=User.objects.all(),
        required=False,
        allow_null=True,
        help_text="With the privilege that booking asks for, else `no_privilege`.",
    )
    steroid_given = YesNoField(label="A steroid was given", required=False, allow_null=True)
    reason = serializers.CharField(
        max_length=500,
        required=False,
        help_text="Why then: needed (`reason_required`) on a later day than the appointment's, and before the patient "
        "arrived or, where nobody has noted that, more than an hour before the start.",
    )

    class Meta:
        model = Procedure
        fields = [
            *("performed_at", "status", "baseline_pain", "baselines", "performer", "region", "laterality"),
            *("levels", "indication", "agent", "steroid_given", "complications", "reason"),
        ]


class ProcedureQuery(Query):
    """What a list of procedures can be narrowed to."""

    lookups = {
        "site": "site",
        "patient": "patient",
        "procedure_type": "procedure_type__code",
        "performer": "performer",
        "status": "status",
        "performed_from": "performed_at__gte",
        "performed_before": "performed_at__lt",
    }

    site = NumberQuery()
    patient = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    performer = NumberQuery(help_text="Number of a member of staff.")
    status = ChoicesQuery(Procedure.Status.choices, required=False)
    performed_from = InstantField(required=False, help_text="At or after this instant.")
    performed_before = InstantField(required=False, help_text="Before this instant.")


@extend_schema_view(list=extend_schema(description="Procedures performed at your sites, latest first."))
class Procedures(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = Procedure.objects.select_related(
        "patient", "procedure_type", "site", "relief_profile", "appointment"
    ).prefetch_related("appointment__baselines")
    serializer_class = ProcedureSerializer
    query_class = ProcedureQuery
    ordering = ("-performed_at", "-pk")
    permissions_needed = {
        "list": "procedures.view_procedure",
        "retrieve": "procedures.view_procedure",
        "void": "procedures.void_procedure",
        "correct_time": "procedures.perform_procedure",
        "correct_baseline": "procedures.perform_procedure",
    }

    def retrieve(self, request: Request, pk: int) -> Response:
        """One procedure. That you looked at the patient's data is written down."""
        procedure = self.get_object()
        patients.record_page_view(procedure.patient, by=self.user, now=timezone.now())
        return Response(self.get_serializer(procedure).data)

    @extend_schema(request=ReasonInput, responses=ProcedureSerializer)
    @action(detail=True, methods=["post"])
    def void(self, request: Request, pk: int) -> Response:
        """Mark a procedure as entered in error. It stays on record; nothing more is asked about it."""
        return self.act(services.void, ReasonInput)

    @extend_schema(request=TimeInput, responses=ProcedureSerializer)
    @action(detail=True, methods=["post"], url_path="correct-time")
    def correct_time(self, request: Request, pk: int) -> Response:
        """Say when a procedure was really performed. What its follow-up has not asked yet is planned again."""
        return self.act(services.correct_time, TimeInput)

    @extend_schema(request=PainInput, responses=ProcedureSerializer)
    @action(detail=True, methods=["post"], url_path="correct-baseline")
    def correct_baseline(self, request: Request, pk: int) -> Response:
        """Say what the pain before a procedure really was. Its follow-up is judged again by it."""
        return self.act(services.correct_baseline, PainInput)
