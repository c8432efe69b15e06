"""Sending what is due: claim, look, hand to the mail server, mark; one e-mail's fault stops no other."""

import logging
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPAuthenticationError, SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from time import monotonic
from typing import Self

from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import prefetch_related_objects
from django.utils.module_loading import import_string

from clinic.models import OutgoingEmail
from clinic.outbox import delivery_reports, email_status, sender_health
from clinic.outbox.delivery_reports import Kind
from clinic.outbox.messages import InBulk, Rendered, Skip, Wait, compose
from clinic.restores import Run

logger = logging.getLogger(__name__)

#: So many e-mails that were never tried are claimed at once. When a sender dies, as many wait for
#: email_status.CLAIM_LASTS.
BATCH = 20
#: What was rendered so long ago is rendered again: whether it still should be sent is looked at right before it is.
LOOK_LASTS = timedelta(seconds=1)
#: A run ends after so long, and the next tick's goes on: a slow mail server must not keep the workers from the ticks.
RUN_LASTS = timedelta(seconds=50)
#: A run ends after the connection was lost so many times in a row: the server has trouble, and each time-out is long.
TROUBLES = 3


def send_due(
    *, now: datetime, limit: int = 5000, key: str | None = None, backend: str | None = None
) -> dict[str, int]:
    """Send up to `limit` due e-mails over one connection; how many were sent, skipped, put back and failed.

    `key` given: no other than the one with that key. `backend`: dotted path of another mail backend than the
    configured one.

    Sends nothing while sending is paused after a restore, and counts each batch before it leaves (`clinic.restores`);
    a backend that says `delivers = False` is free of both.

    Ends early after RUN_LASTS, when the mail server cannot be reached, and when the connection was lost TROUBLES times
    in a row. What was claimed and not tried is then queued as it was.

    Must run outside a transaction: nothing is locked while a mail server thinks. A sender that dies between the
    server's acceptance and the mark leaves one e-mail that goes out a second time, with the same Message-ID, after
    email_status.CLAIM_LASTS; there is no way to close that gap, only to keep it small (docs/decisions/0012).

    A run for all that is due, over the configured backend, records whether the mail server accepts this clinic's mail
    (clinic.outbox.sender_health).
    """
    tally = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
    run = Run(now=now, counts=delivers(backend))
    if not run.may_begin():
        return tally
    line, batch, standing = MailConnection(backend), Batch(run), sender_health.SenderHealth()
    began, troubles = monotonic(), 0
    try:
        while limit > 0 and troubles < TROUBLES and monotonic() - began < RUN_LASTS.total_seconds():
            email = batch.take(now=now, key=key, limit=limit)
            if email is None:
                break
            server = line.open()
            if server is None:
                batch.emails.append(email)
                standing.shut(line.problem)
                break
            outcome, fault = attempt(email, batch.look(email, now=now), server, now=now)
            lost = fault is not None and fault.lost
            if lost:
                line.hang_up()
            standing.tried(outcome, fault)
            tally[outcome] += 1
            limit -= 1
            troubles = troubles + 1 if lost else 0
    finally:
        line.hang_up()
        email_status.release(batch.emails)
        run.end()
        if backend is None and key is None:
            standing.note(tally, now=now)
    return tally


def delivers(backend: str | None) -> bool:
    """Whether what the mail backend takes may reach anybody. `backend`: as in `send_due`."""
    return getattr(import_string(backend or settings.EMAIL_BACKEND), "delivers", True) is not False


class MailConnection:
    """The connection to the mail server: opened when the first e-mail needs it, kept for the next ones."""

    def __init__(self, backend: str | None) -> None:
        """`backend`: dotted path of a mail backend; None means the configured one."""
        self.backend = backend
        self.server: BaseEmailBackend | None = None
        self.problem = ""  #: the code of why there is none to be had

    def open(self) -> BaseEmailBackend | None:
        """The open connection; None when there is none to be had, which is no e-mail's fault but `problem`."""
        if self.server is None:
            server = get_connection(self.backend)
            try:
                server.open()
            except Exception as exc:
                with suppress(Exception):  # a log-in that is refused leaves its connection open
                    server.close()
                refused = isinstance(exc, SMTPAuthenticationError)
                self.problem = sender_health.LOGIN_REFUSED if refused else sender_health.UNREACHABLE
                said = "refuses the log-in" if refused else "cannot be reached"
                logger.warning("the mail server %s: %s", said, type(exc).__name__)
                return None
            self.server = server
        return self.server

    def hang_up(self) -> None:
        """Close the connection; the next e-mail opens another."""
        if self.server is not None:
            with suppress(Exception):  # whatever the server says to a farewell, nothing depends on it
                self.server.close()
            self.server = None


class Batch:
    """The e-mails that this sender holds and has not tried, the oldest first, and what they say where it is known."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.emails: list[OutgoingEmail] = []
        self.claimed = self.looked = 0.0  # on the monotonic clock
        self.rendered: dict[int, Rendered] | None = None  # by primary key

    def take(self, *, now: datetime, key: str | None, limit: int) -> OutgoingEmail | None:
        """The next e-mail to try; None when none is due or may leave. Its claim has most of its time still to go."""
        self.keep()
        if not self.emails:
            self.claimed, self.rendered = monotonic(), None
            doubtful_until = self.run.doubtful_until
            self.emails = email_status.claim(
                now=now, key=key, limit=min(limit, BATCH), doubtful_until=doubtful_until
            )
            if self.emails and not self.run.may_send_batch():
                return None
            prefetch_related_objects(self.emails, "site__logo")
            self.keep()  # counting, too, takes its time where the disk does
        return self.emails.pop(0) if self.emails else None

    def keep(self) -> None:
        """Renew the claim before it grows old; what somebody else has taken over meanwhile is let go."""
        if self.emails and monotonic() - self.claimed > email_status.CLAIM_LASTS.total_seconds() / 3:
            self.claimed, self.emails = monotonic(), email_status.renew(self.emails)

    def look(self, email: OutgoingEmail, *, now: datetime) -> Rendered | None:
        """What `email`, just taken, says; None when it has to be rendered alone."""
        if self.rendered is None:
            self.rendered = render_in_bulk([email, *self.emails], now=now) if self.emails else {}
            self.looked = monotonic()
        fresh = monotonic() - self.looked < LOOK_LASTS.total_seconds()
        return self.rendered.get(email.pk) if fresh else None


def render_in_bulk(emails: list[OutgoingEmail], *, now: datetime) -> dict[int, Rendered]:
    """What those e-mails say whose templates can be rendered in bulk, by their primary keys.

    A fault leaves out all e-mails of its template: rendered alone, only its cause will fail.
    """
    ready: dict[int, Rendered] = {}
    by_template: dict[str, list[OutgoingEmail]] = defaultdict(list)
    for email in emails:
        by_template[email.template].append(email)
    for template, alike in by_template.items():
        with suppress(Exception):
            render: InBulk | None = getattr(import_string(template), "in_bulk", None)
            if render:
                rendered = render([email.context for email in alike], now)
                ready |= {email.pk: message for email, message in zip(alike, rendered, strict=True)}
    return ready


def attempt(
    email: OutgoingEmail, rendered: Rendered | None, server: BaseEmailBackend, *, now: datetime
) -> "tuple[str, DeliveryFault | None]":
    """Send and mark one e-mail that this sender has claimed. `rendered`: what it says, if that is known.

    Returns its outcome, "sent", "skipped", "put_back" or "failed", and what went wrong between here and the mail
    server, if anything did. Any fault of the e-mail, its template's or the server's, ends in its row.
    """
    if email.attempts > email_status.TRIES:
        # Its senders died, all of them: to try for ever could mean to send for ever.
        return email_status.give_up(email, "abandoned"), None
    try:
        rendered = rendered or import_string(email.template)(**email.context, now=now)
    except Exception as exc:
        logger.warning("e-mail %s could not be written: %s", email.pk, type(exc).__name__)
        return email_status.put_back(email, type(exc).__name__, now=now), None
    if isinstance(rendered, Skip):
        email_status.mark(email, "skipped", problem=rendered.reason)
        return "skipped", None
    if isinstance(rendered, Wait):
        return email_status.wait(email, rendered.until, rendered.reason), None
    if rendered.to and rendered.to != email.to:
        email_status.readdress(email, rendered.to)
    mime = compose(email, rendered, server)
    try:
        mime.send()
    except Exception as exc:
        fault = DeliveryFault.of(exc)
        logger.warning("e-mail %s was not sent: %s", email.pk, fault.code)
        if fault.final:
            outcome = email_status.give_up(email, fault.code)
            if fault.report:
                report(email, fault, now=now)
            return outcome, fault
        return email_status.put_back(email, fault.code, now=now), fault
    # None of SMTP; a mail service has its own name for the e-mail, and reports bounces under it.
    status = getattr(mime, "anymail_status", None)
    email_status.mark(email, "sent", sent_at=now, provider_id=str(getattr(status, "message_id", None) or ""))
    return "sent", None


def report(email: OutgoingEmail, fault: "DeliveryFault", *, now: datetime) -> None:
    """Keep what the refusal says of the address. A fault over it must not stop the e-mails that come after."""
    try:
        delivery_reports.note(email, fault.report, reason=fault.code.rpartition("_")[2], now=now)
    except Exception as exc:
        logger.error("what was said of e-mail %s was not kept", email.pk, exc_info=exc)


@dataclass(frozen=True)
class DeliveryFault:
    """What went wrong with an attempt, as a code without the server's words: they may quote an address.

    `final`: it would go wrong again. `lost`: the connection is of no more use. `report`: what it says of the address,
    as a DeliveryReport.Kind; "" for nothing. `doubt`: how much it says that this clinic is refused as a sender, from 0
    to sender_health.ENOUGH.
    """

    code: str
    final: bool = False
    lost: bool = False
    report: str = ""
    doubt: int = 0

    @classmethod
    def of(cls, exc: Exception) -> Self:
        """What the exception of a mail backend means, by the first digit of the reply (RFC 5321, section 4.2.1).

        That the server refuses this clinic as a sender says nothing of the e-mail, and can be mended: never final. A
        mail service's HTTP status says too little to be final.
        """
        if isinstance(exc, AnymailRecipientsRefused):
            # No reply of its server: the service knows the address as one that bounced or complained, or as none.
            return cls("recipient_refused_service", final=True, report=Kind.BOUNCED)
        if isinstance(exc, AnymailAPIError) and (status := http_status(exc)):
            return cls(f"service_refused_{status}", doubt=sender_health.doubt_of_service(status))
        report = ""
        said: bytes | str
        if isinstance(exc, SMTPRecipientsRefused) and exc.recipients:
            who, (reply, said) = "recipient", next(iter(exc.recipients.values()))
            report = Kind.BOUNCED if delivery_reports.is_bounce(reply, said) else ""
        elif isinstance(exc, SMTPSenderRefused):
            who, reply, said = "sender", exc.smtp_code, exc.smtp_error
        elif isinstance(exc, SMTPDataError):
            who, reply, said = "message", exc.smtp_code, exc.smtp_error
        else:
            return cls(type(exc).__name__, lost=True)
        final = who != "sender" and reply // 100 == 5
        return cls(
            f"{who}_refused_{reply}",
            final=final,
            lost=reply == 421,
            report=report if final else "",
            doubt=sender_health.doubt_of_reply(who, reply, said),
        )


def http_status(exc: AnymailAPIError) -> int:
    """What a mail service answered; 0 when it did not. Amazon's own library says it in another place."""
    said = exc.response.get("ResponseMetadata", {}) if isinstance(exc.response, dict) else {}
    return int(exc.status_code or said.get("HTTPStatusCode") or 0)
