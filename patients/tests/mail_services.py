"""What each mail service reports, in its own shape, and what must come of it."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from clinic.email_services import mail_service
from clinic.models import DeliveryReport
from patients.models import Patient

WEBHOOK_SECRET = "postmark:0123456789abcdef"

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
ARN = "arn:aws:sns:us-east-1:123456789012:mail"
URLS = {
    "amazon-ses": "anymail+amazon-ses://?aws_access_key_id=AKIA&aws_secret_access_key=a/b+c&region_name=us-east-1"
    "&configuration_set_name=clinic",
    "mailersend": "anymail+mailersend://?api_token=token&signing_secret=signs",
    "mailgun": "anymail+mailgun://?api_key=key&webhook_signing_key=signs",
    "mailjet": "anymail+mailjet://?api_key=key&secret_key=secret",
    "postmark": "anymail+postmark://?server_token=token",
    "sendgrid": f"anymail+sendgrid://?api_key=key&tracking_webhook_verification_key={PUBLIC}",
}
#: What each service calls the e-mail.
NAME = "883953f4-6105-42a2-a16a-77a8eac79483"
ANN = "ann@example.org"
NOBODY = "550 5.1.1 <ann@example.org>: user unknown"
POLICY = "550 5.7.1 rejected by policy"
FULL = "552 5.2.2 mailbox full"


def ses(what: str, field: str = "", **said: Any) -> dict[str, Any]:
    """An event as Amazon SES publishes it, before SNS wraps it."""
    about = {
        "timestamp": "2027-01-08T17:00:00.000Z",
        "source": "clinic@example.org",
        "sendingAccountId": "123456789012",
        "messageId": NAME,
        "destination": [ANN],
        "headersTruncated": False,
        "headers": [{"name": "From", "value": "clinic@example.org"}, {"name": "To", "value": ANN}],
        "commonHeaders": {"from": ["clinic@example.org"], "to": [ANN], "subject": "A letter"},
        "tags": {"ses:configuration-set": ["clinic"]},
    }
    return {"eventType": what, "mail": about, field or what.lower(): said}


def ses_bounce(kind: str, sub: str, code: str = NOBODY) -> dict[str, Any]:
    return ses(
        "Bounce",
        bounceType=kind,
        bounceSubType=sub,
        bouncedRecipients=[
            {"emailAddress": ANN, "action": "failed", "status": "5.1.1", "diagnosticCode": f"smtp; {code}"}
        ],
        timestamp="2027-01-08T17:00:00.000Z",
        feedbackId="0100015-1",
        reportingMTA="dsn; a8-70.smtp-out.amazonses.com",
    )


def ses_complaint(**said: Any) -> dict[str, Any]:
    return ses(
        "Complaint",
        complainedRecipients=[{"emailAddress": ANN}],
        timestamp="2027-01-08T17:00:00.000Z",
        feedbackId="0100015-2",
        userAgent="Feedback Loop (V0.01)",
        **said,
    )


def mailersend(what: str, **morph: Any) -> dict[str, Any]:
    return {
        "type": f"activity.{what}",
        "domain_id": "yv69oxl5kl785kw2",
        "created_at": "2027-01-08T17:00:00.000000Z",
        "webhook_id": "2351ndgwr4zqx8ko",
        "url": "https://clinic.example.org/webhooks/email/",
        "data": {
            "object": "activity",
            "id": "62f114f8165fe0d8db0288e3",
            "type": what,
            "created_at": "2027-01-08T17:00:00.000000Z",
            "email": {
                "object": "email",
                "id": "62f114f8165fe0d8db0288e4",
                "from": "clinic@example.org",
                "subject": "A letter",
                "status": "rejected",
                "tags": None,
                "message": {"object": "message", "id": NAME},
                "recipient": {"object": "recipient", "id": "62c69be104270ee9c0074d02", "email": ANN},
            },
            "morph": morph or None,
            "template_id": "",
        },
    }


def mailgun(event: str, **said: Any) -> dict[str, Any]:
    about = {
        "event": event,
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "timestamp": 1800000000.5,
        "log-level": "info",
        "recipient": ANN,
        "recipient-domain": "example.org",
        "tags": [],
        "user-variables": {},
        "flags": {"is-routed": False, "is-authenticated": True, "is-test-mode": False},
        "envelope": {"sender": "clinic@example.org", "targets": ANN, "transport": "smtp"},
        "message": {
            "headers": {"to": ANN, "message-id": NAME + "@example.org"},
            "attachments": [],
            "size": 900,
        },
    }
    return {"event-data": about | said}


def mailgun_failed(severity: str, reason: str, code: int, said: str) -> dict[str, Any]:
    status = {"code": code, "message": said, "description": "", "attempt-no": 1, "tls": True}
    return mailgun("failed", severity=severity, reason=reason, **{"delivery-status": status})


def mailjet(event: str, **said: Any) -> dict[str, Any]:
    return {
        "event": event,
        "time": 1800000000,
        "MessageID": 19421777835146490,
        "Message_GUID": "1ab23cd4-e567-8901-2345-6789f0gh1i2j",
        "email": ANN,
        "mj_campaign_id": 7257,
        "mj_contact_id": 4,
        "customcampaign": "",
        "CustomID": "",
        "Payload": "",
    } | said


def mailjet_bounce(error: str, *, hard: bool) -> dict[str, Any]:
    return mailjet(
        "bounce", blocked=False, hard_bounce=hard, error_related_to="recipient", error=error, comment=""
    )


def postmark(record: str = "Bounce", kind: str = "HardBounce", **said: Any) -> dict[str, Any]:
    return {
        "RecordType": record,
        "MessageStream": "outbound",
        "ID": 4323372036854775807,
        "Type": kind,
        "TypeCode": 1,
        "Name": kind,
        "Tag": "",
        "MessageID": NAME,
        "Metadata": {},
        "ServerID": 23,
        "Description": "What Postmark says of this type.",
        "Details": "",
        "Email": ANN,
        "From": "clinic@example.org",
        "BouncedAt": "2027-01-08T17:00:00Z",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "A letter",
    } | said


def postmark_taken_off(reason: str | None, origin: str, *, off: bool = True) -> dict[str, Any]:
    return {
        "RecordType": "SubscriptionChange",
        "MessageID": NAME,
        "ServerID": 23,
        "MessageStream": "outbound",
        "ChangedAt": "2027-01-08T17:00:00Z",
        "Recipient": ANN,
        "Origin": origin,
        "SuppressSending": off,
        "SuppressionReason": reason,
        "Tag": "",
        "Metadata": {},
    }


def sendgrid(event: str, **said: Any) -> list[dict[str, Any]]:
    return [
        {
            "email": ANN,
            "timestamp": 1800000000,
            "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
            "anymail_id": NAME,
            "event": event,
            "sg_event_id": "ZyjAM5rnQmuI1KFInHQ3Nw",
            "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        }
        | said
    ]


GONE, STAYS, LEAVES = (1, 0), (0, 0), (0, 1)
#: service: what it reports, what is kept of it, and how many patients have bounced or opted out by it.
TABLE: dict[str, list[tuple[str, Any, str, tuple[int, int]]]] = {
    "amazon-ses": [
        ("no address", ses_bounce("Permanent", "General"), "bounced", GONE),
        ("no address", ses_bounce("Permanent", "NoEmail"), "bounced", GONE),
        ("on the suppression list", ses_bounce("Permanent", "OnAccountSuppressionList"), "bounced", GONE),
        ("a policy", ses_bounce("Permanent", "General", POLICY), "refused", STAYS),
        ("full", ses_bounce("Transient", "MailboxFull", FULL), "refused", STAYS),
        ("a filter", ses_bounce("Transient", "ContentRejected", POLICY), "refused", STAYS),
        ("unclear", ses_bounce("Undetermined", "Undetermined"), "refused", STAYS),
        ("the reader", ses_complaint(complaintFeedbackType="abuse"), "complained", LEAVES),
        ("the reader, as Microsoft says it", ses_complaint(complaintSubType=None), "complained", LEAVES),
        ("a virus scanner", ses_complaint(complaintFeedbackType="virus"), "refused", STAYS),
        ("a check of DKIM", ses_complaint(complaintFeedbackType="auth-failure"), "refused", STAYS),
        ("a complaint taken back", ses_complaint(complaintFeedbackType="not-spam"), "", STAYS),
        ("delivered", ses("Delivery", recipients=[ANN], smtpResponse="250 ok"), "delivered", STAYS),
        ("late", ses("DeliveryDelay", "deliveryDelay", delayType="MailboxFull"), "delayed", STAYS),
        ("a virus", ses("Reject", reason="Bad content"), "refused", STAYS),
        ("sent", ses("Send"), "", STAYS),
        ("opened", ses("Open", ipAddress="192.0.2.1", userAgent="x"), "", STAYS),
        ("clicked", ses("Click", link="https://example.org/", userAgent="x"), "", STAYS),
        ("topics", ses("Subscription", contactList="x", source="UnsubscribeHeader"), "", STAYS),
    ],
    "mailersend": [
        ("no address", mailersend("hard_bounced", object="recipient_bounce", reason=NOBODY), "bounced", GONE),
        ("for now", mailersend("soft_bounced", object="recipient_bounce", reason=FULL), "refused", STAYS),
        ("the reader", mailersend("spam_complaint", object="spam_complaint", reason=None), "complained", LEAVES),
        (
            "the reader",
            mailersend("unsubscribed", object="recipient_unsubscribe", reason="option_3"),
            "unsubscribed",
            LEAVES,
        ),
        ("sent", mailersend("sent"), "", STAYS),
        ("delivered", mailersend("delivered"), "delivered", STAYS),
        ("opened", mailersend("opened", object="open", ip="192.0.2.1"), "", STAYS),
    ],
    "mailgun": [
        ("no address", mailgun_failed("permanent", "bounce", 550, NOBODY), "bounced", GONE),
        ("bounced before", mailgun_failed("permanent", "suppress-bounce", 605, "Not delivering"), "bounced", GONE),
        ("a policy", mailgun_failed("permanent", "bounce", 550, POLICY), "refused", STAYS),
        ("given up", mailgun_failed("permanent", "old", 602, "Too old"), "refused", STAYS),
        ("for now", mailgun_failed("temporary", "generic", 452, FULL), "delayed", STAYS),
        (
            "complained before",
            mailgun_failed("permanent", "suppress-complaint", 607, "Not delivering"),
            "complained",
            LEAVES,
        ),
        (
            "unsubscribed before",
            mailgun_failed("permanent", "suppress-unsubscribe", 606, "Not delivering"),
            "unsubscribed",
            LEAVES,
        ),
        ("the reader", mailgun("complained"), "complained", LEAVES),
        ("the reader", mailgun("unsubscribed", ip="192.0.2.1"), "unsubscribed", LEAVES),
        ("a filter of Mailgun's", mailgun("rejected", reject={"reason": "Sandbox"}), "refused", STAYS),
        ("delivered", mailgun("delivered"), "delivered", STAYS),
        ("opened", mailgun("opened", ip="192.0.2.1"), "", STAYS),
    ],
    "mailjet": [
        ("no address", mailjet_bounce("user unknown", hard=True), "bounced", GONE),
        ("no address", mailjet_bounce("invalid domain", hard=True), "bounced", GONE),
        ("for now", mailjet_bounce("mailbox inactive", hard=False), "refused", STAYS),
        ("full", mailjet_bounce("quota exceeded", hard=True), "refused", STAYS),
        ("a policy", mailjet_bounce("relay/access denied", hard=True), "refused", STAYS),
        ("a filter", mailjet_bounce("content blocked", hard=True), "refused", STAYS),
        ("grey", mailjet_bounce("greylisted", hard=False), "refused", STAYS),
        ("a filter of Mailjet's", mailjet("blocked", error_related_to="mailjet", error="preblocked"), "refused", STAYS),
        ("the reader", mailjet("spam", source="JMRPP"), "complained", LEAVES),
        ("the reader", mailjet("unsub", mj_list_id=1, ip="192.0.2.1"), "unsubscribed", LEAVES),
        ("delivered", mailjet("sent", smtp_reply="sent (250 2.0.0 OK)"), "delivered", STAYS),
        ("opened", [mailjet("open", ip="192.0.2.1")], "", STAYS),
    ],
    "postmark": [
        ("no address", postmark(), "bounced", GONE),
        ("no address", postmark(kind="BadEmailAddress"), "bounced", GONE),
        ("for now", postmark(kind="SoftBounce"), "refused", STAYS),
        ("for now", postmark(kind="Transient"), "delayed", STAYS),
        ("for now", postmark(kind="DnsError"), "delayed", STAYS),
        ("a filter", postmark(kind="SpamNotification", TypeCode=512), "refused", STAYS),
        ("a virus scanner", postmark(kind="VirusNotification"), "refused", STAYS),
        ("a policy", postmark(kind="DMARCPolicy"), "refused", STAYS),
        ("a block list", postmark(kind="Blocked"), "refused", STAYS),
        ("taken off by staff", postmark(kind="ManuallyDeactivated"), "refused", STAYS),
        ("away", postmark(kind="AutoResponder"), "", STAYS),
        ("unclear", postmark(kind="Unknown"), "", STAYS),
        ("the reader", postmark("SpamComplaint", "SpamComplaint", TypeCode=100001), "complained", LEAVES),
        ("the reader", postmark(kind="SpamComplaint", TypeCode=100001), "complained", LEAVES),
        ("the reader", postmark(kind="Unsubscribe"), "unsubscribed", LEAVES),
        ("the reader", postmark_taken_off("ManualSuppression", "Recipient"), "unsubscribed", LEAVES),
        ("staff", postmark_taken_off("ManualSuppression", "Customer"), "refused", STAYS),
        ("Postmark", postmark_taken_off("ManualSuppression", "Admin"), "refused", STAYS),
        ("no address", postmark_taken_off("HardBounce", "Recipient"), "bounced", GONE),
        ("the reader", postmark_taken_off("SpamComplaint", "Recipient"), "complained", LEAVES),
        ("back", postmark_taken_off(None, "Recipient", off=False), "", STAYS),
        ("delivered", postmark("Delivery", DeliveredAt="2027-01-08T17:00:00Z"), "delivered", STAYS),
        ("opened", postmark("Open", ReceivedAt="2027-01-08T17:00:00Z"), "", STAYS),
    ],
    "sendgrid": [
        ("no address", sendgrid("bounce", type="bounce", status="5.1.1", reason=NOBODY), "bounced", GONE),
        ("a policy", sendgrid("bounce", type="bounce", status="5.7.1", reason=POLICY), "refused", STAYS),
        ("a filter", sendgrid("bounce", type="blocked", status="5.7.1", reason="blocked"), "refused", STAYS),
        ("given up", sendgrid("bounce", type="expired", reason="too long"), "refused", STAYS),
        ("bounced before", sendgrid("dropped", reason="Bounced Address"), "bounced", GONE),
        ("no address", sendgrid("dropped", reason="Invalid"), "bounced", GONE),
        ("complained before", sendgrid("dropped", reason="Spam Reporting Address"), "complained", LEAVES),
        ("unsubscribed before", sendgrid("dropped", reason="Unsubscribed Address"), "unsubscribed", LEAVES),
        ("a filter of SendGrid's", sendgrid("dropped", reason="Spam Content"), "refused", STAYS),
        ("for now", sendgrid("deferred", response="400 try again later", attempt="5"), "delayed", STAYS),
        ("the reader", sendgrid("spamreport"), "complained", LEAVES),
        ("the reader", sendgrid("unsubscribe"), "unsubscribed", LEAVES),
        ("the reader", sendgrid("group_unsubscribe", asm_group_id=10), "unsubscribed", LEAVES),
        ("delivered", sendgrid("delivered", response="250 OK"), "delivered", STAYS),
        ("sent", sendgrid("processed"), "", STAYS),
        ("opened", sendgrid("open", useragent="x"), "", STAYS),
    ],
}  # fmt: skip
CASES = [(service, *case) for service, cases in TABLE.items() for case in cases]


def post(client: Client, service: str, said: object, *, body: bytes | None = None) -> int:
    """What the service answers our answer to: signed in and signed as it signs. `body` replaces what is posted."""
    headers = webhook_sign_in()
    if service == "mailgun" and isinstance(said, dict):
        signature = hmac.new(b"signs", b"1800000000token", hashlib.sha256).hexdigest()
        said = said | {"signature": {"timestamp": "1800000000", "token": "token", "signature": signature}}
    kind = "application/json"
    if service == "amazon-ses" and body is None:
        wrapped = (
            said
            if isinstance(said, dict) and "Type" in said
            else sns("Notification", Message=json.dumps(said))
        )
        headers |= {"x-amz-sns-message-type": wrapped["Type"], "x-amz-sns-message-id": wrapped["MessageId"]}
        said, kind = wrapped, "text/plain; charset=UTF-8"
    body = json.dumps(said).encode() if body is None else body
    if service == "mailersend":
        headers["Signature"] = hmac.new(b"signs", body, hashlib.sha256).hexdigest()
    if service == "sendgrid":
        headers |= sendgrid_signature(body)
    return client.post("/webhooks/email/", body, content_type=kind, headers=headers).status_code


def sns(kind: str, **said: Any) -> dict[str, Any]:
    return {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": ARN,
        "Timestamp": "2027-01-08T17:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE==",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem",
    } | said


def sendgrid_signature(body: bytes) -> dict[str, str]:
    signed = KEY.sign(b"1800000000" + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Timestamp": "1800000000",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signed).decode(),
    }


def webhook_sign_in(secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


def use_mail_service(settings: Any, url: str) -> None:
    settings.EMAIL_SERVICE, more = mail_service(url)
    settings.EMAIL_BACKEND = f"anymail.backends.{settings.EMAIL_SERVICE}.EmailBackend"
    settings.ANYMAIL = {"WEBHOOK_SECRET": WEBHOOK_SECRET, "REQUESTS_TIMEOUT": 20} | more


def postmark_bounce(kind: str = "HardBounce", **changes: Any) -> dict[str, Any]:
    """What Postmark posts of a bounce."""
    return {
        "RecordType": "Bounce",
        "ID": 4323372036854775807,
        "Type": kind,
        "TypeCode": 1,
        "Tag": "",
        "MessageID": NAME,
        "Details": "smtp;550 5.1.1 <ann@example.org>: user unknown",
        "Email": "ann@example.org",
        "From": "clinic@example.org",
        "BouncedAt": "2027-01-08T17:00:00Z",
        "Inactive": True,
        "Subject": "A letter",
    } | changes


def post_report(client: Client, said: object, *, headers: dict[str, str] | None = None) -> int:
    body = said if isinstance(said, str) else json.dumps(said)
    response = client.post(
        "/webhooks/email/",
        body,
        content_type="application/json",
        headers=webhook_sign_in() if headers is None else headers,
    )
    return response.status_code


def bounced_and_opted_out() -> tuple[int, int]:
    """How many patients bounced, and how many opted out."""
    return (
        Patient.objects.filter(bounced_at__isnull=False).count(),
        Patient.objects.filter(opted_out_at__isnull=False).count(),
    )


def delivery_reports() -> list[tuple[str, str]]:
    return list(DeliveryReport.objects.order_by("pk").values_list("kind", "reason"))
