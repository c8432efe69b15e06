"""The patient's page in a real browser: on a phone, by touch and by keyboard, without JavaScript, in both languages."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clinic.models import Site
from clinic.throttling import OWN
from conftest import World
from outcomes import services
from outcomes.models import Alert, Answer, CheckIn, Draft
from patients.models import Patient
from procedures.models import Procedure, RedFlag, ReliefProfile

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def nobody_has_tried() -> None:
    OWN.clear()


@pytest.fixture
def phone(browser: Any) -> Any:
    """A page of 360 × 640 with touch and without JavaScript."""
    page = browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, java_script_enabled=False
    ).new_page()
    page.set_default_timeout(10_000)
    return page


@pytest.fixture
def link(world: World, live_server: Any) -> str:
    """The address of a check-in of day 42 that is open now: pain, red flags (it is a device), and the change."""
    for code, question, question_es, urgency in (
        ("new_weakness", "Do you have new weakness?", "¿Tiene debilidad nueva?", "emergency"),
        ("fever_chills", "Do you have a fever?", "¿Tiene fiebre?", "same_day"),
    ):
        flag = RedFlag.objects.create(
            code=code, question=question, question_es=question_es, urgency=urgency, source="test"
        )
        world.ablation.red_flags.add(flag)
    world.ablation.purpose = "device_implant"
    world.ablation.save()
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=42 * 1440)
    now = timezone.now()
    CheckIn.objects.filter(pk=check_in.pk).update(
        opens_at=now - timedelta(hours=1), due_at=now, closes_at=now + timedelta(days=1)
    )
    return f"{live_server.url}/c/{services.issue_link(check_in, now=now)}/"


def choose(page: Any, group: str, answer: str) -> None:
    """Tap one answer of one question."""
    page.get_by_role("group", name=group).get_by_role("radio", name=answer, exact=True).tap()


def figures() -> dict[str, int]:
    return {f"{m.instrument}.{m.item}": m.value for m in Answer.objects.get().measurements.all()}


def test_answering_by_touch(phone: Any, link: str) -> None:
    phone.goto(link)
    choose(phone, "right now", "7")
    choose(phone, "at its worst", "9")
    phone.get_by_role("button", name="Go on", exact=True).tap()
    choose(phone, "weakness", "No")
    choose(phone, "fever", "No")
    phone.get_by_role("button", name="Go on", exact=True).tap()
    phone.get_by_text("Step 3 of 3").wait_for()
    choose(phone, "overall status", "Much improved")
    phone.get_by_role("textbox").fill("Merci <b>")
    phone.get_by_role("button", name="Send", exact=True).tap()
    phone.get_by_role("heading", name="Thank you").wait_for()
    assert phone.locator("figcaption").inner_text() == "Before: 8. Today: 7."
    assert figures() == {
        "nrs.now": 7,
        "nrs.worst_24_hours": 9,
        "red_flag.new_weakness": 0,
        "red_flag.fever_chills": 0,
        "pgic.change": 2,
    }
    assert Answer.objects.get().remark == "Merci <b>"
    phone.go_back()
    phone.reload()
    phone.get_by_role("heading", name="Thank you").wait_for()
    assert Answer.objects.count() == 1


def test_answering_by_keyboard_in_spanish(phone: Any, link: str) -> None:
    phone.goto(link)
    phone.get_by_role("button", name="Español").focus()
    phone.keyboard.press("Enter")
    phone.get_by_text("Paso 1 de 3").wait_for()
    phone.get_by_role("group", name="en este momento").get_by_role("radio", name="0", exact=True).focus()
    for _ in range(3):
        phone.keyboard.press("ArrowRight")
    phone.keyboard.press("Enter")  # sends the step, and does not switch the language
    phone.get_by_text("Paso 2 de 3").wait_for()
    for group in ("debilidad", "fiebre"):
        phone.get_by_role("group", name=group).get_by_role("radio", name="No", exact=True).focus()
        phone.keyboard.press("Space")
    phone.keyboard.press("Enter")
    phone.get_by_text("Paso 3 de 3").wait_for()
    phone.get_by_role("button", name="Enviar", exact=True).focus()
    phone.keyboard.press("Space")
    phone.get_by_role("heading", name="Gracias").wait_for()
    assert Answer.objects.get().language == "es"
    assert figures()["nrs.now"] == 3


def test_a_red_flag_is_told_before_going_on_and_can_be_taken_back(phone: Any, link: str) -> None:
    phone.goto(link)
    choose(phone, "right now", "7")
    phone.get_by_role("button", name="Go on", exact=True).tap()
    choose(phone, "weakness", "Yes")
    choose(phone, "fever", "No")
    phone.get_by_role("button", name="Go on", exact=True).tap()
    phone.get_by_role("heading", name="Call 911 now").wait_for()
    assert Alert.objects.get().urgency == Alert.Urgency.EMERGENCY
    assert phone.get_by_role("link", name="Call 911").get_attribute("href") == "tel:911"
    box = phone.get_by_role("link", name="Call 911").bounding_box()
    assert box["y"] + box["height"] < 640  # seen without scrolling
    phone.get_by_role("link", name="It was a mistake").tap()
    choose(phone, "weakness", "No")
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
    page.get_by_role("alert").get_by_role("link").click()
    assert page.evaluate("location.hash") == "#nrs-now"
    assert "Please choose a number from 0 to 10." in page.locator("#nrs-now").inner_text()


def test_a_browser_that_opens_every_link_changes_nothing(browser: Any, link: str) -> None:
    """As mail scanners do, with JavaScript: looks at the page, follows every link in it, and theirs."""
    page = browser.new_page()
    to_see, seen = [link], set()
    while to_see:
        address = to_see.pop()
        if address in seen:
            continue
        seen.add(address)
        page.goto(address)
        links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
        to_see += [one.split("#")[0] for one in links if one.startswith("http")]
        page.evaluate("fetch(location.href, {method: 'HEAD'})")
    assert not Answer.objects.exists()
    assert not Draft.objects.exists()
    assert not Patient.objects.filter(opted_out_at__isnull=False).exists()
    assert CheckIn.objects.filter(status=CheckIn.Status.ANSWERED).count() == 0


def test_the_browser_sends_no_referrer_and_its_forms_are_taken(browser: Any, link: str) -> None:
    page = browser.new_page()
    asked: list[dict[str, str]] = []
    page.on("request", lambda request: asked.append(request.all_headers() | {":url": request.url}))
    page.goto(link)
    page.get_by_role("group", name="right now").get_by_role("radio", name="7", exact=True).check(force=True)
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_text("Step 2 of 3").wait_for()
    assert any(request[":url"].endswith("page.css") for request in asked)
    assert not [request for request in asked if request.get("referer")]
    assert Draft.objects.get().values == {"nrs.now": 7}


def test_the_birth_date_by_touch(phone: Any, link: str) -> None:
    Site.objects.update(asks_birth_date=True)
    phone.goto(link)
    for label, value in (("Month", "5"), ("Day", "7"), ("Year", "1944")):
        phone.get_by_label(label).fill(value)
    phone.get_by_role("button", name="Go on").tap()
    phone.get_by_role("alert").wait_for()
    for label, value in (("Month", "5"), ("Day", "6"), ("Year", "1944")):
        phone.get_by_label(label).fill(value)
    phone.get_by_role("button", name="Go on").tap()
    phone.get_by_text("Step 1 of 3").wait_for()
    phone.goto(link)
    phone.get_by_text("Step 1 of 3").wait_for()


def every_page(page: Any, link: str, query: str) -> Any:
    """One page after the other that a patient can see, by name."""
    page.goto(link + query)
    yield "questions"
    page.locator("button.deed").click()
    yield "something is missing"
    page.locator("input[name='nrs.now'][value='7']").check(force=True)
    page.locator("button.deed").click()
    yield "safety"
    page.locator("input[name='red_flag.new_weakness'][value='1']").check(force=True)
    page.locator("input[name='red_flag.fever_chills'][value='0']").check(force=True)
    page.locator("button.deed").click()
    page.locator("h1").wait_for()
    yield "what to do"
    page.locator("a.quiet").click()
    yield "change"
    page.locator("button.deed").click()
    page.locator("figure").wait_for()
    yield "thanks"
    page.goto(link[:-3] + "/")
    yield "gone"


@pytest.mark.parametrize(("width", "query"), [(320, ""), (360, "?lang=es"), (1280, "")])
def test_one_column_and_large_targets(browser: Any, link: str, width: int, query: str) -> None:
    """320 pixels are also what 400 % leaves of 1280."""
    page = browser.new_context(viewport={"width": width, "height": 640}).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in every_page(page, link, query):
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        for target in page.locator("li label, button:not(.first), main a:not(.error a), header a").all():
            box = target.bounding_box()
            assert box["height"] >= 44, (name, target.inner_text())
            assert box["width"] >= 44, (name, target.inner_text())
    host = link.split("/c/")[0]
    assert all(url.startswith((host, "data:")) for url in asked), asked


def test_right_to_left_mirrors_the_page(browser: Any, link: str) -> None:
    page = browser.new_context(viewport={"width": 360, "height": 640}).new_page()
    page.goto(link)
    zero = page.locator(".scale label").first
    left = zero.bounding_box()["x"]
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert zero.bounding_box()["x"] > left + 100
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture
def diary(world: World, live_server: Any) -> str:
    """The address of a block's diary, seventy minutes after the procedure."""
    world.ablation.purpose = "diagnostic_and_therapeutic"
    world.ablation.save()
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.window_from_minutes, profile.window_until_minutes = 120, 240
    profile.check_in_minutes = [30, 60, 120]
    profile.save()
    follow_up = world.performed(intent="diagnostic").follow_up
    now = timezone.now()
    for check_in in follow_up.check_ins.filter(offset_minutes__in=[30, 60, 120]):
        at = now + timedelta(minutes=check_in.offset_minutes - 70)
        check_in.opens_at = check_in.due_at = at
        check_in.closes_at = now + timedelta(days=1)
        check_in.save()
    Procedure.objects.update(performed_at=now - timedelta(minutes=70))
    first = follow_up.check_ins.get(offset_minutes=30)
    return f"{live_server.url}/c/{services.issue_link(first, now=now)}/"


def test_a_diary_by_touch(phone: Any, diary: str) -> None:
    phone.goto(diary)
    phone.locator("summary").first.tap()  # the hour that was missed
    for group, answer in (("right now", "2"), ("How bad was your pain at", "4")):
        choose(phone, group, answer)
    phone.get_by_role("button", name="Save").tap()
    phone.get_by_text("Saved.").wait_for()
    answers = Answer.objects.order_by("check_in__offset_minutes")
    assert [(one.late, one.measurements.get().value) for one in answers] == [(True, 4), (False, 2)]
    phone.get_by_text("comes later").wait_for()


@pytest.mark.parametrize("query", ["", "?lang=es"])
def test_axe_finds_nothing_in_a_diary(browser: Any, axe: Any, diary: str, query: str) -> None:
    page = browser.new_context(bypass_csp=True, viewport={"width": 320, "height": 640}).new_page()
    for name in ("empty", "missing", "saved"):
        if name == "empty":
            page.goto(diary + query)
        if name == "saved":
            page.locator("details[open] .scale input[value='3']").check(force=True)
        if name != "empty":
            page.locator("button.deed").click()
            page.locator("[role=alert], [role=status]").wait_for()
        found = axe.run(page).response["violations"]
        assert not found, (name, [(fault["id"], fault["nodes"][0]["html"]) for fault in found])
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name


@pytest.mark.parametrize("query", ["", "?lang=es"])
def test_axe_finds_nothing(browser: Any, axe: Any, link: str, query: str) -> None:
    page = browser.new_context(bypass_csp=True).new_page()
    for name in every_page(page, link, query):
        found = axe.run(page).response["violations"]
        assert not found, (name, [(fault["id"], fault["nodes"][0]["html"]) for fault in found])
    Site.objects.update(asks_birth_date=True)
    page.goto(link + query)
    assert re.search("born|naci", page.locator("legend").inner_text())
    assert not axe.run(page).response["violations"]
