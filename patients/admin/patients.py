"""Patients at the front desk: found by any part of a name, read, registered and changed."""

from collections.abc import Callable, Sequence
from copy import copy
from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from clinic.admin.base import DeskAdmin, DeskForm, SeenFilter, now_at, staff
from clinic.admin.csv_import import ImportsFiles
from clinic.admin.datetime_widgets import site_time_text
from clinic.csv_import.imports import Steps
from patients import consent, mme, services
from patients.email_reasons import NO_EMAIL
from patients.import_rows import COLUMNS
from patients.models import Caregiver, Patient, PatientQuerySet, answering

#: Why a record may be of the same person; the codes are those of `services.Match`.
SAME = {
    "name_and_birth_date": _("same birth date, similar name"),
    "phone": _("same phone number"),
    "email": _("same e-mail address"),
}
#: Builds a part of a patient's page: takes the request and the patient, returns HTML.
Panel = Callable[[HttpRequest, Patient], SafeString]


class PatientForm(DeskForm):
    """A patient's facts. Agreeing, stopping and bouncing are switches; when, is written down by itself."""

    agreed = forms.BooleanField(
        label=_("Agreed to e-mail"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("The patient heard or read the text below and agreed to be asked by e-mail."),
    )
    texted = forms.BooleanField(
        label=_("Agreed to text messages"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_(
            "The patient agreed to a short text with a link, knowing that text messages are not secure."
        ),
    )
    stopped = forms.BooleanField(
        label=_("Stopped e-mail"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("The patient wants no more e-mails."),
    )
    bounced = forms.BooleanField(
        label=_("Address bounced"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_(
            "E-mail came back, so none goes out. A corrected address turns this off; so may you, if it is right."
        ),
    )
    names = {
        "consented_at": "agreed",
        "consent_version": "agreed",
        "sms_consented_at": "texted",
        "opted_out_at": "stopped",
        "bounced_at": "bounced",
    }
    columns = {
        "agreed": "consented_at",
        "texted": "sms_consented_at",
        "stopped": "opted_out_at",
        "bounced": "bounced_at",
    }

    class Meta:
        model = Patient
        exclude = (
            *("created_at", "consented_at", "consent_version", "sms_consented_at"),
            *("opted_out_at", "bounced_at", "merged_into"),
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            field: UnfoldAdminTextInputWidget({"placeholder": "1944-05-06", "autocomplete": "off"})
            for field in ("born_on", "died_on")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, column in self.columns.items():
            self.initial.setdefault(name, getattr(self.instance, column) is not None)

    def _get_validation_exclusions(self) -> set[str]:
        """The service looks at the number: an empty one is given, and a taken one gets one answer from everybody."""
        return {*super()._get_validation_exclusions(), "record_number"}  # type: ignore[misc]

    def ask(self, cleaned: dict[str, Any]) -> None:
        for name, column in self.columns.items():
            self.switch(column, on=name)
        if "agreed" in self.changed_data:
            self.instance.consent_version = consent.CURRENT if cleaned["agreed"] else ""
        patient = copy(self.instance)
        for name in set(cleaned) - set(self.columns):
            setattr(patient, name, cleaned[name])
        services.check(patient, now=self.now)
        if not self.insists:
            by = staff(self.request)
            new = patient._state.adding
            # What the row says is not yet in the form's instance, but for the switches.
            self.matches = (
                services.matches(patient, by=by)
                if new
                else services.new_matches(self.instance, patient, by=by)
            )
            if self.matches:
                raise services.LikelyDuplicate(self.matches)

    #: Records that may be of the same person, found when the form was checked.
    matches: Sequence[services.Match] = ()

    @property
    def insists(self) -> bool:
        """Whether the clerk has seen the matches and says that this is another person."""
        return self.data.get("insist") == "yes"

    def switch(self, field: str, *, on: str) -> None:
        """Write down when a switch was turned on; one that the clerk did not move says nothing."""
        if on in self.changed_data:
            since: datetime | None = getattr(self.instance, field)
            setattr(self.instance, field, (since or self.now) if self.cleaned_data[on] else None)


def searched(prefix: str) -> tuple[str, ...]:
    """For `search_fields`: what a patient is found by in a list of what belongs to patients."""
    return tuple(f"{prefix}{name}__plainly" for name in ("family_name", "given_name", "record_number"))


class BouncedFilter(admin.SimpleListFilter):
    """The worklist of addresses to correct: patients who are alive, and whose e-mail, or whose caregiver's, came back,
    though they had agreed to it."""

    title = _("address")
    parameter_name = "address"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("bounced", _("to be corrected"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Patient]) -> QuerySet[Patient]:
        return to_correct(queryset) if self.value() == "bounced" else queryset


class MmeFilter(admin.SimpleListFilter):
    """Patients by the total of their opioids today, by the calendar of UTC: a filter, no advice."""

    title = _("opioids today, an estimate")
    parameter_name = "mme"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(limit), _("%d MME or more") % limit) for limit in mme.THRESHOLDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Patient]) -> QuerySet[Patient]:
        if self.value() not in {str(limit) for limit in mme.THRESHOLDS}:
            return queryset
        return cast(PatientQuerySet, queryset).mme_at_least(int(self.value() or 0), timezone.now().date())


def to_correct(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Those to whom, or to whose caregiver, e-mail would go if the address had not bounced."""
    wanted = {"bounced_at__isnull": False, "consented_at__isnull": False, "opted_out_at": None}
    theirs = Caregiver.objects.standing().filter(patient=OuterRef("pk"), **wanted)
    return patients.filter(Q(**wanted) | Exists(theirs), died_on=None, merged_into=None)


def consent_texts() -> list[tuple[str, str, str]]:
    """Code, name and words of today's consent text in each language."""
    names = dict(Patient.Language.choices)
    return [(code, str(names.get(code, code)), text) for code, text in consent.texts().items()]


@admin.register(Patient)
class PatientAdmin(ImportsFiles, DeskAdmin):
    form = PatientForm
    list_display = ("__str__", "record_number", "born", "phone", "email_state", "site")
    list_display_links = ("__str__",)
    list_filter = (("site", SeenFilter), BouncedFilter, MmeFilter, "language")
    search_fields = searched("")
    search_help_text = _("Name, record number, birth date, phone or e-mail")
    ordering = ("family_name", "given_name", "id")
    autocomplete_fields = ("site",)
    readonly_fields = ("consent_text",)
    change_form_template = "admin/patients/patient/change_form.html"
    fieldsets = (
        (
            _("Who"),
            {"fields": (("family_name", "given_name"), ("born_on", "record_number"), ("language", "site"))},
        ),
        (
            _("How to reach them"),
            {"fields": (("phone", "email"), ("agreed", "stopped"), ("texted", "bounced"), "consent_text")},
        ),
        (_("End of the record"), {"fields": ("died_on",), "classes": ("collapse",)}),
    )
    #: What the apps above put on a patient's page, in order; they register it with `PatientAdmin.panel`.
    panels: ClassVar[list[Panel]] = []
    #: Where to go after a patient was saved who has just died: the apps above register here what names a page, or "".
    after_death: ClassVar[list[Callable[[HttpRequest, Patient], str]]] = []

    import_permissions = ("patients.add_patient", "patients.change_patient")
    import_columns = COLUMNS

    def import_steps(self, data: bytes, **how: Any) -> Steps:
        return services.patients_from(data, **how)

    @classmethod
    def panel(cls, build: Panel) -> Panel:
        """Decorator: put what `build` returns on every patient's page."""
        cls.panels.append(build)
        return build

    @classmethod
    def first_panel(cls, build: Panel) -> Panel:
        """Decorator: the same, above all others."""
        cls.panels.insert(0, build)
        return build

    def choice(self, obj: Patient) -> str:
        return f"{obj} · {obj.born_on:%Y-%m-%d} · {obj.record_number}"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        sites = list(staff(request).sites.all()[:2])
        return {
            **({"site": sites[0]} if len(sites) == 1 else {}),
            **super().get_changeform_initial_data(request),
        }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return cast(PatientQuerySet, queryset).found_by(search_term), False

    def save_model(self, request: HttpRequest, obj: Patient, form: Any, change: bool) -> None:
        changed = [self.form.columns.get(name, name) for name in form.changed_data]
        services.save(
            obj,
            changed=changed if change else None,
            insist=form.insists,
            by=staff(request),
            now=timezone.now(),
        )

    def response_change(self, request: HttpRequest, obj: Patient) -> HttpResponse:
        response: HttpResponse = super().response_change(request, obj)
        if request.POST.get("died_on") and obj.died_on:
            for page in self.after_death:
                if goal := page(request, obj):
                    return HttpResponseRedirect(goal)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        patient = self.get_object(request, unquote(object_id))
        if patient is not None and self.has_view_or_change_permission(request, patient):
            if request.method == "GET":
                services.record_page_view(patient, by=staff(request), now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "panels": [build(request, patient) for build in self.panels],
                "facts": facts(patient),
                "subtitle": None,
                "left_over": patient.merged_into_id is not None and bool(services.belonging(patient)),
                "may_merge": request.user.has_perm("patients.merge_patient"),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was merged can be looked at; what counts is the kept record."""
        merged = obj is not None and obj.merged_into_id is not None
        return not merged and bool(super().has_change_permission(request, obj))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["matches"] = [
            {"patient": match.patient, "born": born(match.patient), "why": ", ".join(map(str, why(match)))}
            for match in context["adminform"].form.matches
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Patient]:
        return super().get_queryset(request).select_related("site", "merged_into")

    @display(description=_("Read this out, or print it, before they agree"))
    def consent_text(self, patient: Patient) -> SafeString:
        """Today's consent text in each language, to fold out."""
        return render_to_string("admin/patients/consent.html", {"texts": consent_texts()})

    @display(description=_("born"), ordering="born_on")
    def born(self, patient: Patient) -> str:
        return born(patient)

    @display(description=_("e-mail"), label={_("goes out"): "success", _("no e-mail"): "warning"})
    def email_state(self, patient: Patient) -> str:
        return str(_("no e-mail") if patient.why_no_email else _("goes out"))


def born(patient: Patient) -> str:
    """Birth date and age today, at the patient's site; the age at death of somebody who has died."""
    day = patient.died_on or now_at(patient.site).date()
    return f"{patient.born_on:%Y-%m-%d} ({patient.age_on(day)})"


def why(match: services.Match) -> list[Any]:
    """Why a record may be of the same person, as staff read it."""
    return [SAME[reason] for reason in match.reasons]


def facts(patient: Patient) -> list[tuple[Any, str]]:
    """The lines at the top of a patient's page."""
    lines = [
        (_("Record number"), patient.record_number),
        (_("Born"), born(patient)),
        (_("Phone"), patient.phone or "–"),
        (_("E-mail"), patient.email or "–"),
        (_("Language"), str(patient.get_language_display())),
        (_("Home site"), patient.site.name),
    ]
    if patient.died_on:
        lines.append((_("Died"), f"{patient.died_on:%Y-%m-%d}"))
    reason = NO_EMAIL.get(patient.why_no_email)
    if reason:
        lines.append((_("No e-mail goes out"), str(reason)))
    else:
        agreed = site_time_text(patient.consented_at, patient.site)
        words = str(_("Agreed on %s.") % agreed)
        if patient.consent_version:
            words += " " + str(_("Consent text %s.") % patient.consent_version)
        lines.append((_("E-mail goes out"), words))
    if caregiver := answering(patient):
        asked = services.who_is_asked(patient, caregiver) == "caregiver"
        words = f"{caregiver.name}, {caregiver.get_relation_display()}"
        lines.append((_("Check-ins go to the caregiver") if asked else _("Caregiver, not asked"), words))
    return lines
