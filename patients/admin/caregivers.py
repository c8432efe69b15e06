"""Who answers for a patient: on the patient's page, who gets the check-ins; and pages to record, change and revoke."""

from datetime import datetime
from typing import Any

from clinic.admin.taking import ReasonForm, RecordForm, dressed, take
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldBooleanSwitchWidget

from clinic.admin.base import now_at, staff
from clinic.admin.datetime_widgets import shown
from patients import consent, services
from patients.admin.patients import PatientAdmin
from patients.email_reasons import NO_EMAIL, NO_EMAIL_TO_CAREGIVER
from patients.models import Caregiver, Patient

CHANGE = "patients.change_patient"
#: Columns that are switches on the form: when, is written down by itself.
SWITCHES = {"agreed": "consented_at", "stopped": "opted_out_at", "bounced": "bounced_at"}


def switch(label: Any, help_text: Any) -> forms.BooleanField:
    return forms.BooleanField(
        label=label, required=False, widget=UnfoldBooleanSwitchWidget, help_text=help_text
    )


class CaregiverForm(RecordForm):
    """Who answers for a patient, by whose permission, and whether they agreed to e-mail themselves."""

    names = {"consented_at": "agreed", "consent_version": "agreed", "patient": ""}
    agreed = switch(
        gettext_lazy("Agreed to e-mail"),
        gettext_lazy(
            "The caregiver heard or read the text below and agreed to be asked by e-mail. Without it the patient is."
        ),
    )
    stopped = switch(gettext_lazy("Stopped e-mail"), gettext_lazy("The caregiver wants no more e-mails."))
    bounced = switch(
        gettext_lazy("Address bounced"),
        gettext_lazy("E-mail came back, so none goes out. A corrected address turns this off; so may you."),
    )

    class Meta:
        model = Caregiver
        formfield_callback = dressed
        fields = ("name", "relation", "email", "language", "permitted_by", "permitted_on")

    def fill(self, caregiver: Caregiver, now: datetime) -> list[str]:
        """Put what was said into the row; the columns that it concerns. A switch that nobody moved says nothing."""
        for name, value in self.said().items():
            setattr(caregiver, name, value)
        columns = list(self.said())
        for name, column in SWITCHES.items():
            on = self.cleaned_data.get(name, False)
            if on != bool(getattr(caregiver, column)):
                setattr(caregiver, column, now if on else None)
                columns.append(column)
        if "consented_at" in columns:
            caregiver.consent_version = consent.CURRENT if caregiver.consented_at else ""
        return columns


class WhyForm(ReasonForm):
    """Why somebody answers no longer."""

    names = {"reason": "reason"}


def whose(request: HttpRequest, pk: int) -> Patient:
    """The patient with that number, for who may change one; else 403 or 404."""
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    rows = Patient.objects.visible_to(staff(request)).filter(merged_into=None).select_related("site")
    return get_object_or_404(rows, pk=pk)


def record(request: HttpRequest, pk: int) -> HttpResponse:
    """Record who answers for a patient, or change what is known about them."""
    patient = whose(request, pk)
    stands = services.read_caregiver(pk)
    row = stands or Caregiver(
        patient=patient, language=patient.language, permitted_on=now_at(patient.site).date()
    )
    initial = {name: getattr(row, name) for name in CaregiverForm.Meta.fields}
    initial |= {name: bool(getattr(row, column)) for name, column in SWITCHES.items()}
    form = CaregiverForm(request.POST if request.method == "POST" else None, initial=initial)
    if stands is None:
        for name in ("stopped", "bounced"):
            del form.fields[name]

    def act() -> None:
        now = timezone.now()
        columns = form.fill(row, now)
        services.save_caregiver(row, changed=columns, by=staff(request), now=now)

    return page(
        request,
        patient,
        form,
        act,
        title=_("Change the caregiver") if stands else _("Record a caregiver"),
        done=_("It is saved. What is open is asked of whoever is right now."),
        row=stands or patient,
    )


def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody answers for a patient no longer."""
    patient = whose(request, pk)
    stands = get_object_or_404(Caregiver.objects.standing(), patient=patient)
    form = WhyForm(request.POST if request.method == "POST" else None)

    def act() -> None:
        reason = form.cleaned_data["reason"]
        services.revoke_caregiver(stands.pk, reason=reason, by=staff(request), now=timezone.now())

    return page(
        request,
        patient,
        form,
        act,
        title=_("Revoke the caregiver"),
        done=_("Revoked. The patient is asked again."),
        row=stands,
        danger=True,
    )


def page(
    request: HttpRequest,
    patient: Patient,
    form: Any,
    act: Any,
    *,
    row: Caregiver | Patient,
    title: str,
    done: str,
    danger: bool = False,
) -> HttpResponse:
    """The page with one form; afterwards the patient's page, which says who is asked."""
    back = reverse("admin:patients_patient_change", args=[patient.pk])
    named = isinstance(row, Caregiver)
    lead = f"{patient} · {row.name}, {row.get_relation_display()}" if named else str(patient)  # type: ignore[union-attr]

    def do() -> str:
        act()
        return back

    context = {"opts": Patient._meta, "lead": lead, "submit": title, "title": title, "danger": danger}
    if not danger:
        texts = render_to_string("admin/patients/consent.html", {"texts": consent_texts()})
        context["beneath"] = texts
    return take(request, form, do, done=done, back=back, context=context, row=row)


def consent_texts() -> list[tuple[str, str, str]]:
    """Code, name and words of today's consent text for a caregiver in each language."""
    names = dict(Patient.Language.choices)
    texts = consent.texts(whose=consent.CAREGIVER)
    return [(code, str(names.get(code, code)), text) for code, text in texts.items()]


@PatientAdmin.first_panel
def asked(request: HttpRequest, patient: Patient) -> SafeString:
    """Who gets this patient's check-ins, and who answers for the patient, with who did before."""
    every = list(patient.caregivers.select_related("revoked_by"))
    stands = next((one for one in every if one.revoked_at is None), None)
    who = services.who_is_asked(patient, stands)
    reason = "" if stands is None else stands.why_no_email
    site = patient.site
    context = {
        "patient": patient,
        "caregiver": stands,
        "who": who,
        "why_not": NO_EMAIL_TO_CAREGIVER.get(reason, ""),
        "why_nobody": NO_EMAIL.get(patient.why_no_email, "") if who == "nobody" else "",
        "agreed": shown(stands.consented_at, site) if stands else "",
        "before": [
            (one, shown(one.recorded_at, site), shown(one.revoked_at, site))
            for one in every
            if one.revoked_at
        ],
        "may_change": request.user.has_perm(CHANGE) and not patient.merged_into_id,
        "may_record": not patient.died_on,
    }
    return SafeString(render_to_string("admin/patients/caregiver.html", context, request=request))


PatientAdmin.pages += [
    path("<int:pk>/caregiver/", admin.site.admin_view(record), name="patients_patient_caregiver"),
    path(
        "<int:pk>/caregiver/revoke/",
        admin.site.admin_view(revoke),
        name="patients_patient_caregiver_revoke",
    ),
]
