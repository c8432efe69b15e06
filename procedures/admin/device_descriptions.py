"""How an implanted device is spoken of: where it is, what is due, and the buttons for what can be done with it."""

from datetime import date
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import now_at
from procedures import services
from procedures.admin.descriptions import label
from procedures.models import ImplantedDevice, Procedure

RECORD = "procedures.record_implanteddevice"
#: What can be due, as staff read it.
WHAT = {"battery": _("Battery"), "refill": _("Refill")}


def page_of(device: ImplantedDevice) -> str:
    return reverse("admin:procedures_implanteddevice_change", args=[device.pk])


def today_of(device: ImplantedDevice) -> date:
    """The day at the device's site."""
    return now_at(device.procedure.site).date()


def due_words(device: ImplantedDevice, day: date | None) -> SafeString | str:
    """The day on which something is due, with a word when that has come; "–" when it is not known or over."""
    if day is None or not device.in_place:
        return "–"
    if day > today_of(device):
        return day.isoformat()
    return format_html('{} <strong class="desk-missing">{}</strong>', day.isoformat(), _("due"))


def state(device: ImplantedDevice) -> SafeString:
    """Where the device is, in a word."""
    if device.entered_in_error_at:
        return label(_("entered in error"), "default", [])
    if device.explanted_on:
        return label(_("taken out"), "default", [(device.explanted_on.isoformat(), "info")])
    return label(_("in place"), "success", [])


def since_words(what: str, since: date) -> str:
    """What is due since when: "Refill: due since 2027-01-11"."""
    return say("%(what)s: due since %(day)s") % {"what": WHAT[what], "day": since.isoformat()}


def device_buttons(device: ImplantedDevice, request: HttpRequest, *, page: bool) -> SafeString:
    """A button for what can be done with the device now; what undoes it stands on its own `page` only."""
    if not request.user.has_perm(RECORD) or device.entered_in_error_at:
        return SafeString("")
    pump = device.kind == ImplantedDevice.Kind.INTRATHECAL_PUMP
    possible: list[tuple[str, Any, bool, str]] = [
        ("refill", _("Refilled"), device.in_place and pump, ""),
        ("battery", _("Battery looked at"), device.in_place, ""),
        ("explant", _("Taken out"), device.in_place, " desk-danger"),
        ("error", _("Entered in error"), page, " desk-danger"),
    ]
    return format_html_join(
        "",
        '<a class="desk-button{}" href="{}">{}<span class="desk-hidden">: {}</span></a>',
        (
            (danger, reverse(f"admin:procedures_implanteddevice_{name}", args=[device.pk]), text, device)
            for name, text, can, danger in possible
            if can
        ),
    )


def devices_fragment(request: HttpRequest, procedure: Procedure) -> SafeString:
    """The devices of a procedure, as its page shows them; nothing for a procedure that leaves none."""
    if not request.user.has_perm("procedures.view_implanteddevice"):
        return SafeString("")
    devices = list(procedure.devices.filter(entered_in_error_at=None).order_by("implanted_on", "pk"))
    can_record = request.user.has_perm(RECORD) and services.takes_a_device(procedure)
    if not devices and not can_record:
        return SafeString("")
    for device in devices:
        device.procedure = procedure
    context = {
        "procedure": procedure,
        "can_record": can_record,
        "rows": [
            {
                "device": device,
                "page": page_of(device),
                "refill": due_words(device, device.refill_due_on),
                "battery": due_words(device, device.battery_due_on),
                "state": state(device),
                "steps": device_buttons(device, request, page=False),
            }
            for device in devices
        ],
    }
    return SafeString(render_to_string("admin/procedures/devices.html", context, request=request))
