"""What the clinic can do: procedure types, each with the relief profile in force and the sources of its figures."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers

from clinic.api.fields import ChoicesQuery, ColumnsSerializer, Query, YesNoQuery
from clinic.api.viewsets import ClinicViewSet
from procedures.models import (
    FigureConfirmation,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)

Figure = FigureConfirmation.Figure


class ProcedureTypeNameSerializer(ColumnsSerializer[ProcedureType]):
    """A procedure type, as far as other rows show it."""

    class Meta:
        model = ProcedureType
        fields = ["code", "name"]


class ConfirmedSerializer(serializers.ModelSerializer[FigureConfirmation]):
    """Who stands by a clinical figure, and since when."""

    by = serializers.CharField(source="confirmed_by")
    on = serializers.DateField(source="confirmed_on")

    class Meta:
        model = FigureConfirmation
        fields = ["by", "on"]


class FigureSerializer(serializers.Serializer[Any]):
    """A clinical figure never comes without its unit and source; `confirmed` null: nobody stands by it yet."""

    unit = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    confirmed = ConfirmedSerializer(allow_null=True)

    def __init__(
        self, measure: str, figure: Figure, sourced: str, shown: dict[str, str], **kwargs: Any
    ) -> None:
        """`sourced`: the column with its source; `shown`: columns by name. Null with `allow_null` without the last."""
        self.measure, self.figure, self.sourced, self.shown = measure, figure, sourced, shown
        super().__init__(source="*", **kwargs)

    def to_representation(self, row: ProcedureType | ReliefProfile) -> Any:
        values = {name: getattr(row, column) for name, column in self.shown.items()}
        if self.allow_null and list(values.values())[-1] is None:
            return None
        kind, profile = (row, None) if isinstance(row, ProcedureType) else (row.procedure_type, row.pk)
        by = [
            confirmation
            for confirmation in kind.confirmations.all()
            if (confirmation.figure, confirmation.relief_profile_id) == (self.figure, profile)
        ]
        confirmed = ConfirmedSerializer(by[0]).data if by else None
        return {"unit": self.measure, "source": getattr(row, self.sourced), "confirmed": confirmed, **values}


class DurationsSerializer(FigureSerializer):
    """How long the procedure and the recovery after it take."""

    procedure = serializers.IntegerField()
    recovery = serializers.IntegerField()


class OnsetSerializer(FigureSerializer):
    """How long after the procedure relief sets in."""

    earliest = serializers.IntegerField()
    latest = serializers.IntegerField()


class ReliefWindowSerializer(FigureSerializer):
    """Earliest and latest moment after the procedure at which relief is expected to end."""

    earliest = serializers.IntegerField()
    latest = serializers.IntegerField()
    ongoing = serializers.BooleanField(help_text="No end is expected; `latest` is how far ahead is looked.")


class CheckInPlanSerializer(FigureSerializer):
    """When the patient is asked: on these days after the procedure, and then every so many."""

    days = serializers.ListField(child=serializers.IntegerField())
    minutes = serializers.ListField(
        child=serializers.IntegerField(), help_text="On the day of the procedure, minutes after it."
    )
    every_days = serializers.IntegerField(allow_null=True)


class NumberSerializer(FigureSerializer):
    """One number."""

    value = serializers.IntegerField()


class ReliefProfileSerializer(serializers.ModelSerializer[ReliefProfile]):
    """One version of what a procedure type is expected to do."""

    version = serializers.IntegerField()
    origin = serializers.ChoiceField(ReliefProfile.Origin.choices)
    onset = OnsetSerializer(
        "day", Figure.ONSET, "onset_source", {"earliest": "onset_from_days", "latest": "onset_until_days"}
    )
    relief_window = ReliefWindowSerializer(
        "day",
        Figure.WINDOW,
        "window_source",
        {"ongoing": "ongoing", "earliest": "window_from_days", "latest": "window_until_days"},
    )
    diagnostic_window = ReliefWindowSerializer(
        "minute",
        Figure.WINDOW,
        "window_source",
        {"ongoing": "ongoing", "earliest": "window_from_minutes", "latest": "window_until_minutes"},
        allow_null=True,
        help_text="For diagnostic use, in minutes; null for procedures without one.",
    )
    check_ins = CheckInPlanSerializer(
        "day",
        Figure.CHECK_INS,
        "check_in_source",
        {"days": "check_in_days", "minutes": "check_in_minutes", "every_days": "check_in_every_days"},
    )
    evaluate_after = NumberSerializer(
        "day",
        Figure.EVALUATE_AFTER,
        "evaluate_after_source",
        {"value": "evaluate_after_days"},
        help_text="Before this day a bad score is a flare, not a failure.",
    )
    success = NumberSerializer(
        "percent",
        Figure.SUCCESS,
        "success_source",
        {"value": "success_percent"},
        help_text="At least so much less pain than before counts as relief.",
    )
    diagnostic_success = NumberSerializer(
        "percent",
        Figure.SUCCESS,
        "success_source",
        {"value": "diagnostic_percent"},
        allow_null=True,
        help_text="The same for diagnostic use; null: as `success`.",
    )

    class Meta:
        model = ReliefProfile
        fields = [
            *("version", "origin", "in_force_from", "onset", "relief_window", "diagnostic_window"),
            *("check_ins", "evaluate_after", "success", "diagnostic_success"),
        ]


class RequirementSerializer(serializers.ModelSerializer[ResourceRequirement]):
    """A resource that is needed, from which minute of the appointment on and for how many.

    It is held for `setup_minutes` before that and for `turnover_minutes` after it as well.
    """

    category = serializers.CharField(source="category.code")

    class Meta:
        model = ResourceRequirement
        fields = ["category", "starts_after_minutes", "lasts_minutes", "setup_minutes", "turnover_minutes"]


class RiskSerializer(serializers.ModelSerializer[Risk]):
    """Something that may go wrong; `transient`: it passes by itself."""

    class Meta:
        model = Risk
        fields = ["name", "severity", "transient"]


class RedFlagSerializer(serializers.ModelSerializer[RedFlag]):
    """A question whose yes must never wait."""

    class Meta:
        model = RedFlag
        fields = ["code", "question", "urgency", "source"]


class ReadinessItemSerializer(serializers.ModelSerializer[ReadinessItem]):
    """Something to make sure of first; `blocking`: without it the procedure must not start."""

    class Meta:
        model = ReadinessItem
        fields = ["code", "label", "note", "blocking", "source"]


class ProcedureTypeSerializer(serializers.ModelSerializer[ProcedureType]):
    """A catalogue entry. `relief_profile`: the version in force now; null when it has none and cannot be performed.

    `restarts`, of device maintenance: families of the implants whose course it starts anew.
    """

    durations = DurationsSerializer(
        "minute",
        Figure.DURATION,
        "duration_source",
        {"procedure": "procedure_minutes", "recovery": "recovery_minutes"},
        read_only=True,
    )
    relief_profile = serializers.SerializerMethodField()
    requirements = RequirementSerializer(many=True)
    risks = RiskSerializer(many=True)
    red_flags = RedFlagSerializer(many=True)
    readiness_items = ReadinessItemSerializer(many=True)

    class Meta:
        model = ProcedureType
        fields = [
            *("code", "name", "family", "purpose", "description", "active", "durations", "relief_profile"),
            *("laterality", "laterality_options", "regions", "indications", "imaging", "imaging_required"),
            *("sedation", "sedation_options", "requirements", "risks", "red_flags", "readiness_items"),
            *("after_care", "restarts"),
        ]

    @extend_schema_field(ReliefProfileSerializer(allow_null=True))
    def get_relief_profile(self, kind: ProcedureType) -> Any:
        try:
            profile = kind.profile_on(self.context["now"])
        except ReliefProfile.DoesNotExist:
            return None
        return ReliefProfileSerializer(profile).data


class ProcedureTypeQuery(Query):
    """What a list of procedure types can be narrowed to."""

    lookups = {"family": "family", "purpose": "purpose", "active": "active"}

    family = serializers.SlugField(required=False)
    purpose = ChoicesQuery(ProcedureType.Purpose.choices, required=False)
    active = YesNoQuery(required=False, help_text="Can be booked.")


@extend_schema_view(
    list=extend_schema(description="What the clinic can do. The same at every site."),
    retrieve=extend_schema(
        description="One procedure type, with what it is expected to achieve and where that is known from."
    ),
)
class ProcedureTypes(mixins.ListModelMixin, mixins.RetrieveModelMixin, ClinicViewSet):
    queryset = ProcedureType.objects.prefetch_related(
        "relief_profiles", "confirmations", "requirements__category", "risks", "red_flags", "readiness_items"
    )
    serializer_class = ProcedureTypeSerializer
    query_class = ProcedureTypeQuery
    ordering = ("code",)
    lookup_field = "code"
    lookup_value_converter = "slug"
    permissions_needed = {
        "list": "procedures.view_proceduretype",
        "retrieve": "procedures.view_proceduretype",
    }
