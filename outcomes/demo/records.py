"""What staff of the demo write down beside the answers: opioids, implanted devices and adverse events.

Every chance here comes from a source of its own, so that nothing of it changes what else happens in a patient's life.
All shares, doses and spans are working values, and all makers and models are made up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

from outcomes import services as outcomes
from outcomes.demo.clinic import Place
from outcomes.demo.pathways import Visit
from outcomes.demo.relief_courses import SimulatedCourse
from outcomes.models import AdverseEvent, FollowUp
from outcomes.services.devices import raise_due
from patients import services as patients
from patients.models import OpioidUse, Patient
from procedures import services as procedures
from procedures.models import ImplantedDevice, Procedure

#: The share of patients who take an opioid when they first come, and of procedures after which something goes wrong.
TAKES_OPIOIDS, GOES_WRONG = 0.3, 0.07
#: What is taken, implanted and goes wrong, see the file.
WRITTEN: Mapping[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
OPIOIDS, DEVICES = WRITTEN["opioids"], WRITTEN["devices"]
TROUBLE, DEVICE_TROUBLE = WRITTEN["trouble"], WRITTEN["device_trouble"]
REFILL = "itp_refill_adjustment"


class TimelineProtocol(Protocol):
    """What of a life is needed here, see `outcomes.demo.timeline.PatientTimeline`."""

    patient: Patient
    place: Place
    now: datetime

    def at(self, moment: datetime, do: Callable[[], None]) -> None: ...
    def alarm(self, follow_up_id: int) -> None: ...


@dataclass
class Records:
    """The records of one patient's life."""

    life: TimelineProtocol
    rng: Random
    asked: bool = False
    device: ImplantedDevice | None = None

    def after(self, procedure: Procedure, follow_up: FollowUp, visit: Visit, course: SimulatedCourse) -> None:
        """What is written down because `procedure` was performed just now."""
        if not self.asked:
            self.asked = True
            self.ask_for_opioids(course)
        if visit.code in DEVICES:
            self.implant(procedure, follow_up, *DEVICES[visit.code])
        elif visit.code == REFILL:
            self.refill()
        if self.rng.random() < GOES_WRONG:
            self.harm(follow_up, TROUBLE if visit.code not in DEVICES else DEVICE_TROUBLE)

    def today(self) -> date:
        return self.life.place.day(self.life.now)

    def morning(self, day: date) -> datetime:
        """Some minute of a morning on which the nurse writes something down."""
        return self.life.place.at(day, 9, self.rng.randrange(60))

    # Opioids

    def ask_for_opioids(self, course: SimulatedCourse) -> None:
        """Whether the patient takes an opioid, and which; who is helped for long takes half of it later."""
        if self.rng.random() >= TAKES_OPIOIDS:
            return
        drug, dose, unit, prescription, _ = self.rng.choices(OPIOIDS, [opioid[-1] for opioid in OPIOIDS])[0]
        use = OpioidUse(
            patient=self.life.patient,
            drug=drug,
            dose=Decimal(dose),
            unit=unit,
            prescription=prescription,
            from_on=self.today() - timedelta(days=self.rng.randint(40, 700)),
        )
        patients.record_opioid_use(use, by=self.life.place.nurse, now=self.life.now)
        if course.lasts > 60:
            day = self.today() + timedelta(days=self.rng.randint(30, 60))
            self.life.at(self.morning(day), partial(self.halve, use))

    def halve(self, use: OpioidUse) -> None:
        """From today on half the dose."""
        nurse, now = self.life.place.nurse, self.life.now
        patients.end_opioid_use(use.pk, until_on=self.today() - timedelta(days=1), by=nurse, now=now)
        half = OpioidUse(
            patient=self.life.patient,
            drug=use.drug,
            dose=use.dose / 2,
            unit=use.unit,
            prescription=f"half of: {use.prescription}",
            from_on=self.today(),
        )
        patients.record_opioid_use(half, by=nurse, now=now)

    # Devices

    def implant(
        self, procedure: Procedure, follow_up: FollowUp, kind: str, manufacturer: str, model: str
    ) -> None:
        """Write down the device, and have its due days come."""
        today = self.today()
        pump = kind == ImplantedDevice.Kind.INTRATHECAL_PUMP
        self.device = ImplantedDevice(
            procedure=procedure,
            kind=kind,
            manufacturer=manufacturer,
            model=model,
            serial_number=f"{self.life.patient.record_number}-{self.rng.randrange(10_000):04}",
            implanted_on=today,
            battery_due_on=today + timedelta(days=self.rng.randint(250, 2200)),
            refill_due_on=today + timedelta(days=self.rng.randint(75, 90)) if pump else None,
        )
        procedures.record_device(self.device, by=self.life.place.nurse, now=self.life.now)
        self.await_due(follow_up.pk, self.device.battery_due_on)
        self.await_due(follow_up.pk, self.device.refill_due_on)

    def refill(self) -> None:
        """The pump was filled today."""
        if self.device is None:
            return
        due_on = self.today() + timedelta(days=self.rng.randint(75, 90))
        self.device = procedures.refilled(
            self.device.pk, next_due_on=due_on, by=self.life.place.nurse, now=self.life.now
        )
        self.await_due(self.device.procedure.follow_up.pk, due_on)

    def await_due(self, follow_up_id: int, day: date | None) -> None:
        """Let the day come, as the tick would."""
        if day is not None:
            self.life.at(self.life.place.at(day, 0), partial(self.fall_due, follow_up_id))

    def fall_due(self, follow_up_id: int) -> None:
        """Raise the alert if something is due; a nurse sees to it."""
        raise_due(follow_up_id, now=self.life.now)
        self.life.alarm(follow_up_id)

    # Harm

    def harm(self, follow_up: FollowUp, trouble: Sequence[tuple[str, str, int, int, str]]) -> None:
        """Something goes wrong some days later, and passes."""
        term, severity, within, lasts, word = self.rng.choice(trouble)
        onset_on = self.today() + timedelta(days=self.rng.randint(0, within))
        event = AdverseEvent(
            follow_up=follow_up,
            term=term,
            onset_on=onset_on,
            severity=severity,
            serious=severity == AdverseEvent.Severity.SEVERE,
            outcome=AdverseEvent.Outcome.ONGOING,
            relation=self.rng.choice(("possible", "probable", "definite")),
            suspect="device" if trouble is DEVICE_TROUBLE else "procedure",
            description=word,
        )
        told = self.morning(onset_on + timedelta(days=1))
        passed = self.morning(onset_on + timedelta(days=1 + lasts))
        self.life.at(told, partial(self.tell, event))
        self.life.at(passed, partial(self.pass_, event))

    def tell(self, event: AdverseEvent) -> None:
        """Write down that it happened."""
        outcomes.record_adverse_event(event, by=self.life.place.nurse, now=self.life.now)

    def pass_(self, event: AdverseEvent) -> None:
        """Write down that it has passed."""
        outcomes.correct_adverse_event(
            event.pk,
            changes={"outcome": AdverseEvent.Outcome.RESOLVED},
            reason="it has passed",
            by=self.life.place.nurse,
            now=self.life.now,
        )
