"""Follow-ups with their verdicts, and check-ins, through the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Site
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from outcomes import services
from outcomes.models import Answer, CheckIn, FollowUp, Measurement
from procedures.tests.factories import World


def check_in(world: World, follow_up: FollowUp, day: int) -> CheckIn:
    return follow_up.check_ins.get(offset_minutes=day * 1440)


def record(
    world: World, row: CheckIn, score: object = 3, *, channel: str = "phone", later: int = 0, **more: Any
) -> Any:
    """The response to the nurse who enters an answer `later` minutes after the check-in fell due."""
    inputs = {"score": score, "channel": channel} | more
    now = row.due_at + timedelta(minutes=later)
    return call(world.nurse, "POST", f"check-ins/{row.pk}/answer/", inputs, now=now)


def test_a_follow_up_shows_its_verdict_window_and_course(world: World) -> None:
    follow_up = world.performed(baseline=8).follow_up
    for day, score in ((42, 2), (92, 3)):
        assert record(world, check_in(world, follow_up, day), score).status_code == 201
    now = check_in(world, follow_up, 92).due_at
    shown = call(world.physician, "GET", f"follow-ups/{follow_up.pk}/", now=now).json()
    assert shown["verdict"] == "in_relief"
    assert "Pain 8 before, 3 on day 92 (62 % less)" in shown["verdict_reason"]
    assert shown["relief_window"] == {
        "unit": "day",
        "earliest": 180,
        "latest": 365,
        "ongoing": False,
        "evaluate_after": 42,
    }
    assert (shown["baseline_pain"], shown["threshold_percent"]) == (8, 50)
    course = [(m["after"], m["score"], m["percent_relief"], m["in_relief"]) for m in shown["measurements"]]
    assert course == [(42, 2, 75, True), (92, 3, 62, True)]
    assert shown["last_measurement"] == shown["measurements"][-1]
    assert [change["verdict"] for change in shown["verdict_changes"]] == ["too_early", "in_relief"]
    assert [row["when"] for row in shown["check_ins"]][:3] == ["day 1", "day 7", "day 14"]
    answered = next(row for row in shown["check_ins"] if row["when"] == "day 92")
    assert answered["answer"] == {
        "score": 3,
        "values": {},
        "remark": "",
        "channel": "phone",
        "answered_by": "patient",
        "caregiver": None,
        "answered_at": now.isoformat().replace("+00:00", "Z"),
        "recorded_by": world.nurse.pk,
        "late": False,
        "version": 1,
    }
    event = AuditEvent.objects.get(action="patient.read")
    assert (event.by, event.object_id) == (world.physician, world.patient.pk)


def test_without_a_baseline_relief_is_unknown_and_worse_pain_is_negative(world: World) -> None:
    unknown = world.performed(baseline=None).follow_up
    record(world, check_in(world, unknown, 42), 0)
    worse = world.performed(baseline=4, patient=world.another_patient(), hour=13).follow_up
    record(world, check_in(world, worse, 42), 6)
    rows = call(world.physician, "GET", "follow-ups/", now=world.now).json()["results"]
    assert [row["id"] for row in rows] == [worse.pk, unknown.pk]
    relief = [
        (row["last_measurement"]["percent_relief"], row["last_measurement"]["in_relief"]) for row in rows
    ]
    assert relief == [(-50, False), (None, None)]
    assert [row["verdict"] for row in rows] == ["no_relief", "no_baseline"]


def test_who_is_losing_relief(world: World) -> None:
    lost = world.performed().follow_up
    for day, score in ((42, 1), (92, 7)):
        record(world, check_in(world, lost, day), score)
    late = check_in(world, lost, 184)
    record(world, late, 8)
    world.performed(patient=world.another_patient(), hour=13)

    def found(query: str) -> list[int]:
        response = call(world.physician, "GET", f"follow-ups/?{query}", now=world.now)
        assert response.status_code == 200, response.json()
        return [row["id"] for row in response.json()["results"]]

    assert found("verdict=lost_early") == [lost.pk]
    assert found(f"patient={world.patient.pk}&open=true&site={world.site.pk}") == [lost.pk]
    assert found("open=false") == []
    assert found("procedure_type=lobotomy") == []
    assert len(found("procedure_type=rfa_facet")) == 2
    response = call(world.physician, "GET", "follow-ups/?verdict=bad", now=world.now)
    assert faults(response) == [("verdict", "invalid_choice")]


def test_an_answer_on_the_patients_behalf_is_taken_once(world: World) -> None:
    row = check_in(world, world.performed().follow_up, 42)
    assert record(world, row, 3).status_code == 201
    assert record(world, row, 3, later=1).status_code == 200
    other = record(world, row, 5, later=2)
    assert other.status_code == 409
    assert faults(other) == [("score", "answered_already")]
    assert record(world, row, 3, later=3, remark="Sleeps well.").json()["answer"]["remark"] == "Sleeps well."
    other = record(world, row, 3, later=4, remark="Sleeps badly.")
    assert (other.status_code, faults(other)) == (409, [("remark", "other_remark")])
    assert Measurement.objects.get().value == 3
    assert Answer.objects.get().recorded_by == world.nurse


@pytest.mark.parametrize("score", [11, -1, 7.5, 7.0, "seven", "7", True, [3]])
def test_only_whole_numbers_from_0_to_10_are_scores(world: World, score: object) -> None:
    row = check_in(world, world.performed().follow_up, 42)
    response = record(world, row, score)
    assert response.status_code == 400
    assert faults(response) == [("score", "score_out_of_range")]
    assert not Answer.objects.exists()


def test_other_bad_answers(world: World) -> None:
    row = check_in(world, world.performed().follow_up, 42)
    before = AuditEvent.objects.count()
    assert faults(record(world, row, None)) == [("score", "null")]
    assert faults(record(world, row, 3, channel="email")) == [("channel", "invalid_choice")]
    assert faults(record(world, row, 3, note="x")) == [("note", "unknown_field")]
    path, inputs = f"check-ins/{row.pk}/answer/", {"score": 3, "channel": "phone"}
    for moment in (row.opens_at - timedelta(seconds=1), row.closes_at):
        assert faults(call(world.nurse, "POST", path, inputs, now=moment)) == [("check_in", "closed")]
    row.refresh_from_db()
    assert row.status == CheckIn.Status.PLANNED
    assert not Answer.objects.exists()
    assert AuditEvent.objects.count() == before


def test_who_is_to_be_called_today(world: World) -> None:
    follow_up = world.performed().follow_up
    day_1 = check_in(world, follow_up, 1)
    services.tick(now=day_1.due_at)

    def found(query: str) -> list[dict[str, Any]]:
        response = call(world.clerk, "GET", f"check-ins/?{query}", now=world.now)
        assert response.status_code == 200, response.json()
        rows: list[dict[str, Any]] = response.json()["results"]
        return rows

    (row,) = found("status=invited")
    assert (row["id"], row["patient"]["record_number"], row["when"]) == (day_1.pk, "P00001", "day 1")
    week = "due_from=2027-01-12T00:00:00Z&due_before=2027-01-19T00:00:00Z"
    assert [row["when"] for row in found(week)] == ["day 1", "day 7"]
    assert len(found(f"site={world.site.pk}&follow_up={follow_up.pk}&patient={world.patient.pk}")) == 10
    assert found("site=987654") == []


def test_another_sites_courses_do_not_exist(world: World) -> None:
    row = check_in(world, world.performed().follow_up, 42)
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.NURSE, other)
    for path in ("follow-ups/", "check-ins/"):
        assert call(stranger, "GET", path, now=row.due_at).json()["results"] == []
    for method, path in (
        ("GET", f"follow-ups/{row.follow_up_id}/"),
        ("GET", f"check-ins/{row.pk}/"),
        ("POST", f"check-ins/{row.pk}/answer/"),
    ):
        response = call(stranger, method, path, {"score": 3, "channel": "phone"}, now=row.due_at)
        assert response.status_code == 404
    assert not Answer.objects.exists()


@pytest.mark.parametrize("path", ["follow-ups/?page_size=200", "check-ins/?page_size=200"])
def test_a_list_takes_the_same_queries_for_3_rows_and_for_30(world: World, path: str) -> None:
    def counted() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            response = call(world.nurse, "GET", path, now=world.now)
        return len(queries), len(response.json()["results"])

    def grow(numbers: range) -> None:
        for number in numbers:
            day = MONDAY + timedelta(days=7 * number)
            patient = world.another_patient(number + 2)
            record(world, check_in(world, world.performed(day=day, patient=patient).follow_up, 42))

    grow(range(3))
    few, shown = counted()
    assert shown >= 3
    grow(range(3, 30))
    many, shown = counted()
    assert shown >= 30
    assert many == few


def test_a_course_tells_who_responded_and_when_relief_ended(world: World) -> None:
    follow_up = world.performed(baseline=3).follow_up
    path = f"follow-ups/{follow_up.pk}/"
    now = world.at(MONDAY, 12)
    empty = call(world.physician, "GET", path, now=now).json()
    assert (empty["relief_ended"], empty["baseline_status"]) == (None, "low_baseline")
    assert set(empty["responder"].values()) == {None}
    for day, pain, values in ((42, 1, {"pgic.change": 2}), (92, 3, {"relief.worn_off": 1, "pgic.change": 5})):
        check_in = follow_up.check_ins.get(offset_minutes=day * 1440)
        services.store_answer(
            check_in.pk,
            values={"nrs.now": pain, **values},
            channel="email",
            language="en",
            by=None,
            now=check_in.due_at,
        )
        course = call(world.physician, "GET", path, now=check_in.due_at).json()
        if day == 42:
            assert course["responder"] == {
                "percent_30": True,
                "percent_50": True,
                "points_2": True,
                "pgic_1_2": True,
                "profile": True,
            }
            assert course["last_measurement"]["points"] == 2
            assert course["relief_ended"]["until"] is None
    assert set(course["responder"].values()) == {False}
    assert course["verdict"] == "lost_early"
    assert course["relief_ended"] == {
        "unit": "day",
        "after": 42,
        "until": 92,
        "responded": True,
        "suspected_until": None,
        "loss_kind": "lost_early",
        "ended_by": 92,
    }
    assert course["last_answer"] == 92
