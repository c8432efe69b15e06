"""The small clinic of the fixture `world`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from clinic.models import AuditEvent, Resource, Site, User
from clinic.tests.factories import DAY, MONDAY
from patients.models import Patient
from procedures import services
from procedures.import_rows import COLUMNS
from procedures.models import (
    Appointment,
    FreedTime,
    ImplantedDevice,
    Laterality,
    Procedure,
    ProcedureType,
    Reservation,
    WaitlistEntry,
)

APPOINTMENT_COLUMNS = ",".join(column.name for column in COLUMNS)
FRIDAY = MONDAY - timedelta(days=3)


@dataclass
class World:
    """The small clinic. `at` makes an instant from a wall time at its site."""

    site: Site
    clerk: User
    nurse: User
    physician: User
    admin: User
    room: Resource
    bay: Resource
    doctor: Resource
    patient: Patient
    ablation: ProcedureType
    now: datetime

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """The UTC instant of a wall time at the site."""
        return datetime.combine(day, time(hour, minute), self.site.zone).astimezone(UTC)

    def appointment(self, **values: object) -> Appointment:
        """An appointment that could be booked: the patient's left lumbar ablation on Monday at nine."""
        defaults: dict[str, object] = {
            "patient": self.patient,
            "procedure_type": self.ablation,
            "site": self.site,
            "starts_at": self.at(MONDAY, 9),
            "region": "lumbar",
            "laterality": Laterality.LEFT,
        }
        return Appointment(**defaults | values)

    def another_patient(self, number: int = 2, **values: object) -> Patient:
        """One more patient of the site who agreed to e-mail."""
        defaults: dict[str, object] = {
            "record_number": f"P{number:05}",
            "given_name": f"Ana{number}",
            "family_name": f"García{number}",
            "born_on": date(1950, 2, 3),
            "site": self.site,
            "email": f"ana{number}@example.org",
            "consented_at": self.now - timedelta(days=400),
            "created_at": self.now,
        }
        return Patient.objects.create(**defaults | values)

    def performed(
        self, *, baseline: int | None = 8, day: date = MONDAY, hour: int = 9, **values: object
    ) -> Procedure:
        """A booked and performed ablation, recorded an hour after its start."""
        appointment = services.book(
            self.appointment(starts_at=self.at(day, hour), **values), by=self.clerk, now=self.now
        )
        record = services.Performed(performed_at=self.at(day, hour), baseline_pain=baseline)
        return services.perform(appointment.pk, record, by=self.physician, now=self.at(day, hour + 1))


def another_type(world: World, code: str, **values: Any) -> ProcedureType:
    """A type that needs what the ablation needs and is expected to do what it does."""
    made = ProcedureType.objects.get(pk=world.ablation.pk)
    profile = world.ablation.relief_profiles.get()
    requirements = list(made.requirements.all())
    made.pk, made.code, made.laterality = None, code, "optional"
    made.regions = ["device", "thoracic", "cervical", "knee", "lumbar"]
    for name, value in values.items():
        setattr(made, name, value)
    made.save()
    for requirement in requirements:
        requirement.pk, requirement.procedure_type = None, made
        requirement.save()
    profile.pk, profile.procedure_type = None, made
    profile.save()
    return made


def booking_request(world: World, **changes: Any) -> dict[str, Any]:
    """A request that is granted."""
    return {
        "patient": world.patient.pk,
        "procedure_type": "rfa_facet",
        "site": world.site.pk,
        "starts_at": "2027-01-11T09:00",
        "region": "lumbar",
        "laterality": "left",
    } | changes


def booked_appointment(world: World, **values: Any) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def row_counts() -> tuple[int, int, int, int]:
    """How much is stored; a refusal must leave it as it was."""
    return (
        Appointment.objects.count(),
        Reservation.objects.count(),
        Procedure.objects.count(),
        AuditEvent.objects.count(),
    )


def implant_procedure(world: World, *, day: date = MONDAY, **values: Any) -> Procedure:
    """The world's procedure type made into the implant of a pump, and performed."""
    world.ablation.family, world.ablation.purpose = "intrathecal_drug_delivery", "device_implant"
    world.ablation.save()
    return world.performed(day=day, intent="implant", **values)


def device(procedure: Procedure, **values: object) -> ImplantedDevice:
    """A pump, not saved, whose refill is due ninety days after it was implanted."""
    day = procedure.performed_at.astimezone(procedure.site.zone).date()
    defaults: dict[str, object] = {
        "procedure": procedure,
        "kind": "intrathecal_pump",
        "manufacturer": "Acme",
        "model": "Drip II",
        "serial_number": "A-1001",
        "implanted_on": day,
        "refill_due_on": day + 90 * DAY,
        "battery_due_on": day + 2000 * DAY,
    }
    return ImplantedDevice(**defaults | values)


def recorded_device(world: World, procedure: Procedure, **values: object) -> ImplantedDevice:
    """The same, recorded by the nurse on the day after."""
    return services.record_device(
        device(procedure, **values), by=world.nurse, now=procedure.performed_at + DAY
    )


def appointment_row(**changes: str) -> str:
    """Ann's left lumbar ablation on Monday at nine, as a row; `changes` by column."""
    cells = {
        "record_number": "P00001",
        "procedure_type": "rfa_facet",
        "site": "Riverside",
        "date": "2027-01-11",
        "time": "09:00",
        "region": "lumbar",
        "side": "left",
    } | changes
    return ",".join(cells.get(column.name, "") for column in COLUMNS)


def appointments_csv(*rows: str) -> bytes:
    return "\r\n".join([APPOINTMENT_COLUMNS, *rows, ""]).encode()


def waitlist_entry(world: World, **values: Any) -> WaitlistEntry:
    """A wish for a left lumbar ablation, from today on, that needs a day's notice."""
    defaults: dict[str, Any] = {
        "patient": world.patient,
        "procedure_type": world.ablation,
        "region": "lumbar",
        "laterality": "left",
        "earliest_on": FRIDAY,
        "notice_hours": 24,
    }
    return WaitlistEntry(**defaults | values)


def on_waitlist(
    world: World, *, sites: Any = (), clinicians: Any = (), now: datetime | None = None, **values: Any
) -> WaitlistEntry:
    return services.join_waitlist(
        waitlist_entry(world, **values),
        sites=sites,
        clinicians=clinicians,
        by=world.clerk,
        now=now or world.now,
    )


def another_waiting(world: World, number: int, **values: Any) -> WaitlistEntry:
    """Somebody else who waits."""
    return on_waitlist(world, patient=world.another_patient(number), **values)


def freed_time(world: World, **values: Any) -> FreedTime:
    """Monday at nine comes free: another patient's appointment is cancelled."""
    patient = values.pop("patient", None) or world.another_patient(900 + Appointment.objects.count())
    held = values.pop("resources", ())
    asked = world.appointment(patient=patient, **values)
    booked = services.book(asked, resources=held, by=world.clerk, now=world.now)
    services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    return FreedTime.objects.select_related("site", "appointment").get(appointment=booked)
