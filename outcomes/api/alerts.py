"""Alerts: what somebody must look at, and what they do about it."""

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    MOST,
    ChoicesQuery,
    Input,
    InstantField,
    NothingInput,
    NumberQuery,
    PersonQuery,
    Query,
    WholeNumberField,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from clinic.models import User
from clinic.refusals import Refusal
from outcomes import services
from outcomes.api.check_ins import PatientToCallSerializer
from outcomes.models import Alert
from outcomes.models.alerts import AlertQuerySet
from outcomes.relief_end_text import ReliefEnded
from outcomes.services.alert_actions import REASONS
from patients import services as patients
from patients.models import with_caregivers
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.api.devices import DueSerializer
from procedures.models import RedFlag
from procedures.services.red_flag_wordings import wordings_at

HANDLE = "outcomes.handle_alert"
STATES = [("open", "open"), ("overdue", "overdue"), ("snoozed", "snoozed"), ("resolved", "resolved")]
#: How a person may say that an alert ended.
ENDINGS = [(reason.value, reason.label) for reason in REASONS]


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["me", "nobody"]}]}
)
class OwnerQuery(PersonQuery):
    """Whose alerts; `nobody` for those that are everybody's at the site: None."""

    def run_validation(self, data: Any = empty) -> Any:
        return None if data == "nobody" else super().run_validation(data)


class OwnerSerializer(serializers.ModelSerializer[User]):
    """A member of staff, by number and name."""

    name = serializers.CharField(source="__str__")

    class Meta:
        model = User
        fields = ["id", "name"]


class ReliefEndedSerializer(serializers.Serializer[ReliefEnded]):
    """When relief ended: later than `after` and not later than `until`, in `unit` after the procedure."""

    after = serializers.IntegerField(help_text="The last score in relief.")
    until = serializers.IntegerField(help_text="The first bad one, or the day that the patient named.")
    unit = serializers.ChoiceField(["day", "minute"])
    confirmed = serializers.BooleanField(
        help_text="False: one bad score says so, and nothing confirms it yet."
    )
    words = serializers.CharField(source="__str__", help_text="The same in a sentence, in English.")


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """Something a named person must look at by a certain time.

    `due_at`: by when somebody must look; once `acknowledged_at` is set, by when it must be resolved. `state`: an
    overdue one is open as well. `owner` null: it is everybody's at the site. Alerts about relief (`lost_early`,
    `lost_effect`, `no_relief`, `worse`, `pain_back`) are the performer's from the beginning, or their deputy's while
    they are away: assigned, and not looked at before `acknowledged_at`. `confirmed` false: one bad score raised it,
    and nothing confirms it yet. `relief_ended`: of `lost_early`, `lost_effect` and `pain_back`, as far as the course
    tells now; null otherwise. `codes`: of the red
    flags that the patient said yes to. `escalated_at`: when the site was last told that it is overdue. `resolved_by`
    null in a resolved one: its reason is gone, and nobody had to act (`resolution` is `settled`).
    """

    patient = PatientToCallSerializer()
    site = SiteNameSerializer()
    procedure_type = ProcedureTypeNameSerializer(source="follow_up.procedure.procedure_type")
    state = serializers.SerializerMethodField()
    relief_ended = serializers.SerializerMethodField()
    owner = OwnerSerializer(allow_null=True)
    resolved_by = OwnerSerializer(allow_null=True)

    class Meta:
        model = Alert
        fields = [
            *("id", "kind", "urgency", "state", "patient", "site", "procedure_type", "follow_up", "check_in"),
            *("confirmed", "relief_ended", "codes", "raised_at", "due_at", "owner", "acknowledged_at"),
            *("snoozed_until", "escalated_at"),
            *("resolved_at", "resolved_by", "resolution", "resolution_note"),
        ]

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, alert: Alert) -> str:
        return alert.state(self.context["now"])

    @extend_schema_field(ReliefEndedSerializer(allow_null=True))
    def get_relief_ended(self, alert: Alert) -> Any:
        ended = services.ended_of(alert)
        return ReliefEndedSerializer(ended).data if ended else None


class QuestionSerializer(serializers.ModelSerializer[RedFlag]):
    """A red-flag question that the patient said yes to, in English and in Spanish, in the words of then."""

    class Meta:
        model = RedFlag
        fields = ["code", "question", "question_es", "urgency"]


class DeviceDueSerializer(DueSerializer):
    """What of a device is due, and since which day at the site."""

    device = serializers.IntegerField(help_text="Number of an implanted device.")


class AlertDetailSerializer(AlertSerializer):
    """An alert, with the red-flag questions that the patient said yes to, and what of a device is due since when."""

    questions = serializers.SerializerMethodField()
    devices_due = serializers.SerializerMethodField()

    class Meta(AlertSerializer.Meta):
        fields = [*AlertSerializer.Meta.fields, "questions", "devices_due"]

    @extend_schema_field(QuestionSerializer(many=True))
    def get_questions(self, alert: Alert) -> Any:
        then: Any = wordings_at(alert.codes, alert.raised_at)  # with the names of the row's fields
        return QuestionSerializer(then, many=True).data

    @extend_schema_field(DeviceDueSerializer(many=True))
    def get_devices_due(self, alert: Alert) -> Any:
        if alert.kind != Alert.Kind.DEVICE_DUE:
            return []
        due = services.due_of(alert.follow_up, now=self.context["now"])
        return DeviceDueSerializer([row._asdict() | {"device": row.device.pk} for row in due], many=True).data


class HandOverInput(Input):
    """To whom; yourself to take over what somebody else owns."""

    to = WholeNumberField(min_value=1, max_value=MOST, help_text="Number of a member of staff.")


class SnoozeInput(Input):
    """Until when it is out of sight."""

    until = InstantField(help_text="At most 30 days ahead.")


class ResolveInput(Input):
    """How it ended."""

    resolution = serializers.ChoiceField(ENDINGS)
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class AlertQuery(Query):
    """What the list of alerts can be narrowed to."""

    lookups = {
        "kind": "kind",
        "urgency": "urgency",
        "site": "site",
        "patient": "patient",
        "follow_up": "follow_up",
        "owner": "owner",
        "performer": "follow_up__procedure__performer",
    }

    state = ChoicesQuery(
        [*STATES, ("all", "all")],
        default=["open"],
        help_text="`open` unless told: neither resolved nor snoozed.",
    )
    kind = ChoicesQuery(Alert.Kind.choices, required=False)
    urgency = ChoicesQuery(Alert.Urgency.choices, required=False)
    owner = OwnerQuery(
        help_text="Number of a member of staff; `me` for yourself, `nobody` for what is everybody's at the site."
    )
    performer = PersonQuery(
        help_text="Number of the member of staff who performed the procedure; `me` for yourself."
    )
    site = NumberQuery()
    patient = NumberQuery()
    follow_up = NumberQuery()

    def narrow(self, rows: Any) -> Any:
        asked, now = self.validated_data, timezone.now()
        for name in ("owner", "performer"):
            if asked.get(name) and not User.objects.filter(pk=asked[name]).exists():
                raise Refusal("There is no such member of staff.", code=f"unknown_{name}", field=name)
        alerts = cast(AlertQuerySet, super().narrow(rows))
        parts: dict[str, AlertQuerySet] = {
            "open": alerts.waiting(now),
            "overdue": alerts.overdue(now),
            "snoozed": alerts.snoozed(now),
            "resolved": alerts.filter(resolved_at__isnull=False),
            "all": alerts,
        }
        first, *others = (parts[state] for state in asked["state"])
        for part in others:
            first |= part
        return first


@extend_schema_view(
    list=extend_schema(
        description="Alerts at your sites: the most urgent first, each urgency by when it is due."
    ),
)
class Alerts(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = (
        Alert.objects.select_related(
            *("patient", "site", "owner", "resolved_by", "follow_up__procedure__procedure_type"),
            "follow_up__summary",
        )
        .prefetch_related(with_caregivers("patient"))
        .weighed()
    )
    serializer_class = AlertSerializer
    detail_serializer_class = AlertDetailSerializer
    query_class = AlertQuery
    ordering = ("weight", "due_at", "pk")
    permissions_needed = {
        "list": "outcomes.view_alert",
        "retrieve": "outcomes.view_alert",
        "acknowledge": HANDLE,
        "hand_over": HANDLE,
        "snooze": HANDLE,
        "resolve": HANDLE,
    }
    may_refuse = {action: [409] for action in ("acknowledge", "hand_over", "snooze", "resolve")}

    @extend_schema(responses=AlertDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One alert, open or resolved. That you looked at the patient's data is written down."""
        alert = self.get_object()
        patients.record_page_view(alert.patient, by=self.user, now=timezone.now())
        return self.show(alert)

    @extend_schema(request=NothingInput, responses=AlertDetailSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: int) -> Response:
        """You have seen it and take care of it. Once more changes nothing.

        Refuses with 409: `taken_already` when somebody else was faster, `resolved_already`.
        """
        alert = self.get_object()
        self.inputs(NothingInput)
        services.acknowledge(alert.pk, by=self.user, now=timezone.now())
        return self.shown(alert.pk)

    @extend_schema(request=HandOverInput, responses=AlertDetailSerializer)
    @action(detail=True, methods=["post"], url_path="hand-over")
    def hand_over(self, request: Request, pk: int) -> Response:
        """Give it to somebody who may handle alerts at the site (else `not_allowed`), or take it over yourself."""
        alert = self.get_object()
        services.hand_over(alert.pk, **self.inputs(HandOverInput), by=self.user, now=timezone.now())
        return self.shown(alert.pk)

    @extend_schema(request=SnoozeInput, responses=AlertDetailSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: int) -> Response:
        """Put it out of sight for some time. Refuses `not_allowed` for an emergency, `in_the_past`, `too_far`."""
        alert = self.get_object()
        services.snooze(alert.pk, **self.inputs(SnoozeInput), by=self.user, now=timezone.now())
        return self.shown(alert.pk)

    @extend_schema(request=ResolveInput, responses=AlertDetailSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: int) -> Response:
        """Close it and say how it ended. The same once more changes nothing; else 409, `resolved_already`."""
        alert = self.get_object()
        services.resolve(alert.pk, **self.inputs(ResolveInput), by=self.user, now=timezone.now())
        return self.shown(alert.pk)
