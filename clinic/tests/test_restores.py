"""A restored database sends nothing before a person has decided: the counter, the copy outside, the pause."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pgtrigger
import pytest
from django.conf import settings
from django.core import mail
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError

from clinic import outbox, restores, sms
from clinic.models import AuditEvent, DatabaseIdentity, OutgoingEmail, OutgoingText, SendingPause
from clinic.outbox import Message
from clinic.refusals import Refusal
from clinic.restores import counter, decisions, outside_copy
from clinic.tests.restored_database import HERE, ahead, file, identity, queued, why
from procedures.tests.factories import World

TALLY = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Reason = SendingPause.Reason


# The counter.


def test_a_new_database_sends_and_from_then_on_is_known_outside(world: World) -> None:
    assert (identity().counter, file().exists()) == (0, False)
    assert outbox.send_due(now=world.now) == TALLY  # the first look, with nothing to send
    assert (identity().counter, file().exists()) == (1, True)
    queued(world, "one", now=world.now)
    assert outbox.send_due(now=world.now)["sent"] == 1
    assert why() == ""


def test_each_batch_is_counted_before_it_leaves_and_once_more_after_the_last(
    sending: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity().counter
    seen: list[tuple[int, int]] = []

    def look(*, now: datetime) -> Message:
        copy = outside_copy.read_copy()
        assert copy is not None
        seen.append((identity().counter, copy.counter))
        return Message("Hello", "A letter.")

    monkeypatch.setattr("clinic.tests.restored_database.letter", look)
    for number in range(outbox.delivery.BATCH + 1):
        queued(sending, f"of two batches {number}", now=sending.now)
    assert outbox.send_due(now=sending.now)["sent"] == outbox.delivery.BATCH + 1
    assert set(seen) == {(before + 1, before + 1), (before + 2, before + 2)}
    copy = outside_copy.read_copy()
    assert copy == outside_copy.OutsideCopy(identity().identity, before + 3, sending.now)
    assert identity().counter == before + 3


def test_texts_are_counted_as_e_mails_are(sending: World, settings: Any) -> None:
    settings.SMS_BACKEND = "clinic.sms.ConsoleBackend"
    before = identity().counter
    for number in range(sms.BATCH + 1):
        sms.queue(f"text {number}", template=HERE + "text", context={}, site=sending.site, now=sending.now)
    assert sms.send_due(now=sending.now)["sent"] == sms.BATCH + 1
    assert identity().counter == before + 3


def test_a_run_with_nothing_to_send_counts_nothing(sending: World) -> None:
    before = identity().counter
    assert outbox.send_due(now=sending.now + HOUR) == TALLY
    assert identity().counter == before


def test_what_delivers_nothing_is_neither_counted_nor_stopped(sending: World) -> None:
    ahead()
    before = identity().counter
    queued(sending, "of the demo", now=sending.now)
    post = "outcomes.demo.mail_server.Post"
    assert outbox.send_due(now=sending.now, key="of the demo", backend=post)["sent"] == 1
    assert (identity().counter, why()) == (before, "")


@pytest.mark.parametrize(
    "change", ["identity = gen_random_uuid()", "counter = counter - 1", "id = 2", "counter = 0"]
)
def test_the_database_refuses_another_identity_and_a_lower_counter(sending: World, change: str) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE clinic_databaseidentity SET {change}")
    with pytest.raises(DatabaseError), transaction.atomic():
        DatabaseIdentity.objects.all().delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        DatabaseIdentity.objects.create(pk=2)


def test_the_database_refuses_to_empty_its_identity(sending: World) -> None:
    pgtrigger.install("clinic.DatabaseIdentity:never_emptied")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE clinic_databaseidentity")


def test_a_database_that_sent_before_it_could_count_is_not_taken_for_a_new_one(world: World) -> None:
    email = queued(world, "of an earlier release", now=world.now)
    OutgoingEmail.objects.filter(pk=email.pk).update(status="sent", sent_at=world.now)
    with pgtrigger.ignore("clinic.DatabaseIdentity:never_deleted"):
        DatabaseIdentity.objects.all().delete()
    queued(world, "next", now=world.now)
    assert outbox.send_due(now=world.now) == TALLY
    assert why() == Reason.COPY_MISSING


# Noticing.


def test_after_a_week_switched_off_sending_goes_on(sending: World) -> None:
    later = sending.now + timedelta(days=7)
    queued(sending, "due meanwhile", now=later, due_at=later - timedelta(days=3))
    assert outbox.send_due(now=later)["sent"] == 1
    assert not SendingPause.objects.exists()


def test_a_crash_between_the_two_writes_is_no_restore(sending: World) -> None:
    row = identity()
    row.counter += 1
    row.save()
    queued(sending, "after the crash", now=sending.now)
    assert outbox.send_due(now=sending.now)["sent"] == 1
    copy = outside_copy.read_copy()
    assert copy is not None
    assert copy.counter == identity().counter


def behind() -> None:
    ahead()


def missing() -> None:
    file().unlink()


def foreign() -> None:
    outside_copy.write(outside_copy.OutsideCopy(uuid4(), 0, None))


def broken() -> None:
    file().write_bytes(b'\xff{"identity"')


TROUBLES = {
    Reason.COUNTER_BEHIND: behind,
    Reason.COPY_MISSING: missing,
    Reason.OTHER_IDENTITY: foreign,
    Reason.COPY_UNREADABLE: broken,
}


@pytest.mark.parametrize("reason", TROUBLES)
def test_whatever_does_not_fit_stops_every_kind_of_message(
    sending: World, settings: Any, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SMS_BACKEND = "clinic.sms.ConsoleBackend"
    queued(sending, "next", now=sending.now)
    sms.queue("text", template=HERE + "text", context={}, site=sending.site, now=sending.now)
    TROUBLES[reason]()
    sent = len(mail.outbox)
    with caplog.at_level(logging.WARNING):
        for minute in range(3):
            assert outbox.send_due(now=sending.now + minute * MINUTE) == TALLY
            assert sms.send_due(now=sending.now + minute * MINUTE) == TALLY
    assert len(mail.outbox) == sent
    pause = SendingPause.objects.get()
    assert (pause.reason, pause.began_at, pause.ended_at) == (reason, sending.now, None)
    assert pause.wants_decision
    events = AuditEvent.objects.filter(action="sending.paused")
    assert [(event.object_id, event.reason, event.actor) for event in events] == [(pause.pk, reason, "time")]
    assert [
        record.levelname for record in caplog.records if "nothing is sent from now on" in record.message
    ] == ["ERROR"]
    assert OutgoingEmail.objects.filter(status="queued").count() == 1
    assert OutgoingText.objects.filter(status="queued").count() == 1


def test_texts_whose_sender_died_are_not_given_up_while_sending_is_paused(
    sending: World, settings: Any
) -> None:
    settings.SMS_BACKEND = "clinic.sms.ConsoleBackend"
    sms.queue("text", template=HERE + "text", context={}, site=sending.site, now=sending.now)
    OutgoingText.objects.update(status="sending", claimed_at=sending.now)
    behind()
    assert sms.send_due(now=sending.now + HOUR) == TALLY
    assert OutgoingText.objects.get().status == "sending"


def test_a_restore_under_a_running_sender_stops_the_next_batch(
    sending: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_back(*, now: datetime) -> Message:
        ahead(1)
        return Message("Hello", "A letter.")

    monkeypatch.setattr("clinic.tests.restored_database.letter", set_back)
    monkeypatch.setattr("clinic.outbox.delivery.BATCH", 1)
    queued(sending, "one", now=sending.now)
    queued(sending, "two", now=sending.now)
    assert outbox.send_due(now=sending.now)["sent"] == 1
    assert why() == Reason.COUNTER_BEHIND
    assert OutgoingEmail.objects.get(key="two").status == "queued"
    assert OutgoingEmail.objects.get(key="two").attempts == 0


def test_a_pause_ends_by_itself_when_the_copy_is_found_again(sending: World) -> None:
    text_of_copy = file().read_text()
    missing()
    queued(sending, "next", now=sending.now)
    outbox.send_due(now=sending.now)
    assert why() == Reason.COPY_MISSING
    file().write_text(text_of_copy)
    assert outbox.send_due(now=sending.now + MINUTE)["sent"] == 1
    pause = SendingPause.objects.get()
    assert (pause.ended_at, pause.ended_by) == (sending.now + MINUTE, None)
    assert restores.doubtful_until() is None


# The disk.


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing can be brought to the disk."""

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        yield


def test_with_a_full_disk_nothing_leaves_and_nothing_is_lost(
    sending: World, monkeypatch: pytest.MonkeyPatch, full_disk: None
) -> None:
    queued(sending, "next", now=sending.now)
    held = file().read_text()
    assert outbox.send_due(now=sending.now) == TALLY
    assert why() == Reason.COPY_UNREACHABLE
    assert file().read_text() == held
    assert [path.name for path in outside_copy.folder().iterdir()] == [outside_copy.NAME]
    email = OutgoingEmail.objects.get(key="next")
    assert (email.status, email.attempts) == ("queued", 0)
    with pytest.raises(Refusal) as refused:
        decisions.go_on(by=sending.admin, now=sending.now)
    assert refused.value.code == "copy_unreachable"


def test_when_the_disk_has_room_again_sending_goes_on_by_itself(
    sending: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(sending, "next", now=sending.now)
    with monkeypatch.context() as patch:
        patch.setattr(
            outside_copy, "write", lambda copy: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
        )
        assert outbox.send_due(now=sending.now) == TALLY
    assert outbox.send_due(now=sending.now + MINUTE)["sent"] == 1
    assert why() == ""
    assert SendingPause.objects.get().ended_at == sending.now + MINUTE


def test_a_new_database_whose_copy_cannot_be_written_waits(world: World, full_disk: None) -> None:
    queued(world, "first", now=world.now)
    assert outbox.send_due(now=world.now) == TALLY
    assert (why(), identity().counter) == (Reason.COPY_UNREACHABLE, 0)


def test_a_folder_that_is_a_file_stops_sending(sending: World, tmp_path: Path, settings: Any) -> None:
    (tmp_path / "file").write_text("")
    settings.SENDING_COPY_DIR = str(tmp_path / "file")
    queued(sending, "next", now=sending.now)
    assert outbox.send_due(now=sending.now) == TALLY
    assert why() == Reason.COPY_UNREACHABLE


def test_a_full_disk_does_not_hide_a_restore(sending: World, monkeypatch: pytest.MonkeyPatch) -> None:
    behind()
    outbox.send_due(now=sending.now)
    with monkeypatch.context() as patch:
        patch.setattr(outside_copy, "read_copy", lambda: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        outbox.send_due(now=sending.now + MINUTE)
    assert why() == Reason.COUNTER_BEHIND


# Two senders.


def in_threads(number: int, do: Any) -> None:
    """Run `do(index)` in threads at once, each with a connection of its own."""
    barrier, faults = Barrier(number), []

    def run(index: int) -> None:
        try:
            barrier.wait()
            do(index)
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.mark.django_db(transaction=True)
def test_two_senders_count_one_after_the_other_and_the_copy_is_never_older(world: World) -> None:
    assert outbox.send_due(now=world.now) == TALLY
    in_threads(4, lambda _index: [counter.raise_counter(now=world.now) for _ in range(10)])
    copy = outside_copy.read_copy()
    assert copy is not None
    assert (identity().counter, copy.counter, why()) == (41, 41, "")


@pytest.mark.django_db(transaction=True)
def test_of_two_senders_that_begin_on_a_new_database_none_takes_it_for_a_copy(world: World) -> None:
    in_threads(4, lambda _index: outbox.send_due(now=world.now))
    assert (identity().counter, why()) == (1, "")


@pytest.mark.django_db(transaction=True)
def test_two_senders_that_notice_a_restore_make_one_pause(world: World) -> None:
    outbox.send_due(now=world.now)
    ahead()
    in_threads(4, lambda _index: outbox.send_due(now=world.now))
    assert SendingPause.objects.count() == 1


def test_the_copy_holds_nothing_but_the_identity_the_counter_and_the_time(sending: World) -> None:
    assert set(json.loads(file().read_text())) == {"identity", "counter", "at"}
    assert file().stat().st_mode & 0o777 == 0o600
    assert Path(settings.SENDING_COPY_DIR).stat().st_mode & 0o777 == 0o700
