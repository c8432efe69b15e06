"""The front desk in a real browser: what a clerk does all day, once with the mouse and once with the keyboard alone."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from clinic.admin import csv_import
from clinic.csv_import.imports import Mode, Report, Steps
from clinic.models import Closure
from clinic.roles import MANAGER
from clinic.tests.admin_client import clock
from clinic.tests.factories import MONDAY
from outcomes import services as outcomes
from outcomes.models import Answer, CheckIn
from outcomes.paper_form_codes import paper_code
from outcomes.reports import WORKLISTS, Selection
from outcomes.tests.factories import red_flag
from outcomes.tests.site.browser_actions import FOCUSED, desk_page, tab_to
from patients.admin import PatientAdmin
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World, on_waitlist

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DAY = "/admin/procedures/appointment"
FOLLOW_UPS = "/admin/outcomes/followup"


@pytest.fixture
def desk(browser: Any, world: World, live_server: Any) -> Iterator[Any]:
    """A page in which the clerk has signed in, on the Friday before MONDAY."""
    with clock(world.now):
        faults: list[str] = []
        asked: list[str] = []

        def watch(page: Any) -> None:
            page.on("pageerror", lambda fault: faults.append(str(fault)))
            page.on("request", lambda request: asked.append(request.url))

        page = desk_page(browser, world.clerk, live_server, watch)
        yield page
        page.close()
        assert not faults
        assert all(url.startswith((live_server.url, "data:", "blob:")) for url in asked), asked


@pytest.mark.parametrize("width", [1360, 1024, 400])
def test_the_waitlist_never_scrolls_sideways(desk: Any, world: World, width: int) -> None:
    """Beside the navigation, without it, and as cards on a telephone, where a label says what a date means."""
    asked = {"sites": [world.site], "clinicians": [world.doctor], "note": "Needs a driver: two days' notice."}
    since = {"earliest_on": MONDAY - timedelta(days=84), "stale_on": MONDAY - timedelta(days=9)}
    on_waitlist(world, **asked, **since, now=world.now - timedelta(days=85))
    desk.set_viewport_size({"width": width, "height": 900})
    desk.goto("/admin/procedures/waitlistentry/")
    desk.get_by_text("ask again since").wait_for()
    wide = desk.evaluate(
        """() => [...document.querySelectorAll("html, #changelist, #result_list *, .simplebar-content-wrapper")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1 && !one.matches("span, a, input"))
        .map((one) => `${one.tagName} ${one.className}: ${one.scrollWidth} in ${one.clientWidth}`)"""
    )
    assert wide == []
    first_line = desk.locator("#result_list .field-since").bounding_box()["y"]
    below = first_line > desk.locator("#result_list .field-who").bounding_box()["y"] + 10
    assert below == (width == 400)


def test_how_far_a_long_import_is_is_seen_while_it_runs(
    desk: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the page is whole, and so before any of its scripts that wait for that."""
    seen = threading.Event()

    def steps(self: PatientAdmin, data: bytes, **how: Any) -> Steps:
        yield "checked", 2, 6
        yield "checked", 4, 6
        assert seen.wait(30)
        yield "checked", 6, 6
        return Report(Mode.CHECK, 6)

    monkeypatch.setattr(PatientAdmin, "import_steps", steps)
    monkeypatch.setattr(csv_import, "LONG", 1)
    monkeypatch.setattr(csv_import, "EVERY", 2)
    desk.goto("/admin/patients/patient/import/")
    file = {"name": "patients.csv", "mimeType": "text/csv", "buffer": b"a\nb\nc\n"}
    desk.locator("[name=file]").set_input_files(files=[file])
    desk.get_by_role("button", name="Check the file").click(no_wait_after=True)
    try:
        desk.get_by_text("4 of 6 rows checked").wait_for()
        assert not desk.get_by_text("2 of 6 rows checked").is_visible()
        assert not desk.get_by_role("button", name="Check the file").is_visible()
    finally:
        seen.set()
    desk.get_by_text("Checked. Nothing is saved yet.").wait_for()
    assert desk.get_by_text("6 of 6 rows checked").is_visible()


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
    tab_to(page, "SELECT", label)
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


def test_a_patients_page_is_three_clicks_from_the_same_again(desk: Any, world: World) -> None:
    services.cancel(book(world).pk, reason="ill", by=world.clerk, now=world.now)
    desk.goto(f"/admin/patients/patient/{world.patient.pk}/change/")
    desk.get_by_role("link", name="Book again").click()
    desk.get_by_role("button", name="Monday 11 January, 13:00").click()
    desk.get_by_role("button", name="Book", exact=True).click()
    desk.get_by_text("The appointment is booked.").wait_for()
    assert Appointment.objects.get(status="booked").starts_at == world.at(MONDAY, 13)


def test_booking_with_the_keyboard(desk: Any, world: World) -> None:
    desk.goto(f"{DAY}/find/")
    settled(desk)
    desk.keyboard.type("brien")
    enter(desk)
    tab_to(desk, "A", "O'Brien, Ann")
    enter(desk)
    choose(desk, "Procedure type", "Radio")
    choose(desk, "Region", "lumbar")
    choose(desk, "Side", "left")
    tab_to(desk, "BUTTON", "Find times")
    enter(desk)
    tab_to(desk, "BUTTON", "Monday 11 January, 08:00")
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


def test_the_first_stop_of_the_tab_key_leads_past_the_pages_at_the_side(desk: Any, world: World) -> None:
    desk.goto(f"{DAY}/board/?site={world.site.pk}&day={MONDAY}")
    desk.keyboard.press("Tab")
    assert desk.evaluate(FOCUSED) == "A Skip to the page"
    assert desk.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    desk.keyboard.press("Enter")
    desk.keyboard.press("Tab")
    assert "Day before" in desk.evaluate(FOCUSED)
    assert desk.get_by_role("link", name="Overview", exact=True).count() == 1  # and not "home Overview"


def test_moving_with_the_mouse(desk: Any, world: World) -> None:
    book(world)
    week(desk, world)
    before = desk.locator(".desk-event").bounding_box()["x"]
    drag(desk, "O'Brien", days=1, hours=2)
    dialog = desk.get_by_role("dialog")
    assert "to Tue 12 Jan 2027, 11:00–12:45 EST" in dialog.inner_text()
    dialog.get_by_role("button", name="Put it back").click()
    # The calendar draws the appointment anew where it was.
    desk.wait_for_function(
        "x => document.querySelector('.desk-event')?.getBoundingClientRect().x === x", arg=before
    )
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


def test_dropping_after_the_sign_in_has_ended_says_so_and_puts_it_back(desk: Any, world: World) -> None:
    book(world)
    week(desk, world)
    before = desk.locator(".desk-event").bounding_box()
    desk.context.clear_cookies(name="sessionid")
    drag(desk, "O'Brien", days=1)
    desk.get_by_text("You are signed out. Nothing was moved").wait_for()
    assert desk.locator(".desk-event").bounding_box()["x"] == before["x"]


def test_moving_with_the_keyboard(desk: Any, world: World) -> None:
    book(world)
    week(desk, world)
    tab_to(desk, "A", "Move: O'Brien, Ann, 09:00–10:45")
    enter(desk)
    desk.wait_for_url("**/find/?move=**")
    tab_to(desk, "BUTTON", "Monday 11 January, 13:00")
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
    tab_to(desk, "A", "Cancel")
    enter(desk)
    desk.wait_for_url("**/cancel/**")
    settled(desk)
    desk.keyboard.type("Caught a cold")  # the focus is in "Reason" already
    enter(desk)
    desk.get_by_text("The appointment is cancelled; its time is free.").wait_for()
    appointment.refresh_from_db()
    assert appointment.ended_reason == "Caught a cold"


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


def test_a_double_click_enters_leave_once(desk: Any, world: World) -> None:
    desk.goto("/admin/clinic/closure/add/")
    for label, typed in (("From", "08:00"), ("Until", "12:00")):
        desk.get_by_label(f"{label} date").fill("2027-02-01")
        desk.get_by_label(f"{label} time").fill(typed)
    desk.get_by_label("Reason").fill("Training")
    desk.evaluate(CHOOSE_SITE, [world.site.pk, str(world.site)])
    desk.get_by_role("button", name="Save", exact=True).dblclick()
    desk.wait_for_url("**/closure/")
    assert Closure.objects.count() == 1


#: The list of sites is looked up while typing; here it is chosen as that would.
CHOOSE_SITE = """([value, words]) => {
    const list = document.getElementById("id_site");
    list.append(new Option(words, value, true, true));
    list.dispatchEvent(new Event("change", { bubbles: true }));
}"""


def test_closing_with_the_keyboard(desk: Any, world: World) -> None:
    desk.goto("/admin/clinic/closure/add/")
    tab_to(desk, "SPAN", "Site")  # the list of sites opens by Enter and is searched by typing
    desk.keyboard.press("Enter")
    desk.keyboard.type("Rivers")
    desk.get_by_role("option", name="Riverside").wait_for()
    desk.keyboard.press("Enter")
    tab_to(desk, "INPUT", "From date")
    desk.keyboard.type("02012027")
    tab_to(desk, "INPUT", "From time")
    desk.keyboard.type("0800AM")
    tab_to(desk, "INPUT", "Until date")
    desk.keyboard.type("02012027")
    tab_to(desk, "INPUT", "Until time")
    desk.keyboard.type("0500PM")
    tab_to(desk, "INPUT", "Reason")
    desk.keyboard.type("Training")
    enter(desk)
    desk.wait_for_url("**/closure/")
    closed = Closure.objects.get()
    assert closed.site == world.site
    assert closed.starts_at == world.at(MONDAY + timedelta(days=21), 8)
    assert closed.ends_at == world.at(MONDAY + timedelta(days=21), 17)


@pytest.fixture
def due_call(world: World) -> CheckIn:
    """A check-in that somebody should telephone about now."""
    red_flag(world)
    check_in: CheckIn = world.performed(day=MONDAY + timedelta(days=28)).follow_up.check_ins.get(
        offset_minutes=7 * 1440
    )
    check_in.opens_at = check_in.due_at = check_in.call_at = world.now - timedelta(hours=1)
    check_in.closes_at = world.now + timedelta(days=5)
    check_in.not_sent_reason = "no_consent"
    check_in.save()
    return check_in


def test_calling_with_the_keyboard(desk: Any, due_call: CheckIn) -> None:
    desk.goto("/admin/outcomes/checkin/calls/")
    tab_to(desk, "A", "Call: O'Brien, Ann")
    enter(desk)
    desk.get_by_role("heading", name="What to say").wait_for()
    tab_to(desk, "INPUT", "0")  # the first of the eleven numbers, which are one stop
    desk.keyboard.press("Space")
    desk.keyboard.press("ArrowRight")
    desk.keyboard.press("ArrowRight")
    tab_to(desk, "INPUT", "No")
    desk.keyboard.press("Space")
    tab_to(desk, "BUTTON", "Record the answer")
    enter(desk)
    desk.get_by_text("The answer is written down").wait_for()
    given = Answer.objects.get()
    assert given.channel == "phone"
    assert dict(given.measurements.values_list("item", "value")) == {"now": 2, "fever_chills": 0}


def test_calling_again_with_the_keyboard(desk: Any, due_call: CheckIn, world: World) -> None:
    desk.goto(f"/admin/outcomes/checkin/{due_call.pk}/call/")
    tab_to(desk, "INPUT", "Call again at date")
    desk.keyboard.type("01112027")
    tab_to(desk, "INPUT", "Call again at time")
    desk.keyboard.type("0330PM")
    tab_to(desk, "BUTTON", "Call again then")
    enter(desk)
    desk.get_by_text("Written down: to be called again.").wait_for()
    due_call.refresh_from_db()
    assert due_call.call_at == world.at(MONDAY, 15, 30)


def test_a_preview_shows_the_letter_under_the_pages_own_policy(browser: Any, desk: Any) -> None:
    page = browser.new_context(
        base_url=desk.url.split("/admin")[0], storage_state=desk.context.storage_state()
    ).new_page()
    page.goto("/admin/clinic/outgoingemail/previews/?email=check-in")
    frame = page.frame_locator("iframe").nth(1)
    frame.get_by_role("link", name="Díganos cómo está").wait_for()
    assert frame.locator("body").evaluate("one => getComputedStyle(one).fontSize") == "18px"


def test_the_paper_form_prints_in_black_on_white_without_the_screens_own_parts(
    desk: Any, due_call: CheckIn
) -> None:
    desk.goto(f"/admin/outcomes/checkin/{due_call.pk}/paper/")
    desk.emulate_media(media="print")
    assert not desk.locator("nav").is_visible()
    assert desk.get_by_text(paper_code(due_call.pk)).is_visible()
    assert desk.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("hand", ["mouse", "keys"])
@pytest.mark.parametrize("page", ["board/", "week/", ""])
def test_printing_with_the_mouse_and_with_the_keyboard(desk: Any, world: World, page: str, hand: str) -> None:
    desk.add_init_script("window.print = () => { window.printed = true; }")
    desk.goto(f"{DAY}/{page}?site={world.site.pk}&day={MONDAY}")
    if hand == "mouse":
        desk.get_by_role("button", name="Print").click()
    else:
        tab_to(desk, "BUTTON", "Print")
        desk.keyboard.press("Enter")
    assert desk.evaluate("window.printed")


@pytest.mark.parametrize("page", ["board", "week"])
def test_printing_leaves_the_screens_own_parts_out(desk: Any, world: World, page: str) -> None:
    book(world)
    desk.goto(f"{DAY}/{page}/?site={world.site.pk}&day={MONDAY}")
    desk.emulate_media(media="print")
    assert desk.get_by_role("link", name="O'Brien, Ann").first.is_visible()
    for part in ("#nav-sidebar", ".desk-choose", ".desk-calendar", ".desk-steps"):
        for element in desk.locator(part).all():
            assert not element.is_visible(), part
    assert desk.evaluate("document.documentElement.scrollWidth") <= 1440
    assert desk.pdf().startswith(b"%PDF")


def test_axe_finds_no_serious_fault(desk: Any, axe: Any, world: World, due_call: CheckIn) -> None:
    check_in = f"/admin/outcomes/checkin/{due_call.pk}"
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
        "/admin/outcomes/checkin/calls/",
        f"{check_in}/call/",
        f"{check_in}/answer/",
        f"{check_in}/change/",
        f"{check_in}/paper/",
        "/admin/outcomes/checkin/paper/",
        "/admin/clinic/outgoingemail/previews/",
    ]
    assert not faults(desk, axe, pages)


@pytest.mark.parametrize("look", ["dark", "narrow"])
def test_the_desk_is_whole_in_the_dark_and_on_a_narrow_screen(
    desk: Any, axe: Any, world: World, look: str
) -> None:
    appointment = book(world, levels="L3–L5")
    asked = f"patient={world.patient.pk}&procedure_type={world.ablation.pk}&region=lumbar&laterality=left"
    if look == "dark":
        desk.emulate_media(color_scheme="dark")
    else:
        desk.set_viewport_size({"width": 400, "height": 850})
    for page in (
        f"{DAY}/board/?site={world.site.pk}&day={MONDAY}",
        f"{DAY}/week/?site={world.site.pk}&day={MONDAY}",
        f"{DAY}/?when=all",
        f"{DAY}/find/?q=a",
        f"{DAY}/find/?{asked}",
        f"{DAY}/{appointment.pk}/change/",
        f"{DAY}/{appointment.pk}/cancel/",
        f"{DAY}/import/",
        "/admin/clinic/closure/",
        "/admin/clinic/closure/add/",
        f"/admin/patients/patient/{world.patient.pk}/change/",
    ):
        assert not faults(desk, axe, [page])
        assert desk.evaluate("document.documentElement.classList.contains('dark')") is (look == "dark"), page
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert desk.evaluate(width) <= 0, page


def test_a_narrow_list_shows_every_button_whole(desk: Any, world: World) -> None:
    book(world)
    desk.set_viewport_size({"width": 400, "height": 850})
    desk.goto(f"{DAY}/?when=all")
    for button in desk.locator("#result_list .desk-steps .desk-button").all():
        cell, box = button.locator("xpath=ancestor::td").bounding_box(), button.bounding_box()
        assert box["y"] + box["height"] <= cell["y"] + cell["height"]


def test_the_board_comes_back_to_the_patient_whose_button_was_pressed(desk: Any, world: World) -> None:
    friday = MONDAY - timedelta(days=3)
    for number, hour in ((11, 13), (12, 15)):
        book(world, patient=world.another_patient(number), starts_at=world.at(friday, hour))
    desk.set_viewport_size({"width": 1200, "height": 320})
    desk.goto(f"{DAY}/board/?site={world.site.pk}&day={friday}")
    slip = desk.locator(".desk-slip", has_text="García12")
    assert slip.bounding_box()["y"] >= 320
    slip.get_by_role("button", name="Arrived").click()
    slip.get_by_text("pain before not noted").wait_for()
    assert slip.evaluate("one => one.matches(':target')")
    assert 0 <= slip.bounding_box()["y"] < 320


def test_a_patients_page_has_the_next_step_and_the_way_back(desk: Any, world: World) -> None:
    book(world, starts_at=world.at(MONDAY - timedelta(days=3), 13))
    page = f"/admin/patients/patient/{world.patient.pk}/change/"
    desk.goto(page)
    desk.get_by_role("button", name="Arrived").click()
    desk.get_by_text("The patient is marked as arrived.").wait_for()
    assert desk.url.endswith(page)
    desk.get_by_role("link", name="Cancel").click()
    desk.get_by_label("Reason").fill("Fever")
    desk.get_by_role("button", name="Cancel the appointment").click()
    desk.get_by_text("The appointment is cancelled; its time is free.").wait_for()
    assert desk.url.endswith(page)


def test_axe_finds_no_serious_fault_in_reports_and_exports(desk: Any, axe: Any, world: World) -> None:
    world.clerk.groups.add(Group.objects.get(name=MANAGER))
    world.performed()
    ablation = f"procedure_type={world.ablation.code}"
    outcomes.request_export("follow_ups", Selection(), deidentified=True, by=world.clerk, now=world.now)
    outcomes.make_exports(now=world.now)
    pages = [
        f"{FOLLOW_UPS}/reports/clinic/",
        f"{FOLLOW_UPS}/reports/procedures/",
        f"{FOLLOW_UPS}/reports/procedures/?{ablation}",
        f"{FOLLOW_UPS}/reports/compare/?dimension=period",
        f"{FOLLOW_UPS}/reports/response/",
        f"{FOLLOW_UPS}/?{ablation}&cell=treated",
        *(f"{FOLLOW_UPS}/worklists/?list={code}" for code in WORKLISTS),
        "/admin/outcomes/export/",
        "/admin/outcomes/export/ask/",
    ]
    assert not faults(desk, axe, pages)


def faults(desk: Any, axe: Any, pages: list[str]) -> list[tuple[str, ...]]:
    """What axe finds that is serious, with the page; each of `pages` must open."""
    found: list[tuple[str, ...]] = []
    for address in pages:
        assert desk.goto(address).ok, address
        for fault in axe.run(desk).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found += [(address, fault["id"], node["html"][:160]) for node in fault["nodes"]]
    return found
