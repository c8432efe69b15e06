"""What the tests of the patient's page share: a clock, red flags, links, and nobody's throttle left over."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.utils import timezone

from clinic.throttling import PROCESS_CACHE
from outcomes import services
from outcomes.models import CheckIn
from outcomes.tests.demo_history import DEMO_NOW
from procedures import catalogue
from procedures.models import RedFlag
from procedures.services.catalogue_loader import load
from procedures.tests.factories import World


@pytest.fixture(autouse=True)
def nobody_has_tried(settings: object) -> Iterator[None]:
    """Tests have no Redis: what is counted is counted in this process, from nothing in each test."""
    PROCESS_CACHE.clear()
    yield
    PROCESS_CACHE.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What the edges see as now: set `clock[0]`."""
    hands = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: hands[0])
    return hands


@pytest.fixture
def flags(world: World) -> World:
    """The ablation gets a red flag of each urgency."""
    for code, question, question_es, urgency in (
        ("new_weakness", "Weakness in a leg?", "¿Debilidad en una pierna?", "emergency"),
        ("fever_chills", "Fever or chills?", "¿Fiebre o escalofríos?", "same_day"),
        ("burning", "New burning pain?", "¿Dolor ardiente nuevo?", "next_working_day"),
    ):
        flag = RedFlag.objects.create(
            code=code, question=question, question_es=question_es, urgency=urgency, source="test"
        )
        world.ablation.red_flags.add(flag)
    return world


@pytest.fixture
def link(world: World, clock: list[datetime]) -> Callable[[int], tuple[CheckIn, str]]:
    """A check-in of a day, asked just now, and the path of a link to it. The clock is set to when it falls due."""

    def issue(day: int) -> tuple[CheckIn, str]:
        check_in = CheckIn.objects.filter(offset_minutes=day * 1440).first()
        if check_in is None:
            check_in = world.performed().follow_up.check_ins.get(offset_minutes=day * 1440)
        clock[0] = check_in.due_at
        services.invite_due(now=check_in.due_at)
        check_in.refresh_from_db()
        return check_in, f"/c/{services.issue_link(check_in, now=check_in.due_at)}/"

    return issue


@pytest.fixture
def unmasked_world(world: World) -> World:
    """The small clinic, whose site shows a rate of a single answer."""
    world.site.smallest_cell = 1
    world.site.save()
    return world


@pytest.fixture
def procedure_types(db: None) -> None:
    """The whole catalogue, as it stood when the demo plays."""
    load(catalogue.read_catalogue(), by=None, now=DEMO_NOW)
