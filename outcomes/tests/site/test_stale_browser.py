"""A form that a colleague has overtaken, in a real browser: plain for a clerk, and the second press saves both."""

from datetime import date
from typing import Any

import pytest

from clinic.models import User
from patients.models import Patient
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def desk_of(browser: Any, user: User, live_server: Any) -> Any:
    """A page in which `user` has signed in."""
    page = browser.new_context(
        base_url=live_server.url, viewport={"width": 1440, "height": 1000}, bypass_csp=True
    ).new_page()
    page.set_default_timeout(20_000)
    page.goto("/admin/")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page


def test_a_clerk_sees_what_a_colleague_has_changed_and_saves_both(
    browser: Any, world: World, live_server: Any, axe: Any
) -> None:
    address = f"/admin/patients/patient/{world.patient.pk}/change/"
    clerk = desk_of(browser, world.clerk, live_server)
    clerk.goto(address)
    clerk.get_by_label("Phone", exact=False).first.fill("+1 212 555 0123")
    Patient.objects.filter(pk=world.patient.pk).update(died_on=date(2026, 1, 2))
    clerk.get_by_role("button", name="Save", exact=True).click()
    told = clerk.locator(".desk-stale")
    told.wait_for()
    assert "2026-01-02" in told.inner_text()
    assert clerk.locator("[name=phone]").input_value() == "+1 212 555 0123"
    assert clerk.locator("[name=died_on]").input_value() == "2026-01-02"
    found = axe.run(clerk, context=".desk-stale").response
    assert found["violations"] == []
    clerk.get_by_role("button", name="Save", exact=True).click()
    clerk.wait_for_url(lambda url: "change" not in url)
    world.patient.refresh_from_db()
    assert (world.patient.phone, world.patient.died_on) == ("+1 212 555 0123", date(2026, 1, 2))
