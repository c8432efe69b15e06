"""The outbox: once, retried from the row, failed after five tries, and abandoned claims taken over."""

import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.db import connections
from django.db.models import F

from clinic import mail
from clinic.mail import rows
from clinic.models import OutgoingEmail
from conftest import World

HERE = "clinic.tests.test_mail."


def letter(*, now: Any, word: str = "Hello") -> mail.Message:
    return mail.Message(subject="A letter", text=word)


def broken(**_: Any) -> mail.Message:
    raise smtplib.SMTPServerDisconnected("the server said ann@example.org is away")


def no_longer(**_: Any) -> mail.Skip:
    return mail.Skip("answered")


def put(world: World, key: str = "one", template: str = "letter") -> OutgoingEmail | None:
    return mail.queue(
        key, template=HERE + template, context={}, to="ann@example.org", site=world.site, now=world.now
    )


def test_the_same_reason_never_makes_two(world: World) -> None:
    assert put(world)
    assert put(world) is None
    assert mail.send_due(now=world.now)["sent"] == 1
    assert mail.send_due(now=world.now)["sent"] == 0
    assert put(world) is None
    assert len(outbox.outbox) == 1


def test_an_email_waits_for_its_time(world: World) -> None:
    mail.queue(
        "later",
        template=HERE + "letter",
        context={"word": "Later"},
        to="ann@example.org",
        site=world.site,
        now=world.now,
        not_before=world.now + timedelta(hours=1),
    )
    assert mail.send_due(now=world.now)["sent"] == 0
    assert mail.send_due(now=world.now + timedelta(hours=1))["sent"] == 1
    assert outbox.outbox[0].body == "Later"


def test_what_lost_its_reason_is_skipped_with_the_reason(world: World) -> None:
    put(world, template="no_longer")
    assert mail.send_due(now=world.now)["skipped"] == 1
    assert (OutgoingEmail.objects.get().status, OutgoingEmail.objects.get().problem) == (
        "skipped",
        "answered",
    )
    assert not outbox.outbox


def test_a_fault_is_retried_from_the_row_five_times_and_then_failed(world: World) -> None:
    put(world, "broken", template="broken")
    put(world, "whole")
    now = world.now
    assert mail.send_due(now=now) == {"sent": 1, "skipped": 0, "put_back": 1, "failed": 0}
    for pause in mail.PAUSES[:-1]:
        assert mail.send_due(now=now + pause - timedelta(seconds=1))["put_back"] == 0
        now += pause
        assert mail.send_due(now=now)["put_back"] == 1
    now += mail.PAUSES[-1]
    assert mail.send_due(now=now)["failed"] == 1
    row = OutgoingEmail.objects.get(key="broken")
    assert (row.status, row.attempts) == ("failed", mail.TRIES)
    assert row.problem == "SMTPServerDisconnected"  # the type alone: the text may quote an address
    assert mail.send_due(now=now + timedelta(days=9)) == {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}


def test_every_attempt_carries_the_same_message_id(world: World) -> None:
    put(world)
    mail.send_due(now=world.now)
    OutgoingEmail.objects.update(status="queued")
    mail.send_due(now=world.now)
    first, second = (message.extra_headers["Message-ID"] for message in outbox.outbox)
    assert first == second


def test_a_claim_whose_sender_died_is_taken_over_and_a_fresh_one_is_not(world: World) -> None:
    put(world)
    assert rows.claim(now=world.now)
    assert rows.claim(now=world.now) == []
    OutgoingEmail.objects.update(claimed_at=F("claimed_at") - rows.CLAIM_LASTS)
    (again,) = rows.claim(now=world.now)
    assert again.attempts == 2


def test_an_email_whose_senders_all_died_is_given_up(world: World) -> None:
    put(world)
    OutgoingEmail.objects.update(attempts=mail.TRIES)
    assert mail.send_due(now=world.now)["failed"] == 1
    assert OutgoingEmail.objects.get().problem == "abandoned"


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_send_each_once(world: World) -> None:
    for number in range(60):
        put(world, f"letter {number}")
    barrier = threading.Barrier(6)

    def send(_: int) -> int:
        barrier.wait(timeout=30)
        try:
            return mail.send_due(now=world.now)["sent"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(6))) == 60
    assert len({message.extra_headers["Message-ID"] for message in outbox.outbox}) == len(outbox.outbox) == 60
