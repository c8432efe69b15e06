"""What the front desk fills in: a booking, the small forms of an appointment's steps, and the waitlist's.

Every time is typed as the clock on the wall of the appointment's site shows it.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    BASE_INPUT_CLASSES,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from clinic.admin.base import DeskForm, staff
from clinic.admin.datetime_widgets import DateInput, WallClockField, to_instant
from clinic.models import Resource, Site, User
from procedures import services
from procedures.admin.slot_forms import regions
from procedures.models import Appointment, Intent, Laterality, Reservation, WaitlistEntry
from procedures.services.booking import made_before
from procedures.services.waitlist import ASK_AGAIN_DAYS

#: What the form says for a pain score that nobody asked for; it must be said, not left out by oversight.
NOT_ASKED = "not-asked"
NOBODY_NAMED = _("Leave empty to take whoever and whatever is free; name one to insist on it.")


def resource_field(request: HttpRequest) -> forms.Field:
    """Resources that must be taken, found while typing."""
    return forms.ModelMultipleChoiceField(
        Resource.objects.visible_to(staff(request)).filter(active=True),
        required=False,
        label=_("Resources"),
        help_text=NOBODY_NAMED,
        widget=AutocompleteSelectMultiple(Reservation._meta.get_field("resource"), admin.site),
    )


class BookingForm(DeskForm):
    """A new appointment. What is refused, the booking service says, beside the field that it is about."""

    starts = WallClockField(label=_("Starts"), help_text=_("On the wall clock of the site."))
    only_request = forms.BooleanField(
        label=_("Only request it"),
        required=False,
        help_text=_("Nothing is taken and the patient is not told until somebody accepts it."),
        widget=UnfoldBooleanSwitchWidget,
    )
    intent = forms.ChoiceField(
        label=_("Intent"),
        required=False,
        choices=[("", _("as the procedure type says")), *Intent.choices],
        widget=UnfoldAdminSelectWidget,
    )
    #: What a second click sends again.
    key = forms.CharField(required=False, max_length=50, widget=forms.HiddenInput)
    names = {"starts_at": "starts", "ends_at": "starts"}

    class Meta:
        model = Appointment
        fields = (
            *("site", "patient", "procedure_type", "intent", "region", "laterality"),
            *("levels", "indication", "note", "overbooked_reason"),
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "indication": UnfoldAdminTextInputWidget({"placeholder": "M47.816", "autocomplete": "off"}),
            "levels": UnfoldAdminTextInputWidget({"placeholder": "L3–L5", "autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.request.user.has_perm("procedures.overbook_appointment"):
            self.fields.pop("overbooked_reason", None)
        self.fields["resources"] = resource_field(self.request)
        self.fields["region"] = forms.ChoiceField(
            label=_("Region"), required=False, choices=regions(), widget=UnfoldAdminSelectWidget
        )
        self.fields["key"].initial = secrets.token_urlsafe(16)

    def ask(self, cleaned: dict[str, Any]) -> None:
        site = cleaned["site"]
        # The model's own fields are filled in after clean(): the service is asked with an appointment of its own.
        asked = Appointment(**{name: cleaned[name] for name in self.Meta.fields if name in cleaned})
        asked.starts_at = self.instance.starts_at = to_instant_of("starts", cleaned["starts"], site.zone)
        key = self.request_key()
        if key and made_before(asked, key, by=staff(self.request)):
            return  # a second click: saving answers it with what the first one made
        check = services.check_requested if cleaned["only_request"] else services.preview_booking
        check(asked, resources=cleaned["resources"], now=self.now)

    def request_key(self) -> str:
        """Names this click; what is typed anew into the same page is another request. "" for a page without a key."""
        typed = dict(self.cleaned_data)
        key = typed.pop("key", "")
        typed["resources"] = sorted(resource.pk for resource in typed["resources"])
        said = sorted((name, str(getattr(value, "pk", value))) for name, value in typed.items())
        return f"{key[:35]} {sha256(repr(said).encode()).hexdigest()}" if key else ""

    def _get_validation_exclusions(self) -> set[str]:
        # The service has checked everything, with what it fills in itself; Django would miss the end and the intent.
        return {field.name for field in Appointment._meta.fields}


def to_instant_of(field: str, wall: datetime, zone: Any) -> datetime:
    """As `to_instant`, with the refusal beside `field`."""
    try:
        return to_instant(wall, zone)
    except forms.ValidationError as refusal:
        raise forms.ValidationError({field: refusal}) from None


class StepForm(forms.Form):
    """The form of one step of an appointment; without fields, a question to confirm. Steps: `procedures.workflow`."""

    names: ClassVar[dict[str, str]] = {}

    def __init__(
        self, *args: Any, request: HttpRequest, appointment: Appointment, step: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.appointment = appointment
        self.request = request
        self.step = step

    def act(self, *, by: User, now: datetime) -> Appointment:
        """Do it; the appointment to show then. Raises what the service raises."""
        return services.take_step(self.appointment.pk, self.step, by=by, now=now, **self.cleaned_data)

    def leads_to(self) -> str:
        """The page that follows, where that is neither the page from which it was chosen nor the appointment's; ""."""
        return ""


class WhyForm(forms.Form):
    """Why something is undone."""

    names: ClassVar[dict[str, str]] = {}
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,  # the service refuses an empty one, with its own words
        widget=UnfoldAdminTextInputWidget({"autofocus": True}),
        help_text=_("Kept in the audit trail: no names and no diagnoses."),
    )


class CancelForm(WhyForm, StepForm):
    ended_by = forms.ChoiceField(
        label=_("Who cancels"),
        choices=Appointment.EndedBy.choices,
        initial=Appointment.EndedBy.PATIENT,
        required=False,
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    field_order = ("ended_by", "reason")


class ErrorForm(WhyForm, StepForm):
    """What the procedure and the appointment say never happened, or not to this patient."""


class WishForm(forms.Form):
    """Whose wish a move is, and why."""

    ended_by = forms.ChoiceField(
        label=_("Who asked for it"),
        choices=Appointment.EndedBy.choices,
        required=False,
        widget=forms.RadioSelect({"class": "desk-scale"}),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Kept in the audit trail: no names and no diagnoses."),
    )

    def __init__(self, *args: Any, old: Appointment | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = old is not None and old.wants_change_at
        self.initial.setdefault(
            "ended_by", Appointment.EndedBy.PATIENT if asked else Appointment.EndedBy.CLINIC
        )


class NewTimeForm(StepForm):
    """A time for an appointment that is there, typed; `deed`: what is done with it."""

    starts = WallClockField(label=_("Starts"))
    names = {"starts_at": "starts", "ends_at": "starts"}
    deed: ClassVar[Callable[..., Appointment]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = self.appointment.site
        self.fields["resources"] = resource_field(self.request)
        self.fields["starts"].help_text = _("On the wall clock of %s.") % site
        self.initial.setdefault(
            "starts", self.appointment.starts_at.astimezone(site.zone).replace(tzinfo=None)
        )

    def act(self, *, by: User, now: datetime) -> Appointment:
        said = self.cleaned_data.copy()
        starts_at = to_instant_of("starts", said.pop("starts"), self.appointment.site.zone)
        return self.deed(self.appointment.pk, starts_at=starts_at, **said, by=by, now=now)


class RescheduleForm(NewTimeForm):
    """The new time, who and what goes along, whose wish it is and why."""

    deed = staticmethod(services.reschedule)
    keep = forms.BooleanField(
        label=_("Keep the clinician, and what was asked for by name"),
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
    )
    ended_by, reason = WishForm.base_fields["ended_by"], WishForm.base_fields["reason"]
    field_order = ("starts", "keep", "resources", "ended_by", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["starts"].label = _("New start")
        self.fields["resources"].help_text = _("Name one to have it instead of another of its kind.")
        self.initial["ended_by"] = WishForm(old=self.appointment).initial["ended_by"]
        self.order_fields(self.field_order)


class AcceptForm(NewTimeForm):
    """The time at which a requested appointment is booked: at first the one that was asked for."""

    deed = staticmethod(services.accept)


class CorrectForm(StepForm):
    """What is meant by the appointment. Only what was changed on the page is set."""

    laterality = forms.ChoiceField(
        label=_("Side"), required=False, choices=Laterality.choices, widget=UnfoldAdminSelectWidget
    )
    levels = forms.CharField(
        label=_("Levels"),
        required=False,
        max_length=60,
        widget=UnfoldAdminTextInputWidget({"placeholder": "L3–L5", "autocomplete": "off"}),
    )
    indication = forms.CharField(
        label=_("Indication (ICD-10-CM)"),
        required=False,
        max_length=8,
        widget=UnfoldAdminTextInputWidget({"placeholder": "M47.816", "autocomplete": "off"}),
    )
    note = forms.CharField(
        label=_("Note"), required=False, max_length=500, widget=UnfoldAdminTextInputWidget()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.show_hidden_initial = True
            self.initial.setdefault(name, getattr(self.appointment, name))

    def act(self, *, by: User, now: datetime) -> Appointment:
        values = {name: self.cleaned_data[name] for name in self.changed_data}
        return services.correct(self.appointment.pk, values=values, by=by, now=now)


class SettleForm(StepForm):
    """The patient asked for another time, and the clinic has dealt with it."""

    def act(self, *, by: User, now: datetime) -> Appointment:
        return services.settle_change(self.appointment.pk, by=by, now=now)


class VoidForm(WhyForm):
    """Why a procedure is marked as entered in error."""


class TimeForm(WhyForm):
    """When a procedure was really performed, on the wall clock of its site."""

    names = {"performed_at": "performed"}
    performed = WallClockField(label=_("Performed"))
    field_order = ("performed", "reason")


class WaitlistForm(DeskForm):
    """A patient joins the waitlist. What is refused, the service says, beside the field that it is about."""

    intent = forms.ChoiceField(
        label=_("Intent"),
        required=False,
        choices=[("", _("as the procedure type says")), *Intent.choices],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = WaitlistEntry
        fields = (
            *("patient", "procedure_type", "region", "laterality", "intent", "priority", "note"),
            *("earliest_on", "notice_hours", "stale_on", "sites", "clinicians"),
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            name: DateInput({"class": " ".join(BASE_INPUT_CLASSES)}, "%Y-%m-%d")
            for name in ("earliest_on", "stale_on")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            return  # an entry's page is only looked at, without inputs
        self.fields["region"] = forms.ChoiceField(
            label=_("Region"), required=False, choices=regions(), widget=UnfoldAdminSelectWidget
        )
        self.fields["stale_on"].required = False
        self.fields["stale_on"].help_text = _("Empty: in %d days.") % ASK_AGAIN_DAYS
        self.fields["notice_hours"].help_text = _("How long before a time the patient must be told.")

    def ask(self, cleaned: dict[str, Any]) -> None:
        many = ("sites", "clinicians")
        asked = WaitlistEntry(**{name: cleaned[name] for name in self.Meta.fields if name not in many})
        services.check_waiting(asked, sites=cleaned["sites"], clinicians=cleaned["clinicians"], now=self.now)

    def _get_validation_exclusions(self) -> set[str]:
        # The service has checked everything, with what it fills in itself.
        return {field.name for field in WaitlistEntry._meta.fields}


class ChosenTimeForm(forms.Form):
    """Where and when a waiting patient is booked, when it is no freed time."""

    names: ClassVar[dict[str, str]] = {"starts_at": "starts", "ends_at": "starts"}
    site = forms.ModelChoiceField(Site.objects.none(), label=_("Site"), widget=UnfoldAdminSelectWidget)
    starts = WallClockField(label=_("Starts"), help_text=_("On the wall clock of the site."))

    def __init__(self, *args: Any, request: HttpRequest, entry: WaitlistEntry, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        site = cast(forms.ModelChoiceField, self.fields["site"])  # type: ignore[type-arg]
        site.queryset = Site.objects.visible_to(staff(request))
        accepted = [site.pk for site in entry.sites.all()]
        self.initial.setdefault("site", accepted[0] if accepted else entry.patient.site_id)
        self.fields["resources"] = resource_field(request)
