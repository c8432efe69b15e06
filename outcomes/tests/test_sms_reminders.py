"""A text instead of the second reminder: once, without a health word, and only to those who agreed."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.core import mail
from django.db.models import F

from clinic import outbox, sms
from clinic.models import OutgoingText, Site
from outcomes import services
from outcomes.models import CheckIn, ContactAttempt
from outcomes.services.sms_reminders import text_due
from patients.models import Patient
from procedures.tests.factories import World

TALLY = {"sent": 0, "skipped": 0, "put_back": 0, "failed": 0}


class Provider:
    """Takes texts, or fails."""

    sent: ClassVar[list[tuple[str, str]]] = []
    fails: ClassVar[type[Exception] | None] = None

    def send(self, to: str, text: str) -> str:
        Provider.sent.append((to, text))
        if Provider.fails:
            raise Provider.fails(f"{to} is away")
        return "name"


@pytest.fixture
def provider(settings: Any) -> type[Provider]:
    settings.SMS_BACKEND = "outcomes.tests.test_sms_reminders.Provider"
    Provider.sent, Provider.fails = [], None
    return Provider


@pytest.fixture
def due(world: World) -> CheckIn:
    """A check-in of somebody who agreed to texts, reminded once and not answered; its second reminder is due."""
    Patient.objects.update(sms_consented_at=world.now, phone="+1 212 555 0123", language="es")
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.invite_due(now=check_in.due_at)
    check_in.refresh_from_db()
    check_in.reminders, check_in.remind_at = 1, check_in.due_at
    check_in.save(update_fields=["reminders", "remind_at"])
    return check_in


def state() -> list[tuple[str, str]]:
    return list(OutgoingText.objects.values_list("status", "problem"))


def test_the_text_goes_once_with_a_link_that_opens_and_nothing_about_health(
    due: CheckIn, provider: type[Provider], caplog: pytest.LogCaptureFixture
) -> None:
    now = due.due_at
    assert (text_due(now=now), text_due(now=now)) == (1, 0)
    assert sms.send_due(now=now) == TALLY | {"sent": 1}
    assert sms.send_due(now=now)["sent"] == 0
    ((to, text),) = provider.sent
    words, _, link = text.rpartition(" ")
    assert (to, words) == ("+1 212 555 0123", "¿Cómo está?")
    found = services.open_link(link.split("/")[-2], now=now)
    assert found == due
    due.refresh_from_db()
    assert (due.reminders, due.remind_at) == (2, None)
    assert due.call_at  # and then somebody telephones
    assert due.call_at > now
    attempt = ContactAttempt.objects.get(kind="sms")
    assert (attempt.outcome, attempt.check_in) == ("queued", due)
    assert "555" not in caplog.text
    assert OutgoingText.objects.get().provider_id == "name"


def test_on_the_ladder_it_takes_the_place_of_the_second_reminder(
    world: World, provider: type[Provider]
) -> None:
    Patient.objects.update(sms_consented_at=world.now, phone="+1 212 555 0123")
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=92 * 1440)
    world.site.quiet_from = world.site.quiet_until  # no quiet hours
    world.site.save()
    now: datetime | None = check_in.due_at
    for _ in range(3):
        assert now
        services.tick(now=now)
        check_in.refresh_from_db()
        now = check_in.remind_at
    assert now is None
    said = list(check_in.contact_attempts.values_list("kind", "outcome"))
    assert said == [("invitation", "queued"), ("reminder", "queued"), ("sms", "queued")]
    assert state() == [("queued", "")]


def test_a_patient_without_a_telephone_stops_nobody_after_them(
    world: World, due: CheckIn, provider: type[Provider]
) -> None:
    other = world.performed(patient=world.another_patient(), hour=12).follow_up.check_ins.get(
        offset_minutes=1440
    )
    CheckIn.objects.filter(pk=other.pk).update(
        status="invited", invited_at=due.due_at, reminders=1, remind_at=due.due_at
    )
    Patient.objects.filter(pk=world.patient.pk).update(phone="")
    Patient.objects.exclude(pk=world.patient.pk).update(sms_consented_at=world.now, phone="+1 212 555 0124")
    assert text_due(now=due.due_at) == 1
    assert ContactAttempt.objects.get(kind="sms").check_in == other


def test_a_patient_gets_one_text_at_a_time(due: CheckIn, provider: type[Provider]) -> None:
    other = CheckIn.objects.exclude(pk=due.pk).order_by("due_at")[0]
    CheckIn.objects.filter(pk=other.pk).update(
        status="invited", invited_at=due.due_at, reminders=1, remind_at=due.due_at
    )
    assert text_due(now=due.due_at) == 1


@pytest.mark.parametrize(
    "patients", [{"sms_consented_at": None}, {"opted_out_at": "2027-01-12T00:00Z"}, {"phone": ""}]
)
def test_who_did_not_agree_or_stopped_gets_none(
    due: CheckIn, provider: type[Provider], patients: dict[str, Any]
) -> None:
    Patient.objects.update(**patients)
    assert text_due(now=due.due_at) == 0
    assert not ContactAttempt.objects.filter(kind="sms").exists()


@pytest.mark.parametrize(
    "changes", [{"reminders": 0}, {"reminders": 2}, {"status": "answered"}, {"remind_at": None}]
)
def test_only_in_place_of_the_second_reminder(
    due: CheckIn, provider: type[Provider], changes: dict[str, Any]
) -> None:
    CheckIn.objects.filter(pk=due.pk).update(**changes)
    assert text_due(now=due.due_at) == 0


def test_without_a_provider_reminders_stay_e_mails(due: CheckIn, settings: Any) -> None:
    settings.SMS_BACKEND = ""
    assert text_due(now=due.due_at) == 0
    assert sms.send_due(now=due.due_at) == TALLY
    due.refresh_from_db()
    assert due.reminders == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda due: CheckIn.objects.filter(pk=due.pk).update(status="answered"), "answered"),
        (lambda due: CheckIn.objects.filter(pk=due.pk).update(status="voided"), "closed"),
        (lambda due: Patient.objects.update(opted_out_at=due.due_at), "opted_out"),
        (lambda due: Patient.objects.update(died_on=F("born_on")), "deceased"),
        (lambda due: Site.objects.update(emails_paused=True), "paused"),
    ],
)
def test_it_is_looked_at_once_more_when_it_is_sent(
    due: CheckIn, provider: type[Provider], change: Any, reason: str
) -> None:
    text_due(now=due.due_at)
    change(due)
    assert sms.send_due(now=due.due_at)["skipped"] == 1
    assert (state(), provider.sent) == ([("skipped", reason)], [])


def test_a_text_in_the_quiet_hours_waits_for_the_morning(due: CheckIn, provider: type[Provider]) -> None:
    text_due(now=due.due_at)
    Site.objects.update(quiet_from="09:00", quiet_until="11:30")
    assert sms.send_due(now=due.due_at)["put_back"] == 1
    assert (state(), provider.sent) == ([("queued", "quiet_hours")], [])
    assert sms.send_due(now=due.due_at + timedelta(minutes=89)) == TALLY
    assert sms.send_due(now=due.due_at + timedelta(minutes=90))["sent"] == 1
    assert (state(), OutgoingText.objects.get().attempts) == ([("sent", "")], 1)


def test_a_text_that_was_not_taken_is_tried_again_and_in_the_end_given_up(
    due: CheckIn, provider: type[Provider], caplog: pytest.LogCaptureFixture
) -> None:
    now = due.due_at
    text_due(now=now)
    provider.fails = ConnectionError
    for pause in outbox.PAUSES:
        assert sms.send_due(now=now)["put_back"] == 1
        assert sms.send_due(now=now + pause - timedelta(seconds=1)) == TALLY
        now += pause
    assert sms.send_due(now=now)["failed"] == 1
    provider.fails = None
    assert sms.send_due(now=now + timedelta(days=1)) == TALLY
    assert (state(), len(provider.sent)) == ([("failed", "ConnectionError")], outbox.TRIES)
    assert "555" not in caplog.text


def test_a_text_that_was_not_taken_goes_out_later_unless_the_patient_has_answered(
    due: CheckIn, provider: type[Provider]
) -> None:
    text_due(now=due.due_at)
    provider.fails = ConnectionError
    sms.send_due(now=due.due_at)
    provider.fails = None
    CheckIn.objects.filter(pk=due.pk).update(status="answered")
    assert sms.send_due(now=due.due_at + outbox.PAUSES[0])["skipped"] == 1
    assert (state(), len(provider.sent)) == ([("skipped", "answered")], 1)


def test_a_text_that_may_have_gone_is_never_sent_a_second_time(
    due: CheckIn, provider: type[Provider]
) -> None:
    text_due(now=due.due_at)
    provider.fails = sms.SmsOutcomeUnknown
    assert sms.send_due(now=due.due_at)["failed"] == 1
    provider.fails = None
    assert sms.send_due(now=due.due_at + timedelta(days=1)) == TALLY
    assert (state(), len(provider.sent)) == ([("failed", "SmsOutcomeUnknown")], 1)


def test_a_sender_that_died_leaves_a_row_that_failed_and_no_second_text(
    due: CheckIn, provider: type[Provider]
) -> None:
    text_due(now=due.due_at)
    assert sms.claim(now=due.due_at)
    assert sms.claim(now=due.due_at) is None
    assert sms.send_due(now=due.due_at + timedelta(minutes=14)) == TALLY
    assert sms.send_due(now=due.due_at + sms.CLAIM_LASTS)["failed"] == 1
    assert (state(), provider.sent) == ([("failed", "abandoned")], [])


@pytest.mark.parametrize("debug", [True, False])
def test_the_console_shows_texts_only_where_people_develop_and_prints_them_nowhere(
    settings: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG, settings.SMS_BACKEND = debug, "clinic.sms.ConsoleBackend"
    console = sms.backend()
    assert console
    assert console.send("+1 212 555 0123", "How are you?")
    shown = [(message.subject, message.body) for message in mail.outbox]
    assert shown == ([("Text message to +1 212 555 0123", "How are you?")] if debug else [])
    said = capsys.readouterr()
    assert "555" not in caplog.text + said.out + said.err
