"""Every reaction of procedures to what happens in the apps below, in one place."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from patients.models import Patient
from patients.signals import links_void
from procedures.services import letters


@receiver(links_void)
def void_links(patient: Patient, cause: str, now: datetime, **_: Any) -> None:
    letters.void_links(patient, now=now)
    if cause == "address_changed":
        letters.tell_at_new_address(patient, now=now)
