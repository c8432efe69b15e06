"""Whom to telephone about which check-in."""

from typing import Any

from django.db.models import Prefetch
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers

from clinic.api.fields import NumberQuery, Query
from clinic.api.viewsets import SiteScopedViewSet
from outcomes.api.check_ins import CheckInToDoSerializer
from outcomes.models import CheckIn, ContactAttempt
from outcomes.services.calls import tries
from patients.models import with_caregivers


class ToCallSerializer(CheckInToDoSerializer):
    """A check-in about which somebody should telephone.

    `call_at`: since when. `tries`: calls that nobody answered. `reminders`: e-mails that were not answered, besides the
    invitation. Where no e-mail could be sent, `not_sent_reason` says why.
    """

    tries = serializers.SerializerMethodField()

    class Meta(CheckInToDoSerializer.Meta):
        fields = [*CheckInToDoSerializer.Meta.fields, "call_at", "tries", "reminders"]

    def get_tries(self, check_in: CheckIn) -> int:
        return tries(vars(check_in)["calls"])


class CallQuery(Query):
    """What the list of calls can be narrowed to."""

    lookups = {"site": "follow_up__procedure__site", "patient": "follow_up__patient"}

    site = NumberQuery()
    patient = NumberQuery()


@extend_schema_view(
    list=extend_schema(
        description="Whom to telephone now at your sites, whose time runs out first at the top."
    ),
)
class Calls(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = CheckIn.objects.select_related(
        "follow_up__patient", "follow_up__procedure__procedure_type", "follow_up__procedure__site", "answer"
    ).prefetch_related(
        "answer__measurements",
        with_caregivers("follow_up__patient"),
        Prefetch(
            "contact_attempts",
            ContactAttempt.objects.filter(kind=ContactAttempt.Kind.CALL).order_by("id"),
            to_attr="calls",
        ),
    )
    serializer_class = ToCallSerializer
    query_class = CallQuery
    ordering = ("closes_at", "pk")
    permissions_needed = {"list": "outcomes.record_answer"}

    def get_queryset(self) -> Any:
        return super().get_queryset().to_call(timezone.now())
