"""The patient's page: GET changes nothing, POST answers, and a link that does not open tells a stranger nothing."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polib
import pytest
from django.core import mail
from django.test import Client

from clinic import outbox
from clinic.models import AuditEvent, OutgoingEmail
from clinic.tests.admin_client import words
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Answer, CheckIn, Link
from outcomes.services.invitations import invitation_key
from patients.models import Patient
from procedures import services as procedures
from procedures.services.notifications import issue_link
from procedures.tests.factories import World


@pytest.fixture
def asked(world: World, clock: list[datetime]) -> tuple[CheckIn, str]:
    """A check-in of day 1 that was e-mailed just now, and the path of its link."""
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    clock[0] = check_in.due_at
    services.tick(now=check_in.due_at)
    outbox.send_due(now=check_in.due_at)
    return check_in, path_in(str(mail.outbox[-1].body))


def without_stop(page: bytes) -> bytes:
    """The page of a link that does not open without the way to stop e-mails, which only links that were sent have."""
    return re.sub(rb'<p><a class="quiet" href="/u/[^"]+">[^<]+</a></p>', b"", page)


def path_in(text: str) -> str:
    found = re.search(r"http://testserver(/c/[A-Za-z0-9_-]{43}/)", text)
    assert found, text
    return found[1]


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_looking_changes_nothing(asked: tuple[CheckIn, str], client: Client, method: str) -> None:
    check_in, path = asked
    for _ in range(3):
        getattr(client, method)(path)
    check_in.refresh_from_db()
    assert check_in.status == CheckIn.Status.INVITED
    assert not Answer.objects.exists()
    assert getattr(client, method)(path + "stop/").status_code in (200, 405)
    assert not Patient.objects.filter(opted_out_at__isnull=False).exists()


def test_an_answer_is_taken_once_and_the_second_look_shows_the_same_thanks(
    asked: tuple[CheckIn, str], client: Client
) -> None:
    _, path = asked
    assert 'name="nrs.now"' in client.get(path).content.decode()
    sent = client.post(path, {"nrs.now": "3"}, follow=True)
    assert "Thank you" in sent.content.decode()
    again = client.post(path, {"nrs.now": "3"}, follow=True)  # the double click, the back button
    assert again.content == sent.content
    answer = Answer.objects.get()
    assert (answer.channel, answer.language, answer.measurements.get().value) == ("email", "en", 3)
    event = AuditEvent.objects.get(action="check_in.answered")
    assert (event.actor, event.by) == ("patient", None)


@pytest.mark.parametrize("score", ["11", "-1", "7.5", "seven", "", "3 3", "٣", "0x3", None])
def test_only_whole_numbers_from_0_to_10_are_taken(
    asked: tuple[CheckIn, str], client: Client, score: str | None
) -> None:
    _, path = asked
    refused = client.post(path, {} if score is None else {"nrs.now": score})
    assert refused.status_code == 422
    assert 'id="faults"' in refused.content.decode()
    assert not Answer.objects.exists()


def test_every_score_can_be_chosen(asked: tuple[CheckIn, str], client: Client) -> None:
    page = client.get(asked[1]).content.decode()
    assert re.findall(r'type="radio" name="nrs.now" value="(\d+)"', page) == [str(n) for n in range(11)]


def test_forged_altered_revoked_voided_and_expired_links_get_the_same_page(
    asked: tuple[CheckIn, str], client: Client, clock: list[datetime], world: World
) -> None:
    check_in, path = asked
    unknown = client.get("/c/" + "A" * 43 + "/")
    assert unknown.status_code == 410
    assert world.site.phone in unknown.content.decode()
    pages = [client.get(path[:-2] + ("x/" if path[-2] != "x" else "y/")), client.get("/c/1/")]
    pages.append(client.post("/c/" + "A" * 43 + "/", {"nrs.now": "3"}))
    pages += [ask("/c/" + "A" * 43 + "/stop/") for ask in (client.get, client.post)]
    letter = procedures.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=None, now=world.now
    )
    foreign = issue_link(letter, now=world.now)  # of an appointment
    pages += [
        client.get(f"/c/{foreign}/"),
        client.get(f"/a/{path.split('/')[2]}/"),
        client.get(f"/u/{foreign}/"),
    ]
    clock[0] = check_in.closes_at
    pages.append(client.get(path))
    pages.append(client.post(path, {"nrs.now": "3"}))
    clock[0] = check_in.due_at
    Link.objects.update(revoked_at=clock[0])
    pages.append(client.get(path))
    Link.objects.update(revoked_at=None)
    CheckIn.objects.filter(pk=check_in.pk).update(status=CheckIn.Status.VOIDED)
    pages.append(client.get(path))
    assert {page.status_code for page in pages} == {410}
    assert {without_stop(page.content) for page in pages} == {unknown.content}
    assert not Answer.objects.exists()


def test_a_token_is_kept_nowhere(asked: tuple[CheckIn, str]) -> None:
    token = asked[1].split("/")[2]
    for link in Link.objects.all():
        assert token not in str(link.__dict__)
        assert len(link.token_hash) == 64


def test_the_page_keeps_its_address_to_itself(asked: tuple[CheckIn, str], client: Client) -> None:
    page = client.get(asked[1])
    assert page["Referrer-Policy"] == "no-referrer"
    assert "no-store" in page["Cache-Control"]
    assert "noindex" in page["X-Robots-Tag"]
    text = page.content.decode()
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert len(page.content) < 8_000


def test_the_language_is_the_patients_and_can_be_changed(
    asked: tuple[CheckIn, str], client: Client, world: World
) -> None:
    _, path = asked
    assert '<html lang="en">' in client.get(path).content.decode()
    spanish = client.get(path + "?lang=es").content.decode()
    assert '<html lang="es">' in spanish
    assert "¿Cuánto le duele en este momento?" in spanish
    world.patient.language = "es"
    world.patient.save()
    assert "¿Cuánto le duele" in client.get(path).content.decode()
    assert "¿Cuánto le duele" in client.get(path + "?lang=xx").content.decode()
    client.post(path, {"nrs.now": "3"})
    assert Answer.objects.get().language == "es"


def test_a_third_language_is_a_line_of_the_settings_and_its_files(
    asked: tuple[CheckIn, str], client: Client, settings: Any
) -> None:
    """Without its files what is said stays English; right to left it is all the same."""
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    _, path = asked
    english = client.get(path).content.decode()
    assert re.findall(r'name="lang" class="plain" value="(\w+)"', english) == ["es", "ar"]
    arabic = client.get(path + "?lang=ar").content.decode()
    assert '<html lang="ar" dir="rtl">' in arabic
    assert '<html lang="ar" dir="rtl">' in client.get(path + "stop/?lang=ar").content.decode()
    assert 'name="nrs.now"' in arabic
    client.post(path + "?lang=ar", {"step": "1", "nrs.now": "3"})
    assert Answer.objects.get().language == "ar"


def test_the_email_is_in_the_patients_language(world: World, clock: list[datetime]) -> None:
    world.patient.language = "es"
    world.patient.save()
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.tick(now=check_in.due_at)
    outbox.send_due(now=check_in.due_at)
    message = mail.outbox[-1]
    assert message.subject == "¿Cómo está? 12 de enero"
    assert "hasta el 15 de enero de 2027 a las 10:00" in message.body
    html = message.alternatives[0][0]  # type: ignore[attr-defined]
    assert "Díganos cómo está" in html
    assert "<script" not in html


def test_stopping_the_emails(asked: tuple[CheckIn, str], client: Client, world: World) -> None:
    check_in, path = asked
    before = client.get(path + "stop/?lang=es")
    assert "Todavía no ha cambiado nada." in words(before)
    assert (before["Referrer-Policy"], before.content.count(b"<button")) == ("no-referrer", 1)
    first = client.post(path + "stop/")
    assert "We will not send you e-mails any more" in words(first)
    assert client.post(path + "stop/").content == first.content
    assert words(client.get(path + "stop/")) == words(first)
    assert client.post(path, {"nrs.now": "3"}).status_code == 410, "the links of earlier e-mails end as well"
    assert not Answer.objects.exists()
    later = check_in.follow_up.check_ins.get(offset_minutes=7 * 1440)
    assert services.tick(now=later.due_at)["check_ins_not_sent"] == 1
    later.refresh_from_db()
    assert (later.status, later.not_sent_reason) == (CheckIn.Status.PLANNED, "opted_out")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"died_on": "2027-01-12"}, "deceased"),
        ({"opted_out_at": "2027-01-12T00:00Z"}, "opted_out"),
        ({"bounced_at": "2027-01-12T00:00Z"}, "bounced"),
        ({"consented_at": None}, "no_consent"),
    ],
)
def test_what_changed_since_it_was_queued_is_looked_at_when_it_is_sent(
    world: World, change: dict[str, object], reason: str
) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.tick(now=check_in.due_at)
    Patient.objects.update(**change)
    outbox.send_due(now=check_in.due_at)
    row = OutgoingEmail.objects.get(key=invitation_key(check_in))
    assert (row.status, row.problem) == ("skipped", reason)
    assert not mail.outbox
    assert not Link.objects.exists()


@pytest.mark.parametrize("reminder", [False, True])
@pytest.mark.parametrize("reason", ["answered", "voided", "merged"])
def test_who_answered_or_should_not_be_asked_any_more_is_passed_over_at_the_last_moment(
    world: World, reason: str, reminder: bool
) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=42 * 1440)
    now = check_in.due_at
    services.tick(now=now)
    if reminder:
        outbox.send_due(now=now)
        mail.outbox.clear()
        now += timedelta(days=4)
        services.tick(now=now)
    if reason == "answered":
        services.store_answer(
            check_in.pk, values={"nrs.now": 3}, channel="phone", language="en", by=None, now=now
        )
    elif reason == "voided":
        procedures.void(check_in.follow_up.procedure_id, reason="wrong patient", by=world.physician, now=now)
    else:
        Patient.objects.filter(pk=world.patient.pk).update(merged_into=world.another_patient())
    outbox.send_due(now=now)
    row = OutgoingEmail.objects.filter(template="outcomes.emails.invitation").latest("pk")
    assert (row.status, row.problem) == ("skipped", reason)
    assert not mail.outbox


def test_what_an_email_says_is_what_is_true_when_it_is_sent(world: World) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.tick(now=check_in.due_at)
    world.site.name, world.site.phone = "Riverside West", "+1 212 555 0177"
    world.site.save()
    outbox.send_due(now=check_in.due_at)
    (message,) = mail.outbox
    assert "Riverside West" in str(message.body)
    assert "+1 212 555 0177" in str(message.body)


def test_an_email_that_waited_too_long_is_not_sent(world: World) -> None:
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    services.tick(now=check_in.due_at)
    outbox.send_due(now=check_in.closes_at)
    row = OutgoingEmail.objects.get(key=invitation_key(check_in))
    assert (row.status, row.problem) == ("skipped", "closed")


def test_after_an_outage_only_the_newest_is_asked(world: World) -> None:
    follow_up = world.performed().follow_up
    day_8 = follow_up.check_ins.get(offset_minutes=7 * 1440).due_at + timedelta(days=1)
    done = services.tick(now=day_8)
    assert (done["check_ins_missed"], done["check_ins_invited"]) == (1, 1)
    statuses = follow_up.check_ins.values_list("offset_minutes", "status")
    assert dict(statuses)[7 * 1440] == CheckIn.Status.INVITED
    assert dict(statuses)[1440] == CheckIn.Status.MISSED


def test_every_sentence_for_patients_is_translated_and_compiled() -> None:
    folder = Path(__file__).parents[1]
    po = polib.pofile(str(folder / "locale/es/LC_MESSAGES/django.po"))
    assert not po.untranslated_entries()
    assert not po.fuzzy_entries()
    mo = polib.mofile(str(folder / "locale/es/LC_MESSAGES/django.mo"))
    assert {e.msgid: e.msgstr for e in mo} == {e.msgid: e.msgstr for e in po}
    known = {entry.msgid for entry in po}
    for template in (folder / "templates/outcomes").rglob("*"):
        if template.is_file() and template.stem != "alert":  # goes to staff, in English
            for sentence in re.findall(r'{% translate "([^"]+)" %}', template.read_text()):
                assert sentence in known, (template.name, sentence)
