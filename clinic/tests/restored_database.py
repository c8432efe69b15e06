"""What tests of a restored database share: messages, the copy outside, and what was noticed."""

from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction

from clinic import outbox, restores, sms
from clinic.models import DatabaseIdentity, OutgoingEmail
from clinic.outbox import Message
from clinic.restores import counter, outside_copy
from procedures.tests.factories import World

HERE = "clinic.tests.restored_database."
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def letter(*, now: datetime) -> Message:
    return Message("Hello", "A letter.")


def text(*, now: datetime) -> sms.TextMessage:
    return sms.TextMessage("+1 212 555 0101", "Hello")


def queued(world: World, key: str, *, now: datetime, due_at: datetime | None = None) -> OutgoingEmail:
    email = outbox.queue(
        key,
        template=HERE + "letter",
        context={},
        to="ann@example.org",
        site=world.site,
        now=now,
        due_at=due_at,
    )
    assert email is not None
    return email


def identity() -> DatabaseIdentity:
    with transaction.atomic():
        return counter.lock_identity()


def file() -> Path:
    return outside_copy.folder() / outside_copy.NAME


def ahead(more: int = 2, *, at: datetime | None = None) -> None:
    """As if this database had been set back: outside stands a higher number."""
    copy = outside_copy.read_copy()
    assert copy is not None
    outside_copy.write(outside_copy.OutsideCopy(copy.identity, copy.counter + more, at or copy.at))


def why() -> str:
    pause = restores.why_paused()
    return pause.reason if pause else ""


def sends(world: World) -> World:
    """The clinic has sent one e-mail."""
    queued(world, "first", now=world.now)
    assert outbox.send_due(now=world.now)["sent"] == 1
    return world


def set_back(world: World) -> World:
    """It is set back from two hours later: "lost" fell due in between, "new" since then; "booked" was just queued."""
    before = sends(world).now
    world.now = before + 2 * HOUR
    queued(world, "lost", now=world.now, due_at=before + HOUR)
    queued(world, "new", now=world.now, due_at=world.now - 30 * MINUTE)
    queued(world, "booked", now=world.now)
    ahead(at=before + HOUR)
    assert outbox.send_due(now=world.now)["sent"] == 0
    return world
