"""An alert from the list to its end in a real browser, with the keyboard alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from clinic.tests.admin_client import clock
from clinic.tests.factories import MINUTE
from outcomes.models import Alert
from outcomes.tests.factories import course_alert, red_flag_alert, red_flag_question
from outcomes.tests.site.browser_actions import desk_page, tab_to
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def alert(world: World) -> Alert:
    """Red flags of a patient, three minutes overdue, and two routine alerts about others."""
    red_flag_question("new_weakness", "emergency")
    red_flag_question("fever_chills", "same_day")
    world.patient.phone = "+1 212 555 0177"
    world.patient.save()
    for number, kind in enumerate(("lost_early", "silent"), start=2):
        course_alert(world, kind, number)
    return red_flag_alert(world, "new_weakness", "fever_chills")


@pytest.fixture
def desk(browser: Any, world: World, alert: Alert, live_server: Any) -> Iterator[Any]:
    """A page in which the nurse has signed in."""
    with clock(alert.due_at + 3 * MINUTE):
        page = desk_page(browser, world.nurse, live_server)
        yield page
        page.close()


def test_an_alert_is_taken_and_resolved_by_keyboard(desk: Any, world: World, alert: Alert) -> None:
    desk.goto("/admin/outcomes/alert/")
    assert "overdue by 3 min" in desk.locator("#result_list").inner_text().lower()
    tab_to(desk, "A", "RED FLAG")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/change/")
    assert "Do you have new_weakness?" in desk.locator(".desk-said").inner_text()
    tab_to(desk, "BUTTON", "Acknowledge and take")
    desk.keyboard.press("Enter")
    desk.get_by_text("The alert is yours.").wait_for()
    tab_to(desk, "A", "Resolve")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/resolve/")
    tab_to(desk, "INPUT", "spoken with the patient")
    desk.keyboard.press("Space")
    tab_to(desk, "INPUT", "Note")
    desk.keyboard.type("Comes in today.")
    desk.keyboard.press("Enter")
    desk.get_by_text("The alert is resolved.").wait_for()
    alert.refresh_from_db()
    assert (alert.resolution, alert.resolution_note) == ("spoken", "Comes in today.")
    assert (alert.owner, alert.resolved_by) == (world.nurse, world.nurse)


def test_axe_finds_no_serious_fault(desk: Any, axe: Any, alert: Alert) -> None:
    faults = []
    for address in ("", f"{alert.pk}/change/", f"{alert.pk}/resolve/", f"{alert.pk}/hand-over/"):
        desk.goto(f"/admin/outcomes/alert/{address}")
        for fault in axe.run(desk).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                faults += [(address, fault["id"], node["html"][:160]) for node in fault["nodes"]]
    assert not faults, "\n".join(map(str, faults))


@pytest.mark.parametrize("typing", [False, True])
def test_the_list_loads_anew_unless_somebody_types(desk: Any, alert: Alert, typing: bool) -> None:
    desk.clock.install()
    desk.goto("/admin/outcomes/alert/")
    desk.locator("#result_list").wait_for()
    Alert.objects.exclude(pk=alert.pk).delete()
    if typing:
        desk.locator("input[name='q']").first.fill("O'Br")
    else:
        desk.evaluate("document.activeElement.blur()")
    rows = desk.locator("#result_list tbody tr")
    before = rows.count()
    desk.clock.run_for(75_000)
    if typing:
        assert desk.locator("input[name='q']").first.input_value() == "O'Br"
        assert rows.count() == before
    else:
        desk.wait_for_function(f"document.querySelectorAll('#result_list tbody tr').length < {before}")
