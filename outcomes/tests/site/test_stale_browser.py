"""A form that a colleague has overtaken, in a real browser: plain for a clerk, and the second press saves both."""

from datetime import date
from typing import Any

import pytest

from outcomes.tests.site.browser_actions import desk_page
from patients.models import Patient
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_clerk_sees_what_a_colleague_has_changed_and_saves_both(
    browser: Any, world: World, live_server: Any, axe: Any
) -> None:
    address = f"/admin/patients/patient/{world.patient.pk}/change/"
    clerk = desk_page(browser, world.clerk, live_server)
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
