"""Every reaction of procedures to what happens in the apps below, in one place."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from patients.models import Patient
from patients.services import Obstacle
from patients.signals import links_void, merging
from procedures import services
from procedures.models import Appointment


@receiver(merging)
def name_obstacles(duplicate: Patient, kept: Patient, **_: Any) -> list[Obstacle]:
    return services.obstacles_to_merging(duplicate, kept)


@receiver(links_void)
def void_links(
    patient: Patient, cause: str, moved: dict[str, list[int]] | None, now: datetime, **_: Any
) -> None:
    if moved is None:
        appointments = list(Appointment.objects.filter(patient=patient).values_list("pk", flat=True))
    else:
        appointments = moved.get("procedures.appointment", [])
    services.void_links(appointments, now=now)
    if cause in ("address_changed", "merged"):
        services.notify_at_new_address(appointments, now=now)
