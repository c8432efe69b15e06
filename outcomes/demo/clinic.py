"""The demo's two sites, their staff, rooms and machines, and when all of these work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from clinic import roles
from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours
from clinic.timezones import on_wall
from procedures.models import Privilege, ProcedureType

#: Everybody's password in the demo. No secret: the demo refuses to be made where patients are.
PASSWORD = "quiet-harbor-62-lantern"  # noqa: S105

WEEKDAYS, EVERY_DAY = tuple(range(5)), tuple(range(7))


@dataclass(frozen=True)
class Plan:
    """A site to be: its name, zone and address, its hours and its quiet hours on its own wall clock."""

    name: str
    time_zone: str
    phone: str
    address: str
    opens: time
    closes: time
    weekdays: tuple[int, ...]
    quiet: tuple[time, time]


#: Desert View is open long and every day: some check-ins of a block can then be due at any minute of any day. It has no
#: quiet hours: whoever tries the demo at night sees e-mails arrive as well.
SITES = {
    "riverside": Plan(
        "Riverside Clinic",
        "America/New_York",
        "+1 212 555 0100",
        "1 Riverside Walk, New York",
        time(8),
        time(17),
        WEEKDAYS,
        (time(20), time(7)),
    ),
    "desert": Plan(
        "Desert View Clinic",
        "America/Phoenix",
        "+1 602 555 0100",
        "200 Mesa Road, Phoenix",
        time(7),
        time(19, 30),
        EVERY_DAY,
        (time(0), time(0)),
    ),
}
#: key → given name, family name, role, sites. The key is the address before @demo.example.org.
STAFF = {
    "okafor": ("Ngozi", "Okafor", roles.PHYSICIAN, ("riverside",)),
    "sandvik": ("Astrid", "Sandvik", roles.PHYSICIAN, ("riverside", "desert")),
    "brandt": ("Ilse", "Brandt", roles.PHYSICIAN, ("riverside",)),
    "salazar": ("Tomás", "Salazar", roles.PHYSICIAN, ("desert",)),
    "yazzie": ("Leona", "Yazzie", roles.PHYSICIAN, ("desert",)),
    "nurse": ("Joan", "Whitlock", roles.NURSE, ("riverside",)),
    "nurse.desert": ("Luz", "Navarro", roles.NURSE, ("desert",)),
    "desk": ("Percy", "Halloran", roles.FRONT_DESK, ("riverside",)),
    "desk.desert": ("Rosario", "Ibarra", roles.FRONT_DESK, ("desert",)),
    "manager": ("Edna", "Prescott", roles.MANAGER, ("riverside", "desert")),
    "administrator": ("Oscar", "Birch", roles.ADMINISTRATOR, ("riverside", "desert")),
}
#: Who works where on which weekdays, Monday 0. Nobody is at two sites on one day.
SHIFTS: dict[str, dict[str, tuple[int, ...]]] = {
    "okafor": {"riverside": WEEKDAYS},
    "sandvik": {"riverside": (0, 1), "desert": (3, 4, 5)},
    "brandt": {"riverside": WEEKDAYS},
    "salazar": {"desert": (6, 0, 1, 2)},
    "yazzie": {"desert": WEEKDAYS},
    "nurse": {"riverside": WEEKDAYS},
    "nurse.desert": {"desert": EVERY_DAY},
}
#: site → name of the resource → its category.
THINGS = {
    "riverside": {
        "Room 1": "procedure_room",
        "Room 2": "procedure_room",
        "C-arm 1": "c_arm",
        "C-arm 2": "c_arm",
        "Ultrasound": "ultrasound",
        "RF generator": "rf_generator",
        "Programmer": "programmer",
        "Bay 1": "recovery_bay",
        "Bay 2": "recovery_bay",
        "Bay 3": "recovery_bay",
        "Bay 4": "recovery_bay",
        "Device representative": "device_representative",
    },
    "desert": {
        "Room A": "procedure_room",
        "Room B": "procedure_room",
        "C-arm": "c_arm",
        "Ultrasound": "ultrasound",
        "RF generator": "rf_generator",
        "Programmer": "programmer",
        "Bay A": "recovery_bay",
        "Bay B": "recovery_bay",
        "Bay C": "recovery_bay",
        "Device representative": "device_representative",
    },
}


@dataclass(frozen=True)
class Place:
    """One site of the demo with the people who act there."""

    key: str
    site: Site
    clerk: User
    nurse: User
    doctors: tuple[tuple[Resource, tuple[int, ...]], ...]

    @property
    def plan(self) -> Plan:
        """Its hours."""
        return SITES[self.key]

    def at(self, day: date, hour: int, minute: int = 0) -> datetime:
        """The UTC instant of a wall time here."""
        return on_wall(day, time(hour, minute), self.site.zone)

    def day(self, moment: datetime) -> date:
        """The date here at the instant `moment`."""
        return moment.astimezone(self.site.zone).date()

    def working_day(self, day: date) -> date:
        """The first day from `day` on on which the site is open."""
        while day.weekday() not in self.plan.weekdays:
            day += timedelta(days=1)
        return day

    def doctors_on(self, day: date) -> list[Resource]:
        """The physicians who work here on `day`."""
        return [doctor for doctor, weekdays in self.doctors if day.weekday() in weekdays]

    def moment(self, day: date, share: float) -> datetime:
        """The instant at which `share` of the working day here has passed, 0–1."""
        opens, closes = (on_wall(day, at, self.site.zone) for at in (self.plan.opens, self.plan.closes))
        return opens + (closes - opens) * share

    def starts(self, day: date, kind: ProcedureType) -> Iterator[datetime]:
        """Every quarter of an hour on `day` at which `kind` could begin and be over before the site closes."""
        if day.weekday() not in self.plan.weekdays:
            return
        start = on_wall(day, self.plan.opens, self.site.zone)
        last = on_wall(day, self.plan.closes, self.site.zone) - timedelta(minutes=kind.total_minutes)
        while start <= last:
            yield start
            start += timedelta(minutes=15)


@dataclass(frozen=True)
class DemoClinic:
    """The demo clinic as it stands in the database."""

    places: dict[str, Place]
    kinds: dict[str, ProcedureType]

    @classmethod
    def found(cls) -> DemoClinic:
        """The demo clinic that was built before."""
        sites = {key: Site.objects.get(name=plan.name) for key, plan in SITES.items()}
        staff = {key: User.objects.select_related("resource").get(email=address(key)) for key in STAFF}
        places = {}
        for key, site in sites.items():
            suffix = "" if key == "riverside" else f".{key}"
            places[key] = Place(
                key,
                site,
                clerk=staff[f"desk{suffix}"],
                nurse=staff[f"nurse{suffix}"],
                doctors=tuple(
                    (staff[who].resource, shifts[key])
                    for who, shifts in SHIFTS.items()
                    if key in shifts and STAFF[who][2] == roles.PHYSICIAN
                ),
            )
        return cls(places, {kind.code: kind for kind in ProcedureType.objects.all()})


def address(key: str) -> str:
    """The e-mail address with which a member of staff signs in."""
    return f"{key}@demo.example.org"


def build() -> DemoClinic:
    """Make sites, staff and resources with their hours."""
    roles.grant_all()
    sites = {
        key: Site.objects.create(
            name=plan.name,
            time_zone=plan.time_zone,
            phone=plan.phone,
            address=plan.address,
            check_in_at=time(10),
            quiet_from=plan.quiet[0],
            quiet_until=plan.quiet[1],
        )
        for key, plan in SITES.items()
    }
    categories = ResourceCategory.objects.in_bulk(field_name="code")
    for key, things in THINGS.items():
        for name, category in things.items():
            resource = Resource.objects.create(name=name, site=sites[key])
            resource.categories.add(categories[category])
            hours(resource, key, sites[key], SITES[key].weekdays)
    families = ProcedureType.objects.order_by("family").values_list("family", flat=True).distinct()
    password = make_password(PASSWORD)  # once: it is slow on purpose
    for key, (given, surname, role, where) in STAFF.items():
        user = User.objects.create(
            email=address(key),
            password=password,
            first_name=given,
            last_name=surname,
            is_staff=True,
            is_superuser=role == roles.ADMINISTRATOR,
        )
        user.groups.add(Group.objects.get(name=role))
        user.sites.add(*(sites[site] for site in where))
        if key in SHIFTS:
            title = f"Dr. {surname}" if role == roles.PHYSICIAN else f"Nurse {surname}"
            resource = Resource.objects.create(name=title, site=sites[where[0]], user=user, overbooking=1)
            resource.categories.add(categories["physician" if role == roles.PHYSICIAN else "nurse"])
            for site, weekdays in SHIFTS[key].items():
                hours(resource, site, sites[site], weekdays)
            if role == roles.PHYSICIAN:
                Privilege.objects.bulk_create(
                    Privilege(resource=resource, family=family) for family in families
                )
    return DemoClinic.found()


def hours(resource: Resource, key: str, site: Site, weekdays: tuple[int, ...]) -> None:
    """Let the resource work while the site is open, on those weekdays."""
    WorkingHours.objects.bulk_create(
        WorkingHours(
            resource=resource, site=site, weekday=weekday, opens=SITES[key].opens, closes=SITES[key].closes
        )
        for weekday in weekdays
    )


def sign_ins(url: str) -> str:
    """Who can sign in at `url` and what is worth trying, in a few lines."""
    lines = [f"Demo sign-ins (password of all: {PASSWORD})"]
    for key in ("desk", "desk.desert", "nurse", "okafor", "sandvik", "salazar", "manager", "administrator"):
        _given, _family, role, where = STAFF[key]
        lines.append(f"  {role:14} {address(key):34} {' and '.join(SITES[site].name for site in where)}")
    lines += [
        "What to try",
        f"  1. Within two minutes a check-in's e-mail arrives in the inbox at {url}/dev/mail/: answer it.",
        "  2. As the front desk: book an appointment, let a patient arrive (Riverside works Monday to Friday, "
        "Desert View every day).",
        "  3. As a physician: record a procedure, then look at the patient's chart and its relief window.",
        "  4. As a nurse: alerts, calls, worklists; as the manager: reports. Two years fill in while you look.",
        f"  5. For programs: {url}/api/v1/docs/ describes the interface; the same accounts sign in there.",
    ]
    return "\n".join(lines) + "\n"
