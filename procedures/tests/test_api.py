"""Appointments, procedures and the catalogue through the API: what it does, and what it refuses without a trace."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Site, User
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import FigureConfirmation
from procedures.tests.factories import World, booked_appointment, booking_request, row_counts


@pytest.fixture
def stranger(world: World) -> User:
    """A physician of another site."""
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    return staff("stranger@example.org", roles.PHYSICIAN, other)


def test_booking_takes_wall_time_or_offset_and_answers_in_utc(world: World) -> None:
    response = call(world.physician, "POST", "appointments/", booking_request(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert shown["starts_at"] == "2027-01-11T14:00:00Z"
    assert shown["starts_at_local"] == "2027-01-11T09:00:00-05:00"
    assert shown["ends_at_local"] == "2027-01-11T10:45:00-05:00"
    assert shown["intent"] == "therapeutic"
    assert {row["name"] for row in shown["reservations"]} == {"Room 1", "Bay 1", "Dr Test"}
    later = booking_request(
        world,
        patient=world.another_patient().pk,
        starts_at="2027-01-11T20:00:00+01:00",
        resources=[world.room.pk],
    )
    response = call(world.clerk, "POST", "appointments/", later, now=world.now)
    assert response.status_code == 201, response.json()
    assert response.json()["starts_at_local"] == "2027-01-11T14:00:00-05:00"
    assert (
        call(world.nurse, "GET", f"appointments/{shown['id']}/", now=world.now).json()
        == call(world.nurse, "GET", "appointments/", now=world.now).json()["results"][0]
    )


def test_a_taken_time_is_a_conflict(world: World) -> None:
    booked_appointment(world)
    before = row_counts()
    response = call(
        world.clerk,
        "POST",
        "appointments/",
        booking_request(world, patient=world.another_patient().pk),
        now=world.now,
    )
    assert response.status_code == 409
    assert faults(response) == [("starts_at", "taken")]
    assert row_counts() == before


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"starts_at": "2027-03-14T02:30"}, ("starts_at", "no_such_time")),
        ({"starts_at": "2027-01-05T09:00"}, ("starts_at", "in_the_past")),
        ({"starts_at": "2027-01-11T18:00"}, ("starts_at", "outside_hours")),
        ({"starts_at": "2027-01-11"}, ("starts_at", "invalid")),
        ({"starts_at": "tomorrow"}, ("starts_at", "invalid")),
        ({"starts_at": 1800000000}, ("starts_at", "invalid")),
        ({"starts_at": None}, ("starts_at", "null")),
        ({"starts_at": "9999-12-31T23:59:59Z"}, ("starts_at", "out_of_range")),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, ("starts_at", "out_of_range")),
        ({"ends_at": "2027-01-11T08:00"}, ("ends_at", "unknown_field")),
        ({"status": "completed"}, ("status", "unknown_field")),
        ({"procedure_type": "lobotomy"}, ("procedure_type", "unknown_procedure_type")),
        ({"procedure_type": ["rfa_facet"]}, ("procedure_type", "invalid")),
        ({"patient": 10**30}, ("patient", "does_not_exist")),
        ({"patient": 0}, ("patient", "does_not_exist")),
        ({"patient": "1"}, ("patient", "incorrect_type")),
        ({"patient": 1.0}, ("patient", "incorrect_type")),
        ({"patient": True}, ("patient", "incorrect_type")),
        ({"site": 987654}, ("site", "does_not_exist")),
        ({"resources": [987654]}, ("resources", "does_not_exist")),
        ({"resources": list(range(1, 30))}, ("resources", "max_length")),
        ({"resources": ["1"]}, ("resources.0", "invalid")),
        ({"laterality": ""}, ("laterality", "side_required")),
        ({"laterality": "midline"}, ("laterality", "side_not_possible")),
        ({"laterality": "upwards"}, ("laterality", "invalid_choice")),
        ({"region": "knee"}, ("region", "region_not_possible")),
        ({"intent": "diagnostic"}, ("intent", "intent_not_possible")),
        ({"indication": "back pain"}, ("indication", "icd_10_cm")),
        ({"note": "x" * 501}, ("note", "max_length")),
        ({"note": 7}, ("note", "invalid")),
        ({"note": "\0"}, ("note", "null_characters_not_allowed")),
    ],
)
def test_a_bad_booking_is_refused_with_code_and_field(
    world: World, changes: dict[str, Any], fault: tuple[str, str]
) -> None:
    before = row_counts()
    response = call(world.clerk, "POST", "appointments/", booking_request(world, **changes), now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)
    assert row_counts() == before


def test_what_is_missing_is_named(world: World) -> None:
    response = call(world.clerk, "POST", "appointments/", {}, now=world.now)
    assert set(faults(response)) == {
        (field, "required") for field in ("patient", "procedure_type", "site", "starts_at")
    }


def test_a_time_that_occurs_twice_is_the_first(world: World) -> None:
    for resource in (world.room, world.bay, world.doctor):
        resource.working_hours.update(weekday=6, opens="00:00", closes="05:00")
    response = call(
        world.clerk,
        "POST",
        "appointments/",
        booking_request(world, starts_at="2027-11-07T01:30"),
        now=world.now,
    )
    assert response.status_code == 201, response.json()
    assert response.json()["starts_at_local"] == "2027-11-07T01:30:00-04:00"


def test_another_sites_rows_do_not_exist(world: World, stranger: User) -> None:
    appointment = booked_appointment(world)
    before = row_counts()
    site = stranger.sites.get()
    response = call(
        stranger, "POST", "appointments/", booking_request(world, resources=[world.room.pk]), now=world.now
    )
    assert response.status_code == 400
    assert set(faults(response)) == {(field, "does_not_exist") for field in ("patient", "site", "resources")}
    response = call(stranger, "POST", "appointments/", booking_request(world, site=site.pk), now=world.now)
    assert faults(response) == [("patient", "does_not_exist")]
    assert call(stranger, "GET", "appointments/", now=world.now).json()["results"] == []
    for verb, path in (("GET", ""), ("POST", "cancel/"), ("POST", "complete/"), ("POST", "reschedule/")):
        response = call(stranger, verb, f"appointments/{appointment.pk}/{path}", {}, now=world.now)
        assert response.status_code == 404
    assert row_counts() == before


def test_cancelling_frees_the_time_and_needs_a_reason(world: World) -> None:
    appointment = booked_appointment(world)
    path = f"appointments/{appointment.pk}/cancel/"
    assert faults(call(world.clerk, "POST", path, {}, now=world.now)) == [("reason", "required")]
    assert faults(call(world.clerk, "POST", path, {"reason": "  "}, now=world.now)) == [("reason", "blank")]
    response = call(world.clerk, "POST", path, {"reason": "ill"}, now=world.now)
    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    assert all(row["released_at"] for row in response.json()["reservations"])
    assert faults(call(world.clerk, "POST", path, {"reason": "ill"}, now=world.now)) == [
        ("status", "not_allowed_now")
    ]
    assert (
        call(world.clerk, "POST", "appointments/", booking_request(world), now=world.now).status_code == 201
    )


def test_arriving_and_not_coming(world: World) -> None:
    appointment = booked_appointment(world)
    path = f"appointments/{appointment.pk}"
    nine = world.at(MONDAY, 9)
    assert faults(call(world.clerk, "POST", f"{path}/arrive/", now=world.now)) == [("status", "not_today")]
    assert faults(call(world.clerk, "POST", f"{path}/mark-no-show/", now=world.now)) == [
        ("status", "too_early")
    ]
    assert faults(call(world.clerk, "POST", f"{path}/arrive/", {"at": "now"}, now=nine)) == [
        ("at", "unknown_field")
    ]
    assert call(world.clerk, "POST", f"{path}/arrive/", now=nine).json()["status"] == "arrived"
    other = booked_appointment(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    response = call(world.clerk, "POST", f"appointments/{other.pk}/mark-no-show/", now=world.at(MONDAY, 14))
    assert response.json()["status"] == "no_show"


def test_rescheduling_makes_a_chain(world: World) -> None:
    old = booked_appointment(world)
    path = f"appointments/{old.pk}/reschedule/"
    before = row_counts()
    assert faults(call(world.clerk, "POST", path, {"starts_at": "2027-03-14T02:30"}, now=world.now)) == [
        ("starts_at", "no_such_time")
    ]
    assert faults(call(world.clerk, "POST", path, {"starts_at": "2027-01-11T18:00"}, now=world.now)) == [
        ("starts_at", "outside_hours")
    ]
    assert row_counts() == before
    response = call(world.clerk, "POST", path, {"starts_at": "2027-01-11T09:30"}, now=world.now)
    assert response.status_code == 201, response.json()
    assert response.json()["rescheduled_from"] == old.pk
    shown = call(world.clerk, "GET", f"appointments/{old.pk}/", now=world.now).json()
    assert (shown["status"], shown["rescheduled_to"]) == ("cancelled", response.json()["id"])


def test_performing_begins_the_follow_up(world: World) -> None:
    appointment = booked_appointment(world)
    record = {"performed_at": "2027-01-11T09:10", "baseline_pain": 8, "performer": world.physician.pk}
    response = call(
        world.physician,
        "POST",
        f"appointments/{appointment.pk}/complete/",
        record,
        now=world.at(MONDAY, 10),
    )
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert shown["performed_at_local"] == "2027-01-11T09:10:00-05:00"
    assert (shown["baseline_pain"], shown["laterality"], shown["status"]) == (8, "left", "completed")
    after = call(world.nurse, "GET", f"appointments/{appointment.pk}/", now=world.now).json()
    assert (after["status"], after["procedure"]) == ("completed", shown["id"])
    follow_ups = call(world.nurse, "GET", f"follow-ups/?procedure={shown['id']}", now=world.now).json()
    assert len(follow_ups["results"]) == 1


@pytest.mark.parametrize("score", [11, -1, 7.5, 7.0, "seven", "7", True, [7], {"now": 7}])
def test_only_whole_numbers_from_0_to_10_are_scores(world: World, score: object) -> None:
    appointment = booked_appointment(world)
    before = row_counts()
    response = call(
        world.physician,
        "POST",
        f"appointments/{appointment.pk}/complete/",
        {"performed_at": "2027-01-11T09:10", "baseline_pain": score},
        now=world.at(MONDAY, 10),
    )
    assert response.status_code == 400
    assert faults(response) == [("baseline_pain", "score_out_of_range")]
    assert row_counts() == before


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"performed_at": "2027-01-11T10:01"}, ("performed_at", "in_the_future")),
        ({"performed_at": "2027-01-10T09:00"}, ("performed_at", "before_booking_day")),
        ({"performed_at": "2027-03-14T02:30"}, ("performed_at", "no_such_time")),
        ({"status": "entered_in_error"}, ("status", "invalid_choice")),
        ({"status": None}, ("status", "null")),
        ({"performer": 987654}, ("performer", "does_not_exist")),
        ({"patient": 1}, ("patient", "unknown_field")),
        ({"agent": "x" * 201}, ("agent", "max_length")),
    ],
)
def test_a_bad_record_is_refused(world: World, changes: dict[str, Any], fault: tuple[str, str]) -> None:
    appointment = booked_appointment(world)
    before = row_counts()
    response = call(
        world.physician,
        "POST",
        f"appointments/{appointment.pk}/complete/",
        {"performed_at": "2027-01-11T09:10"} | changes,
        now=world.at(MONDAY, 10),
    )
    assert response.status_code == 400
    assert fault in faults(response)
    assert row_counts() == before


def test_voiding_needs_a_reason_and_a_physician(world: World) -> None:
    procedure = world.performed()
    path = f"procedures/{procedure.pk}/void/"
    assert call(world.nurse, "POST", path, {"reason": "wrong patient"}, now=world.now).status_code == 403
    assert faults(call(world.physician, "POST", path, {}, now=world.now)) == [("reason", "required")]
    response = call(world.physician, "POST", path, {"reason": "wrong patient"}, now=world.now)
    assert response.json()["status"] == "entered_in_error"


def test_reading_a_procedure_is_written_down(world: World) -> None:
    procedure = world.performed()
    call(world.nurse, "GET", f"procedures/{procedure.pk}/", now=world.now)
    event = AuditEvent.objects.get(action="patient.read")
    assert (event.by, event.object_id) == (world.nurse, world.patient.pk)


def test_lists_are_narrowed(world: World) -> None:
    first = booked_appointment(world)
    # Monday evening in New York is Tuesday in UTC.
    for resource in (world.room, world.bay, world.doctor):
        resource.working_hours.update(closes="23:59")
    late = booked_appointment(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 21))
    tuesday = booked_appointment(world, starts_at=world.at(MONDAY + timedelta(days=1), 9))

    def found(query: str) -> list[int]:
        response = call(world.nurse, "GET", f"appointments/?{query}", now=world.now)
        assert response.status_code == 200, response.json()
        return [row["id"] for row in response.json()["results"]]

    assert found("day=2027-01-11") == [first.pk, late.pk]
    assert found("day=2027-01-12") == [tuesday.pk]
    assert found("starts_from=2027-01-12T02:00:00Z&starts_before=2027-01-12T14:00:00Z") == [late.pk]
    assert found(f"patient={world.patient.pk}") == [first.pk, tuesday.pk]
    assert found(f"physician={world.physician.pk}&day=2027-01-11") == [first.pk, late.pk]
    assert found(f"physician={world.nurse.pk}") == []
    assert found(f"resource={world.room.pk}&status=booked") == [first.pk, late.pk, tuesday.pk]
    assert found("status=cancelled") == []
    assert found("site=987654") == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("dya=2027-01-11", ("dya", "unknown_field")),
        ("day=11.1.2027", ("day", "invalid")),
        ("day=9999-12-31", ("day", "out_of_range")),
        ("starts_from=2027-01-11T09:00", ("starts_from", "offset_required")),
        ("starts_from=2027-01-11T09:00:00+05:00", ("starts_from", "invalid")),
        ("status=done", ("status", "invalid_choice")),
        ("patient=1.5", ("patient", "invalid")),
        ("patient=99999999999999999999999", ("patient", "max_value")),
        ("page_size=0", ("page_size", "min_value")),
        ("page_size=10000", ("page_size", "max_value")),
        ("cursor=nonsense", ("cursor", "invalid")),
        ("cursor=cD1ub25zZW5zZQ==", ("cursor", "invalid")),
    ],
)
def test_a_question_that_a_list_cannot_be_asked(world: World, query: str, fault: tuple[str, str]) -> None:
    response = call(world.nurse, "GET", f"appointments/?{query}", now=world.now)
    assert response.status_code == 400
    assert faults(response) == [fault]


@pytest.mark.parametrize("path", ["appointments/", "procedures/", "procedure-types/"])
def test_a_list_takes_the_same_queries_for_3_rows_and_for_30(world: World, path: str) -> None:
    def counted() -> tuple[int, int]:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = call(world.nurse, "GET", path, now=world.now)
        return len(queries), len(response.json()["results"])

    def grow(numbers: range) -> None:
        for number in numbers:
            day = MONDAY + timedelta(days=7 * number)
            world.performed(day=day, patient=world.another_patient(number + 2))
            world.ablation.pk, world.ablation.code = None, f"another_{number}"
            world.ablation.__class__.objects.bulk_create([world.ablation])
            world.ablation = world.ablation.__class__.objects.get(code="rfa_facet")

    grow(range(3))
    few, shown = counted()
    assert shown >= 3
    grow(range(3, 30))
    many, shown = counted()
    assert shown >= 30
    assert many == few


def test_pages_neither_skip_nor_repeat(world: World) -> None:
    made = [
        booked_appointment(
            world, patient=world.another_patient(n), starts_at=world.at(MONDAY + timedelta(days=7 * n), 9)
        )
        for n in range(2, 7)
    ]
    seen, path = [], "appointments/?page_size=2"
    while path:
        page = call(world.nurse, "GET", path, now=world.now).json()
        seen += [row["id"] for row in page["results"]]
        path = (page["next"] or "").partition("/api/v1/")[2]
    assert seen == [appointment.pk for appointment in made]


def test_a_clinical_figure_comes_with_unit_source_and_who_stands_by_it(world: World) -> None:
    profile = world.ablation.relief_profiles.get()
    services.confirm_figure(
        world.ablation, "relief_window", profile=profile, by=world.physician, now=world.now
    )
    shown = call(world.nurse, "GET", "procedure-types/rfa_facet/", now=world.now).json()
    assert shown["relief_profile"]["relief_window"] == {
        "unit": "day",
        "source": "test",
        "confirmed": {"by": str(world.physician), "on": "2027-01-08"},
        "earliest": 180,
        "latest": 365,
        "ongoing": False,
    }
    assert shown["relief_profile"]["success"] == {
        "unit": "percent",
        "source": "test",
        "confirmed": None,
        "value": 50,
    }
    assert shown["relief_profile"]["diagnostic_window"] is None
    assert shown["durations"]["procedure"] == 45
    assert FigureConfirmation.objects.count() == 1
    assert call(world.nurse, "GET", "procedure-types/lobotomy/", now=world.now).status_code == 404
