"""The clinic that is measured: the project's own catalogue, resources that work long days, patients, follow-ups."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice
from typing import Any, Self

from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from clinic.links import token_hash
from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours
from outcomes.models import CheckIn, FollowUp, Link
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

    def plan_ahead(self, number: int) -> None:
        """That many check-ins, ten to a follow-up, due in the coming two years; each follow-up is of another patient.

        Copied in the database, without its triggers: two million of them are written within minutes.
        """
        (one,) = self.follow_ups(1)
        number //= 10
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            new = {"record_number": "'C' || n", "email": "'c' || n || '@example.org'"}
            shift = {"unsubscribe_key": "gen_random_uuid()"} | new
            patients = copies(cursor, one.patient, number, shift)
            moved = {"starts_at": "t.starts_at - n * interval '2 hours'"}
            moved |= {"ends_at": "t.ends_at - n * interval '2 hours'"}
            whose = {"patient_id": f"{patients} + n"}
            appointments = copies(cursor, one.procedure.appointment, number, whose | moved)
            performed = {"performed_at": "t.performed_at - n * interval '2 hours'"}
            done = {"appointment_id": f"{appointments} + n"} | whose | performed
            procedures = copies(cursor, one.procedure, number, done)
            follow_ups = copies(cursor, one, number, {"procedure_id": f"{procedures} + n"} | whose)
            cursor.execute(
                """
                INSERT INTO outcomes_checkin
                    (follow_up_id, offset_minutes, opens_at, due_at, closes_at, status, not_sent_reason, reminders)
                SELECT %(first)s + n, extract(epoch FROM due_at - performed_at) / 60, due_at - interval '8 hours',
                       due_at, due_at + interval '14 days', 'planned', '', 0
                  FROM (SELECT n, %(now)s + interval '1 day' * (70 * step + 1)
                                  + interval '1 minute' * (n %% 1440) AS due_at,
                               %(performed)s - interval '2 hours' * n AS performed_at
                          FROM generate_series(1, %(number)s) AS n CROSS JOIN generate_series(0, 9) AS step) AS planned
                """,
                {
                    "first": follow_ups,
                    "now": self.now,
                    "performed": one.procedure.performed_at,
                    "number": number,
                },
            )
        self.analyze()

    def fall_due(self, number: int) -> int:
        """Let the next check-in of that many of the follow-ups that `plan_ahead` made fall due now; how many."""
        first = CheckIn.objects.filter(
            status="planned", due_at__gt=self.now, due_at__lt=self.now + timedelta(days=3)
        )
        some = list(first.order_by("pk").values_list("pk", flat=True)[:number])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            CheckIn.objects.filter(pk__in=some).update(
                due_at=self.now - timedelta(minutes=1), opens_at=self.now - timedelta(hours=8)
            )
        self.analyze()
        return len(some)

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

    def links(self, check_ins: list[CheckIn]) -> list[str]:
        """A token for each."""
        tokens = [secrets.token_urlsafe(32) for _ in check_ins]
        Link.objects.bulk_create(
            Link(check_in=check_in, token_hash=token_hash(token), created_at=self.now)
            for check_in, token in zip(check_ins, tokens, strict=True)
        )
        return tokens

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


def copies(cursor: Any, row: Model, number: int, changes: dict[str, str]) -> int:
    """Write that many copies of a saved row; the n-th has the number of what is returned plus n.

    `changes`: SQL by column, in which `t` is the row and `n` counts from 1.
    """
    table = row._meta.db_table
    cursor.execute(f"SELECT max(id) FROM {table}")  # names of this project's own tables
    (last,) = cursor.fetchone()
    changed = ", ".join(f"'{column}', {sql}" for column, sql in ({"id": f"{last} + n"} | changes).items())
    cursor.execute(
        f"INSERT INTO {table} SELECT made.* FROM {table} AS t CROSS JOIN generate_series(1, %s) AS n, "
        f"LATERAL jsonb_populate_record(NULL::{table}, to_jsonb(t) || jsonb_build_object({changed})) AS made "
        "WHERE t.id = %s",
        [number, row.pk],
    )
    cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
    return int(last)
