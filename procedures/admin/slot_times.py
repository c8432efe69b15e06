"""The times that the Book screen offers: a week of those at which everybody and everything needed is free."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from clinic.models import Resource, Site
from clinic.timezones import day_span
from procedures.availability import Slot, by_day, find_slots, first_available, same_clinician
from procedures.models import Appointment

#: How many days of times are shown at once, and how far ahead the first one is looked for.
DAYS = 7
AHEAD = timedelta(days=180)


@dataclass(frozen=True)
class SlotSearch:
    """What is looked for: an appointment without its time, at one of these sites, with this clinician or anybody."""

    appointment: Appointment
    sites: list[Site]
    clinician: Resource | None
    replacing: Appointment | None = None
    #: Whatever else must be taken.
    others: tuple[Resource, ...] = ()

    def asked(self) -> dict[str, Any]:
        """The part of `find_slots`' arguments that does not depend on the days."""
        return {
            "sites": self.sites,
            "clinician": self.clinician,
            "resources": self.others,
            "patient": self.appointment.patient,
            "replacing": self.replacing,
        }

    def named(self) -> list[Resource]:
        """The resources that must be taken."""
        return [self.clinician] if self.clinician else []


def with_query(request: HttpRequest, **changes: Any) -> str:
    """The query of this address with some of it changed; None takes a name out."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"


def times(request: HttpRequest, wish: SlotSearch, on: date | None, *, now: datetime) -> dict[str, Any]:
    """A week of times from `on`, or from the day of the first one; and the ways to other weeks."""
    kind, home = wish.appointment.procedure_type, wish.sites[0].zone
    today = now.astimezone(home).date()
    first = None
    if on is None:
        found = first_available(kind, starts_from=now, starts_before=now + AHEAD, now=now, **wish.asked())
        first = found
        on = found.wall.date() if found else today
    on = max(on, today)
    days = [on + timedelta(days=number) for number in range(DAYS)]
    slots = find_slots(
        kind,
        starts_from=min(day_span(days[0], site.zone)[0] for site in wish.sites),
        starts_before=max(day_span(days[-1], site.zone)[1] for site in wish.sites),
        now=now,
        limit=DAYS * 24 * 12,
        **wish.asked(),
    )
    sorted_by_day = by_day(slots)
    beyond = None
    if not any(sorted_by_day.get(day) for day in days):
        end = max(day_span(days[-1], site.zone)[1] for site in wish.sites)
        beyond = first_available(kind, starts_from=end, starts_before=end + AHEAD, now=now, **wish.asked())
    usual = same_clinician(wish.appointment.patient)
    before = on - timedelta(days=DAYS)
    return {
        "week": [(day, by_site(sorted_by_day.get(day, []))) for day in days],
        "any_time": any(sorted_by_day.get(day) for day in days),
        "beyond": slot_time_text(beyond),
        "beyond_link": with_query(request, on=beyond.wall.date()) if beyond else "",
        "several_sites": len(wish.sites) > 1,
        "first": slot_time_text(first),
        "first_link": with_query(request, on=None),
        "earlier": with_query(request, on=max(before, today)) if on > today else "",
        "later": with_query(request, on=on + timedelta(days=DAYS)),
        "usual": usual if usual and usual != wish.clinician else None,
        "usual_link": with_query(request, clinician=usual.pk) if usual else "",
        "anybody_link": with_query(request, clinician="") if wish.clinician else "",
    }


@dataclass(frozen=True)
class Offered:
    """A time as a button: its words on the wall clock, its value in the form, and who and what would be held."""

    clock: str
    zone: str
    value: str
    names: str


def by_site(slots: list[Slot]) -> list[tuple[Site, str, list[Offered]]]:
    """A day's times by site, each site with the zone's name on that day."""
    result: dict[int, tuple[Site, str, list[Offered]]] = {}
    for slot in slots:
        # Words, not datetimes: a template would show those on a clock of its own.
        button = Offered(
            clock=f"{slot.wall:%H:%M}",
            zone=f"{slot.wall:%Z}",
            value=f"{slot.starts_at.astimezone(UTC):%Y-%m-%dT%H:%M}Z {slot.site.pk}",
            names=", ".join(held.name for held in slot.resources),
        )
        result.setdefault(slot.site.pk, (slot.site, button.zone, []))[2].append(button)
    return list(result.values())


def slot_time_text(slot: Slot | None) -> str:
    """When a slot begins, on the wall clock of its site."""
    return f"{slot.wall:%A %-d %B, %H:%M %Z}" if slot else ""


def picked(request: HttpRequest, typed: str, sites: list[Site]) -> tuple[datetime, Site]:
    """The instant and the site that a button named. ValidationError "no_such_slot" for what no button says."""
    moment, _space, number = typed.partition(" ")
    try:
        at = datetime.strptime(moment, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        return at, next(site for site in sites if str(site.pk) == number)
    except (ValueError, StopIteration):
        raise ValidationError(_("Choose one of the times below."), code="no_such_slot") from None
