"""iCalendar (RFC 5545, 5546): what goes with a patient's letter, and a clinician's feed. Neither says what is done."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from email.utils import parseaddr
from functools import lru_cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _
from icalendar import (
    Alarm,
    Calendar,
    Event,
    Timezone,
    TimezoneDaylight,
    TimezoneStandard,
    vCalAddress,
    vText,
)

from clinic.models import Resource
from procedures.models import Appointment, Reservation
from procedures.services.notifications import chain

#: What a feed shows, counted from the moment it is asked for.
FEED_BEHIND, FEED_AHEAD = timedelta(days=30), timedelta(days=180)
#: How long before an appointment a patient's calendar speaks up. The day before, an e-mail reminds.
SET_OUT = timedelta(hours=2)
#: An appointment in one of these is not certain: nobody has said that the patient will come.
TENTATIVE = (Appointment.Status.REQUESTED, Appointment.Status.HELD, Appointment.Status.BOOKED)
#: How far around an appointment its VTIMEZONE knows the clock changes: at least one to either side.
KNOWN = timedelta(days=400)


def entry(appointment: Appointment, *, now: datetime) -> str:
    """The appointment for the patient's own calendar, in the language that is active. METHOD:PUBLISH: nobody reads the
    answers that a calendar program would send to an invitation; the page behind the letter's link takes them.

    All appointments of one chain have one UID, and each a higher SEQUENCE than the one before it: the new time replaces
    the old one. TENTATIVE until somebody has said that the patient will come.
    """
    status = "TENTATIVE" if appointment.status in TENTATIVE else "CONFIRMED"
    return message(appointment, "PUBLISH", status, appointment.sequence, now=now)


def cancellation(appointment: Appointment, *, now: datetime) -> str:
    """The same appointment taken out of the patient's calendar again. METHOD:CANCEL (RFC 5546, section 4.1.3)."""
    # A cancelled appointment is never moved again: no other message can have this number.
    return message(appointment, "CANCEL", "CANCELLED", appointment.sequence + 1, now=now)


def message(appointment: Appointment, method: str, status: str, sequence: int, *, now: datetime) -> str:
    """One event with its time zone, under the iTIP `method`.

    A calendar speaks up on a locked phone and is shared with others: it names the site as mailboxes do, and neither the
    patient nor a link.
    """
    site = appointment.site
    zone = site.zone
    sheet = Calendar()
    sheet.add("prodid", "-//clinic//appointments//EN")
    sheet.add("version", "2.0")
    sheet.add("calscale", "GREGORIAN")
    sheet.add("method", method)
    sheet.add_component(time_zone(zone.key, appointment.starts_at.astimezone(zone).date()))
    event = Event()
    event.add("uid", uid(appointment))
    event.add("dtstamp", now)
    event.add("last-modified", now)
    event.add("sequence", sequence)
    event.add("status", status)
    event.add("dtstart", on_calendar(appointment.starts_at, zone))
    event.add("dtend", on_calendar(appointment.ends_at, zone))
    summary = (
        _("Appointment at %(site)s") % {"site": site.sender_name} if site.sender_name else _("Appointment")
    )
    event.add("summary", summary)
    if place := ", ".join(filter(None, [site.sender_name, site.address])):
        event.add("location", place)
    event.add("description", _("Questions? Call us: %(phone)s") % {"phone": site.phone})
    event.add("class", "PRIVATE")
    event.add("transp", "OPAQUE" if method == "PUBLISH" else "TRANSPARENT")
    # iTIP wants one; without an ATTENDEE no program sends it an answer.
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    organizer = vCalAddress(f"mailto:{site.reply_to or address}")
    if site.sender_name or name:
        organizer.params["CN"] = vText(site.sender_name or name)
    event.add("organizer", organizer)
    if method == "PUBLISH":
        event.add_component(alarm(summary))
    sheet.add_component(event)
    return written(sheet)


def alarm(words: str) -> Alarm:
    """What a calendar shows in time to set out."""
    found = Alarm()
    found.add("action", "DISPLAY")
    found.add("description", words)
    found.add("trigger", -SET_OUT)
    return found


def uid(appointment: Appointment) -> str:
    """The same for every appointment of one chain."""
    return f"appointment-{chain(appointment)[-1].pk}@{host()}"


def host() -> str:
    """The name of this installation, which makes its identifiers unique in the world."""
    return urlsplit(settings.SITE_URL).hostname or "localhost"


def on_calendar(moment: datetime, zone: ZoneInfo) -> datetime:
    """`moment` in `zone`; in UTC when it is in the second of the two hours that clocks show twice.

    A calendar takes a local time that occurs twice for the first.
    """
    local = moment.astimezone(zone)
    return moment.astimezone(UTC) if local.fold else local


@lru_cache(maxsize=1024)
def time_zone(key: str, day: date) -> Timezone:
    """The VTIMEZONE of the IANA zone `key` with the clock changes around `day`.

    Our own, because icalendar 7.3 writes the begin of summer time as the wall shows it afterwards (03:00 in New York),
    where RFC 5545, 3.6.5 wants it as the wall would have shown it without the change (02:00).
    """
    zone = ZoneInfo(key)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    first, last = noon - KNOWN, noon + KNOWN
    found = Timezone()
    found.add("tzid", key)
    found.add_component(observance(zone, first, first))
    before = first
    while before < last:
        after = before + timedelta(days=1)
        if after.astimezone(zone).utcoffset() != before.astimezone(zone).utcoffset():
            found.add_component(observance(zone, before, change_between(zone, before, after)))
        before = after
    return found


def change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first UTC instant, to the second, at which clocks in `zone` are set as at `after` and not as at `before`."""
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return after


def observance(zone: ZoneInfo, before: datetime, since: datetime) -> TimezoneStandard | TimezoneDaylight:
    """How clocks in `zone` go from the UTC instant `since` on, which was not so at `before`."""
    old, new = before.astimezone(zone).utcoffset(), since.astimezone(zone).utcoffset()
    part = TimezoneDaylight() if since.astimezone(zone).dst() else TimezoneStandard()
    part.add("dtstart", (since + (old or timedelta())).replace(tzinfo=None))
    part.add("tzoffsetfrom", old)
    part.add("tzoffsetto", new)
    part.add("tzname", since.astimezone(zone).tzname())
    return part


def clinicians_calendar(resource: Resource, *, now: datetime) -> str:
    """When the clinician is taken, and in which room, from 30 days before `now` to 180 days after it.

    Holds are left out: most are gone before a calendar program looks again. No alarms: who works all day needs none.
    """
    taken = (
        Reservation.objects.filter(
            resource=resource,
            released_at=None,
            ends_at__gt=now - FEED_BEHIND,
            starts_at__lt=now + FEED_AHEAD,
        )
        .exclude(appointment__status=Appointment.Status.HELD)
        .select_related("appointment__site")
        .order_by("starts_at", "pk")
    )
    rooms: dict[int, set[str]] = defaultdict(set)
    for appointment_id, name in Reservation.objects.filter(
        appointment__in=taken.values("appointment"),
        released_at=None,
        resource__categories__code="procedure_room",
    ).values_list("appointment", "resource__name"):
        rooms[appointment_id].add(name)
    sheet = Calendar()
    sheet.add("prodid", "-//clinic//feed//EN")
    sheet.add("version", "2.0")
    sheet.add("calscale", "GREGORIAN")
    sheet.add("method", "PUBLISH")
    sheet.add("name", "Appointments")
    sheet.add("x-wr-calname", "Appointments")
    sheet.add("refresh-interval", timedelta(minutes=30), parameters={"VALUE": "DURATION"})
    sheet.add("x-published-ttl", "PT30M")
    for reservation in taken:
        event = Event()
        event.add("uid", f"reservation-{reservation.pk}@{host()}")
        event.add("dtstamp", now)
        event.add("dtstart", reservation.starts_at.astimezone(UTC))
        event.add("dtend", reservation.ends_at.astimezone(UTC))
        event.add("sequence", reservation.appointment.sequence)
        tentative = reservation.appointment.status in TENTATIVE
        event.add("status", "TENTATIVE" if tentative else "CONFIRMED")
        event.add("transp", "OPAQUE")
        event.add("summary", "Appointment")
        event.add(
            "location",
            ", ".join([*sorted(rooms[reservation.appointment_id]), reservation.appointment.site.name]),
        )
        sheet.add_component(event)
    return written(sheet)


def written(sheet: Calendar) -> str:
    """The calendar as text, its lines folded and ended as RFC 5545 wants them."""
    text: str = sheet.to_ical().decode()
    return text
