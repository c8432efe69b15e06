"""Appointments and performed procedures: the wire's shape here, the rules in `procedures.services`."""

from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    YEARS,
    Input,
    InstantField,
    NumberQuery,
    Query,
    SiteTimeField,
    VisibleField,
    VisibleManyField,
    at_site,
    on_the_wall,
)
from clinic.api.rows import VisibleRows
from clinic.api.views import SiteNameSerializer
from clinic.models import Resource, Site, User
from clinic.wall_clock import day_span
from patients import services as patients
from patients.api import PatientNameSerializer
from patients.models import Patient
from procedures import services
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.models import Appointment, Procedure, ProcedureType, Reservation
from procedures.services.performing import check_score

#: How a procedure can have gone when it is recorded; that it was entered in error is found out later.
PERFORMED = [
    (status.value, status.label)
    for status in (Procedure.Status.COMPLETED, Procedure.Status.PARTIAL, Procedure.Status.ABORTED)
]


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": 10})
class ScoreField(serializers.Field[int, Any, int, Any]):
    """A pain score, 0 (none) to 10 (worst imaginable): a whole JSON number, else code "score_out_of_range"."""

    def to_internal_value(self, data: Any) -> int:
        check_score(data, field=self.field_name or "")
        assert isinstance(data, int)
        return data

    def to_representation(self, value: int) -> int:
        return value


class ProcedureTypeField(serializers.SlugRelatedField[ProcedureType]):
    """The code of a procedure type; code "unknown_procedure_type" when the catalogue has none such."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="code", queryset=ProcedureType.objects.all(), **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError:
            raise serializers.ValidationError(
                "The catalogue has no such procedure type.", code="unknown_procedure_type"
            ) from None


class ReservationSerializer(serializers.ModelSerializer[Reservation]):
    """One resource that the appointment holds for a while. `released_at`: since when it is free again."""

    name = serializers.CharField(source="resource.name")

    class Meta:
        model = Reservation
        fields = ["resource", "name", "starts_at", "ends_at", "released_at"]


class AppointmentSerializer(serializers.ModelSerializer[Appointment]):
    """An appointment. Instants are UTC; `*_local` are the same on the site's wall clock. It ends with the recovery."""

    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer()
    site = SiteNameSerializer()
    starts_at_local = serializers.SerializerMethodField()
    ends_at_local = serializers.SerializerMethodField()
    reservations = ReservationSerializer(many=True)
    rescheduled_to = serializers.SerializerMethodField()
    procedure = serializers.SerializerMethodField()

    class Meta:
        model = Appointment
        fields = [
            *("id", "patient", "procedure_type", "site", "starts_at", "ends_at", "starts_at_local"),
            *("ends_at_local", "status", "intent", "region", "laterality", "levels", "indication", "note"),
            *("reservations", "rescheduled_from", "rescheduled_to", "procedure", "created_at"),
        ]

    def get_starts_at_local(self, appointment: Appointment) -> str:
        return on_the_wall(appointment.starts_at, appointment.site.zone)

    def get_ends_at_local(self, appointment: Appointment) -> str:
        return on_the_wall(appointment.ends_at, appointment.site.zone)

    def get_rescheduled_to(self, appointment: Appointment) -> int | None:
        later = getattr(appointment, "rescheduled_to", None)
        return later.pk if later else None

    def get_procedure(self, appointment: Appointment) -> int | None:
        performed = getattr(appointment, "procedure", None)
        return performed.pk if performed else None


class ProcedureSerializer(serializers.ModelSerializer[Procedure]):
    """What was performed. `baseline_pain`: 0–10, asked before it; null: nobody asked."""

    patient = PatientNameSerializer()
    procedure_type = ProcedureTypeNameSerializer()
    site = SiteNameSerializer()
    performed_at_local = serializers.SerializerMethodField()
    relief_profile_version = serializers.IntegerField(source="relief_profile.version")

    class Meta:
        model = Procedure
        fields = [
            *("id", "appointment", "patient", "procedure_type", "site", "status", "intent", "performed_at"),
            *("performed_at_local", "performer", "region", "laterality", "levels", "indication"),
            *("baseline_pain", "agent", "complications", "relief_profile_version", "recorded_at"),
        ]

    def get_performed_at_local(self, procedure: Procedure) -> str:
        return on_the_wall(procedure.performed_at, procedure.site.zone)


class BookingInput(Input, serializers.ModelSerializer[Appointment]):
    """An appointment to book. Its end follows from the procedure type.

    `resources`: those that must be taken; for every category without one, any that is free is chosen. `intent` may be
    left out where the procedure type leaves no choice.
    """

    patient = VisibleField(queryset=Patient.objects.all())
    procedure_type = ProcedureTypeField()
    site = VisibleField(queryset=Site.objects.all())
    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    resources = VisibleManyField(queryset=Resource.objects.all(), required=False)

    class Meta:
        model = Appointment
        fields = [
            *("patient", "procedure_type", "site", "starts_at", "intent", "region", "laterality", "levels"),
            *("indication", "note", "resources"),
        ]
        extra_kwargs = {"intent": {"required": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs | {"starts_at": at_site(attrs["starts_at"], attrs["site"].zone, field="starts_at")}


class ReasonInput(Input):
    """Why."""

    reason = serializers.CharField(max_length=500)


class RescheduleInput(Input):
    """The new time; `resources` as in a booking."""

    starts_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    resources = VisibleManyField(queryset=Resource.objects.all(), required=False)


class NothingInput(Input):
    """An action that needs no inputs, and takes none."""


class ColleagueField(VisibleField):
    """The number of a member of staff who works at one of the user's sites."""

    def get_queryset(self) -> Any:
        sites = Site.objects.visible_to(self.context["request"].user)
        return User.objects.filter(is_active=True, sites__in=sites).distinct()


class PerformInput(Input, serializers.ModelSerializer[Procedure]):
    """What was done. `baseline_pain` is the pain now, asked before the procedure; null when nobody asked.

    `region`, `laterality`, `levels` and `indication` are as booked where they are left out.
    """

    performed_at = SiteTimeField(help_text="Without an offset from UTC: on the wall clock of the site.")
    status = serializers.ChoiceField(PERFORMED, required=False, help_text="`completed` unless told.")
    baseline_pain = ScoreField(required=False, allow_null=True)
    performer = ColleagueField(queryset=User.objects.all(), required=False, allow_null=True)

    class Meta:
        model = Procedure
        fields = [
            *("performed_at", "status", "baseline_pain", "performer", "region", "laterality", "levels"),
            *("indication", "agent", "complications"),
        ]


class AppointmentQuery(Query):
    """What a list of appointments can be narrowed to."""

    lookups = {
        "site": "site",
        "starts_from": "starts_at__gte",
        "starts_before": "starts_at__lt",
        "status": "status",
        "patient": "patient",
    }

    site = NumberQuery()
    day = serializers.DateField(
        required=False, help_text="A day on the wall clock of each appointment's site."
    )
    starts_from = InstantField(required=False, help_text="At or after this instant.")
    starts_before = InstantField(required=False, help_text="Before this instant.")
    status = serializers.ChoiceField(Appointment.Status.choices, required=False)
    patient = NumberQuery()
    physician = NumberQuery(
        help_text="Number of a member of staff who is reserved, as `me` and `resources` show it."
    )
    resource = NumberQuery(help_text="Number of a reserved resource.")

    def validate_day(self, day: Any) -> Any:
        if day.year not in YEARS:
            raise serializers.ValidationError(
                "This is not a day in the years 1900 to 2199.", code="out_of_range"
            )
        return day

    def narrow(self, rows: Any) -> Any:
        rows, asked = super().narrow(rows), self.validated_data
        if "day" in asked:
            rows = rows.filter(self.on_day(asked["day"]))
        reserved = Reservation.objects.filter(appointment=OuterRef("pk"))
        if "physician" in asked:
            rows = rows.filter(Exists(reserved.filter(resource__user=asked["physician"])))
        if "resource" in asked:
            rows = rows.filter(Exists(reserved.filter(resource=asked["resource"])))
        return rows

    def on_day(self, day: Any) -> Q:
        """Appointments that start on `day`, which begins and ends at another instant in each site's zone."""
        meant = Q(pk__in=[])
        for site in Site.objects.visible_to(self.context["request"].user):
            start, end = day_span(day, site.zone)
            meant |= Q(site=site.pk, starts_at__gte=start, starts_at__lt=end)
        return meant


@extend_schema_view(
    list=extend_schema(description="Appointments at your sites, by their start."),
    retrieve=extend_schema(description="One appointment."),
)
class Appointments(mixins.ListModelMixin, mixins.RetrieveModelMixin, VisibleRows):
    queryset = Appointment.objects.select_related(
        "patient", "procedure_type", "site", "procedure", "rescheduled_to"
    ).prefetch_related("reservations__resource")
    serializer_class = AppointmentSerializer
    query_class = AppointmentQuery
    ordering = ("starts_at", "pk")
    permissions_needed = {
        "list": "procedures.view_appointment",
        "retrieve": "procedures.view_appointment",
        "create": "procedures.book_appointment",
        "reschedule": "procedures.book_appointment",
        "cancel": "procedures.cancel_appointment",
        "arrive": "procedures.receive_appointment",
        "no_show": "procedures.receive_appointment",
        "perform": "procedures.perform_procedure",
    }
    may_refuse = {"create": [409], "reschedule": [409], "perform": [409]}

    @extend_schema(request=BookingInput, responses={201: AppointmentSerializer})
    def create(self, request: Request) -> Response:
        """Book an appointment, with everything that its procedure type needs or not at all.

        Refuses with 409, code `taken`, when the patient or a resource is not free.
        """
        inputs = self.inputs(BookingInput)
        resources = inputs.pop("resources", ())
        booked = services.book(Appointment(**inputs), resources=resources, by=self.user, now=timezone.now())
        return self.shown(booked.pk, status=201)

    @extend_schema(request=RescheduleInput, responses={201: AppointmentSerializer})
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: int) -> Response:
        """Move a booked appointment: the new time is taken and the old one freed, both or neither.

        The answer is a new appointment, whose `rescheduled_from` is this one.
        """
        old = self.get_object()
        inputs = self.inputs(RescheduleInput)
        new = services.reschedule(
            old.pk,
            starts_at=at_site(inputs["starts_at"], old.site.zone, field="starts_at"),
            resources=inputs.get("resources", ()),
            by=self.user,
            now=timezone.now(),
        )
        return self.shown(new.pk, status=201)

    @extend_schema(request=ReasonInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel an appointment; its time is free at once."""
        appointment = self.get_object()
        reason = self.inputs(ReasonInput)["reason"]
        services.cancel(appointment.pk, reason=reason, by=self.user, now=timezone.now())
        return self.shown(appointment.pk)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def arrive(self, request: Request, pk: int) -> Response:
        """The patient is here. On the day of the appointment only."""
        appointment = self.get_object()
        self.inputs(NothingInput)
        services.arrive(appointment.pk, by=self.user, now=timezone.now())
        return self.shown(appointment.pk)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="no-show", url_name="no-show")
    def no_show(self, request: Request, pk: int) -> Response:
        """The patient did not come. Not before the appointment's start."""
        appointment = self.get_object()
        self.inputs(NothingInput)
        services.mark_no_show(appointment.pk, by=self.user, now=timezone.now())
        return self.shown(appointment.pk)

    @extend_schema(request=PerformInput, responses={201: ProcedureSerializer})
    @action(detail=True, methods=["post"])
    def perform(self, request: Request, pk: int) -> Response:
        """Record that the procedure was performed. Unless it was aborted, its follow-up begins."""
        appointment = self.get_object()
        inputs = self.inputs(PerformInput)
        inputs["performed_at"] = at_site(inputs["performed_at"], appointment.site.zone, field="performed_at")
        procedure = services.perform(
            appointment.pk, services.Performed(**inputs), by=self.user, now=timezone.now()
        )
        shown = Procedures.queryset.get(pk=procedure.pk)
        return Response(ProcedureSerializer(shown).data, status=201)


class ProcedureQuery(Query):
    """What a list of procedures can be narrowed to."""

    lookups = {
        "site": "site",
        "patient": "patient",
        "procedure_type": "procedure_type__code",
        "performer": "performer",
        "status": "status",
        "performed_from": "performed_at__gte",
        "performed_before": "performed_at__lt",
    }

    site = NumberQuery()
    patient = NumberQuery()
    procedure_type = serializers.SlugField(required=False, help_text="Code of a procedure type.")
    performer = NumberQuery(help_text="Number of a member of staff.")
    status = serializers.ChoiceField(Procedure.Status.choices, required=False)
    performed_from = InstantField(required=False, help_text="At or after this instant.")
    performed_before = InstantField(required=False, help_text="Before this instant.")


@extend_schema_view(list=extend_schema(description="Procedures performed at your sites, latest first."))
class Procedures(mixins.ListModelMixin, VisibleRows):
    queryset = Procedure.objects.select_related("patient", "procedure_type", "site", "relief_profile")
    serializer_class = ProcedureSerializer
    query_class = ProcedureQuery
    ordering = ("-performed_at", "-pk")
    permissions_needed = {
        "list": "procedures.view_procedure",
        "retrieve": "procedures.view_procedure",
        "void": "procedures.void_procedure",
    }

    def retrieve(self, request: Request, pk: int) -> Response:
        """One procedure. That you looked at the patient's data is written down."""
        procedure = self.get_object()
        patients.read(procedure.patient, by=self.user, now=timezone.now())
        return Response(self.get_serializer(procedure).data)

    @extend_schema(request=ReasonInput, responses=ProcedureSerializer)
    @action(detail=True, methods=["post"])
    def void(self, request: Request, pk: int) -> Response:
        """Mark a procedure as entered in error. It stays on record; nothing more is asked about it."""
        procedure = self.get_object()
        reason = self.inputs(ReasonInput)["reason"]
        services.void(procedure.pk, reason=reason, by=self.user, now=timezone.now())
        return self.shown(procedure.pk)
