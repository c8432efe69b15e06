"""The clinic that is measured: the project's own catalogue, resources that work long days, patients, follow-ups."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
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
        call_command("load_catalogue", stdout=StringIO())
        now = timezone.now()
        # It is measured at any hour, and asks the same patients more often than a clinic may.
        asks = {"quiet_from": time(0), "quiet_until": time(0), "emails_a_week": 1000}
        site = Site.objects.create(
            name="Bench", time_zone="America/New_York", phone="+1 212 555 0100", **asks
        )
        kind = ProcedureType.objects.get(code="rfa_facet")
        categories = ResourceCategory.objects.filter(requirements__procedure_type=kind).distinct()
        resources = []
        for client in range(CLIENTS):
            own = [
                open_resource(f"{each} {client}", site, each, range(7), time(6), time(23))
                for each in categories
            ]
            Privilege.objects.bulk_create(
                Privilege(resource=resource, family=kind.family)
                for resource, each in zip(own, categories, strict=True)
                if each.needs_privilege
            )
            resources.append(own)
        agreed = {"given_name": "Ana", "born_on": date(1950, 2, 3), "consented_at": now, "created_at": now}
        patients = Patient.objects.bulk_create(
            Patient(
                record_number=f"B{number:05}",
                family_name=f"García{number}",
                site=site,
                email=f"ana{number}@example.org",
                **agreed,
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
        treated = {"procedure_type": self.kind, "site": self.site, "region": "lumbar", "laterality": "left"}
        return Appointment(patient=patient, starts_at=starts_at, **treated)

    def follow_ups(self, number: int) -> list[FollowUp]:
        """That many running follow-ups of made-up procedures in the past, without check-ins and never judged wanting.

        Written as rows: what is measured is not how they come about.
        """
        profile = self.kind.relief_profiles.get()
        same = {
            "procedure_type": self.kind,
            "site": self.site,
            "status": "completed",
            "intent": "therapeutic",
        }
        same |= {"region": "lumbar", "laterality": "left"}
        rows: tuple[list[Any], ...] = ([], [], [])
        for hour in islice(count(Procedure.objects.count() + 1), number):
            start = self.now - timedelta(days=30, hours=2 * hour)
            end, patient = start + timedelta(minutes=105), self.patients[hour % len(self.patients)]
            visit = Appointment(patient=patient, starts_at=start, ends_at=end, created_at=start, **same)
            done = Procedure(appointment=visit, patient=patient, relief_profile=profile, **same)
            done.performed_at, done.recorded_at, done.baseline_pain = start, end, 8
            course = FollowUp(procedure=done, patient=patient, relief_profile=profile, opened_at=end)
            course.verdict_reason, course.judged_at = "bench", self.now
            for made, row in zip(rows, (visit, done, course), strict=True):
                made.append(row)
        for made in rows:
            type(made[0])._base_manager.bulk_create(made, batch_size=1000)
        return rows[2]

    def due(self, number: int) -> list[CheckIn]:
        """That many check-ins that have just fallen due, each of a follow-up of its own."""
        due_at = self.now - timedelta(minutes=1)
        made = [self.check_in(follow_up, due_at=due_at) for follow_up in self.follow_ups(number)]
        CheckIn.objects.bulk_create(made, batch_size=1000)
        with connection.cursor() as cursor:  # as autovacuum would within a minute
            cursor.execute("ANALYZE")
        return made

    @staticmethod
    def check_in(follow_up: FollowUp, *, due_at: datetime) -> CheckIn:
        offset = (due_at - follow_up.procedure.performed_at) // timedelta(minutes=1)
        when = {"opens_at": due_at - timedelta(hours=8), "closes_at": due_at + timedelta(days=14)}
        return CheckIn(follow_up=follow_up, offset_minutes=offset, due_at=due_at, **when)


def open_resource(
    name: str, site: Site, category: ResourceCategory, weekdays: range, opens: time, closes: time
) -> Resource:
    """A resource that works on these weekdays."""
    resource = Resource.objects.create(name=name, site=site)
    resource.categories.add(category)
    WorkingHours.objects.bulk_create(
        WorkingHours(resource=resource, site=site, weekday=day, opens=opens, closes=closes)
        for day in weekdays
    )
    return resource


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
