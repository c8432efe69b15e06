"""What is filled in about an implanted device."""

from typing import ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from clinic.admin.record_forms import RecordForm, day_input, dressed
from procedures.models import ImplantedDevice


class DeviceForm(RecordForm):
    """A device, as it stands on its label, and what it needs next."""

    class Meta:
        model = ImplantedDevice
        formfield_callback = dressed
        fields = (
            *("kind", "manufacturer", "model", "serial_number", "udi"),
            *("implanted_on", "refill_due_on", "battery_due_on"),
        )


class NextDueForm(forms.Form):
    """By when it is due again."""

    names: ClassVar[dict[str, str]] = {}
    next_due_on = forms.DateField(
        label=_("Due again on"), required=False, widget=day_input(), help_text=_("Empty: not known.")
    )


class ExplantForm(forms.Form):
    """When a device was taken out, and why."""

    names: ClassVar[dict[str, str]] = {}
    on = forms.DateField(label=_("Taken out on"), widget=day_input())
    reason = forms.ChoiceField(
        label=_("Why"),
        choices=[("", "---------"), *(choice for choice in ImplantedDevice.Explanted.choices if choice[0])],
        required=False,  # the service refuses an empty one, with its own words
        widget=UnfoldAdminSelectWidget(),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text=_("Needed for “another reason”."),
    )
