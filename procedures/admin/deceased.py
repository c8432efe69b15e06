"""The page on which everything that is left of a patient who has died is cancelled, in one click."""

from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import staff
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


class CancelOfDeceased(ActionPage):
    """Name what is left, and cancel all of it."""

    model = Patient
    name = "deceased"
    permission_required = ("patients.view_patient", CANCEL)
    service = staticmethod(services.cancel_of_deceased)
    done = _("Cancelled. No e-mail is sent.")
    danger = True

    @cached_property
    def left(self) -> list[Appointment]:
        """What is left, as the page is opened or sent."""
        return left(self.request, self.row)

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        self.title = _("Cancel all of them") if self.left else _("Appointments")
        return super().get_context_data(**given)

    def lead(self) -> str:
        words = "; ".join(f"{span(row)}, {row.procedure_type} ({row.site})" for row in self.left)
        lead = (
            _("%(patient)s has died. Still booked or requested: %(what)s. No e-mail will be sent.")
            if self.left
            else _("Nothing is left to be cancelled for %(patient)s.")
        )
        return str(lead % {"patient": self.row, "what": words})


PatientAdmin.pages += paths(CancelOfDeceased)
