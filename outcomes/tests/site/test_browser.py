"""The patient's page in a real browser: on a phone, by touch and by keyboard, without JavaScript, in both languages."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import World
from outcomes import services
from outcomes.models import Answer, CheckIn

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def phone(browser: Any) -> Any:
    """A page of 360 × 640 with touch and without JavaScript."""
    return browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, java_script_enabled=False
    ).new_page()


@pytest.fixture
def link(world: World, live_server: Any) -> str:
    """The address of a check-in that is open now."""
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=1440)
    now = timezone.now()
    CheckIn.objects.filter(pk=check_in.pk).update(
        opens_at=now - timedelta(hours=1), due_at=now, closes_at=now + timedelta(days=1)
    )
    return f"{live_server.url}/c/{services.issue_link(check_in, now=now)}/"


def test_answering_by_touch(phone: Any, link: str) -> None:
    phone.goto(link)
    phone.get_by_role("radio", name="7", exact=True).tap()
    phone.get_by_role("button", name="Send", exact=True).tap()
    phone.get_by_role("heading", name="Thank you").wait_for()
    assert Answer.objects.get().measurements.get().value == 7
    phone.go_back()
    phone.reload()
    phone.get_by_role("heading", name="Thank you").wait_for()
    assert Answer.objects.count() == 1


def test_answering_by_keyboard_in_spanish(phone: Any, link: str) -> None:
    phone.goto(link)
    phone.get_by_role("link", name="Español").tap()
    phone.get_by_role("radio", name="0", exact=True).focus()
    for _ in range(3):
        phone.keyboard.press("ArrowRight")
    phone.keyboard.press("Enter")
    phone.get_by_role("heading", name="Gracias").wait_for()
    assert (Answer.objects.get().language, Answer.objects.get().measurements.get().value) == ("es", 3)


def test_sending_nothing_says_what_is_missing(phone: Any, link: str) -> None:
    phone.goto(link)
    phone.get_by_role("button", name="Send", exact=True).tap()
    assert phone.get_by_role("alert").inner_text() == "Please choose a number from 0 to 10."


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_one_column_and_large_targets(browser: Any, link: str, width: int) -> None:
    page = browser.new_context(viewport={"width": width, "height": 640}).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(link)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for target in page.locator(".scale label, button").all():
        box = target.bounding_box()
        assert box["width"] >= 44
        assert box["height"] >= 44
    host = link.split("/c/")[0]
    assert all(url.startswith((host, "data:")) for url in asked), asked


@pytest.mark.parametrize("query", ["", "?lang=es"])
def test_axe_finds_nothing(browser: Any, axe: Any, link: str, query: str) -> None:
    page = browser.new_context(bypass_csp=True).new_page()
    for address in (link + query, link[:-3] + "/"):
        page.goto(address)
        found = axe.run(page).response["violations"]
        assert not found, [(fault["id"], fault["nodes"][0]["html"]) for fault in found]
