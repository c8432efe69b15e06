"""What is filled in to find a time."""

from datetime import date, datetime
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import show_refusal, staff
from clinic.admin.datetime_widgets import DateInput
from clinic.models import Resource, Site
from patients.models import Patient
from procedures.models import Appointment, Intent, Laterality, ProcedureType
from procedures.services.booking import fill_in, refuse_impossible


def clinicians(request: HttpRequest) -> QuerySet[Resource]:
    """The people of the user's sites who perform procedures."""
    return (
        Resource.objects.visible_to(staff(request))
        .filter(Q(categories__code="physician") | Q(categories__needs_privilege=True), active=True)
        .distinct()
        .order_by("name")
    )


def regions() -> list[tuple[str, str]]:
    """The regions that any offered procedure type knows, as choices; none as well."""
    known = ProcedureType.objects.filter(active=True).values_list("regions", flat=True)
    names = sorted({region for some in known for region in some})
    return [("", "–"), *((name, name.replace("_", " ")) for name in names)]


def chosen_fields(request: HttpRequest) -> dict[str, str]:
    """What is chosen already, for the form in which a time is typed."""
    names = ("patient", "procedure_type", "region", "laterality", "levels", "intent", "site")
    return {name: request.GET[name] for name in names if request.GET.get(name)}


def same_again(appointment: Appointment) -> dict[str, Any]:
    """What the form is filled in with to look for the same once more."""
    return {
        "procedure_type": appointment.procedure_type_id,
        "region": appointment.region,
        "laterality": appointment.laterality,
        "levels": appointment.levels,
        "intent": appointment.intent,
    }


class WhenForm(forms.Form):
    """With whom, and from which day on."""

    clinician = forms.ModelChoiceField(
        Resource.objects.none(), label=_("Clinician"), required=False, empty_label=_("anybody")
    )
    on = forms.DateField(
        label=_("From"),
        required=False,
        widget=DateInput(format="%Y-%m-%d"),
        help_text=_("Empty: the first time there is."),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        field = cast("forms.ModelChoiceField[Resource]", self.fields["clinician"])
        field.queryset = clinicians(request)

    def clean_on(self) -> date | None:
        on: date | None = self.cleaned_data["on"]
        if on and on.year > 2150:
            raise ValidationError(_("That is too far ahead."), code="too_far")
        return on


class MoveForm(WhenForm):
    """Another time for `old`; site, type and all the rest stay, and the clinician unless another one is chosen."""

    def __init__(
        self, data: QueryDict, *, request: HttpRequest, old: Appointment, along: list[Resource]
    ) -> None:
        super().__init__(request=request)
        self.along = along
        field = cast("forms.ModelChoiceField[Resource]", self.fields["clinician"])
        field.queryset = (
            clinicians(request).filter(Q(site=old.site_id) | Q(working_hours__site=old.site_id)).distinct()
        )
        self.treating = list(field.queryset.filter(pk__in=[resource.pk for resource in along]))
        self.data, self.is_bound = data.copy(), True
        if "clinician" not in data and self.treating:
            self.data["clinician"] = str(self.treating[0].pk)

    def insisted(self) -> dict[str, Any]:
        """What a move from here insists on, as `services.reschedule` takes it: "anybody" keeps rooms and machines."""
        if clinician := self.cleaned_data.get("clinician"):
            return {"resources": [] if clinician in self.along else [clinician], "keep": True}
        treat = clinicians(self.request).filter(pk__in=[resource.pk for resource in self.along])
        people = set(treat.values_list("pk", flat=True))
        return {
            "resources": [
                resource for resource in self.along if resource.pk not in people and resource.active
            ],
            "keep": False,
        }


class FindForm(WhenForm):
    """What is to be booked for a patient, and where."""

    procedure_type = forms.ModelChoiceField(
        ProcedureType.objects.none(), label=_("Procedure type"), empty_label=_("choose …")
    )
    region = forms.ChoiceField(label=_("Region"), required=False)
    laterality = forms.ChoiceField(label=_("Side"), required=False, choices=Laterality.choices)
    levels = forms.CharField(
        label=_("Levels"),
        required=False,
        max_length=60,
        widget=forms.TextInput({"placeholder": "L3–L5", "autocomplete": "off"}),
    )
    intent = forms.ChoiceField(
        label=_("Intent"), required=False, choices=[("", _("as the procedure type says")), *Intent.choices]
    )
    site = forms.ModelChoiceField(
        Site.objects.none(), label=_("Site"), required=False, empty_label=_("any site")
    )
    field_order = ("procedure_type", "region", "laterality", "levels", "intent", "site", "clinician", "on")

    def __init__(
        self, *args: Any, request: HttpRequest, patient: Patient, now: datetime, **kwargs: Any
    ) -> None:
        super().__init__(*args, request=request, **kwargs)
        self.patient, self.now = patient, now
        self.sites = Site.objects.visible_to(staff(request))
        cast(
            "forms.ModelChoiceField[ProcedureType]", self.fields["procedure_type"]
        ).queryset = ProcedureType.objects.filter(active=True)
        cast("forms.ModelChoiceField[Site]", self.fields["site"]).queryset = self.sites
        cast(forms.ChoiceField, self.fields["region"]).choices = regions()
        for name in ("site", "on", "clinician"):
            self.initial.setdefault(name, request.GET.get(name))

    def clean(self) -> dict[str, Any]:
        super().clean()
        if not self.errors:
            try:
                asked = self.wished(self.now)
                fill_in(asked)
                refuse_impossible(asked, now=self.now)
            except ValidationError as refusal:
                show_refusal(self, refusal, {})
        if not self.errors and not self.places():
            self.add_error("site", ValidationError(_("You work at no site yet."), code="no_site"))
        return self.cleaned_data

    def wished(self, at: datetime) -> Appointment:
        """The appointment that would be booked, beginning at `at`; at which site, is still to be said."""
        said = self.cleaned_data
        return Appointment(
            patient=self.patient,
            procedure_type=said["procedure_type"],
            region=said["region"],
            laterality=said["laterality"],
            levels=said["levels"],
            intent=said["intent"],
            starts_at=at,
        )

    def places(self) -> list[Site]:
        """The sites that will do."""
        site = self.cleaned_data.get("site")
        return [site] if site else list(self.sites)
