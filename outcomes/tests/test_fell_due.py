"""Whatever the tick finds late says since when it was due: by that a restore tells what had gone out already."""

from datetime import time, timedelta
from typing import Any

import pytest

from clinic.models import OutgoingEmail, OutgoingText
from outcomes import services
from outcomes.models import Alert, CheckIn
from outcomes.services.alert_emails import OVERDUE, announce
from outcomes.services.invitations import invitation_key
from outcomes.services.sms_reminders import text_due, text_key
from patients.models import Patient
from procedures.tests.factories import World

LATE = timedelta(hours=2)


@pytest.fixture
def check_in(world: World) -> CheckIn:
    world.site.quiet_from = world.site.quiet_until = time(0)
    world.site.save()
    found: CheckIn = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    return found


def test_an_invitation(check_in: CheckIn) -> None:
    services.invite_due(now=check_in.due_at + LATE)
    row = OutgoingEmail.objects.get(key=invitation_key(check_in))
    assert (row.due_at, row.created_at) == (check_in.due_at, check_in.due_at + LATE)


def test_a_reminder(check_in: CheckIn) -> None:
    services.invite_due(now=check_in.due_at)
    check_in.refresh_from_db()
    assert check_in.remind_at is not None
    services.remind_due(now=check_in.remind_at + timedelta(minutes=5))
    row = OutgoingEmail.objects.get(key__contains="reminder")
    assert row.due_at == check_in.remind_at


def test_a_text_message(check_in: CheckIn, settings: Any) -> None:
    settings.SMS_BACKEND = "clinic.sms.ConsoleBackend"
    Patient.objects.update(sms_consented_at=check_in.due_at, phone="+1 212 555 0123")
    services.invite_due(now=check_in.due_at)
    CheckIn.objects.filter(pk=check_in.pk).update(reminders=1, remind_at=check_in.due_at)
    assert text_due(now=check_in.due_at + LATE) == 1
    assert OutgoingText.objects.get(key=text_key(check_in)).due_at == check_in.due_at


def test_an_alert_that_is_overdue(world: World) -> None:
    world.site.alert_email = "alerts@example.org"
    world.site.save()
    due_at = world.now + timedelta(days=3)
    alert = Alert.objects.create(
        site=world.site,
        patient=world.patient,
        follow_up=world.performed().follow_up,
        kind="no_relief",
        urgency="routine",
        raised_at=world.now,
        due_at=due_at,
    )
    announce(alert, OVERDUE, now=due_at + LATE)
    assert OutgoingEmail.objects.get(template="outcomes.emails.alert").due_at == due_at
