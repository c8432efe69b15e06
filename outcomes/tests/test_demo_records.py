"""What the demo writes down beside the answers: there, in order, and without changing anything else."""

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from outcomes import services
from outcomes.demo import clinic_history
from outcomes.demo.clinic import build
from outcomes.demo.made_up_patients import invent
from outcomes.demo.records import Records
from outcomes.demo.timeline import PatientTimeline
from outcomes.models import AdverseEvent, Alert
from outcomes.tests.demo_history import DEMO_NOW, demo_rows, undone
from patients.models import OpioidUse
from procedures.models import ImplantedDevice

RECORDS = {"opioids", "devices", "adverse events"}


def live(ways: tuple[str, ...], each: int = 2) -> None:
    """Have the first few patients of each way live up to NOW."""
    house = build()
    people = invent(clinic_history.SEED, DEMO_NOW.date(), clinic_history.PATIENTS)
    for way in ways:
        some = (
            person
            for person in people
            if person.pathway == way and not person.newcomer and person.joined > 300
        )
        for person in islice(some, each):
            life = PatientTimeline(
                person,
                clinic_history.register(person, house, DEMO_NOW),
                house,
                clinic_history.SEED,
                "history",
            )
            today = life.place.day(DEMO_NOW)
            life.visits.follow(today - timedelta(days=person.joined), today)
            life.play(DEMO_NOW)


def test_devices_are_recorded_refilled_and_looked_after(procedure_types: None) -> None:
    live(("pump",), each=3)
    pump = ImplantedDevice.objects.filter(kind="intrathecal_pump").first()
    assert pump
    assert pump.refill_due_on
    assert pump.refill_due_on > pump.implanted_on + timedelta(days=100)  # filled at least once
    assert Alert.objects.filter(kind="device_due").exists()
    assert services.review_devices(now=DEMO_NOW) == {"raised": 0, "settled": 0}


def test_opioids_and_adverse_events_come_and_pass(procedure_types: None) -> None:
    live(("radicular", "facet"), each=6)
    assert OpioidUse.objects.filter(until_on__isnull=False).exists()
    assert OpioidUse.objects.filter(until_on=None).exists()
    assert AdverseEvent.objects.filter(outcome="resolved").exists()


def test_they_change_nothing_else(procedure_types: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = ("radicular", "pump")
    with undone():
        live(ways)
        told = demo_rows()
    assert any(told[name] for name in RECORDS)

    def nothing(self: Records, *_: Any) -> None:
        """Nobody writes anything down."""

    monkeypatch.setattr(Records, "after", nothing)
    live(ways)
    untold = demo_rows()
    assert {name: rows for name, rows in told.items() if name not in RECORDS} == {
        name: rows for name, rows in untold.items() if name not in RECORDS
    }
