"""Text messages: a row each, tried once. A clinic plugs in its own sender; the one that comes with the project prints.

A text is not tried again: the ladder goes on to a telephone call anyway, and two texts would be worse than none. So a
sender that dies leaves a row that fails, never one that is sent twice.
"""

import logging
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from clinic.mail import Skip
from clinic.models import OutgoingText, Site

logger = logging.getLogger(__name__)

#: A claim older than this belongs to a sender that died.
CLAIM_LASTS = timedelta(minutes=15)


class Backend(Protocol):
    """What SMS_BACKEND names: a class that takes no arguments and can send."""

    def send(self, to: str, text: str) -> str:
        """Send one text to a telephone number as it was typed; the service's own name for it. Raises when it cannot."""


class Console:
    """For trying out: prints where DEBUG is on, and elsewhere says only that there was a text."""

    def send(self, to: str, text: str) -> str:
        if settings.DEBUG:
            sys.stdout.write(f"Text message to {to}: {text}\n")
        logger.info("a text message went to the console")
        return uuid4().hex


@dataclass(frozen=True)
class Text:
    """What a text message says, and the number that it goes to; rendered when it is sent, never stored."""

    to: str
    text: str


def backend() -> Backend | None:
    """The sender that SMS_BACKEND names; None when no texts are sent."""
    return import_string(settings.SMS_BACKEND)() if settings.SMS_BACKEND else None


def queue(key: str, *, template: str, context: dict[str, Any], site: Site, now: datetime) -> bool:
    """Put a text into its outbox, in the caller's transaction; False when `key` is there already.

    `template` is the dotted path of a function that takes `context` as keyword arguments plus `now` and returns a Text
    or a Skip. It is called when the text is sent.
    """
    _, new = OutgoingText.objects.get_or_create(
        key=key, defaults={"template": template, "context": context, "site": site, "created_at": now}
    )
    return new


def send_due(*, now: datetime, limit: int = 500) -> dict[str, int]:
    """Send the texts that wait, each once: claim, commit, send, mark; how many were sent, skipped and failed.

    Must run outside a transaction. Without SMS_BACKEND they wait.
    """
    tally = {"sent": 0, "skipped": 0, "failed": 0}
    sender = backend()
    if sender is None:
        return tally
    tally["failed"] = OutgoingText.objects.filter(
        status=OutgoingText.Status.SENDING, claimed_at__lte=now - CLAIM_LASTS
    ).update(status=OutgoingText.Status.FAILED, problem="abandoned")
    for _ in range(limit):
        text = claim(now=now)
        if text is None:
            break
        tally[attempt(text, sender, now=now)] += 1
    return tally


@transaction.atomic
def claim(*, now: datetime) -> OutgoingText | None:
    """Take the oldest that waits; None when none does."""
    text = (
        OutgoingText.objects.select_for_update(skip_locked=True)
        .filter(status=OutgoingText.Status.QUEUED)
        .order_by("pk")
        .first()
    )
    if text is not None:
        text.status, text.claimed_at = OutgoingText.Status.SENDING, now
        text.save(update_fields=["status", "claimed_at"])
    return text


def attempt(text: OutgoingText, sender: Backend, *, now: datetime) -> str:
    """Send and mark one text that is claimed; "sent", "skipped" or "failed". A fault is kept as its kind alone."""
    values: dict[str, Any]
    try:
        rendered: Text | Skip = import_string(text.template)(**text.context, now=now)
        if isinstance(rendered, Skip):
            values = {"status": OutgoingText.Status.SKIPPED, "problem": rendered.reason}
        else:
            name = sender.send(rendered.to, rendered.text)
            values = {"status": OutgoingText.Status.SENT, "sent_at": now, "provider_id": name[:200]}
    except Exception as exc:
        logger.warning("text message %s was not sent: %s", text.pk, type(exc).__name__)
        values = {"status": OutgoingText.Status.FAILED, "problem": type(exc).__name__[:100]}
    held = OutgoingText.objects.filter(
        pk=text.pk, status=OutgoingText.Status.SENDING, claimed_at=text.claimed_at
    )
    held.update(**values)
    return str(values["status"].value)
