"""Stopping all e-mail with one click, from the mail program or the page; scanners change nothing."""

import re
from email import message_from_bytes
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.signing import Signer
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic import outbox
from clinic.models import AuditEvent
from clinic.tests.admin_client import clock
from patients import services
from patients.models import Patient
from patients.unsubscribe import unsubscribe_headers, unsubscribe_url
from procedures.tests.factories import World

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def path(patient: Patient) -> str:
    patient.refresh_from_db()
    return unsubscribe_url(patient).removeprefix("http://testserver")


@pytest.fixture
def https(settings: Any) -> None:
    settings.SITE_URL = "https://clinic.example.org"


def letter(*, now: Any, patient: int) -> outbox.Message:
    return outbox.Message("Hello", "Hello", headers=unsubscribe_headers(Patient.objects.get(pk=patient)))


def test_the_headers_are_those_of_rfc_8058_and_reach_the_wire_in_one_piece(world: World, https: None) -> None:
    outbox.queue(
        "one",
        template="patients.tests.test_unsubscribe.letter",
        context={"patient": world.patient.pk},
        to="ann@example.org",
        site=world.site,
        now=world.now,
    )
    outbox.send_due(now=world.now)
    sent = mail.outbox[0]
    assert isinstance(sent, EmailMessage)
    received = message_from_bytes(sent.message().as_bytes())
    assert re.fullmatch(
        r"<https://clinic\.example\.org/u/[0-9a-f]{32}\.[\w-]{43}/>", received["List-Unsubscribe"].strip()
    )
    assert received["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_without_https_one_click_is_not_promised(world: World, settings: Any) -> None:
    settings.SITE_URL = "http://localhost:8000"
    assert set(unsubscribe_headers(world.patient)) == {"List-Unsubscribe"}


def test_a_mail_program_stops_all_e_mail_without_cookie_or_form(world: World) -> None:
    program = Client(enforce_csrf_checks=True)
    with clock(world.now):
        for _ in range(2):
            answer = program.post(path(world.patient), ONE_CLICK)
            assert answer.status_code == 200  # and no redirect
            assert "We will not send you e-mails any more." in answer.content.decode()
            assert "+1 212 555 0100" in answer.content.decode()
    assert not answer.cookies
    world.patient.refresh_from_db()
    assert (world.patient.opted_out_at, world.patient.why_no_email) == (world.now, "opted_out")
    assert world.patient.consented_at  # taking back the agreement is something else
    event = AuditEvent.objects.get(action="patient.opted_out")
    assert (event.by, event.actor, event.reason) == (None, "patient", "unsubscribed")


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_looking_changes_nothing(world: World, client: Client, method: str) -> None:
    for _ in range(3):
        getattr(client, method)(path(world.patient))
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == ""


def test_the_page_has_one_button_in_the_patients_language_and_tells_nobody_its_address(
    world: World, client: Client
) -> None:
    Patient.objects.update(language="es")
    shown = client.get(path(world.patient))
    text = shown.content.decode()
    assert (text.count("<button"), "No enviarme más correos" in text, 'lang="es"' in text) == (1, True, True)
    assert "O&#x27;Brien" not in text
    assert shown["X-Robots-Tag"] == "noindex, nofollow"
    assert "no-store" in shown["Cache-Control"]
    client.post(path(world.patient))
    assert "Ya no le enviaremos correos." in client.get(path(world.patient)).content.decode()
    assert "any more" in client.get(path(world.patient) + "?lang=en").content.decode()


def test_a_link_that_is_altered_foreign_or_unknown_opens_nothing(world: World, client: Client) -> None:
    right = path(world.patient).split("/")[2]
    key, signature = right.split(".")
    foreign = Signer(salt="something else", sep=".").sign(key)
    for token in (
        key,
        f"{key}.",
        f".{signature}",
        f"{'0' * 32}.{signature}",
        right[:-1],
        right + "x",
        foreign,
        "é",
    ):
        answer = client.post(f"/u/{token}/", ONE_CLICK)
        assert (answer.status_code, "+1 212 555 0100" in answer.content.decode()) == (410, True), token
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == ""


@pytest.mark.parametrize(
    ("query", "browser", "first"), [("?lang=es", "en", "es"), ("", "es-MX,es;q=0.9", "es"), ("", "fr", "en")]
)
def test_a_dead_link_speaks_first_the_language_of_its_reader(
    world: World, client: Client, query: str, browser: str, first: str
) -> None:
    html = client.get(f"/u/nobody/{query}", headers={"accept-language": browser}).content.decode()
    assert re.findall(r'lang="(..)"', html) == [first, first, "es" if first == "en" else "en"]


def test_the_links_of_an_old_address_stop_nobody_at_the_new_one(world: World, client: Client) -> None:
    """A typing error sent them to a stranger."""
    old = path(world.patient)
    world.patient.email = "ann.obrien@example.org"
    services.save(world.patient, changed=["email"], by=world.clerk, now=world.now)
    assert client.post(old, ONE_CLICK).status_code == 200
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == ""
    assert client.post(path(world.patient), ONE_CLICK).status_code == 200
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == "opted_out"


def test_links_are_the_patients_own(world: World, client: Client) -> None:
    partner = world.another_patient(email="ann@example.org")
    client.post(path(partner), ONE_CLICK)
    world.patient.refresh_from_db()
    partner.refresh_from_db()
    assert (world.patient.why_no_email, partner.why_no_email) == ("", "opted_out")


def test_guessing_is_slowed_down_and_costs_no_look_up_but_no_right_link_is_refused(
    world: World, client: Client, settings: Any
) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "guess"}
    }
    with CaptureQueriesContext(connection) as captured:
        answers = [client.get(f"/u/{'0' * 32}.{number}/").status_code for number in range(62)]
    assert answers == [410] * 60 + [429] * 2
    assert not any("patients_patient" in query["sql"] for query in captured)
    assert client.post(path(world.patient), ONE_CLICK).status_code == 200


def test_reading_the_headers_needs_no_query(world: World) -> None:
    patient = Patient.objects.get(pk=world.patient.pk)
    with CaptureQueriesContext(connection) as captured:
        unsubscribe_headers(patient)
    assert len(captured) == 0
