"""What tests of a restored database share: messages, the copy outside, and what was noticed."""

from datetime import datetime
from pathlib import Path

from django.db import transaction

from clinic import mail, restores, sms
from clinic.mail import Message
from clinic.models import DatabaseIdentity, OutgoingEmail
from clinic.restores import counter, outside
from conftest import World

HERE = "clinic.tests.restore."


def letter(*, now: datetime) -> Message:
    return Message("Hello", "A letter.")


def text(*, now: datetime) -> sms.Text:
    return sms.Text("+1 212 555 0101", "Hello")


def queued(world: World, key: str, *, now: datetime, due_at: datetime | None = None) -> OutgoingEmail:
    email = mail.queue(
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
        return counter.locked()


def file() -> Path:
    return outside.folder() / outside.NAME


def ahead(more: int = 2, *, at: datetime | None = None) -> None:
    """As if this database had been set back: outside stands a higher number."""
    copy = outside.read()
    assert copy is not None
    outside.write(outside.Copy(copy.identity, copy.counter + more, at or copy.at))


def why() -> str:
    pause = restores.why_paused()
    return pause.reason if pause else ""
