"""What a mail service or a mail server says of an address stops e-mail to it, and nothing else does."""

import hashlib
import hmac
import json
import smtplib
from typing import Any

import pytest
import requests
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import AuditEvent, OutgoingEmail
from clinic.outbox.delivery_reports import is_bounce
from clinic.tests.mail_server import SERVER, Server, queue_letter
from patients import services
from patients.tests.mail_services import (
    NAME,
    WEBHOOK_SECRET,
    bounced_and_opted_out,
    delivery_reports,
    post_report,
    postmark_bounce,
    use_mail_service,
    webhook_sign_in,
)
from procedures.tests.factories import World


class Service:
    """Stands for the service behind HTTP: keeps what it was sent, and answers with `status` and `body`."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status, self.body = 200, {
            "To": "ann@example.org",
            "SubmittedAt": "2027-01-08T12:00:00.0-05:00",
            "MessageID": NAME,
            "ErrorCode": 0,
            "Message": "OK",
        }  # fmt: skip

    def request(self, session: requests.Session, **asked: Any) -> requests.Response:
        self.taken.append(json.loads(asked["data"]))
        response = requests.Response()
        response.status_code = self.status
        response._content = json.dumps(self.body).encode()
        return response


@pytest.fixture
def service(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Postmark, as EMAIL_URL names it."""
    use_mail_service(settings, "anymail+postmark://?server_token=token")
    stand_in = Service()
    monkeypatch.setattr(
        requests.Session, "request", lambda session, **asked: stand_in.request(session, **asked)
    )
    return stand_in


@pytest.fixture
def sent(world: World, service: Service) -> OutgoingEmail:
    """An e-mail to Ann that the service took."""
    queue_letter(world)
    assert outbox.send_due(now=world.now)["sent"] == 1
    return OutgoingEmail.objects.get()


def test_a_service_gets_our_message_id_untracked_and_its_own_name_is_kept(
    sent: OutgoingEmail, service: Service
) -> None:
    assert (sent.status, sent.provider_id) == ("sent", NAME)
    (asked,) = service.taken
    headers = {row["Name"]: row["Value"] for row in asked["Headers"]}
    assert headers["Message-ID"] == f"<{sent.message_id}@localhost>"
    assert (asked["TrackOpens"], asked["TrackLinks"]) == (False, "None")


def test_a_bounce_marks_everybody_at_the_address_and_the_trail_says_so(
    world: World, sent: OutgoingEmail, client: Client
) -> None:
    partner = world.another_patient(email="ANN@example.org")
    bystander = world.another_patient(3)
    assert post_report(client, postmark_bounce()) == 200
    for patient in (world.patient, partner, bystander):
        patient.refresh_from_db()
    assert (world.patient.why_no_email, partner.why_no_email, bystander.why_no_email) == (
        "bounced",
        "bounced",
        "",
    )
    assert delivery_reports() == [("bounced", "bounced")]
    events = AuditEvent.objects.filter(action="patient.address_bounced").order_by("object_id")
    assert [(event.object_id, event.actor, event.reason) for event in events] == [
        (world.patient.pk, "mail", ""),
        (partner.pk, "mail", ""),
    ]


def test_fifty_replays_are_one_and_do_not_undo_what_staff_say(
    world: World, sent: OutgoingEmail, client: Client
) -> None:
    for _ in range(50):
        assert post_report(client, postmark_bounce()) == 200
    assert AuditEvent.objects.filter(action="patient.address_bounced").count() == 1
    world.patient.refresh_from_db()
    world.patient.bounced_at = None  # staff: the address is right after all
    services.save(world.patient, changed=["bounced_at"], by=world.clerk, now=world.now)
    assert post_report(client, postmark_bounce()) == 200
    assert bounced_and_opted_out() == (0, 0)
    assert len(delivery_reports()) == 1


@pytest.mark.parametrize(
    ("said", "expected", "stopped"),
    [
        (postmark_bounce("SoftBounce"), ("refused", "bounced"), (0, 0)),
        (postmark_bounce("Transient"), ("delayed", ""), (0, 0)),
        (postmark_bounce("DMARCPolicy"), ("refused", "blocked"), (0, 0)),
        (postmark_bounce("BadEmailAddress"), ("bounced", "invalid"), (1, 0)),
        (postmark_bounce("SpamComplaint", RecordType="SpamComplaint"), ("complained", "spam"), (0, 1)),
        (
            {
                "RecordType": "SubscriptionChange",
                "MessageID": NAME,
                "ChangedAt": "2027-01-08T17:00:00Z",
                "Recipient": "ann@example.org",
                "SuppressSending": True,
                "SuppressionReason": "ManualSuppression",
            },
            ("unsubscribed", "unsubscribed"),
            (0, 1),
        ),
        (
            {"RecordType": "Delivery", "MessageID": NAME, "DeliveredAt": "2027-01-08T17:00:00Z"},
            ("delivered", ""),
            (0, 0),
        ),
    ],
)
def test_only_a_missing_address_and_a_persons_wish_stop_e_mail(
    world: World,
    sent: OutgoingEmail,
    client: Client,
    said: dict[str, Any],
    expected: tuple[str, str],
    stopped: tuple[int, int],
) -> None:
    assert post_report(client, said) == 200
    assert (delivery_reports(), bounced_and_opted_out()) == ([expected], stopped)
    if stopped == (0, 1):
        event = AuditEvent.objects.get(action="patient.opted_out")
        assert (event.actor, event.reason) == ("mail", expected[0])


def test_a_soft_bounce_may_be_followed_by_a_hard_one(sent: OutgoingEmail, client: Client) -> None:
    post_report(client, postmark_bounce("SoftBounce"))
    assert bounced_and_opted_out() == (0, 0)
    post_report(client, postmark_bounce())
    assert bounced_and_opted_out() == (1, 0)


def test_openings_are_not_kept(sent: OutgoingEmail, client: Client) -> None:
    assert (
        post_report(client, {"RecordType": "Open", "MessageID": NAME, "ReceivedAt": "2027-01-08T17:00:00Z"})
        == 200
    )
    assert delivery_reports() == []


def test_our_own_message_id_finds_the_e_mail_too(sent: OutgoingEmail, client: Client) -> None:
    """A sender that died after the service took an e-mail never learned the service's name for it."""
    OutgoingEmail.objects.update(provider_id="")
    assert post_report(client, postmark_bounce(MessageID=f"<{sent.message_id}@localhost>")) == 200
    assert bounced_and_opted_out() == (1, 0)


@pytest.mark.parametrize("name", ["another", "", None, "<@>", "x" * 5000, {"a": 1}])
def test_an_unknown_message_is_taken_and_changes_nothing(
    sent: OutgoingEmail, client: Client, caplog: pytest.LogCaptureFixture, name: object
) -> None:
    assert post_report(client, postmark_bounce(MessageID=name)) == 200
    assert (delivery_reports(), bounced_and_opted_out()) == ([], (0, 0))
    assert "not ours" in caplog.text
    assert "ann@" not in caplog.text


@pytest.mark.parametrize("secret", [None, "", "postmark:wrong", WEBHOOK_SECRET + "x", WEBHOOK_SECRET.upper()])
def test_a_wrong_sign_in_changes_nothing(sent: OutgoingEmail, client: Client, secret: str | None) -> None:
    assert (
        post_report(client, postmark_bounce(), headers={} if secret is None else webhook_sign_in(secret))
        == 400
    )
    assert (delivery_reports(), bounced_and_opted_out()) == ([], (0, 0))


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "null", '"HardBounce"', "7", {"RecordType": "Bounce", "BouncedAt": "yesterday"}]
)
def test_what_cannot_be_read_is_refused_and_changes_nothing(
    sent: OutgoingEmail, client: Client, said: object
) -> None:
    assert post_report(client, said) in (200, 400)
    assert post_report(client, "{") == 400
    assert (delivery_reports(), bounced_and_opted_out()) == ([], (0, 0))


def test_without_a_service_or_a_secret_the_address_is_shut(
    sent: OutgoingEmail, client: Client, settings: Any
) -> None:
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": ""}
    assert post_report(client, postmark_bounce(), headers={}) == 404
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": WEBHOOK_SECRET}
    settings.EMAIL_SERVICE = ""
    assert post_report(client, postmark_bounce()) == 404
    assert bounced_and_opted_out() == (0, 0)


def test_a_look_at_the_address_changes_nothing(sent: OutgoingEmail, client: Client) -> None:
    assert client.get("/webhooks/email/").status_code == 405
    assert client.head("/webhooks/email/").status_code == 200  # some services ask whether it is there
    assert delivery_reports() == []


def test_a_signed_service_needs_its_signature_as_well(world: World, client: Client, settings: Any) -> None:
    use_mail_service(settings, "anymail+mailgun://?api_key=key&webhook_signing_key=signs")
    queue_letter(world)
    email = OutgoingEmail.objects.get()

    def said(key: str, severity: str) -> dict[str, Any]:
        signature = hmac.new(key.encode(), b"1800000000token", hashlib.sha256).hexdigest()
        return {
            "signature": {"timestamp": "1800000000", "token": "token", "signature": signature},
            "event-data": {
                "event": "failed",
                "severity": severity,
                "reason": "bounce",
                "timestamp": 1800000000.5,
                "recipient": "ann@example.org",
                "message": {"headers": {"message-id": f"{email.message_id}@localhost"}},
                "delivery-status": {"code": 550, "message": "5.1.1 no such user", "description": ""},
            },
        }

    assert post_report(client, said("guessed", "permanent")) == 400
    assert post_report(client, said("signs", "permanent"), headers={}) == 400
    assert (delivery_reports(), bounced_and_opted_out()) == ([], (0, 0))
    assert post_report(client, said("signs", "temporary")) == 200
    assert (delivery_reports(), bounced_and_opted_out()) == ([("delayed", "bounced")], (0, 0))
    assert post_report(client, said("signs", "permanent")) == 200
    assert bounced_and_opted_out() == (1, 0)


def test_a_service_that_knows_the_address_as_bad_refuses_at_once(world: World, service: Service) -> None:
    service.status, service.body = 422, {
        "ErrorCode": 406,
        "Message": "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
        "ann@example.org. Inactive recipients are ones that have generated a hard bounce, a spam complaint, "
        "or a manual suppression.",
    }  # fmt: skip
    queue_letter(world)
    assert outbox.send_due(now=world.now)["failed"] == 1
    assert (OutgoingEmail.objects.get().problem, bounced_and_opted_out()) == (
        "recipient_refused_service",
        (1, 0),
    )


def test_a_service_in_trouble_is_tried_again(world: World, service: Service) -> None:
    service.status = 500
    queue_letter(world)
    assert outbox.send_due(now=world.now)["put_back"] == 1
    assert (OutgoingEmail.objects.get().problem, bounced_and_opted_out()) == ("service_refused_500", (0, 0))


@pytest.mark.parametrize(
    ("code", "said", "no_such_address"),
    [
        (550, b"5.1.1 <ann@example.org>: user unknown", True),
        (550, "5.1.10 the domain takes no mail", True),
        (553, b"5.1.3 bad syntax", True),
        (550, b"5.2.1 mailbox disabled", True),
        (550, b"no such user", True),
        (551, b"not here", True),
        (550, b"5.7.1 relaying denied", False),
        (554, b"5.7.1 blocked", False),
        (550, b"5.1.8 the sender's domain does not exist", False),
        (552, b"5.2.2 mailbox full", False),
        (554, b"no", False),
    ],
)
def test_a_servers_refusal_counts_only_when_it_is_about_the_address(
    code: int, said: bytes | str, no_such_address: bool
) -> None:
    assert is_bounce(code, said) is no_such_address


@pytest.mark.parametrize(
    ("reply", "bounced"),
    [((550, b"5.1.1 unknown"), 1), ((550, b"5.7.1 no relaying"), 0), ((451, b"5.1.1 later"), 0)],
)
def test_a_mail_servers_refusal_of_the_recipient_marks_the_patient(
    world: World, reply: tuple[int, bytes], bounced: int
) -> None:
    Server.calls, Server.meets = [], {
        "send ann@example.org": [smtplib.SMTPRecipientsRefused({"ann@example.org": reply})]
    }  # fmt: skip
    queue_letter(world)
    outbox.send_due(now=world.now, backend=SERVER)
    assert bounced_and_opted_out() == (bounced, 0)
    assert delivery_reports() == [("bounced", "550")] * bounced


def test_a_fault_over_a_report_does_not_stop_the_next_e_mail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ann@example.org")

    monkeypatch.setattr("patients.services.note_bounce", broken)
    Server.calls, Server.meets = [], {
        "send ann@example.org": [smtplib.SMTPRecipientsRefused({"ann@example.org": (550, b"no such user")})]
    }  # fmt: skip
    queue_letter(world)
    queue_letter(world, "two", to="bea@example.org")
    tally = outbox.send_due(now=world.now, backend=SERVER)
    assert (tally["failed"], tally["sent"]) == (1, 1)
    assert delivery_reports() == []
    assert mail.outbox == []
