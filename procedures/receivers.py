"""Every reaction of procedures to what happens in the apps below, in one place."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from patients.models import Patient
from patients.services import Obstacle
from patients.signals import links_void, merging, patient_merged
from procedures.services import letters
from procedures.services.merging import follow_merged, obstacles_to_merging


@receiver(links_void)
def void_links(patient: Patient, cause: str, now: datetime, **_: Any) -> None:
    letters.void_links(patient, now=now)
    if cause == "address_changed":
        letters.tell_at_new_address(patient, now=now)


@receiver(merging)
def name_obstacles(duplicate: Patient, kept: Patient, **_: Any) -> list[Obstacle]:
    return obstacles_to_merging(duplicate, kept)


@receiver(patient_merged)
def end_links(
    duplicate: Patient,
    kept: Patient,
    moved: dict[str, list[int]],
    new_address: bool,
    now: datetime,
    **_: Any,
) -> None:
    appointments = moved.get("procedures.appointment", [])
    follow_merged(duplicate, kept, appointments=appointments, new_address=new_address, now=now)
