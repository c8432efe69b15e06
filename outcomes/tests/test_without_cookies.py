"""Patients' pages in a browser without cookies: the secret address is all that they need, and nobody else has it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from clinic.models import Site
from clinic.tests.admin_client import words
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn
from outcomes.questions import URGENCIES
from outcomes.tests.factories import BIRTH_DATE, WRONG_BIRTH_DATE
from patients.models import Patient
from patients.unsubscribe import unsubscribe_url
from procedures import services as procedures
from procedures.models import Appointment, Baseline
from procedures.services.notifications import issue_link
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]


class Bare(Client):
    """A browser that keeps no cookie, and on which Django's check against forged forms is on."""

    def __init__(self) -> None:
        super().__init__(enforce_csrf_checks=True, HTTP_ORIGIN="null")  # as the page sends no referrer

    def request(self, **request: Any) -> Any:
        self.cookies.clear()
        return super().request(**request)


@pytest.fixture
def bare() -> Bare:
    return Bare()


@pytest.fixture
def letter(world: World, clock: list[datetime]) -> tuple[Appointment, str]:
    """An appointment of tomorrow and its page."""
    booked = procedures.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=None, now=world.now
    )
    clock[0] = booked.starts_at - timedelta(hours=20)
    return booked, f"/a/{issue_link(booked, now=clock[0])}/"


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_check_in_is_answered(flags: World, link: Issue, bare: Bare, language: str) -> None:
    _, path = link(1)
    page = bare.get(f"{path}?lang={language}")
    assert not page.cookies
    assert "csrf" not in page.content.decode()
    assert bare.post(f"{path}?lang={language}", {"step": "1", "nrs.now": "5"}).status_code == 302
    sent = bare.post(f"{path}?lang={language}", {"step": "2", "none": list(URGENCIES)}, follow=True)
    assert sent.status_code == 200
    assert (Answer.objects.get().language, sent.client.cookies) == (language, {})


def test_a_red_flag_is_heard(flags: World, link: Issue, bare: Bare) -> None:
    _, path = link(1)
    helped = bare.post(path, {"step": "2", "red_flag.new_weakness": "1"}, follow=True)
    assert 'href="tel:911"' in helped.content.decode()
    assert Alert.objects.get().codes == ["new_weakness"]


def test_the_emails_are_stopped(flags: World, link: Issue, bare: Bare) -> None:
    _, path = link(1)
    assert bare.get(f"{path}stop/").status_code == 200
    assert bare.post(f"{path}stop/").status_code == 200
    assert Patient.objects.get().opted_out_at
    Patient.objects.update(opted_out_at=None)
    bare.post(urlsplit(unsubscribe_url(Patient.objects.get())).path)
    assert Patient.objects.get().opted_out_at


def test_an_appointment_is_confirmed_and_the_score_before_said(
    world: World, letter: tuple[Appointment, str], bare: Bare
) -> None:
    booked, path = letter
    assert bare.post(path, {"reply": "come"}).status_code == 302
    booked.refresh_from_db()
    assert booked.status == Appointment.Status.CONFIRMED
    said = {"nrs.now": "7", "asked": ["peg.pain", "peg.enjoyment", "peg.activity"]}
    assert bare.post(f"{path}before/", said).status_code == 302
    assert Baseline.objects.get().value == 7


def test_the_pain_is_said_to_be_back(world: World, bare: Bare, clock: list[datetime]) -> None:
    follow_up = world.performed(baseline=8).follow_up
    clock[0] = world.at(MONDAY + timedelta(days=70), 12)
    path = f"/p/{services.issue_link(follow_up, now=clock[0])}/"
    assert bare.post(path, {"nrs.now": "8"}).status_code == 302
    assert CheckIn.objects.filter(kind="report").count() == 1


def test_the_birth_date_is_remembered_by_the_address(
    flags: World, link: Issue, bare: Bare, clock: list[datetime]
) -> None:
    Site.objects.update(asks_birth_date=True)
    _, path = link(1)
    assert bare.post(path, WRONG_BIRTH_DATE).status_code == 422
    opened = bare.post(f"{path}?lang=es", BIRTH_DATE, follow=True)
    proved = opened.redirect_chain[-1][0]
    assert proved.startswith(path[:-1] + "~")
    assert "¿Cuánto le duele" in words(opened)
    address = proved.partition("?")[0]
    bare.post(address, {"step": "1", "nrs.now": "5"})
    assert bare.post(address, {"step": "2", "none": list(URGENCIES)}, follow=True).status_code == 200
    assert Answer.objects.count() == 1
    # It opens no other link, cannot be made up, and the e-mail's own link asks as before.
    moment = clock[0]
    _, other = link(7)
    clock[0] = moment
    for closed in (path, path[:-1] + "~x/", other[:-1] + address[len(path) - 1 :], address[:-2] + "/"):
        page = bare.get(closed)
        assert "When were you born?" in words(page)
        assert 'name="nrs.now"' not in page.content.decode()
    stale = bare.post(address[:-2] + "/", BIRTH_DATE)  # a proof that has run out is replaced
    assert stale["Location"].count("~") == 2
    assert bare.get(stale["Location"]).context.get("curve")


@pytest.mark.parametrize(
    "said",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://testserver.evil.example"},
    ],
)
def test_what_a_browser_says_comes_from_elsewhere_is_refused_with_the_phone(
    flags: World, link: Issue, bare: Bare, said: dict[str, str], letter: tuple[Appointment, str]
) -> None:
    _, path = link(1)
    follow_up = CheckIn.objects.latest("pk").follow_up
    about = f"/p/{services.issue_link(follow_up, now=flags.now)}/"
    for address in (path, f"{path}stop/", letter[1], f"{letter[1]}before/", about, "/tablet/"):
        refused = bare.post(address, {"step": "2", "red_flag.new_weakness": "1"}, headers=said)
        assert refused.status_code == 403
        assert re.search(r'href="tel:[+\d]+"', refused.content.decode())
        assert bare.get(address, headers=said).status_code == 200  # links in e-mails come from elsewhere
    assert not Alert.objects.exists()
    assert not Patient.objects.filter(opted_out_at__isnull=False).exists()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_our_own_forms_are_taken_whatever_the_browser_says_of_them(
    flags: World, link: Issue, said: dict[str, str]
) -> None:
    _, path = link(1)
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(path, {"step": "1", "nrs.now": "5"}, headers=said).status_code == 302
