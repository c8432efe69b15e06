"""Attempts to sign in are limited by account and by address; nobody can lock others out."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from clinic import services, sign_in_limits
from clinic.models import User
from clinic.sign_in_limits import MOST_OF_ACCOUNT, MOST_OF_ADDRESS
from clinic.throttling import PROCESS_CACHE, sender
from procedures.tests.factories import World

RIGHT, PASSWORD = "correct horse", "blue horse battery 9"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "test_sign_in"}}


@pytest.fixture(autouse=True)
def in_memory() -> Any:
    with override_settings(CACHES=CACHES):
        cache.clear()
        yield


def at_admin(email: str, password: str, address: str = "192.0.2.1", client: Client | None = None) -> int:
    """302: signed in; 200: refused; 429: must wait."""
    sent = {"username": email, "password": password}
    status: int = (client or Client()).post("/admin/login/", sent, REMOTE_ADDR=address).status_code
    return status


def by_api(email: str, password: str, address: str = "192.0.2.1") -> int:
    """201: signed in; 401: refused; 429: must wait."""
    sent = {"email": email, "password": password}
    status: int = APIClient().post("/api/v1/token/", sent, REMOTE_ADDR=address).status_code
    return status


def test_after_many_wrong_passwords_the_right_one_does_not_sign_in(world: World) -> None:
    email = world.nurse.email
    assert [at_admin(email, "wrong") for _ in range(25)] == [200] * MOST_OF_ACCOUNT + [429] * 15
    response = Client().post("/admin/login/", {"username": email.upper(), "password": RIGHT})
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert at_admin(email, RIGHT, "192.0.2.1") == 429
    assert by_api(email, RIGHT, "198.51.100.7") == 429  # one account, whatever the door and the address
    assert not AuthToken.objects.exists()


def test_an_account_is_counted_across_addresses_and_doors(world: World) -> None:
    email = world.nurse.email
    answers = [
        (by_api if n % 2 else at_admin)(email, "wrong", f"192.0.2.{n}") for n in range(MOST_OF_ACCOUNT)
    ]
    assert set(answers) == {200, 401}
    assert by_api(email, RIGHT, "192.0.2.99") == 429
    assert by_api("nobody@example.org", "wrong", "192.0.2.99") == 401


def test_whether_there_is_such_an_account_makes_no_difference(world: World) -> None:
    answers = [by_api("stranger@example.org", "wrong") for _ in range(MOST_OF_ACCOUNT + 1)]
    assert answers == [401] * MOST_OF_ACCOUNT + [429]


def test_an_address_is_counted_across_accounts_and_being_right_in_between_does_not_help(world: World) -> None:
    for n in range(MOST_OF_ADDRESS):
        assert by_api(f"stranger{n}@example.org", "wrong") == 401
        if n == 5:
            assert by_api(world.clerk.email, RIGHT) == 201
    assert by_api("one.more@example.org", "wrong") == 429
    assert at_admin(world.nurse.email, RIGHT) == 429
    assert at_admin(world.nurse.email, RIGHT, "192.0.2.2") == 302


def test_right_passwords_do_not_count(world: World) -> None:
    for user in (world.nurse, world.clerk):
        assert {by_api(user.email, RIGHT) for _ in range(MOST_OF_ADDRESS)} == {201}


def test_nobody_is_kept_out_where_they_signed_in_before(world: World) -> None:
    """By a browser that the account knows, and by an address that it knows; others' tries are not theirs."""
    browser, email = Client(), world.nurse.email
    assert at_admin(email, RIGHT, "192.0.2.1", browser) == 302
    browser.post("/admin/logout/")
    assert by_api(email, RIGHT, "203.0.113.5") == 201
    for n in range(MOST_OF_ADDRESS + MOST_OF_ACCOUNT):
        at_admin(email, "wrong", f"198.51.100.{n}")
        at_admin(f"x{n}@example.org", "wrong", "192.0.2.77")
    assert at_admin(email, RIGHT, "198.51.100.200") == 429  # a stranger, even with the password
    assert at_admin(email, RIGHT, "192.0.2.77", browser) == 302  # from an address that has used up its tries
    assert by_api(email, RIGHT, "203.0.113.5") == 201


def test_a_known_browser_guesses_no_more_than_others(world: World) -> None:
    browser, email = Client(), world.nurse.email
    assert at_admin(email, RIGHT, client=browser) == 302
    browser.post("/admin/logout/")
    answers = [at_admin(email, "wrong", client=browser) for _ in range(MOST_OF_ACCOUNT + 1)]
    assert answers == [200] * MOST_OF_ACCOUNT + [429]


def test_a_browsers_mark_is_of_one_account_and_cannot_be_made_up(world: World) -> None:
    browser = Client()
    assert at_admin(world.clerk.email, RIGHT, client=browser) == 302
    (name,) = [key for key in browser.cookies if key.startswith("known_")]
    morsel = browser.cookies[name]
    assert (morsel["httponly"], morsel["path"], morsel["samesite"]) == (True, "/admin/login/", "Strict")
    assert world.clerk.email not in morsel.value
    browser.post("/admin/logout/")
    for _ in range(MOST_OF_ACCOUNT):
        at_admin(world.nurse.email, "wrong", "198.51.100.9")
    browser.cookies[sign_in_limits.cookie(sign_in_limits.mark(world.nurse.email))] = morsel.value
    assert at_admin(world.nurse.email, RIGHT, "198.51.100.10", browser) == 429


def test_the_wait_ends_however_often_somebody_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that are refused do not put the end off."""
    monkeypatch.setattr(sign_in_limits, "SECONDS", 600)
    touched: list[Any] = []
    monkeypatch.setattr(
        PROCESS_CACHE.__class__, "touch", lambda self, key, timeout=None, **_: touched.append(key)
    )
    for _ in range(MOST_OF_ACCOUNT + 5):
        by_api(world.nurse.email, "wrong")
    of_account = [key for key in touched if "sign_in_at" not in key]
    assert len(of_account) == MOST_OF_ACCOUNT


def test_one_sender_with_many_addresses_of_one_network_is_one(world: World) -> None:
    def of(address: str) -> str:
        return sender(RequestFactory().get("/", REMOTE_ADDR=address))

    assert of("2001:db8:1:2::1") == of("2001:db8:1:2:ffff::9") != of("2001:db8:1:3::1")
    assert of("::ffff:192.0.2.1") == of("192.0.2.1") != of("192.0.2.2")


def test_guessing_the_old_password_is_counted_too(world: World, client: Client) -> None:
    client.force_login(world.nurse)

    def guess(old: str) -> str:
        sent = {"old_password": old, "new_password1": PASSWORD, "new_password2": PASSWORD}
        response = client.post("/admin/password_change/", sent)
        if response.status_code == 302:
            return "changed"
        return str(response.context["form"].errors.as_data()["old_password"][0].code)

    said = [guess("wrong") for _ in range(MOST_OF_ACCOUNT)]
    assert set(said) == {"password_incorrect"}
    assert guess(RIGHT) == "throttled"


# A changed password ends what it opened.


@pytest.mark.parametrize("how", ["own page", "service", "shell"])
def test_a_changed_password_ends_sessions_and_tokens(world: World, how: str) -> None:
    token = services.sign_in(world.nurse.email, RIGHT, request=None, now=world.now)
    others = services.sign_in(world.clerk.email, RIGHT, request=None, now=world.now)
    assert token
    assert others
    session, own = Client(), Client()
    for browser in (session, own):
        browser.force_login(world.nurse)
        assert browser.get("/admin/").status_code == 200
    nurse = User.objects.get(pk=world.nurse.pk)
    if how == "own page":
        sent = {"old_password": RIGHT, "new_password1": PASSWORD, "new_password2": PASSWORD}
        assert own.post("/admin/password_change/", sent).status_code == 302
        assert own.get("/admin/").status_code == 200  # who changed it stays
    elif how == "service":
        services.set_password(nurse, None, by=world.admin, now=world.now)
    else:
        nurse.set_password(PASSWORD)
        nurse.save()
    assert session.get("/admin/").status_code == 302
    headers = {"Authorization": f"Token {token.token}"}
    assert APIClient(headers=headers).get("/api/v1/me/").status_code == 401
    assert AuthToken.objects.get().user == world.clerk


def test_signing_in_and_other_changes_leave_tokens_alone(world: World) -> None:
    services.sign_in(world.nurse.email, RIGHT, request=None, now=timezone.now())
    nurse = User.objects.get(pk=world.nurse.pk)
    nurse.last_name = "Other"
    nurse.save()
    services.sign_in(world.nurse.email, RIGHT, request=None, now=timezone.now())
    assert AuthToken.objects.count() == 2
