"""Check-ins: what was asked and why, what came back, recording and correcting an answer on a patient's behalf."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import ChoicesQuery, Input, InstantField, NumberQuery, Query, WholeNumberField
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet, tag_of
from clinic.refusals import Refusal
from outcomes import services
from outcomes.api.answers import AnswerSerializer
from outcomes.api.check_in_history import WhySerializer
from outcomes.api.contacts import CallInput, ContactSerializer
from outcomes.check_in_history import why
from outcomes.models import Answer, CheckIn
from outcomes.questions import PAIN_NOW
from outcomes.services.corrections import versions_of
from patients import services as patients
from patients.api import PatientNameSerializer
from patients.models import AnsweredBy, Caregiver, Patient, answering, with_caregivers
from procedures.api.baselines import ScoreField
from procedures.api.catalogue import ProcedureTypeNameSerializer


class CheckInSerializer(serializers.ModelSerializer[CheckIn]):
    """One question. Answers are taken from `opens_at` until `closes_at`.

    `kind`: of the plan; a confirmation, which asks once more after a first bad score (`confirms` is the check-in with
    that score, null of other kinds); or a report, which nobody asked for: the patient said that the pain is back.
    `when` is "day 92", "hour 3.5", "day 99, confirmation" or "day 120, pain is back".
    """

    when = serializers.CharField()
    answer = serializers.SerializerMethodField()

    class Meta:
        model = CheckIn
        fields = [
            *(
                "id",
                "kind",
                "confirms",
                "when",
                "offset_minutes",
                "opens_at",
                "due_at",
                "closes_at",
                "status",
            ),
            *("invited_at", "not_sent_reason", "answer"),
        ]

    @extend_schema_field(AnswerSerializer(allow_null=True))
    def get_answer(self, check_in: CheckIn) -> Any:
        given = getattr(check_in, "answer", None)
        return AnswerSerializer(given).data if given else None


class AnsweringSerializer(serializers.ModelSerializer[Caregiver]):
    """Who answers for a patient, as far as other rows show them."""

    class Meta:
        model = Caregiver
        fields = ["id", "name", "relation"]


class PatientToCallSerializer(PatientNameSerializer):
    """A patient, with the number to call, and who answers for them; null for nobody."""

    caregiver = serializers.SerializerMethodField()

    class Meta(PatientNameSerializer.Meta):
        model = Patient
        fields = [*PatientNameSerializer.Meta.fields, "phone", "language", "caregiver"]

    @extend_schema_field(AnsweringSerializer(allow_null=True))
    def get_caregiver(self, patient: Patient) -> Any:
        known = answering(patient)
        return AnsweringSerializer(known).data if known else None


class CheckInToDoSerializer(CheckInSerializer):
    """A check-in with whom it asks about what."""

    patient = PatientToCallSerializer(source="follow_up.patient")
    procedure_type = ProcedureTypeNameSerializer(source="follow_up.procedure.procedure_type")
    site = SiteNameSerializer(source="follow_up.procedure.site")

    class Meta(CheckInSerializer.Meta):
        fields = [*CheckInSerializer.Meta.fields, "follow_up", "patient", "procedure_type", "site"]


#: The channels through which staff take an answer.
BY_STAFF = [(value, label) for value, label in Answer.Channel.choices if value != Answer.Channel.EMAIL]
#: How many figures an answer has at most.
MOST_FIGURES = 100


class FiguresInput(Input):
    """The figures of an answer: the pain now, and whatever else was asked.

    `values` by "instrument.item": {"nrs.worst_24_hours": 8, "red_flag.fever_chills": 0}. A red flag is 0 for no and 1
    for yes. "relief.worn_off", asked after a pain that is out of relief where there was relief before: has the relief
    from the procedure worn off? 0 no, 1 yes, 2 not sure. With a yes, one bad score is a loss. "relief.ended_on", asked
    beside it: since which day the pain is back, in days after the procedure on the site's calendar. It is not kept
    where relief has not worn off.
    """

    score = ScoreField(help_text="The pain now, 0 (none) to 10 (worst imaginable).")
    values = serializers.DictField(
        child=WholeNumberField(), required=False, help_text="All other figures; absent: none."
    )

    def validate_values(self, values: dict[str, int]) -> dict[str, int]:
        if len(values) > MOST_FIGURES:
            raise serializers.ValidationError(f"At most {MOST_FIGURES} figures.", code="max_length")
        if PAIN_NOW in values:
            raise serializers.ValidationError("The pain now is `score`.", code="invalid")
        return values


class AnswerInput(FiguresInput):
    """What staff record on the patient's behalf."""

    channel = serializers.ChoiceField(BY_STAFF)
    answered_by = serializers.ChoiceField(
        AnsweredBy.choices,
        default=AnsweredBy.PATIENT,
        help_text="The patient, or a caregiver in the patient's place.",
    )
    language = serializers.ChoiceField(
        Patient.Language.choices,
        required=False,
        help_text="In which it was asked; the patient's unless told.",
    )
    remark = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class CorrectionInput(FiguresInput):
    """What the answer should have said, whole, and why it did not."""

    reason = serializers.CharField(max_length=500)


def figures(inputs: dict[str, Any]) -> dict[str, int]:
    """All figures by "instrument.item", as the services take them."""
    return {PAIN_NOW: inputs["score"], **inputs.get("values", {})}


@contextmanager
def named_as_sent() -> Iterator[None]:
    """Name the inputs of a refusal as the client does."""
    try:
        yield
    except Refusal as refusal:
        field = refusal.field or ""
        if field == PAIN_NOW or refusal.code == "answered_already":
            field = "score"
        elif "." in field:
            field = f"values.{field}"
        raise Refusal(" ".join(refusal.messages), code=str(refusal.code), field=field) from None


class CheckInQuery(Query):
    """What a list of check-ins can be narrowed to."""

    lookups = {
        "status": "status",
        "kind": "kind",
        "due_from": "due_at__gte",
        "due_before": "due_at__lt",
        "site": "follow_up__procedure__site",
        "patient": "follow_up__patient",
        "follow_up": "follow_up",
    }

    status = ChoicesQuery(CheckIn.Status.choices, required=False)
    kind = ChoicesQuery(CheckIn.Kind.choices, required=False)
    due_from = InstantField(required=False, help_text="Due at or after this instant.")
    due_before = InstantField(required=False, help_text="Due before this instant.")
    site = NumberQuery()
    patient = NumberQuery()
    follow_up = NumberQuery()


@extend_schema_view(
    list=extend_schema(description="Check-ins of your sites' patients, by the time at which they are due."),
    retrieve=extend_schema(description="One check-in."),
)
class CheckIns(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = CheckIn.objects.select_related(
        "follow_up__patient", "follow_up__procedure__procedure_type", "follow_up__procedure__site", "answer"
    ).prefetch_related("answer__measurements", with_caregivers("follow_up__patient"))
    serializer_class = CheckInToDoSerializer
    query_class = CheckInQuery
    ordering = ("due_at", "pk")
    permissions_needed = {
        "list": "outcomes.view_checkin",
        "retrieve": "outcomes.view_checkin",
        "answer": "outcomes.record_answer",
        "note_call": "outcomes.record_answer",
        "correct": "outcomes.correct_answer",
        "why": "outcomes.view_checkin",
    }
    may_refuse = {"answer": [409]}

    @extend_schema(request=AnswerInput, responses={201: CheckInToDoSerializer, 200: CheckInToDoSerializer})
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: int) -> Response:
        """Record the patient's answer on their behalf.

        The same answer once more changes nothing (200), but adds a remark that the first came without. A different
        one is refused with 409, code `answered_already`, and another remark with `other_remark`: the first stands.
        """
        check_in = self.get_object()
        inputs, now = self.inputs(AnswerInput), timezone.now()
        with named_as_sent():
            given = services.record_answer(
                check_in.pk,
                values=figures(inputs),
                remark=inputs.get("remark", ""),
                channel=inputs["channel"],
                language=inputs.get("language", check_in.follow_up.patient.language),
                answered_by=inputs["answered_by"],
                by=self.user,
                now=now,
            )
        made = given.answered_at == now and given.recorded_by_id == self.user.pk
        return self.shown(check_in.pk, status=201 if made else 200)

    @extend_schema(request=CorrectionInput, responses=CheckInToDoSerializer)
    @action(detail=True, methods=["post"])
    def correct(self, request: Request, pk: int) -> Response:
        """Put other figures in the place of the answer's. Those before stay, as an earlier version.

        `score` and `values` are the whole of what counts from then on: a figure that is not sent is taken out.
        """
        check_in = self.get_object()
        given: Answer | None = getattr(check_in, "answer", None)
        inputs = self.inputs(CorrectionInput)
        if given is None:
            raise Refusal("There is no answer yet that could be corrected.", code="no_answer", field="score")
        with named_as_sent():
            services.correct_answer(
                given.pk, values=figures(inputs), reason=inputs["reason"], by=self.user, now=timezone.now()
            )
        return self.shown(check_in.pk)

    @extend_schema(request=CallInput, responses={201: ContactSerializer, 200: ContactSerializer})
    @action(detail=True, methods=["post"], url_path="call")
    def note_call(self, request: Request, pk: int) -> Response:
        """Write down a call that brought no answer, and when to call next.

        Nobody answered: again on the next working day at the same hour, at most three times in all. The same once more
        changes nothing (200). With an answer, record it instead: with the channel `phone` it is a call as well.
        The ETag is that of the check-in.
        """
        check_in = self.get_object()
        inputs, now = self.inputs(CallInput), timezone.now()
        attempt = services.note_call(check_in.pk, **inputs, by=self.user, now=now)
        headers = {"ETag": tag_of(self.told(self.get_queryset().get(pk=check_in.pk)))}
        status = 201 if attempt.at == now else 200
        return Response(ContactSerializer(attempt).data, status=status, headers=headers)

    @extend_schema(responses=WhySerializer)
    @action(detail=True, methods=["get"])
    def why(self, request: Request, pk: int) -> Response:
        """Why a check-in is as it is: by which rule it was planned, what was sent or not, and what came back.

        The sentences can be read out to a patient who says that nothing came. That you looked is written down.
        """
        check_in = self.get_object()
        patients.record_page_view(check_in.follow_up.patient, by=self.user, now=timezone.now())
        given: Answer | None = getattr(check_in, "answer", None)
        told = {"facts": why(check_in.pk), "versions": versions_of(given) if given else []}
        return Response(WhySerializer(told).data)
