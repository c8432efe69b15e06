"""A service that stands still says so: on the first page and at /health/jobs, with a code and what to do."""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPAuthenticationError, SMTPRecipientsRefused, SMTPSenderRefused
from typing import Any, NoReturn

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from clinic import database, health_checks, outbox
from clinic.models import Job, OutgoingEmail
from clinic.tests.admin_client import clock, queries, signed_in
from clinic.tests.mail_server import SERVER, Server
from outcomes import services
from outcomes.models import CheckIn
from outcomes.services import tick_steps
from outcomes.troubles import troubles
from procedures.tests.factories import World

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey answers, which no test needs otherwise."""
    monkeypatch.setattr(health_checks, "redis_answers", lambda: True)


def codes(now: datetime) -> list[str]:
    return [trouble.code for trouble in troubles(broker=True, now=now)]


def machine(now: datetime) -> tuple[int, list[str]]:
    """What /health/jobs answers at `now`: the status and the codes."""
    with clock(now):
        answer = Client().get("/health/jobs")
    told = answer.json()["troubles"]
    assert all(row["what"] and row["do"] for row in told)
    return answer.status_code, [row["code"] for row in told]


def first_page(world: World, now: datetime) -> list[str]:
    """The codes of what the front desk sees at the top of the first page."""
    with clock(now):
        page = signed_in(world.clerk).get("/admin/")
    html = page.content.decode()
    shown = [trouble.code for trouble in page.context["troubles"]]
    assert all(f'data-code="{code}"' in html for code in shown)
    return shown


@pytest.fixture
def day_1(world: World) -> CheckIn:
    """A check-in in the afternoon, far from the quiet hours."""
    check_in: CheckIn = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    return check_in


def test_a_service_that_does_its_work_has_no_troubles(world: World, day_1: CheckIn) -> None:
    services.tick(now=day_1.due_at)
    later = day_1.due_at + 5 * MINUTE
    assert codes(later) == first_page(world, later) == []
    assert machine(later) == (200, [])


def test_beat_is_dead(world: World, day_1: CheckIn) -> None:
    assert codes(world.now) == ["tick_late"]  # never one
    services.tick(now=day_1.due_at - MINUTE)
    assert codes(day_1.due_at + 4 * MINUTE) == []
    assert codes(day_1.due_at + 5 * MINUTE) == ["tick_late"]
    later = day_1.due_at + 31 * MINUTE
    assert first_page(world, later) == ["tick_late", "check_ins_overdue"]
    assert machine(later) == (503, ["tick_late", "check_ins_overdue"])
    services.tick(now=later)
    assert machine(later) == (200, [])


def test_a_tick_at_a_made_up_time_tells_nothing_of_the_clocks(world: World) -> None:
    call_command("tick", now="2027-06-01T10:00:00-04:00", no_send=True)
    assert not Job.objects.exists()
    with clock(world.now):
        call_command("tick", no_send=True)
    assert Job.objects.get().completed_at == world.now


def test_a_step_that_always_fails_is_named(
    world: World, day_1: CheckIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.tick(now=day_1.due_at - 10 * MINUTE)

    def fail(**_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(tick_steps, "close_past", fail)
    for minutes in (6, 5, 4):
        assert codes(day_1.due_at - minutes * MINUTE) == (["tick_incomplete"] if minutes == 4 else [])
        with pytest.raises(ExceptionGroup):
            services.tick(now=day_1.due_at - minutes * MINUTE)
    (trouble,) = troubles(broker=True, now=day_1.due_at - 4 * MINUTE)
    assert (trouble.code, trouble.detail) == ("tick_incomplete", "check_ins_missed ZeroDivisionError")
    assert codes(day_1.due_at + 2 * MINUTE) == ["tick_late"]  # by now not even that


def test_the_tick_leaves_its_counts_in_its_row_and_in_one_line(
    world: World, day_1: CheckIn, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "outcomes.services.tick_steps"):
        done = services.tick(now=day_1.due_at)
    job = Job.objects.get(name=Job.Name.TICK)
    assert (job.completed_at, job.counts) == (day_1.due_at, done)
    assert done["check_ins_invited"] == 1
    (line,) = [record.msg for record in caplog.records if record.name == "outcomes.services.tick_steps"]
    assert isinstance(line, dict)
    assert line["counts"]["check_ins_invited"] == 1
    assert 0 not in line["counts"].values()


@pytest.mark.parametrize("why", ["paused", "held", "quiet"])
def test_what_waits_for_a_good_reason_is_not_overdue(world: World, day_1: CheckIn, why: str) -> None:
    later = day_1.due_at + timedelta(hours=2)
    services.tick(now=day_1.due_at - MINUTE)
    assert "check_ins_overdue" in codes(later)
    if why == "paused":
        world.site.emails_paused = True
        world.site.save()
    elif why == "held":
        CheckIn.objects.filter(pk=day_1.pk).update(hold_until=later + MINUTE)
    else:
        later = day_1.due_at.replace(hour=3) + timedelta(days=1)  # in the evening at the site
        morning = world.at(later.astimezone(world.site.zone).date() + timedelta(days=1), 8)
        assert "check_ins_overdue" not in codes(morning + 29 * MINUTE)
        assert "check_ins_overdue" in codes(morning + 31 * MINUTE)
    assert "check_ins_overdue" not in codes(later)


@pytest.fixture
def letters(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[Server]:
    """A mail server that can be told what to raise, and thirty e-mails."""
    settings.EMAIL_BACKEND = SERVER
    monkeypatch.setattr(Server, "meets", {}, raising=False)
    monkeypatch.setattr(Server, "calls", [], raising=False)
    for number in range(30):
        outbox.queue(
            f"letter {number}",
            template="clinic.tests.mail_server.letter",
            context={},
            to="ann@example.org",
            site=world.site,
            now=world.now,
        )
    return Server


def test_a_log_in_that_is_refused_is_told_at_once(world: World, letters: type[Server]) -> None:
    services.tick(now=world.now)
    letters.meets = {"open": [SMTPAuthenticationError(535, b"5.7.8 expired ann@example.org")]}
    outbox.send_due(now=world.now)
    (trouble,) = troubles(broker=True, now=world.now + MINUTE)
    assert (trouble.code, trouble.detail, trouble.since) == ("sender_refused", "login_refused", world.now)
    assert first_page(world, world.now + MINUTE) == ["sender_refused"]
    assert OutgoingEmail.objects.filter(status="queued", attempts=0).count() == 30
    outbox.send_due(now=world.now + MINUTE)
    assert codes(world.now + MINUTE) == []


def test_a_sender_that_is_refused_stays_so_until_something_is_sent(
    world: World, letters: type[Server]
) -> None:
    services.tick(now=world.now)
    refused = SMTPSenderRefused(553, b"5.1.8 who are you", "clinic@localhost")
    letters.meets = {"send ann@example.org": [refused] * 30}
    outbox.send_due(now=world.now)
    assert codes(world.now) == ["sender_refused"]
    outbox.send_due(now=world.now + timedelta(seconds=10))  # nothing to try
    assert codes(world.now) == ["sender_refused"]
    outbox.send_due(now=world.now + MINUTE)
    assert codes(world.now) == []


def test_one_readers_policy_is_not_the_senders_fault_and_several_in_a_row_are(
    world: World, letters: type[Server]
) -> None:
    services.tick(now=world.now)
    policy = SMTPRecipientsRefused({"ann@example.org": (550, b"5.7.1 not authorised")})
    unknown = SMTPRecipientsRefused({"ann@example.org": (550, b"5.1.1 no such user")})
    letters.meets = {"send ann@example.org": [policy, unknown]}
    outbox.send_due(now=world.now, limit=2)
    assert codes(world.now) == []
    letters.meets = {"send ann@example.org": [policy, policy]}
    outbox.send_due(now=world.now, limit=2)
    assert codes(world.now) == ["sender_refused"]


def test_a_mail_server_may_be_away_for_some_minutes(world: World, letters: type[Server]) -> None:
    for minutes in range(7):
        services.tick(now=world.now + minutes * MINUTE)
        letters.meets = {"open": [ConnectionRefusedError()]}
        outbox.send_due(now=world.now + minutes * MINUTE)
        assert codes(world.now + minutes * MINUTE) == (["mail_server_away"] if minutes > 5 else [])
    outbox.send_due(now=world.now + 7 * MINUTE)
    assert codes(world.now + 7 * MINUTE) == []


def test_a_broker_that_is_away_is_told_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    services.tick(now=world.now)
    monkeypatch.setattr(health_checks, "redis_answers", lambda: False)
    assert machine(world.now) == (503, ["broker_away"])
    assert first_page(world, world.now) == ["broker_away"]


def test_a_database_that_takes_no_writes_is_told_before_the_tick_is_late(world: World) -> None:
    services.tick(now=world.now)
    with transaction.atomic():
        connection.cursor().execute("SET TRANSACTION READ ONLY")
        assert codes(world.now + MINUTE) == []
        (trouble,) = troubles(broker=True, now=world.now + 2 * MINUTE)
        transaction.set_rollback(True)
    assert (trouble.code, trouble.detail) == ("database_refuses_writes", "ReadOnlySqlTransaction")


def test_a_full_disk_of_the_database_is_told_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really filled: outcomes/tests/site/test_bad_week.py."""
    services.tick(now=world.now)
    full = "DO $$ BEGIN RAISE 'full' USING ERRCODE = 'disk_full'; END $$"
    for module in (database, health_checks):
        monkeypatch.setattr(module, "NEEDS_ROOM", full)
    assert machine(world.now) == (503, ["disk_full"])
    assert first_page(world, world.now) == ["disk_full"]
    ready = Client().get("/health/ready")
    assert (ready.status_code, ready.json()["parts"]["disk"]) == (503, False)


def test_the_number_of_queries_does_not_grow(world: World, day_1: CheckIn) -> None:
    services.tick(now=day_1.due_at - MINUTE)
    before = queries(lambda: troubles(broker=True, now=day_1.due_at))
    for hour in (11, 13):
        world.performed(hour=hour, patient=world.another_patient(hour))
    now = day_1.due_at + 31 * MINUTE
    Job.objects.update(completed_at=now)
    assert codes(now) == ["check_ins_overdue"]
    assert queries(lambda: troubles(broker=True, now=now)) == before <= 7
