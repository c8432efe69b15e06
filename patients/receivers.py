"""Every reaction of patients to what happens on the ground floor, in one place."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from clinic.signals import address_bounced, address_stopped
from patients import services


@receiver(address_bounced)
def mark_patients(address: str, now: datetime, **_: Any) -> None:
    services.note_bounce(address, now=now)


@receiver(address_stopped)
def stop_patients(address: str, reason: str, now: datetime, **_: Any) -> None:
    services.note_stop(address, reason=reason, now=now)
