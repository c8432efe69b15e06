"""Patients' pages have one heading of the first level and skip none: screen readers go from one to the next."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from clinic.models import Site
from outcomes import services
from outcomes.models import CheckIn
from procedures.tests.factories import World

Issue = Callable[[int], tuple[CheckIn, str]]
YES = {"red_flag.new_weakness": "1"}


def levels(response: Any) -> list[int]:
    """The levels of a page's headings, in their order."""
    return [int(level) for level in re.findall(r"<h([1-6])", response.content.decode())]


@pytest.fixture
def pages(flags: World, link: Issue, client: Client, clock: list[datetime]) -> list[Any]:
    """Pages with and without a yes to a red flag, before and after the answer."""
    check_in, path = link(1)
    about = f"/p/{services.issue_link(check_in.follow_up, now=clock[0])}/"
    seen = [
        client.get(path),
        client.post(path, {"step": "1"}),
        client.post(path, {"step": "2", **YES}, follow=True),
    ]
    seen += [
        client.get(f"{path}?step=1&again=1"),
        client.get(about),
        client.post(about, YES),
        client.post(about, {}),
    ]
    seen.append(client.post(path, {"step": "1", "asked": "nrs.now"}, follow=True))
    none = {"step": "2", "none": ["same_day", "next_working_day"], **YES}
    seen += [client.post(path, none, follow=True), client.get(f"{path}?show=kept")]
    client.post(path, {"step": "1", "nrs.now": "5"})
    client.post(path, none)
    seen += [
        client.get(path),
        client.get(f"{path}?change=1"),
        client.post(path, {"step": "1", "nrs.now": "6"}),
    ]
    seen.append(client.post(about, {**YES, "nrs.now": "5"}, follow=True))
    Site.objects.update(asks_birth_date=True)
    return [*seen, client.get(path), client.get(f"{path}stop/"), client.get("/c/unknown/")]


def test_headings_are_in_order(pages: list[Any]) -> None:
    for page in pages:
        found = levels(page)
        assert found.count(1) == 1, page.request
        assert found[0] == 1, page.request
        assert max(found) <= 2
