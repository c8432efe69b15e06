"""The outbox: an e-mail is a row; sending it is claim, send, mark, and the row is the retry."""

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.mime.text import MIMEText
from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from time import monotonic
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.utils.module_loading import import_string

from clinic import audit
from clinic.models import OutgoingEmail, Site, User

logger = logging.getLogger(__name__)

#: After so many tries an e-mail is failed and waits for a person.
TRIES = 5
#: How long to wait after the first, second … failed try.
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120)]
#: A claim older than this belongs to a sender that died; another takes over. Much longer than one attempt can take,
#: which is a few times EMAIL_TIMEOUT.
CLAIM_LASTS = timedelta(minutes=15)
#: So many e-mails that were never tried are claimed at once. When a sender dies, as many wait for CLAIM_LASTS.
BATCH = 20
#: A run ends after so long, and the next tick's goes on: a slow mail server must not keep the workers from the ticks.
RUN_LASTS = timedelta(seconds=50)
#: A run ends after the connection was lost so many times in a row: the server has trouble, and each time-out is long.
TROUBLES = 3


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
    WITH due AS MATERIALIZED (
        SELECT id, attempts, not_before FROM clinic_outgoingemail
         WHERE status IN ('queued', 'sending')
           AND CASE status WHEN 'queued' THEN not_before <= %(now)s
                           ELSE claimed_at <= statement_timestamp() - %(lasts)s END
           AND (%(key)s::text IS NULL OR key = %(key)s)
         ORDER BY not_before, id
         LIMIT %(limit)s
           FOR UPDATE SKIP LOCKED
    ), oldest AS (SELECT id, attempts FROM due ORDER BY not_before, id LIMIT 1)
    UPDATE clinic_outgoingemail
       SET status = 'sending', claimed_at = statement_timestamp(), attempts = attempts + 1
     WHERE id IN (
        SELECT due.id FROM due CROSS JOIN oldest
         WHERE due.id = oldest.id OR (due.attempts = 0 AND oldest.attempts = 0)
     )
 RETURNING *
"""


def claim(*, now: datetime, key: str | None = None, limit: int = 1) -> list[OutgoingEmail]:
    """Take the right to send up to `limit` e-mails that are due at `now`, the oldest first; empty when none is.

    `key` given: only the one with that key.

    Due are queued ones whose time has come and those whose sender claimed them longer than CLAIM_LASTS ago. Several
    are taken together only when none was tried before. One that was is taken alone: should it be what kills its
    senders, it takes no other with it.
    """
    values = {"now": now, "lasts": CLAIM_LASTS, "key": key, "limit": limit}
    return sorted(OutgoingEmail.objects.raw(CLAIM, values), key=lambda email: (email.not_before, email.pk))


#: All of a claim's e-mails have the same `claimed_at`: whoever still finds it in the row still holds the claim.
HELD = " WHERE id = ANY(%(ids)s) AND status = 'sending' AND claimed_at = %(claimed_at)s"
MARK = "UPDATE clinic_outgoingemail SET status = %(status)s, sent_at = %(sent_at)s, problem = %(problem)s" + HELD
PUT_BACK = "UPDATE clinic_outgoingemail SET status = 'queued', not_before = %(until)s, problem = %(problem)s" + HELD
RELEASE = "UPDATE clinic_outgoingemail SET status = 'queued', attempts = attempts - 1" + HELD
RENEW = "UPDATE clinic_outgoingemail SET claimed_at = statement_timestamp()" + HELD + " RETURNING id, claimed_at"


def update_held(statement: str, emails: Sequence[OutgoingEmail], **values: object) -> list[tuple[Any, ...]]:
    """Run one of the statements above on e-mails of one claim, in one round trip; what it returns.

    Rows whose claim another sender has taken over are left alone.
    """
    if not emails:
        return []
    values |= {"ids": [email.pk for email in emails], "claimed_at": emails[0].claimed_at}
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def mark(email: OutgoingEmail, status: str, *, sent_at: datetime | None = None, problem: str = "") -> None:
    """Write down how an e-mail ended, if this sender still holds the claim."""
    update_held(MARK, [email], status=status, sent_at=sent_at, problem=problem)


def put_back(email: OutgoingEmail, problem: str, *, now: datetime) -> str:
    """Queue it again for later, or give it up after TRIES; "put_back" or "failed"."""
    if email.attempts >= TRIES:
        mark(email, "failed", problem=problem)
        return "failed"
    update_held(PUT_BACK, [email], until=now + PAUSES[email.attempts - 1], problem=problem)
    return "put_back"


def release(emails: Sequence[OutgoingEmail]) -> None:
    """Queue e-mails of one claim again as if they had never been claimed, due as before."""
    update_held(RELEASE, emails)


def renew(emails: Sequence[OutgoingEmail]) -> list[OutgoingEmail]:
    """Claim e-mails of one claim anew, so that it lasts from now; those that this sender still holds."""
    held = dict(update_held(RENEW, emails))
    for email in emails:
        email.claimed_at = held.get(email.pk)
    return [email for email in emails if email.pk in held]


class Unreachable(Exception):
    """The mail server cannot be talked to: nobody's e-mail is at fault. Its cause is the exception of the backend."""


class Line:
    """The connection to the mail server: opened when the first e-mail needs it, kept for the next ones."""

    def __init__(self, backend: str | None) -> None:
        """`backend`: dotted path of a mail backend; None means the configured one."""
        self.backend = backend
        self.connection: BaseEmailBackend | None = None

    def ready(self) -> BaseEmailBackend:
        """The open connection; Unreachable when there is none to be had."""
        if self.connection is None:
            opened = get_connection(self.backend)
            try:
                opened.open()
            except Exception as exc:
                raise Unreachable from exc
            self.connection = opened
        return self.connection

    def hang_up(self) -> None:
        """Close the connection; the next e-mail opens another."""
        if self.connection is not None:
            with suppress(Exception):  # whatever the server says to a farewell, nothing depends on it
                self.connection.close()
            self.connection = None


@dataclass(frozen=True)
class Fault:
    """What went wrong with an attempt, as a code without the server's words: they may quote an address.

    `final`: it would go wrong again. `lost`: the connection is of no more use.
    """

    code: str
    final: bool = False
    lost: bool = False

    @classmethod
    def of(cls, exc: Exception) -> Self:
        """Read off what sending raised; replies are judged by their first digit (RFC 5321, section 4.2.1).

        A sender that is refused for good is the clinic's fault, not the e-mail's, and can be mended: never final.
        """
        if isinstance(exc, SMTPRecipientsRefused) and exc.recipients:
            who, number = "recipient", next(iter(exc.recipients.values()))[0]
        elif isinstance(exc, SMTPSenderRefused):
            who, number = "sender", exc.smtp_code
        elif isinstance(exc, SMTPDataError):
            who, number = "message", exc.smtp_code
        else:
            return cls(type(exc).__name__, lost=True)
        return cls(
            f"{who}_refused_{number}", final=who != "sender" and 500 <= number <= 599, lost=number == 421
        )


def send_due(
    *, now: datetime, limit: int = 5000, key: str | None = None, backend: str | None = None
) -> dict[str, int]:
    """Send up to `limit` due e-mails over one connection; how many were sent, skipped, put back and failed.

    `key` given: no other than the one with that key. `backend`: dotted path of another mail backend than the
    configured one.

    Ends early after RUN_LASTS, when the mail server cannot be reached, and when the connection was lost TROUBLES times
    in a row. What was claimed and not tried is then queued as it was.

    Must run outside a transaction: nothing is locked while a mail server thinks. A sender that dies between the
    server's acceptance and the mark leaves one e-mail that goes out a second time, with the same Message-ID, after
    CLAIM_LASTS; there is no way to close that gap, only to keep it small (docs/decisions/0011).
    """
    tally = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
    line = Line(backend)
    claimed: list[OutgoingEmail] = []
    claimed_at = began = monotonic()
    troubles = 0
    try:
        while limit > 0 and troubles < TROUBLES and monotonic() - began < RUN_LASTS.total_seconds():
            if not claimed:
                claimed_at = monotonic()
                claimed = claim(now=now, key=key, limit=min(limit, BATCH))
            elif monotonic() - claimed_at > CLAIM_LASTS.total_seconds() / 3:
                claimed_at = monotonic()
                claimed = renew(claimed)
                continue
            if not claimed:
                break
            limit -= 1
            email = claimed.pop(0)
            try:
                outcome, lost = attempt(email, line, now=now)
            except Unreachable as exc:
                logger.warning("the mail server cannot be reached: %s", type(exc.__cause__).__name__)
                claimed.append(email)
                break
            tally[outcome] += 1
            troubles = troubles + 1 if lost else 0
    finally:
        line.hang_up()
        release(claimed)
    return tally


def attempt(email: OutgoingEmail, line: Line, *, now: datetime) -> tuple[str, bool]:
    """Render, send and mark one e-mail that this sender has claimed.

    Returns its outcome, "sent", "skipped", "put_back" or "failed", and whether the connection was lost over it. Any
    fault of one e-mail, its template's or the server's, is kept in its row and stops no other.

    Raises:
        Unreachable: the connection could not be opened. The e-mail is still claimed, nothing else was done.
    """
    if email.attempts > TRIES:
        # Its senders died, all of them: to try for ever could mean to send for ever.
        mark(email, "failed", problem="abandoned")
        return "failed", False
    server = line.ready()  # first: to connect can take long, and the template's look shall be the last thing before
    try:
        rendered = import_string(email.template)(**email.context, now=now)
    except Exception as exc:
        logger.warning("e-mail %s could not be written: %s", email.pk, type(exc).__name__)
        return put_back(email, type(exc).__name__, now=now), False
    if isinstance(rendered, Skip):
        mark(email, "skipped", problem=rendered.reason)
        return "skipped", False
    try:
        compose(email, rendered, server).send()
    except Exception as exc:
        fault = Fault.of(exc)
        if fault.lost:
            line.hang_up()
        logger.warning("e-mail %s was not sent: %s", email.pk, fault.code)
        if not fault.final:
            return put_back(email, fault.code, now=now), fault.lost
        mark(email, "failed", problem=fault.code)
        return "failed", fault.lost
    mark(email, "sent", sent_at=now)
    return "sent", False


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
