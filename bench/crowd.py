"""A crowd of appointments, ten thousand to a million, in one database: what clerks look at stays the same."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction

from clinic.models import Resource, ResourceCategory, Site, WorkingHours
from patients.models import Patient
from procedures.models import ProcedureType, ResourceRequirement

#: How many appointments there are, and at how many sites. What a clerk looks at is the same at all sizes: the first
#: site and its next thirty days. Before it lie more years, and beside it more sites.
SIZES = {10_000: 1, 100_000: 4, 1_000_000: 20}
QUICK = {10_000: 1, 50_000: 2}
#: Physician and room for 45 minutes, then a recovery bay for 60, as the catalogue's facet ablation.
NEEDS = {"Physician": (0, 45), "Room": (0, 45), "Bay": (45, 60)}
TEAMS = 4
#: Of the eight hours that each team could fill, so many are booked.
BOOKED = 6
#: So many working days ahead are booked.
AHEAD = 60
TABLES = ("procedures_appointment", "procedures_reservation")


@dataclass
class Place:
    """A site with its teams, booked from AHEAD working days ahead back to `reached`."""

    site: Site
    teams: list[list[int]]
    reached: date
    booked: int = 0


@dataclass
class Crowd:
    """Appointments written as rows, with all that they hold."""

    kind: ProcedureType
    today: date
    places: list[Place] = field(default_factory=list)
    patients: list[int] = field(default_factory=list)
    made: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    @classmethod
    def make(cls, now: datetime) -> "Crowd":
        """A procedure type with three requirements and nothing else."""
        kind = ProcedureType.objects.create(
            code="bench_slots",
            name="Bench",
            family="bench",
            purpose="therapeutic",
            description="bench",
            sedation="local_only",
            laterality="not_applicable",
            procedure_minutes=45,
            recovery_minutes=60,
            duration_source="bench",
        )
        for name, (after, lasts) in NEEDS.items():
            ResourceRequirement.objects.create(
                procedure_type=kind,
                category=ResourceCategory.objects.create(code=f"bench_{name.lower()}", name=name),
                starts_after_minutes=after,
                lasts_minutes=lasts,
            )
        return cls(kind, now.date())

    def add_site(self) -> None:
        """One more site: four teams of a physician, a room and a bay, from eight to five on weekdays."""
        site = Site.objects.create(
            name=f"Slots {len(self.places)}", time_zone="America/New_York", phone="+1 212 555 0100"
        )
        teams = []
        for team in range(TEAMS):
            people = [Resource.objects.create(name=f"{name} {team}", site=site) for name in NEEDS]
            for resource, name in zip(people, NEEDS, strict=True):
                resource.categories.add(ResourceCategory.objects.get(code=f"bench_{name.lower()}"))
            WorkingHours.objects.bulk_create(
                WorkingHours(resource=resource, site=site, weekday=day, opens=time(8), closes=time(17))
                for resource in people
                for day in range(5)
            )
            teams.append([resource.pk for resource in people])
        self.places.append(Place(site, teams, self.today + timedelta(days=AHEAD * 7 // 5)))

    def grow(self, number: int, sites: int) -> None:
        """Up to `number` appointments at `sites` sites, with COPY; constraints are put back and checked at the end.

        Triggers are off meanwhile: neither history nor the foreign keys of the rows are looked at.
        """
        while len(self.places) < sites:
            self.add_site()
        self.add_patients(number // 10)
        with transaction.atomic(), connection.cursor() as cursor:
            constraints = exclusions(cursor)
            for table, name, _ in constraints:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
            cursor.execute("SET LOCAL session_replication_role = replica")
            rows = list(self.days(number))
            for table, columns, lines in (
                (
                    "procedures_appointment",
                    "id, patient_id, procedure_type_id, site_id, starts_at, ends_at, status, intent, region,"
                    " laterality, levels, indication, note, ended_by, ended_reason, overbooked_reason, sequence,"
                    " request_key, created_at",
                    (line for day in rows for line in day[0]),
                ),
                (
                    "procedures_reservation",
                    "appointment_id, resource_id, starts_at, ends_at, lane, released_at",
                    (line for day in rows for line in day[1]),
                ),
            ):
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for line in lines:
                        copy.write(line)
            cursor.execute("SET LOCAL session_replication_role = origin")
            for table, name, definition in constraints:
                cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"VACUUM ANALYZE {table}")

    def add_patients(self, number: int) -> None:
        """Up to `number` patients, and never fewer than a day needs."""
        missing = range(len(self.patients), max(number, 1000))
        first = Patient.objects.create(
            record_number=f"S{missing.start:07}",
            given_name="Ana",
            family_name="García",
            born_on=date(1950, 2, 3),
            site=self.places[0].site,
            created_at=datetime.now(UTC),
        )
        self.patients.append(first.pk)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(
                "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
                " WHERE table_name = 'patients_patient' AND column_name NOT IN ('id', 'record_number')"
            )
            (others,) = cursor.fetchone()
            cursor.execute(
                f"INSERT INTO patients_patient (record_number, {others})"
                f" SELECT 'S' || LPAD(number::text, 7, '0'), {others}"
                "   FROM patients_patient, GENERATE_SERIES(%s, %s) AS number WHERE id = %s RETURNING id",
                [missing.start + 1, missing.stop - 1, first.pk],
            )
            self.patients += [pk for (pk,) in cursor.fetchall()]

    def days(self, number: int) -> Iterator[tuple[list[str], list[str]]]:
        """The lines of both tables, a working day of a site at a time, from where the last growth stopped."""
        # Day by day over all sites: a clinic's rows lie in the order of time, not of resources.
        quota = number // len(self.places)
        while short := [place for place in self.places if place.booked < quota]:
            for place in short:
                place.reached -= timedelta(days=1)
                if place.reached.weekday() < 5:
                    yield self.day(place, place.reached)

    def day(self, place: Place, day: date) -> tuple[list[str], list[str]]:
        opens = datetime.combine(day, time(8), place.site.zone).astimezone(UTC)
        status = "completed" if day < self.today else "booked"
        appointments, reservations = [], []
        for team in place.teams:
            for hour in sorted(self.dice.sample(range(8), BOOKED)):
                self.made += 1
                place.booked += 1
                pk, patient = 10_000_000 + self.made, self.patient_at(place)
                at = opens + timedelta(hours=hour)
                cancelled = self.made % 10 == 0
                appointments.append(
                    f"{pk}\t{patient}\t{self.kind.pk}\t{place.site.pk}\t{at}\t{at + timedelta(minutes=105)}\t"
                    f"{'cancelled' if cancelled else status}\ttherapeutic\t\t\t\t\t\t\t"
                    f"{'bench' if cancelled else ''}\t\t0\t\t{at - timedelta(days=30)}\n"
                )
                for resource, (after, lasts) in zip(team, NEEDS.values(), strict=True):
                    since = at + timedelta(minutes=after)
                    reservations.append(
                        f"{pk}\t{resource}\t{since}\t{since + timedelta(minutes=lasts)}\t0\t"
                        f"{at - timedelta(days=1) if cancelled else chr(92) + 'N'}\n"
                    )
        return appointments, reservations

    def patient_at(self, place: Place) -> int:
        """The site's next patient; no patient goes to two sites, nor to one of them twice a day."""
        most = max(SIZES.values())
        return self.patients[(self.places.index(place) + most * place.booked) % len(self.patients)]


def exclusions(cursor: object) -> list[tuple[str, str, str]]:
    """The exclusion constraints of both tables: table, name, definition."""
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'x' AND conrelid = ANY (%s::regclass[])",
        [list(TABLES)],
    )
    return cursor.fetchall()  # type: ignore[attr-defined,no-any-return]
