"""A real browser for the tests that want one."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.utils import timezone

from outcomes import services
from outcomes.models import CheckIn
from patients.unsubscribe import unsubscribe_url
from procedures.models import Procedure, RedFlag, ReliefProfile
from procedures.services import notifications as procedures
from procedures.tests.factories import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a screen, for all tests of a file: starting it takes longer than most of them.

    Its driver runs an event loop in this thread, which Django must be told to allow.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser driver here: pip install -r requirements-e2e.txt"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """The same, with no page left open and nothing remembered for the next test."""
    yield chromium
    for context in chromium.contexts:
        context.close()
    connections.close_all()  # inside the driver's loop Django keeps connections of their own


@pytest.fixture
def axe() -> Any:
    """What finds faults of accessibility. It is put into a page as a script, which the page's own policy would refuse:
    the page's context needs `bypass_csp`."""
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


@pytest.fixture
def phone(browser: Any) -> Any:
    """A page of 360 × 640 with touch and without JavaScript."""
    page = browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, java_script_enabled=False
    ).new_page()
    page.set_default_timeout(10_000)
    return page


@pytest.fixture
def link(world: World, live_server: Any) -> str:
    """The address of a check-in of day 42 that is open now: pain, red flags (it is a device), and the change."""
    for code, question, question_es, urgency in (
        ("new_weakness", "Do you have new weakness?", "¿Tiene debilidad nueva?", "emergency"),
        ("fever_chills", "Do you have a fever?", "¿Tiene fiebre?", "same_day"),
    ):
        flag = RedFlag.objects.create(
            code=code, question=question, question_es=question_es, urgency=urgency, source="test"
        )
        world.ablation.red_flags.add(flag)
    world.ablation.purpose = "device_implant"
    world.ablation.save()
    check_in = world.performed().follow_up.check_ins.get(offset_minutes=42 * 1440)
    now = timezone.now()
    CheckIn.objects.filter(pk=check_in.pk).update(
        opens_at=now - timedelta(hours=1), due_at=now, closes_at=now + timedelta(days=1)
    )
    then = now - timedelta(days=42)
    Procedure.objects.update(performed_at=then, baseline_taken_at=then)
    return f"{live_server.url}/c/{services.issue_link(check_in, now=now)}/"


@pytest.fixture
def diary(world: World, live_server: Any) -> str:
    """The address of a block's diary, seventy minutes after the procedure."""
    world.ablation.purpose = "diagnostic_and_therapeutic"
    world.ablation.save()
    profile = ReliefProfile.objects.get()
    profile.pk, profile.version, profile.in_force_from = None, 2, world.now - timedelta(days=1)
    profile.window_from_minutes, profile.window_until_minutes = 120, 240
    profile.check_in_minutes = [30, 60, 120]
    profile.save()
    follow_up = world.performed(intent="diagnostic").follow_up
    now = timezone.now()
    for check_in in follow_up.check_ins.filter(offset_minutes__in=[30, 60, 120]):
        at = now + timedelta(minutes=check_in.offset_minutes - 70)
        check_in.opens_at = check_in.due_at = at
        check_in.closes_at = now + timedelta(days=1)
        check_in.save()
    then = now - timedelta(minutes=70)
    Procedure.objects.update(performed_at=then, baseline_taken_at=then)
    first = follow_up.check_ins.get(offset_minutes=30)
    return f"{live_server.url}/c/{services.issue_link(first, now=now)}/"


@pytest.fixture
def letters(world: World, live_server: Any) -> dict[str, str]:
    """Secret addresses besides those of check-ins: "appointment" (of the day after tomorrow), the questions "before"
    it, and "unsubscribe"."""
    now = timezone.now()
    start = (now + timedelta(days=2)).replace(hour=15, minute=0, second=0, microsecond=0)
    appointment = world.appointment(patient=world.another_patient(7), starts_at=start)
    appointment.ends_at, appointment.created_at = start + timedelta(minutes=105), now
    appointment.save()
    path = f"/a/{procedures.issue_link(appointment, now=now)}/"
    return {
        "appointment": live_server.url + path,
        "before": f"{live_server.url}{path}before/",
        "unsubscribe": live_server.url + urlsplit(unsubscribe_url(appointment.patient)).path,
    }
