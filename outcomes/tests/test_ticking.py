"""The tick: one sick step keeps no other from its turn, and nothing from being sent."""

import re
from collections.abc import Callable
from typing import NoReturn

import pytest
from django.conf import settings
from django.core import mail as outbox
from django.core.management import call_command

from clinic.tests.desk import clock
from conftest import World
from outcomes import services, tasks
from outcomes.models import CheckIn
from outcomes.services import ticking


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing fails, every time."""

    def fail(**_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(ticking, "close_past", fail)


def test_who_is_due_is_asked_though_another_step_fails(world: World, sick: None) -> None:
    day_1 = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    with pytest.raises(ExceptionGroup) as raised:
        services.tick(now=day_1.due_at)
    assert [type(fault) for fault in raised.value.exceptions] == [ZeroDivisionError]
    day_1.refresh_from_db()
    assert day_1.status == CheckIn.Status.INVITED


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
    assert "ann@example.org" in [address for message in outbox.outbox for address in message.to]
