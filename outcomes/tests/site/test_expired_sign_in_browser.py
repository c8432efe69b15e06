"""A form that is sent when the sign-in has run out, in a real browser: it comes back as it was typed."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session

from outcomes.tests.site.browser_actions import desk_page
from patients.models import OpioidUse
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_what_a_nurse_has_typed_is_there_after_signing_in_again(
    browser: Any, world: World, live_server: Any, axe: Any
) -> None:
    address = f"/admin/patients/opioiduse/record/{world.patient.pk}/"
    nurse = desk_page(browser, world.nurse, live_server)
    nurse.goto(address)
    nurse.locator("[name=drug]").select_option("oxycodone")
    nurse.locator("[name=dose]").fill("20")
    nurse.locator("[name=prescription]").fill("10 mg twice a day")
    Session.objects.all().delete()
    nurse.locator(".desk-submit button").click()
    nurse.get_by_label("E-mail").fill(world.nurse.email)
    nurse.get_by_label("Password").fill("correct horse")
    nurse.keyboard.press("Enter")
    nurse.locator("[name=prescription]").wait_for()
    assert nurse.locator("[name=prescription]").input_value() == "10 mg twice a day"
    assert not OpioidUse.objects.exists()
    assert axe.run(nurse, context=".desk-narrow").response["violations"] == []
    nurse.locator(".desk-submit button").dblclick()
    nurse.wait_for_url(f"**/patients/patient/{world.patient.pk}/change/")
    assert OpioidUse.objects.get().prescription == "10 mg twice a day"
