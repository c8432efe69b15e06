"""Patients through the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic import roles
from clinic.models import AuditEvent, Site
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from patients.models import Patient
from patients.tests.factories import registration
from procedures.tests.factories import World


def test_registering_and_reading_which_is_written_down(world: World) -> None:
    response = call(world.clerk, "POST", "patients/", registration(world), now=world.now)
    assert response.status_code == 201, response.json()
    shown = response.json()
    assert (shown["site"]["name"], shown["why_no_email"]) == ("Riverside", "")
    assert shown["consented_at"] == "2027-01-08T16:00:00Z"
    assert call(world.nurse, "GET", f"patients/{shown['id']}/", now=world.now).json() == shown
    actions = AuditEvent.objects.filter(object_id=shown["id"]).order_by("pk").values_list("action", "by")
    assert list(actions) == [("patient.registered", world.clerk.pk), ("patient.read", world.nurse.pk)]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", True),
        ("brien", True),
        ("o'b", True),
        ("ann o", True),
        ("O'BRIEN ANN", True),
        ("0001", True),
        ("1944-05-06", True),
        ("ann 1944-05-06", True),
        ("ann 1944-05-07", False),
        ("a%n", False),
        ("bob", False),
    ],
)
def test_search_by_any_part(world: World, search: str, found: bool) -> None:
    query = f"?search={search.replace('%', '%25')}" if search else ""
    results = call(world.nurse, "GET", f"patients/{query}", now=world.now).json()["results"]
    assert [row["id"] for row in results] == ([world.patient.pk] if found else [])


def test_changing_touches_only_what_is_named(world: World) -> None:
    path = f"patients/{world.patient.pk}/"
    response = call(world.clerk, "PATCH", path, {"phone": "+1 212 555 0199"}, now=world.now)
    assert response.status_code == 200
    after = Patient.objects.get(pk=world.patient.pk)
    assert (after.phone, after.email, after.family_name) == ("+1 212 555 0199", "ann@example.org", "O'Brien")


def test_a_change_of_something_that_changed_meanwhile_can_be_refused(world: World) -> None:
    path = f"patients/{world.patient.pk}/"
    tag = call(world.clerk, "GET", path, now=world.now)["ETag"]
    first = call(world.clerk, "PATCH", path, {"phone": "+1 212 555 0101"}, now=world.now, **{"If-Match": tag})
    assert first.status_code == 200
    second = call(
        world.nurse, "PATCH", path, {"phone": "+1 212 555 0102"}, now=world.now, **{"If-Match": tag}
    )
    assert (second.status_code, second.json()["code"]) == (412, "stale")
    third = call(
        world.nurse, "PATCH", path, {"phone": "+1 212 555 0103"}, now=world.now, **{"If-Match": first["ETag"]}
    )
    assert third.status_code == 200
    assert Patient.objects.get(pk=world.patient.pk).phone == "+1 212 555 0103"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"record_number": "P00001"}, ("record_number", "unique")),
        ({"record_number": "P 1"}, ("record_number", "record_number")),
        ({"record_number": ""}, ("record_number", "blank")),
        ({"given_name": "x" * 101}, ("given_name", "max_length")),
        ({"born_on": "2027-01-09"}, ("born_on", "in_the_future")),
        ({"born_on": "28.2.1961"}, ("born_on", "invalid")),
        ({"died_on": "1950-01-01"}, ("", "died_before_birth")),
        ({"email": "zoe"}, ("email", "invalid")),
        ({"language": "tlh"}, ("language", "invalid_choice")),
        ({"consented_at": "2027-01-08"}, ("consented_at", "invalid")),
        ({"site": 987654}, ("site", "does_not_exist")),
        ({"opted_out_at": None}, ("opted_out_at", "unknown_field")),
        ({"merged_into": 1}, ("merged_into", "unknown_field")),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_bad_input_is_refused_with_code_and_field(
    world: World, method: str, changes: dict[str, Any], fault: tuple[str, str]
) -> None:
    other = world.another_patient()
    before = list(Patient.objects.order_by("pk").values()), AuditEvent.objects.count()
    if method == "POST":
        response = call(world.clerk, "POST", "patients/", registration(world, **changes), now=world.now)
    else:
        response = call(world.clerk, "PATCH", f"patients/{other.pk}/", changes, now=world.now)
    if (method, fault[1]) == ("PATCH", "died_before_birth"):
        changes["died_on"] = "1940-01-01"
        response = call(world.clerk, "PATCH", f"patients/{other.pk}/", changes, now=world.now)
    assert response.status_code == 400
    assert fault in faults(response)
    assert (list(Patient.objects.order_by("pk").values()), AuditEvent.objects.count()) == before


def test_another_sites_patients_do_not_exist(world: World) -> None:
    other = Site.objects.create(name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100")
    stranger = staff("stranger@example.org", roles.PHYSICIAN, other)
    assert call(stranger, "GET", "patients/", now=world.now).json()["results"] == []
    for method in ("GET", "PATCH"):
        response = call(stranger, method, f"patients/{world.patient.pk}/", {}, now=world.now)
        assert response.status_code == 404
    response = call(stranger, "POST", "patients/", registration(world), now=world.now)
    assert faults(response) == [("site", "does_not_exist")]
    assert Patient.objects.count() == 1
    assert not AuditEvent.objects.filter(action="patient.read").exists()


def test_a_list_takes_the_same_queries_for_3_rows_and_for_30(world: World) -> None:
    def counted() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            response = call(world.nurse, "GET", "patients/", now=world.now + timedelta(days=1))
        return len(queries), len(response.json()["results"])

    for number in range(2, 4):
        world.another_patient(number)
    few, shown = counted()
    assert shown == 3
    for number in range(4, 31):
        world.another_patient(number)
    many, shown = counted()
    assert (many, shown) == (few, 30)
