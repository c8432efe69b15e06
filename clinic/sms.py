"""Text messages: a row each, sent once. A clinic plugs in its own sender; the one that comes with the project prints.

What the service did not take is tried again, as often and after the same pauses as an e-mail, and looked at once more
each time. Where it may have taken it, because the sender died or says SmsOutcomeUnknown, it is not: the ladder goes on
to a telephone call anyway, and two texts would be worse than none.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.module_loading import import_string

from clinic.models import OutgoingText, Site
from clinic.outbox import PAUSES, TRIES, Skip, Wait
from clinic.restores import Run

logger = logging.getLogger(__name__)

#: So many texts leave between two counts (`clinic.restores`).
BATCH = 20
#: A claim older than this belongs to a sender that died.
CLAIM_LASTS = timedelta(minutes=15)


class SmsOutcomeUnknown(Exception):
    """The service may have taken the text, or may not: no answer came in time."""


class SmsBackend(Protocol):
    """What SMS_BACKEND names: a class that takes no arguments and can send."""

    def send(self, to: str, text: str) -> str:
        """Send one text to a telephone number as it was typed; the service's own name for it.

        Raises SmsOutcomeUnknown when nobody knows whether it went, and anything else when it did not: then it is tried
        again.
        """


class ConsoleBackend:
    """For trying out: shows the text among the e-mails where DEBUG is on, and elsewhere says only that there was one.

    It is printed nowhere: what is printed stands in a log, and the text holds a patient's link.
    """

    def send(self, to: str, text: str) -> str:
        if settings.DEBUG:
            EmailMessage(f"Text message to {to}", text, to=["texts@localhost"]).send()
        logger.info("a text message went to the console")
        return uuid4().hex


@dataclass(frozen=True)
class TextMessage:
    """What a text message says, and the number that it goes to; rendered when it is sent, never stored."""

    to: str
    text: str


def backend() -> SmsBackend | None:
    """The sender that SMS_BACKEND names; None when no texts are sent."""
    return import_string(settings.SMS_BACKEND)() if settings.SMS_BACKEND else None


def queue(
    key: str,
    *,
    template: str,
    context: dict[str, Any],
    site: Site,
    now: datetime,
    due_at: datetime | None = None,
) -> bool:
    """Put a text into its outbox, in the caller's transaction; False when `key` is there already.

    `due_at`: when the reason for it fell due, where that was not just now.

    `template` is the dotted path of a function that takes `context` as keyword arguments plus `now` and returns a Text,
    a Skip or a Wait. It is called when the text is sent.
    """
    values = {"template": template, "context": context, "site": site, "created_at": now}
    _, new = OutgoingText.objects.get_or_create(key=key, defaults=values | {"due_at": due_at or now})
    return new


def send_due(*, now: datetime, limit: int = 500) -> dict[str, int]:
    """Send the texts that wait, each once: claim, commit, send, mark; how many sent, skipped, put back and failed.

    Must run outside a transaction. Without SMS_BACKEND they wait, and so while sending is paused after a restore.
    """
    tally = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
    sender = backend()
    if sender is None:
        return tally
    run = Run(now=now)
    if not run.may_begin():
        return tally
    tally["failed"] = OutgoingText.objects.filter(
        status=OutgoingText.Status.SENDING, claimed_at__lte=now - CLAIM_LASTS
    ).update(status=OutgoingText.Status.FAILED, problem="abandoned")
    try:
        for number in range(limit):
            text = claim(now=now, doubtful_until=run.doubtful_until)
            if text is None:
                break
            if number % BATCH == 0 and not run.may_send_batch():
                release(text)
                break
            tally[attempt(text, sender, now=now)] += 1
    finally:
        run.end()
    return tally


def release(text: OutgoingText) -> None:
    """Queue it again as if it had never been claimed."""
    OutgoingText.objects.filter(
        pk=text.pk, status=OutgoingText.Status.SENDING, claimed_at=text.claimed_at
    ).update(status=OutgoingText.Status.QUEUED, attempts=F("attempts") - 1)


@transaction.atomic
def claim(*, now: datetime, doubtful_until: datetime | None = None) -> OutgoingText | None:
    """Take the oldest that waits; None when none does. `doubtful_until`: none that fell due until then."""
    doubtful = Q(fell_due__lte=doubtful_until) if doubtful_until else Q(pk__in=())
    text = (
        OutgoingText.objects.select_for_update(skip_locked=True)
        .alias(fell_due=Coalesce("due_at", "not_before", "created_at"))
        .filter(Q(not_before=None) | Q(not_before__lte=now), ~doubtful, status=OutgoingText.Status.QUEUED)
        .order_by("pk")
        .first()
    )
    if text is not None:
        text.status, text.claimed_at = OutgoingText.Status.SENDING, now
        text.attempts += 1
        text.save(update_fields=["status", "claimed_at", "attempts"])
    return text


def attempt(text: OutgoingText, sender: SmsBackend, *, now: datetime) -> str:
    """Send and mark one text that is claimed: "sent", "skipped", "put_back", "failed". A fault is kept as its kind."""
    Status = OutgoingText.Status
    values: dict[str, Any]
    try:
        rendered: TextMessage | Skip | Wait = import_string(text.template)(**text.context, now=now)
        if isinstance(rendered, Skip):
            values = {"status": Status.SKIPPED, "problem": rendered.reason}
        elif isinstance(rendered, Wait):
            values = {
                "status": Status.QUEUED,
                "not_before": rendered.until,
                "problem": rendered.reason,
                "attempts": F("attempts") - 1,
            }
        else:
            name = sender.send(rendered.to, rendered.text)
            values = {"status": Status.SENT, "sent_at": now, "provider_id": name[:200], "problem": ""}
    except Exception as exc:
        logger.warning("text message %s was not sent: %s", text.pk, type(exc).__name__)
        values = {"status": Status.FAILED, "problem": type(exc).__name__[:100]}
        if text.attempts < TRIES and not isinstance(exc, SmsOutcomeUnknown):
            values |= {"status": Status.QUEUED, "not_before": now + PAUSES[text.attempts - 1]}
    held = OutgoingText.objects.filter(pk=text.pk, status=Status.SENDING, claimed_at=text.claimed_at)
    held.update(**values)
    return "put_back" if values["status"] == Status.QUEUED else str(values["status"].value)
