"""The outbox: once, retried from the row, failed when refused for good, and abandoned claims taken over."""

import logging
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connections
from django.db.models import F

from clinic import outbox
from clinic.models import OutgoingEmail
from clinic.outbox import delivery, email_status
from clinic.tests.mail_server import (
    SERVER,
    TEMPLATES,
    Server,
    queue_letter,
)
from procedures.tests.factories import World

ANN, BEA = "send ann@example.org", "send bea@example.org"
GONE = smtplib.SMTPServerDisconnected("the connection of ann@example.org is gone")


TALLY = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}


def refusal(code: int) -> Exception:
    return smtplib.SMTPRecipientsRefused({"ann@example.org": (code, b"no ann@example.org here")})


@pytest.fixture
def server() -> type[Server]:
    Server.meets, Server.calls = {}, []
    return Server


def state(key: str = "one") -> tuple[str, int, str]:
    row = OutgoingEmail.objects.get(key=key)
    return row.status, row.attempts, row.problem


def test_the_same_reason_never_makes_two(world: World) -> None:
    assert queue_letter(world)
    assert queue_letter(world) is None
    assert outbox.send_due(now=world.now)["sent"] == 1
    assert outbox.send_due(now=world.now)["sent"] == 0
    assert queue_letter(world) is None
    assert len(mail.outbox) == 1


def test_an_email_waits_for_its_time(world: World) -> None:
    outbox.queue(
        "later",
        template=TEMPLATES + "letter",
        context={"word": "Later"},
        to="ann@example.org",
        site=world.site,
        now=world.now,
        not_before=world.now + timedelta(hours=1),
    )
    assert outbox.send_due(now=world.now)["sent"] == 0
    assert outbox.send_due(now=world.now + timedelta(hours=1))["sent"] == 1
    assert mail.outbox[0].body == "Later"


def test_what_lost_its_reason_is_skipped_with_the_reason(world: World) -> None:
    queue_letter(world, template="no_longer")
    assert outbox.send_due(now=world.now)["skipped"] == 1
    assert (OutgoingEmail.objects.get().status, OutgoingEmail.objects.get().problem) == (
        "skipped",
        "answered",
    )
    assert not mail.outbox


def test_what_was_skipped_is_queued_again_when_there_is_reason_again(world: World) -> None:
    queue_letter(world, template="no_longer")
    outbox.send_due(now=world.now)
    assert queue_letter(world, to="bea@example.org")
    assert outbox.send_due(now=world.now)["sent"] == 1
    assert mail.outbox[0].to == ["bea@example.org"]
    assert queue_letter(world) is None


def test_a_fault_is_retried_from_the_row_five_times_and_then_failed(world: World) -> None:
    queue_letter(world, "broken", template="broken")
    queue_letter(world, "whole")
    now = world.now
    assert outbox.send_due(now=now) == {"sent": 1, "skipped": 0, "put_back": 1, "failed": 0}
    for pause in outbox.PAUSES[:-1]:
        assert outbox.send_due(now=now + pause - timedelta(seconds=1))["put_back"] == 0
        now += pause
        assert outbox.send_due(now=now)["put_back"] == 1
    now += outbox.PAUSES[-1]
    assert outbox.send_due(now=now)["failed"] == 1
    row = OutgoingEmail.objects.get(key="broken")
    assert (row.status, row.attempts) == ("failed", outbox.TRIES)
    assert row.problem == "SMTPServerDisconnected"  # the type alone: the text may quote an address
    assert outbox.send_due(now=now + timedelta(days=9)) == {
        "sent": 0,
        "skipped": 0,
        "put_back": 0,
        "failed": 0,
    }


def test_every_attempt_carries_the_same_message_id(world: World) -> None:
    queue_letter(world)
    outbox.send_due(now=world.now)
    OutgoingEmail.objects.update(status="queued")
    outbox.send_due(now=world.now)
    first, second = (message.extra_headers["Message-ID"] for message in mail.outbox)
    assert first == second


def test_a_claim_whose_sender_died_is_taken_over_and_a_fresh_one_is_not(world: World) -> None:
    queue_letter(world)
    assert email_status.claim(now=world.now)
    assert email_status.claim(now=world.now) == []
    OutgoingEmail.objects.update(claimed_at=F("claimed_at") - email_status.CLAIM_LASTS)
    (again,) = email_status.claim(now=world.now)
    assert again.attempts == 2


def test_an_email_whose_senders_all_died_is_given_up(world: World) -> None:
    queue_letter(world)
    OutgoingEmail.objects.update(attempts=outbox.TRIES)
    assert outbox.send_due(now=world.now)["failed"] == 1
    assert OutgoingEmail.objects.get().problem == "abandoned"


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (refusal(550), "recipient_refused_550"),
        (smtplib.SMTPDataError(554, b"spam for ann@example.org"), "message_refused_554"),
    ],
)
def test_what_is_refused_for_good_is_not_tried_again(
    world: World, server: type[Server], exc: Exception, code: str
) -> None:
    queue_letter(world)
    queue_letter(world, "two", to="bea@example.org")
    server.meets = {ANN: [exc]}
    assert outbox.send_due(now=world.now, backend=SERVER) == TALLY | {"sent": 1, "failed": 1}
    assert state() == ("failed", 1, code)
    assert server.calls == ["open", ANN, BEA, "close"]  # one connection, which such a reply leaves whole


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (refusal(451), "recipient_refused_451"),
        (smtplib.SMTPDataError(452, b"full"), "message_refused_452"),
        # The clinic is refused, not the e-mail: somebody can mend that.
        (smtplib.SMTPSenderRefused(550, b"who?", "clinic@localhost"), "sender_refused_550"),
    ],
)
def test_what_is_refused_for_now_is_tried_again(
    world: World, server: type[Server], exc: Exception, code: str
) -> None:
    queue_letter(world)
    server.meets = {ANN: [exc]}
    assert outbox.send_due(now=world.now, backend=SERVER)["put_back"] == 1
    assert state() == ("queued", 1, code)
    assert outbox.send_due(now=world.now + email_status.PAUSES[0], backend=SERVER)["sent"] == 1


@pytest.mark.parametrize("exc", [GONE, TimeoutError("ann"), refusal(421)], ids=lambda exc: type(exc).__name__)
def test_a_lost_connection_is_opened_anew_for_the_next(
    world: World, server: type[Server], exc: Exception
) -> None:
    queue_letter(world)
    queue_letter(world, "two", to="bea@example.org")
    server.meets = {ANN: [exc]}
    assert outbox.send_due(now=world.now, backend=SERVER) == TALLY | {"sent": 1, "put_back": 1}
    assert server.calls == ["open", ANN, "close", "open", BEA, "close"]


def test_a_server_that_keeps_breaking_off_is_left_alone_and_the_rest_is_as_it_was(
    world: World, server: type[Server]
) -> None:
    for number in range(10):
        queue_letter(world, f"letter {number}")
    server.meets = {ANN: [GONE] * 10}
    assert outbox.send_due(now=world.now, backend=SERVER) == TALLY | {"put_back": delivery.TROUBLES}
    untried = OutgoingEmail.objects.filter(status="queued", attempts=0, not_before=world.now)
    assert untried.count() == 10 - delivery.TROUBLES


def test_a_server_that_cannot_be_reached_costs_no_tries(world: World, server: type[Server]) -> None:
    queue_letter(world)
    queue_letter(world, "two")
    for _ in range(outbox.TRIES + 1):
        server.meets = {"open": [ConnectionRefusedError("ann@example.org")]}
        assert outbox.send_due(now=world.now, backend=SERVER) == TALLY
        assert state() == state("two") == ("queued", 0, "")
    assert outbox.send_due(now=world.now, backend=SERVER)["sent"] == 2


def test_a_farewell_that_fails_is_nobodys_fault(world: World, server: type[Server]) -> None:
    queue_letter(world)
    server.meets = {"close": [smtplib.SMTPResponseException(451, b"not now")]}
    assert outbox.send_due(now=world.now, backend=SERVER)["sent"] == 1


def test_logs_and_rows_keep_no_address(
    world: World, server: type[Server], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        queue_letter(world, f"letter {number}")
    queue_letter(world, "broken", template="broken")
    server.meets = {ANN: [refusal(550), refusal(451), GONE], "open": [TimeoutError("ann@example.org")]}
    with caplog.at_level(logging.DEBUG):
        outbox.send_due(now=world.now, backend=SERVER)
        outbox.send_due(now=world.now, backend=SERVER)
    assert len(caplog.messages) == 5
    assert "ann@example" not in " ".join(caplog.messages)
    assert not OutgoingEmail.objects.filter(problem__contains="@").exists()


def test_a_poisoned_email_fails_alone(world: World) -> None:
    queue_letter(world, "poisoned", "letter_in_bulk", poison=True)
    for number in range(3):
        queue_letter(world, f"letter {number}", "letter_in_bulk")
    assert outbox.send_due(now=world.now) == TALLY | {"sent": 3, "put_back": 1}
    assert state("poisoned") == ("queued", 1, "KeyError")


def test_emails_of_one_template_are_written_together(world: World) -> None:
    for number in range(3):
        queue_letter(world, f"letter {number}", "letter_in_bulk")
    queue_letter(world, "another")
    outbox.send_due(now=world.now)
    assert [message.body for message in mail.outbox] == ["Written with others"] * 3 + ["Hello"]


def test_what_was_looked_at_too_long_ago_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LOOK_LASTS", timedelta(0))
    queue_letter(world, "one", "letter_in_bulk")
    queue_letter(world, "two", "letter_in_bulk")
    outbox.send_due(now=world.now)
    assert [message.body for message in mail.outbox] == ["Written alone"] * 2


def test_what_was_tried_before_is_claimed_alone(world: World) -> None:
    """Should it be what kills its senders, it takes no other with it."""
    for key in ("killer", "two", "three"):
        queue_letter(world, key)
    assert len(email_status.claim(now=world.now, limit=20)) == 3
    OutgoingEmail.objects.update(claimed_at=F("claimed_at") - email_status.CLAIM_LASTS)
    queue_letter(world, "four")
    queue_letter(world, "five")
    claims = [[email.key for email in email_status.claim(now=world.now, limit=20)] for _ in range(5)]
    assert claims == [["killer"], ["two"], ["three"], ["four", "five"], []]


def test_a_sender_that_lost_its_claim_writes_nothing(world: World) -> None:
    queue_letter(world)
    queue_letter(world, "two")
    first, second = email_status.claim(now=world.now, limit=2)
    OutgoingEmail.objects.filter(key="one").update(claimed_at=F("claimed_at") - email_status.CLAIM_LASTS)
    first.refresh_from_db()
    (rival,) = email_status.claim(now=world.now)
    for write in (
        lambda: email_status.mark(first, "sent", sent_at=world.now),
        lambda: email_status.put_back(first, "late", now=world.now),
        lambda: email_status.release([first]),
    ):
        write()
        assert state() == ("sending", 2, "")
    assert [email.key for email in email_status.renew([first, second])] == ["two"]
    email_status.mark(rival, "sent", sent_at=world.now)
    assert state() == ("sent", 2, "")


def test_a_claim_that_grows_old_is_renewed_before_it_is_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_letter(world)
    queue_letter(world, "two")
    now = iter(range(0, 10**6, 400))  # each look at the clock is seven minutes after the one before
    monkeypatch.setattr(delivery, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(delivery, "RUN_LASTS", timedelta(days=1))
    assert outbox.send_due(now=world.now)["sent"] == 2
    first, second = OutgoingEmail.objects.order_by("pk")
    assert first.claimed_at
    assert second.claimed_at
    assert second.claimed_at > first.claimed_at


def test_a_run_ends_in_time_and_the_next_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        queue_letter(world, f"letter {number}")
    now = iter(range(0, 10**6, 10))
    monkeypatch.setattr(delivery, "monotonic", lambda: float(next(now)))
    first = outbox.send_due(now=world.now)["sent"]
    assert 0 < first < 5
    assert OutgoingEmail.objects.filter(status="queued", attempts=0).count() == 5 - first
    while outbox.send_due(now=world.now)["sent"]:
        pass
    assert OutgoingEmail.objects.filter(status="sent").count() == 5


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_send_each_once(world: World) -> None:
    for number in range(60):
        queue_letter(world, f"letter {number}")
    barrier = threading.Barrier(6)

    def send(_: int) -> int:
        barrier.wait(timeout=30)
        try:
            return outbox.send_due(now=world.now)["sent"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(6))) == 60
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == len(mail.outbox) == 60
