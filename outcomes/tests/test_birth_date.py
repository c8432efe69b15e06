"""The birth date before a page's questions: nobody guesses it, and nobody learns how near he was."""

from collections.abc import Callable
from datetime import datetime
from threading import Barrier, Thread
from unittest import mock

import pytest
from django.test import Client

from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import template, words
from clinic.throttling import PROCESS_CACHE, one_more_try
from outcomes.models import Answer, CheckIn, Draft
from outcomes.tests.factories import BIRTH_DATE, WRONG_BIRTH_DATE
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]


@pytest.fixture
def path(world: World, link: Issue) -> str:
    """A link at a site that asks for the birth date first."""
    Site.objects.update(asks_birth_date=True)
    return link(1)[1]


def test_nothing_is_asked_or_taken_before_the_date(path: str, client: Client) -> None:
    assert template(client.get(path)) == "outcomes/birth_date.html"
    assert template(client.post(path, {"step": "1", "nrs.now": "3"})) == "outcomes/birth_date.html"
    assert not Answer.objects.exists()
    assert not Draft.objects.exists()


def test_the_right_date_opens_this_link_in_this_browser(path: str, client: Client, link: Issue) -> None:
    page = client.post(path, BIRTH_DATE, follow=True)
    assert template(page) == "outcomes/check_in.html"
    cookie = client.cookies["known"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (path, True, "Lax")
    assert "1944" not in cookie.value
    client.post(path, {"step": "1", "nrs.now": "3"})
    assert "Before: 8. Today: 3." in words(client.get(path))
    # Another browser that gets hold of the link reads nothing; nor does the cookie open another link.
    assert "Before: 8" not in words(Client().get(path))
    _, other = link(1)
    stranger = Client()
    stranger.cookies["known"] = cookie.value
    assert template(stranger.get(other)) == "outcomes/birth_date.html"
    stranger.cookies["known"] = "yes:forged:forged"
    assert template(stranger.get(path)) == "outcomes/birth_date.html"


@pytest.mark.parametrize(
    "date",
    [
        WRONG_BIRTH_DATE,
        {"month": "", "day": "", "year": ""},
        {"month": "13", "day": "40", "year": "1944"},
        {"month": "²", "day": "6", "year": "1944"},
        {"month": "5", "day": "6", "year": "0000"},
        {"year": "1944"},
        {"month": "5", "day": "6", "year": "9" * 5000},
    ],
)
def test_a_wrong_date_opens_nothing(path: str, client: Client, date: dict[str, str]) -> None:
    refused = client.post(path, date)
    assert refused.status_code == 422
    assert template(refused) == "outcomes/birth_date.html"
    assert "known" not in client.cookies


def test_fifty_tries_are_five(path: str, client: Client, clock: list[datetime]) -> None:
    pages = [client.post(path, WRONG_BIRTH_DATE) for _ in range(49)]
    pages.append(client.post(path, BIRTH_DATE))  # the right one comes too late, and looks like every other
    assert {page.status_code for page in pages} == {422}
    assert len({words(page) for page in pages}) == 1
    assert AuditEvent.objects.filter(action="check_in.birth_date_refused").count() == 5
    # Another link of the same check-in has no tries of its own.
    assert client.post(path, BIRTH_DATE).status_code == 422


def test_after_an_hour_without_tries_it_opens_again(path: str, client: Client) -> None:
    now = [1_800_000_000.0]
    with (
        mock.patch("django.core.cache.backends.locmem.time.time", side_effect=lambda: now[0]),
        mock.patch("django.core.cache.backends.base.time.time", side_effect=lambda: now[0]),
    ):
        for _ in range(6):
            client.post(path, WRONG_BIRTH_DATE)
        now[0] += 3500
        assert client.post(path, BIRTH_DATE).status_code == 422
        now[0] += 200
        assert client.post(path, BIRTH_DATE).status_code == 302


def test_the_right_date_ends_the_count(path: str) -> None:
    for _ in range(3):
        browser = Client()
        for _ in range(4):
            browser.post(path, WRONG_BIRTH_DATE)
        assert browser.post(path, BIRTH_DATE).status_code == 302


def test_two_at_once_are_counted_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic.throttling.cache", PROCESS_CACHE)
    barrier = Barrier(20)
    allowed: list[bool] = []

    def guess() -> None:
        barrier.wait()
        allowed.append(one_more_try("race", most=5, seconds=60))

    threads = [Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 5


def test_stopping_the_emails_needs_no_date(path: str, client: Client, world: World) -> None:
    assert client.post(path + "stop/").status_code == 200
    world.patient.refresh_from_db()
    assert world.patient.opted_out_at is not None


def test_what_was_typed_stays_on_the_page(path: str, client: Client) -> None:
    refused = client.post(path, {"month": "6", "day": "5", "year": "19445"}).content.decode()
    for part, typed in (("month", 6), ("day", 5), ("year", 1944)):
        assert f'name="{part}" value="{typed}"' in refused
    other = client.post(path, {**BIRTH_DATE, "lang": "es"})
    html = other.content.decode()
    assert (other.status_code, '<html lang="es">' in html) == (200, True)
    assert 'name="year" value="1944"' in html
    assert "known" not in client.cookies  # nothing was looked at
