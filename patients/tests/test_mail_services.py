"""What each mail service reports, in its own shape: only a missing address and the reader's word stop e-mail."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.db import connection, reset_queries
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic import outbox
from clinic.email_services import EMAIL_SERVICES, mail_service
from clinic.models import OutgoingEmail
from clinic.tests.mail_server import queue_letter
from patients.models import Patient
from patients.tests.mail_services import (
    ANN,
    ARN,
    CASES,
    LEAVES,
    NAME,
    NOBODY,
    STAYS,
    TABLE,
    URLS,
    bounced_and_opted_out,
    delivery_reports,
    mailgun,
    mailjet,
    post,
    postmark,
    sendgrid,
    sendgrid_signature,
    ses,
    sns,
    use_mail_service,
    webhook_sign_in,
)
from procedures.tests.factories import World


@pytest.fixture
def email(world: World) -> OutgoingEmail:
    """An e-mail to Ann, under every name that a service has for it."""
    queue_letter(world)
    OutgoingEmail.objects.update(provider_id=NAME, message_id=NAME[:32])
    world.another_patient(email="bea@example.org")
    return OutgoingEmail.objects.get()


def name_it(service: str) -> None:
    """Give the e-mail of `email` the name that the service's reports have for it."""
    names = {"mailgun": f"<{NAME}@example.org>", "mailjet": "19421777835146490"}
    OutgoingEmail.objects.update(provider_id=names.get(service, NAME))


def test_every_service_has_its_table() -> None:
    assert sorted(TABLE) == sorted(URLS) == sorted(EMAIL_SERVICES)


@pytest.mark.parametrize(
    ("service", "by", "said", "expected", "stopped"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES]
)
def test_only_a_missing_address_and_the_readers_word_stop_e_mail(
    email: OutgoingEmail,
    client: Client,
    settings: Any,
    service: str,
    by: str,
    said: Any,
    expected: str,
    stopped: tuple[int, int],
) -> None:
    use_mail_service(settings, URLS[service])
    name_it(service)
    assert post(client, service, said) == 200
    assert ([kind for kind, _reason in delivery_reports()], bounced_and_opted_out()) == (
        [expected] * bool(expected),
        stopped,
    )
    assert Patient.objects.get(email="bea@example.org").why_no_email == ""


INBOUND = {
    "amazon-ses": ses("Received") | {"receipt": {"recipients": ["clinic@example.org"]}, "content": "x"},
    "mailersend": {"type": "inbound.message", "data": {"id": "1", "raw": "x"}},
    "mailgun": {"sender": ANN, "recipient": "clinic@example.org"},
    "mailjet": {"Sender": ANN, "Recipient": "clinic@example.org", "Headers": {}, "Parts": []},
    "postmark": {"FromFull": {"Email": ANN}, "MessageID": NAME, "Headers": [], "TextBody": "x"},
    "sendgrid": {"headers": "From: ann@example.org", "text": "x"},
}
#: What nobody means: each replaces the name of the message, wherever the service puts it.
NOT_A_NAME = ["\0", NAME + "\0", "\ud800", "é", " ", "x" * 5000, {"a": 1}, [NAME], None, 7, True, 1e400]


def with_name(said: Any, name: object) -> Any:
    """The report with another name of the message."""
    if isinstance(said, dict):
        return {
            key: name
            if key in ("MessageID", "messageId", "anymail_id", "message-id") or value == NAME
            else with_name(value, name)
            for key, value in said.items()
        }
    return [with_name(row, name) for row in said] if isinstance(said, list) else said


@pytest.mark.parametrize("service", EMAIL_SERVICES)
def test_what_is_none_of_our_reports_has_no_effect_and_is_no_fault(
    email: OutgoingEmail, client: Client, settings: Any, service: str
) -> None:
    use_mail_service(settings, URLS[service])
    name_it(service)
    assert post(client, service, INBOUND[service]) in (200, 400)
    for name in NOT_A_NAME:
        assert post(client, service, with_name(TABLE[service][0][1], name)) in (200, 400), name
    for body in (b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b"\xff\xfe", b"[" * 100_000, b"9" * 5000):
        assert post(client, service, None, body=body) in (200, 400), body[:20]
    nonsense: list[Any] = [sns("Notification"), {"event-data": 1}, [1], [[]], {"data": []}, {"event": []}]
    for said in nonsense:
        assert post(client, service, said) in (200, 400), said
    assert (delivery_reports(), bounced_and_opted_out()) == ([], STAYS)


@pytest.mark.parametrize("timestamp", [1e300, float("nan"), -1e20, "x", None, [], 10**400])
def test_a_time_that_there_is_not_is_no_fault(
    email: OutgoingEmail, client: Client, settings: Any, timestamp: object
) -> None:
    for service, said in (
        ("sendgrid", sendgrid("spamreport", timestamp=timestamp)),
        ("mailjet", mailjet("spam", time=timestamp)),
        ("mailgun", mailgun("complained", timestamp=timestamp)),
        ("postmark", postmark(BouncedAt=timestamp)),
    ):
        use_mail_service(settings, URLS[service])
        assert post(client, service, said) in (200, 400), service


def test_one_unreadable_report_does_not_lose_those_beside_it(
    email: OutgoingEmail, client: Client, settings: Any
) -> None:
    use_mail_service(settings, URLS["sendgrid"])
    said = [{"email": ANN}, 7, None, *sendgrid("spamreport"), {"event": "bounce", "timestamp": 1e300}]
    assert post(client, "sendgrid", said) == 200
    assert bounced_and_opted_out() == LEAVES


# Signatures and sign-ins


def test_sendgrids_reports_must_bear_its_signature(
    email: OutgoingEmail, client: Client, settings: Any
) -> None:
    use_mail_service(settings, URLS["sendgrid"])
    body = json.dumps(sendgrid("spamreport")).encode()
    good = sendgrid_signature(body)
    stamp, signature = good
    for headers in (
        {},
        {stamp: good[stamp]},
        {signature: good[signature]},
        good | {stamp: "1800000001"},
        good | {signature: "é!"},
        good | {signature: "AAAA"},
        sendgrid_signature(body + b" "),
    ):
        answer = client.post(
            "/webhooks/email/", body, content_type="application/json", headers=webhook_sign_in() | headers
        )
        assert answer.status_code == 400
    for headers, status in ((good, 400), (good | webhook_sign_in(), 200)):
        assert bounced_and_opted_out() == STAYS
        answer = client.post("/webhooks/email/", body, content_type="application/json", headers=headers)
        assert answer.status_code == status
    assert bounced_and_opted_out() == LEAVES


def test_amazon_is_asked_for_its_password_and_confirms_its_topic_only_with_it(
    email: OutgoingEmail, client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mail_service(settings, URLS["amazon-ses"])
    confirmed: list[Any] = []

    class Sns:
        def confirm_subscription(self, **asked: Any) -> None:
            confirmed.append(asked)
            if asked["Token"] == "old":
                raise ClientError({"Error": {"Code": "InvalidParameter"}}, "ConfirmSubscription")

        def close(self) -> None: ...

    monkeypatch.setattr(boto3.session.Session, "client", lambda *_, **__: Sns())
    asks = sns(
        "SubscriptionConfirmation", Token="t", Message="You have chosen to subscribe", SubscribeURL="x"
    )
    headers = {"x-amz-sns-message-type": asks["Type"], "x-amz-sns-message-id": asks["MessageId"]}

    def answer(said: dict[str, Any], **more: str) -> int:
        return client.post(
            "/webhooks/email/", json.dumps(said), content_type="text/plain", headers=headers | more
        ).status_code

    assert answer(asks) == 401  # Amazon signs in only after it was asked to
    assert answer(asks, **webhook_sign_in("postmark:wrong")) == 400
    assert confirmed == []
    assert answer(asks, **webhook_sign_in()) == 200
    assert [(row["TopicArn"], row["Token"]) for row in confirmed] == [(ARN, "t")]
    assert answer(asks | {"Token": "old"}, **webhook_sign_in()) == 400
    assert answer(asks | {"TopicArn": "x"}, **webhook_sign_in()) == 400
    assert post(client, "amazon-ses", sns("UnsubscribeConfirmation", Message="x")) == 200


# Settings and sending


def test_no_service_follows_links_or_openings(settings: Any) -> None:
    for service in EMAIL_SERVICES:
        name, said = mail_service(URLS[service])
        sent = said[f"{name.upper()}_SEND_DEFAULTS"]
        if service == "amazon-ses":
            assert sent == {
                "esp_extra": {
                    "ConfigurationOverrides": {
                        "Tracking": {"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"}
                    }
                }
            }
        else:
            assert sent == {"track_opens": False, "track_clicks": False}


def test_amazon_gets_its_keys_one_try_and_the_whole_e_mail(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mail_service(settings, URLS["amazon-ses"])
    client = settings.ANYMAIL["AMAZON_SES_CLIENT_PARAMS"]
    assert (client["aws_secret_access_key"], client["region_name"]) == ("a/b+c", "us-east-1")
    assert client["config"]["retries"] == {"total_max_attempts": 1}
    asked: list[Any] = []

    class Sesv2:
        def send_email(self, **said: Any) -> dict[str, str]:
            asked.append(said)
            if len(asked) > 1:
                raise ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 429}}, "SendEmail")
            return {"MessageId": NAME}

        def close(self) -> None: ...

    monkeypatch.setattr(boto3.session.Session, "client", lambda *_, **__: Sesv2())
    queue_letter(world)
    assert outbox.send_due(now=world.now)["sent"] == 1
    assert OutgoingEmail.objects.get().provider_id == NAME
    assert asked[0]["ConfigurationSetName"] == "clinic"
    assert asked[0]["ConfigurationOverrides"]["Tracking"]["ClickTrackingEnabled"] == "DISABLED"
    assert b"Subject: A letter" in asked[0]["Content"]["Raw"]["Data"]
    queue_letter(world, "two")
    assert outbox.send_due(now=world.now)["put_back"] == 1
    assert OutgoingEmail.objects.get(key="two").problem == "service_refused_429"


@pytest.mark.parametrize("service", ["ses", "amazon_ses", "resend", "mandrill", ""])
def test_other_services_are_refused(service: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        mail_service(f"anymail+{service}://?api_key=key")


# A storm


def test_a_storm_costs_the_same_each_and_touches_nobody_else(
    world: World, client: Client, settings: Any
) -> None:
    """Twelve hundred reports of a hundred patients' e-mails: what the first of a kind said stands."""
    use_mail_service(settings, URLS["sendgrid"])
    for number in range(100):
        world.another_patient(number + 10, email=f"p{number}@example.org")
        queue_letter(world, f"letter {number}", to=f"p{number}@example.org")
    OutgoingEmail.objects.update(status="sent", sent_at=world.now)
    names = dict(OutgoingEmail.objects.values_list("to", "message_id"))

    def report(number: int, event: str) -> dict[str, Any]:
        to = f"p{number}@example.org"
        (row,) = sendgrid(
            event, anymail_id=f"<{names[to]}@localhost>", email=to, type="bounce", reason=NOBODY
        )
        return row

    def asked(events: list[dict[str, Any]]) -> int:
        reset_queries()  # their log is not endless
        with CaptureQueriesContext(connection) as queries:
            assert post(client, "sendgrid", events) == 200
        return len(queries)

    first = asked([report(0, "spamreport")])
    again = asked([report(0, "spamreport")])
    assert again < first
    assert asked([report(number % 100, "delivered") for number in range(950)]) <= 100 * first + 850 * again
    assert asked([report(0, "spamreport") for _ in range(100)]) == 100 * again
    assert asked([report(1, "bounce")]) <= first
    assert asked([report(number % 50 + 2, "spamreport") for number in range(148)]) <= 50 * first + 98 * again
    stopped = Patient.objects.exclude(opted_out_at=None).values_list("email", flat=True)
    assert set(stopped) == {"p0@example.org", *(f"p{number}@example.org" for number in range(2, 52))}
    assert list(Patient.objects.exclude(bounced_at=None).values_list("email", flat=True)) == [
        "p1@example.org"
    ]
