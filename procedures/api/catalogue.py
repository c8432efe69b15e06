"""What the clinic can do: procedure types, each with the relief profile in force and the sources of its figures."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers

from clinic.api.fields import BuiltOnce, ChoicesQuery, Query, YesNoQuery
from clinic.api.viewsets import VisibleRowsViewSet
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


class ProcedureTypeNameSerializer(BuiltOnce, serializers.ModelSerializer[ProcedureType]):
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


class FigureSerializer(serializers.Serializer[dict[str, Any]]):
    """A clinical figure never comes without its unit and source; `confirmed` null: nobody stands by it yet."""

    unit = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    confirmed = ConfirmedSerializer(allow_null=True)


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


class ReliefProfileSerializer(serializers.Serializer[ReliefProfile]):
    """One version of what a procedure type is expected to do."""

    version = serializers.IntegerField()
    origin = serializers.ChoiceField(ReliefProfile.Origin.choices)
    in_force_from = serializers.DateTimeField()
    onset = OnsetSerializer()
    relief_window = ReliefWindowSerializer()
    diagnostic_window = ReliefWindowSerializer(
        allow_null=True, help_text="For diagnostic use, in minutes; null for procedures without one."
    )
    check_ins = CheckInPlanSerializer()
    evaluate_after = NumberSerializer(help_text="Before this day a bad score is a flare, not a failure.")
    success = NumberSerializer(help_text="At least so much less pain than before counts as relief.")
    diagnostic_success = NumberSerializer(
        allow_null=True, help_text="The same for diagnostic use; null: as `success`."
    )


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

    durations = serializers.SerializerMethodField()
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

    @extend_schema_field(DurationsSerializer)
    def get_durations(self, kind: ProcedureType) -> Any:
        return DurationsSerializer(
            {
                "procedure": kind.procedure_minutes,
                "recovery": kind.recovery_minutes,
                **figure("minute", kind.duration_source, confirmed(kind, None, Figure.DURATION)),
            }
        ).data

    @extend_schema_field(ReliefProfileSerializer(allow_null=True))
    def get_relief_profile(self, kind: ProcedureType) -> Any:
        try:
            profile = kind.profile_on(self.context["now"])
        except ReliefProfile.DoesNotExist:
            return None
        return ReliefProfileSerializer(profile_data(kind, profile)).data


def profile_data(kind: ProcedureType, profile: ReliefProfile) -> Any:
    """What ReliefProfileSerializer writes about `profile`, which is one of `kind`."""

    def sourced(unit: str, source: str, name: Figure) -> dict[str, Any]:
        return figure(unit, source, confirmed(kind, profile, name))

    window = {"ongoing": profile.ongoing}
    return {
        "version": profile.version,
        "origin": profile.origin,
        "in_force_from": profile.in_force_from,
        "onset": {
            "earliest": profile.onset_from_days,
            "latest": profile.onset_until_days,
            **sourced("day", profile.onset_source, Figure.ONSET),
        },
        "relief_window": {
            "earliest": profile.window_from_days,
            "latest": profile.window_until_days,
            **window,
            **sourced("day", profile.window_source, Figure.WINDOW),
        },
        "diagnostic_window": None
        if profile.window_until_minutes is None
        else {
            "earliest": profile.window_from_minutes,
            "latest": profile.window_until_minutes,
            **window,
            **sourced("minute", profile.window_source, Figure.WINDOW),
        },
        "check_ins": {
            "days": profile.check_in_days,
            "minutes": profile.check_in_minutes,
            "every_days": profile.check_in_every_days,
            **sourced("day", profile.check_in_source, Figure.CHECK_INS),
        },
        "evaluate_after": {
            "value": profile.evaluate_after_days,
            **sourced("day", profile.evaluate_after_source, Figure.EVALUATE_AFTER),
        },
        "success": {
            "value": profile.success_percent,
            **sourced("percent", profile.success_source, Figure.SUCCESS),
        },
        "trial_days": None
        if kind.purpose != ProcedureType.Purpose.TRIAL
        else {
            "value": profile.trial_days_percent,
            **sourced("percent", profile.success_source, Figure.SUCCESS),
        },
        "diagnostic_success": None
        if profile.diagnostic_percent is None
        else {
            "value": profile.diagnostic_percent,
            **sourced("percent", profile.success_source, Figure.SUCCESS),
        },
    }


def figure(unit: str, source: str, by: FigureConfirmation | None) -> dict[str, Any]:
    """What every clinical figure is shown with."""
    return {"unit": unit, "source": source, "confirmed": by}


def confirmed(kind: ProcedureType, profile: ReliefProfile | None, name: Figure) -> FigureConfirmation | None:
    """Who stands by one figure of `kind`; None when nobody does yet."""
    return next(
        (
            confirmation
            for confirmation in kind.confirmations.all()
            if confirmation.figure == name
            and confirmation.relief_profile_id == (profile.pk if profile else None)
        ),
        None,
    )


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
class ProcedureTypes(mixins.ListModelMixin, mixins.RetrieveModelMixin, VisibleRowsViewSet):
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
