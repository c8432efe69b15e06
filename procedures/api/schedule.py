"""Appointments and performed procedures: the wire's shape here, the rules in `procedures.services`."""

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q
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
    at_site,
    on_the_wall,
)
from clinic.api.rows import VisibleRows
from clinic.api.views import SiteNameSerializer
from clinic.models import Site, User
from clinic.wall_clock import day_span
from patients import services as patients
from patients.api import PatientNameSerializer
from procedures import services, steps
from procedures.api.appointment import (
    IDEMPOTENCY_KEY,
    AppointmentSerializer,
    BookingInput,
    CancelInput,
    NothingInput,
    ReasonInput,
    RescheduleInput,
    TimeInput,
    request_key,
)
from procedures.api.catalogue import ProcedureTypeNameSerializer
from procedures.models import Appointment, AppointmentStep, Procedure, Reservation
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
    clinician = NumberQuery(
        help_text="Number of a reserved person, as `resources` and the query of `slots` have it."
    )
    resource = NumberQuery(help_text="Number of a reserved resource.")
    wants_change = serializers.BooleanField(
        required=False, help_text="Expected, and the patient has asked for another time, or not."
    )

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
        if "clinician" in asked:
            rows = rows.filter(Exists(reserved.filter(resource=asked["clinician"])))
        if "resource" in asked:
            rows = rows.filter(Exists(reserved.filter(resource=asked["resource"])))
        if "wants_change" in asked:
            wanting = Appointment.objects.wanting_change().values("pk")
            rows = rows.filter(pk__in=wanting) if asked["wants_change"] else rows.exclude(pk__in=wanting)
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
    ).prefetch_related(
        "reservations__resource", Prefetch("steps", AppointmentStep.objects.select_related("by"))
    )
    serializer_class = AppointmentSerializer
    query_class = AppointmentQuery
    ordering = ("starts_at", "pk")
    permissions_needed = {
        "list": "procedures.view_appointment",
        "retrieve": "procedures.view_appointment",
        "create": steps.BOOK,
        "reschedule": steps.BOOK,
        "settle_change": steps.BOOK,
        "perform": steps.PERFORM,
        "no_show": steps.STEPS["mark_no_show"].permission,
        **{name: step.permission for name, step in steps.STEPS.items() if name != "complete"},
    }
    may_refuse = {"create": [409], "reschedule": [409], "perform": [409]}

    @extend_schema(
        request=BookingInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request) -> Response:
        """Book an appointment, or hold its time, with everything that its procedure type needs or not at all.

        Refuses with 409, code `taken`, when the patient or a resource is not free. With an `Idempotency-Key` the same
        request can be sent again without fear: 200 and the appointment that it made the first time.
        """
        inputs = self.inputs(BookingInput)
        resources, hold = inputs.pop("resources", ()), inputs.pop("hold", False)
        asked, key, now = Appointment(**inputs), request_key(request), timezone.now()

        booked = services.book(asked, resources=resources, by=self.user, now=now, request_key=key, hold=hold)
        # `book` returns another object when the same request has made the appointment before.
        return self.shown(booked.pk, status=201 if booked is asked else 200)

    @extend_schema(
        request=RescheduleInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: int) -> Response:
        """Move a booked or confirmed appointment: the new time is taken and the old one freed, both or neither.

        The answer is a new appointment, whose `rescheduled_from` is this one. With an `Idempotency-Key` the same
        request can be sent again without fear: 200 and the appointment that it made the first time.
        """
        old = self.get_object()
        known = old.status == Appointment.Status.CANCELLED
        inputs = self.inputs(RescheduleInput)
        inputs["starts_at"] = at_site(inputs["starts_at"], old.site.zone, field="starts_at")
        key, now = request_key(request), timezone.now()
        new = services.reschedule(old.pk, **inputs, by=self.user, now=now, request_key=key)
        return self.shown(new.pk, status=200 if known else 201)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="settle-change")
    def settle_change(self, request: Request, pk: int) -> Response:
        """Settle a patient's request for another time: `wants_change_at` goes, the appointment stands as it is.

        Moving or cancelling settles it as well. Where there is no request, nothing changes.
        """
        appointment = self.get_object()
        self.inputs(NothingInput)
        services.settle_change(appointment.pk, by=self.user, now=timezone.now())
        return self.shown(appointment.pk)

    def step(self, pk: int, name: str, shape: type[Input] = NothingInput) -> Response:
        """Take the step `name` with the appointment; what else it takes is read by `shape`."""
        appointment = self.get_object()
        services.take_step(appointment.pk, name, by=self.user, now=timezone.now(), **self.inputs(shape))
        return self.shown(appointment.pk)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def book(self, request: Request, pk: int) -> Response:
        """Make a held time an appointment. Refused, code `hold_expired`, once the hold has run out."""
        return self.step(pk, "book")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: int) -> Response:
        """The patient has said that they will come."""
        return self.step(pk, "confirm")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def arrive(self, request: Request, pk: int) -> Response:
        """The patient is here. On the day of the appointment only."""
        return self.step(pk, "arrive")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="undo-arrival")
    def undo_arrival(self, request: Request, pk: int) -> Response:
        """The patient is not here after all: it was another one."""
        return self.step(pk, "undo_arrival")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="make-ready")
    def make_ready(self, request: Request, pk: int) -> Response:
        """The patient is prepared for the procedure."""
        return self.step(pk, "make_ready")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: int) -> Response:
        """The procedure begins."""
        return self.step(pk, "start")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="to-recovery")
    def to_recovery(self, request: Request, pk: int) -> Response:
        """The procedure is over, and the patient recovers."""
        return self.step(pk, "to_recovery")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="mark-no-show")
    def mark_no_show(self, request: Request, pk: int) -> Response:
        """The patient did not come. Not before the appointment's start."""
        return self.step(pk, "mark_no_show")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer, deprecated=True)
    @action(detail=True, methods=["post"], url_path="no-show")
    def no_show(self, request: Request, pk: int) -> Response:
        """The older address of `mark-no-show`."""
        return self.step(pk, "mark_no_show")

    @extend_schema(request=CancelInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel an appointment, or give a hold back; its time is free at once."""
        return self.step(pk, "cancel", CancelInput)

    @extend_schema(request=ReasonInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="enter-in-error")
    def enter_in_error(self, request: Request, pk: int) -> Response:
        """Mark an appointment as entered in error, with its procedure if there is one. Both stay on record."""
        return self.step(pk, "enter_in_error", ReasonInput)

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
        "correct_time": "procedures.perform_procedure",
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

    @extend_schema(request=TimeInput, responses=ProcedureSerializer)
    @action(detail=True, methods=["post"], url_path="correct-time")
    def correct_time(self, request: Request, pk: int) -> Response:
        """Say when a procedure was really performed. What its follow-up has not asked yet is planned again."""
        procedure = self.get_object()
        inputs = self.inputs(TimeInput)
        at = at_site(inputs["performed_at"], procedure.site.zone, field="performed_at")
        services.correct_time(
            procedure.pk, performed_at=at, reason=inputs["reason"], by=self.user, now=timezone.now()
        )
        return self.shown(procedure.pk)
