"""Taking an export away with a click."""

from pathlib import Path
from typing import Any

import pytest

from outcomes import services
from outcomes.reports import Selection
from outcomes.tests.factories import answered_course
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_click_on_download_brings_the_file(world: World, browser: Any, live_server: Any) -> None:
    answered_course(world, {42: 3})
    services.request_export("follow_ups", Selection(), deidentified=False, by=world.physician, now=world.now)
    page = browser.new_page(accept_downloads=True)
    page.goto(f"{live_server.url}/admin/outcomes/export/")
    page.fill("input[name=username]", "physician@example.org")
    page.fill("input[name=password]", "correct horse")
    page.locator("[type=submit]").first.click()
    with page.expect_download() as waiting:
        page.locator("a[href$='/file/']").click()
    download = waiting.value
    assert download.suggested_filename == "follow_ups-2027-01-08.csv"
    text = Path(download.path()).read_text(encoding="utf-8-sig")
    assert text.startswith("follow_up,patient,record_number")
