"""Calendar files that every program reads as the right instant, and a clinician's feed that says no more than times."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import ics
import pytest
import vobject
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar, Component, Event

from clinic.models import AuditEvent, Site
from clinic.tests.factories import MONDAY, staff
from procedures import calendar, services
from procedures.models import Appointment, CalendarFeed
from procedures.tests.factories import World

ZONES = ["America/New_York", "America/Phoenix", "Europe/London", "Australia/Lord_Howe"]


def written(world: World, zone: str, start: datetime, *, minutes: int = 105) -> str:
    """The calendar file of an appointment that begins at the UTC instant `start`."""
    world.site.time_zone = zone
    appointment = Appointment(
        pk=1,
        patient=world.patient,
        site=world.site,
        starts_at=start,
        ends_at=start + timedelta(minutes=minutes),
    )
    return calendar.entry(appointment, now=world.now)


def calendar_of(text: str | bytes) -> Calendar:
    read = Calendar.from_ical(text)
    assert isinstance(read, Calendar)
    return read


def changes(zone: Component) -> list[tuple[datetime, timedelta, timedelta, str]]:
    """Of each observance of a VTIMEZONE its begin on the wall clock before it, the offsets around it and its name."""
    parts: list[Any] = list(zone.subcomponents)
    return sorted(
        (part["DTSTART"].dt, part["TZOFFSETFROM"].td, part["TZOFFSETTO"].td, str(part["TZNAME"]))
        for part in parts
    )


def by_the_book(text: str, name: str) -> datetime:
    """The instant of one property, computed by RFC 5545 from the file's own VTIMEZONE and nothing else."""
    said: Any = calendar_of(text).walk("VEVENT")[0][name]
    local = datetime.strptime(said.to_ical().decode().rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    if "TZID" not in said.params:
        return local.replace(tzinfo=UTC)
    (zone,) = calendar_of(text).walk("VTIMEZONE")
    assert zone["TZID"] == said.params["TZID"]
    # The observance in force is that with the latest begin, and begins are in the time before the change. So a time
    # that occurs twice is its first.
    *_, (_, _, offset, _) = (change for change in changes(zone) if change[0] <= local)
    return (local - offset).replace(tzinfo=UTC)


CHANGES = {
    "America/New_York": [datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 6, tzinfo=UTC)],
    "America/Phoenix": [datetime(2027, 3, 14, 9, tzinfo=UTC), datetime(2027, 11, 7, 8, tzinfo=UTC)],
    "Europe/London": [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)],
    "Australia/Lord_Howe": [datetime(2027, 4, 3, 15, tzinfo=UTC), datetime(2027, 10, 2, 15, 30, tzinfo=UTC)],
}


@pytest.mark.parametrize("zone", ZONES)
def test_the_file_means_the_right_instant_on_both_sides_of_every_change(world: World, zone: str) -> None:
    moments = [
        change + timedelta(minutes=minutes)
        for change in CHANGES[zone]
        for minutes in (-1440, -120, -75, -60, -45, -30, -15, 0, 15, 30, 45, 60, 75, 120, 1440)
    ]
    for moment in [*moments, datetime(2027, 1, 11, 14, tzinfo=UTC), datetime(2027, 7, 1, 14, tzinfo=UTC)]:
        text = written(world, zone, moment)
        assert by_the_book(text, "DTSTART") == moment
        assert by_the_book(text, "DTEND") == moment + timedelta(minutes=105)
        read = calendar_of(text)
        instants: list[Any] = [read.events[0].start, read.events[0].end]
        start, end = (each.astimezone(UTC) for each in instants)
        assert (start, end) == (moment, moment + timedelta(minutes=105))
        if all(abs(moment - change) > timedelta(hours=2) for change in CHANGES[zone]):
            # A program that does not know the zone by its name believes the file.
            own: Any = read.walk("VTIMEZONE")[0]
            local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            assert local.replace(tzinfo=own.to_tz(lookup_tzid=False)) == moment


@pytest.mark.parametrize("zone", [*ZONES, "Pacific/Honolulu", "Africa/Casablanca"])
def test_a_library_that_had_no_part_in_it_reads_the_same(world: World, zone: str) -> None:
    world.site.sender_name, world.site.address = "Río; Side, 2", "1 River Road,\nNew York"
    for month in range(1, 13):
        moment = datetime(2027, month, 15, 16, 30, tzinfo=UTC)
        sheet = vobject.readOne(written(world, zone, moment))
        event = sheet.vevent
        assert event.dtstart.value.astimezone(UTC) == moment
        assert event.dtend.value.astimezone(UTC) == moment + timedelta(minutes=105)
        # The file's own zone was read, not one that the library knows by its name.
        own = sheet.vtimezone.tzinfo
        local = moment.astimezone(ZoneInfo(zone))
        assert own.utcoffset(local.replace(tzinfo=None)) == local.utcoffset()
        assert own.tzname(local.replace(tzinfo=None)) == local.tzname()
    assert (sheet.method.value, event.status.value, event.sequence.value) == ("PUBLISH", "TENTATIVE", "0")
    assert event.location.value == "Río; Side, 2, 1 River Road,\nNew York"
    assert event.summary.value == "Appointment at Río; Side, 2"


@pytest.mark.parametrize("zone", ["America/Phoenix", "Pacific/Honolulu"])
def test_a_zone_without_summer_time_has_one_observance(world: World, zone: str) -> None:
    (own,) = calendar_of(written(world, zone, datetime(2027, 7, 1, 16, tzinfo=UTC))).walk("VTIMEZONE")
    assert [part.name for part in own.subcomponents] == ["STANDARD"]


@given(st.sampled_from(ZONES), st.integers(0, 10 * 366 * 96))
def test_a_vtimezone_knows_every_change_around_its_day(key: str, quarters: int) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarters)
    zone = ZoneInfo(key)
    local = moment.astimezone(zone)
    known = calendar.time_zone(key, local.date())
    wall = moment.replace(tzinfo=None)
    *_, (_, _, offset, name) = (change for change in changes(known) if change[0] - change[1] <= wall)
    assert (offset, name) == (local.utcoffset(), local.tzname())


def test_summer_time_begins_as_the_wall_would_have_shown_it(world: World) -> None:
    text = written(world, "America/New_York", datetime(2027, 3, 15, 14, tzinfo=UTC))
    assert "DTSTART:20270314T020000" in text
    assert "DTSTART;TZID=America/New_York:20270315T100000" in text
    assert "\r\n" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


def test_the_second_of_two_equal_hours_is_said_in_utc(world: World) -> None:
    assert "DTSTART:20271107T063000Z" in written(
        world, "America/New_York", datetime(2027, 11, 7, 6, 30, tzinfo=UTC)
    )


def test_hostile_words_stay_words(world: World) -> None:
    world.site.sender_name = world.site.address = "A;B,C\nATTENDEE:mailto:x@example.org"
    text = written(world, "Europe/London", datetime(2027, 1, 11, 14, tzinfo=UTC))
    assert not re.search(r"(?m)^ATTENDEE", text)


# Three readers that had no part in each other


class Read(NamedTuple):
    """What a program takes from a calendar file."""

    method: str
    uid: str
    start: datetime
    end: datetime
    status: str
    sequence: int
    summary: str
    location: str
    alarms: list[timedelta]


def by_icalendar(text: str) -> Read:
    sheet = calendar_of(text)
    event: Any = sheet.events[0]
    return Read(
        str(sheet["METHOD"]),
        str(event["UID"]),
        event.start.astimezone(UTC),
        event.end.astimezone(UTC),
        str(event["STATUS"]),
        int(event["SEQUENCE"]),
        str(event["SUMMARY"]),
        str(event["LOCATION"]),
        [row["TRIGGER"].dt for row in event.walk("VALARM")],
    )


def by_vobject(text: str) -> Read:
    sheet = vobject.readOne(text)
    event = sheet.vevent
    return Read(
        sheet.method.value,
        event.uid.value,
        event.dtstart.value.astimezone(UTC),
        event.dtend.value.astimezone(UTC),
        event.status.value,
        int(event.sequence.value),
        event.summary.value,
        event.location.value,
        [alarm.trigger.value for alarm in event.contents.get("valarm", [])],
    )


def by_ics(text: str) -> Read:
    sheet = ics.Calendar(text)
    (event,) = sheet.events
    extra = {line.name: line.value for line in event.extra}
    return Read(
        sheet.method,
        event.uid,
        event.begin.datetime.astimezone(UTC),
        event.end.datetime.astimezone(UTC),
        event.status,
        int(extra["SEQUENCE"]),
        event.name,
        event.location,
        [alarm.trigger for alarm in event.alarms],
    )


@pytest.mark.parametrize("read", [by_icalendar, by_vobject, by_ics])
def test_three_readers_take_the_same_from_an_appointments_life(
    world: World, read: Callable[[str], Read]
) -> None:
    """Booked, confirmed, moved, cancelled: one entry, each time newer than before."""
    Site.objects.update(sender_name="Riverside", address="1 River Road; floor 2, New York")
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    first = read(calendar.entry(at_site(booked), now=world.now))
    assert first == Read(
        method="PUBLISH",
        uid=calendar.uid(booked),
        start=booked.starts_at,
        end=booked.ends_at,
        status="TENTATIVE",
        sequence=0,
        summary="Appointment at Riverside",
        location="Riverside, 1 River Road; floor 2, New York",
        alarms=[timedelta(hours=-2)],
    )
    services.take_step(booked.pk, "confirm", by=world.clerk, now=world.now)
    booked.refresh_from_db()
    assert read(calendar.entry(at_site(booked), now=world.now)) == first._replace(status="CONFIRMED")
    moved = services.reschedule(booked.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    second = read(calendar.entry(at_site(moved), now=world.now))
    assert (second.uid, second.sequence, second.start) == (first.uid, 1, moved.starts_at)
    services.cancel(moved.pk, reason="ill", by=world.clerk, now=world.now)
    moved.refresh_from_db()
    gone = read(calendar.cancellation(at_site(moved), now=world.now))
    assert (gone.method, gone.status, gone.uid) == ("CANCEL", "CANCELLED", first.uid)
    assert (gone.sequence, gone.alarms) == (2, [])


def at_site(appointment: Appointment) -> Appointment:
    return Appointment.objects.select_related("site", "patient").get(pk=appointment.pk)


@pytest.mark.parametrize(
    "moment", [datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 6, 30, tzinfo=UTC)]
)
@pytest.mark.parametrize("read", [by_icalendar, by_vobject, by_ics])
def test_three_readers_read_one_instant_when_clocks_change(
    world: World, read: Callable[[str], Read], moment: datetime
) -> None:
    world.site.address = "1 River Road"
    found = read(written(world, "America/New_York", moment))
    assert (found.start, found.end) == (moment, moment + timedelta(minutes=105))


@pytest.mark.parametrize("language", ["en", "es"])
def test_an_entry_tells_a_shared_calendar_neither_the_clinic_nor_the_patient(
    world: World, language: str
) -> None:
    """RFC 5546, 3.2.1: what is published has an organizer and nobody invited, so that no program sends an answer."""
    world.site.name, world.site.address = "Riverside Pain Clinic", "1 River Road"
    start = datetime(2027, 1, 11, 14, tzinfo=UTC)
    with translation.override(language):
        text = written(world, "America/New_York", start)
        world.site.sender_name, world.site.reply_to = "Riverside", "desk@example.org"
        named = written(world, "America/New_York", start)
    said = text.replace("-//clinic//", "").replace("clinic@localhost", "")
    assert not re.search(r"pain|clinic|dolor|ann@|ATTENDEE|RSVP|http", said, re.I)
    (event,) = calendar_of(named).events
    assert str(event["ORGANIZER"]) == "mailto:desk@example.org"
    assert event["ORGANIZER"].params["CN"] == "Riverside"
    assert str(event["SUMMARY"]) == {"en": "Appointment at Riverside", "es": "Cita en Riverside"}[language]
    (plain,) = calendar_of(text).events
    assert (str(plain["SUMMARY"]), str(plain["LOCATION"])) == (
        {"en": "Appointment", "es": "Cita"}[language],
        "1 River Road",
    )


# The feed


@pytest.fixture
def token(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(timezone, "now", lambda: world.now)
    return services.issue_feed(world.doctor, by=world.physician, now=world.now)


def feed(client: Client, token: str) -> list[Event]:
    answer = client.get(f"/calendar/{token}.ics")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]
    return list(calendar_of(answer.content).events)


def test_a_feed_says_when_and_where_and_nothing_else(world: World, client: Client, token: str) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    (event,) = feed(client, token)
    assert (event.start, event.end) == (booked.starts_at, booked.starts_at + timedelta(minutes=45))
    assert (event["SUMMARY"], event["LOCATION"]) == ("Appointment", "Room 1, Riverside")
    text = client.get(f"/calendar/{token}.ics").content.decode()
    assert set(event) == {
        *("UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "LOCATION", "SEQUENCE", "STATUS", "TRANSP")
    }
    assert event["STATUS"] == "TENTATIVE"
    assert "VALARM" not in text
    assert "METHOD:PUBLISH\r\n" in text
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT30M\r\n" in text
    services.take_step(booked.pk, "confirm", by=world.clerk, now=world.now)
    assert [event["STATUS"] for event in feed(client, token)] == ["CONFIRMED"]
    assert not re.search(r"brien|\bann\b|ann@|p00001|ablation|facet|lumbar|left|dr test", text, re.I)


def test_a_feed_shows_a_month_back_and_half_a_year_ahead(
    world: World, client: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    for moment, shown in (
        (booked.starts_at - timedelta(days=180), 0),
        (booked.starts_at - timedelta(days=179), 1),
        (booked.starts_at + timedelta(days=30), 1),
        (booked.starts_at + timedelta(days=31), 0),
    ):
        monkeypatch.setattr(timezone, "now", lambda shown_at=moment: shown_at)
        assert len(feed(client, token)) == shown


def test_what_was_cancelled_or_is_only_held_is_not_in_a_feed(
    world: World, client: Client, token: str
) -> None:
    booked = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
        hold=True,
    )
    assert len(feed(client, token)) == 1
    services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    assert feed(client, token) == []


def test_a_feed_dies_when_it_is_revoked_replaced_or_its_clinician_leaves(
    world: World, client: Client, token: str
) -> None:
    assert client.get(f"/calendar/{'A' * 43}.ics").status_code == 404
    newer = services.issue_feed(world.doctor, by=world.physician, now=world.now)
    assert client.get(f"/calendar/{token}.ics").status_code == 404
    feed(client, newer)
    world.physician.is_active = False
    world.physician.save()
    assert client.get(f"/calendar/{newer}.ics").status_code == 404
    world.physician.is_active = True
    world.physician.save()
    assert services.revoke_feed(world.doctor, by=world.clerk, now=world.now) == 1
    assert services.revoke_feed(world.doctor, by=world.clerk, now=world.now) == 0
    assert client.get(f"/calendar/{newer}.ics").status_code == 404
    assert client.post(f"/calendar/{newer}.ics").status_code == 405
    actions = AuditEvent.objects.filter(action__startswith="calendar_feed").values_list("action", flat=True)
    assert sorted(actions) == ["calendar_feed.issued"] * 2 + ["calendar_feed.revoked"] * 2


def test_reading_a_feed_changes_nothing_and_its_token_is_kept_nowhere(
    world: World, client: Client, token: str
) -> None:
    before = AuditEvent.objects.count()
    feed(client, token)
    assert AuditEvent.objects.count() == before
    assert token not in str(CalendarFeed.objects.get().__dict__)


def test_who_may_not_hand_out_a_calendar_is_refused(world: World) -> None:
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/New_York", phone="1")
    stranger = staff("stranger@example.org", "Front desk", elsewhere)
    for person in (world.nurse, stranger):
        with pytest.raises(PermissionDenied):
            services.issue_feed(world.doctor, by=person, now=world.now)
        with pytest.raises(PermissionDenied):
            services.revoke_feed(world.doctor, by=person, now=world.now)
    assert not CalendarFeed.objects.exists()
