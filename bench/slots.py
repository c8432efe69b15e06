"""Finding a time, the day board and the week, among ten thousand to a million appointments in one database."""

import logging
from collections.abc import Callable
from datetime import date, time, timedelta
from itertools import cycle

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client

from bench.clinic import Clinic, copies, open_resource
from bench.table import Row, percentiles
from clinic import roles
from clinic.dev.bootstrap import step
from clinic.models import ResourceCategory, Site, User
from patients.models import Patient
from procedures.availability import find_slots
from procedures.models import Appointment, ProcedureType, Reservation, ResourceRequirement

#: Appointments, and at how many sites. What a clerk looks at is the same at all sizes: the first site and its next
#: thirty days. Before it lie more years, and beside it more sites.
SIZES = {10_000: 1, 100_000: 4, 1_000_000: 20}
QUICK = {10_000: 1, 50_000: 2}
MOST_SITES = 20
#: Physician and room for 45 minutes, then a recovery bay for 60, as the catalogue's facet ablation.
NEEDS = {"Physician": (0, 45), "Room": (0, 45), "Bay": (45, 60)}
#: Teams of a site. Of the eight hours that each could fill on a weekday, BOOKED are; so many weeks ahead.
TEAMS, BOOKED, WEEKS_AHEAD = 4, 6, 12
A_DAY = TEAMS * BOOKED
#: Rows of the tables begin here, beyond those that other sections make.
FIRST = 10_000_000


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """Milliseconds a look, median and 95th percentile at each size beside the smallest, and queries."""
    sizes = QUICK if quick else SIZES
    crowd = Crowd(clinic)
    rows: list[Row] = []
    smallest: dict[str, float] = {}
    for number, sites in sizes.items():
        with step(f"Writing {number:,} appointments at {sites} sites"):
            crowd.grow(number, sites)
        for what, look, rounds, goal in crowd.looks(quick=quick):
            middle, late = percentiles(
                f"{what} among {number:,} appointments", look, rounds, smallest.get(what)
            )
            rows += [middle._replace(goal=goal if number == max(sizes) else ""), late]
            smallest.setdefault(what, middle.ours)
    return rows


class Crowd:
    """A procedure type with three requirements, and sites full of it from twelve weeks ahead back into the past."""

    def __init__(self, clinic: Clinic) -> None:
        self.now, self.today, self.patient = clinic.now, clinic.now.date(), clinic.patients[0]
        said = dict.fromkeys(("code", "name", "family", "description", "duration_source"), "bench")
        said |= {"purpose": "therapeutic", "sedation": "local_only", "laterality": "not_applicable"}
        self.kind = ProcedureType.objects.create(procedure_minutes=45, recovery_minutes=60, **said)
        self.categories: list[ResourceCategory] = []  #: of NEEDS
        for name, (after, lasts) in NEEDS.items():
            category = ResourceCategory.objects.create(code=f"bench_{name.lower()}", name=name)
            need = {"starts_after_minutes": after, "lasts_minutes": lasts}
            ResourceRequirement.objects.create(procedure_type=self.kind, category=category, **need)
            self.categories.append(category)
        self.sites: list[Site] = []
        self.teams: list[list[list[int]]] = []  #: by site and team: the resources of NEEDS
        self.days: list[int] = []  #: by site: so many weekdays are booked, counted back
        self.patients = 0

    def add_site(self) -> None:
        """One more site: its teams of a physician, a room and a bay work from eight to five on weekdays."""
        place = len(self.sites)
        site = Site.objects.create(
            name=f"Slots {place}", time_zone="America/New_York", phone="+1 212 555 0100"
        )
        self.teams.append(
            [
                [
                    open_resource(f"{category} {team}", site, category, range(5), time(8), time(17)).pk
                    for category in self.categories
                ]
                for team in range(TEAMS)
            ]
        )
        self.sites.append(site)
        self.days.append(0)

    def grow(self, number: int, sites: int) -> None:
        """Up to `number` appointments at `sites` sites, written by the database; constraints are checked at the end."""
        while len(self.sites) < sites:
            self.add_site()
        at = self.now - timedelta(days=9000 + number // 1000)
        span = {"starts_at": at, "ends_at": at + timedelta(minutes=105)}
        appointment = Appointment.objects.create(
            patient=self.patient, procedure_type=self.kind, site=self.sites[0], created_at=at, **span
        )
        held = Reservation.objects.create(appointment=appointment, resource_id=self.teams[0][0][0], **span)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE contype = 'x' AND conrelid IN ('procedures_appointment'::regclass,"
                " 'procedures_reservation'::regclass)"
            )
            constraints = cursor.fetchall()
            for table, name, _ in constraints:
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
            cursor.execute("SET LOCAL session_replication_role = replica")
            self.add_patients(cursor, max(number // 10, 1000))
            for place in range(sites):
                self.fill(cursor, place, number // sites // A_DAY, appointment, held)
            cursor.execute("SET LOCAL session_replication_role = origin")
            for table, name, definition in constraints:
                cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def add_patients(self, cursor: object, number: int) -> None:
        """Up to `number` patients."""
        missing = f"(SELECT GENERATE_SERIES({self.patients}, {number - 1}) AS number) AS made"
        changes = {"id": f"{FIRST} + number", "record_number": "'S' || number"}
        changes |= {"unsubscribe_key": "GEN_RANDOM_UUID()", "email": "''"}
        copies(cursor, self.patient, missing, changes)
        self.patients = max(number, self.patients)

    def fill(self, cursor: object, place: int, days: int, like: Appointment, held: Reservation) -> None:
        """Book the site's weekdays, counted back from the last Friday that is booked, up to `days` of them."""
        friday = self.today + timedelta(days=(4 - self.today.weekday()) % 7 + 7 * WEEKS_AHEAD)
        cursor.execute(  # type: ignore[attr-defined]
            f"""
            CREATE TEMPORARY TABLE made ON COMMIT DROP AS
            SELECT *, {FIRST} + number * {MOST_SITES} + {place} AS id, number %% 10 = 0 AS cancelled,
                   -- No patient goes to two sites, nor to one of them twice a day.
                   {FIRST} + (number * {MOST_SITES} + {place}) %% {self.patients} AS patient
              FROM (SELECT team, day * {A_DAY} + ROW_NUMBER() OVER (PARTITION BY day ORDER BY hour, team) AS number,
                           (%s::date - 7 * (day / 5) - day %% 5 + TIME '08:00' + MAKE_INTERVAL(hours => hour))
                           AT TIME ZONE 'America/New_York' AS at
                      FROM GENERATE_SERIES({self.days[place]}, {days - 1}) AS day,
                           GENERATE_SERIES(0, {TEAMS - 1}) AS team, GENERATE_SERIES(0, 7) AS hour
                     WHERE (3 * hour + day + team) %% 8 < {BOOKED}) AS slots
            """,
            [friday],
        )
        changes = {"id": "made.id", "patient_id": "made.patient", "site_id": str(self.sites[place].pk)}
        changes |= {"starts_at": "made.at", "ends_at": "made.at + INTERVAL '105 minutes'"}
        changes |= {"created_at": "made.at - INTERVAL '30 days'"}
        changes["status"] = (
            f"CASE WHEN made.cancelled THEN 'cancelled' WHEN made.at < '{self.now}' THEN 'completed' ELSE 'booked' END"
        )
        changes["ended_reason"] = "CASE WHEN made.cancelled THEN 'bench' ELSE '' END"
        copies(cursor, like, "made", changes)
        for need, (after, lasts) in enumerate(NEEDS.values()):
            resources = [team[need] for team in self.teams[place]]
            since = f"made.at + INTERVAL '{after} minutes'"
            changes = {"id": f"{FIRST} + made.id * {len(NEEDS)} + {need}", "appointment_id": "made.id"}
            changes |= {"resource_id": f"(ARRAY{resources})[made.team + 1]", "starts_at": since}
            changes |= {"ends_at": f"{since} + INTERVAL '{lasts} minutes'"}
            changes["released_at"] = "CASE WHEN made.cancelled THEN made.at - INTERVAL '1 day' END"
            copies(cursor, held, "made", changes)
        cursor.execute("DROP TABLE made")  # type: ignore[attr-defined]
        self.days[place] = days

    def looks(self, *, quick: bool) -> list[tuple[str, Callable[[], int], int, str]]:
        """What is looked at and how much is seen, how often, and what is wanted of the median at the largest size."""
        site, until = self.sites[0], self.now + timedelta(days=30)
        patients = cycle(Patient.objects.filter(pk__gte=FIRST).order_by("pk")[:200])
        after = (self.today + timedelta(days=days) for days in range(1, 29))
        days = cycle([day for day in after if day.weekday() < 5])
        logging.getLogger("django_structlog").setLevel(logging.WARNING)
        settings.STORAGES["staticfiles"] = {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
        clerk, _ = User.objects.get_or_create(email="desk@example.org", is_staff=True)
        roles.grant_all()
        clerk.groups.add(Group.objects.get(name=roles.FRONT_DESK))
        clerk.sites.add(site)
        client = Client(SERVER_NAME="127.0.0.1")
        client.force_login(clerk)

        def find() -> int:
            how = {"sites": [site], "starts_from": self.now, "starts_before": until, "now": self.now}
            return len(find_slots(self.kind, patient=next(patients), **how))

        def page(name: str, day: date) -> int:
            answer = client.get(f"/admin/procedures/appointment/{name}/?site={site.pk}&day={day}")
            return int(answer.context_data["count"]) if answer.status_code == 200 else 0

        times, grows = 20 if quick else 100, "≤ 130 % of the smallest"
        return [
            ("free starts in 30 days", find, 3 * times, f"≤ 15 ms and {grows}"),
            ("the day board", lambda: page("board", next(days)), times, f"≤ 40 ms and {grows}"),
            ("the week", lambda: page("week", next(days)), times, grows),
        ]
