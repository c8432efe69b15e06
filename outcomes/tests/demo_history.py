"""When the tests' demo plays, and all that it holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from clinic.models import OutgoingEmail
from outcomes.models import AdverseEvent, Answer, CheckIn, FollowUp
from patients.models import OpioidUse, Patient
from procedures.models import Appointment, Baseline, ImplantedDevice, Procedure

#: A Friday, 13:00 at Riverside and 11:00 at Desert View.
DEMO_NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


def demo_rows() -> dict[str, list[tuple[Any, ...]]]:
    """What the demo holds, told without row numbers."""
    rows = {
        "patients": Patient.objects.values_list(
            "record_number", "family_name", "born_on", "created_at", "opted_out_at", "died_on"
        ),
        "appointments": Appointment.objects.values_list(
            "patient__record_number", "procedure_type__code", "starts_at", "status", "created_at"
        ),
        "reservations": Appointment.objects.values_list(
            "patient__record_number", "starts_at", "reservations__resource__name", "reservations__released_at"
        ),
        "procedures": Procedure.objects.values_list(
            "patient__record_number", "performed_at", "status", "baseline_pain", "performer__email"
        ),
        "scores before": Baseline.objects.values_list(
            "appointment__patient__record_number", "taken_at", "item", "value", "channel"
        ),
        "check_ins": CheckIn.objects.values_list(
            "follow_up__procedure__performed_at", "offset_minutes", "status", "invited_at", "due_at"
        ),
        "answers": Answer.objects.values_list(
            "answered_at", "channel", "measurements__value", "recorded_by__email"
        ),
        "verdicts": FollowUp.objects.values_list(
            "procedure__performed_at", "verdict", "verdict_reason", "judged_at"
        ),
        "opioids": OpioidUse.objects.values_list(
            "patient__record_number", "drug", "dose", "from_on", "until_on", "recorded_at"
        ),
        "devices": ImplantedDevice.objects.values_list(
            "procedure__patient__record_number", "model", "battery_due_on", "refill_due_on", "recorded_at"
        ),
        "adverse events": AdverseEvent.objects.values_list(
            "follow_up__patient__record_number", "term", "onset_on", "outcome", "recorded_at"
        ),
        "e-mails": OutgoingEmail.objects.values_list("to", "status", "sent_at", "attempts"),
    }
    return {name: sorted(values, key=repr) for name, values in rows.items()}


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside is gone afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
