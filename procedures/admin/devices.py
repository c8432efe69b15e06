"""Implanted devices: the list with what is due, and the pages of what is done with one."""

from functools import cached_property
from typing import Any, cast

from django.contrib import admin
from django.db.models import F, QuerySet
from django.db.models.functions import Least
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyAdmin, SeenFilter, now_at, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.record_forms import ReasonForm
from patients import services as patients
from patients.admin import searched
from procedures import services
from procedures.admin.device_descriptions import RECORD, device_buttons, due_words, state
from procedures.admin.device_forms import DeviceForm, ExplantForm, NextDueForm
from procedures.models import ImplantedDevice, Procedure
from procedures.services.devices import KIND_OF_FAMILY


class PlaceFilter(admin.SimpleListFilter):
    """Which devices: those in place, unless others are asked for. What is due, is so by the calendar of UTC."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("due", _("due")),
            ("out", _("taken out")),
            ("error", _("entered in error")),
            ("all", _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        every = list(super().choices(changelist))
        return [{**every[0], "display": _("in place")}, *every[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = cast(Any, queryset)
        match self.value():
            case "all":
                return queryset
            case "due":
                return cast(QuerySet[Any], rows.due(timezone.now().date()))
            case "out":
                return cast(QuerySet[Any], rows.standing().exclude(explanted_on=None))
            case "error":
                return queryset.exclude(entered_in_error_at=None)
        return cast(QuerySet[Any], rows.in_place())


@admin.register(ImplantedDevice)
class ImplantedDeviceAdmin(ReadOnlyAdmin):
    list_display = ("who", "what", "implanted", "refill", "battery", "state")
    list_display_links = ("what",)
    list_filter = (PlaceFilter, "kind", ("procedure__site", SeenFilter))
    list_fullwidth = True
    search_fields = (
        *searched("procedure__patient__"),
        *("serial_number", "model"),
    )
    search_help_text = _("Patient, serial number or model")
    ordering = ("pk",)  # no column is marked: the list is in the order of `get_ordering`
    change_form_template = "admin/procedures/implanteddevice/change_form.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("kind", "procedure"),
                    ("manufacturer", "model"),
                    ("serial_number", "udi"),
                    ("implanted", "state"),
                    ("refill", "battery"),
                    ("explanted_on", "explanted_reason"),
                    "explanted_note",
                )
            },
        ),
        (_("How it came about"), {"fields": (("recorded", "recorded_by"), "mistake")}),
    )
    readonly_fields = ("implanted", "refill", "battery", "state", "recorded", "mistake")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImplantedDevice]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "procedure__patient", "procedure__site", "procedure__procedure_type", "recorded_by"
            )
            .annotate(first_due_on=Least("battery_due_on", "refill_due_on"))
        )
        return cast(QuerySet[ImplantedDevice], rows)

    def get_ordering(self, request: HttpRequest) -> Any:
        """What is due first at the top; what needs nothing that is known, last."""
        return (F("first_due_on").asc(nulls_last=True), "-pk")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None and self.has_view_permission(request, found):
            patients.record_page_view(found.procedure.patient, by=staff(request), now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "steps": device_buttons(found, request, page=True),
                "subtitle": str(found.procedure.patient),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("patient"), ordering="procedure__patient__family_name")
    def who(self, device: ImplantedDevice) -> SafeString:
        patient = device.procedure.patient
        return format_html("{}<span class='desk-sub'>{}</span>", patient, patient.record_number)

    @display(description=_("device"), ordering="kind")
    def what(self, device: ImplantedDevice) -> SafeString:
        return format_html(
            "{}<span class='desk-sub'>{} · {}</span>",
            device.get_kind_display(),
            device,
            device.serial_number,
        )

    @display(description=_("implanted"), ordering="implanted_on")
    def implanted(self, device: ImplantedDevice) -> str:
        return device.implanted_on.isoformat()

    @display(description=_("refill due"), ordering="refill_due_on")
    def refill(self, device: ImplantedDevice) -> SafeString | str:
        return due_words(device, device.refill_due_on)

    @display(description=_("battery due"), ordering="battery_due_on")
    def battery(self, device: ImplantedDevice) -> SafeString | str:
        return due_words(device, device.battery_due_on)

    @display(description=_("state"))
    def state(self, device: ImplantedDevice) -> SafeString:
        return state(device)

    @display(description=_("recorded"))
    def recorded(self, device: ImplantedDevice) -> str:
        return site_time_text(device.recorded_at, device.procedure.site)

    @display(description=_("entered in error"))
    def mistake(self, device: ImplantedDevice) -> str:
        if not device.entered_in_error_at:
            return "–"
        at = site_time_text(device.entered_in_error_at, device.procedure.site)
        return f"{at}: {device.entered_in_error_reason}"


class DevicePage(ActionPage):
    """A page of what is done with a device."""

    model = ImplantedDevice
    permission_required = RECORD

    def lead(self) -> str:
        return f"{self.row.procedure.patient} · {self.row.get_kind_display()} · {self.row}"


class RecordDevice(DevicePage):
    """A device that a procedure implanted."""

    name, address = "record", "record/<int:procedure>/"
    form_class = DeviceForm
    title, done = _("Record a device"), _("The device is recorded.")

    @cached_property
    def row(self) -> Procedure:
        rows = Procedure.objects.visible_to(self.by).select_related("site", "procedure_type", "patient")
        return get_object_or_404(rows, pk=self.kwargs["procedure"])

    def versioned_row(self) -> None:
        return None

    def lead(self) -> str:
        return f"{self.row.patient} · {self.row}"

    def home(self) -> str:
        return reverse("admin:procedures_procedure_change", args=[self.row.pk])

    def get_initial(self) -> dict[str, Any]:
        return {
            "implanted_on": self.row.performed_at.astimezone(self.row.site.zone).date(),
            "kind": KIND_OF_FAMILY.get(self.row.procedure_type.family),
        }

    def act(self, form: DeviceForm) -> ImplantedDevice:
        device = ImplantedDevice(procedure=self.row, **form.said())
        return services.record_device(device, by=self.by, now=self.now)


class Refilled(DevicePage):
    """The pump was filled."""

    name, form_class, service = "refill", NextDueForm, staticmethod(services.refilled)
    title, done = _("Refilled"), _("The refill is recorded.")


class BatteryChecked(DevicePage):
    """The battery was looked at."""

    name, form_class, service = "battery", NextDueForm, staticmethod(services.battery_checked)
    title, done = _("Battery looked at"), _("It is recorded when the battery is due again.")


class Explanted(DevicePage):
    """The device was taken out."""

    name, form_class, service = "explant", ExplantForm, staticmethod(services.explant)
    title, done = _("Taken out"), _("It is recorded that the device was taken out.")
    danger = True

    def get_initial(self) -> dict[str, Any]:
        return {"on": now_at(self.row.procedure.site).date()}


class DeviceInError(DevicePage):
    """The device was entered in error."""

    name, form_class, service = "error", ReasonForm, staticmethod(services.void_device)
    title, done = _("Entered in error"), _("The device is marked as entered in error.")
    danger = True


ImplantedDeviceAdmin.pages += paths(RecordDevice, Refilled, BatteryChecked, Explanted, DeviceInError)
