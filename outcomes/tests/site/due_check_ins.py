"""Many check-ins that have just fallen due."""

from django.utils import timezone

from bench.clinic import Clinic
from outcomes.models import CheckIn
from patients.models import Patient
from procedures.tests.factories import World


def due_check_ins(world: World, number: int) -> list[CheckIn]:
    """That many check-ins that have just fallen due, each of a patient of its own."""
    now = timezone.now()
    patients = Patient.objects.bulk_create(
        Patient(
            record_number=f"F{first:05}",
            given_name="Ana",
            family_name=f"García{first}",
            born_on="1950-02-03",
            site=world.site,
            email=f"ana{first}@example.org",
            consented_at=now,
            created_at=now,
        )
        for first in range(number)
    )
    clinic = Clinic(world.site, world.clerk, world.ablation, [], patients, now)
    return clinic.due(number)
