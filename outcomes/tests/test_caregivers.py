"""A caregiver is asked in the patient's place, answers as a proxy, and can be revoked at any time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from procedures.tests.factories import World

from clinic import outbox
from clinic.models import AuditEvent
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock as freeze
from clinic.tests.admin_client import queries, signed_in, words
from clinic.tests.api_client import call, faults
from outcomes import services
from outcomes.exports.check_ins import columns as check_in_columns
from outcomes.exports.columns import Shield
from outcomes.models import Answer, CheckIn, Draft, Link
from outcomes.tests.caregiving import paths, question
from outcomes.tests.factories import insist, to_call
from patients import services as patients
from patients.models import Caregiver, FormerAddress, Patient
from patients.tests.caregiving import DAUGHTER, caregiver
from procedures import services as procedures


def ask(world: World, clock: list[datetime], day: int = 1) -> CheckIn:
    """The check-in of that day, e-mailed just now to whoever is asked."""
    check_in = CheckIn.objects.filter(offset_minutes=day * 1440).first()
    check_in = check_in or world.performed().follow_up.check_ins.get(offset_minutes=day * 1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    outbox.send_due(now=clock[0])
    check_in.refresh_from_db()
    return check_in


def sent_to() -> list[str]:
    return [one.to[0] for one in mail.outbox]


def revoke(one: Caregiver, world: World, now: datetime) -> None:
    patients.revoke_caregiver(one.pk, reason="moved away", by=world.clerk, now=now)


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


def test_the_page_and_the_e_mail_speak_the_caregivers_language(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world, language="es")
    ask(world, clock)
    assert mail.outbox[0].extra_headers["Content-Language"] == "es"
    assert '<html lang="es"' in client.get(question(DAUGHTER)).content.decode()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_first_name_stands_in_the_e_mail_only_where_the_site_allows_it(
    world: World, clock: list[datetime], allowed: bool
) -> None:
    world.site.greets_by_first_name = allowed
    world.site.save()
    caregiver(world)
    ask(world, clock)
    assert (world.patient.given_name in str(mail.outbox[0].body)) is allowed


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
    one = caregiver(world)
    Caregiver.objects.filter(pk=one.pk).update(
        **{name: world.now if value is True else value for name, value in said.items()}
    )
    ask(world, clock)
    assert sent_to() == [world.patient.email if one == "patient" else one for one in to]


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
    one = caregiver(world)
    check_in = ask(world, clock)
    before = paths(DAUGHTER)
    clock[0] += timedelta(minutes=5)
    revoke(one, world, clock[0])
    outbox.send_due(now=clock[0])
    assert {client.get(path).status_code for path in before} == {410}
    assert sent_to() == [DAUGHTER, world.patient.email]
    check_in.refresh_from_db()
    assert (check_in.status, check_in.invited_at) == ("invited", clock[0])
    insist(client, question(world.patient.email), {"step": "1", "nrs.now": "3"})
    answer = Answer.objects.get()
    assert (answer.answered_by, answer.caregiver) == ("patient", None)
    one.refresh_from_db()
    assert (one.revoked_at, one.revoked_by, one.revoked_reason) == (clock[0], world.clerk, "moved away")
    revoke(one, world, clock[0] + timedelta(days=1))
    one.refresh_from_db()
    assert one.revoked_at == clock[0], "a second time changes nothing"


def test_after_a_revocation_somebody_telephones_where_no_e_mail_may_go_to_the_patient(
    world: World, clock: list[datetime]
) -> None:
    Patient.objects.update(consented_at=None, consent_version="")
    one = caregiver(world)
    check_in = ask(world, clock)
    clock[0] += timedelta(minutes=5)
    revoke(one, world, clock[0])
    check_in.refresh_from_db()
    assert (check_in.remind_at, check_in.call_at) == (None, clock[0])
    assert check_in.contact_attempts.filter(outcome="skipped", reason="no_consent").exists()


def test_a_corrected_address_is_asked_anew_and_the_old_one_stops_itself_alone(
    world: World, client: Client, clock: list[datetime]
) -> None:
    one = caregiver(world)
    ask(world, clock)
    before = paths(DAUGHTER)
    header = mail.outbox[-1].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://testserver")
    clock[0] += timedelta(minutes=5)
    one.email = "rosa@example.org"
    patients.save_caregiver(one, changed=["email"], by=world.clerk, now=clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, "rosa@example.org"]
    assert {client.get(path).status_code for path in before} == {410}
    assert {client.get(path).status_code for path in paths("rosa@example.org")} == {200}
    assert client.post(header, {"List-Unsubscribe": "One-Click"}).status_code == 200
    one.refresh_from_db()
    assert one.opted_out_at is None
    assert FormerAddress.objects.get().stopped_at == clock[0]
    one.email = DAUGHTER
    patients.save_caregiver(one, changed=["email"], by=world.clerk, now=clock[0])
    assert one.opted_out_at == clock[0], "whoever reads it wants no e-mail from here"


@pytest.mark.parametrize("of", ["header", "page"])
def test_a_caregivers_stop_stops_the_caregiver_alone(
    world: World, client: Client, clock: list[datetime], of: str
) -> None:
    one = caregiver(world)
    check_in = ask(world, clock)
    header = mail.outbox[-1].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://testserver")
    address = header if of == "header" else f"{question(DAUGHTER)}stop/"
    assert client.get(address).status_code == 200
    clock[0] += timedelta(minutes=5)
    assert client.post(address).status_code == client.post(address).status_code == 200
    one.refresh_from_db()
    world.patient.refresh_from_db()
    assert (one.opted_out_at, world.patient.opted_out_at) == (clock[0], None)
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
    one = caregiver(world)
    check_in = ask(world, clock)
    email = check_in.contact_attempts.get().email
    assert email is not None
    clock[0] += timedelta(minutes=5)
    outbox.reports.note(email, "bounced", now=clock[0])
    one.refresh_from_db()
    world.patient.refresh_from_db()
    assert (one.bounced_at, world.patient.bounced_at) == (clock[0], None)
    outbox.send_due(now=clock[0])
    assert sent_to() == [DAUGHTER, world.patient.email]
    check_in.refresh_from_db()
    assert check_in.call_at is None


def test_a_complaint_stops_everybody_at_that_address(world: World, clock: list[datetime]) -> None:
    one, other = caregiver(world), world.another_patient(email=DAUGHTER.upper())
    check_in = ask(world, clock)
    email = check_in.contact_attempts.get().email
    assert email is not None
    outbox.reports.note(email, "complained", now=clock[0])
    one.refresh_from_db()
    other.refresh_from_db()
    world.patient.refresh_from_db()
    assert one.opted_out_at == other.opted_out_at == clock[0]
    assert world.patient.opted_out_at is None


def test_an_answer_that_comes_in_after_the_revocation_is_refused(
    world: World, client: Client, clock: list[datetime]
) -> None:
    one = caregiver(world)
    check_in = ask(world, clock)
    path = question(DAUGHTER)
    opened = services.open_link(path.split("/")[2], now=clock[0])
    assert opened is not None
    assert opened.opened_by == one
    revoke(one, world, clock[0])
    with pytest.raises(Refusal) as refused:
        services.answer(
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
    one = caregiver(world)
    check_in = ask(world, clock)
    revoke(one, world, clock[0])
    # As a sender does that read the caregiver just before: its link is stored after those before were made void.
    late = CheckIn.objects.select_related("follow_up__patient").get(pk=check_in.pk)
    services.linking.issue_links(
        [late, late.follow_up], tokens=["x" * 43, "y" * 43], caregivers={world.patient.pk: one}, now=clock[0]
    )
    assert client.get(f"/c/{'x' * 43}/").status_code == 410
    assert client.get(f"/p/{'y' * 43}/").status_code == 410


def test_what_waits_in_the_outbox_goes_to_whoever_is_right_when_it_is_sent(
    world: World, clock: list[datetime]
) -> None:
    one = caregiver(world)
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    services.tick(now=clock[0])
    revoke(one, world, clock[0])
    outbox.send_due(now=clock[0])
    assert sent_to() == [world.patient.email]


def test_the_pain_that_is_back_is_marked_as_the_caregivers_word(
    world: World, client: Client, clock: list[datetime]
) -> None:
    one = caregiver(world)
    ask(world, clock)
    path = next(path for path in paths(DAUGHTER) if path[1] == "p")
    assert client.get(path).status_code == 200
    insist(client, path, {"nrs.now": "8"})
    answer = Answer.objects.get(check_in__kind="report")
    assert (answer.answered_by, answer.caregiver) == ("caregiver", one)


def test_nobody_changes_what_somebody_else_answered(
    world: World, client: Client, clock: list[datetime]
) -> None:
    caregiver(world)
    check_in = ask(world, clock)
    services.record_answer(
        check_in.pk,
        values={"nrs.now": 4},
        channel="phone",
        language="en",
        by=world.nurse,
        now=clock[0],
    )
    path = question(DAUGHTER)
    page = client.get(path)
    assert page.status_code == 200
    assert "change=1" not in page.content.decode()
    client.post(path, {"change": "1", "nrs.now": "9"})
    assert services.recording.values_of(Answer.objects.get())["nrs.now"] == 4


def test_a_batch_looks_caregivers_up_once(world: World, clock: list[datetime]) -> None:
    def queries(patients: int) -> int:
        due = []
        for number in range(patients):
            day = world.now.date() + timedelta(days=3)
            other = world.another_patient(100 * patients + number)
            caregiver(world, patient=other, email=f"c{patients}{number}@example.org")
            procedure = world.performed(patient=other, day=day, hour=9 + number)
            due.append(procedure.follow_up.check_ins.get(offset_minutes=1440))
        clock[0] = max(one.due_at for one in due)
        with CaptureQueriesContext(connection) as seen:
            services.invite_due(now=clock[0])
        with CaptureQueriesContext(connection) as sent:
            outbox.send_due(now=clock[0])
        assert len(mail.outbox) == patients
        assert {one.to[0][0] for one in mail.outbox} == {"c"}
        asked = [one for one in [*seen, *sent] if 'FROM "patients_caregiver"' in one["sql"]]
        return len(asked)

    assert queries(3) == 2, "once for the batch that asks, once for the batch that is written"


def test_answers_by_telephone_say_who_answered(world: World, client: Client, clock: list[datetime]) -> None:
    one = caregiver(world)
    check_in = ask(world, clock)
    desk = signed_in(world.nurse, client)
    path = f"/admin/outcomes/checkin/{check_in.pk}/"
    said = {"nrs.now": "6", "channel": "phone", "language": "en", "answered_by": "caregiver"}
    assert desk.post(f"{path}answer/", said).status_code == 302
    answer = Answer.objects.get()
    assert (answer.answered_by, answer.caregiver, answer.recorded_by) == ("caregiver", one, world.nurse)
    assert "by a caregiver" in words(desk.get(f"{path}change/"))
    assert one.name in words(desk.get(f"{path}change/"))
    page = desk.get(f"/admin/outcomes/followup/{check_in.follow_up_id}/change/")
    assert "1 of 1 scores by a caregiver" in words(page)
    assert "by a caregiver" in words(desk.get(f"/admin/patients/patient/{world.patient.pk}/course/"))
    told = call(world.nurse, "GET", f"follow-ups/{check_in.follow_up_id}/", now=clock[0]).json()
    assert told["scores_by_caregiver"] == 1
    assert told["measurements"][0]["answered_by"] == "caregiver"
    assert [row["answer"]["caregiver"] for row in told["check_ins"] if row["answer"]] == [one.pk]


@pytest.mark.parametrize("known", [True, False])
def test_answers_by_api_say_who_answered(world: World, clock: list[datetime], known: bool) -> None:
    one = caregiver(world) if known else None
    check_in = ask(world, clock)
    said = {"score": 6, "channel": "phone", "answered_by": "caregiver"}
    path = f"check-ins/{check_in.pk}/answer/"
    made = call(world.nurse, "POST", path, said, now=clock[0])
    assert made.status_code == 201
    assert made.json()["answer"]["answered_by"] == "caregiver"
    assert Answer.objects.get().caregiver == one
    later = clock[0] + timedelta(minutes=1)
    assert call(world.nurse, "POST", path, said, now=later).status_code == 200
    other = call(world.nurse, "POST", path, said | {"answered_by": "patient"}, now=later)
    assert (other.status_code, other.json()["code"]) == (409, "answered_already")
    report = {"score": 8, "channel": "phone", "answered_by": "caregiver"}
    path = f"follow-ups/{check_in.follow_up_id}/pain-reports/"
    made = call(world.nurse, "POST", path, report, now=clock[0])
    assert made.json()["answer"]["answered_by"] == "caregiver"
    nobody = call(world.nurse, "POST", path, report | {"answered_by": "neighbor"}, now=clock[0])
    assert faults(nobody) == [("answered_by", "invalid_choice")]


def test_a_score_before_says_who_said_it(world: World, clock: list[datetime]) -> None:
    booked = procedures.book(world.appointment(), by=world.clerk, now=world.now)
    said = {"values": {"nrs.now": 7}, "answered_by": "caregiver"}
    made = call(world.nurse, "POST", f"appointments/{booked.pk}/baselines/", said, now=world.now)
    assert made.status_code == 201
    assert booked.baselines.get().answered_by == "caregiver"
    assert [row["answered_by"] for row in made.json()["baselines"]] == ["caregiver"]


def test_the_call_list_and_the_worklists_say_who_answers(world: World, client: Client) -> None:
    one = caregiver(world, consented_at=None, consent_version="")
    check_in, now = to_call(world)
    desk = signed_in(world.nurse, client)
    with freeze(now):
        assert f"Caregiver: {one.name}, child" in words(desk.get("/admin/outcomes/checkin/calls/"))
        few = queries(lambda: desk.get("/admin/outcomes/checkin/calls/"))
        for number in range(2, 5):
            other = world.another_patient(number)
            caregiver(world, patient=other, email=f"c{number}@example.org")
            to_call(world, patient=other, hour=9 + number)
        assert queries(lambda: desk.get("/admin/outcomes/checkin/calls/")) == few
    (row, *_) = call(world.nurse, "GET", "calls/", now=now).json()["results"]
    assert row["patient"]["caregiver"] == {"id": one.pk, "name": one.name, "relation": "child"}
    assert check_in.pk == row["id"]


def test_exports_say_who_answered_and_shielded_ones_not_what_they_are(world: World) -> None:
    columns = {column.name: column for column in check_in_columns()}
    assert columns["answered_by"].shield == Shield.KEEP
    assert columns["caregiver_relation"].shield == Shield.DROP
    assert columns["caregiver_relation"].lookups == ("answer__caregiver__relation",)


def test_the_birth_date_is_the_patients_and_no_browser_fills_in_the_readers(
    world: World, client: Client, clock: list[datetime]
) -> None:
    world.site.asks_birth_date = True
    world.site.save()
    caregiver(world)
    ask(world, clock)
    page = client.get(question(DAUGHTER)).content.decode()
    assert "bday" not in page
    born = world.patient.born_on
    given = {"year": born.year, "month": born.month, "day": born.day}
    assert client.post(question(DAUGHTER), given, follow=True).status_code == 200
