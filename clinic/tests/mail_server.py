"""E-mails of the tests' own, and a mail server that takes them or fails as it is told."""

import smtplib
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from clinic import outbox
from clinic.models import OutgoingEmail
from procedures.tests.factories import World

TEMPLATES = "clinic.tests.mail_server."


def letter(*, now: Any, word: str = "Hello") -> outbox.Message:
    return outbox.Message(subject="A letter", text=word)


def broken(**_: Any) -> outbox.Message:
    raise smtplib.SMTPServerDisconnected("the server said ann@example.org is away")


def no_longer(**_: Any) -> outbox.Skip:
    return outbox.Skip("answered")


def letters(contexts: list[dict[str, Any]], now: Any) -> list[outbox.Message]:
    """All at once, and all of them fail if one does."""
    if any("poison" in context for context in contexts):
        raise KeyError("poison")
    return [outbox.Message(subject="A letter", text="Written with others") for _ in contexts]


@outbox.in_bulk(letters)
def letter_in_bulk(*, now: Any, poison: bool = False) -> outbox.Message:
    if poison:
        raise KeyError("poison")
    return outbox.Message(subject="A letter", text="Written alone")


class Server(BaseEmailBackend):
    """A mail server that takes e-mails, or raises what `meets` says when it gets one or is called."""

    meets: dict[str, list[Exception]]
    calls: list[str]

    def meet(self, event: str) -> None:
        self.calls.append(event)
        if self.meets.get(event):
            raise self.meets[event].pop(0)

    def open(self) -> bool:
        self.meet("open")
        return True

    def send_messages(self, messages: Any) -> int:
        for message in messages:
            assert isinstance(message, EmailMessage)
            self.meet(f"send {message.to[0]}")
        return len(messages)

    def close(self) -> None:
        self.meet("close")


SERVER = TEMPLATES + "Server"


def queue_letter(
    world: World,
    key: str = "one",
    template: str = "letter",
    *,
    to: str = "ann@example.org",
    **context: object,
) -> OutgoingEmail | None:
    return outbox.queue(
        key, template=TEMPLATES + template, context=context, to=to, site=world.site, now=world.now
    )
