"""Buttons that are pressed when the sign-in has run out: nothing is done, and the reader is where the button stood."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from clinic.models import AuditEvent
from clinic.tests.admin_client import signed_in, words
from procedures import services
from procedures.tests.factories import World

WAITLIST = "/admin/procedures/waitlistentry/"
SAID = "You were signed out, so nothing was done or saved. Please press the button again."


def addresses(patterns: Any = None, before: str = "") -> Iterator[str]:
    """Every address of the admin, with a row's number where one belongs."""
    for pattern in patterns or get_resolver().url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith("admin/"):
            route = re.sub(r"<uuid:[^>]+>", "6b5bd5a0-0000-4000-8000-000000000000", route)
            yield "/" + re.sub(r"<[^>]+>|\(\?P?[^)]*\)", "1", route).rstrip("$")


ADDRESSES = list(addresses())


def test_no_address_of_the_admin_answers_with_a_blank_405(world: World) -> None:
    desk = signed_in(world.admin)
    assert len(ADDRESSES) > 100
    for address in ADDRESSES:
        # Django's own: signing out, and "view on site", for which nothing here has a page.
        if address not in ("/admin/logout/", "/admin/r/1/1/"):
            assert desk.get(address).status_code != 405, address


def test_every_button_leads_by_the_sign_in_to_the_page_it_stood_on(world: World) -> None:
    browser, page = Client(), f"{WAITLIST}?q=a&state=open"
    before = AuditEvent.objects.count()
    for address in ADDRESSES:
        if address in ("/admin/login/", "/admin/logout/", "/admin/jsi18n/"):
            continue
        response = browser.post(address, headers={"Referer": f"http://testserver{page}"})
        asked = urlsplit(response["Location"])
        assert (response.status_code, asked.path) == (302, "/admin/login/"), address
        back = urlsplit(parse_qs(asked.query)["next"][0])
        assert (back.path, parse_qs(back.query)) == ("/admin/again/", {"page": [page]}), address
    assert AuditEvent.objects.count() == before


def pressed_too_late(world: World, address: str, **headers: str) -> Any:
    """What a clerk sees who presses, is asked to sign in, and signs in."""
    browser = Client()
    asked = browser.post(address, headers=headers, follow=True)
    sent = {"username": world.clerk.email, "password": "correct horse"}
    return browser.post(asked.redirect_chain[-1][0], sent, follow=True)


def test_after_signing_in_it_is_said_where_the_button_stands(world: World) -> None:
    made = services.book(world.appointment(), by=world.clerk, now=world.now)
    board = "/admin/procedures/appointment/board/?day=2027-01-11"
    address = f"/admin/procedures/appointment/{made.pk}/cancel/"
    shown = pressed_too_late(world, address, Referer=f"http://testserver{board}")
    assert (shown.request["PATH_INFO"], shown.request["QUERY_STRING"]) == tuple(board.split("?"))
    assert words(shown).count(SAID) == 1
    made.refresh_from_db()
    assert made.status == "booked"


@pytest.mark.parametrize("referer", ["", "https://elsewhere.example.org/admin/", "http://testserver.evil/x"])
def test_who_does_not_say_where_the_button_stood_sees_its_row(world: World, referer: str) -> None:
    made = services.book(world.appointment(), by=world.clerk, now=world.now)
    address = f"/admin/procedures/appointment/{made.pk}/cancel/"
    shown = pressed_too_late(world, address, **({"Referer": referer} if referer else {}))
    assert shown.request["PATH_INFO"] == address
    assert SAID in words(shown)


@pytest.mark.parametrize("page", ["", "https://elsewhere.example.org/", "//elsewhere.example.org/", "admin/"])
def test_the_way_back_leads_nowhere_else(world: World, page: str) -> None:
    response = signed_in(world.clerk).get("/admin/again/", {"page": page})
    assert response["Location"] == "/admin/"


def test_signing_out_when_signed_out_stays_as_it_is(world: World) -> None:
    assert Client().post("/admin/logout/")["Location"] == "/admin/"
