"""Finding a time by API, up to the booked appointment."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import Resource, Site
from clinic.tests.api_client import call, faults
from clinic.tests.factories import resource, staff
from patients.models import Patient
from procedures.models import ProcedureType, ResourceRequirement
from procedures.tests.factories import World, booked_appointment


def asked(world: World, **changes: Any) -> str:
    """The address of a question about the Monday at Riverside, which every role may ask."""
    query = {
        "procedure_type": "rfa_facet",
        "site": world.site.pk,
        "starts_from": "2027-01-11T00:00",
        "starts_before": "2027-01-12T00:00",
    } | changes
    given = {name: value for name, value in query.items() if value is not None}
    return f"slots/?{urlencode(given, doseq=True)}"


def starts(world: World, **changes: Any) -> list[str]:
    """The hours that are offered, on the wall clock."""
    response = call(world.clerk, "GET", asked(world, **changes), now=world.now)
    assert response.status_code == 200, response.json()
    return [slot["starts_at_local"][11:16] for slot in response.json()["results"]]


def test_from_a_slot_over_a_hold_to_an_appointment(world: World) -> None:
    slot = call(world.clerk, "GET", asked(world, limit=1), now=world.now).json()["results"][0]
    assert slot == {
        "starts_at": "2027-01-11T13:00:00Z",
        "ends_at": "2027-01-11T14:45:00Z",
        "starts_at_local": "2027-01-11T08:00:00-05:00",
        "ends_at_local": "2027-01-11T09:45:00-05:00",
        "site": {"id": world.site.pk, "name": "Riverside", "time_zone": "America/New_York"},
        "resources": [
            {"resource": world.doctor.pk, "name": "Dr Test", "category": "Physician"},
            {"resource": world.room.pk, "name": "Room 1", "category": "Procedure room"},
            {"resource": world.bay.pk, "name": "Bay 1", "category": "Recovery bay"},
        ],
    }
    inputs = {
        "patient": world.patient.pk,
        "procedure_type": "rfa_facet",
        "site": slot["site"]["id"],
        "starts_at": slot["starts_at"],
        "resources": [held["resource"] for held in slot["resources"]],
        "region": "lumbar",
        "laterality": "left",
        "hold": True,
    }
    response = call(world.clerk, "POST", "appointments/", inputs, now=world.now)
    assert response.status_code == 201, response.json()
    assert "08:00" not in starts(world)
    booked_now = call(world.clerk, "POST", f"appointments/{response.json()['id']}/book/", now=world.now)
    assert booked_now.json()["status"] == "booked"


def test_a_clinician_a_room_a_patient_and_what_is_moved_narrow_what_is_offered(world: World) -> None:
    other = resource("Dr Other", world.doctor.categories.get(), world.site)
    appointment = booked_appointment(world)
    assert "09:00" not in starts(world, patient=world.patient.pk)
    assert "09:00" in starts(world, patient=world.patient.pk, replacing=appointment.pk)
    for name, chosen in (("clinician", other.pk), ("resource", [other.pk, world.room.pk])):
        response = call(world.clerk, "GET", asked(world, limit=3, **{name: chosen}), now=world.now)
        found = response.json()["results"]
        assert len(found) == 3
        for slot in found:
            assert slot["resources"][0] == {
                "resource": other.pk,
                "name": "Dr Other",
                "category": "Physician",
            }


def test_a_clinician_without_privilege_has_no_slots(world: World) -> None:
    category = world.doctor.categories.get()
    category.needs_privilege = True
    category.save()
    assert starts(world, clinician=world.doctor.pk) == []


def test_all_visible_sites_or_those_that_are_named(world: World) -> None:
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    for first in (world.doctor, world.room, world.bay):
        resource(f"{first.name} of Hillside", first.categories.get(), other)
    instants = {"starts_from": "2027-01-11T00:00:00Z", "starts_before": "2027-01-12T00:00:00Z"}

    def sites(user: Any, **changes: Any) -> set[str]:
        response = call(user, "GET", asked(world, limit=500, **instants, **changes), now=world.now)
        assert response.status_code == 200, response.json()
        return {slot["site"]["name"] for slot in response.json()["results"]}

    assert sites(world.clerk, site=None) == {"Riverside"}
    assert sites(world.admin, site=None) == {"Hillside", "Riverside"}
    assert sites(world.admin, site=[world.site.pk, other.pk]) == {"Hillside", "Riverside"}
    assert sites(world.admin, site=other.pk) == {"Hillside"}


def test_on_the_days_on_which_clocks_change_every_wall_time_is_offered_once(world: World) -> None:
    Resource.objects.filter(pk=world.bay.pk).update(active=False)
    resource("Bay 2", world.bay.categories.get(), world.site)
    for first in Resource.objects.all():
        first.working_hours.update(weekday=6, opens="00:00", closes="23:59")
        first.working_hours.exclude(pk=first.working_hours.order_by("pk")[0].pk).delete()
    spring = starts(world, starts_from="2027-03-14T00:00", starts_before="2027-03-14T05:00")
    assert not [at for at in spring if at.startswith("02")]
    assert {at[:2] for at in spring} == {"00", "01", "03", "04"}
    autumn = starts(world, starts_from="2027-11-07T00:00", starts_before="2027-11-07T04:00")
    assert len(autumn) == len(set(autumn))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"procedure_type": None}, ("procedure_type", "required")),
        ({"procedure_type": "lobotomy"}, ("procedure_type", "unknown_procedure_type")),
        ({"starts_from": None}, ("starts_from", "required")),
        ({"starts_before": None}, ("starts_before", "required")),
        ({"starts_before": "2027-01-11T00:00"}, ("starts_before", "ends_before_start")),
        ({"starts_before": "2027-01-10T00:00"}, ("starts_before", "ends_before_start")),
        ({"starts_before": "2027-04-13T02:00"}, ("starts_before", "span_too_long")),
        ({"starts_before": "9999-12-31T00:00"}, ("starts_before", "out_of_range")),
        (
            {"starts_from": "2027-03-14T02:30", "starts_before": "2027-03-15T00:00"},
            ("starts_from", "no_such_time"),
        ),
        ({"starts_before": "2027-03-14T02:30"}, ("starts_before", "no_such_time")),
        ({"starts_from": "2027-01-11"}, ("starts_from", "invalid")),
        ({"site": None}, ("starts_from", "offset_required")),
        ({"site": 987654}, ("site", "does_not_exist")),
        ({"site": "Riverside"}, ("site.0", "invalid")),
        ({"site": range(1, 30)}, ("site", "max_length")),
        ({"site": 10**30}, ("site.0", "max_value")),
        ({"clinician": 987654}, ("clinician", "does_not_exist")),
        ({"clinician": "Dr Test"}, ("clinician", "invalid")),
        ({"resource": 987654}, ("resource", "does_not_exist")),
        ({"patient": 987654}, ("patient", "does_not_exist")),
        ({"replacing": 987654}, ("replacing", "does_not_exist")),
        ({"limit": 0}, ("limit", "min_value")),
        ({"limit": 501}, ("limit", "max_value")),
        ({"physican": 1}, ("physican", "unknown_field")),
    ],
)
def test_a_question_that_has_no_answer(world: World, changes: dict[str, Any], fault: tuple[str, str]) -> None:
    response = call(world.clerk, "GET", asked(world, **changes), now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)


def test_92_days_are_answered_though_the_clocks_change_within_them(world: World) -> None:
    assert starts(world, starts_before="2027-04-13T00:00", limit=1) == ["08:00"]


def test_what_booking_would_refuse_is_refused_and_not_an_empty_list(world: World) -> None:
    Resource.objects.filter(pk=world.doctor.pk).update(active=False)
    for name in ("clinician", "resource"):
        response = call(world.clerk, "GET", asked(world, **{name: world.doctor.pk}), now=world.now)
        assert faults(response) == [(name, "inactive")]
    Patient.objects.filter(pk=world.patient.pk).update(died_on="2027-01-01")
    response = call(world.clerk, "GET", asked(world, patient=world.patient.pk), now=world.now)
    assert faults(response) == [("patient", "patient_not_bookable")]
    ResourceRequirement.objects.all().delete()
    response = call(world.clerk, "GET", asked(world), now=world.now)
    assert faults(response) == [("procedure_type", "no_requirements")]
    ProcedureType.objects.update(active=False)
    response = call(world.clerk, "GET", asked(world), now=world.now)
    assert faults(response) == [("procedure_type", "unknown_procedure_type")]


def test_another_sites_rows_do_not_exist(world: World) -> None:
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, other)
    appointment = booked_appointment(world)
    response = call(stranger, "GET", asked(world), now=world.now)
    assert faults(response) == [("site", "does_not_exist")]
    for name, pk in (
        ("clinician", world.doctor.pk),
        ("resource", world.room.pk),
        ("patient", world.patient.pk),
        ("replacing", appointment.pk),
    ):
        response = call(stranger, "GET", asked(world, site=other.pk, **{name: pk}), now=world.now)
        assert faults(response) == [(name, "does_not_exist")]


def test_a_day_and_a_quarter_take_the_same_queries(world: World) -> None:
    def counted(until: str) -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            found = starts(world, starts_before=until, limit=500, patient=world.patient.pk)
        return len(queries), len(found)

    few, day = counted("2027-01-12T00:00")
    many, quarter = counted("2027-04-13T00:00")
    assert quarter > day > 0
    assert many == few
