"""Follow-ups: what each shows against its window, and its whole course."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    LocalTimeField,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from clinic.refusals import Refusal
from outcomes import services
from outcomes.api.answers import MeasurementSerializer, item_of, measurements, scores, threshold
from outcomes.api.check_ins import CheckInSerializer, CheckInToDoSerializer
from outcomes.api.follow_up_inputs import (
    ConsistentInput,
    EndInput,
    EndTrialInput,
    FollowUpQuery,
    NotConfoundedInput,
    PainReportInput,
    ResumeInput,
)
from outcomes.api.follow_up_results import (
    DiarySerializer,
    ResponderSerializer,
    TrialSerializer,
    WindowSerializer,
)
from outcomes.api.relief_ends import EndedSerializer, ended, last_answer
from outcomes.models import FollowUp, VerdictChange
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import ENDED_ON, PAIN_NOW
from outcomes.relief import LOW_BASELINE, responders
from outcomes.services.courses import in_minutes, window_of_test
from patients import services as patients
from patients.api import PatientNameSerializer
from procedures.api.catalogue import ProcedureTypeNameSerializer


class VerdictChangeSerializer(serializers.ModelSerializer[VerdictChange]):
    """A verdict became another one. `previous` is empty for the first."""

    class Meta:
        model = VerdictChange
        fields = ["at", "previous", "verdict", "reason"]


#: What a baseline is good for.
BASELINE_STATUSES = ["known", "low_baseline", "baseline_zero", "baseline_missing"]


class FollowUpSerializer(serializers.ModelSerializer[FollowUp]):
    """The course after one procedure, and what it shows.

    `verdict_reason` says why, in a sentence. `judged_as` says by which rules. `threshold_percent`: at least so much
    less pain than `baseline_pain` counts, null of upkeep. `baseline_status`: whether relief can be computed from it; of
    a low one, below 4, one point is a quarter or more. `last_measurement` is null until there is one; `closed_at` is
    null while the course runs; `ended_by` is the follow-up of the procedure that ended this one, `confounded_by` the
    other one that makes this one unreadable.
    """

    procedure = serializers.IntegerField(source="procedure_id")
    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer(source="procedure.procedure_type")
    site = SiteNameSerializer(source="procedure.site")
    performed_at = serializers.DateTimeField(source="procedure.performed_at")
    performed_at_local = LocalTimeField(source="procedure")
    performer = serializers.IntegerField(source="procedure.performer_id", allow_null=True)
    region = serializers.CharField(source="procedure.region")
    laterality = serializers.CharField(source="procedure.laterality")
    levels = serializers.CharField(source="procedure.levels")
    baseline_pain = serializers.IntegerField(source="procedure.baseline_pain", allow_null=True)
    baseline_status = serializers.SerializerMethodField()
    judged_as = serializers.ChoiceField([kind.value for kind in JudgedAs])
    relief_window = serializers.SerializerMethodField()
    threshold_percent = serializers.SerializerMethodField()
    last_measurement = serializers.SerializerMethodField()

    class Meta:
        model = FollowUp
        fields = [
            *("id", "procedure", "patient", "procedure_type", "site", "performed_at", "performed_at_local"),
            *(
                "performer",
                "region",
                "laterality",
                "levels",
                "judged_as",
                "verdict",
                "verdict_reason",
                "judged_at",
            ),
            *("baseline_pain", "baseline_status", "relief_window", "threshold_percent", "last_measurement"),
            *("opened_at", "closed_at", "closed_reason", "ended_by", "confounded_by"),
        ]

    @extend_schema_field({"type": "string", "enum": BASELINE_STATUSES})
    def get_baseline_status(self, follow_up: FollowUp) -> str:
        baseline = follow_up.procedure.baseline_pain
        if baseline is None:
            return "baseline_missing"
        if baseline == 0:
            return "baseline_zero"
        return "low_baseline" if baseline < LOW_BASELINE else "known"

    def get_threshold_percent(self, follow_up: FollowUp) -> int | None:
        return None if follow_up.judged_as == JudgedAs.UPKEEP else threshold(follow_up)

    @extend_schema_field(WindowSerializer(allow_null=True))
    def get_relief_window(self, follow_up: FollowUp) -> Any:
        """Null of a trial and of upkeep, which promise no relief that lasts."""
        if follow_up.judged_as in (JudgedAs.TRIAL, JudgedAs.UPKEEP):
            return None
        profile, minutes = follow_up.relief_profile, in_minutes(follow_up)
        days = (profile.window_from_days, profile.window_until_days)
        earliest, latest = window_of_test(profile) if minutes else days
        return {
            "unit": "minute" if minutes else "day",
            "earliest": earliest,
            "latest": latest,
            "ongoing": profile.ongoing and not minutes,
            "evaluate_after": 0 if minutes else profile.evaluate_after_days,
        }

    @extend_schema_field(MeasurementSerializer(allow_null=True))
    def get_last_measurement(self, follow_up: FollowUp) -> Any:
        last = next(reversed(measurements(follow_up)), None)
        return MeasurementSerializer(last).data if last else None


class FollowUpCourseSerializer(FollowUpSerializer):
    """A follow-up with its whole course: every measurement, check-in and change of verdict, each in order of time.

    `diary` is null for all but tests, and without a baseline above 0; so is `trial` for all but trials.
    `duration_consistent_with_agent` is a clinician's answer about a test, null while nobody has said it. `responder` is
    null of all but treatments; so is `relief_ended`, and while nothing can be told of it: without a baseline above 0,
    confounded, or not judged yet.
    """

    measurements = serializers.SerializerMethodField()
    check_ins = CheckInSerializer(many=True)
    verdict_changes = VerdictChangeSerializer(many=True)
    diary = serializers.SerializerMethodField()
    trial = serializers.SerializerMethodField()
    responder = serializers.SerializerMethodField()
    relief_ended = serializers.SerializerMethodField()
    last_answer = serializers.SerializerMethodField()
    scores_by_caregiver = serializers.SerializerMethodField()
    duration_consistent_with_agent = serializers.BooleanField(source="consistent_with_agent", allow_null=True)

    class Meta(FollowUpSerializer.Meta):
        fields = [
            *FollowUpSerializer.Meta.fields,
            *(
                "measurements",
                "responder",
                "relief_ended",
                "last_answer",
                "check_ins",
                "verdict_changes",
                "diary",
                "trial",
                "scores_by_caregiver",
            ),
            "duration_consistent_with_agent",
        ]

    @extend_schema_field(DiarySerializer(allow_null=True))
    def get_diary(self, follow_up: FollowUp) -> Any:
        result = services.diary_result(follow_up)
        return DiarySerializer(result).data if result else None

    @extend_schema_field(TrialSerializer(allow_null=True))
    def get_trial(self, follow_up: FollowUp) -> Any:
        """Null for all but trials, and without a baseline above 0."""
        found = services.trial_of(follow_up)
        if found is None or found.result is None:
            return None
        result = found.result
        known = {
            **{name: getattr(result, name) for name in ("outcome", "days", "known", "relief")},
            **{name: getattr(found, name) for name in ("days_percent", "ended_on")},
            **{name: getattr(found, name) for name in ("peg_before", "peg_last", "medicine_last")},
        }
        return TrialSerializer(known).data

    @extend_schema_field(ResponderSerializer(allow_null=True))
    def get_responder(self, follow_up: FollowUp) -> Any:
        """Null of all but treatments."""
        if follow_up.judged_as != JudgedAs.TREATMENT:
            return None
        given = max(scores(follow_up), key=lambda pair: pair[0].answered_at, default=None)
        pgic = item_of(given[0], "pgic", "change") if given else None
        found = responders(
            follow_up.procedure.baseline_pain,
            given[1] if given else None,
            pgic,
            percent=threshold(follow_up),
        )
        return ResponderSerializer(found).data

    @extend_schema_field(EndedSerializer(allow_null=True))
    def get_relief_ended(self, follow_up: FollowUp) -> Any:
        return ended(follow_up)

    def get_scores_by_caregiver(self, follow_up: FollowUp) -> int:
        """How many of `measurements` a caregiver named in the patient's place; they count for the verdict."""
        return sum(answer.by_caregiver for answer, _score in scores(follow_up))

    def get_last_answer(self, follow_up: FollowUp) -> int | None:
        """Where the last answer lies, in the window's unit after the procedure. Null: there is none."""
        return last_answer(follow_up)

    @extend_schema_field(MeasurementSerializer(many=True))
    def get_measurements(self, follow_up: FollowUp) -> Any:
        return MeasurementSerializer(measurements(follow_up), many=True).data


@extend_schema_view(
    list=extend_schema(description="Follow-ups of procedures performed at your sites, latest first."),
)
class FollowUps(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = FollowUp.objects.select_related(
        "patient", "procedure__procedure_type", "procedure__site", "relief_profile"
    ).prefetch_related("check_ins__answer__measurements")
    serializer_class = FollowUpSerializer
    detail_serializer_class = FollowUpCourseSerializer
    query_class = FollowUpQuery
    ordering = ("-pk",)
    permissions_needed = {
        "list": "outcomes.view_followup",
        "retrieve": "outcomes.view_followup",
        "end": "procedures.perform_procedure",
        "resume": "procedures.perform_procedure",
        "tell_apart": "procedures.perform_procedure",
        "duration": "procedures.perform_procedure",
        "end_trial": "procedures.perform_procedure",
        "report_pain": "outcomes.record_answer",
    }

    @extend_schema(responses=FollowUpCourseSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One follow-up with its whole course. That you looked at the patient's data is written down."""
        follow_up = self.get_object()
        patients.record_page_view(follow_up.patient, by=self.user, now=timezone.now())
        return self.show(follow_up)

    @extend_schema(request=EndInput, responses=FollowUpCourseSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: int) -> Response:
        """End a follow-up: the patient chose other care, another clinic treats them, or the device was taken out.

        Nothing more is asked.
        """
        follow_up = self.get_object()
        services.end_follow_up(follow_up.pk, **self.inputs(EndInput), by=self.user, now=timezone.now())
        return self.shown(follow_up.pk)

    @extend_schema(request=ResumeInput, responses=FollowUpCourseSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Let a follow-up go on that was ended by mistake, or whose patient has come back, for a reason."""
        follow_up = self.get_object()
        services.resume_follow_up(follow_up.pk, **self.inputs(ResumeInput), by=self.user, now=timezone.now())
        return self.shown(follow_up.pk)

    @extend_schema(request=ConsistentInput, responses=FollowUpCourseSerializer)
    @action(detail=True, methods=["post"])
    def duration(self, request: Request, pk: int) -> Response:
        """Say whether the relief of a test lasted as long as the agent that was injected works."""
        follow_up = self.get_object()
        services.record_consistent_duration(
            follow_up.pk, **self.inputs(ConsistentInput), by=self.user, now=timezone.now()
        )
        return self.shown(follow_up.pk)

    @extend_schema(request=EndTrialInput, responses=FollowUpCourseSerializer)
    @action(detail=True, methods=["post"], url_path="end-trial")
    def end_trial(self, request: Request, pk: int) -> Response:
        """Say on which day the lead or catheter of a trial came out; another day later corrects it.

        Refuses with `not_a_trial`, `before_procedure` and `in_the_future`.
        """
        follow_up = self.get_object()
        services.end_trial(follow_up.pk, **self.inputs(EndTrialInput), by=self.user, now=timezone.now())
        return self.shown(follow_up.pk)

    @extend_schema(request=NotConfoundedInput, responses=FollowUpCourseSerializer)
    @action(detail=True, methods=["post"], url_path="tell-apart")
    def tell_apart(self, request: Request, pk: int) -> Response:
        """Have a confounded follow-up judged all the same, for a reason: the other procedure does not blur it."""
        follow_up = self.get_object()
        services.clear_confounding(
            follow_up.pk, **self.inputs(NotConfoundedInput), by=self.user, now=timezone.now()
        )
        return self.shown(follow_up.pk)

    @extend_schema(
        request=PainReportInput, responses={201: CheckInToDoSerializer, 200: CheckInToDoSerializer}
    )
    @action(detail=True, methods=["post"], url_path="pain-reports")
    def report_pain(self, request: Request, pk: int) -> Response:
        """Write down that a patient says, without being asked, that the pain is back.

        A bad score after relief is a loss by the patient's own word; anything else is a question to staff, and raises
        the alert `pain_back`. The same once more on the same day changes nothing (200). Refuses with `closed` when the
        course has ended, and with `not_possible` for a test.
        """
        follow_up = self.get_object()
        inputs, now = self.inputs(PainReportInput), timezone.now()
        procedure, since = follow_up.procedure, inputs.get("since")
        day_zero = procedure.performed_at.astimezone(procedure.site.zone).date()
        try:
            given = services.report_pain(
                follow_up.pk,
                pain=inputs["score"],
                ended_on=None if since is None else (since - day_zero).days,
                remark=inputs.get("remark", ""),
                channel=inputs["channel"],
                language=inputs.get("language", follow_up.patient.language),
                answered_by=inputs["answered_by"],
                by=self.user,
                now=now,
            )
        except Refusal as refusal:
            named = {PAIN_NOW: "score", ENDED_ON: "since"}.get(refusal.field or "", refusal.field)
            raise Refusal(" ".join(refusal.messages), code=str(refusal.code), field=named) from None
        made = given.answered_at == now and given.recorded_by_id == self.user.pk
        return Response(CheckInToDoSerializer(given.check_in).data, status=201 if made else 200)
