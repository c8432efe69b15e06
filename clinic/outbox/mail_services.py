"""Where anymail's reading of a mail service's report is not a clinic's: by service, what a report means instead.

Each takes one report as the service posted it, and returns a DeliveryReport.Kind, "" when nothing is kept of it, or
None where anymail is right.
"""

from collections.abc import Callable
from typing import Any

from clinic.models import DeliveryReport

Kind = DeliveryReport.Kind

#: Feedback types (RFC 5965, 7.3; RFC 6591) that a filter reports, and no reader. Left are abuse, fraud and other, which
#: a reader's button makes, and none at all, as Microsoft sends it.
NOT_THE_READERS = {"auth-failure", "virus"}


def amazon_ses(said: dict[str, Any]) -> str | None:
    """Anymail calls each bounce one of the address, and each feedback a complaint."""
    what = said.get("eventType", said.get("notificationType"))
    if what == "DeliveryDelay":
        return Kind.DELAYED
    if what == "Bounce" and said["bounce"].get("bounceType") != "Permanent":
        return Kind.REFUSED
    if what == "Complaint":
        feedback = str(said["complaint"].get("complaintFeedbackType"))
        if feedback == "not-spam":  # the reader takes a complaint back
            return ""
        if feedback in NOT_THE_READERS:
            return Kind.REFUSED
    return None


def mailersend(said: dict[str, Any]) -> str | None:
    return Kind.REFUSED if said["data"]["type"] == "soft_bounced" else None


def mailgun(said: dict[str, Any]) -> str | None:
    """Anymail does not tell why the service sends nothing any more to who complained or unsubscribed."""
    about: dict[str, Any] = said.get("event-data", {})
    suppressed = {"suppress-complaint": Kind.COMPLAINED, "suppress-unsubscribe": Kind.UNSUBSCRIBED}
    return suppressed.get(str(about.get("reason"))) if about.get("event") == "failed" else None


def mailjet(said: dict[str, Any]) -> str | None:
    if said["event"] != "bounce":
        return None
    # "error" names a cause; these two are not about the address, whether it was a hard bounce or not.
    another = said.get("error") in ("quota exceeded", "relay/access denied")
    return Kind.REFUSED if another or not said.get("hard_bounce") else None


def postmark(said: dict[str, Any]) -> str | None:
    """A SpamNotification is a filter's verdict on an e-mail that was delivered; the reader's is a SpamComplaint."""
    if said.get("RecordType") == "Bounce" and said.get("Type") in ("SoftBounce", "SpamNotification"):
        return Kind.REFUSED
    if said.get("RecordType") == "SpamComplaint":
        return Kind.COMPLAINED
    # Whoever runs the account took the address off, not its reader.
    by_others = said.get("Origin") in ("Customer", "Admin")
    taken_off = said.get("SuppressSending") and said.get("SuppressionReason") == "ManualSuppression"
    return Kind.REFUSED if by_others and taken_off else None


def sendgrid(said: dict[str, Any]) -> str | None:
    """Anymail gives a bounce no reason. One of type "blocked" or "expired" is no fault of the address."""
    if said["event"] == "bounce":
        return Kind.REFUSED if said.get("type") in ("blocked", "expired") else Kind.BOUNCED
    if said["event"] == "dropped" and said.get("reason") == "Spam Reporting Address":
        return Kind.COMPLAINED
    return None


#: By anymail's name for the service.
CORRECTIONS: dict[str, Callable[[Any], str | None]] = {
    "Amazon SES": amazon_ses,
    "MailerSend": mailersend,
    "Mailgun": mailgun,
    "Mailjet": mailjet,
    "Postmark": postmark,
    "SendGrid": sendgrid,
}
