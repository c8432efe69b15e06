"""Follow-ups with their verdicts, and check-ins, for physicians and nurses."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import Input, InstantField, NumberQuery, Query, on_the_wall
from clinic.api.rows import VisibleRows
from clinic.api.views import SiteNameSerializer
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import VERDICTS, Answer, CheckIn, FollowUp, VerdictChange
from outcomes.questions import PAIN_NOW as PAIN
from outcomes.relief import meets, percent_relief
from outcomes.services.judging import PAIN_NOW, felt_at, in_minutes, position
from patients import services as patients
from patients.api import PatientNameSerializer
from patients.models import Patient
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.api.schedule import ScoreField


class WindowSerializer(serializers.Serializer[dict[str, Any]]):
    """When relief is expected to end: from `earliest` to `latest`, counted from the procedure in `unit`."""

    unit = serializers.ChoiceField(["day", "minute"], help_text="Days are calendar days at the site.")
    earliest = serializers.IntegerField()
    latest = serializers.IntegerField()
    ongoing = serializers.BooleanField(help_text="No end is expected; `latest` is how far ahead is looked.")
    evaluate_after = serializers.IntegerField(help_text="A bad score before that is a flare, not a failure.")


class MeasurementSerializer(serializers.Serializer[Any]):
    """The pain that a patient named, 0–10, so many of the window's units after the procedure.

    `percent_relief` against the baseline, negative when worse; it and `in_relief` are null where no baseline above 0
    is known.
    """

    after = serializers.IntegerField()
    answered_at = serializers.DateTimeField()
    score = serializers.IntegerField()
    percent_relief = serializers.IntegerField(allow_null=True)
    in_relief = serializers.BooleanField(allow_null=True)
    channel = serializers.ChoiceField(Answer.Channel.choices)
    check_in = serializers.IntegerField()


class ShareSerializer(serializers.Serializer[Any]):
    """Of the first `of_minutes` after the procedure: how many were in relief, and how many have no entry."""

    of_minutes = serializers.IntegerField()
    relief_minutes = serializers.IntegerField()
    unknown_minutes = serializers.IntegerField()
    percent = serializers.IntegerField(help_text="`relief_minutes` in percent, cut towards 0.")


class DiarySerializer(serializers.Serializer[Any]):
    """What the diary of a diagnostic block shows, at the relief that counts.

    `shares` of the shortest and of the longest time that the anaesthetic is expected to work. `two_in_a_row`: relief at
    two planned hours in a row within it. `medicine_by`: minutes after the procedure by which pain medicine had been
    taken, null when none was. `entries` and `late` are counts.
    """

    shares = ShareSerializer(many=True)
    two_in_a_row = serializers.BooleanField()
    medicine_by = serializers.IntegerField(allow_null=True)
    entries = serializers.IntegerField()
    late = serializers.IntegerField()


class VerdictChangeSerializer(serializers.ModelSerializer[VerdictChange]):
    """A verdict became another one. `previous` is empty for the first."""

    class Meta:
        model = VerdictChange
        fields = ["at", "previous", "verdict", "reason"]


class AnswerSerializer(serializers.ModelSerializer[Answer]):
    """What came back. `recorded_by`: the member of staff who entered it, null when the patient did."""

    score = serializers.SerializerMethodField()

    class Meta:
        model = Answer
        fields = ["score", "channel", "answered_at", "recorded_by"]

    def get_score(self, answer: Answer) -> int | None:
        return pain_now(answer)


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


class FollowUpSerializer(serializers.ModelSerializer[FollowUp]):
    """The course after one procedure, and what it shows.

    `verdict_reason` says why, in a sentence. `threshold_percent`: at least so much less pain than `baseline_pain`
    counts as relief. `last_measurement` is null until there is one; `closed_at` is null while the course runs;
    `confounded_by` is the other follow-up that makes this one unreadable.
    """

    procedure = serializers.IntegerField(source="procedure_id")
    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer(source="procedure.procedure_type")
    site = SiteNameSerializer(source="procedure.site")
    performed_at = serializers.DateTimeField(source="procedure.performed_at")
    performed_at_local = serializers.SerializerMethodField()
    performer = serializers.IntegerField(source="procedure.performer_id", allow_null=True)
    region = serializers.CharField(source="procedure.region")
    laterality = serializers.CharField(source="procedure.laterality")
    levels = serializers.CharField(source="procedure.levels")
    baseline_pain = serializers.IntegerField(source="procedure.baseline_pain", allow_null=True)
    relief_window = serializers.SerializerMethodField()
    threshold_percent = serializers.SerializerMethodField()
    last_measurement = serializers.SerializerMethodField()

    class Meta:
        model = FollowUp
        fields = [
            *("id", "procedure", "patient", "procedure_type", "site", "performed_at", "performed_at_local"),
            *("performer", "region", "laterality", "levels", "verdict", "verdict_reason", "judged_at"),
            *("baseline_pain", "relief_window", "threshold_percent", "last_measurement", "opened_at"),
            *("closed_at", "closed_because", "confounded_by"),
        ]

    def get_performed_at_local(self, follow_up: FollowUp) -> str:
        return on_the_wall(follow_up.procedure.performed_at, follow_up.procedure.site.zone)

    def get_threshold_percent(self, follow_up: FollowUp) -> int:
        return threshold(follow_up)

    @extend_schema_field(WindowSerializer)
    def get_relief_window(self, follow_up: FollowUp) -> Any:
        profile, minutes = follow_up.relief_profile, in_minutes(follow_up)
        return {
            "unit": "minute" if minutes else "day",
            "earliest": (profile.window_from_minutes or 0) if minutes else profile.window_from_days,
            "latest": profile.window_until_minutes if minutes else profile.window_until_days,
            "ongoing": profile.ongoing,
            "evaluate_after": 0 if minutes else profile.evaluate_after_days,
        }

    @extend_schema_field(MeasurementSerializer(allow_null=True))
    def get_last_measurement(self, follow_up: FollowUp) -> Any:
        last = next(reversed(measurements(follow_up)), None)
        return MeasurementSerializer(last).data if last else None


class FollowUpCourseSerializer(FollowUpSerializer):
    """A follow-up with its whole course: every measurement, check-in and change of verdict, each in order of time.

    `diary` is null for all but diagnostic blocks, without a baseline above 0, and before its first entry.
    """

    measurements = serializers.SerializerMethodField()
    check_ins = CheckInSerializer(many=True)
    verdict_changes = VerdictChangeSerializer(many=True)
    diary = serializers.SerializerMethodField()

    class Meta(FollowUpSerializer.Meta):
        fields = [*FollowUpSerializer.Meta.fields, "measurements", "check_ins", "verdict_changes", "diary"]

    @extend_schema_field(DiarySerializer(allow_null=True))
    def get_diary(self, follow_up: FollowUp) -> Any:
        result = services.diary_result(follow_up)
        return DiarySerializer(result).data if result else None

    @extend_schema_field(MeasurementSerializer(many=True))
    def get_measurements(self, follow_up: FollowUp) -> Any:
        return MeasurementSerializer(measurements(follow_up), many=True).data


def threshold(follow_up: FollowUp) -> int:
    """The relief that counts, in percent of the baseline."""
    return follow_up.relief_profile.percent_for(follow_up.procedure.intent)


def measurements(follow_up: FollowUp) -> list[dict[str, Any]]:
    """What MeasurementSerializer writes, in order of time. Wants `check_ins__answer__measurements` fetched."""
    procedure, minutes = follow_up.procedure, in_minutes(follow_up)
    baseline = procedure.baseline_pain
    return [
        {
            "after": position(
                felt_at(answer.check_in, answer, procedure.performed_at),
                procedure.performed_at,
                zone=procedure.site.zone,
                minutes=minutes,
            ),
            "answered_at": answer.answered_at,
            "score": score,
            "percent_relief": percent_relief(baseline, score) if baseline else None,
            "in_relief": meets(baseline, score, threshold(follow_up)) if baseline else None,
            "channel": answer.channel,
            "check_in": answer.check_in_id,
        }
        for answer, score in sorted(scores(follow_up), key=lambda pair: pair[0].answered_at)
    ]


def scores(follow_up: FollowUp) -> Iterator[tuple[Answer, int]]:
    """Every answer of the follow-up that holds a pain score, with the score."""
    for check_in in follow_up.check_ins.all():
        answer = getattr(check_in, "answer", None)
        score = pain_now(answer) if answer else None
        if answer and score is not None:
            yield answer, score


def pain_now(answer: Answer) -> int | None:
    """The pain score of an answer, 0–10; None when it holds none."""
    return next(
        (
            one.value
            for one in answer.measurements.all()
            if one.instrument == PAIN_NOW["instrument"] and one.item == PAIN_NOW["item"]
        ),
        None,
    )


class FollowUpQuery(Query):
    """What a list of follow-ups can be narrowed to."""

    lookups = {
        "verdict": "verdict",
        "patient": "patient",
        "site": "procedure__site",
        "procedure_type": "procedure__procedure_type__code",
        "procedure": "procedure",
        "performer": "procedure__performer",
    }

    verdict = serializers.ChoiceField(VERDICTS, required=False)
    patient = NumberQuery()
    site = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    procedure = NumberQuery(help_text="Number of the procedure that is followed.")
    performer = NumberQuery(help_text="Number of a member of staff.")
    open = serializers.BooleanField(required=False, help_text="Whether the course still runs.")

    def narrow(self, rows: Any) -> Any:
        rows = super().narrow(rows)
        if "open" in self.validated_data:
            rows = rows.filter(closed_at__isnull=self.validated_data["open"])
        return rows


@extend_schema_view(
    list=extend_schema(description="Follow-ups of procedures performed at your sites, latest first."),
)
class FollowUps(mixins.ListModelMixin, VisibleRows):
    queryset = FollowUp.objects.select_related(
        "patient", "procedure__procedure_type", "procedure__site", "relief_profile"
    ).prefetch_related("check_ins__answer__measurements")
    serializer_class = FollowUpSerializer
    query_class = FollowUpQuery
    ordering = ("-pk",)
    permissions_needed = {"list": "outcomes.view_followup", "retrieve": "outcomes.view_followup"}

    @extend_schema(responses=FollowUpCourseSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One follow-up with its whole course. That you looked at the patient's data is written down."""
        follow_up = self.get_object()
        patients.read(follow_up.patient, by=self.user, now=timezone.now())
        return Response(FollowUpCourseSerializer(follow_up).data)


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
            values={PAIN: inputs["score"]},
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
