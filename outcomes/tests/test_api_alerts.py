"""Alerts through the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.models import AuditEvent
from clinic.tests.calling import call, faults
from conftest import World
from outcomes import services
from outcomes.models import Alert
from outcomes.tests.test_alert_desk import routine
from outcomes.tests.test_alerting import MINUTE, flag, red_flag

DAY = timedelta(days=1)


@pytest.fixture
def emergency(world: World) -> Alert:
    flag("new_weakness", "emergency")
    return red_flag(world, "new_weakness")


def found(world: World, query: str = "", *, now: datetime) -> list[int]:
    response = call(world.nurse, "GET", f"alerts/?{query}", now=now)
    assert response.status_code == 200, response.json()
    return [row["id"] for row in response.json()["results"]]


def test_lists_say_what_waits_and_the_most_urgent_stands_first(world: World, emergency: Alert) -> None:
    mine, snoozed, done = (
        routine(world, kind, n) for n, kind in enumerate(("worse", "silent", "no_relief"), 2)
    )
    now = emergency.due_at
    services.take(mine.pk, by=world.nurse, now=now)
    services.snooze(snoozed.pk, until=now + DAY, by=world.physician, now=now)
    services.resolve(done.pk, resolution="spoken", by=world.physician, now=now)
    assert found(world, now=now) == [emergency.pk, mine.pk]
    assert found(world, "state=overdue", now=now) == [emergency.pk]
    assert found(world, "state=snoozed", now=now) == [snoozed.pk]
    assert found(world, "state=resolved", now=now) == [done.pk]
    assert set(found(world, "state=all", now=now)) == {emergency.pk, mine.pk, snoozed.pk, done.pk}
    assert found(world, "owner=me", now=now) == [mine.pk]
    assert found(world, "owner=nobody", now=now) == [emergency.pk]
    assert found(world, "kind=silent", now=now + DAY) == [snoozed.pk]
    assert found(world, "urgency=emergency", now=now) == [emergency.pk]
    assert found(world, f"site={world.site.pk + 1}", now=now) == []
    assert found(world, f"patient={world.patient.pk}&follow_up={emergency.follow_up_id}", now=now) == [
        emergency.pk
    ]
    bad = call(world.nurse, "GET", "alerts/?state=lost&kind=odd&colour=red", now=now)
    assert set(faults(bad)) == {
        ("state", "invalid_choice"),
        ("kind", "invalid_choice"),
        ("colour", "unknown_field"),
    }


def test_one_alert_with_its_questions(world: World, emergency: Alert) -> None:
    shown = call(world.physician, "GET", f"alerts/{emergency.pk}/", now=emergency.raised_at).json()
    assert (shown["kind"], shown["urgency"], shown["state"]) == ("red_flag", "emergency", "open")
    assert shown["patient"]["id"] == world.patient.pk
    assert shown["questions"] == [
        {
            "code": "new_weakness",
            "question": "Do you have new_weakness?",
            "question_es": "¿Tiene new_weakness?",
            "urgency": "emergency",
        }
    ]
    assert AuditEvent.objects.get(action="patient.read").by == world.physician


def post(
    world: World, alert: Alert, step: str, inputs: dict[str, Any], *, by: Any = None, later: int = 1
) -> Any:
    """The response to the nurse, unless somebody else is named, so many minutes after it was raised."""
    now = alert.raised_at + later * MINUTE
    return call(by or world.nurse, "POST", f"alerts/{alert.pk}/{step}/", inputs, now=now)


def test_an_alerts_way_to_its_end(world: World) -> None:
    alert = routine(world, "lost_early")
    for later in (1, 2):
        taken = post(world, alert, "acknowledge", {}, later=later)
        assert taken.status_code == 200
        assert taken.json()["owner"] == {"id": world.nurse.pk, "name": "Nurse Test"}
    lost = post(world, alert, "acknowledge", {}, by=world.physician)
    assert (lost.status_code, lost.json()["code"]) == (409, "taken_already")
    assert (
        post(world, alert, "hand-over", {"to": world.physician.pk}).json()["owner"]["id"]
        == world.physician.pk
    )
    assert faults(post(world, alert, "hand-over", {"to": world.clerk.pk})) == [("to", "not_allowed")]
    until = (alert.raised_at + DAY).isoformat()
    assert post(world, alert, "snooze", {"until": until}).json()["state"] == "snoozed"
    assert faults(post(world, alert, "resolve", {})) == [("resolution", "required")]
    assert faults(post(world, alert, "resolve", {"resolution": "settled"})) == [
        ("resolution", "invalid_choice")
    ]
    for later in (5, 6):
        done = post(world, alert, "resolve", {"resolution": "spoken", "note": "better"}, later=later)
        assert (done.status_code, done.json()["state"]) == (200, "resolved")
    other = post(world, alert, "resolve", {"resolution": "seen"}, by=world.physician)
    assert (other.status_code, other.json()["code"]) == (409, "resolved_already")


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({}, ("until", "required")),
        ({"until": "2027-01-11T12:00:00-05:00"}, ("until", "in_the_past")),
        ({"until": "2027-06-01T12:00:00-05:00"}, ("until", "too_far")),
        ({"until": "2027-01-12T12:00:00"}, ("until", "offset_required")),
        ({"until": "2027-01-12T12:00:00Z", "why": "busy"}, ("why", "unknown_field")),
    ],
)
def test_snoozes_that_are_refused(world: World, inputs: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults(post(world, routine(world, "worse"), "snooze", inputs)) == [fault]


def test_an_emergency_cannot_be_snoozed(world: World, emergency: Alert) -> None:
    until = (emergency.raised_at + DAY).isoformat()
    assert faults(post(world, emergency, "snooze", {"until": until})) == [("", "not_allowed")]


def test_the_list_asks_no_more_for_many_than_for_few(world: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            found(world, now=world.now)
        return len(queries)

    for number in (2, 3):
        routine(world, "worse", number)
    few = asked()
    for number in range(4, 12):
        routine(world, "worse", number)
    assert asked() == few
