"""Every reaction of outcomes to what happens in the apps below, in one place."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from outcomes import services
from procedures.models import Procedure
from procedures.signals import procedure_performed, procedure_voided


@receiver(procedure_performed)
def open_follow_up(procedure: Procedure, now: datetime, **_: Any) -> None:
    services.open_follow_up(procedure, now=now)


@receiver(procedure_voided)
def void_follow_up(procedure: Procedure, now: datetime, **_: Any) -> None:
    services.void_follow_up(procedure, now=now)
