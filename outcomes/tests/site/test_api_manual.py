"""The API's manual in a real browser, under the content policy that every page has."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import connections

from procedures.tests.factories import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser driver here: pip install -r requirements-e2e.txt"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page of Chromium, whose driver runs an event loop in this thread: Django must be told to allow that."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium.new_page()
        chromium.close()
        connections.close_all()


def test_the_manual_is_read_and_tried_out_after_signing_in(page: Any, live_server: Any, world: World) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live_server.url}/api/v1/docs/")
    page.fill("input[name=username]", "nurse@example.org")
    page.fill("input[name=password]", "correct horse")
    page.locator("[type=submit]").first.click()
    page.locator(".opblock").first.wait_for()
    described = yaml.safe_load((settings.BASE_DIR / "docs" / "openapi.yaml").read_text())["paths"]
    operations = [name for path in described.values() for name in path if name != "parameters"]
    assert page.locator(".opblock").count() == len(operations) > 70
    sites = page.locator("#operations-sites-sites_list")
    sites.click()
    sites.get_by_role("button", name="Try it out").click()
    sites.get_by_role("button", name="Execute").click()
    answer = sites.locator(".live-responses-table")
    answer.wait_for()
    assert "Riverside" in answer.inner_text()
    assert all(url.startswith((live_server.url, "data:", "blob:")) for url in asked), asked
