"""Appointments: the wire's shape here, the rules in `procedures.services`."""

from functools import partial
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import (
    YEARS,
    ChoicesQuery,
    Input,
    InstantField,
    NothingInput,
    NumberQuery,
    Query,
    YesNoQuery,
)
from clinic.api.viewsets import SiteScopedViewSet, request_key
from clinic.models import Site
from clinic.timezones import day_span
from procedures import services, workflow
from procedures.api.appointment_serializers import (
    AcceptInput,
    AppointmentSerializer,
    BookingInput,
    CancelInput,
    CorrectionInput,
    NewAppointmentSerializer,
    ReasonInput,
    RescheduleInput,
)
from procedures.api.baselines import BaselineInput
from procedures.api.procedures import PerformInput, Procedures, ProcedureSerializer
from procedures.models import Appointment, AppointmentStep, Reservation


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
    status = ChoicesQuery(Appointment.Status.choices, required=False)
    patient = NumberQuery()
    physician = NumberQuery(
        help_text="Number of a member of staff who is reserved, as `me` and `resources` show it."
    )
    clinician = NumberQuery(
        help_text="Number of a reserved person, as `resources` and the query of `slots` have it."
    )
    resource = NumberQuery(help_text="Number of a reserved resource.")
    wants_change = YesNoQuery(
        required=False, help_text="Expected, and the patient has asked for another time, or not."
    )

    rescheduled = YesNoQuery(
        required=False,
        help_text="Another appointment has taken its place, or not. Its status is `cancelled`.",
    )
    displaced = YesNoQuery(
        required=False, help_text="To come, and it has lost what it holds, or not; see `displaced_reason`."
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
        if "rescheduled" in asked:
            rows = rows.filter(rescheduled_to__isnull=not asked["rescheduled"])
        if "displaced" in asked:
            lost = Appointment.objects.displaced(self.context["now"]).values("pk")
            rows = rows.filter(pk__in=lost) if asked["displaced"] else rows.exclude(pk__in=lost)
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
class Appointments(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteScopedViewSet):
    queryset = Appointment.objects.select_related(
        "patient", "procedure_type", "site", "procedure", "rescheduled_to"
    ).prefetch_related(
        "reservations__resource", "baselines", Prefetch("steps", AppointmentStep.objects.select_related("by"))
    )
    serializer_class = AppointmentSerializer
    query_class = AppointmentQuery
    ordering = ("starts_at", "pk")
    know_their_keys = frozenset({"create", "reschedule"})
    permissions_needed = {
        "list": "procedures.view_appointment",
        "retrieve": "procedures.view_appointment",
        "create": workflow.BOOK,
        "partial_update": workflow.BOOK,
        "reschedule": workflow.BOOK,
        "settle_change": workflow.BOOK,
        "perform": workflow.PERFORM,
        "note_baseline": "procedures.record_baseline",
        **{name: step.permission for name, step in workflow.STEPS.items() if name != "complete"},
    }
    may_refuse = {
        "create": [409],
        "accept": [409],
        "reschedule": [409],
        "perform": [409],
        "undo_no_show": [409],
    }

    @extend_schema(
        request=BookingInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
    )
    def create(self, request: Request) -> Response:
        """Book an appointment, or hold its time, with everything that its procedure type needs or not at all.

        With `request` it is only asked for: nothing is taken, and the front desk accepts it, at that time or another.
        Refuses with 409, code `taken`, when the patient or a resource is not free. With an `Idempotency-Key` the same
        request can be sent again without fear: 200 and the appointment that it made the first time.
        """
        inputs = self.inputs(BookingInput)
        how = {name: inputs.pop(name) for name in ("resources", "hold", "request") if name in inputs}
        asked, key, now = Appointment(**inputs), request_key(request), timezone.now()

        booked = services.book(asked, **how, by=self.user, now=now, request_key=key)
        if booked is not asked:  # the same request has made the appointment before
            return self.shown(booked.pk)
        return Response(
            NewAppointmentSerializer(booked, context=self.get_serializer_context()).data, status=201
        )

    @extend_schema(
        request=RescheduleInput,
        responses={200: AppointmentSerializer, 201: AppointmentSerializer},
    )
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: int) -> Response:
        """Move a booked or confirmed appointment: the new time is taken and the old one freed, both or neither.

        The answer is a new appointment, whose `rescheduled_from` is this one; this one's `status` is `cancelled`, and
        it has `rescheduled_to`. Where somebody or something is not free, the refusal's `free` says at which times the
        move would do, and, code `kept_not_free`, who could come instead. With an `Idempotency-Key` the same
        request can be sent again without fear: 200 and the appointment that it made the first time.
        """
        old = self.get_object()
        known = old.status == Appointment.Status.CANCELLED
        inputs = self.inputs(RescheduleInput, zone=old.site.zone)
        key, now = request_key(request), timezone.now()
        new = services.reschedule(old.pk, **inputs, by=self.user, now=now, request_key=key)
        return self.shown(new.pk, status=200 if known else 201)

    @extend_schema(request=CorrectionInput, responses=AppointmentSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Correct the side, levels, indication or note before the procedure. The time is changed by `reschedule`.

        What is not named stays as it is. The patient is not written to: they are told of none of these.
        """
        appointment = self.get_object()
        values = self.inputs(CorrectionInput, partial=True)
        services.correct(appointment.pk, values=values, by=self.user, now=timezone.now())
        return self.shown(appointment.pk)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="settle-change")
    def settle_change(self, request: Request, pk: int) -> Response:
        """Settle a patient's wish for another time: `wants_change_at` goes, the appointment stands as it is.

        Moving or cancelling settles it as well. Where there is none, nothing changes.
        """
        return self.act(services.settle_change)

    def step(self, name: str, shape: type[Input] = NothingInput) -> Response:
        """Take the step `name` with the appointment; what else it takes is read by `shape`."""
        return self.act(partial(services.take_step, name=name), shape)

    @extend_schema(request=AcceptInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: int) -> Response:
        """Book what was requested, at its time or at another, and tell the patient. Refuses as a booking does."""
        return self.act(services.accept, AcceptInput)

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def book(self, request: Request, pk: int) -> Response:
        """Make a held time an appointment. Refused, code `hold_expired`, once the hold has run out."""
        return self.step("book")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: int) -> Response:
        """The patient has said that they will come."""
        return self.step("confirm")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def arrive(self, request: Request, pk: int) -> Response:
        """The patient is here. On the day of the appointment only."""
        return self.step("arrive")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="undo-arrival")
    def undo_arrival(self, request: Request, pk: int) -> Response:
        """The patient is not here after all: it was another one. Booked or confirmed, as before the arrival."""
        return self.step("undo_arrival")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="make-ready")
    def make_ready(self, request: Request, pk: int) -> Response:
        """The patient is prepared for the procedure."""
        return self.step("make_ready")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: int) -> Response:
        """The procedure begins."""
        return self.step("start")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="to-recovery")
    def to_recovery(self, request: Request, pk: int) -> Response:
        """The procedure is over, and the patient recovers."""
        return self.step("to_recovery")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="mark-no-show")
    def mark_no_show(self, request: Request, pk: int) -> Response:
        """The patient did not come. Not before the appointment's start."""
        return self.step("mark_no_show")

    @extend_schema(request=NothingInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="undo-no-show")
    def undo_no_show(self, request: Request, pk: int) -> Response:
        """The patient is expected after all: what was held is held again. Within seven days of the start.

        Refused with 409, code `taken`, when the patient or a resource has something else by now.
        """
        return self.step("undo_no_show")

    @extend_schema(request=CancelInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel an appointment, or give a hold back; its time is free at once."""
        return self.step("cancel", CancelInput)

    @extend_schema(request=ReasonInput, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"], url_path="enter-in-error")
    def enter_in_error(self, request: Request, pk: int) -> Response:
        """Mark an appointment as entered in error, with its procedure if there is one. Both stay on record."""
        return self.step("enter_in_error", ReasonInput)

    @extend_schema(request=BaselineInput, responses={201: AppointmentSerializer})
    @action(detail=True, methods=["post"], url_path="baselines")
    def note_baseline(self, request: Request, pk: int) -> Response:
        """Note what the patient says before the procedure. The score of the day counts, else the latest before.

        Another value of an item at the same instant takes the place of the first.
        """
        return self.act(services.note_baseline, BaselineInput, status=201)

    @extend_schema(request=PerformInput, responses={201: ProcedureSerializer})
    @action(detail=True, methods=["post"], url_path="complete")
    def perform(self, request: Request, pk: int) -> Response:
        """Record that the procedure was performed. Unless it was aborted, its follow-up begins."""
        appointment = self.get_object()
        record = services.Performed(**self.inputs(PerformInput, zone=appointment.site.zone))
        procedure = services.perform(appointment.pk, record, by=self.user, now=timezone.now())
        shown = Procedures.queryset.get(pk=procedure.pk)
        return Response(ProcedureSerializer(shown).data, status=201)
