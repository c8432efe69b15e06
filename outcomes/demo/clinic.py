"""The demo's two sites, their staff, rooms and machines, and when all of these work."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from clinic import roles
from clinic.models import Resource, ResourceCategory, Site, User, WorkingHours
from clinic.timezones import on_wall
from procedures.models import Privilege, ProcedureType

#: Everybody's password in the demo. No secret: the demo refuses to be made where patients are.
PASSWORD = "quiet-harbor-62-lantern"  # noqa: S105

#: Sites, staff and things, see the file.
PLANS: Mapping[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
STAFF: Mapping[str, Mapping[str, Any]] = PLANS["staff"]


@dataclass(frozen=True)
class Plan:
    """A site to be: its name, zone and address, its hours and its quiet hours on its own wall clock."""

    name: str
    time_zone: str
    phone: str
    address: str
    opens: time
    closes: time
    weekdays: Sequence[int]
    quiet_from: time
    quiet_until: time


SITES = {key: Plan(**plan) for key, plan in PLANS["sites"].items()}


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
                    (staff[who].resource, tuple(member["shifts"][key]))
                    for who, member in STAFF.items()
                    if member["role"] == roles.PHYSICIAN and key in member["shifts"]
                ),
            )
        return cls(places, {kind.code: kind for kind in ProcedureType.objects.all()})


def address(key: str) -> str:
    """The e-mail address with which a member of staff signs in."""
    return f"{key}@demo.example.org"


def build() -> DemoClinic:
    """Make sites, staff and resources with their hours."""
    roles.grant_all()
    columns = ("name", "time_zone", "phone", "address", "quiet_from", "quiet_until")
    sites = {
        key: Site.objects.create(check_in_at=time(10), **{name: getattr(plan, name) for name in columns})
        for key, plan in SITES.items()
    }
    categories = ResourceCategory.objects.in_bulk(field_name="code")
    for key, things in PLANS["things"].items():
        for name, category in things.items():
            resource = Resource.objects.create(name=name, site=sites[key])
            resource.categories.add(categories[category])
            hours(resource, key, sites[key], SITES[key].weekdays)
    families = ProcedureType.objects.order_by("family").values_list("family", flat=True).distinct()
    password = make_password(PASSWORD)  # once: it is slow on purpose
    for key, member in STAFF.items():
        role, surname = member["role"], member["family"]
        user = User.objects.create(
            email=address(key),
            password=password,
            first_name=member["given"],
            last_name=surname,
            is_staff=True,
            is_superuser=role == roles.ADMINISTRATOR,
        )
        user.groups.add(Group.objects.get(name=role))
        user.sites.add(*(sites[site] for site in member["sites"]))
        if "shifts" in member:
            title, category = ("Dr.", "physician") if role == roles.PHYSICIAN else ("Nurse", "nurse")
            home = sites[member["sites"][0]]
            resource = Resource.objects.create(name=f"{title} {surname}", site=home, user=user, overbooking=1)
            resource.categories.add(categories[category])
            for site, weekdays in member["shifts"].items():
                hours(resource, site, sites[site], weekdays)
            if role == roles.PHYSICIAN:
                Privilege.objects.bulk_create(
                    Privilege(resource=resource, family=family) for family in families
                )
    return DemoClinic.found()


def hours(resource: Resource, key: str, site: Site, weekdays: Iterable[int]) -> None:
    """Let the resource work while the site is open, on those weekdays."""
    span = {"opens": SITES[key].opens, "closes": SITES[key].closes}
    WorkingHours.objects.bulk_create(
        WorkingHours(resource=resource, site=site, weekday=weekday, **span) for weekday in weekdays
    )


def sign_ins(url: str) -> str:
    """Who can sign in at `url` and what is worth trying, in a few lines."""
    lines = [f"Demo sign-ins (password of all: {PASSWORD})"]
    for key in ("desk", "desk.desert", "nurse", "okafor", "sandvik", "salazar", "manager", "administrator"):
        member = STAFF[key]
        where = " and ".join(SITES[site].name for site in member["sites"])
        lines.append(f"  {member['role']:14} {address(key):34} {where}")
    return "\n".join([*lines, PLANS["what_to_try"].format(url=url)])
