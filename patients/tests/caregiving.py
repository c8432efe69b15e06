"""How tests come to a caregiver of the small clinic's patient."""

from datetime import datetime
from typing import Any

from patients import services
from patients.models import Caregiver
from procedures.tests.factories import World

DAUGHTER = "daughter@example.org"


def caregiver(world: World, *, now: datetime | None = None, **said: Any) -> Caregiver:
    """The daughter of the small clinic's patient, who agreed to e-mail, recorded at `now` (else the world's)."""
    now = now or world.now
    defaults: dict[str, Any] = {
        "patient": world.patient,
        "name": "Rosa García",
        "relation": Caregiver.Relation.CHILD,
        "email": DAUGHTER,
        "language": "en",
        "consented_at": now,
        "consent_version": "1",
        "permitted_by": Caregiver.PermittedBy.PATIENT,
        "permitted_on": now.astimezone(world.site.zone).date(),
    }
    return services.save_caregiver(Caregiver(**defaults | said), by=world.clerk, now=now)
