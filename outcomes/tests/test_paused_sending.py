"""While sending is paused after a restore nothing else stands still."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import OutgoingEmail
from clinic.restores import decisions
from clinic.tests.admin_client import clock
from clinic.tests.restored_database import HOUR, MINUTE, set_back
from outcomes import tasks
from procedures import services
from procedures.services import notifications
from procedures.tests.factories import World

TALLY = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}


@pytest.fixture
def restored(world: World) -> World:
    """A clinic that was set back from two hours later."""
    return set_back(world)


def keys(rows: Any) -> list[str]:
    return [row.key for row in rows]


def test_the_tasks_of_the_worker_send_nothing_while_sending_is_paused(restored: World) -> None:
    before = len(mail.outbox)
    with clock(restored.now + MINUTE):
        tasks.send_due()
    assert len(mail.outbox) == before
    assert OutgoingEmail.objects.filter(status="queued").count() == 3


def test_booking_and_the_patients_page_go_on_while_sending_is_paused(restored: World) -> None:
    booked = services.book(restored.appointment(), by=restored.clerk, now=restored.now)
    letter_about_it = OutgoingEmail.objects.get(key=notifications.letter_key(booked.pk, notifications.BOOKED))
    assert letter_about_it.status == "queued"
    token = notifications.issue_link(booked, now=restored.now)
    with clock(restored.now):
        assert Client().get(f"/a/{token}/").status_code == 200
    assert outbox.send_due(now=restored.now) == TALLY
    assert letter_about_it.key in keys(decisions.to_go(OutgoingEmail, now=restored.now))


def test_what_the_tick_finds_says_since_when_it_was_due(restored: World) -> None:
    """A reminder of an appointment that was due before the restore is doubtful, however late the tick finds it."""
    booked = services.book(restored.appointment(), by=restored.clerk, now=restored.now)
    later = notifications.remind_at(booked) + 3 * HOUR
    assert notifications.queue_due_reminders(now=later) == 1
    row = OutgoingEmail.objects.get(key=notifications.letter_key(booked.pk, notifications.REMINDER))
    assert (row.due_at, row.created_at) == (notifications.remind_at(booked), later)
