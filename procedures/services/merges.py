"""What must be settled between the appointments and waits of two records before they are merged."""

from patients.models import Patient
from patients.services import Obstacle
from procedures.models import Appointment, WaitlistEntry
from procedures.services.booking_checks import span_words


def obstacles_to_merging(duplicate: Patient, kept: Patient) -> list[Obstacle]:
    """Appointments of both records at the same time, and a wait of both for the same treatment."""
    live = Appointment.objects.filter(status__in=Appointment.LIVE).select_related("site", "procedure_type")
    ours = list(live.filter(patient=kept))
    found = [
        Obstacle(
            "appointments_overlap",
            f"Two appointments at once: {appointment_text(appointment)}, and {appointment_text(other)}. "
            "Move or cancel one of them; of two that are over, mark one as entered in error.",
        )
        for appointment in live.filter(patient=duplicate)
        for other in ours
        if appointment.starts_at < other.ends_at and other.starts_at < appointment.ends_at
    ]
    columns = ("procedure_type_id", "region", "laterality")
    waits = set(WaitlistEntry.objects.filter(patient=kept, closed_at=None).values_list(*columns))
    for entry in WaitlistEntry.objects.filter(patient=duplicate, closed_at=None).select_related(
        "procedure_type"
    ):
        if tuple(getattr(entry, name) for name in columns) in waits:
            found.append(
                Obstacle(
                    "waiting_twice",
                    f"Both records wait for {entry.procedure_type}. Take one of them off the waitlist.",
                )
            )
    return found


def appointment_text(appointment: Appointment) -> str:
    """An appointment as staff know it; nothing of the patient."""
    when = span_words(appointment.starts_at, appointment.ends_at, appointment.site)
    return f"{appointment.procedure_type} {when} at {appointment.site}"
