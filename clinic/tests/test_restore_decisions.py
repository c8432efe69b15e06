"""What goes out after a restore is what a person has said, whichever way out it takes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db import transaction
from django.db.utils import IntegrityError

from clinic import outbox, sms
from clinic.models import AuditEvent, OutgoingEmail, OutgoingText, SendingPause
from clinic.refusals import Refusal
from clinic.restores import decisions, outside_copy
from clinic.restores.decisions import MARKED, ChosenMessages
from clinic.tests.restored_database import HERE, ahead, file, identity, queued, why
from procedures.tests.factories import World

TALLY = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Reason = SendingPause.Reason


def keys(rows: Any) -> list[str]:
    return [row.key for row in rows]


def chosen(*names: str) -> ChosenMessages:
    return ChosenMessages(emails=[OutgoingEmail.objects.get(key=name).pk for name in names])


def test_what_probably_went_out_is_told_from_what_did_not(restored: World) -> None:
    assert keys(decisions.doubtful(OutgoingEmail)) == ["lost"]
    assert keys(decisions.to_go(OutgoingEmail, now=restored.now)) == ["new", "booked"]


def test_with_the_copy_missing_all_that_was_due_by_then_is_doubtful(sending: World) -> None:
    now = sending.now + HOUR
    queued(sending, "due before", now=now, due_at=now - MINUTE)
    file().unlink()
    outbox.send_due(now=now)
    queued(sending, "booked since", now=now + MINUTE)
    assert keys(decisions.doubtful(OutgoingEmail)) == ["due before"]
    assert keys(decisions.to_go(OutgoingEmail, now=now + MINUTE)) == ["booked since"]


def test_what_is_marked_as_sent_never_goes_out_and_who_said_so_is_kept(restored: World) -> None:
    assert decisions.mark_as_sent(chosen("lost"), by=restored.admin, now=restored.now) == 1
    email = OutgoingEmail.objects.get(key="lost")
    assert (email.status, email.sent_at, email.problem) == ("sent", restored.now, MARKED)
    event = AuditEvent.objects.get(action="email.marked_as_sent")
    assert (event.by, event.object_id) == (restored.admin, email.pk)
    decisions.go_on(by=restored.admin, now=restored.now)
    assert AuditEvent.objects.get(action="sending.resumed").by == restored.admin
    before = len(mail.outbox)
    assert outbox.send_due(now=restored.now + MINUTE)["sent"] == 2
    assert len(mail.outbox) == before + 2


def test_what_is_to_go_out_again_goes_when_sending_goes_on(restored: World) -> None:
    assert decisions.send_again(chosen("lost", "new"), by=restored.admin, now=restored.now) == 1
    assert outbox.send_due(now=restored.now)["sent"] == 0
    decisions.go_on(by=restored.admin, now=restored.now)
    assert outbox.send_due(now=restored.now)["sent"] == 3
    assert AuditEvent.objects.get(action="email.sent_again").by == restored.admin


def test_going_on_makes_the_counters_equal_and_above_both(restored: World) -> None:
    copy = outside_copy.read_copy()
    assert copy is not None
    decisions.go_on(by=restored.admin, now=restored.now)
    after = outside_copy.read_copy()
    assert after is not None
    assert after.counter == identity().counter == copy.counter + 1
    assert why() == ""
    pause = SendingPause.objects.get()
    assert (pause.ended_at, pause.ended_by) == (restored.now, restored.admin)


def test_what_nobody_decided_about_stays_where_it_is_also_when_it_turns_up_later(restored: World) -> None:
    decisions.go_on(by=restored.admin, now=restored.now)
    # Held back until the morning: its question fell due in the time that is lost.
    morning = restored.now + 10 * HOUR
    queued(restored, "after the quiet hours", now=morning, due_at=restored.now - HOUR)
    assert outbox.send_due(now=morning)["sent"] == 2
    assert keys(decisions.doubtful(OutgoingEmail)) == ["lost", "after the quiet hours"]
    assert outbox.send_due(now=morning + timedelta(days=1)) == TALLY
    decisions.send_again(chosen("after the quiet hours"), by=restored.admin, now=morning)
    assert outbox.send_due(now=morning)["sent"] == 1


def test_texts_are_decided_about_as_e_mails_are(sending: World, settings: Any) -> None:
    settings.SMS_BACKEND = "clinic.sms.ConsoleBackend"
    now = sending.now + HOUR
    for key, due in (("lost", sending.now), ("again", sending.now), ("new", now)):
        sms.queue(key, template=HERE + "text", context={}, site=sending.site, now=now, due_at=due)
    ahead()
    sms.send_due(now=now)
    rows = {row.key: row for row in OutgoingText.objects.all()}
    assert keys(decisions.doubtful(OutgoingText)) == ["lost", "again"]
    decisions.mark_as_sent(ChosenMessages(texts=[rows["lost"].pk]), by=sending.admin, now=now)
    decisions.send_again(ChosenMessages(texts=[rows["again"].pk]), by=sending.admin, now=now)
    decisions.go_on(by=sending.admin, now=now)
    assert sms.send_due(now=now)["sent"] == 2
    assert OutgoingText.objects.get(key="lost").problem == MARKED


def test_an_e_mail_that_was_being_sent_in_the_dump_probably_went_out(sending: World) -> None:
    email = queued(sending, "claimed in the dump", now=sending.now)
    OutgoingEmail.objects.filter(pk=email.pk).update(status="sending", claimed_at=sending.now, attempts=1)
    ahead()
    outbox.send_due(now=sending.now + HOUR)
    assert keys(decisions.doubtful(OutgoingEmail)) == ["claimed in the dump"]
    decisions.go_on(by=sending.admin, now=sending.now + HOUR)
    assert outbox.send_due(now=sending.now + 2 * HOUR) == TALLY
    decisions.send_again(chosen("claimed in the dump"), by=sending.admin, now=sending.now + 2 * HOUR)
    assert outbox.send_due(now=sending.now + 2 * HOUR)["sent"] == 1


def test_trying_again_by_hand_is_a_decision_too(restored: World) -> None:
    email = OutgoingEmail.objects.get(key="lost")
    OutgoingEmail.objects.filter(pk=email.pk).update(status="failed")
    assert outbox.retry([email.pk], by=restored.admin, now=restored.now) == 1
    assert outbox.send_due(now=restored.now) == TALLY  # not before sending goes on
    decisions.go_on(by=restored.admin, now=restored.now)
    assert outbox.send_due(now=restored.now)["sent"] == 3


def test_sending_that_is_not_paused_cannot_go_on(sending: World) -> None:
    with pytest.raises(Refusal) as refused:
        decisions.go_on(by=sending.admin, now=sending.now)
    assert refused.value.code == "not_paused"


def test_the_original_notices_a_copy_that_counts_in_the_same_folder(restored: World) -> None:
    """Both use one folder, and somebody let the copy send: then the original stands still, too."""
    original = identity().counter
    decisions.go_on(by=restored.admin, now=restored.now)
    copy = outside_copy.read_copy()
    assert copy is not None
    assert original < copy.counter


def test_there_is_never_more_than_one_open_pause(restored: World) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SendingPause.objects.create(reason=Reason.COPY_MISSING, began_at=restored.now, counter=1)


# Every door.


def test_nothing_else_hands_anything_to_a_mail_server_or_a_text_service() -> None:
    """Who sends goes through `clinic.outbox.delivery` or `clinic.sms`, which ask first; there is no other way out."""
    ways_out = {
        "get_connection(": {"clinic/outbox/delivery.py"},
        "send_mail": set(),
        "send_mass_mail": set(),
        "mail_admins": set(),
        "mail_managers": set(),
        "email_user": set(),
        "smtplib": {"clinic/outbox/delivery.py", "outcomes/demo/mail_server.py"},
        "EmailMultiAlternatives": {"clinic/outbox/messages.py"},
        "SMS_BACKEND)()": {"clinic/sms.py"},
    }
    root = Path(settings.BASE_DIR)
    files = [
        path
        for app in ("clinic", "patients", "procedures", "outcomes")
        for path in (root / app).rglob("*.py")
        if "tests" not in path.parts
    ]
    for name, allowed in ways_out.items():
        found = {str(path.relative_to(root)) for path in files if name in path.read_text()}
        assert found == allowed, name
