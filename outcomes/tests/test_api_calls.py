"""Calls, whole answers, corrections and the "why" of a check-in through the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import queries
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from outcomes.models import Alert, Answer, CheckIn, ContactAttempt
from outcomes.tests.factories import red_flag, to_call, wants_call
from procedures.tests.factories import World


def ask(world: World, row: CheckIn, deed: str, inputs: dict[str, Any], now: datetime) -> Any:
    return call(world.nurse, "POST", f"check-ins/{row.pk}/{deed}/", inputs, now=now)


def calls(world: World, now: datetime, query: str = "") -> Any:
    return call(world.clerk, "GET", f"calls/{query}", now=now).json()["results"]


def test_the_list_of_calls_and_what_came_of_one(world: World) -> None:
    check_in, now = to_call(world)
    other, _ = wants_call(
        world.performed(patient=world.another_patient(), day=MONDAY + timedelta(days=7)), day=7
    )
    now = max(now, other.due_at)
    listed = calls(world, now)
    assert [row["id"] for row in listed] == [other.pk, check_in.pk]  # whose time runs out first
    assert listed[1]["tries"] == 0
    assert listed[1]["not_sent_reason"] == "no_consent"
    assert listed[1]["patient"]["phone"] == ""
    assert [row["id"] for row in calls(world, now, f"?patient={world.patient.pk}")] == [check_in.pk]
    noted = ask(world, check_in, "call", {"outcome": "no_answer"}, now)
    assert noted.status_code == 201
    assert noted.json() | {"at": ""} == {
        "kind": "call", "outcome": "no_answer", "at": "", "by": world.nurse.pk, "reason": "", "again_at": None,
    }  # fmt: skip
    assert (
        ask(world, check_in, "call", {"outcome": "no_answer"}, now + timedelta(seconds=1)).status_code == 200
    )
    assert [row["id"] for row in calls(world, now)] == [other.pk]
    again = (now + timedelta(hours=2)).isoformat()
    asked = ask(world, other, "call", {"outcome": "call_again", "again_at": again}, now)
    assert datetime.fromisoformat(asked.json()["again_at"]) == now + timedelta(hours=2)
    assert calls(world, now) == []
    assert ContactAttempt.objects.count() == 2


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({}, ("outcome", "required")),
        ({"outcome": "reached"}, ("outcome", "invalid_choice")),
        ({"outcome": "call_again"}, ("again_at", "again_at_required")),
        ({"outcome": "call_again", "again_at": "2027-06-01T10:00:00Z"}, ("again_at", "after_close")),
        ({"outcome": "call_again", "again_at": "2027-01-01T10:00:00Z"}, ("again_at", "in_the_past")),
        ({"outcome": "call_again", "again_at": "2027-01-26T10:00:00"}, ("again_at", "offset_required")),
        ({"outcome": "no_answer", "again_at": "2027-01-26T10:00:00Z"}, ("again_at", "again_at_not_wanted")),
        ({"outcome": "no_answer", "by": 1}, ("by", "unknown_field")),
    ],
)
def test_calls_that_cannot_be(world: World, inputs: dict[str, Any], wrong: tuple[str, str]) -> None:
    check_in, now = to_call(world)
    response = ask(world, check_in, "call", inputs, now)
    assert response.status_code == 400
    assert faults(response) == [wrong]
    assert not ContactAttempt.objects.exists()


def test_an_answer_with_all_its_figures(world: World) -> None:
    red_flag(world)
    check_in, now = to_call(world, day=7)
    inputs = {
        "score": 3, "values": {"nrs.worst_24_hours": 8, "red_flag.fever_chills": 1}, "channel": "phone",
        "language": "es", "remark": "Rang twice",
    }  # fmt: skip
    response = ask(world, check_in, "answer", inputs, now)
    assert response.status_code == 201
    answer = response.json()["answer"]
    assert answer["score"] == 3
    assert answer["values"] == inputs["values"]
    assert (answer["remark"], answer["version"], answer["late"]) == ("Rang twice", 1, False)
    assert Answer.objects.get().language == "es"
    assert Alert.objects.get().codes == ["fever_chills"]
    assert ContactAttempt.objects.get().outcome == "reached"
    assert ask(world, check_in, "answer", inputs, now + timedelta(seconds=1)).status_code == 200
    other = ask(world, check_in, "answer", inputs | {"values": {}}, now)
    assert other.status_code == 409
    assert faults(other) == [("score", "answered_already")]
    assert call(world.nurse, "GET", "calls/", now=now).json()["results"] == []


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"nrs.now": 3}, ("values", "invalid")),
        ({"nrs.worst_24_hours": 11}, ("values.nrs.worst_24_hours", "score_out_of_range")),
        ({"nrs.never": 1}, ("values.nrs.never", "unknown_item")),
        ({"red_flag.never": 1}, ("values.red_flag.never", "unknown_item")),
        ({"nrs.worst_24_hours": "8"}, ("values.nrs.worst_24_hours", "invalid")),
        ({"nrs.worst_24_hours": True}, ("values.nrs.worst_24_hours", "invalid")),
        ({f"nrs.n{number}": 1 for number in range(101)}, ("values", "max_length")),
        ([1], ("values", "not_a_dict")),
    ],
)
def test_figures_that_cannot_be(world: World, values: Any, wrong: tuple[str, str]) -> None:
    check_in, now = to_call(world)
    response = ask(world, check_in, "answer", {"score": 3, "values": values, "channel": "clinic"}, now)
    assert response.status_code == 400
    assert faults(response) == [wrong]
    assert not Answer.objects.exists()


def test_a_correction_and_its_versions(world: World) -> None:
    check_in, now = to_call(world)
    early = ask(world, check_in, "correct", {"score": 1, "reason": "typo"}, now)
    assert faults(early) == [("score", "no_answer")]
    ask(world, check_in, "answer", {"score": 7, "values": {"pgic.change": 2}, "channel": "phone"}, now)
    later = now + timedelta(days=60)  # a mistake may be found when the check-in is long closed
    corrected = ask(world, check_in, "correct", {"score": 1, "reason": "typed 7 for 1"}, later)
    assert corrected.status_code == 200
    assert corrected.json()["answer"]["score"] == 1
    assert corrected.json()["answer"]["values"] == {}
    assert corrected.json()["answer"]["version"] == 2
    for inputs, wrong in (
        ({"score": 1, "reason": "again"}, ("values", "nothing_changed")),
        ({"score": 1, "reason": " "}, ("reason", "blank")),
        ({"score": 11, "reason": "typo"}, ("score", "score_out_of_range")),
        (
            {"score": 1, "values": {"pgic.change": 8}, "reason": "x"},
            ("values.pgic.change", "score_out_of_range"),
        ),
    ):
        assert faults(ask(world, check_in, "correct", inputs, later)) == [wrong]
    told = call(world.nurse, "GET", f"check-ins/{check_in.pk}/why/", now=later).json()
    assert [(row["number"], row["score"], row["values"]) for row in told["versions"]] == [
        (1, 7, {"pgic.change": 2}),
        (2, 1, {}),
    ]
    assert [row["by"] for row in told["versions"]] == [world.nurse.pk, world.nurse.pk]


def test_why_tells_what_the_page_tells(world: World) -> None:
    check_in, now = to_call(world)
    ask(world, check_in, "call", {"outcome": "wrong_number"}, now)
    response = call(world.physician, "GET", f"check-ins/{check_in.pk}/why/", now=now)
    assert response["Cache-Control"] == "no-store"
    facts = response.json()["facts"]
    assert [fact["code"] for fact in facts] == ["planned", "not_sent", "called"]
    assert facts[2]["said"] == "Nurse Test called: wrong number."
    assert response.json()["versions"] == []
    read = AuditEvent.objects.filter(action="patient.read", by=world.physician)
    assert read.get().object_id == world.patient.pk


def test_another_sites_calls_do_not_exist(world: World) -> None:
    check_in, now = to_call(world)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    stranger = staff("stranger@example.org", "Nurse", elsewhere)
    assert call(stranger, "GET", "calls/", now=now).json()["results"] == []
    for method, deed, inputs in (
        ("POST", "call", {"outcome": "no_answer"}),
        ("POST", "correct", {"score": 1, "reason": "typo"}),
        ("POST", "answer", {"score": 1, "channel": "phone"}),
        ("GET", "why", None),
    ):
        assert call(stranger, method, f"check-ins/{check_in.pk}/{deed}/", inputs, now=now).status_code == 404
    assert not ContactAttempt.objects.exists()


def test_the_list_asks_no_more_for_many_than_for_few(world: World) -> None:
    later = world.at(MONDAY, 9) + timedelta(days=200)

    def more(first: int, last: int) -> None:
        for number in range(first, last):
            patient = world.another_patient(number + 2)
            wants_call(world.performed(patient=patient, day=MONDAY + timedelta(days=7 * number)), day=1)
        CheckIn.objects.filter(call_at__isnull=False).update(closes_at=later + timedelta(days=1))

    more(0, 2)
    few = queries(lambda: calls(world, later))
    more(2, 12)
    assert len(calls(world, later)) == 12
    assert queries(lambda: calls(world, later)) <= few
