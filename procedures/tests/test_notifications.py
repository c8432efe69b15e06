"""Letters about appointments: each once, in time, in the patient's language, and never to who must not have one."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polib
import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone, translation
from icalendar import Calendar

from clinic import outbox
from clinic.models import AuditEvent, OutgoingEmail, Site, WorkingHours
from clinic.tests.factories import MONDAY
from patients.models import Patient
from procedures import services
from procedures.models import Appointment, AppointmentLink, ReadinessItem
from procedures.services.notifications import letter_key, remind_at
from procedures.spoken_times import when
from procedures.tests.factories import World

#: What no letter, calendar file or address may hold: names, record number, birth date, procedure, region, side.
SECRETS = re.compile(
    r"o'?brien|o&#x27;brien|\bann\b|p00001|1944|ablation|radiofrequency|facet|lumbar|\bleft\b|\brfa\b"
    r"|physician|dr test|room 1",
    re.I,
)


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What the edges see as now: set `clock[0]`."""
    hands = [world.now]
    monkeypatch.setattr(timezone, "now", lambda: hands[0])
    return hands


@pytest.fixture
def booked(world: World) -> Appointment:
    return services.book(world.appointment(), by=world.clerk, now=world.now)


@pytest.fixture
def path(booked: Appointment, clock: list[datetime], world: World) -> str:
    """The page that the confirmation leads to."""
    outbox.send_due(now=world.now)
    return path_in(sent())


def sent() -> EmailMultiAlternatives:
    """The newest e-mail."""
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    return message


def path_in(message: EmailMultiAlternatives) -> str:
    found = re.search(r"http://testserver(/a/[A-Za-z0-9_-]{43}/)", str(message.body))
    assert found, message.body
    assert found[0] in str(message.alternatives[0][0])
    return found[1]


def sheet(message: EmailMultiAlternatives) -> Calendar:
    """The calendar file of an e-mail, as it arrives."""
    mime = message.message()
    part = next(part for part in mime.walk() if part.get_content_type() == "text/calendar")
    text = part.get_payload(decode=True)
    assert isinstance(text, bytes)
    read = Calendar.from_ical(text)
    assert isinstance(read, Calendar)
    assert part.get_param("method") == read["METHOD"]
    assert part.get_content_charset() == "utf-8"
    # An attachment, and no alternative of the letter: programs would show one in the other's place.
    assert mime.get_content_type() == "multipart/mixed"
    assert part in mime.get_payload()
    assert part.get_content_disposition() == "attachment"
    assert part.get_filename() == "appointment.ics"
    return read


def problem(appointment: Appointment, kind: str) -> tuple[str, str]:
    row = OutgoingEmail.objects.get(key=letter_key(appointment.pk, kind))
    return row.status, row.problem


def on(world: World, day: date, hour: int, **values: Any) -> Appointment:
    """Booked at a wall time of the site, a month before."""
    start = world.at(day, hour)
    return services.book(
        world.appointment(starts_at=start, **values), by=world.clerk, now=start - timedelta(days=30)
    )


# Confirmation, change, cancellation


def test_a_booking_is_confirmed_once_with_a_calendar_file(world: World, booked: Appointment) -> None:
    assert outbox.send_due(now=world.now)["sent"] == 1
    assert outbox.send_due(now=world.now + timedelta(hours=1))["sent"] == 0
    message = sent()
    assert message.to == ["ann@example.org"]
    assert message.subject == "Your appointment: January 11, 9 a.m."
    assert "Monday, Jan. 11, 2027, 9 a.m. (New York time, EST)" in message.body
    calendar = sheet(message)
    (event,) = calendar.events
    assert (calendar["METHOD"], event["STATUS"], event["SEQUENCE"]) == ("PUBLISH", "TENTATIVE", 0)
    assert (event.start, event.end) == (booked.starts_at, booked.ends_at)
    assert event["SUMMARY"] == "Appointment"


def test_the_letter_is_in_the_patients_language(world: World) -> None:
    Patient.objects.update(language="es")
    world.patient.refresh_from_db()
    services.book(world.appointment(), by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    message = sent()
    assert message.subject == "Su cita: 11 de enero, 09:00"
    assert "lunes, 11 de enero de 2027, 09:00 (hora de Nueva York, EST)" in message.body
    assert '<html lang="es" dir="ltr">' in str(message.alternatives[0][0])
    assert sheet(message).events[0]["SUMMARY"] == "Cita"


def test_neither_holds_nor_the_unmailable_nor_the_already_told_get_a_letter(world: World) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    assert not OutgoingEmail.objects.exists()
    services.take_step(held.pk, "book", by=world.clerk, now=world.now)
    assert OutgoingEmail.objects.get().key == letter_key(held.pk, "booked")
    silent = world.another_patient(opted_out_at=world.now)
    services.book(
        world.appointment(patient=silent, starts_at=world.at(MONDAY, 11)), by=world.clerk, now=world.now
    )
    services.book(
        world.appointment(patient=world.another_patient(3), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
        quietly=True,
    )
    assert OutgoingEmail.objects.count() == 1


def test_a_move_sends_one_letter_that_replaces_the_calendar_entry(world: World, booked: Appointment) -> None:
    outbox.send_due(now=world.now)
    first = sheet(sent()).events[0]
    new = services.reschedule(booked.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    newer = services.reschedule(new.pk, starts_at=world.at(MONDAY, 14), by=world.clerk, now=world.now)
    assert outbox.send_due(now=world.now) == {"sent": 1, "skipped": 1, "put_back": 0, "failed": 0}
    assert problem(new, "booked") == ("skipped", "moved")
    message = sent()
    assert message.subject == "New time for your appointment: January 11, 2 p.m."
    second = sheet(message).events[0]
    assert (second["UID"], second["SEQUENCE"], second.start) == (first["UID"], 2, newer.starts_at)
    assert not OutgoingEmail.objects.filter(key__endswith="cancelled").exists()
    services.cancel(newer.pk, reason="ill", ended_by="patient", by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    calendar = sheet(sent())
    assert calendar["METHOD"] == "CANCEL"
    assert (calendar.events[0]["UID"], calendar.events[0]["SEQUENCE"]) == (first["UID"], 3)


def test_who_was_never_written_of_the_old_time_reads_of_no_change(world: World, booked: Appointment) -> None:
    services.reschedule(booked.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    assert [message.subject for message in mail.outbox] == ["Your appointment: January 11, 1 p.m."]


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_cancellation_is_told_once(world: World, booked: Appointment, language: str) -> None:
    Patient.objects.update(language=language)
    outbox.send_due(now=world.now)
    services.cancel(booked.pk, reason="the room is closed", by=world.clerk, now=world.now)
    assert outbox.send_due(now=world.now)["sent"] == 1
    message = sent()
    said = {"en": "Please do not come at this time", "es": "no venga a esta hora"}[language]
    assert said in message.body
    assert "/a/" not in str(message.body)
    assert "room is closed" not in str(message.message())
    calendar = sheet(message)
    assert (calendar["METHOD"], calendar.events[0]["STATUS"]) == ("CANCEL", "CANCELLED")
    services.take_step(booked.pk, "enter_in_error", by=world.physician, now=world.now, reason="typo")
    assert outbox.send_due(now=world.now)["sent"] == 0


def test_an_entry_in_error_is_called_off_too(world: World, booked: Appointment) -> None:
    outbox.send_due(now=world.now)
    services.take_step(booked.pk, "enter_in_error", by=world.physician, now=world.now, reason="wrong person")
    outbox.send_due(now=world.now)
    assert sent().subject == "Cancelled: your appointment, January 11, 9 a.m."


def test_cancelled_between_queue_and_send_nothing_goes_out(world: World, booked: Appointment) -> None:
    services.cancel(booked.pk, reason="typo", by=world.clerk, now=world.now)
    assert outbox.send_due(now=world.now)["skipped"] == 2
    assert problem(booked, "booked") == ("skipped", "cancelled")
    assert problem(booked, "cancelled") == ("skipped", "never_told")
    assert not mail.outbox
    assert not AppointmentLink.objects.exists()


def test_a_no_show_and_a_past_cancellation_send_nothing(world: World, booked: Appointment) -> None:
    outbox.send_due(now=world.now)
    later = booked.starts_at + timedelta(minutes=30)
    services.mark_no_show(booked.pk, by=world.clerk, now=later)
    assert outbox.send_due(now=later)["sent"] == 0
    assert OutgoingEmail.objects.count() == 1


# Reminders


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (date(2027, 3, 15), 24),  # the Monday after clocks went forward
        (date(2027, 11, 8), 24),  # the Monday after they went back
        (date(2027, 3, 14), 23),
        (date(2027, 11, 7), 25),
    ],
)
def test_the_reminder_comes_the_day_before_at_the_same_time_of_day(
    world: World, day: date, hours: int
) -> None:
    WorkingHours.objects.filter(weekday=0).update(weekday=day.weekday())
    appointment = on(world, day, 9)
    outbox.send_due(now=world.now)
    mail.outbox.clear()
    due = world.at(day - timedelta(days=1), 9)
    assert remind_at(appointment) == due
    assert appointment.starts_at - due == timedelta(hours=hours)
    assert services.queue_due_reminders(now=due - timedelta(seconds=1)) == 0
    assert services.queue_due_reminders(now=due) == 1
    assert services.queue_due_reminders(now=due) == 0
    assert services.queue_due_reminders(now=due + timedelta(hours=3)) == 0
    OutgoingEmail.objects.filter(key__endswith="booked").delete()
    assert outbox.send_due(now=due)["sent"] == 1
    assert sent().subject.startswith("Reminder: your appointment, ")
    event = sheet(sent()).events[0]
    assert (event["SEQUENCE"], event["STATUS"], event.start) == (0, "TENTATIVE", appointment.starts_at)
    assert "tomorrow" not in sent().body


def test_after_an_outage_a_reminder_is_late_but_never_too_late(world: World) -> None:
    appointment = on(world, MONDAY, 9)
    assert services.queue_due_reminders(now=appointment.starts_at) == 0
    assert services.queue_due_reminders(now=appointment.starts_at - timedelta(hours=1)) == 1
    outbox.send_due(now=appointment.starts_at)
    assert problem(appointment, "reminder") == ("skipped", "begun")
    assert not mail.outbox


def test_booked_less_than_a_day_before_there_is_no_reminder(world: World) -> None:
    start = world.at(MONDAY, 9)
    services.book(world.appointment(), by=world.clerk, now=start - timedelta(hours=23))
    assert services.queue_due_reminders(now=start - timedelta(hours=22)) == 0


def test_on_lord_howe_half_an_hour_is_kept(world: World) -> None:
    site = Site.objects.create(name="Island", time_zone="Australia/Lord_Howe", phone="1")
    # 09:00 on 4 April, the day on which clocks go back half an hour.
    start = datetime(2027, 4, 3, 22, 30, tzinfo=UTC)
    appointment = Appointment(starts_at=start, site=site)
    assert start - remind_at(appointment) == timedelta(hours=24, minutes=30)


def cancel(world: World, appointment: Appointment) -> None:
    services.cancel(appointment.pk, reason="ill", by=world.clerk, now=world.at(MONDAY, 8))


def move(world: World, appointment: Appointment) -> None:
    services.reschedule(
        appointment.pk,
        starts_at=world.at(MONDAY + timedelta(days=7), 9),
        by=world.clerk,
        now=world.at(MONDAY, 8),
    )


def receive(world: World, appointment: Appointment) -> None:
    services.arrive(appointment.pk, by=world.clerk, now=world.at(MONDAY, 8))


def correct(world: World, appointment: Appointment) -> None:
    services.take_step(
        appointment.pk, "enter_in_error", by=world.physician, now=world.at(MONDAY, 8), reason="typo"
    )


def bury(world: World, appointment: Appointment) -> None:
    Patient.objects.update(died_on=MONDAY - timedelta(days=1))


def silence(world: World, appointment: Appointment) -> None:
    Patient.objects.update(opted_out_at=world.now)


def withdraw(world: World, appointment: Appointment) -> None:
    Patient.objects.update(consented_at=None, consent_version="")


def bounce(world: World, appointment: Appointment) -> None:
    Patient.objects.update(bounced_at=world.now)


#: Why nobody is written to any more, whatever the letter.
UNMAILABLE = [(bury, "deceased"), (silence, "opted_out"), (bounce, "bounced"), (withdraw, "no_consent")]
#: Why a letter that somebody is expected must not go out any more.
UNEXPECTED = [(cancel, "cancelled"), (move, "moved"), (receive, "arrived"), (correct, "voided")]


@pytest.mark.parametrize(("deed", "reason"), [*UNEXPECTED, *UNMAILABLE])
def test_a_confirmation_that_waited_is_looked_at_again(world: World, deed: Any, reason: str) -> None:
    appointment = on(world, MONDAY, 9)
    deed(world, appointment)
    outbox.send_due(now=world.at(MONDAY, 8))
    assert problem(appointment, "booked") == ("skipped", reason)


@pytest.mark.parametrize(("deed", "reason"), UNMAILABLE)
def test_news_of_a_cancellation_that_waited_is_looked_at_again(
    world: World, booked: Appointment, deed: Any, reason: str
) -> None:
    outbox.send_due(now=world.now)
    services.cancel(booked.pk, reason="the room is closed", by=world.clerk, now=world.now)
    deed(world, booked)
    assert outbox.send_due(now=world.now)["sent"] == 0
    assert problem(booked, "cancelled") == ("skipped", reason)


@pytest.mark.parametrize(("deed", "reason"), [*UNEXPECTED, *UNMAILABLE])
def test_what_happened_since_it_was_queued_is_looked_at_when_it_is_sent(
    world: World, deed: Any, reason: str
) -> None:
    appointment = on(world, MONDAY, 9)
    outbox.send_due(now=world.at(MONDAY - timedelta(days=10), 9))
    assert services.queue_due_reminders(now=world.at(MONDAY, 8)) == 1
    mail.outbox.clear()
    deed(world, appointment)
    outbox.send_due(now=world.at(MONDAY, 8))
    assert problem(appointment, "reminder") == ("skipped", reason)
    assert not any(message.subject.startswith("Reminder") for message in mail.outbox)


# The page


def test_the_page_says_when_where_and_what_to_do(path: str, client: Client, world: World) -> None:
    item = ReadinessItem.objects.create(
        code="driver",
        label="Driver",
        blocking=True,
        source="t",
        advice="Do not drive.",
        advice_es="No conduzca.",
    )
    silent = ReadinessItem.objects.create(code="consent", label="Consent of", blocking=True, source="t")
    world.ablation.readiness_items.add(item, silent)
    Site.objects.update(address="1 River Road")
    page = client.get(path).content.decode()
    for said in ("Monday, Jan. 11, 2027, 9 a.m. (New York time, EST)", "1 River Road", "+1 212 555 0100"):
        assert said in page
    assert "Do not drive." in page
    assert "Please plan to stay until 10:45 a.m. or a little longer." in page
    assert "Consent of" not in page
    assert not SECRETS.search(page)
    spanish = client.get(path + "?lang=es").content.decode()
    assert "No conduzca." in spanish
    assert "Lunes, 11 de enero de 2027, 09:00 (hora de Nueva York, EST)" in spanish
    assert "Do not" not in spanish
    assert not SECRETS.search(spanish)


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_looking_changes_nothing(path: str, client: Client, booked: Appointment, method: str) -> None:
    before = AuditEvent.objects.count()
    for _ in range(3):
        getattr(client, method)(path)
        getattr(client, method)(path + "?reply=come")
    booked.refresh_from_db()
    assert (booked.status, booked.wants_change_at) == ("booked", None)
    assert AuditEvent.objects.count() == before


def test_i_will_come(path: str, client: Client, booked: Appointment) -> None:
    first = client.post(path, {"reply": "come"}, follow=True)
    assert "You told us that you will come" in first.content.decode()
    assert client.post(path, {"reply": "come"}, follow=True).status_code == 200
    booked.refresh_from_db()
    assert booked.status == "confirmed"
    event = AuditEvent.objects.get(action="appointment.confirmed")
    assert (event.actor, event.by) == ("patient", None)


def test_i_need_another_time_moves_nothing_by_itself(
    path: str, client: Client, booked: Appointment, clock: list[datetime]
) -> None:
    first = client.post(path, {"reply": "change"}, follow=True).content.decode()
    assert "We will call you" in first
    asked_at = clock[0]
    clock[0] += timedelta(minutes=5)
    client.post(path, {"reply": "change"}, follow=True)
    booked.refresh_from_db()
    assert (booked.status, booked.wants_change_at) == ("booked", asked_at)
    event = AuditEvent.objects.get(action="appointment.change_wanted")
    assert (event.actor, event.site) == ("patient", booked.site)
    client.post(path, {"reply": "come"})
    booked.refresh_from_db()
    assert (booked.status, booked.wants_change_at) == ("confirmed", None)


def test_nonsense_changes_nothing(path: str, client: Client, booked: Appointment) -> None:
    for data in ({}, {"reply": ""}, {"reply": "cancel"}, {"reply": "x" * 9000}):
        assert client.post(path, data).status_code == 422
    booked.refresh_from_db()
    assert booked.status == "booked"


def test_whoever_sends_too_often_waits_by_link_and_by_address(path: str, client: Client) -> None:
    codes = [client.post(path, {"reply": "cancel"}).status_code for _ in range(61)]
    assert codes == [422] * 60 + [429]
    assert client.get(path).status_code == 200  # looking is free
    assert client.post(path, {"reply": "come"}, REMOTE_ADDR="192.0.2.7").status_code == 429
    assert client.post("/a/unknown/", {"reply": "come"}).status_code == 429
    assert client.post("/a/unknown/", {"reply": "come"}, REMOTE_ADDR="192.0.2.8").status_code == 410


def test_once_it_has_begun_nothing_can_be_said(
    path: str, client: Client, booked: Appointment, clock: list[datetime]
) -> None:
    clock[0] = booked.starts_at
    assert "I will come" not in client.get(path).content.decode()
    client.post(path, {"reply": "come"})
    client.post(path, {"reply": "change"})
    booked.refresh_from_db()
    assert (booked.status, booked.wants_change_at) == ("booked", None)


def test_dead_links_get_one_page_that_tells_nothing(
    path: str, client: Client, booked: Appointment, clock: list[datetime], world: World
) -> None:
    unknown = client.get("/a/" + "A" * 43 + "/")
    assert unknown.status_code == 410
    assert world.site.phone in unknown.content.decode()
    pages = [client.get(path[:-2] + ("x/" if path[-2] != "x" else "y/")), client.get("/a/1/")]
    pages.append(client.get("/c/" + "A" * 43 + "/"))
    clock[0] = booked.ends_at
    pages += [client.get(path), client.post(path, {"reply": "come"})]
    clock[0] = world.now
    AppointmentLink.objects.update(revoked_at=world.now)
    pages.append(client.get(path))
    assert {page.status_code for page in pages} == {410}
    # Only links that were sent have a way to stop e-mails.
    stop = rb'<p><a class="quiet" href="/u/[^"]+">[^<]+</a></p>'
    assert {re.sub(stop, b"", page.content) for page in pages} == {unknown.content}


def test_a_city_has_its_name_in_the_readers_language(world: World) -> None:
    with translation.override("es"):
        assert "hora de Nueva York" in when(world.now, ZoneInfo("America/New_York"))
        assert "hora de Los Ángeles" in when(world.now, ZoneInfo("America/Los_Angeles"))
        assert "hora de Denver" in when(world.now, ZoneInfo("America/Denver"))


def test_the_page_of_a_cancelled_appointment_switches_the_language(
    path: str, booked: Appointment, client: Client, world: World
) -> None:
    services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    assert '"?lang=es"' in client.get(f"{path}?lang=en").content.decode()
    assert '"?lang=en"' in client.get(f"{path}?lang=es").content.decode()


@pytest.mark.parametrize("deed", ["cancel", "move"])
def test_the_page_of_a_cancelled_appointment_says_so(
    path: str, client: Client, booked: Appointment, world: World, deed: str
) -> None:
    if deed == "cancel":
        services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    else:
        services.reschedule(booked.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    for page in (client.get(path), client.post(path, {"reply": "come"})):
        said = "cancelled or moved" if deed == "cancel" else "rescheduled"
        assert f"This appointment was {said}" in page.content.decode()
        assert "9 a.m." not in page.content.decode()
    booked.refresh_from_db()
    assert booked.status == "cancelled"


def test_the_page_keeps_its_address_to_itself(path: str, client: Client) -> None:
    page = client.get(path)
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    assert "noindex" in page["X-Robots-Tag"]
    text = page.content.decode()
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert len(page.content) < 8_000
    token = path.split("/")[2]
    assert token not in str(AppointmentLink.objects.get().__dict__)


# Privacy


def all_letters(world: World) -> Iterator[EmailMultiAlternatives]:
    """A confirmation, a change, a reminder and a cancellation."""
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    start = world.at(MONDAY + timedelta(days=7), 9)
    moved = services.reschedule(appointment.pk, starts_at=start, by=world.clerk, now=world.now)
    outbox.send_due(now=world.now)
    services.queue_due_reminders(now=remind_at(moved))
    outbox.send_due(now=remind_at(moved))
    services.cancel(moved.pk, reason="left lumbar facet", by=world.clerk, now=remind_at(moved))
    outbox.send_due(now=remind_at(moved))
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        yield message


@pytest.mark.parametrize("language", ["en", "es"])
def test_no_letter_names_anybody_or_anything(world: World, language: str) -> None:
    Patient.objects.update(language=language)
    letters = list(all_letters(world))
    assert len(letters) == 4
    for message in letters:
        for part in message.message().walk():
            if part.is_multipart():
                continue
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            text = payload.decode()
            assert "ann@example.org" not in text
            assert not SECRETS.search(text), text
        assert not SECRETS.search(str(message.subject))
    for row in OutgoingEmail.objects.all():
        assert not SECRETS.search(f"{row.key} {row.template} {row.context}")


@pytest.mark.parametrize("app", ["clinic", "procedures"])
def test_every_sentence_for_patients_is_translated_and_compiled(app: str) -> None:
    folder = Path(__file__).parents[2] / app
    po = polib.pofile(str(folder / "locale/es/LC_MESSAGES/django.po"))
    assert not po.untranslated_entries()
    assert not po.fuzzy_entries()
    mo = polib.mofile(str(folder / "locale/es/LC_MESSAGES/django.mo"))
    assert {e.msgid: e.msgstr for e in mo} == {e.msgid: e.msgstr for e in po}
    known = {entry.msgid for entry in po}
    sentences = set()
    for template in (folder / "templates" / app).rglob("*"):
        text = template.read_text() if template.is_file() else ""
        sentences |= set(re.findall(r'{% translate "([^"]+)" %}', text))
        for block in re.findall(r"{% blocktranslate trimmed .*?%}(.*?){% endblocktranslate %}", text, re.S):
            words = re.sub(r"{{ (\w+) }}", r"%(\1)s", " ".join(block.split()))
            sentences.add(words)
    for module in ("emails.py", "spoken_times.py", "calendar.py"):
        source = (folder / module).read_text() if (folder / module).is_file() else ""
        sentences |= set(re.findall(r'\b_\("([^"]+)"\)', source))
    assert sentences == known
