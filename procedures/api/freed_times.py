"""Times that came free by API, each with those whom it would suit; booked for one of them, or dismissed."""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    ChoicesQuery,
    Input,
    LocalTimeField,
    NothingInput,
    NumberQuery,
    Query,
    VisibleField,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from clinic.models import User
from procedures import services
from procedures.api.appointment_serializers import AppointmentSerializer
from procedures.api.closures import ResourceNameSerializer
from procedures.api.waitlist import WaitlistEntrySerializer, booked
from procedures.models import Appointment, FreedTime, WaitlistEntry
from procedures.services.openings import MANAGE, partly_taken
from procedures.workflow import BOOK

STATES = [(name, name) for name in ("open", "filled", "dismissed", "passed")]


class FreedTimeSerializer(serializers.ModelSerializer[FreedTime]):
    """A time that an appointment gave back. Instants are UTC; `*_local` are the same on the site's wall clock.

    `appointment`: the number of the one that gave it back. `resources`: what that had held. `taken_again`: some of it
    is held by somebody else by now. `created_at`: since when it is free.
    """

    site = SiteNameSerializer()
    starts_at_local = LocalTimeField()
    ends_at_local = LocalTimeField()
    resources = serializers.SerializerMethodField()
    taken_again = serializers.BooleanField()
    state = serializers.SerializerMethodField()
    closed_by = serializers.CharField(allow_null=True, read_only=True)

    class Meta:
        model = FreedTime
        fields = [
            *("id", "site", "starts_at", "ends_at", "starts_at_local", "ends_at_local", "appointment"),
            *("resources", "taken_again", "state", "created_at", "closed_at", "closed_by"),
        ]

    @extend_schema_field(ResourceNameSerializer(many=True))
    def get_resources(self, freed: FreedTime) -> Any:
        held = {
            reservation.resource_id: reservation.resource
            for reservation in freed.appointment.reservations.all()
        }
        return ResourceNameSerializer([*held.values()], many=True).data

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, freed: FreedTime) -> str:
        # The tick closes what has begun within the minute.
        return freed.closed_reason or ("open" if freed.starts_at > self.context["now"] else "passed")


class BookedAlreadySerializer(serializers.Serializer[Appointment]):
    """An appointment that the patient has already. `id` null: at a site that is not yours."""

    id = serializers.SerializerMethodField()
    starts_at = serializers.DateTimeField()
    starts_at_local = LocalTimeField()

    def get_id(self, appointment: Appointment) -> int | None:
        return appointment.pk if appointment.pk in self.context["visible"] else None


class MatchSerializer(serializers.Serializer[Any]):
    """A waiting patient whom the time would suit. `reasons`: why, a clause each. `clinicians`: who would treat them.

    `ask_again_since`: since this day it is unsure whether they still wait; null while it is sure. `booked_already`:
    their next appointment for the same procedure type, which this one would come before or replace; null: none.
    """

    entry = WaitlistEntrySerializer()
    reasons = serializers.ListField(child=serializers.CharField())
    clinicians = serializers.ListField(child=serializers.CharField())
    ask_again_since = serializers.DateField(allow_null=True)
    booked_already = BookedAlreadySerializer(allow_null=True)


class FreedTimeWithMatchesSerializer(FreedTimeSerializer):
    """A freed time with those whom it would suit, best first, at most 20; none once it is closed or has begun."""

    matches = serializers.SerializerMethodField()

    class Meta(FreedTimeSerializer.Meta):
        fields = [*FreedTimeSerializer.Meta.fields, "matches"]

    @extend_schema_field(MatchSerializer(many=True))
    def get_matches(self, freed: FreedTime) -> Any:
        user, now = self.context["request"].user, self.context["now"]
        found = services.matches(freed, by=user, now=now)
        context = {**self.context, "visible": visible(user, found)}
        return MatchSerializer(found, many=True, context=context).data


def visible(user: User, found: Iterable[services.Match]) -> set[int]:
    """The numbers of the appointments that matches have already, as far as `user` may see them."""
    numbers = {match.booked_already.pk for match in found if match.booked_already}
    if not numbers:
        return set()
    return set(Appointment.objects.visible_to(user).filter(pk__in=numbers).values_list("pk", flat=True))


class FreedTimeQuery(Query):
    """What a list of freed times can be narrowed to."""

    lookups = {"site": "site"}

    state = ChoicesQuery([*STATES, ("all", "all")], default=["open"], help_text="`open` unless told.")
    site = NumberQuery()

    def narrow(self, rows: Any) -> Any:
        rows, states = super().narrow(rows), self.validated_data["state"]
        if "all" in states:
            return rows
        chosen = [in_state(FreedTime.objects.all(), state, now=self.context["now"]) for state in states]
        return rows.filter(reduce(or_, (Q(pk__in=part.values("pk")) for part in chosen)))


def in_state(rows: "QuerySet[FreedTime]", state: str, *, now: datetime) -> "QuerySet[FreedTime]":
    """Those of `rows` that FreedTimeSerializer shows in `state`."""
    if state == "open":
        return rows.filter(closed_at=None, starts_at__gt=now)
    begun = Q(closed_at=None, starts_at__lte=now) if state == "passed" else Q(pk__in=[])
    return rows.filter(Q(closed_reason=state) | begun)


class BookFreedInput(Input):
    """Who gets it: the number of an entry of the waitlist."""

    entry = VisibleField(queryset=WaitlistEntry.objects.all())


@extend_schema_view(
    list=extend_schema(description="Times at your sites that appointments gave back, by their start."),
    retrieve=extend_schema(
        description="One freed time, with the waiting patients whom it would suit, best first.",
        responses=FreedTimeWithMatchesSerializer,
    ),
)
class FreedTimes(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = (
        FreedTime.objects.select_related("site", "appointment", "closed_by")
        .prefetch_related("appointment__reservations__resource")
        .annotate(taken_again=partly_taken())
    )
    serializer_class = FreedTimeSerializer
    detail_serializer_class = FreedTimeWithMatchesSerializer
    query_class = FreedTimeQuery
    ordering = ("starts_at", "pk")
    know_their_keys = frozenset({"book"})
    permissions_needed = {
        "list": "procedures.view_freedtime",
        "retrieve": ("procedures.view_freedtime", "procedures.view_waitlistentry"),
        "dismiss": MANAGE,
        "book": (MANAGE, BOOK),
    }
    may_refuse = {"dismiss": [409], "book": [409]}

    @extend_schema(request=NothingInput, responses=FreedTimeWithMatchesSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: int) -> Response:
        """Dismiss a freed time, so that it is offered to nobody. A second call is refused, code `freed_time_closed`."""
        return self.act(services.dismiss_freed)

    @extend_schema(
        request=BookFreedInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
    )
    @action(detail=True, methods=["post"])
    def book(self, request: Request, pk: int) -> Response:
        """Book a waiting patient into a freed time: it is filled and they are off the waitlist, all or nothing.

        With an `Idempotency-Key` the same request can be sent again: 200 and the appointment that it made. Whoever is
        slower is refused with 409, code `freed_time_closed`, `not_waiting` or `taken`.
        """
        freed = self.get_object()
        entry = self.inputs(BookFreedInput)["entry"]
        return booked(self, request, entry, freed_id=freed.pk)
