"""Every page that a patient can see, in a real browser: axe, one column, large targets, 400 %, right to left."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from clinic import patient_pages
from clinic.models import Site
from outcomes import views
from procedures.models import Appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Screen(NamedTuple):
    """How a page is shown. `axe`: whether axe looks at it too, which takes half a second a page."""

    width: int
    height: int
    language: str
    scheme: str = "light"
    direction: str = "ltr"
    axe: bool = False


SCREENS = [
    Screen(320, 640, "en", axe=True),
    Screen(360, 640, "es", "dark", axe=True),
    Screen(320, 256, "es"),  # what 400 % leaves of 1280 × 1024
    Screen(1280, 900, "en", "dark"),
    Screen(320, 640, "ar", direction="rtl", axe=True),
]


def questions(page: Any, link: str, query: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The pages of a check-in of day 42, one after the other."""
    page.goto(link + query)
    yield "questions"
    with monkeypatch.context() as patch:
        patch.setattr(views, "sent_too_often", lambda *_: True)
        page.locator("button.deed").click()
        yield "wait"
    page.goto(link + query)
    with monkeypatch.context() as patch:
        patch.setattr(patient_pages, "from_elsewhere", lambda *_: True)
        page.locator("button.deed").click()
        yield "from elsewhere"
    page.goto(link + query)
    page.locator("button.deed").click()
    yield "something is missing"
    page.locator("input[name='nrs.now'][value='7']").check(force=True)
    page.locator("input[name='nrs.worst_24_hours'][value='7']").check(force=True)
    page.locator("button.deed").click()
    yield "safety"
    page.locator("input[name='red_flag.new_weakness']").check(force=True)
    page.locator("button.deed").click()
    page.locator("section.told").wait_for()
    yield "what to do"
    page.locator("a.quiet").click()
    page.locator("aside.told").wait_for()
    yield "what is missing, below what to do"
    page.locator("button.deed").click()
    page.get_by_text("3 of 3").or_(page.get_by_text("3 de 3")).wait_for()
    yield "change, below what to do"
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    page.locator("button.deed").click()
    page.locator("figure").wait_for()
    yield "thanks"
    page.locator("main a.quiet").click()
    page.wait_for_url("**/p/**")
    yield "pain is back"
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    yield "pain is back, something is missing"
    page.locator("input[name='nrs.now'][value='7']").check(force=True)
    page.locator("button.deed").click()
    page.wait_for_url("**sent=1**")
    yield "pain is back, thanks"
    Site.objects.update(asks_birth_date=True)
    page.goto(link + query)
    page.locator("[name=year]").wait_for()
    yield "birth date"
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    yield "wrong birth date"
    page.goto(link[:-3] + "/" + query)
    yield "gone"


def its_diary(page: Any, link: str, query: str) -> Iterator[str]:
    """The pages of a diary."""
    page.goto(link + query)
    yield "diary"
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    yield "diary, something is missing"
    page.locator("details[open] .scale input[value='3']").check(force=True)
    page.locator("details[open] .yes_no input[value='0']").check(force=True)
    page.locator("button.deed").click()
    page.get_by_role("status").wait_for()
    yield "diary, saved"
    page.locator("footer a.quiet").click()
    page.wait_for_url("**/stop/**")
    yield "stop?"
    page.locator("button.deed").click()
    page.locator("h1 + p + p").wait_for()
    yield "stopped"


def of_letters(page: Any, letters: dict[str, str], query: str) -> Iterator[str]:
    """The pages that letters about appointments and the header of an e-mail lead to."""
    page.goto(letters["appointment"] + query)
    yield "appointment"
    page.locator("button.deed").click()
    page.get_by_role("status").wait_for()
    yield "appointment, will come"
    page.locator("button.quiet").click()
    page.locator("button.deed").wait_for()
    yield "appointment, wants another time"
    page.goto(letters["before"] + query)
    yield "before"
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    yield "before, something is missing"
    page.locator("input[name='nrs.now'][value='10']").check(force=True)
    page.locator("button.deed").click()
    page.get_by_role("status").wait_for()
    yield "before, sent"
    page.locator("main a.quiet").first.click()
    page.get_by_role("status").wait_for()
    yield "before, said today"
    page.goto(letters["before"].partition("/a/")[0] + "/tablet/" + query)
    yield "tablet"
    page.locator("input[name='code']").fill("123456")
    page.locator("button.deed").click()
    page.get_by_role("alert").wait_for()
    yield "tablet, wrong digits"
    page.goto(letters["before"].partition("/a/")[0] + f"/tablet/{query}&show=thanks")
    yield "tablet, thanks"
    Appointment.objects.filter(patient__record_number="P00007").update(status="in_procedure")
    page.goto(letters["before"] + query)
    yield "before, too late"
    Appointment.objects.filter(patient__record_number="P00007").update(status="cancelled", ended_reason="ill")
    page.goto(letters["appointment"] + query)
    yield "cancelled"
    page.goto(letters["unsubscribe"] + query)
    yield "unsubscribe"
    page.locator("button.deed").click()
    page.locator("h1 + p + p").wait_for()
    yield "unsubscribed"
    page.goto(letters["appointment"] + query)
    yield "revoked"
    page.goto(letters["appointment"].partition("/a/")[0] + "/nothing/")
    yield "no such page"


def look(page: Any, name: str, screen: Screen, axe: Any) -> None:
    """Nothing to find fault with."""
    if page.locator("html").get_attribute("lang") == screen.language:
        assert (page.locator("html").get_attribute("dir") or "ltr") == screen.direction, name
    page.evaluate("(direction) => { document.documentElement.dir = direction; }", screen.direction)
    if screen.axe:
        found = axe.run(page).response["violations"]
        assert not found, (name, [(fault["id"], fault["nodes"][0]["html"]) for fault in found])
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{name} is {wide} too wide"
    # Right to left what does not fit hangs out on the left, where no page scrolls.
    out = page.evaluate(
        """() => [...document.querySelectorAll("main *, header *, footer *")]
            .filter((one) => !one.closest(".first, svg, details:not([open]) > :not(summary)"))
            .filter((one) => one.getBoundingClientRect().width
                && (one.getBoundingClientRect().left < -0.5
                    || one.getBoundingClientRect().right > window.innerWidth + 0.5))
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert not out, (name, out)
    for target in page.locator("li label, button:not(.first), summary, main a:not(.error a), header a").all():
        box = target.bounding_box()
        if box and box["width"]:  # none in an hour that is folded
            assert box["height"] >= 44, (name, target.inner_text(), box)
            assert box["width"] >= 44, (name, target.inner_text(), box)


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest, settings: Any) -> Any:
    """A page of the screen that the test is for; it keeps what was asked for.

    Arabic has no words here: they stay English, from right to left.
    """
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    screen: Screen = request.getfixturevalue("screen")
    context = browser.new_context(
        bypass_csp=screen.axe,
        color_scheme=screen.scheme,
        viewport={"width": screen.width, "height": screen.height},
    )
    made = context.new_page()
    made.set_default_timeout(10_000)
    made.asked = []
    made.on("request", lambda request: made.asked.append(request.url))
    return made


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_pages_of_a_check_in(
    page: Any, axe: Any, link: str, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in questions(page, link, f"?lang={screen.language}", monkeypatch):
        look(page, name, screen, axe)
    host = link.partition("/c/")[0]
    assert all(url.startswith((host, "data:")) for url in page.asked), page.asked


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_pages_of_a_diary(page: Any, axe: Any, diary: str, screen: Screen) -> None:
    for name in its_diary(page, diary, f"?lang={screen.language}"):
        look(page, name, screen, axe)


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_pages_of_letters(page: Any, axe: Any, letters: dict[str, str], screen: Screen) -> None:
    for name in of_letters(page, letters, f"?lang={screen.language}"):
        look(page, name, screen, axe)


def test_right_to_left_mirrors_the_page_but_no_telephone_number(
    browser: Any, link: str, settings: Any
) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    page = browser.new_context(viewport={"width": 360, "height": 640}).new_page()
    page.goto(link)
    left = page.locator(".scale label").first.bounding_box()["x"]
    page.goto(link + "?lang=ar")
    assert page.locator(".scale label").first.bounding_box()["x"] > left + 100
    page.locator("input[name='nrs.now'][value='7']").check(force=True)
    page.locator("input[name='nrs.worst_24_hours'][value='7']").check(force=True)
    page.locator("button.deed").click()
    page.locator("input[name='red_flag.fever_chills']").check(force=True)
    page.locator("button.deed").click()
    page.locator("section.told").wait_for()
    assert page.locator("html").get_attribute("dir") == "rtl"
    numbers = page.evaluate(
        """() => [...document.querySelectorAll("bdi, .phone")].map((one) => {
            const at = (from) => {
                const range = document.createRange();
                range.setStart(one.firstChild, from);
                range.setEnd(one.firstChild, from + 1);
                return range.getBoundingClientRect().x;
            };
            return [one.innerText, at(0) < at(one.firstChild.length - 1)];
        })"""
    )
    assert numbers == [["+1 212 555 0100", True]] * 2


def test_where_the_colours_are_the_systems_buttons_have_edges_and_the_choice_is_seen(
    browser: Any, link: str
) -> None:
    page = browser.new_context(forced_colors="active").new_page()
    page.goto(link)
    page.locator("input[name='nrs.now'][value='7']").check(force=True)

    def style(selector: str, name: str) -> str:
        return str(page.locator(selector).evaluate(f"(one) => getComputedStyle(one).{name}"))

    button = "button.deed"
    assert style(button, "borderTopWidth") != "0px"
    assert style(button, "borderTopColor") != style(button, "backgroundColor")
    chosen, other = (f"li label:has(input[name='nrs.now'][value='{value}'])" for value in (7, 6))
    assert style(chosen, "backgroundColor") != style(other, "backgroundColor")
