"""A real browser for the tests that want one."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Chromium without a screen. Its driver runs an event loop in this thread, which Django must be told to allow."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser driver here: pip install -r requirements-e2e.txt"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()
        connections.close_all()  # inside the driver's loop Django keeps connections of their own


@pytest.fixture
def axe() -> Any:
    """What finds faults of accessibility. It is put into a page as a script, which the page's own policy would refuse:
    the page's context needs `bypass_csp`."""
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
