"""The waitlist by API: who would come at short notice, put on it, asked again, taken off it and booked from it."""

from typing import Any

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    ChoicesQuery,
    Input,
    NothingInput,
    NumberQuery,
    Query,
    SiteTimeField,
    VisibleField,
    VisibleManyField,
    WholeNumberField,
    YesNoQuery,
    at_site,
)
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet, request_key
from clinic.models import Resource, Site
from patients.api import PatientNameSerializer
from patients.models import Patient
from procedures import services
from procedures.api.appointment_serializers import AppointmentSerializer, ProcedureTypeField
from procedures.api.appointments import Appointments
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.api.closures import ResourceNameSerializer
from procedures.models import WaitlistEntry
from procedures.services.openings import MANAGE
from procedures.services.waitlist import is_stale, stale_when, today_of
from procedures.workflow import BOOK

STATES = [("waiting", "waiting"), ("booked", "booked"), ("withdrawn", "withdrawn")]


class WaitlistEntrySerializer(serializers.ModelSerializer[WaitlistEntry]):
    """A patient who would come at short notice. No `sites`, no `clinicians`: any will do.

    `priority`: 1 urgent, 2 soon, 3 routine. `stale`: it needs to be asked again whether the patient still waits, since
    `stale_on`, a day at the patient's home site. `created_at`: since when the patient waits. `appointment`: the number
    of the one that was booked from it.
    """

    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer()
    sites = SiteNameSerializer(many=True)
    clinicians = ResourceNameSerializer(many=True)
    state = serializers.SerializerMethodField()
    stale = serializers.SerializerMethodField()
    created_by = serializers.CharField(allow_null=True, read_only=True)

    region = serializers.CharField(read_only=True)  # may be empty, which is no slug

    class Meta:
        model = WaitlistEntry
        fields = [
            *("id", "patient", "procedure_type", "intent", "region", "laterality", "sites", "clinicians"),
            *("earliest_on", "notice_hours", "priority", "note", "state", "stale", "stale_on", "created_at"),
            *("created_by", "closed_at", "appointment"),
        ]

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, entry: WaitlistEntry) -> str:
        return entry.closed_reason or "waiting"

    def get_stale(self, entry: WaitlistEntry) -> bool:
        return is_stale(entry, now=self.context["now"])


class WaitlistInput(Input):
    """What a patient waits for. Left out: any site, any clinician, from today on, a day's notice, routine.

    `intent` may be left out where the procedure type leaves no choice.
    """

    patient = VisibleField(queryset=Patient.objects.select_related("site"))
    procedure_type = ProcedureTypeField()
    intent = serializers.ChoiceField(WaitlistEntry.intent.field.choices or [], required=False)
    region = serializers.SlugField(required=False, allow_blank=True)
    laterality = serializers.ChoiceField(
        WaitlistEntry.laterality.field.choices or [], required=False, allow_blank=True
    )
    sites = VisibleManyField(queryset=Site.objects.all(), required=False)
    clinicians = VisibleManyField(
        queryset=Resource.objects.prefetch_related("categories", "working_hours"), required=False
    )
    earliest_on = serializers.DateField(required=False, help_text="Not before this day. Today unless told.")
    notice_hours = WholeNumberField(
        required=False,
        min_value=0,
        max_value=32_767,
        help_text="How long before a time the patient must be told. 24 unless told.",
    )
    priority = serializers.ChoiceField(WaitlistEntry.Priority.choices, required=False)
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)
    stale_on = serializers.DateField(
        required=False,
        help_text="From when on to ask again. Unless told, 60 days after the first possible one.",
    )


class BookFromWaitlistInput(Input):
    """Where and when; `resources` as in a booking. Without them, a clinician whom the patient accepts is taken."""

    site = VisibleField(queryset=Site.objects.all())
    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    resources = VisibleManyField(queryset=Resource.objects.all(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | {"starts_at": at_site(attrs["starts_at"], attrs["site"].zone, field="starts_at")}


class WaitlistQuery(Query):
    """What the waitlist can be narrowed to."""

    lookups = {"patient": "patient", "procedure_type": "procedure_type__code", "stale": "stale"}

    state = ChoicesQuery([*STATES, ("all", "all")], default=["waiting"], help_text="`waiting` unless told.")
    site = NumberQuery(help_text="Whose patient would come to this site: names it, or no site at all.")
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    patient = NumberQuery()
    stale = YesNoQuery(required=False, help_text="To be asked again, or not.")

    def narrow(self, rows: Any) -> Any:
        rows, asked = super().narrow(rows), self.validated_data
        if "all" not in asked["state"]:
            rows = rows.filter(
                closed_reason__in=["" if state == "waiting" else state for state in asked["state"]]
            )
        if "site" in asked:
            rows = rows.filter(Q(sites=None) | Q(sites=asked["site"]))
        return rows


def booked(view: SiteScopedViewSet, request: Request, entry: WaitlistEntry, **where: Any) -> Response:
    """The answer of booking `entry`: 201 with the appointment, 200 when the same request had booked it before."""
    appointment = services.book_from_waitlist(
        entry.pk, **where, by=view.user, now=timezone.now(), request_key=request_key(request)
    )
    shown = Appointments.queryset.get(pk=appointment.pk)
    data = AppointmentSerializer(shown, context=view.get_serializer_context()).data
    return Response(data, status=200 if entry.closed_at else 201)


@extend_schema_view(
    list=extend_schema(
        description="The waitlist. By priority; within each those to be asked again last; then by waiting time."
    ),
    retrieve=extend_schema(description="One entry of the waitlist, open or closed."),
)
class Waitlist(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = WaitlistEntry.objects.select_related(
        "patient__site", "procedure_type", "created_by"
    ).prefetch_related("sites", "clinicians")
    serializer_class = WaitlistEntrySerializer
    query_class = WaitlistQuery
    ordering = ("priority", "stale", "created_at", "pk")
    know_their_keys = frozenset({"book"})
    permissions_needed = {
        "list": "procedures.view_waitlistentry",
        "retrieve": "procedures.view_waitlistentry",
        "create": MANAGE,
        "withdraw": MANAGE,
        "still_waiting": MANAGE,
        "book": (MANAGE, BOOK),
    }
    may_refuse = {"create": [409], "withdraw": [409], "still_waiting": [409], "book": [409]}

    def get_queryset(self) -> Any:
        return super().get_queryset().annotate(stale=stale_when(timezone.now()))

    @extend_schema(request=WaitlistInput, responses={201: WaitlistEntrySerializer})
    def create(self, request: Request) -> Response:
        """Put a patient on the waitlist.

        Refuses with 409, code `already_waiting`, when the patient waits for the same already.
        """
        inputs, now = self.inputs(WaitlistInput), timezone.now()
        sites, clinicians = inputs.pop("sites", ()), inputs.pop("clinicians", ())
        entry = WaitlistEntry(**inputs)
        entry.earliest_on = entry.earliest_on or today_of(entry, now)
        services.join_waitlist(entry, sites=sites, clinicians=clinicians, by=self.user, now=now)
        return self.shown(entry.pk, status=201)

    @extend_schema(request=NothingInput, responses=WaitlistEntrySerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: int) -> Response:
        """Take a patient off the waitlist. Once more is refused, code `not_waiting`."""
        return self.act(services.withdraw)

    @extend_schema(request=NothingInput, responses=WaitlistEntrySerializer)
    @action(detail=True, methods=["post"], url_path="still-waiting")
    def still_waiting(self, request: Request, pk: int) -> Response:
        """The patient was asked and still waits: they are asked again in 60 days."""
        return self.act(services.still_waiting)

    @extend_schema(
        request=BookFromWaitlistInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
    )
    @action(detail=True, methods=["post"])
    def book(self, request: Request, pk: int) -> Response:
        """Book a waiting patient at a time of your choice; they are off the waitlist with it, both or neither.

        With an `Idempotency-Key` the same request can be sent again: 200 and the appointment that it made. Without one
        the second is refused with 409, code `not_waiting`.
        """
        entry = self.get_object()
        return booked(self, request, entry, **self.inputs(BookFromWaitlistInput))
