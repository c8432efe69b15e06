"""What merging two records of one patient means for appointments, letters and the waitlist."""

from datetime import datetime

from django.db.models import Q

from clinic.models import OutgoingEmail
from patients.models import Patient
from patients.services import Obstacle
from procedures.models import Appointment, AppointmentLink, WaitlistEntry
from procedures.services.letters import BOOKED, CANCELLED, REMINDER, letter_key
from procedures.services.looking import span_words


def obstacles_to_merging(duplicate: Patient, kept: Patient) -> list[Obstacle]:
    """Appointments of both records at the same time, and a wait of both for the same treatment."""
    live = Appointment.objects.filter(status__in=Appointment.LIVE).select_related("site", "procedure_type")
    ours = list(live.filter(patient=kept))
    found = [
        Obstacle(
            "appointments_overlap",
            f"Two appointments at once: {words(one)}, and {words(other)}. Move or cancel one of them; of two that are "
            "over, mark one as entered in error.",
        )
        for one in live.filter(patient=duplicate)
        for other in ours
        if one.starts_at < other.ends_at and other.starts_at < one.ends_at
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


def words(appointment: Appointment) -> str:
    """An appointment as staff know it; nothing of the patient."""
    when = span_words(appointment.starts_at, appointment.ends_at, appointment.site)
    return f"{appointment.procedure_type} {when} at {appointment.site}"


def follow_merged(
    duplicate: Patient, kept: Patient, *, appointments: list[int], new_address: bool, now: datetime
) -> None:
    """After a merge: the links in letters that went to an address which is no longer the patient's end, and letters
    that have not gone out yet go to the one that is.

    `appointments`: the numbers of those that came with the duplicate.
    """
    whose = Q(pk__in=[])
    if duplicate.email.casefold() != kept.email.casefold():
        whose |= Q(pk__in=appointments)
    if new_address:
        whose |= Q(patient=kept) & ~Q(pk__in=appointments)
    numbers = list(Appointment.objects.filter(whose).values_list("pk", flat=True))
    AppointmentLink.objects.filter(appointment__in=numbers, revoked_at=None, tablet_until=None).update(
        revoked_at=now
    )
    if kept.email:
        keys = [letter_key(number, kind) for number in numbers for kind in (BOOKED, CANCELLED, REMINDER)]
        OutgoingEmail.objects.filter(key__in=keys, status=OutgoingEmail.Status.QUEUED).update(to=kept.email)
