"""A patient's opioids: on the patient's page with the total of today, and pages to record, end and correct them."""

from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyAdmin, now_at, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.record_forms import ReasonForm, RecordForm, day_input, dressed, reason_field
from patients import mme, services
from patients.admin.patients import PatientAdmin, searched
from patients.models import OpioidUse, Patient

RECORD = "patients.record_opioiduse"
#: Why an opioid is not in a total, as staff read it.
LEFT_OUT = {
    mme.LeftOut.NO_FACTOR: _("has no factor"),
    mme.LeftOut.INTRATHECAL: _("goes into the spinal fluid"),
}
#: How many rows a patient's page shows; the rest is one click away.
MOST = 10


#: What is said about an opioid, in the order in which it is asked.
SAID = ("drug", "dose", "unit", "intrathecal", "prescription", "from_on", "until_on")


class OpioidForm(RecordForm):
    """One opioid, its dose of a whole day, and the prescription as it is written."""

    class Meta:
        model = OpioidUse
        formfield_callback = dressed
        fields = SAID


class CorrectOpioidForm(OpioidForm):
    """The same, and why what was recorded is a mistake."""

    reason = reason_field()


class LastDayForm(forms.Form):
    """On which day an opioid is taken for the last time."""

    names: ClassVar[dict[str, str]] = {}
    until_on = forms.DateField(label=_("Last day"), widget=day_input())


class TakenFilter(admin.SimpleListFilter):
    """Those that are taken, those that ended, and the mistakes. Days are taken by the calendar of UTC."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("taken", _("taken today")), ("ended", _("ended")), ("error", _("entered in error"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today, rows = timezone.now().date(), cast(Any, queryset)
        match self.value():
            case "taken":
                return cast(QuerySet[Any], rows.taken_on(today))
            case "ended":
                return cast(QuerySet[Any], rows.standing().filter(until_on__lt=today))
            case "error":
                return queryset.exclude(entered_in_error_at=None)
        return queryset


@admin.register(OpioidUse)
class OpioidUseAdmin(ReadOnlyAdmin):
    list_display = ("who", "what", "since", "until", "worth", "state")
    list_display_links = ("what",)
    list_filter = (TakenFilter, "drug", "intrathecal")
    search_fields = searched("patient__")
    search_help_text = _("Patient")
    ordering = ("-from_on", "-pk")
    change_form_template = "admin/patients/opioiduse/change_form.html"
    fieldsets = (
        (
            None,
            {"fields": (("what", "worth"), ("prescription", "intrathecal"), ("since", "until"))},
        ),
        (_("How it came about"), {"fields": (("recorded", "recorded_by"), ("corrects", "mistake"))}),
    )
    readonly_fields = ("what", "since", "until", "worth", "recorded", "mistake")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OpioidUse]:
        rows = super().get_queryset(request).select_related("patient__site", "recorded_by", "corrects")
        return cast(QuerySet[OpioidUse], rows)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None and self.has_view_permission(request, found):
            services.record_page_view(found.patient, by=staff(request), now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "can_record": request.user.has_perm(RECORD) and not found.entered_in_error_at,
                "can_end": is_taken(found),
                "subtitle": str(found.patient),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("patient"), ordering="patient__family_name")
    def who(self, use: OpioidUse) -> SafeString:
        return format_html("{}<span class='desk-sub'>{}</span>", use.patient, use.patient.record_number)

    @display(description=_("drug and dose"), ordering="drug")
    def what(self, use: OpioidUse) -> str:
        return str(use)

    @display(description=_("from"), ordering="from_on")
    def since(self, use: OpioidUse) -> str:
        return use.from_on.isoformat()

    @display(description=_("until"), ordering="until_on")
    def until(self, use: OpioidUse) -> str:
        return use.until_on.isoformat() if use.until_on else str(_("still taken"))

    @display(description=_("MME a day, an estimate"), ordering="mme_per_day")
    def worth(self, use: OpioidUse) -> str:
        return worth(use)

    @display(description=_("state"))
    def state(self, use: OpioidUse) -> str:
        if use.entered_in_error_at:
            return str(_("entered in error"))
        return str(_("taken")) if is_taken(use) else str(_("ended"))

    @display(description=_("recorded"))
    def recorded(self, use: OpioidUse) -> str:
        return site_time_text(use.recorded_at, use.patient.site)

    @display(description=_("entered in error"))
    def mistake(self, use: OpioidUse) -> str:
        if not use.entered_in_error_at:
            return "–"
        return f"{site_time_text(use.entered_in_error_at, use.patient.site)}: {use.entered_in_error_reason}"


class OpioidPage(ActionPage):
    """A page about an opioid; afterwards the patient's page, where the total is."""

    model = OpioidUse
    permission_required = RECORD

    def whose(self) -> Patient:
        """Whose opioid it is."""
        patient: Patient = self.row.patient
        return patient

    def lead(self) -> str:
        return f"{self.whose()} · {self.row}"

    def home(self) -> str:
        return reverse("admin:patients_patient_change", args=[self.whose().pk])


class RecordOpioid(OpioidPage):
    """An opioid that a patient takes or took."""

    name, address = "record", "record/<int:patient>/"
    form_class = OpioidForm
    title, done = _("Record an opioid"), _("It is recorded.")

    @cached_property
    def row(self) -> Patient:
        rows = Patient.objects.visible_to(self.by).select_related("site")
        return get_object_or_404(rows, pk=self.kwargs["patient"])

    def whose(self) -> Patient:
        return self.row

    def versioned_row(self) -> None:
        return None

    def lead(self) -> str:
        return str(self.row)

    def get_initial(self) -> dict[str, Any]:
        return {"from_on": now_at(self.row.site).date()}

    def act(self, form: OpioidForm) -> OpioidUse:
        use = OpioidUse(patient=self.row, **form.said())
        return services.record_opioid_use(use, by=self.by, now=self.now)


class EndOpioid(OpioidPage):
    """When it is taken for the last time."""

    name, form_class, service = "end", LastDayForm, staticmethod(services.end_opioid_use)
    title, done = _("Last day"), _("The last day is recorded.")

    def get_initial(self) -> dict[str, Any]:
        return {"until_on": self.row.until_on or now_at(self.row.patient.site).date()}


class CorrectOpioid(OpioidPage):
    """What is right, in the place of a mistake."""

    name, form_class, service = "correct", CorrectOpioidForm, staticmethod(services.correct_opioid_use)
    title, done = _("Correct"), _("What is right is recorded; the mistake stays on record.")

    def get_initial(self) -> dict[str, Any]:
        return {name: getattr(self.row, name) for name in SAID} | {"dose": plain(self.row.dose)}

    def values(self, form: CorrectOpioidForm) -> dict[str, Any]:
        instead = OpioidUse(patient=self.row.patient, **form.said())
        return {"instead": instead, "reason": form.cleaned_data["reason"]}


class OpioidInError(OpioidPage):
    """The patient never took it."""

    name, form_class, service = "error", ReasonForm, staticmethod(services.correct_opioid_use)
    title, done = _("Entered in error"), _("It is marked as entered in error; it counts nowhere.")
    danger = True


OpioidUseAdmin.pages += paths(RecordOpioid, EndOpioid, CorrectOpioid, OpioidInError)


def is_taken(use: OpioidUse) -> bool:
    """Whether it stands and its last day is not past."""
    today = now_at(use.patient.site).date()
    return use.entered_in_error_at is None and (use.until_on is None or use.until_on >= today)


def worth(use: OpioidUse) -> str:
    """What one row is worth, or why it is not counted."""
    if use.left_out:
        return say("not counted: %s") % LEFT_OUT[use.left_out]
    return plain(use.mme_per_day)


def plain(figure: Decimal | None) -> str:
    """A figure without the noughts that storing it added; "–" for None."""
    return "–" if figure is None else f"{figure.normalize():f}"


def total_words(total: mme.MmeTotal) -> str:
    """The total of a day as staff read it; what is not in it is said by `left_out_words`."""
    if total.mme is None:
        return say("cannot be counted")
    return say("%s MME") % plain(total.mme)


def left_out_words(total: mme.MmeTotal) -> str:
    """Which drugs are not in a total, each with the reason; "" when all are."""
    drugs = dict(OpioidUse.Drug.choices)
    return "; ".join(f"{drugs[drug.value]} ({LEFT_OUT[why]})" for drug, why in total.left_out)


@PatientAdmin.panel
def opioids(request: HttpRequest, patient: Patient) -> SafeString:
    """What the patient takes, with the total of today at the patient's site, and what they took, latest first."""
    if not request.user.has_perm("patients.view_opioiduse"):
        return SafeString("")
    today = now_at(patient.site).date()
    rows = list(patient.opioid_uses.standing())
    for row in rows:
        row.patient = patient
    total = mme.total_on(rows, today)
    may_record = request.user.has_perm(RECORD)
    context = {
        "patient": patient,
        "total": total_words(total),
        "left_out": left_out_words(total),
        "uses": [{"use": row, "worth": worth(row), "taken": is_taken(row)} for row in rows[:MOST]],
        "more": len(rows) > MOST,
        "version": mme.CDC_2022.version,
        "confirmed": mme.CDC_2022.confirmed,
        "can_record": may_record and not patient.merged_into_id,
    }
    return SafeString(render_to_string("admin/patients/opioids.html", context, request=request))
