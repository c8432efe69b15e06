"""A row for each address of the API that changes one."""

from typing import Any

from django.db import models

from clinic.models import Closure, Resource
from clinic.tests.factories import MONDAY
from outcomes.models import AdverseEvent, Alert, CheckIn, ContactAttempt, FollowUp
from outcomes.tests.factories import course_alert, recorded_adverse_event
from patients import services as patients
from patients.models import Caregiver, OpioidUse, Patient
from patients.tests.caregiving import caregiver
from procedures import services
from procedures.models import (
    Appointment,
    CalendarFeed,
    FigureConfirmation,
    FreedTime,
    ImplantedDevice,
    Procedure,
    WaitlistEntry,
)
from procedures.tests.factories import World, freed_time, implant_procedure, on_waitlist, recorded_device


def row_at(world: World, path: str) -> tuple[str, models.Model, dict[str, Any]]:
    """The address of a row for `path`, the row, and what somebody else changes about what it shows."""
    kind = path.partition("/")[0]
    if kind in ("procedures", "follow-ups", "check-ins", "devices", "adverse-events"):
        procedure = implant_procedure(world) if kind == "devices" else world.performed()
        follow_up = FollowUp.objects.get(procedure=procedure)
    row: models.Model
    changes: dict[str, Any] = {"note": "x"}
    match kind:
        case "patients" if "opioids" in path:
            use = OpioidUse(
                patient=world.patient, drug="oxycodone", dose=20, unit="mg/day", prescription="as written",
                from_on=MONDAY.replace(year=2026),
            )  # fmt: skip
            row = patients.record_opioid_use(use, by=world.nurse, now=world.now)
            changes = {"prescription": "x"}
        case "patients" if "caregiver" in path:
            changes = {"name": "x"}
            return path.replace("<int:pk>", str(world.patient.pk)), caregiver(world), changes
        case "patients":
            world.another_patient()
            caregiver(world)
            row, changes = world.patient, {"phone": "+1 212 555 0100"}
        case "appointments":
            row = services.book(world.appointment(), by=world.clerk, now=world.now)
        case "procedures":
            row, changes = procedure, {"baseline_pain": 3}
        case "follow-ups":
            row, changes = follow_up, {"verdict_reason": "x"}
        case "check-ins":
            row, changes = (
                CheckIn.objects.filter(follow_up=follow_up).earliest("due_at"),
                {"status": "missed"},
            )
        case "devices":
            row, changes = recorded_device(world, procedure), {"udi": "x"}
        case "adverse-events":
            row, changes = recorded_adverse_event(world, follow_up), {"description": "x"}
        case "alerts":
            row, changes = course_alert(world, "worse", 2), {"resolution_note": "x"}
        case "waitlist":
            row = on_waitlist(world)
        case "freed-times":
            row, changes = freed_time(world), {"ends_at": world.at(MONDAY, 11)}
        case "closures":
            row = Closure.objects.create(
                resource=world.room, starts_at=world.at(MONDAY, 18), ends_at=world.at(MONDAY, 19), reason="x"
            )
            changes = {"reason": "y"}
        case "resources":
            services.issue_feed(world.doctor, by=world.admin, now=world.now)
            row, changes = world.doctor, {}
        case _:
            raise AssertionError(f"{path}: no row for it here")
    address = path.replace("<int:patient>", str(world.patient.pk)).replace("<int:pk>", str(row.pk))
    return address, row, changes


def changeable_rows() -> dict[str, list[Any]]:
    """Every column of what could be changed here."""
    kinds: tuple[type[models.Model], ...] = (
        *(Patient, Caregiver, OpioidUse, Appointment, Procedure, FollowUp, CheckIn, Closure, Resource),
        *(WaitlistEntry, FreedTime, CalendarFeed, FigureConfirmation, Alert, ContactAttempt, AdverseEvent),
        ImplantedDevice,
    )
    return {kind._meta.label: list(kind._base_manager.order_by("pk").values()) for kind in kinds}


#: What stands in the place of a row's kind in the addresses of the API; "" for what has none there.
API_PATHS = {
    "patients/patient": "patients/",
    "patients/opioiduse": "patients/<int:patient>/opioids/",
    "procedures/appointment": "appointments/",
    "procedures/procedure": "procedures/",
    "procedures/proceduretype": "",
    "procedures/implanteddevice": "devices/",
    "procedures/freedtime": "freed-times/",
    "procedures/waitlistentry": "waitlist/",
    "outcomes/followup": "follow-ups/",
    "outcomes/checkin": "check-ins/",
    "outcomes/alert": "alerts/",
    "outcomes/adverseevent": "adverse-events/",
    "clinic/resource": "resources/",
}
