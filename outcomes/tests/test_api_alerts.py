"""Alerts through the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.models import AuditEvent
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MINUTE
from outcomes import services
from outcomes.models import Alert, FollowUp
from outcomes.tests.factories import course_alert, red_flag_alert, red_flag_question
from procedures.tests.factories import World

DAY = timedelta(days=1)


@pytest.fixture
def emergency(world: World) -> Alert:
    red_flag_question("new_weakness", "emergency")
    return red_flag_alert(world, "new_weakness")


def found(world: World, query: str = "", *, now: datetime) -> list[int]:
    response = call(world.nurse, "GET", f"alerts/?{query}", now=now)
    assert response.status_code == 200, response.json()
    return [row["id"] for row in response.json()["results"]]


def test_lists_say_what_waits_and_the_most_urgent_stands_first(world: World, emergency: Alert) -> None:
    mine, snoozed, done = (
        course_alert(world, kind, n) for n, kind in enumerate(("worse", "silent", "no_relief"), 2)
    )
    now = emergency.due_at
    services.take_alert(mine.pk, by=world.nurse, now=now)
    services.snooze(snoozed.pk, until=now + DAY, by=world.physician, now=now)
    services.resolve(done.pk, resolution="spoken", by=world.physician, now=now)
    assert found(world, now=now) == [emergency.pk, mine.pk]
    assert found(world, "state=overdue", now=now) == [emergency.pk]
    assert found(world, "state=snoozed", now=now) == [snoozed.pk]
    assert found(world, "state=resolved", now=now) == [done.pk]
    assert set(found(world, "state=all", now=now)) == {emergency.pk, mine.pk, snoozed.pk, done.pk}
    assert found(world, "owner=me", now=now) == [mine.pk]
    assert found(world, "owner=nobody", now=now) == [emergency.pk]
    assert found(world, f"owner={world.nurse.pk}", now=now) == [mine.pk]
    assert found(world, f"owner={world.clerk.pk}", now=now) == []
    emergency.follow_up.procedure.performer = world.nurse
    emergency.follow_up.procedure.save()
    for who in ("me", world.nurse.pk):
        assert found(world, f"performer={who}", now=now) == [emergency.pk]
    assert found(world, "kind=silent", now=now + DAY) == [snoozed.pk]
    assert found(world, "urgency=emergency", now=now) == [emergency.pk]
    assert found(world, f"site={world.site.pk + 1}", now=now) == []
    assert found(world, f"patient={world.patient.pk}&follow_up={emergency.follow_up_id}", now=now) == [
        emergency.pk
    ]
    for query, code in {"987654": "unknown", "you": "invalid", "0": "min_value", "-1": "min_value"}.items():
        for name in ("owner", "performer"):
            refused = call(world.nurse, "GET", f"alerts/?{name}={query}", now=now)
            assert (refused.status_code, faults(refused)) == (
                400,
                [(name, f"unknown_{name}" if code == "unknown" else code)],
            )
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
    alert = course_alert(world, "lost_early")
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
    assert faults(post(world, course_alert(world, "worse"), "snooze", inputs)) == [fault]


def test_an_emergency_cannot_be_snoozed(world: World, emergency: Alert) -> None:
    until = (emergency.raised_at + DAY).isoformat()
    assert faults(post(world, emergency, "snooze", {"until": until})) == [("", "not_allowed")]


def test_the_list_asks_no_more_for_many_than_for_few(world: World) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            found(world, now=world.now)
        return len(queries)

    for number in (2, 3):
        course_alert(world, "worse", number)
    few = asked()
    for number in range(4, 12):
        course_alert(world, "worse", number)
    assert asked() == few


def told(world: World, follow_up: FollowUp, day: int, score: int, **values: int) -> None:
    """What the nurse records at that day's check-in, through the API."""
    row = follow_up.check_ins.get(offset_minutes=day * 1440)
    inputs = {"score": score, "channel": "phone", "values": {"relief.worn_off": 1} if values else {}}
    response = call(world.nurse, "POST", f"check-ins/{row.pk}/answer/", inputs, now=row.due_at)
    assert response.status_code in (200, 201), response.json()


@pytest.mark.parametrize("off", [[], ["lost_early", "no_relief", "worse", "silent"]])
def test_each_kind_that_answers_and_silence_call_for_stands_in_the_list(world: World, off: list[str]) -> None:
    """One patient each; with the kinds switched off at the site nothing is raised."""
    world.site.alert_kinds_off = off
    world.site.save()
    courses = [world.performed(patient=world.another_patient(n), hour=7 + n).follow_up for n in range(2, 7)]
    losing, doubtful, useless, worse, silent = courses
    for follow_up in (losing, doubtful):
        told(world, follow_up, 42, 2)
    told(world, losing, 92, 7, worn_off=1)  # one bad score, and the patient's own word
    told(world, doubtful, 92, 7)  # a bad night, perhaps: not confirmed
    told(world, useless, 42, 8)
    for day in (42, 92):
        told(world, worse, day, 9)
    for row in silent.check_ins.filter(offset_minutes__in=[1440, 7 * 1440]):
        services.tick(now=row.due_at)
        services.tick(now=row.closes_at)
    now = losing.check_ins.get(offset_minutes=92 * 1440).due_at
    expected = {
        "lost_early": [losing.pk, doubtful.pk],
        "no_relief": [useless.pk, worse.pk],
        "worse": [worse.pk],
        "silent": [silent.pk],
    }
    for kind, whose in expected.items():
        rows = call(world.nurse, "GET", f"alerts/?kind={kind}&state=all", now=now).json()["results"]
        found = {row["follow_up"] for row in rows}
        assert all(row["confirmed"] == (row["follow_up"] != doubtful.pk) for row in rows)
        assert found & {*whose, doubtful.pk} == (set() if off else set(whose)), kind
    lost = call(world.nurse, "GET", f"follow-ups/{losing.pk}/", now=now).json()
    assert lost["verdict"] == "lost_early"
    assert "confirmed by the patient on day 92" in lost["verdict_reason"]
