"""Check-ins: what was asked, what came back, and recording an answer on a patient's behalf."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, InstantField, NumberQuery, Query
from clinic.api.rows import VisibleRows
from clinic.api.views import SiteNameSerializer
from clinic.refusals import Refusal
from outcomes import services
from outcomes.api.answers import AnswerSerializer, pain_now
from outcomes.models import Answer, CheckIn
from outcomes.questions import PAIN_NOW
from patients.api import PatientNameSerializer
from patients.models import Patient
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.api.schedule import ScoreField


class CheckInSerializer(serializers.ModelSerializer[CheckIn]):
    """One planned question. Answers are taken from `opens_at` until `closes_at`; `when` is "day 92" or "hour 3.5"."""

    when = serializers.CharField()
    answer = serializers.SerializerMethodField()

    class Meta:
        model = CheckIn
        fields = [
            *("id", "when", "offset_minutes", "opens_at", "due_at", "closes_at", "status", "invited_at"),
            *("not_sent_because", "answer"),
        ]

    @extend_schema_field(AnswerSerializer(allow_null=True))
    def get_answer(self, check_in: CheckIn) -> Any:
        given = getattr(check_in, "answer", None)
        return AnswerSerializer(given).data if given else None


class PatientToCallSerializer(PatientNameSerializer):
    """A patient, with the number to call."""

    class Meta(PatientNameSerializer.Meta):
        model = Patient
        fields = [*PatientNameSerializer.Meta.fields, "phone", "language"]


class CheckInToDoSerializer(CheckInSerializer):
    """A check-in with whom it asks about what."""

    patient = PatientToCallSerializer(source="follow_up.patient")
    procedure_type = ProcedureTypeNameSerializer(source="follow_up.procedure.procedure_type")
    site = SiteNameSerializer(source="follow_up.procedure.site")

    class Meta(CheckInSerializer.Meta):
        fields = [*CheckInSerializer.Meta.fields, "follow_up", "patient", "procedure_type", "site"]


#: The channels through which staff take an answer.
BY_STAFF = [(channel.value, channel.label) for channel in (Answer.Channel.PHONE, Answer.Channel.CLINIC)]


class AnswerInput(Input):
    """A pain score that staff record on the patient's behalf."""

    score = ScoreField(help_text="The pain now, 0 (none) to 10 (worst imaginable).")
    channel = serializers.ChoiceField(BY_STAFF)


class CheckInQuery(Query):
    """What a list of check-ins can be narrowed to."""

    lookups = {
        "status": "status",
        "due_from": "due_at__gte",
        "due_before": "due_at__lt",
        "site": "follow_up__procedure__site",
        "patient": "follow_up__patient",
        "follow_up": "follow_up",
    }

    status = serializers.ChoiceField(CheckIn.Status.choices, required=False)
    due_from = InstantField(required=False, help_text="Due at or after this instant.")
    due_before = InstantField(required=False, help_text="Due before this instant.")
    site = NumberQuery()
    patient = NumberQuery()
    follow_up = NumberQuery()


@extend_schema_view(
    list=extend_schema(description="Check-ins of your sites' patients, by the time at which they are due."),
    retrieve=extend_schema(description="One check-in."),
)
class CheckIns(mixins.ListModelMixin, mixins.RetrieveModelMixin, VisibleRows):
    queryset = CheckIn.objects.select_related(
        "follow_up__patient", "follow_up__procedure__procedure_type", "follow_up__procedure__site", "answer"
    ).prefetch_related("answer__measurements")
    serializer_class = CheckInToDoSerializer
    query_class = CheckInQuery
    ordering = ("due_at", "pk")
    permissions_needed = {
        "list": "outcomes.view_checkin",
        "retrieve": "outcomes.view_checkin",
        "answer": "outcomes.record_answer",
    }
    may_refuse = {"answer": [409]}

    @extend_schema(request=AnswerInput, responses={201: CheckInToDoSerializer, 200: CheckInToDoSerializer})
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: int) -> Response:
        """Record the patient's answer on their behalf.

        The same answer once more changes nothing (200). A different one is refused with 409, code `answered_already`:
        the first stands.
        """
        check_in = self.get_object()
        inputs, now = self.inputs(AnswerInput), timezone.now()
        given = services.answer(
            check_in.pk,
            values={PAIN_NOW: inputs["score"]},
            channel=inputs["channel"],
            language=check_in.follow_up.patient.language,
            by=self.user,
            now=now,
        )
        if pain_now(given) != inputs["score"] or given.channel != inputs["channel"]:
            raise Refusal(
                "This check-in has been answered already; that answer stands.",
                code="answered_already",
                field="score",
            )
        made = given.answered_at == now and given.recorded_by_id == self.user.pk
        return self.shown(check_in.pk, status=201 if made else 200)
