"""What is left of a patient who has died: appointments that still take time."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic.models import User
from clinic.refusals import Refusal
from patients.models import Patient
from procedures.models import Appointment
from procedures.services.transitions import take_step
from procedures.workflow import STEPS

#: What stands with each appointment as the reason.
DECEASED = "The patient has died."


@transaction.atomic
def cancel_of_deceased(patient_id: int, *, by: User | None, now: datetime) -> list[Appointment]:
    """Cancel every appointment of a patient who has died at the sites that `by` works at; those that were cancelled.

    No letter goes out: nobody who has died is written to. A second time there is nothing left.

    Raises PermissionDenied when `by` may not cancel, Refusal "not_deceased" of somebody who lives.
    """
    if by is not None and not by.has_perm(STEPS["cancel"].permission):
        raise PermissionDenied
    patient = Patient.objects.get(pk=patient_id)
    if patient.died_on is None:
        raise Refusal("This patient has not died.", code="not_deceased", field="died_on")
    left = Appointment.objects.of_the_deceased().filter(patient=patient)
    if by is not None:
        left = left.visible_to(by)
    return [
        take_step(pk, "cancel", by=by, now=now, reason=DECEASED, ended_by=Appointment.EndedBy.PATIENT)
        for pk in left.order_by("starts_at", "pk").values_list("pk", flat=True)
    ]
