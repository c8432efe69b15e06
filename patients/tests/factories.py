"""Patients as they are registered and imported, and their opioids."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from patients import services
from patients.models import OpioidUse
from procedures.tests.factories import World

PATIENT_COLUMNS = "record_number,given_name,family_name,born_on,site,email,phone,language,agreed_to_email"
PATIENT_ROW = "N-1,Zoë,Nguyễn,1961-02-28,Riverside,zoe@example.org,+1 212 555 0147,es,yes"


def takes_opioid(
    world: World, dose: str, since: date, until: date | None = None, drug: str = "morphine"
) -> None:
    OpioidUse.objects.create(
        patient=world.patient,
        drug=drug,
        dose=Decimal(dose),
        unit="mg/day",
        prescription="as written",
        from_on=since,
        until_on=until,
        mme_per_day=Decimal(dose) if drug == "morphine" else None,
        mme_version="CDC-2022" if drug == "morphine" else "",
        recorded_at=world.now + timedelta(days=900),
    )


def registration(world: World, **changes: Any) -> dict[str, Any]:
    """A request that is granted."""
    return {
        "record_number": "N-17",
        "given_name": "Zoë",
        "family_name": "Nguyễn",
        "born_on": "1961-02-28",
        "site": world.site.pk,
        "email": "zoe@example.org",
        "language": "es",
        "consented_at": "2027-01-08T11:00:00-05:00",
    } | changes


def patients_csv(*rows: str, header: str = PATIENT_COLUMNS) -> bytes:
    return "\r\n".join([header, *rows, ""]).encode()


def opioid_use(world: World, **values: object) -> OpioidUse:
    """Oxycodone, twice 10 mg, since New Year, not saved."""
    defaults: dict[str, object] = {
        "patient": world.patient,
        "drug": "oxycodone",
        "dose": Decimal(20),
        "unit": "mg/day",
        "prescription": "10 mg ER twice a day",
        "from_on": date(2027, 1, 1),
    }
    return OpioidUse(**defaults | values)


def recorded_opioid_use(world: World, **values: object) -> OpioidUse:
    """The same, recorded by the nurse."""
    return services.record_opioid_use(opioid_use(world, **values), by=world.nurse, now=world.now)
