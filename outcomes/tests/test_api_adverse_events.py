"""Adverse events by API: recorded, narrowed, corrected; and what an alert about a device says."""

from typing import Any

import pytest

from clinic.models import AuditEvent
from clinic.tests.admin_client import queries
from clinic.tests.api_client import call, faults
from clinic.tests.factories import DAY, MONDAY
from outcomes import services
from outcomes.models import AdverseEvent, Alert, FollowUp
from outcomes.tests.factories import recorded_adverse_event
from procedures.tests.factories import World, implant_procedure, recorded_device


@pytest.fixture
def course(world: World) -> FollowUp:
    follow_up: FollowUp = world.performed().follow_up
    return follow_up


def body(follow_up: FollowUp) -> dict[str, Any]:
    return {
        "follow_up": follow_up.pk,
        "term": "infection",
        "onset_on": "2027-01-13",
        "severity": "moderate",
        "serious": False,
        "outcome": "ongoing",
        "relation": "probable",
    }


def api(world: World, method: str, path: str = "", data: Any = None) -> Any:
    now = world.at(MONDAY + 3 * DAY, 10)
    return call(world.nurse, method, f"adverse-events/{path}", data, now=now)


def test_an_adverse_event_from_its_recording_to_its_correction(world: World, course: FollowUp) -> None:
    made = api(world, "POST", data=body(course))
    assert made.status_code == 201
    row = made.json()
    assert (row["procedure"], row["suspect"], row["grade"]) == (course.procedure_id, "procedure", None)
    again = api(world, "POST", data=body(course))
    assert (again.status_code, again.json()["code"]) == (409, "recorded_already")

    better = api(world, "POST", f"{row['id']}/correct/", {"outcome": "resolved", "reason": "seen today"})
    assert (better.status_code, better.json()["outcome"], better.json()["severity"]) == (
        200,
        "resolved",
        "moderate",
    )
    assert api(world, "GET", f"{row['id']}/").json()["corrected_reason"] == "seen today"
    assert AuditEvent.objects.filter(action="patient.read").count() == 1
    api(world, "POST", f"{row['id']}/void/", {"reason": "another patient's"})
    assert api(world, "GET").json()["results"] == []
    (mistake,) = api(world, "GET", "?standing=false").json()["results"]
    assert mistake["id"] == row["id"]


def test_bad_input_is_refused_by_field(world: World, course: FollowUp) -> None:
    for data, field, code in (
        ({"follow_up": 0}, "follow_up", "does_not_exist"),
        ({"term": "bad_luck"}, "term", "invalid_choice"),
        ({"term": "other"}, "description", "description_required"),
        ({"serious": "no"}, "serious", "invalid"),
        ({"grade": 5}, "grade", "grade_not_possible"),
        ({"grade": 6}, "grade", "max_value"),
        ({"outcome": "fatal"}, "serious", "fatal_not_serious"),
        ({"onset_on": "2027-01-10"}, "onset_on", "before_procedure"),
        ({"onset_on": "2027-01-15"}, "onset_on", "in_the_future"),
    ):
        answer = api(world, "POST", data=body(course) | data)
        assert (answer.status_code, faults(answer)) == (400, [(field, code)]), data
    assert not AdverseEvent.objects.exists()
    pk = recorded_adverse_event(world, course).pk
    for inputs, field, code in (
        ({"outcome": "resolved"}, "reason", "reason_required"),
        ({"reason": "why not"}, "", "nothing_changed"),
    ):
        answer = api(world, "POST", f"{pk}/correct/", inputs)
        assert faults(answer) == [(field, code)]


def test_the_list_is_narrowed(world: World, course: FollowUp) -> None:
    infection = recorded_adverse_event(world, course)
    bleeding = recorded_adverse_event(
        world, course, term="bleeding", onset_on=MONDAY, serious=True, severity="severe", outcome="resolved"
    )

    def found(query: str) -> list[int]:
        return [row["id"] for row in api(world, "GET", query).json()["results"]]

    assert found("") == [infection.pk, bleeding.pk]
    for query in ("term=bleeding", "serious=true", "severity=severe", "outcome=resolved"):
        assert found(f"?{query}") == [bleeding.pk]
    assert found("?onset_from=2027-01-12") == [infection.pk]
    assert found("?onset_before=2027-01-12") == [bleeding.pk]
    assert found(f"?procedure_type=rfa_facet&patient={world.patient.pk}") == [infection.pk, bleeding.pk]


def test_a_list_takes_the_same_number_of_queries_however_long(world: World, course: FollowUp) -> None:
    recorded_adverse_event(world, course)
    first = queries(lambda: api(world, "GET"))
    for number in range(5):
        recorded_adverse_event(world, course, description=f"another {number}")
    assert queries(lambda: api(world, "GET")) == first


def test_an_alert_about_a_device_says_what_is_due_since_when(world: World) -> None:
    pump = recorded_device(world, implant_procedure(world))
    due = MONDAY + 90 * DAY
    services.review_devices(now=world.at(due, 9))
    alert = Alert.objects.get(kind="device_due")
    shown = call(world.nurse, "GET", f"alerts/{alert.pk}/", now=world.at(due + DAY, 9)).json()
    assert shown["devices_due"] == [{"what": "refill", "since": due.isoformat(), "device": pump.pk}]
    assert shown["questions"] == []
