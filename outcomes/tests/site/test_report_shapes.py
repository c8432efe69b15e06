"""Reports on paper, on as many pages as a reader would carry, and on a phone."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from clinic.tests.admin_client import clock
from clinic.tests.factories import MONDAY
from outcomes.models import AdverseEvent
from outcomes.tests.factories import answered_course, next_ablation
from patients.tests.factories import takes_opioid
from procedures.tests.factories import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAPERS = ("Letter", "A4")


@pytest.fixture
def physician(browser: Any, world: World, live_server: Any) -> Iterator[Any]:
    """A page in which the physician has signed in, two years after the first procedure."""
    with clock(world.at(MONDAY + timedelta(days=730), 9)):
        page = browser.new_context(
            base_url=live_server.url, viewport={"width": 1360, "height": 900}
        ).new_page()
        page.set_default_timeout(10_000)
        page.goto("/admin/")
        page.fill("input[name=username]", world.physician.email)
        page.fill("input[name=password]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        page.close()


def pages(page: Any, paper: str) -> int:
    """On how many sheets the page is printed."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format=paper)))


def a_long_story(world: World, follow_ups: int) -> None:
    """So many follow-ups of one patient, with opioids and adverse events between them."""
    endings: list[dict[int, int]] = [
        {42: 3, 92: 2, 184: 7, 275: 8},
        {42: 7, 92: 8},
        {42: 2, 92: 7, 184: 8},
        {42: 2},
    ]
    for place in range(follow_ups):
        told = next_ablation(world, endings[place % len(endings)], side=("left", "right")[place % 2])
        told.procedure.levels = "L3-L4, L4-L5 and L5-S1"
        told.procedure.save()
        AdverseEvent.objects.create(
            follow_up=told,
            term=("infection", "raised_blood_glucose", "pain_flare")[place % 3],
            onset_on=told.procedure.performed_at.date() + timedelta(days=3),
            severity="mild",
            serious=not place % 4,
            outcome="resolved",
            relation="possible",
            recorded_at=world.at(MONDAY + timedelta(days=729), 9),
        )
    takes_opioid(world, "60", MONDAY - timedelta(days=90), MONDAY + timedelta(days=20))
    takes_opioid(world, "20", MONDAY + timedelta(days=21))
    takes_opioid(world, "8", date(2027, 6, 1), drug="buprenorphine")


@pytest.mark.parametrize("follow_ups", [1, 4, 8, 12])
def test_a_patients_course_is_one_page_of_the_chart(physician: Any, world: World, follow_ups: int) -> None:
    a_long_story(world, follow_ups)
    physician.goto(f"/admin/patients/patient/{world.patient.pk}/course/")
    assert physician.locator(".desk-course-table tbody tr").count() == follow_ups
    assert {paper: pages(physician, paper) for paper in PAPERS} == dict.fromkeys(PAPERS, 1)


def test_the_procedure_report_is_four_pages_at_most_and_the_short_ones_are_one(
    physician: Any, world: World
) -> None:
    world.site.smallest_cell = 1
    world.site.save()
    for _ in range(3):
        answered_course(world, {42: 3, 92: 2, 184: 4, 275: 7, 366: 8})
        answered_course(world, {42: 7, 92: 8, 184: None})
    physician.goto("/admin/outcomes/followup/reports/procedures/?procedure_type=rfa_facet")
    assert physician.locator("#report-harm").is_visible()
    assert all(pages(physician, paper) <= 4 for paper in PAPERS)
    for page in ("clinic", "response"):
        physician.goto(f"/admin/outcomes/followup/reports/{page}/?performed_from=")
        assert physician.locator("main, #main").first.is_visible()
        assert {paper: pages(physician, paper) for paper in PAPERS} == dict.fromkeys(PAPERS, 1), page


def test_a_worklist_is_cards_on_a_phone_and_nothing_scrolls_sideways(physician: Any, world: World) -> None:
    early = answered_course(world, {42: 2, 92: 7, 184: 8})
    physician.set_viewport_size({"width": 400, "height": 800})
    physician.goto("/admin/outcomes/followup/worklists/?list=losing_early")
    row = physician.locator(".desk-worklist tbody tr")
    assert row.get_by_text(early.verdict_reason).is_visible()
    assert not physician.locator(".desk-worklist thead").is_visible()
    for part in ("document.documentElement", "document.querySelector('.desk-scroll')"):
        assert physician.evaluate(f"{part}.scrollWidth <= {part}.clientWidth"), part
    for link in row.locator("a").all():
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400
    book = row.get_by_role("link", name="Follow-up")
    assert book.bounding_box()["height"] >= 44
