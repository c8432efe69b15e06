"""What procedures adds to a patient's page: what is coming and what has been."""

from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from clinic.admin.base import staff
from patients.admin import PatientAdmin
from patients.models import Patient
from procedures.admin.descriptions import STATUS_LABELS, marks, now_at, page_of, span
from procedures.admin.slot_forms import same_again
from procedures.admin.workflow_actions import buttons, steps_for
from procedures.models import Appointment
from procedures.workflow import EXPECTED, PRESENT

#: Statuses in which the patient is still to be treated.
AHEAD = EXPECTED | PRESENT | {"requested"}
#: How many appointments a patient's page shows; the rest is one click away.
MOST = 30


def again(row: Appointment) -> str:
    """Where the same is booked once more; "" for what is still to come or never was."""
    if row.status in AHEAD or row.status == row.Status.ENTERED_IN_ERROR or row.moved:
        return ""
    find = reverse("admin:procedures_appointment_find")
    return f"{find}?{urlencode({'patient': row.patient_id} | same_again(row))}"


#: What can be done from a patient's page besides the next step.
ALWAYS = ("cancel",)


def quick_steps(request: HttpRequest, row: Appointment, *, now: datetime) -> SafeString:
    """The buttons for the next step and for calling it off; both lead back to the patient's page."""
    possible = steps_for(request, row, now=now)
    chosen = [step for step in possible if row.status in step.listed or step.name in ALWAYS]
    return buttons(chosen, row, back=reverse("admin:patients_patient_change", args=[row.patient_id]))


#: Under which heading an appointment stands.
GROUPS = {
    "coming": gettext_lazy("Coming"),
    "moved": gettext_lazy("Rescheduled"),
    "off": gettext_lazy("Cancelled, its time has not come"),
    "past": gettext_lazy("Past"),
}


def group_of(row: Appointment, *, now: datetime) -> str:
    """The heading under which it stands, as GROUPS has it: what was moved by itself, and nothing ahead as past."""
    if row.moved:
        return "moved"
    if row.ends_at <= now:
        return "past"
    if row.status in AHEAD:
        return "coming"
    return "off" if not row.live else "past"


@PatientAdmin.first_panel
def appointments(request: HttpRequest, patient: Patient) -> SafeString:
    """The patient's appointments at the user's sites: coming ones first, soonest first; then the others by GROUPS."""
    if not request.user.has_perm("procedures.view_appointment"):
        return SafeString("")
    now = timezone.now()
    may_book = request.user.has_perm("procedures.book_appointment")
    rows = list(
        Appointment.objects.visible_to(staff(request))
        .filter(patient=patient)
        .select_related("site", "patient", "procedure_type", "procedure__site", "rescheduled_to__site")
        .order_by("-starts_at")[: MOST + 1]
    )
    shown = [
        {
            "appointment": row,
            "when": span(row),
            "page": page_of(row),
            "label": STATUS_LABELS[row.status],
            "marks": marks(row),
            "movable": row.status in row.EXPECTED and may_book,
            "group": group_of(row, now=now),
            "now_at": now_at(row),
            "steps": quick_steps(request, row, now=now),
            "again": again(row) if may_book and row.procedure_type.active and not patient.died_on else "",
        }
        for row in rows[:MOST]
    ]
    grouped = [
        (label, [row for row in (reversed(shown) if name == "coming" else shown) if row["group"] == name])
        for name, label in GROUPS.items()
    ]
    context = {
        "patient": patient,
        "groups": [(label, rows) for label, rows in grouped if rows],
        "more": len(rows) > MOST,
        "can_book": may_book and not patient.died_on,
    }
    return SafeString(render_to_string("admin/procedures/panel.html", context, request=request))
