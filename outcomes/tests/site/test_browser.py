"""What a real browser does with the patient's page: a red flag's advice, what is missing, and no referrer."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from outcomes.models import Alert, Draft
from procedures.models import RedFlag
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def choose(page: Any, group: str, answer: str) -> None:
    """Tap one answer of one question."""
    page.get_by_role("group", name=group).get_by_role("radio", name=answer, exact=True).tap()


def test_a_red_flag_is_told_before_going_on_and_can_be_taken_back(phone: Any, link: str) -> None:
    phone.goto(link)
    choose(phone, "right now", "7")
    choose(phone, "at its worst", "8")
    phone.get_by_role("button", name="Go on", exact=True).tap()
    phone.get_by_label("weakness").tap()
    phone.get_by_role("button", name="Go on", exact=True).tap()
    phone.get_by_role("heading", name="Call 911 now").wait_for()
    assert Alert.objects.get().urgency == Alert.Urgency.EMERGENCY
    assert phone.get_by_role("link", name="Call 911").get_attribute("href") == "tel:911"
    box = phone.get_by_role("link", name="Call 911").bounding_box()
    assert box["y"] + box["height"] < 640  # seen without scrolling
    phone.get_by_role("link", name="It was a mistake").tap()
    phone.get_by_label("weakness").tap()
    for none in phone.get_by_label("None of these").all():
        none.tap()
    phone.get_by_role("button", name="Go on", exact=True).tap()
    phone.get_by_text("Step 3 of 3").wait_for()
    assert Alert.objects.count() == 1  # somebody still looks at it
    phone.get_by_role("button", name="Back").tap()
    phone.get_by_text("Step 2 of 3").wait_for()


def test_sending_nothing_says_what_is_missing_and_takes_the_reader_there(browser: Any, link: str) -> None:
    page = browser.new_page()
    page.goto(link)
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_role("alert").wait_for()
    assert page.evaluate("document.activeElement.id") == "faults"
    page.get_by_role("alert").get_by_role("link").first.click()
    assert page.evaluate("location.hash") == "#nrs-now"
    assert "Please choose a number from 0 to 10." in page.locator("#nrs-now").inner_text()


def test_the_browser_sends_no_referrer_and_its_forms_are_taken(browser: Any, link: str) -> None:
    page = browser.new_page()
    asked: list[dict[str, str]] = []
    page.on("request", lambda request: asked.append(request.all_headers() | {":url": request.url}))
    page.goto(link)
    page.get_by_role("group", name="right now").get_by_role("radio", name="7", exact=True).check(force=True)
    page.get_by_role("group", name="worst").get_by_role("radio", name="8", exact=True).check(force=True)
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_text("Step 2 of 3").wait_for()
    assert any(request[":url"].endswith("page.css") for request in asked)
    assert not [request for request in asked if request.get("referer")]
    assert Draft.objects.get().values == {"nrs.now": 7, "nrs.worst_24_hours": 8}


def test_eleven_red_flags_fit_on_two_screens_of_a_telephone(phone: Any, link: str, world: World) -> None:
    """As many as an epidural steroid injection asks, with their longest words, to the button that sends them."""
    words = tomllib.loads(
        (Path(settings.BASE_DIR) / "procedures/catalogue/shared/red_flags.toml").read_text()
    )
    injection = Path(settings.BASE_DIR) / "procedures/catalogue/esi_interlaminar.toml"
    asked = tomllib.loads(injection.read_text())["red_flags"]
    assert len(asked) == 11
    for code in asked:
        entry = words[code]
        told = {key: " ".join(entry[key].split()) for key in ("question", "question_es", "urgency")}
        flag, _ = RedFlag.objects.update_or_create(code=code, defaults=told | {"source": "test"})
        world.ablation.red_flags.add(flag)
    for language in ("en", "es"):
        Draft.objects.all().delete()
        phone.goto(f"{link}?lang={language}")
        for key in ("nrs.now", "nrs.worst_24_hours"):
            phone.locator(f"li label:has(input[name='{key}'][value='7'])").tap()
        phone.locator("form .deed").tap()
        phone.locator("fieldset.flags").first.wait_for()
        box = phone.locator("form .deed").bounding_box()
        assert box["y"] + box["height"] <= 2 * 640, language
