"""The outbox: an e-mail is a row; sending it is claim, send, mark, and the row is the retry."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.mime.text import MIMEText
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils.module_loading import import_string

from clinic import audit
from clinic.models import OutgoingEmail, Site, User

logger = logging.getLogger(__name__)

#: After so many tries an e-mail is failed and waits for a person.
TRIES = 5
#: How long to wait after the first, second … failed try.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120)]
#: A claim older than this belongs to a sender that died; another takes over. Longer than any SMTP time-out.
CLAIM_LASTS = timedelta(minutes=15)


@dataclass(frozen=True)
class Attachment:
    """A text file that goes with an e-mail, in UTF-8. `parameters` of its type: {"method": "REQUEST"}."""

    name: str
    text: str
    subtype: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """What an e-mail says: rendered when it is sent, never stored."""

    subject: str
    text: str
    html: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Skip:
    """The reason, as a code, why an e-mail that was queued must not go out any more."""

    reason: str


def queue(
    key: str,
    *,
    template: str,
    context: dict[str, Any],
    to: str,
    site: Site,
    now: datetime,
    not_before: datetime | None = None,
) -> OutgoingEmail | None:
    """Put an e-mail into the outbox, in the caller's transaction; None when `key` is there already.

    `template` is the dotted path of a function that takes `context` as keyword arguments plus `now` and returns a
    Message or a Skip. It is called when the e-mail is sent: the last moment to look whether it still should be.
    """
    email = OutgoingEmail(
        key=key,
        template=template,
        context=context,
        to=to,
        site=site,
        created_at=now,
        not_before=not_before or now,
    )
    OutgoingEmail.objects.bulk_create([email], ignore_conflicts=True)
    return OutgoingEmail.objects.filter(key=key, message_id=email.message_id).first()


#: One statement, so that a claim is one round trip and two senders never take the same row. Whether a claim is
#: abandoned is a question about processes, not about the clinic's time: the database's own clock answers it.
CLAIM = """
    UPDATE clinic_outgoingemail
       SET status = 'sending', claimed_at = statement_timestamp(), attempts = attempts + 1
     WHERE id = (
        SELECT id FROM clinic_outgoingemail
         WHERE status IN ('queued', 'sending')
           AND CASE status WHEN 'queued' THEN not_before <= %(now)s
                           ELSE claimed_at <= statement_timestamp() - %(lasts)s END
           AND (%(key)s::text IS NULL OR key = %(key)s)
         ORDER BY not_before, id
         LIMIT 1
           FOR UPDATE SKIP LOCKED
     )
 RETURNING *
"""


def claim(*, now: datetime, key: str | None = None) -> OutgoingEmail | None:
    """Take the right to send one e-mail that is due at `now`, the oldest first; None when none is.

    `key` given: only the one with that key.

    Due are queued ones whose time has come and those whose sender claimed them longer than CLAIM_LASTS ago.
    """
    values = {"now": now, "lasts": CLAIM_LASTS, "key": key}
    return next(iter(OutgoingEmail.objects.raw(CLAIM, values)), None)


def send_due(
    *, now: datetime, limit: int = 500, key: str | None = None, backend: str | None = None
) -> dict[str, int]:
    """Send up to `limit` due e-mails over one connection; how many were sent, skipped, put back and failed.

    `key` given: no other than the one with that key. `backend`: dotted path of another mail backend than the
    configured one.

    Must run outside a transaction: nothing is locked while a mail server thinks. A sender that dies between the
    server's acceptance and the mark leaves one e-mail that goes out a second time, with the same Message-ID, after
    CLAIM_LASTS; there is no way to close that gap, only to keep it small.
    """
    tally = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
    connection: BaseEmailBackend | None = None
    try:
        for _ in range(limit):
            email = claim(now=now, key=key)
            if email is None:
                break
            if email.attempts > TRIES:
                # Its senders died, all of them: to try for ever could mean to send for ever.
                mark(email, "failed", problem="abandoned")
                tally["failed"] += 1
                continue
            try:
                rendered = import_string(email.template)(**email.context, now=now)
                if isinstance(rendered, Skip):
                    mark(email, "skipped", problem=rendered.reason)
                    tally["skipped"] += 1
                    continue
                if connection is None:
                    connection = get_connection(backend)
                    connection.open()
                compose(email, rendered, connection).send()
            except Exception as exc:
                # Any fault of one e-mail, its template's or the server's, must not stop the others.
                logger.warning("e-mail %s was not sent: %s", email.pk, type(exc).__name__)
                tally[put_back(email, exc, now=now)] += 1
                connection = None
            else:
                mark(email, "sent", sent_at=now)
                tally["sent"] += 1
    finally:
        if connection is not None:
            connection.close()
    return tally


def compose(email: OutgoingEmail, message: Message, connection: BaseEmailBackend) -> EmailMultiAlternatives:
    """The MIME message: text, HTML beside it, what goes with it, and a Message-ID that every attempt shares."""
    sender = settings.DEFAULT_FROM_EMAIL
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    mime = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=sender,
        to=[email.to],
        connection=connection,
        headers={"Message-ID": f"<{email.message_id}@{domain}>", "Auto-Submitted": "auto-generated"}
        | message.headers,
    )
    if message.html:
        mime.attach_alternative(message.html, "text/html")
    for attachment in message.attachments:
        part = MIMEText(attachment.text, attachment.subtype, "utf-8")
        for name, value in attachment.parameters.items():
            part.set_param(name, value)
        part.add_header("Content-Disposition", "attachment", filename=attachment.name)
        mime.attach(part)
    return mime


def mark(email: OutgoingEmail, status: str, *, sent_at: datetime | None = None, problem: str = "") -> None:
    """Write down how an attempt ended, if this sender still holds the claim."""
    OutgoingEmail.objects.filter(pk=email.pk, status="sending", claimed_at=email.claimed_at).update(
        status=status, sent_at=sent_at, problem=problem
    )


def put_back(email: OutgoingEmail, exc: Exception, *, now: datetime) -> str:
    """Queue it again for later, or give it up after TRIES; "put_back" or "failed". Keeps the fault's type, no more."""
    if email.attempts >= TRIES:
        mark(email, "failed", problem=type(exc).__name__)
        return "failed"
    OutgoingEmail.objects.filter(pk=email.pk, status="sending", claimed_at=email.claimed_at).update(
        status="queued", not_before=now + PAUSES[email.attempts - 1], problem=type(exc).__name__
    )
    return "put_back"


@transaction.atomic
def retry(email_ids: Collection[int], *, by: User, now: datetime) -> int:
    """Queue failed e-mails again, due at once and with all their tries before them; how many.

    Those among `email_ids` that have not failed are left as they are.
    """
    failed = list(
        OutgoingEmail.objects.select_for_update(of=("self",))
        .select_related("site")
        .filter(pk__in=email_ids, status=OutgoingEmail.Status.FAILED)
        .order_by("pk")
    )
    OutgoingEmail.objects.filter(pk__in=[email.pk for email in failed]).update(
        status=OutgoingEmail.Status.QUEUED, attempts=0, not_before=now, problem=""
    )
    for email in failed:
        audit.record("email.queued_again", email, by=by, at=now, site=email.site)
    return len(failed)
