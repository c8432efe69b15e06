"""The small clinic of the fixture `world`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from clinic.models import Resource, Site, User
from clinic.tests.factories import MONDAY
from patients.models import Patient
from procedures import services
from procedures.models import Appointment, Laterality, Procedure, ProcedureType


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
