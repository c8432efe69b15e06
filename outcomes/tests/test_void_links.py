"""Links outlive no address, wish or patient: what was e-mailed before opens nothing, and still stops e-mail."""

import re
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import OutgoingEmail
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Answer, CheckIn, Link
from patients import services as patients
from patients.models import FormerAddress, Patient
from procedures import services as procedures
from procedures.models import Appointment, AppointmentLink
from procedures.tests.factories import World

NEW = "new@example.org"


@pytest.fixture
def asked(world: World, clock: list[datetime]) -> CheckIn:
    """A check-in that was e-mailed just now, to a patient with an appointment who has been written of it."""
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    coming = world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9))
    procedures.book(coming, by=None, now=world.now)
    services.tick(now=check_in.due_at)
    outbox.send_due(now=check_in.due_at)
    assert kinds(world.patient.email) == ["a", "c", "p"]
    return check_in


def kinds(address: str) -> list[str]:
    """What the newest e-mails to an address link to, by the first letter of the path."""
    return sorted({path[1] for path in paths(address)} - {"u"})


def paths(address: str) -> list[str]:
    """The paths of the links in all e-mails to an address, the oldest first."""
    texts = [str(message.body) for message in mail.outbox if message.to == [address]]
    return [
        path for text in texts for path in re.findall(r"http://testserver(/[acp]/[A-Za-z0-9_-]{43}/)", text)
    ]


def correct_address(world: World, now: datetime, email: str = NEW) -> None:
    patient = Patient.objects.get(pk=world.patient.pk)
    patient.email = email
    patients.save(patient, changed=["email"], insist=True, by=world.clerk, now=now)


def died(world: World, now: datetime) -> None:
    patient = Patient.objects.get(pk=world.patient.pk)
    patient.died_on = now.astimezone(world.site.zone).date()
    patients.save(patient, changed=["died_on"], by=world.clerk, now=now)


def merged(world: World, now: datetime) -> None:
    patients.merge(world.patient.pk, world.another_patient().pk, by=world.admin, now=now)


def withdrew(world: World, now: datetime) -> None:
    patients.withdraw_consent(world.patient.pk, by=world.clerk, now=now)


def opted_out(world: World, now: datetime) -> None:
    patients.opt_out(world.patient.pk, by=None, now=now)


@pytest.mark.parametrize("cause", [correct_address, died, merged, withdrew, opted_out])
def test_what_was_sent_before_opens_nothing(
    asked: CheckIn, world: World, client: Client, clock: list[datetime], cause: object
) -> None:
    before = paths(world.patient.email)
    assert {client.get(path).status_code for path in before} == {200}
    assert callable(cause)
    cause(world, clock[0])
    for path in before:
        page = client.get(path)
        assert page.status_code == 410
        text = page.content.decode()
        assert world.site.emergency_phone in text
        assert world.site.phone in text
        assert world.patient.given_name not in text
        assert client.post(path, {"nrs.now": "0", "reply": "change"}).status_code == 410
    assert client.get(f"{before[0]}before/").status_code in (404, 410)
    assert not Answer.objects.exists()
    assert not Appointment.objects.filter(wants_change_at__isnull=False).exists()
    assert not Link.objects.filter(revoked_at=None).exists()
    assert not AppointmentLink.objects.filter(revoked_at=None).exists()


def test_what_is_open_is_asked_at_the_new_address(
    asked: CheckIn, world: World, client: Client, clock: list[datetime]
) -> None:
    clock[0] += timedelta(hours=1)
    correct_address(world, clock[0])
    outbox.send_due(now=clock[0])
    assert kinds(NEW) == ["a", "c", "p"]
    assert {client.get(path).status_code for path in paths(NEW)} == {200}
    asked.refresh_from_db()
    assert (asked.status, asked.invited_at, asked.call_at) == (CheckIn.Status.INVITED, clock[0], None)
    assert asked.remind_at is not None
    assert asked.remind_at > clock[0]
    count = len(mail.outbox)
    correct_address(world, clock[0])  # nothing new
    outbox.send_due(now=clock[0])
    assert len(mail.outbox) == count


def test_what_waits_in_the_outbox_goes_to_the_new_address(world: World, clock: list[datetime]) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    correct_address(world, clock[0])
    outbox.send_due(now=clock[0])
    assert [message.to for message in mail.outbox] == [[NEW]]
    assert set(OutgoingEmail.objects.filter(status="sent").values_list("to", flat=True)) == {NEW}


def test_who_had_no_good_address_is_asked_after_all(world: World, clock: list[datetime]) -> None:
    Patient.objects.update(email="")
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    check_in.refresh_from_db()
    assert (check_in.status, check_in.not_sent_reason) == (CheckIn.Status.PLANNED, "no_address")
    correct_address(world, clock[0])
    services.tick(now=clock[0] + timedelta(minutes=1))
    check_in.refresh_from_db()
    assert (check_in.status, check_in.not_sent_reason, check_in.call_at) == ("invited", "", None)


@pytest.mark.parametrize("of", ["stop", "page"])
def test_a_dead_link_stops_e_mail_to_its_own_address_alone(
    asked: CheckIn, world: World, client: Client, clock: list[datetime], of: str
) -> None:
    old = world.patient.email
    wife = world.another_patient(email=old.upper())
    path = next(path for path in paths(old) if path[1] == ("c" if of == "stop" else "a"))
    clock[0] += timedelta(hours=1)
    correct_address(world, clock[0])
    for _ in range(2):
        if of == "stop":
            address = f"{path}stop/"
        else:
            found = re.search(r'href="(/u/[^"?]+)', client.get(path).content.decode())
            assert found
            address = found[1]
        assert client.get(address).status_code == client.post(address).status_code == 200
    world.patient.refresh_from_db()
    wife.refresh_from_db()
    assert world.patient.opted_out_at is None, "the new address gets e-mail as before"
    assert wife.opted_out_at == clock[0], "whoever else is written to there"
    correct_address(world, clock[0], old)  # a clerk takes it back
    world.patient.refresh_from_db()
    assert world.patient.opted_out_at == clock[0]
    assert FormerAddress.objects.filter(stopped_at=clock[0]).count() == 1


def test_the_header_of_an_old_e_mail_stops_its_address_alone(
    asked: CheckIn, world: World, client: Client, clock: list[datetime]
) -> None:
    header = mail.outbox[-1].extra_headers["List-Unsubscribe"]
    path = header.strip("<>").removeprefix("http://testserver")
    clock[0] += timedelta(hours=1)
    correct_address(world, clock[0])
    assert client.get(path).status_code == 200
    assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    world.patient.refresh_from_db()
    assert world.patient.opted_out_at is None
    assert FormerAddress.objects.get().stopped_at == clock[0]


def test_after_stopping_the_same_button_says_that_it_is_stopped(
    asked: CheckIn, world: World, client: Client, clock: list[datetime]
) -> None:
    path = next(path for path in paths(world.patient.email) if path[1] == "c")
    first = client.post(f"{path}stop/")
    again = client.post(f"{path}stop/")
    assert (first.status_code, again.status_code) == (200, 200)
    world.patient.refresh_from_db()
    assert world.patient.opted_out_at == clock[0]


def test_saving_something_else_of_an_older_copy_changes_no_address(world: World) -> None:
    older = Patient.objects.get(pk=world.patient.pk)
    correct_address(world, world.now)
    key = Patient.objects.get(pk=world.patient.pk).unsubscribe_key
    older.phone = "+1 212 555 0142"
    patients.save(older, changed=["phone"], by=world.clerk, now=world.now)
    stands = Patient.objects.get(pk=world.patient.pk)
    assert (stands.email, stands.phone, stands.unsubscribe_key) == (NEW, "+1 212 555 0142", key)
    assert FormerAddress.objects.count() == 1


def test_whoever_agreed_again_at_a_former_address_stops_there_again(
    asked: CheckIn, world: World, client: Client, clock: list[datetime]
) -> None:
    old = world.patient.email
    path = f"{next(path for path in paths(old) if path[1] == 'c')}stop/"
    correct_address(world, clock[0])
    client.post(path)
    correct_address(world, clock[0], old)  # it was right after all
    patient = Patient.objects.get(pk=world.patient.pk)
    patient.opted_out_at = None  # and the patient wants e-mail again
    patients.save(patient, changed=["opted_out_at"], by=world.clerk, now=clock[0])
    assert 'method="post"' in client.get(path).content.decode(), "there is something to stop again"
    clock[0] += timedelta(hours=1)
    assert client.post(path).status_code == 200
    patient.refresh_from_db()
    assert patient.opted_out_at == clock[0]
    assert 'method="post"' not in client.get(path).content.decode()


def test_an_address_that_is_corrected_twice_gets_one_letter(
    asked: CheckIn, world: World, clock: list[datetime]
) -> None:
    old, count = world.patient.email, len(mail.outbox)
    for email in ("typo@example.org", NEW, old):
        clock[0] += timedelta(minutes=1)
        correct_address(world, clock[0], email)
    outbox.send_due(now=clock[0])
    assert [message.to for message in mail.outbox[count:]] == [[old], [old]], (
        "the question and the appointment"
    )
    clock[0] += timedelta(minutes=1)
    correct_address(world, clock[0])  # only now the first letter's second one has gone out
    outbox.send_due(now=clock[0])
    assert kinds(NEW) == ["a", "c", "p"]


def test_who_knows_of_an_appointment_by_its_reminder_alone_is_told_at_the_new_address(
    world: World, clock: list[datetime]
) -> None:
    coming = world.appointment(starts_at=world.at(MONDAY, 9))
    procedures.book(coming, by=None, now=world.now, quietly=True)
    clock[0] = world.at(MONDAY, 9) - timedelta(hours=20)
    services.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    assert "a" in kinds(world.patient.email)
    correct_address(world, clock[0])
    outbox.send_due(now=clock[0])
    assert kinds(NEW) == ["a"]


@pytest.mark.parametrize("sent", [True, False])
def test_what_is_open_is_asked_again_when_a_death_is_taken_back(
    world: World, client: Client, clock: list[datetime], sent: bool
) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    if sent:
        services.tick(now=clock[0])
        outbox.send_due(now=clock[0])
    died(world, clock[0])
    clock[0] += timedelta(minutes=10)
    services.tick(now=clock[0])
    patient = Patient.objects.get(pk=world.patient.pk)
    patient.died_on = None
    patients.save(patient, changed=["died_on"], by=world.clerk, now=clock[0])
    count = len(mail.outbox)
    clock[0] += timedelta(minutes=1)
    services.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    assert len(mail.outbox) == count + 1
    newest = paths(world.patient.email)[-2:]
    assert {client.get(path).status_code for path in newest} == {200}
    check_in.refresh_from_db()
    assert (check_in.status, check_in.not_sent_reason) == (CheckIn.Status.INVITED, "")
