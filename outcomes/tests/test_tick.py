"""The tick: one sick step keeps no other from its turn, and nothing from being sent."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import NoReturn

import psycopg
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import call_command
from django.db import connection

from clinic.database import LOCKED_ROWS, advisory_lock
from clinic.models import Job
from clinic.tests.admin_client import clock
from clinic.tests.factories import MONDAY
from outcomes import services, tasks
from outcomes.models import CheckIn
from outcomes.services import tick_steps
from procedures.models import Appointment
from procedures.services import book
from procedures.tests.factories import World


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing fails, every time."""

    def fail(**_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(tick_steps, "close_past", fail)


def test_who_is_due_is_asked_though_another_step_fails(world: World, sick: None) -> None:
    day_1 = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    with pytest.raises(ExceptionGroup) as raised:
        services.tick(now=day_1.due_at)
    assert [type(fault) for fault in raised.value.exceptions] == [ZeroDivisionError]
    day_1.refresh_from_db()
    assert day_1.status == CheckIn.Status.INVITED


def test_every_advisory_lock_has_a_number_of_its_own() -> None:
    """One that is shared makes the tick stand still while somebody imports."""
    numbers = [
        number
        for app in ("clinic", "patients", "procedures", "outcomes")
        for path in (settings.BASE_DIR / app).rglob("*.py")
        for number in re.findall(r"^[A-Z]+ = (7_461_\d+)$", path.read_text(), re.M)
    ]
    assert len(numbers) >= 6
    assert len(set(numbers)) == len(numbers)


def test_sessions_that_have_run_out_are_swept(world: World) -> None:
    for name, expires in (("old", world.now), ("new", world.now + timedelta(seconds=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=expires)
    assert services.tick(now=world.now)["sessions_forgotten"] == 1
    assert Session.objects.get().session_key == "new"


def test_no_message_carries_a_due_time() -> None:
    """What comes later is a row (docs/decisions/0003): a message with an `eta` comes twice, or is lost."""
    sources = [
        path
        for app in ("clinic", "patients", "procedures", "outcomes")
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if "tests" not in path.parts
    ]
    assert len(sources) > 100
    assert [path.name for path in sources if re.search(r"\b(eta|countdown)=", path.read_text())] == []


@pytest.mark.parametrize("edge", [tasks.tick, lambda: call_command("tick")], ids=["task", "command"])
def test_what_is_queued_is_sent_though_the_tick_fails(
    world: World, sick: None, edge: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tasks.send_due, "apply_async", lambda **_: tasks.send_due()
    )  # there is no broker here
    monkeypatch.setattr(tasks.make_exports, "apply_async", lambda **_: tasks.make_exports())
    day_1 = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    with clock(day_1.due_at), pytest.raises(ExceptionGroup):
        edge()
    assert "ann@example.org" in [address for message in mail.outbox for address in message.to]


@contextmanager
def locked(table: str, *numbers: int) -> Iterator[None]:
    """Somebody else has these rows locked, on a connection of their own."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        found = other.execute(
            f"SELECT id FROM {table} WHERE id = ANY(%s) FOR UPDATE".encode(), [list(numbers)]
        )
        assert len(found.fetchall()) == len(numbers)
        yield


@pytest.mark.django_db(transaction=True)
def test_rows_that_others_hold_locked_stop_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten transaction of somebody's: a tick that waits for it would take one worker after the other."""
    monkeypatch.setattr(tick_steps, "WAITS", 100)
    held = [
        book(world.appointment(starts_at=world.at(MONDAY, hour)), hold=True, by=world.clerk, now=world.now)
        for hour in (13, 15)
    ]
    follow_ups = [
        world.performed(patient=world.another_patient(number), hour=hour).follow_up
        for number, hour in enumerate((8, 9, 10, 11), start=2)
    ]
    due = follow_ups[0].check_ins.get(offset_minutes=1440)
    past = [up.check_ins.get(offset_minutes=1440) for up in follow_ups]
    soon = due.due_at + timedelta(minutes=1)
    CheckIn.objects.filter(pk__in=[check_in.pk for check_in in past[:2]]).update(closes_at=soon)
    before = connection.cursor().execute("SHOW lock_timeout").fetchone()
    began = monotonic()
    with (
        locked("procedures_appointment", held[0].pk),
        locked("outcomes_followup", follow_ups[0].pk),
        pytest.raises(ExceptionGroup),
    ):
        services.tick(now=soon)
    assert monotonic() - began < 5
    status = dict(Appointment.objects.values_list("pk", "status"))
    assert [status[appointment.pk] for appointment in held] == ["held", "cancelled"]
    for check_in in past:
        check_in.refresh_from_db()
    assert [check_in.status for check_in in past] == ["planned", "missed", "invited", "invited"]
    assert Job.objects.get(name="tick").problem == "check_ins_missed LockNotAvailable"
    assert connection.cursor().execute("SHOW lock_timeout").fetchone() == before

    services.tick(now=soon)  # nobody holds anything any more
    assert Appointment.objects.get(pk=held[0].pk).status == "cancelled"
    assert Job.objects.get(name="tick").problem == ""


@pytest.mark.django_db(transaction=True)
def test_a_table_that_others_hold_locked_costs_a_step_some_waits_and_not_one_a_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_steps, "WAITS", 100)
    follow_ups = [
        world.performed(patient=world.another_patient(number), hour=number).follow_up
        for number in range(8, 13)
    ]
    tuesday = CheckIn.objects.filter(offset_minutes=1440)
    soon = max(check_in.due_at for check_in in tuesday) + timedelta(minutes=1)
    tuesday.update(closes_at=soon)
    with (
        locked("outcomes_followup", *(up.pk for up in follow_ups)),
        pytest.raises(ExceptionGroup) as raised,
    ):
        services.tick(now=soon)
    assert [len(step.exceptions) for step in raised.value.exceptions] == [LOCKED_ROWS]
    assert Job.objects.get(name="tick").problem == "check_ins_missed LockNotAvailable"


@pytest.mark.django_db(transaction=True)
def test_one_tick_works_at_a_time(world: World) -> None:
    day_1 = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    with advisory_lock(tick_steps.TICKING) as mine:
        assert mine
        assert services.tick(now=day_1.due_at) == {}
    day_1.refresh_from_db()
    assert day_1.status == CheckIn.Status.PLANNED
    assert services.tick(now=day_1.due_at)["check_ins_invited"] == 1


def test_a_tick_that_lasts_too_long_leaves_the_rest_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_steps, "LASTS", -1)
    with pytest.raises(ExceptionGroup):
        services.tick(now=world.now)
    assert Job.objects.get(name="tick").problem == "holds_released TimeoutError"


def test_tasks_end_before_the_broker_gives_them_to_another() -> None:
    hour = 3600  # after which Valkey hands out what nobody has acknowledged
    limits: list[tuple[int | None, int | None]] = [
        (settings.CELERY_TASK_SOFT_TIME_LIMIT, settings.CELERY_TASK_TIME_LIMIT)
    ]
    limits += [(task.soft_time_limit, task.time_limit) for task in (tasks.send_due, tasks.make_exports)]
    assert all(soft and hard and 0 < soft < hard < hour for soft, hard in limits)
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT >= tick_steps.LASTS
