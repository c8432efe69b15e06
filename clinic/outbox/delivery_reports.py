"""What becomes of an e-mail after a server took it: bounces, complaints, deliveries, as the server or service says.

Whoever says it, it ends in `note`, which keeps the first report of a kind and tells the apps above what matters.
"""

import logging
import re
from datetime import datetime

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from clinic.models import DeliveryReport, OutgoingEmail
from clinic.outbox.mail_services import CORRECTIONS
from clinic.signals import address_bounced, address_stopped

logger = logging.getLogger(__name__)
Kind = DeliveryReport.Kind

#: Reasons that are about the address, and not about a policy, the content, or the connection.
ADDRESS = {RejectReason.BOUNCED, RejectReason.INVALID}
SIMPLE = {
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.DEFERRED: Kind.DELAYED,
    EventType.COMPLAINED: Kind.COMPLAINED,
    EventType.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
}
#: Reasons for which a service refuses to send at all, because of what the reader once said.
READER_REASONS = {RejectReason.SPAM: Kind.COMPLAINED, RejectReason.UNSUBSCRIBED: Kind.UNSUBSCRIBED}
#: Enhanced status codes (RFC 3463, section 3) of an address that does not exist: bad mailbox, bad domain, bad syntax,
#: moved, no mail host (RFC 7505), disabled. Others with 5.1 speak of the sender's address.
NO_SUCH_ADDRESS = re.compile(rb"(?<![\d.])5\.(?:1\.(?:1|2|3|6|10)|2\.1)(?!\.?\d)")
#: Codes of a full mailbox, of the server's own state, of the content and of a policy, whatever a service calls them.
#: Others are left to the service: some servers say 5.4.1 for an address that they do not know.
FILTERED = re.compile(r"(?<![\d.])5\.(?:2\.[2-4]|[367]\.\d{1,3})(?!\.?\d)")
ENHANCED = re.compile(rb"(?<![\d.])5\.\d{1,3}\.\d{1,3}(?!\.?\d)")
#: What can be the name of a message: nothing else is looked for.
MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,998}")
#: Replies of the same meaning without such a code: mailbox unavailable, not local, name not allowed (RFC 5321, 4.2.3).
NO_SUCH_MAILBOX = {550, 551, 553}


def kind_of(event: AnymailTrackingEvent, service: str) -> str:
    """What a service's report means, as a DeliveryReport.Kind; "" when nothing is kept of it, as of an opening.

    Only the reader's own word is a complaint, never a filter's. A bounce is of the address only when neither the
    service nor the server that refused says otherwise.
    """
    if event.event_type == EventType.BOUNCED and FILTERED.search(str(event.mta_response)):
        return Kind.REFUSED
    corrected = CORRECTIONS.get(service, lambda _: None)(event.esp_event)
    if corrected is not None:
        return corrected
    if event.event_type in (EventType.BOUNCED, EventType.REJECTED, EventType.FAILED):
        if event.event_type == EventType.REJECTED and event.reject_reason in READER_REASONS:
            return READER_REASONS[event.reject_reason]
        return Kind.BOUNCED if event.reject_reason in ADDRESS else Kind.REFUSED
    return SIMPLE.get(event.event_type, "")


def is_bounce(code: int, text: bytes | str) -> bool:
    """Whether a mail server's refusal of a recipient says that there is no such address.

    A refusal for another reason, such as relaying or policy (5.7.1), must not silence the clinic: many servers say 550
    to both, so the enhanced status code counts where there is one.
    """
    said = text.encode() if isinstance(text, str) else text
    if ENHANCED.search(said):
        return bool(NO_SUCH_ADDRESS.search(said))
    return code in NO_SUCH_MAILBOX


def find_email(message_id: str, kind: str) -> tuple[OutgoingEmail | None, bool]:
    """The e-mail that a report is about, by the service's own name for it or by our Message-ID; whether a report of
    that kind is kept already."""
    if not MESSAGE_ID.fullmatch(message_id):
        return None, False
    ours = message_id.strip("<>").partition("@")[0]
    before = DeliveryReport.objects.filter(email=OuterRef("pk"), kind=kind)
    found = (
        OutgoingEmail.objects.filter(Q(provider_id=message_id) | Q(message_id=ours))
        .annotate(reported=Exists(before))
        .first()
    )
    return found, found is not None and found.reported


def record_report(event: AnymailTrackingEvent, service: str, *, now: datetime) -> str:
    """Take a service's report; what it meant, "" when there is nothing to keep or nobody it is about.

    `service`: anymail's name for it. An unknown message is logged without its address: another system may use the same
    account, and a restored database forgets.
    """
    kind = kind_of(event, service)
    if not kind:
        return ""
    email, before = find_email(str(event.message_id or ""), kind)
    if email is None:
        logger.warning("a mail service reports %s of a message that is not ours", kind)
        return ""
    if not before:
        note(email, kind, reason=event.reject_reason or "", now=now)
    return kind


@transaction.atomic
def note(email: OutgoingEmail, kind: str, *, reason: str = "", now: datetime) -> bool:
    """Keep a report of an e-mail, and tell the apps above of a bounce or a stop; whether it is the first of its kind.

    A second one of the same kind, such as a replay, changes nothing: since the first, staff may have said that the
    address is right after all.
    """
    _, first = DeliveryReport.objects.get_or_create(
        email=email, kind=kind, defaults={"reason": reason[:20], "at": now}
    )
    if first and kind == Kind.BOUNCED:
        address_bounced.send(OutgoingEmail, address=email.to, now=now)
    if first and kind in (Kind.COMPLAINED, Kind.UNSUBSCRIBED):
        address_stopped.send(OutgoingEmail, address=email.to, reason=kind, now=now)
    return first
