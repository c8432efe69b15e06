"""A clinic that has sent, and one that was set back in time."""

from datetime import timedelta

import pytest

from clinic import mail
from clinic.tests.restore import ahead, queued
from conftest import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def sending(world: World) -> World:
    """A clinic that has sent one e-mail."""
    queued(world, "first", now=world.now)
    assert mail.send_due(now=world.now)["sent"] == 1
    return world


@pytest.fixture
def restored(sending: World) -> World:
    """Set back from two hours later: "lost" fell due in between, "new" since then; "booked" was queued just now."""
    now = sending.now + 2 * HOUR
    queued(sending, "lost", now=now, due_at=sending.now + HOUR)
    queued(sending, "new", now=now, due_at=now - 30 * MINUTE)
    queued(sending, "booked", now=now)
    ahead(at=sending.now + HOUR)
    assert mail.send_due(now=now)["sent"] == 0
    sending.now = now
    return sending
