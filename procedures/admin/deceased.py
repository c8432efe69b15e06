"""The page on which everything that is left of a patient who has died is cancelled, in one click."""

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.admin.taking import take_for
from patients.admin import PatientAdmin
from patients.models import Patient
from procedures import services
from procedures.admin.descriptions import span
from procedures.models import Appointment
from procedures.workflow import STEPS

CANCEL = STEPS["cancel"].permission


def left(request: HttpRequest, patient: Patient) -> list[Appointment]:
    """What is left of a patient who has died, at the sites of whoever asks and may cancel."""
    if patient.died_on is None or not request.user.has_perm(CANCEL):
        return []
    rows = Appointment.objects.visible_to(staff(request)).of_the_deceased().filter(patient=patient)
    return list(rows.select_related("site", "procedure_type").order_by("starts_at", "pk"))


def page_for(request: HttpRequest, patient: Patient) -> str:
    """The address of the page, while anything is left."""
    return reverse("admin:patients_patient_deceased", args=[patient.pk]) if left(request, patient) else ""


PatientAdmin.after_death.append(page_for)


@PatientAdmin.first_panel
def reminder(request: HttpRequest, patient: Patient) -> SafeString:
    """On the patient's page: that something is left, and the way to the page."""
    rows = left(request, patient)
    if not rows:
        return SafeString("")
    context = {"number": len(rows), "page": reverse("admin:patients_patient_deceased", args=[patient.pk])}
    return render_to_string("admin/procedures/deceased.html", context)


def cancel_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Name what is left, and cancel all of it. GET changes nothing."""
    if not request.user.has_perm("patients.view_patient"):
        raise PermissionDenied
    patient = get_object_or_404(Patient.objects.visible_to(staff(request)), pk=pk)
    rows = left(request, patient)
    words = "; ".join(f"{span(row)}, {row.procedure_type} ({row.site})" for row in rows)
    lead = (
        _("%(patient)s has died. Still booked or requested: %(what)s. No e-mail will be sent.")
        if rows
        else _("Nothing is left to be cancelled for %(patient)s.")
    )
    return take_for(
        request,
        forms.Form(request.POST if request.method == "POST" else None),
        lambda: services.cancel_of_deceased(pk, by=staff(request), now=timezone.now()),
        needs=CANCEL,
        opts=Patient._meta,
        back=reverse("admin:patients_patient_change", args=[pk]),
        lead=lead % {"patient": patient, "what": words},
        title=_("Cancel all of them") if rows else _("Appointments"),
        done=_("Cancelled. No e-mail is sent."),
        danger=True,
        row=patient,
    )


PatientAdmin.pages += [
    path("<int:pk>/deceased/", admin.site.admin_view(cancel_page), name="patients_patient_deceased"),
]
