"""A patient's opioids: the list, the total of a day, recording, ending and correcting."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, Query, YesNoField, YesNoQuery, read_query
from clinic.api.viewsets import SiteScopedViewSet
from patients import mme, services
from patients.models import OpioidUse, Patient

VIEW, RECORD = "patients.view_opioiduse", "patients.record_opioiduse"
#: Why an opioid is not in a total.
LEFT_OUT = [(left_out.value, left_out.value) for left_out in mme.LeftOut]
NOTE = "An estimate; never use it to switch drugs."


class OpioidUseSerializer(serializers.ModelSerializer[OpioidUse]):
    """One opioid with one dose, from a day until a day at the patient's site; `until_on` null: still taken.

    `dose` is that of a whole day in `unit`. `mme_per_day`: its morphine milligram equivalents by the table
    `mme_version`, an estimate that must never be used to switch drugs; null for what cannot be counted, and `left_out`
    says why. `entered_in_error_at` is set on what was a mistake; it counts nowhere. `corrects`: the mistake that this
    row stands in for.
    """

    dose = serializers.DecimalField(max_digits=8, decimal_places=3, normalize_output=True)
    mme_per_day = serializers.DecimalField(
        max_digits=11, decimal_places=5, normalize_output=True, allow_null=True
    )
    left_out = serializers.ChoiceField(LEFT_OUT, allow_null=True)

    class Meta:
        model = OpioidUse
        fields = [
            *("id", "patient", "drug", "intrathecal", "dose", "unit", "prescription", "from_on", "until_on"),
            *("mme_per_day", "mme_version", "left_out", "corrects", "recorded_by", "recorded_at"),
            *("entered_in_error_at", "entered_in_error_reason"),
        ]


class OpioidUseInput(Input):
    """What is taken. `intrathecal`: by a pump into the spinal fluid. `until_on` null or not named: still taken."""

    drug = serializers.ChoiceField(OpioidUse.Drug.choices)
    dose = serializers.DecimalField(max_digits=8, decimal_places=3, min_value=Decimal("0.001"))
    unit = serializers.ChoiceField(
        OpioidUse.Unit.choices,
        help_text="`mcg/h` for the fentanyl patch; `mg/day` for the rest of the table.",
    )
    intrathecal = YesNoField(default=False)
    prescription = serializers.CharField(max_length=300, help_text="As it is written.")
    from_on = serializers.DateField()
    until_on = serializers.DateField(required=False, allow_null=True, help_text="The last day.")


class EndUseInput(Input):
    """On which day it is taken for the last time."""

    until_on = serializers.DateField()


class CorrectUseInput(Input):
    """Why it was a mistake, and what is right: all of it; null when the patient never took it."""

    reason = serializers.CharField(max_length=500)
    instead = OpioidUseInput(allow_null=True)


class LeftOutSerializer(serializers.Serializer[Any]):
    """An opioid that is not in the total: it has no factor, or it goes into the spinal fluid."""

    drug = serializers.ChoiceField(OpioidUse.Drug.choices)
    reason = serializers.ChoiceField(LEFT_OUT)


class TotalSerializer(serializers.Serializer[Any]):
    """The opioids of one day. `mme_per_day` null: something is taken, and nothing of it can be counted.

    `note` must be shown wherever the figure is.
    """

    on = serializers.DateField()
    mme_per_day = serializers.DecimalField(
        max_digits=14, decimal_places=5, normalize_output=True, allow_null=True
    )
    counted = serializers.IntegerField(help_text="How many rows are in it.")
    left_out = LeftOutSerializer(many=True)
    note = serializers.CharField()


class OpioidUseQuery(Query):
    """What a patient's list can be narrowed to."""

    on = serializers.DateField(
        required=False,
        help_text="Counted on this day, and no mistake: of a dose that was changed on it, the new one.",
    )
    standing = YesNoQuery(required=False, help_text="Whether without the mistakes, or only them.")

    def narrow(self, rows: Any) -> Any:
        asked, rows = self.validated_data, super().narrow(rows)
        if "on" in asked:
            rows = rows.on(asked["on"])
        if "standing" in asked:
            rows = rows.filter(entered_in_error_at__isnull=asked["standing"])
        return rows


class DayQuery(Query):
    """Which day."""

    on = serializers.DateField(required=False, help_text="Today at the patient's site, unless told.")


@extend_schema_view(
    list=extend_schema(description="A patient's opioids, the latest first, with those entered in error."),
)
class OpioidUses(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = OpioidUse.objects.select_related("patient__site")
    serializer_class = OpioidUseSerializer
    query_class = OpioidUseQuery
    ordering = ("-from_on", "-pk")
    permissions_needed = {
        "list": VIEW,
        "retrieve": VIEW,
        "total": VIEW,
        "create": RECORD,
        "end": RECORD,
        "correct": RECORD,
    }
    may_refuse = {"create": [404, 409], "list": [404], "total": [404], "correct": [409]}

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(patient=self.kwargs["patient"])

    def patient(self) -> Patient:
        """The patient of the address; 404 for one whom the user may not see."""
        rows = Patient.objects.visible_to(self.user).select_related("site")
        return get_object_or_404(rows, pk=self.kwargs["patient"])

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        patient = self.patient()
        services.record_page_view(patient, by=self.user, now=timezone.now())
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, patient: int, pk: int) -> Response:
        """One opioid of a patient. That you looked at the patient's data is written down."""
        use = self.get_object()
        services.record_page_view(use.patient, by=self.user, now=timezone.now())
        return self.show(use)

    @extend_schema(responses=TotalSerializer, parameters=[OpenApiParameter("on", date)])
    def total(self, request: Request, patient: int) -> Response:
        """The total of a patient's opioids on one day, with what cannot be counted: never use it to switch drugs.

        An estimate. That you looked at the patient's data is written down.
        """
        whose, now = self.patient(), timezone.now()
        query = read_query(DayQuery, request.query_params)
        services.record_page_view(whose, by=self.user, now=now)
        day = query.validated_data.get("on", now.astimezone(whose.site.zone).date())
        total = mme.total_on(whose.opioid_uses.on(day), day)
        shown = {
            "on": day,
            "mme_per_day": total.mme,
            "counted": total.counted,
            "left_out": [{"drug": drug.value, "reason": why.value} for drug, why in total.left_out],
            "note": NOTE,
        }
        return Response(TotalSerializer(shown).data)

    @extend_schema(request=OpioidUseInput, responses={201: OpioidUseSerializer})
    def create(self, request: Request, patient: int) -> Response:
        """Record an opioid that the patient takes or took. What stands already is refused: 409, `recorded_already`."""
        use = OpioidUse(patient=self.patient(), **self.inputs(OpioidUseInput))
        services.record_opioid_use(use, by=self.user, now=timezone.now())
        return self.shown(use.pk, status=201)

    @extend_schema(request=EndUseInput, responses=OpioidUseSerializer)
    def end(self, request: Request, patient: int, pk: int) -> Response:
        """Say when it is taken for the last time. Refuses `ended_already` what ended before today: correct that."""
        use = self.get_object()
        services.end_opioid_use(use.pk, **self.inputs(EndUseInput), by=self.user, now=timezone.now())
        return self.shown(use.pk)

    @extend_schema(request=CorrectUseInput, responses=OpioidUseSerializer)
    def correct(self, request: Request, patient: int, pk: int) -> Response:
        """Mark a row as entered in error and put what is right in its place. Answers with what stands now.

        With `instead` null it answers with the mistake itself.
        """
        use, said = self.get_object(), self.inputs(CorrectUseInput)
        instead = OpioidUse(patient=use.patient, **said["instead"]) if said["instead"] else None
        stands = services.correct_opioid_use(
            use.pk, instead=instead, reason=said["reason"], by=self.user, now=timezone.now()
        )
        return self.shown(stands.pk)
