"""Implanted devices: what is in patients, what it needs, and when it came out."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clinic.api.fields import ChoicesQuery, Input, NumberQuery, Query, VisibleField, YesNoQuery
from clinic.api.views import SiteNameSerializer
from clinic.api.viewsets import SiteScopedViewSet
from patients import services as patients
from patients.api import PatientNameSerializer
from procedures import services
from procedures.models import ImplantedDevice, Procedure

VIEW, RECORD = "procedures.view_implanteddevice", "procedures.record_implanteddevice"
#: Why a device may have been taken out.
REASONS = [choice for choice in ImplantedDevice.Explanted.choices if choice[0]]


class DueSerializer(serializers.Serializer[Any]):
    """What is due, and since which day at the site."""

    what = serializers.ChoiceField([("battery", "battery"), ("refill", "refill")])
    since = serializers.DateField()


class ImplantedDeviceSerializer(serializers.ModelSerializer[ImplantedDevice]):
    """A device that a procedure put into its patient. All days are those of the site's calendar.

    `battery_due_on`, `refill_due_on` (pumps only) null: not known. `due`: what is due today. `explanted_on` null: it is
    still in place. `entered_in_error_at` is set on what was a mistake.
    """

    patient = PatientNameSerializer(source="procedure.patient")
    site = SiteNameSerializer(source="procedure.site")
    due = serializers.SerializerMethodField()

    class Meta:
        model = ImplantedDevice
        fields = [
            *("id", "procedure", "patient", "site", "kind", "manufacturer", "model", "serial_number", "udi"),
            *("implanted_on", "battery_due_on", "refill_due_on", "due"),
            *("explanted_on", "explanted_reason", "explanted_note", "recorded_by", "recorded_at"),
            *("entered_in_error_at", "entered_in_error_reason"),
        ]

    @extend_schema_field(DueSerializer(many=True))
    def get_due(self, device: ImplantedDevice) -> Any:
        today = self.context["now"].astimezone(device.procedure.site.zone).date()
        due = [{"what": what, "since": since} for what, since in device.due_on(today)]
        return DueSerializer(due, many=True).data


class ImplantedDeviceInput(Input, serializers.ModelSerializer[ImplantedDevice]):
    """A device, and the procedure that implanted it."""

    procedure = VisibleField(queryset=Procedure.objects.select_related("site", "procedure_type"))

    class Meta:
        model = ImplantedDevice
        fields = [
            *("procedure", "kind", "manufacturer", "model", "serial_number", "udi"),
            *("implanted_on", "battery_due_on", "refill_due_on"),
        ]
        # What must hold says the service, with the words for each field.
        validators: list[Any] = []


class NextDueInput(Input):
    """By when it is due again; null: not known."""

    next_due_on = serializers.DateField(allow_null=True)


class ExplantInput(Input):
    """On which day it was taken out, and why; `other` needs a note."""

    on = serializers.DateField()
    reason = serializers.ChoiceField(REASONS)
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class BecauseInput(Input):
    """Why."""

    reason = serializers.CharField(max_length=500)


class ImplantedDeviceQuery(Query):
    """What the list of devices can be narrowed to."""

    lookups = {
        "procedure": "procedure",
        "patient": "procedure__patient",
        "site": "procedure__site",
        "kind": "kind",
    }

    procedure = NumberQuery()
    patient = NumberQuery()
    site = NumberQuery()
    kind = ChoicesQuery(ImplantedDevice.Kind.choices, required=False)
    in_place = YesNoQuery(required=False, help_text="Whether it is still in the patient.")
    due_by = serializers.DateField(required=False, help_text="In place, and something is due by this day.")

    def narrow(self, rows: Any) -> Any:
        asked, rows = self.validated_data, super().narrow(rows)
        if "in_place" in asked:
            rows = rows.in_place() if asked["in_place"] else rows.standing().exclude(explanted_on=None)
        if "due_by" in asked:
            rows = rows.due(asked["due_by"])
        return rows


@extend_schema_view(
    list=extend_schema(description="Devices implanted at your sites, the latest first."),
)
class ImplantedDevices(mixins.ListModelMixin, SiteScopedViewSet):
    queryset = ImplantedDevice.objects.select_related("procedure__patient", "procedure__site")
    serializer_class = ImplantedDeviceSerializer
    query_class = ImplantedDeviceQuery
    ordering = ("-implanted_on", "-pk")
    permissions_needed = {
        "list": VIEW,
        "retrieve": VIEW,
        "create": RECORD,
        "refill": RECORD,
        "check_battery": RECORD,
        "explant": RECORD,
        "void": RECORD,
    }
    may_refuse = {"create": [409]}

    def retrieve(self, request: Request, pk: int) -> Response:
        """One device. That you looked at the patient's data is written down."""
        device = self.get_object()
        patients.record_page_view(device.procedure.patient, by=self.user, now=timezone.now())
        return Response(self.get_serializer(device).data)

    @extend_schema(request=ImplantedDeviceInput, responses={201: ImplantedDeviceSerializer})
    def create(self, request: Request) -> Response:
        """Record a device that a procedure implanted. Refuses with 409, `recorded_already`, a known serial number."""
        device = ImplantedDevice(**self.inputs(ImplantedDeviceInput))
        services.record_device(device, by=self.user, now=timezone.now())
        return self.shown(device.pk, status=201)

    @extend_schema(request=NextDueInput, responses=ImplantedDeviceSerializer)
    @action(detail=True, methods=["post"])
    def refill(self, request: Request, pk: int) -> Response:
        """Say that a pump was filled, and by when it must be filled again."""
        return self.act(services.refilled, NextDueInput)

    @extend_schema(request=NextDueInput, responses=ImplantedDeviceSerializer)
    @action(detail=True, methods=["post"], url_path="check-battery")
    def check_battery(self, request: Request, pk: int) -> Response:
        """Say that the battery was looked at, and by when it must be looked at again."""
        return self.act(services.battery_checked, NextDueInput)

    @extend_schema(request=ExplantInput, responses=ImplantedDeviceSerializer)
    @action(detail=True, methods=["post"])
    def explant(self, request: Request, pk: int) -> Response:
        """Say that a device was taken out. With the last device of its procedure the follow-up ends."""
        return self.act(services.explant, ExplantInput)

    @extend_schema(request=BecauseInput, responses=ImplantedDeviceSerializer)
    @action(detail=True, methods=["post"])
    def void(self, request: Request, pk: int) -> Response:
        """Mark a device as entered in error. It stays on record; nothing of it is due."""
        return self.act(services.void_device, BecauseInput)
