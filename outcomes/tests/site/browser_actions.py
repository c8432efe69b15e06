"""Two ways to use a patient's page in a browser: a finger on a small screen, and the keys of a keyboard alone."""

from collections.abc import Callable
from typing import Any

from django.utils import translation
from django.utils.translation import gettext

from clinic.models import User

#: A small telephone.
SMALL = {"width": 360, "height": 640}
#: What has the focus: its name, its value and its words.
FOCUS = "(({name, value, innerText}) => [name || '', value || '', (innerText || '').trim()])(document.activeElement)"
#: What a screen reader would call the focused element, roughly: its label, its own words, its options' context.
FOCUSED = """() => {
    const at = document.activeElement;
    const named = (at.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id));
    const label = [...(at.labels || []), ...named].map((one) => one ? one.innerText : "").join(" ");
    return `${at.tagName} ${at.getAttribute("aria-label") || label || at.innerText || at.value || ""}`;
}"""


def said(language: str, words: str) -> str:
    """The page's own words in a language."""
    with translation.override(language):
        return gettext(words)


class Finger:
    """Taps."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def choose(self, name: str, value: int) -> None:
        """Choose a value of a question or an entry, by the name of its field."""
        self.page.locator(f"li label:has(input[name='{name}'][value='{value}'])").tap()

    def tick(self, name: str, value: str) -> None:
        """Tick a box."""
        self.page.locator(f"li label:has(input[name='{name}'][value='{value}'])").tap()

    def write(self, name: str, words: str) -> None:
        """Write into a field."""
        self.page.locator(f"[name='{name}']").tap()
        self.page.keyboard.type(words)

    def press(self, words: str) -> None:
        """Press the button or the link with these words."""
        self.page.locator("button, a, summary").filter(has_text=words).first.tap()


class Keys:
    """Tab, arrows, space and enter: nothing is given the focus by other means."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def reach(self, place: int, wanted: str) -> list[str]:
        """Press Tab until what has the focus has this name (`place` 0) or begins with these words (2)."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            focus: list[str] = self.page.evaluate(FOCUS)
            if focus[place] == wanted or (place == 2 and wanted in focus[2] and len(focus[2]) < 80):
                assert self.page.evaluate("document.activeElement.matches(':focus-visible')")
                return focus
        raise AssertionError(f"No Tab leads to {wanted}.")

    def choose(self, name: str, value: int) -> None:
        self.reach(0, name)
        self.page.keyboard.press("Space")
        for _ in range(12):
            if self.page.evaluate(FOCUS)[:2] == [name, str(value)]:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"No arrow leads to {value} of {name}.")

    def tick(self, name: str, value: str) -> None:
        while self.reach(0, name)[1] != value:
            pass
        self.page.keyboard.press("Space")

    def write(self, name: str, words: str) -> None:
        self.reach(0, name)
        self.page.keyboard.type(words)

    def press(self, words: str) -> None:
        self.reach(2, words)
        self.page.keyboard.press("Enter")


def hand(browser: Any, kind: str, *, scripts: bool) -> Any:
    """A finger ("touch") or "keys" on a new page of a small screen, with or without JavaScript."""
    touch = kind == "touch"
    page = browser.new_context(viewport=SMALL, has_touch=touch, java_script_enabled=scripts).new_page()
    page.set_default_timeout(10_000)
    return Finger(page) if touch else Keys(page)


def tab_to(page: Any, tag: str, words: str) -> None:
    """Press Tab until the focus is on an element of that tag that begins with these words."""
    seen = []
    for _ in range(250):
        page.keyboard.press("Tab")
        focused = " ".join(str(page.evaluate(FOCUSED)).split()).replace(" :", ":").replace(" ,", ",")
        if focused.startswith(f"{tag} {words}"):
            return
        seen.append(focused)
    raise AssertionError(f"{tag} {words!r} is not to be reached: {seen[:60]}")


def desk_page(
    browser: Any, user: User, live_server: Any, watch: Callable[[Any], None] = lambda page: None
) -> Any:
    """A page in which `user` has signed in. `watch` is called with it before it opens anything."""
    page = browser.new_context(
        base_url=live_server.url, viewport={"width": 1440, "height": 1000}, bypass_csp=True
    ).new_page()
    page.set_default_timeout(20_000)
    watch(page)
    page.goto("/admin/")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page
