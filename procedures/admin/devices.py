"""Implanted devices: the list with what is due, and the pages of what is done with one."""

from collections.abc import Callable
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.db.models.functions import Least
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import ReadOnlyAdmin, SeenFilter, now_at, staff
from clinic.admin.datetime_widgets import shown
from clinic.admin.taking import ReasonForm, take_for
from patients import services as patients
from patients.admin import searched
from procedures import services
from procedures.admin.device_descriptions import RECORD, due_words, page_of, state, steps
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
            patients.read(found.procedure.patient, by=staff(request), now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "steps": steps(found, request, page=True),
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
        return shown(device.recorded_at, device.procedure.site)

    @display(description=_("entered in error"))
    def mistake(self, device: ImplantedDevice) -> str:
        if not device.entered_in_error_at:
            return "–"
        at = shown(device.entered_in_error_at, device.procedure.site)
        return f"{at}: {device.entered_in_error_reason}"

    # What is done with a device.

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        views: dict[str, Any] = {
            "refill": self.refill_view,
            "battery": self.battery_view,
            "explant": self.explant_view,
            "error": self.error_view,
        }
        return [
            path("record/<int:procedure>/", wrap(self.record_view), name="procedures_implanteddevice_record"),
            *(
                path(f"<int:pk>/{name}/", wrap(view), name=f"procedures_implanteddevice_{name}")
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def record_view(self, request: HttpRequest, procedure: int) -> HttpResponse:
        """Record a device that a procedure implanted."""
        rows = Procedure.objects.visible_to(staff(request)).select_related(
            "site", "procedure_type", "patient"
        )
        implant = get_object_or_404(rows, pk=procedure)
        form = DeviceForm(
            request.POST if request.method == "POST" else None,
            initial={
                "implanted_on": implant.performed_at.astimezone(implant.site.zone).date(),
                "kind": KIND_OF_FAMILY.get(implant.procedure_type.family),
            },
        )

        def act() -> None:
            device = ImplantedDevice(procedure=implant, **form.said())
            services.record_device(device, by=staff(request), now=timezone.now())

        return self.page(
            request,
            form,
            act,
            back=reverse("admin:procedures_procedure_change", args=[procedure]),
            lead=f"{implant.patient} · {implant}",
            title=_("Record a device"),
            done=_("The device is recorded."),
        )

    def refill_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The pump was filled."""
        return self.one(
            request,
            pk,
            NextDueForm,
            services.refilled,
            title=_("Refilled"),
            done=_("The refill is recorded."),
        )

    def battery_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The battery was looked at."""
        return self.one(
            request,
            pk,
            NextDueForm,
            services.battery_checked,
            title=_("Battery looked at"),
            done=_("It is recorded when the battery is due again."),
        )

    def explant_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The device was taken out."""
        return self.one(
            request,
            pk,
            ExplantForm,
            services.explant,
            title=_("Taken out"),
            done=_("It is recorded that the device was taken out."),
            danger=True,
        )

    def error_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The device was entered in error."""
        return self.one(
            request,
            pk,
            ReasonForm,
            services.void_device,
            title=_("Entered in error"),
            done=_("The device is marked as entered in error."),
            danger=True,
        )

    def one(
        self,
        request: HttpRequest,
        pk: int,
        shape: type[forms.Form],
        service: Callable[..., ImplantedDevice],
        *,
        title: Any,
        done: Any,
        danger: bool = False,
    ) -> HttpResponse:
        """A page with the form `shape`, whose values go to the service."""
        device = get_object_or_404(self.get_queryset(request), pk=pk)
        today = now_at(device.procedure.site).date()
        form = shape(request.POST if request.method == "POST" else None, initial={"on": today})

        def act() -> None:
            service(pk, **form.cleaned_data, by=staff(request), now=timezone.now())

        return self.page(
            request,
            form,
            act,
            row=device,
            back=page_of(device),
            lead=f"{device.procedure.patient} · {device.get_kind_display()} · {device}",
            title=title,
            done=done,
            danger=danger,
        )

    def page(self, request: HttpRequest, form: Any, act: Any, **words: Any) -> HttpResponse:
        """The page with one form, for those who may record."""
        return take_for(request, form, act, needs=RECORD, opts=self.opts, **words)
