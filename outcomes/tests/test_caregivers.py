"""A caregiver is asked in the patient's place, answers as a proxy, and can be revoked at any time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic import outbox
from clinic.models import AuditEvent
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, CheckIn, Draft, Link
from outcomes.services import sms_reminders
from outcomes.services.sms_reminders import text_due
from outcomes.tests.caregiving import ask, paths, question
from outcomes.tests.factories import insist
from patients import services as patients
from patients.admin import to_correct
from patients.models import Caregiver, FormerAddress, Patient
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures.tests.factories import World


def sent_to() -> list[str]:
    return [message.to[0] for message in mail.outbox]


def revoke(caregiver: Caregiver, world: World, now: datetime) -> None:
    patients.revoke_caregiver(caregiver.pk, reason="moved away", by=world.clerk, now=now)


def test_who_answers_is_asked_in_the_patients_place(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    assert sent_to() == [DAUGHTER]
    letter = mail.outbox[0]
    text = f"{letter.subject} {letter.body}"
    for secret in (world.patient.given_name, world.patient.family_name, daughter.name, "ablation", "pain"):
        assert secret.lower() not in text.lower()
    assert str(daughter.unsubscribe_key) != str(world.patient.unsubscribe_key)
    assert set(Link.objects.values_list("caregiver", flat=True)) == {daughter.pk}
    page = client.get(question(DAUGHTER))
    assert page.status_code == 200
    assert world.patient.given_name not in page.content.decode()
    insist(client, question(DAUGHTER), {"step": "1", "nrs.now": "6"})
    answer = Answer.objects.get(check_in=check_in)
    assert (answer.answered_by, answer.caregiver, answer.channel) == ("caregiver", daughter, "email")
    assert AuditEvent.objects.get(action="check_in.answered").actor == "caregiver"


@pytest.mark.parametrize(
    ("said", "to"),
    [
        ({}, [DAUGHTER]),
        ({"consented_at": None, "consent_version": ""}, ["patient"]),
        ({"opted_out_at": True}, ["patient"]),
        ({"bounced_at": True}, ["patient"]),
        ({"revoked_at": True, "revoked_reason": "x"}, ["patient"]),
    ],
)
def test_the_patient_is_asked_while_no_e_mail_may_go_to_the_caregiver(
    world: World, clock: list[datetime], said: dict[str, Any], to: list[str]
) -> None:
    daughter = caregiver(world)
    Caregiver.objects.filter(pk=daughter.pk).update(
        **{name: world.now if value is True else value for name, value in said.items()}
    )
    ask(world, clock)
    assert sent_to() == [world.patient.email if daughter == "patient" else daughter for daughter in to]


def test_without_the_patients_agreement_the_caregiver_is_asked_all_the_same(
    world: World, clock: list[datetime]
) -> None:
    Patient.objects.update(consented_at=None, consent_version="", email="")
    check_in = ask(world, clock)
    assert (check_in.status, check_in.not_sent_reason) == ("planned", "no_address")
    assert check_in.call_at == clock[0]
    clock[0] += timedelta(hours=1)
    caregiver(world, now=clock[0])
    services.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER]
    check_in = CheckIn.objects.get(pk=check_in.pk)
    assert (check_in.status, check_in.call_at) == ("invited", None)


def test_a_dead_patients_caregiver_is_asked_nothing(world: World, clock: list[datetime]) -> None:
    caregiver(world)
    check_in = ask(world, clock)
    Patient.objects.update(died_on=clock[0].date())
    services.remind_due(now=check_in.due_at + timedelta(days=2))
    outbox.send_due(now=check_in.due_at + timedelta(days=2))
    assert sent_to() == [DAUGHTER]
    check_in.refresh_from_db()
    assert check_in.call_at is None


def test_reminders_go_to_whoever_answers(world: World, clock: list[datetime]) -> None:
    caregiver(world)
    check_in = ask(world, clock)
    assert check_in.remind_at
    clock[0] = check_in.remind_at + timedelta(hours=6)  # by day
    services.remind_due(now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, DAUGHTER]


def test_what_the_patient_was_sent_opens_nothing_once_somebody_else_answers(
    world: World, client: Client, clock: list[datetime]
) -> None:
    check_in = ask(world, clock)
    before = paths(world.patient.email)
    services.save_step(check_in.pk, values={"nrs.now": 7}, remark="mine", step=1, now=clock[0])
    clock[0] += timedelta(minutes=5)
    caregiver(world, now=clock[0])
    outbox.send_due(now=clock[0])
    assert {client.get(path).status_code for path in before} == {410}
    assert {client.get(path).status_code for path in paths(DAUGHTER)} == {200}
    assert not Draft.objects.exists(), "nobody reads or sends what somebody else typed"
    assert sent_to() == [world.patient.email, DAUGHTER]


def test_after_a_revocation_the_patient_is_asked_again(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    before = paths(DAUGHTER)
    clock[0] += timedelta(minutes=5)
    revoke(daughter, world, clock[0])
    outbox.send_due(now=clock[0])
    assert {client.get(path).status_code for path in before} == {410}
    assert sent_to() == [DAUGHTER, world.patient.email]
    check_in.refresh_from_db()
    assert (check_in.status, check_in.invited_at) == ("invited", clock[0])
    insist(client, question(world.patient.email), {"step": "1", "nrs.now": "3"})
    answer = Answer.objects.get()
    assert (answer.answered_by, answer.caregiver) == ("patient", None)
    daughter.refresh_from_db()
    assert (daughter.revoked_at, daughter.revoked_by, daughter.revoked_reason) == (
        clock[0],
        world.clerk,
        "moved away",
    )
    revoke(daughter, world, clock[0] + timedelta(days=1))
    daughter.refresh_from_db()
    assert daughter.revoked_at == clock[0], "a second time changes nothing"


def test_after_a_revocation_somebody_telephones_where_no_e_mail_may_go_to_the_patient(
    world: World, clock: list[datetime]
) -> None:
    Patient.objects.update(consented_at=None, consent_version="")
    daughter = caregiver(world)
    check_in = ask(world, clock)
    clock[0] += timedelta(minutes=5)
    revoke(daughter, world, clock[0])
    check_in.refresh_from_db()
    assert (check_in.remind_at, check_in.call_at) == (None, clock[0])
    assert check_in.contact_attempts.filter(outcome="skipped", reason="no_consent").exists()


def test_a_corrected_address_is_asked_anew_and_the_old_one_stops_itself_alone(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    ask(world, clock)
    before = paths(DAUGHTER)
    header = mail.outbox[-1].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://testserver")
    clock[0] += timedelta(minutes=5)
    daughter.email = "rosa@example.org"
    patients.save_caregiver(daughter, changed=["email"], by=world.clerk, now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, "rosa@example.org"]
    assert {client.get(path).status_code for path in before} == {410}
    assert {client.get(path).status_code for path in paths("rosa@example.org")} == {200}
    assert client.post(header, {"List-Unsubscribe": "One-Click"}).status_code == 200
    daughter.refresh_from_db()
    assert daughter.opted_out_at is None
    assert FormerAddress.objects.get().stopped_at == clock[0]
    daughter.email = DAUGHTER
    patients.save_caregiver(daughter, changed=["email"], by=world.clerk, now=clock[0])
    assert daughter.opted_out_at == clock[0], "whoever reads it wants no e-mail from here"


@pytest.mark.parametrize("of", ["header", "page"])
def test_a_caregivers_stop_stops_the_caregiver_alone(
    world: World, client: Client, clock: list[datetime], of: str
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    header = mail.outbox[-1].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://testserver")
    address = header if of == "header" else f"{question(DAUGHTER)}stop/"
    assert client.get(address).status_code == 200
    clock[0] += timedelta(minutes=5)
    assert client.post(address).status_code == client.post(address).status_code == 200
    daughter.refresh_from_db()
    world.patient.refresh_from_db()
    assert (daughter.opted_out_at, world.patient.opted_out_at) == (clock[0], None)
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, world.patient.email]
    assert client.get(question(DAUGHTER)).status_code == 410
    check_in.refresh_from_db()
    assert check_in.status == "invited"


def test_a_patients_stop_leaves_the_caregiver_asked(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world)
    check_in = ask(world, clock)
    patients.opt_out(world.patient.pk, by=None, now=clock[0])
    assert {client.get(path).status_code for path in paths(DAUGHTER)} == {200}
    assert check_in.remind_at
    clock[0] = check_in.remind_at + timedelta(hours=6)  # by day
    services.remind_due(now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, DAUGHTER]


def test_a_new_address_of_the_patient_asks_no_caregiver_twice(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world)
    ask(world, clock)
    patient = Patient.objects.get(pk=world.patient.pk)
    patient.email = "new@example.org"
    patients.save(patient, changed=["email"], by=world.clerk, now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER]
    assert {client.get(path).status_code for path in paths(DAUGHTER)} == {200}


def test_a_bounce_marks_the_caregiver_and_asks_the_patient(world: World, clock: list[datetime]) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    email = check_in.contact_attempts.get().email
    assert email is not None
    clock[0] += timedelta(minutes=5)
    outbox.delivery_reports.note(email, "bounced", now=clock[0])
    daughter.refresh_from_db()
    world.patient.refresh_from_db()
    assert (daughter.bounced_at, world.patient.bounced_at) == (clock[0], None)
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, world.patient.email]
    check_in.refresh_from_db()
    assert check_in.call_at is None


def test_a_complaint_stops_everybody_at_that_address(world: World, clock: list[datetime]) -> None:
    daughter, other = caregiver(world), world.another_patient(email=DAUGHTER.upper())
    check_in = ask(world, clock)
    email = check_in.contact_attempts.get().email
    assert email is not None
    outbox.delivery_reports.note(email, "complained", now=clock[0])
    daughter.refresh_from_db()
    other.refresh_from_db()
    world.patient.refresh_from_db()
    assert daughter.opted_out_at == other.opted_out_at == clock[0]
    assert world.patient.opted_out_at is None


def test_an_answer_that_comes_in_after_the_revocation_is_refused(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    path = question(DAUGHTER)
    opened = services.open_link(path.split("/")[2], now=clock[0])
    assert opened is not None
    assert opened.opened_by == daughter
    revoke(daughter, world, clock[0])
    with pytest.raises(Refusal) as refused:
        services.store_answer(
            check_in.pk,
            values={"nrs.now": 5},
            channel="email",
            language="en",
            caregiver=opened.opened_by,
            by=None,
            now=clock[0],
        )
    assert refused.value.code == "revoked"
    assert client.post(path, {"step": "1", "nrs.now": "5"}).status_code == 410
    assert not Answer.objects.exists()


def test_a_link_that_is_written_while_the_caregiver_is_revoked_opens_nothing(
    world: World, client: Client, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    check_in = ask(world, clock)
    revoke(daughter, world, clock[0])
    # As a sender does that read the caregiver just before: its link is stored after those before were made void.
    late = CheckIn.objects.select_related("follow_up__patient").get(pk=check_in.pk)
    services.links.issue_links(
        [late, late.follow_up],
        tokens=["x" * 43, "y" * 43],
        caregivers={world.patient.pk: daughter},
        now=clock[0],
    )
    assert client.get(f"/c/{'x' * 43}/").status_code == 410
    assert client.get(f"/p/{'y' * 43}/").status_code == 410


def test_what_waits_in_the_outbox_goes_to_whoever_is_right_when_it_is_sent(
    world: World, clock: list[datetime]
) -> None:
    daughter = caregiver(world)
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    revoke(daughter, world, clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [world.patient.email]


def test_a_batch_looks_caregivers_up_once(world: World, clock: list[datetime]) -> None:
    def queries(patients: int) -> int:
        due = []
        for number in range(patients):
            day = world.now.date() + timedelta(days=3)
            other = world.another_patient(100 * patients + number)
            caregiver(world, patient=other, email=f"c{patients}{number}@example.org")
            procedure = world.performed(patient=other, day=day, hour=9 + number)
            due.append(procedure.follow_up.check_ins.get(offset_minutes=1440))
        clock[0] = max(check_in.due_at for check_in in due)
        with CaptureQueriesContext(connection) as seen:
            services.invite_due(now=clock[0])
        with CaptureQueriesContext(connection) as sent:
            outbox.send_due(now=clock[0])
        assert len(mail.outbox) == patients
        assert {message.to[0][0] for message in mail.outbox} == {"c"}
        asked = [row for row in [*seen, *sent] if 'FROM "patients_caregiver"' in row["sql"]]
        return len(asked)

    assert queries(3) == 2, "once for the batch that asks, once for the batch that is written"


@pytest.mark.parametrize("whose", ["kept", "duplicate"])
def test_after_a_merge_the_caregiver_of_either_record_is_asked_about_all_of_it(
    world: World, client: Client, clock: list[datetime], whose: str
) -> None:
    duplicate = world.another_patient()
    check_in = ask(world, clock)
    before = paths(world.patient.email)
    if whose == "kept":  # the course comes with the duplicate, and the caregiver is the kept record's
        kept, gone = duplicate, world.patient
        caregiver(world, patient=kept, now=clock[0])
    else:
        kept, gone = world.patient, duplicate
        caregiver(world, patient=gone, now=clock[0])
    patients.merge(gone.pk, kept.pk, by=world.admin, now=clock[0] + timedelta(minutes=5))
    outbox.send_due(now=clock[0] + timedelta(minutes=5))
    assert {client.get(path).status_code for path in before} == {410}
    assert sent_to()[-1] == DAUGHTER
    assert client.get(question(DAUGHTER)).status_code == 200
    assert CheckIn.objects.get(pk=check_in.pk).follow_up.patient == kept


def test_a_merge_leaves_alone_what_a_patient_is_asked_whose_caregiver_is_not(
    world: World, client: Client, clock: list[datetime]
) -> None:
    gone = world.another_patient()
    caregiver(world, patient=gone, now=clock[0], consented_at=None, consent_version="")
    ask(world, clock)
    before, sent = paths(world.patient.email), len(sent_to())
    patients.merge(gone.pk, world.patient.pk, by=world.admin, now=clock[0] + timedelta(minutes=5))
    outbox.send_due(now=clock[0] + timedelta(minutes=5))
    assert {client.get(path).status_code for path in before} == {200}
    assert len(sent_to()) == sent


def test_no_text_goes_to_the_patient_while_a_caregiver_is_asked(
    world: World, clock: list[datetime], settings: Any
) -> None:
    settings.SMS_BACKEND = "outcomes.tests.test_sms_reminders.Provider"
    Patient.objects.update(sms_consented_at=world.now, phone="+1 212 555 0123")
    check_in = ask(world, clock)
    CheckIn.objects.filter(pk=check_in.pk).update(reminders=1, remind_at=clock[0])
    assert text_due(now=clock[0]) == 1
    caregiver(world, now=clock[0])
    assert sms_reminders.text(check_in.pk, now=clock[0]) == outbox.Skip("caregiver")
    CheckIn.objects.filter(pk=check_in.pk).update(reminders=1, remind_at=clock[0])
    assert text_due(now=clock[0]) == 0


def test_an_address_that_bounced_is_to_be_corrected_a_caregivers_too(world: World) -> None:
    daughter = caregiver(world)
    assert not to_correct(Patient.objects.all()).exists()
    patients.note_bounce(daughter.email.upper(), now=world.now)
    assert list(to_correct(Patient.objects.all())) == [world.patient]
