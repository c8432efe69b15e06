"""Who answers for a patient: on the patient's page, who gets the check-ins; and pages to record, change and revoke."""

from datetime import datetime
from functools import cached_property
from typing import Any

from django import forms
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldBooleanSwitchWidget

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import now_at
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.record_forms import ReasonForm, RecordForm, dressed
from clinic.refusals import Refusal
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


class CaregiverPage(ActionPage):
    """A page about who answers for a patient; afterwards the patient's page, which says who is asked."""

    model = Patient
    permission_required = CHANGE

    def get_queryset(self) -> "QuerySet[Patient]":
        return Patient.objects.visible_to(self.by).filter(merged_into=None).select_related("site")

    @cached_property
    def stands(self) -> Caregiver | None:
        """Who answers now; None while nobody does."""
        return services.read_caregiver(self.row.pk)

    def versioned_row(self) -> Patient | Caregiver:
        patient: Patient = self.row
        return self.stands or patient

    def remember(self, address: str, versioned_row: models.Model | None) -> None:
        # The same click, made again, finds another row than this one did: somebody answers now, or nobody any more.
        super().remember(address, services.read_caregiver(self.row.pk) or self.row)

    def lead(self) -> str:
        stands = self.stands
        return f"{self.row} · {stands.name}, {stands.get_relation_display()}" if stands else str(self.row)


class RecordCaregiver(CaregiverPage):
    """Record who answers for a patient, or change what is known about them."""

    name, form_class = "caregiver", CaregiverForm
    done = gettext_lazy("It is saved. What is open is asked of whoever is right now.")

    @property
    def title(self) -> Any:
        return _("Change the caregiver") if self.stands else _("Record a caregiver")

    @cached_property
    def about(self) -> Caregiver:
        """The row that is filled in."""
        patient = self.row
        new = Caregiver(patient=patient, language=patient.language, permitted_on=now_at(patient.site).date())
        return self.stands or new

    def get_initial(self) -> dict[str, Any]:
        own = {name: getattr(self.about, name) for name in CaregiverForm.Meta.fields}
        return own | {name: bool(getattr(self.about, column)) for name, column in SWITCHES.items()}

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        if self.stands is None:
            for name in ("stopped", "bounced"):
                del form.fields[name]
        return form

    def act(self, form: CaregiverForm) -> Any:
        changed = form.fill(self.about, self.now)
        return services.save_caregiver(self.about, changed=changed, by=self.by, now=self.now)

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        texts = render_to_string("admin/patients/consent.html", {"texts": consent_texts()})
        return {**super().get_context_data(**given), "beneath": texts}


class RevokeCaregiver(CaregiverPage):
    """Somebody answers for a patient no longer."""

    name, address, form_class = "caregiver_revoke", "<int:pk>/caregiver/revoke/", ReasonForm
    title, done = gettext_lazy("Revoke the caregiver"), gettext_lazy("Revoked. The patient is asked again.")
    danger = True

    def unavailable_reason(self) -> Any:
        return "" if self.stands else _("Nobody answers for this patient.")

    def act(self, form: ReasonForm) -> Any:
        if self.stands is None:
            raise Refusal(self.unavailable_reason(), code="revoked_already")
        reason = form.cleaned_data["reason"]
        return services.revoke_caregiver(self.stands.pk, reason=reason, by=self.by, now=self.now)


def consent_texts() -> list[tuple[str, str, str]]:
    """Code, name and words of today's consent text for a caregiver in each language."""
    names = dict(Patient.Language.choices)
    texts = consent.texts(whose=consent.CAREGIVER)
    return [(code, str(names.get(code, code)), text) for code, text in texts.items()]


@PatientAdmin.first_panel
def asked(request: HttpRequest, patient: Patient) -> SafeString:
    """Who gets this patient's check-ins, and who answers for the patient, with who did before."""
    every = list(patient.caregivers.select_related("revoked_by"))
    stands = next((caregiver for caregiver in every if caregiver.revoked_at is None), None)
    who = services.who_is_asked(patient, stands)
    reason = "" if stands is None else stands.why_no_email
    site = patient.site
    context = {
        "patient": patient,
        "caregiver": stands,
        "who": who,
        "why_not": NO_EMAIL_TO_CAREGIVER.get(reason, ""),
        "why_nobody": NO_EMAIL.get(patient.why_no_email, "") if who == "nobody" else "",
        "agreed": site_time_text(stands.consented_at, site) if stands else "",
        "before": [
            (
                caregiver,
                site_time_text(caregiver.recorded_at, site),
                site_time_text(caregiver.revoked_at, site),
            )
            for caregiver in every
            if caregiver.revoked_at
        ],
        "may_change": request.user.has_perm(CHANGE) and not patient.merged_into_id,
        "may_record": not patient.died_on,
    }
    return SafeString(render_to_string("admin/patients/caregiver.html", context, request=request))


PatientAdmin.pages += paths(RecordCaregiver, RevokeCaregiver)
