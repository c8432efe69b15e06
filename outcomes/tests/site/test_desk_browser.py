"""The front desk in a real browser: what a clerk does all day, once with the mouse and once with the keyboard alone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from clinic.models import Closure
from clinic.tests.desk import clock
from conftest import MONDAY, World
from procedures import services
from procedures.models import Appointment

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DAY = "/admin/procedures/appointment"


@pytest.fixture
def desk(browser: Any, world: World, live_server: Any) -> Iterator[Any]:
    """A page in which the clerk has signed in, on the Friday before MONDAY."""
    with clock(world.now):
        page = browser.new_context(
            base_url=live_server.url, viewport={"width": 1440, "height": 1000}, bypass_csp=True
        ).new_page()
        page.set_default_timeout(10_000)
        faults: list[str] = []
        asked: list[str] = []
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/admin/")
        page.get_by_label("E-mail").fill(world.clerk.email)
        page.get_by_label("Password").fill("correct horse")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        page.close()
        assert not faults
        assert all(url.startswith((live_server.url, "data:", "blob:")) for url in asked), asked


#: What a screen reader would call the focused element, roughly: its label, its own words, its options' context.
FOCUSED = """() => {
    const at = document.activeElement;
    const named = (at.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id));
    const label = [...(at.labels || []), ...named].map((one) => one ? one.innerText : "").join(" ");
    return `${at.tagName} ${at.getAttribute("aria-label") || label || at.innerText || at.value || ""}`;
}"""


def reach(page: Any, tag: str, words: str) -> None:
    """Press Tab until the focus is on an element of that tag that begins with these words."""
    seen = []
    for _ in range(250):
        page.keyboard.press("Tab")
        focused = " ".join(str(page.evaluate(FOCUSED)).split()).replace(" :", ":").replace(" ,", ",")
        if focused.startswith(f"{tag} {words}"):
            return
        seen.append(focused)
    raise AssertionError(f"{tag} {words!r} is not to be reached: {seen[:60]}")


def enter(page: Any) -> None:
    """Press Enter on what has the focus, which leads to another page."""
    settled(page)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def settled(page: Any) -> None:
    """Wait until the page has put the focus where a clerk begins to type."""
    page.wait_for_function("document.activeElement !== document.body")


def choose(page: Any, label: str, option: str) -> None:
    """Go to a list of choices by Tab and choose by typing."""
    reach(page, "SELECT", label)
    page.keyboard.type(option)


def book(world: World, **values: Any) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def test_booking_with_the_mouse_takes_three_clicks_from_a_known_patient(desk: Any, world: World) -> None:
    book(world, starts_at=world.at(MONDAY, 9))
    desk.goto(f"{DAY}/find/?patient={world.patient.pk}")
    desk.get_by_role("navigation", name="The same again").get_by_role("link").first.click()
    desk.get_by_role("button", name="Monday 11 January, 13:00").click()
    desk.get_by_role("button", name="Book", exact=True).click()
    desk.get_by_text("The appointment is booked.").wait_for()
    assert Appointment.objects.filter(status="booked", starts_at=world.at(MONDAY, 13)).exists()


def test_booking_with_the_keyboard(desk: Any, world: World) -> None:
    desk.goto(f"{DAY}/find/")
    settled(desk)
    desk.keyboard.type("brien")
    enter(desk)
    reach(desk, "A", "O'Brien, Ann")
    enter(desk)
    choose(desk, "Procedure type", "Radio")
    choose(desk, "Region", "lumbar")
    choose(desk, "Side", "left")
    reach(desk, "BUTTON", "Find times")
    enter(desk)
    reach(desk, "BUTTON", "Monday 11 January, 08:00")
    enter(desk)
    desk.get_by_role("heading", name="Held until").wait_for()
    enter(desk)  # the focus is on "Book" already
    desk.get_by_text("The appointment is booked.").wait_for()
    assert Appointment.objects.get().starts_at == world.at(MONDAY, 8)


def drag(page: Any, patient: str, *, days: int = 0, hours: float = 0) -> None:
    """Take a patient's appointment in the week's calendar and drop it so many days and hours away."""
    event = page.locator(".desk-event", has_text=patient)
    event.scroll_into_view_if_needed()
    box = event.bounding_box()
    width = page.locator(".ec-col-head").nth(1).bounding_box()["width"]
    x, y = box["x"] + 30, box["y"] + 8
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + days * width / 2, y + hours * 30, steps=4)
    page.mouse.move(x + days * width, y + hours * 60, steps=8)
    page.mouse.up()


def week(desk: Any, world: World) -> None:
    desk.goto(f"{DAY}/week/?site={world.site.pk}&day={MONDAY}")
    desk.locator(".desk-event").first.wait_for()


def test_moving_with_the_mouse(desk: Any, world: World) -> None:
    book(world)
    week(desk, world)
    drag(desk, "O'Brien", days=1, hours=2)
    dialog = desk.get_by_role("dialog")
    assert "to Tue 12 Jan 2027, 11:00–12:45 EST" in dialog.inner_text()
    dialog.get_by_role("button", name="Put it back").click()
    assert not Appointment.objects.exclude(status="booked").exists()
    drag(desk, "O'Brien", days=1, hours=2)
    dialog.get_by_role("button", name="Move").click()
    desk.get_by_text("Moved to Tue 12 Jan 2027, 11:00–12:45 EST").wait_for()
    assert Appointment.objects.get(status="booked").starts_at == world.at(MONDAY + timedelta(days=1), 11)


def test_dropping_on_a_closed_day_is_refused_and_put_back(desk: Any, world: World) -> None:
    book(world)
    tuesday = MONDAY + timedelta(days=1)
    Closure.objects.create(
        site=world.site, starts_at=world.at(tuesday, 0), ends_at=world.at(tuesday, 23), reason="Snow"
    )
    week(desk, world)
    before = desk.locator(".desk-event").bounding_box()
    drag(desk, "O'Brien", days=1)
    alert = desk.locator("#desk-week-said")
    alert.wait_for()
    assert "is closed" in alert.inner_text()
    assert "Snow" in alert.inner_text()
    assert desk.locator(".desk-event").bounding_box()["x"] == before["x"]
    assert Appointment.objects.get().status == "booked"


def test_moving_with_the_keyboard(desk: Any, world: World) -> None:
    book(world)
    week(desk, world)
    reach(desk, "A", "Move: O'Brien, Ann, 09:00–10:45")
    enter(desk)
    desk.wait_for_url("**/find/?move=**")
    reach(desk, "BUTTON", "Monday 11 January, 13:00")
    enter(desk)
    desk.get_by_role("heading", name="Move it?").wait_for()
    enter(desk)
    desk.get_by_text("The appointment has its new time").wait_for()
    assert Appointment.objects.get(status="booked").starts_at == world.at(MONDAY, 13)


def test_cancelling_with_the_mouse(desk: Any, world: World) -> None:
    appointment = book(world)
    desk.goto(f"{DAY}/{appointment.pk}/change/")
    desk.get_by_role("link", name="Cancel").first.click()
    desk.get_by_text("the clinic").click()
    desk.get_by_label("Reason").fill("Doctor ill")
    desk.get_by_role("button", name="Cancel").click()
    desk.get_by_text("The appointment is cancelled; its time is free.").wait_for()
    appointment.refresh_from_db()
    assert (appointment.status, appointment.ended_by) == ("cancelled", "clinic")


def test_cancelling_with_the_keyboard(desk: Any, world: World) -> None:
    appointment = book(world)
    desk.goto(f"{DAY}/{appointment.pk}/change/")
    reach(desk, "A", "Cancel")
    enter(desk)
    desk.wait_for_url("**/cancel/**")
    settled(desk)
    desk.keyboard.type("Caught a cold")  # the focus is in "Reason" already
    enter(desk)
    desk.get_by_text("The appointment is cancelled; its time is free.").wait_for()
    appointment.refresh_from_db()
    assert appointment.ended_because == "Caught a cold"


def test_closing_shows_whom_it_displaces_and_leads_to_another_time(desk: Any, world: World) -> None:
    book(world)
    desk.goto("/admin/clinic/closure/add/")
    desk.get_by_label("From date").fill("2027-01-11")
    desk.get_by_label("From time").fill("08:00")
    desk.get_by_label("Until date").fill("2027-01-11")
    desk.get_by_label("Until time").fill("12:00")
    desk.get_by_label("Reason").fill("Snow")
    desk.evaluate(CHOOSE_SITE, [world.site.pk, str(world.site)])
    save = desk.get_by_role("button", name="Save", exact=True)
    save.click()
    desk.get_by_text("This displaces 1 appointment").wait_for()
    assert not Closure.objects.exists()
    desk.get_by_role("button", name="Save", exact=True).click()
    desk.wait_for_url("**/closure/**")
    assert Closure.objects.get().reason == "Snow"
    desk.goto(f"/admin/clinic/closure/{Closure.objects.get().pk}/change/")
    desk.get_by_role("link", name="Move").first.click()
    desk.wait_for_url("**/find/?move=**")


#: The list of sites is looked up while typing; here it is chosen as that would.
CHOOSE_SITE = """([value, words]) => {
    const list = document.getElementById("id_site");
    list.append(new Option(words, value, true, true));
    list.dispatchEvent(new Event("change", { bubbles: true }));
}"""


def test_closing_with_the_keyboard(desk: Any, world: World) -> None:
    desk.goto("/admin/clinic/closure/add/")
    reach(desk, "SPAN", "Site")  # the list of sites opens by Enter and is searched by typing
    desk.keyboard.press("Enter")
    desk.keyboard.type("Rivers")
    desk.get_by_role("option", name="Riverside").wait_for()
    desk.keyboard.press("Enter")
    reach(desk, "INPUT", "From date")
    desk.keyboard.type("02012027")
    reach(desk, "INPUT", "From time")
    desk.keyboard.type("0800AM")
    reach(desk, "INPUT", "Until date")
    desk.keyboard.type("02012027")
    reach(desk, "INPUT", "Until time")
    desk.keyboard.type("0500PM")
    reach(desk, "INPUT", "Reason")
    desk.keyboard.type("Training")
    enter(desk)
    desk.wait_for_url("**/closure/")
    closed = Closure.objects.get()
    assert closed.site == world.site
    assert closed.starts_at == world.at(MONDAY + timedelta(days=21), 8)
    assert closed.ends_at == world.at(MONDAY + timedelta(days=21), 17)


@pytest.mark.parametrize("page", ["board", "week"])
def test_printing_leaves_the_screens_own_parts_out(desk: Any, world: World, page: str) -> None:
    book(world)
    desk.goto(f"{DAY}/{page}/?site={world.site.pk}&day={MONDAY}")
    desk.emulate_media(media="print")
    assert desk.get_by_role("link", name="O'Brien, Ann").first.is_visible()
    for part in ("#nav-sidebar", ".desk-choose", ".desk-calendar", ".desk-steps"):
        for one in desk.locator(part).all():
            assert not one.is_visible(), part
    assert desk.evaluate("document.documentElement.scrollWidth") <= 1440
    assert desk.pdf().startswith(b"%PDF")


def test_axe_finds_no_serious_fault(desk: Any, axe: Any, world: World) -> None:
    appointment = book(world)
    other = book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    services.cancel(other.pk, reason="ill", by=world.clerk, now=world.now)
    services.close(
        Closure(site=world.site, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 12), reason="Snow"),
        by=world.clerk,
        now=world.now,
    )
    about = f"site={world.site.pk}&day={MONDAY}"
    asked = f"patient={world.patient.pk}&procedure_type={world.ablation.pk}&region=lumbar&laterality=left"
    pages = [
        "/admin/",
        f"{DAY}/board/?{about}",
        f"{DAY}/week/?{about}",
        f"{DAY}/?when=all",
        f"{DAY}/find/",
        f"{DAY}/find/?q=a",
        f"{DAY}/find/?{asked}",
        f"{DAY}/find/?move={appointment.pk}",
        f"{DAY}/{appointment.pk}/change/",
        f"{DAY}/{appointment.pk}/cancel/",
        "/admin/clinic/closure/",
        "/admin/clinic/closure/add/",
        f"/admin/clinic/closure/{Closure.objects.get().pk}/change/",
        "/admin/procedures/waitlistentry/",
        "/admin/procedures/waitlistentry/add/",
        "/admin/procedures/freedtime/",
        f"/admin/patients/patient/{world.patient.pk}/change/",
    ]
    faults = []
    for address in pages:
        desk.goto(address)
        for fault in axe.run(desk).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                faults += [(address, fault["id"], node["html"][:160]) for node in fault["nodes"]]
    assert not faults, "\n".join(map(str, faults))
