"""The worklists as JSON: follow-ups that want somebody, the most urgent first."""

from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import NumberQuery, YesNoQuery
from clinic.api.viewsets import SiteScopedViewSet
from outcomes import services
from outcomes.api.check_ins import PatientToCallSerializer
from outcomes.api.follow_up_inputs import PERFORMED, PerformedQuery
from outcomes.api.follow_ups import FollowUpSerializer
from outcomes.api.relief_ends import EndedSerializer, ended, last_answer, summary
from outcomes.models import FollowUp
from outcomes.relief import Verdict
from outcomes.reports import WORKLISTS
from outcomes.reports.worklists import ORDER
from patients.models import with_caregivers

CODE = OpenApiParameter(
    "code",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    enum=list(WORKLISTS),
    description="Which list. Any other is 404.",
)


class ToDoSerializer(FollowUpSerializer):
    """A follow-up that wants somebody, with what the lists are in order of.

    `losing_early` by `lost_percent`, the smallest first; `loss_of_effect` and `due_for_repeat` by the day on which
    relief was gone, so many days after `performed_at` as `ended.ended_by` says, the longest ago first; `pain_back` by
    when it was said, the longest ago first; `no_relief` by `performed_at`, the longest ago first; `silent` by
    `last_answer`, null first; `trials_without_end` by `performed_at`. Of equal ones then by `performed_at`.
    """

    patient = PatientToCallSerializer()
    confirmed = serializers.SerializerMethodField()
    ended = serializers.SerializerMethodField()
    lost_percent = serializers.SerializerMethodField()
    last_answer = serializers.SerializerMethodField()

    class Meta(FollowUpSerializer.Meta):
        fields = [*FollowUpSerializer.Meta.fields, "confirmed", "ended", "lost_percent", "last_answer"]

    def get_confirmed(self, follow_up: FollowUp) -> bool:
        """Whether what it is on the list for is sure. False: one bad score says that relief is lost, and nothing
        confirms it yet."""
        return follow_up.verdict != Verdict.LOST_UNCONFIRMED

    @extend_schema_field(EndedSerializer(allow_null=True))
    def get_ended(self, follow_up: FollowUp) -> Any:
        """When relief ended."""
        return ended(follow_up)

    def get_lost_percent(self, follow_up: FollowUp) -> int | None:
        """When relief was gone, in percent of the time until its window opens, also by a score that nothing confirms
        yet. Null: not lost."""
        known = summary(follow_up)
        if known is None or not known.window_from:
            return None
        until = known.suspected_until if known.lost_until is None else known.lost_until
        return None if until is None else 100 * until // known.window_from

    def get_last_answer(self, follow_up: FollowUp) -> int | None:
        """Where the last answer lies, in the window's unit after the procedure. Null: there is none."""
        return last_answer(follow_up)


class WorklistQuery(PerformedQuery):
    """What a worklist can be narrowed to."""

    lookups = {
        "site": "procedure__site",
        "procedure_type": "procedure__procedure_type__code",
        **PERFORMED,
    }

    site = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    seen_to = YesNoQuery(
        required=False,
        default=False,
        help_text="Those whose alert somebody has resolved, instead of the list.",
    )

    def narrow(self, rows: Any) -> Any:
        worklist = WORKLISTS[self.context["view"].kwargs["code"]]
        return worklist.part(super().narrow(rows), seen_to=self.validated_data["seen_to"])


@extend_schema_view(list=extend_schema(parameters=[CODE]))
class Worklists(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = FollowUp.objects.none()
    serializer_class = ToDoSerializer
    query_class = WorklistQuery
    ordering = ORDER
    permissions_needed = {"list": "outcomes.view_followup"}

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        worklist = WORKLISTS.get(self.kwargs["code"])
        if worklist is None:
            raise Http404
        return (
            worklist.state(self.user, timezone.now())
            .select_related(
                *("patient", "procedure__procedure_type", "procedure__site", "relief_profile", "summary")
            )
            .prefetch_related("check_ins__answer__measurements", with_caregivers("patient"))
        )

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Running follow-ups that want somebody, the most urgent first.

        `losing_early`: relief was lost, or possibly lost, before its window opens; `confirmed` says whether that is
        sure. `loss_of_effect`: the same later, where no end is expected. `pain_back`: the patient says so, and no score
        does. `no_relief`: there was none by the day on which it was expected. `silent`: two check-ins in a row without
        an answer. `due_for_repeat`: relief was there and is lost, but not early, and nothing is booked yet; whether a
        repeat is justified is for a physician to say. Nobody is on `losing_early` and `due_for_repeat` at once.
        `trials_without_end`: a trial whose longest expected time is over, and nobody has said on which day the lead or
        catheter came out; these need not run any more. With
        `performer=me` they are your patients. That you looked is written down.
        """
        response = super().list(request, *args, **kwargs)
        services.view_report(kwargs["code"], by=self.user, now=timezone.now())
        return response
