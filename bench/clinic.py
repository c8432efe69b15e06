"""The clinic that is measured: the project's own catalogue, resources that work long days, patients, follow-ups."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice
from typing import Any, Self

from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours
from outcomes.models import CheckIn, FollowUp
from patients.models import Patient
from procedures.models import Appointment, Privilege, Procedure, ProcedureType

#: So many clients book at the same time; each has resources of its own, as physicians in different rooms do.
CLIENTS = 8
#: Starts of the prepared slots on each day. The procedure and its recovery take 105 minutes.
HOURS = (6, 8, 10, 12, 14, 16, 18, 20)


@dataclass
class Clinic:
    """One site. `kind` is the catalogue's facet ablation, which needs five resources."""

    site: Site
    clerk: User
    kind: ProcedureType
    resources: list[list[Resource]]  #: one list for each client: physician, room, C-arm, generator, bay
    patients: list[Patient]
    now: datetime
    used: list[int] = field(default_factory=lambda: [0] * CLIENTS)

    @classmethod
    def make(cls) -> Self:
        """Migrate, load the catalogue, and build the clinic."""
        call_command("migrate", verbosity=0)
        with open("/dev/null", "w") as nowhere:
            call_command("load_catalogue", stdout=nowhere)
        now = timezone.now()
        site = Site.objects.create(
            name="Bench",
            time_zone="America/New_York",
            phone="+1 212 555 0100",
            # It is measured at any hour, and asks the same patients more often than a clinic may.
            quiet_from=time(0),
            quiet_until=time(0),
            emails_a_week=1000,
        )
        kind = ProcedureType.objects.get(code="rfa_facet")
        categories = ResourceCategory.objects.filter(requirements__procedure_type=kind).distinct()
        resources = []
        for client in range(CLIENTS):
            own = [Resource.objects.create(name=f"{category} {client}", site=site) for category in categories]
            for resource, category in zip(own, categories, strict=True):
                resource.categories.add(category)
                if category.needs_privilege:
                    Privilege.objects.create(resource=resource, family=kind.family)
                WorkingHours.objects.bulk_create(
                    WorkingHours(resource=resource, site=site, weekday=day, opens=time(6), closes=time(23))
                    for day in range(7)
                )
            resources.append(own)
        patients = Patient.objects.bulk_create(
            Patient(
                record_number=f"B{number:05}",
                given_name="Ana",
                family_name=f"García{number}",
                born_on=date(1950, 2, 3),
                site=site,
                email=f"ana{number}@example.org",
                consented_at=now,
                created_at=now,
            )
            for number in range(CLIENTS * 100)
        )
        clerk = User.objects.create_user("clerk@example.org", "bench", is_staff=True)
        return cls(site, clerk, kind, resources, patients, now)

    def slots(self, client: int, number: int) -> list[tuple[datetime, int]]:
        """The client's next `number` free slots: an instant and a patient's number each. None is given out twice."""
        first = self.used[client]
        self.used[client] += number
        tomorrow = self.now.astimezone(self.site.zone).date() + timedelta(days=1)
        result = []
        for slot in range(first, first + number):
            day, hour = tomorrow + timedelta(days=slot // len(HOURS)), HOURS[slot % len(HOURS)]
            starts_at = datetime.combine(day, time(hour), self.site.zone).astimezone(UTC)
            result.append((starts_at, self.patients[client * 100 + slot % 100].pk))
        return result

    def appointment(self, starts_at: datetime, patient: Patient) -> Appointment:
        """A left lumbar ablation at that instant, not saved."""
        return Appointment(
            patient=patient,
            procedure_type=self.kind,
            site=self.site,
            starts_at=starts_at,
            region="lumbar",
            laterality="left",
        )

    def follow_ups(self, number: int) -> list[FollowUp]:
        """That many running follow-ups of made-up procedures in the past, without check-ins and never judged wanting.

        Written as rows: what is measured is not how they come about.
        """
        hours = islice(count(Procedure.objects.count() + 1), number)
        profile = self.kind.relief_profiles.get()
        appointments = Appointment.objects.bulk_create(
            [
                Appointment(
                    patient=self.patients[hour % len(self.patients)],
                    procedure_type=self.kind,
                    site=self.site,
                    starts_at=(start := self.now - timedelta(days=30, hours=2 * hour)),
                    ends_at=start + timedelta(minutes=105),
                    status="completed",
                    intent="therapeutic",
                    region="lumbar",
                    laterality="left",
                    created_at=start,
                )
                for hour in hours
            ],
            batch_size=1000,
        )
        procedures = Procedure.objects.bulk_create(
            [
                Procedure(
                    appointment=appointment,
                    patient=appointment.patient,
                    procedure_type=self.kind,
                    relief_profile=profile,
                    site=self.site,
                    status="completed",
                    intent="therapeutic",
                    performed_at=appointment.starts_at,
                    region="lumbar",
                    laterality="left",
                    baseline_pain=8,
                    recorded_at=appointment.ends_at,
                )
                for appointment in appointments
            ],
            batch_size=1000,
        )
        return FollowUp.objects.bulk_create(
            [
                FollowUp(
                    procedure=procedure,
                    patient=procedure.patient,
                    relief_profile=profile,
                    opened_at=procedure.recorded_at,
                    verdict_reason="bench",
                    judged_at=self.now,
                )
                for procedure in procedures
            ],
            batch_size=1000,
        )

    def due(self, number: int) -> list[CheckIn]:
        """That many check-ins that have just fallen due, each of a follow-up of its own."""
        made = CheckIn.objects.bulk_create(
            [
                self.check_in(follow_up, due_at=self.now - timedelta(minutes=1))
                for follow_up in self.follow_ups(number)
            ],
            batch_size=1000,
        )
        self.analyze()
        return made

    @staticmethod
    def check_in(follow_up: FollowUp, *, due_at: datetime) -> CheckIn:
        offset = (due_at - follow_up.procedure.performed_at) // timedelta(minutes=1)
        return CheckIn(
            follow_up=follow_up,
            offset_minutes=offset,
            opens_at=due_at - timedelta(hours=8),
            due_at=due_at,
            closes_at=due_at + timedelta(days=14),
        )

    @staticmethod
    def analyze() -> None:
        """Statistics as autovacuum would make them within a minute."""
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def copies(cursor: Any, row: Model, made: str, changes: dict[str, str]) -> None:
    """Write one row as the saved `row` for each of the table `made`, but for `changes`: SQL by column.

    Much faster than Django where triggers are off, `SET LOCAL session_replication_role = replica`: then neither
    history nor foreign keys of the rows are looked at.
    """
    same = [field.column for field in row._meta.local_concrete_fields if field.column not in changes]
    listed = ", ".join(f'"{column}"' for column in (*changes, *same))
    values = ", ".join([*changes.values(), *(f'model."{column}"' for column in same)])
    cursor.execute(
        f"INSERT INTO {row._meta.db_table} ({listed}) SELECT {values}"  # names of this project's own
        f" FROM {row._meta.db_table} AS model CROSS JOIN {made} WHERE model.id = %s",
        [row.pk],
    )
