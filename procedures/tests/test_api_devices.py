"""Implanted devices by API: recorded, refilled, looked at, taken out."""

from typing import Any

from clinic.models import AuditEvent
from clinic.tests.admin_client import queries
from clinic.tests.api_client import call, faults
from clinic.tests.factories import DAY, MONDAY
from procedures.models import ImplantedDevice, Procedure
from procedures.tests.factories import World, implant_procedure, recorded_device


def body(procedure: Procedure) -> dict[str, Any]:
    return {
        "procedure": procedure.pk,
        "kind": "intrathecal_pump",
        "manufacturer": "Acme",
        "model": "Drip II",
        "serial_number": "A-1001",
        "implanted_on": MONDAY.isoformat(),
        "refill_due_on": (MONDAY + 90 * DAY).isoformat(),
    }


def api(world: World, method: str, path: str = "", data: Any = None, *, day: int = 91) -> Any:
    """As the nurse, so many days after the implant at nine."""
    return call(world.nurse, method, f"devices/{path}", data, now=world.at(MONDAY + day * DAY, 9))


def test_a_device_from_its_implant_to_the_day_it_comes_out(world: World) -> None:
    procedure = implant_procedure(world)
    made = api(world, "POST", data=body(procedure), day=1)
    assert made.status_code == 201
    assert made.json()["due"] == []
    pk = made.json()["id"]
    again = api(world, "POST", data=body(procedure), day=1)
    assert (again.status_code, again.json()["code"]) == (409, "recorded_already")

    shown = api(world, "GET", f"{pk}/").json()
    assert shown["due"] == [{"what": "refill", "since": (MONDAY + 90 * DAY).isoformat()}]
    assert AuditEvent.objects.filter(action="patient.read").count() == 1
    next_due = {"next_due_on": (MONDAY + 180 * DAY).isoformat()}
    assert api(world, "POST", f"{pk}/refill/", next_due).json()["due"] == []
    assert api(world, "POST", f"{pk}/check-battery/", next_due).json()["battery_due_on"]
    out = {"on": (MONDAY + 91 * DAY).isoformat(), "reason": "infection"}
    assert api(world, "POST", f"{pk}/explant/", out).json()["explanted_reason"] == "infection"
    procedure.follow_up.refresh_from_db()
    assert procedure.follow_up.closed_reason == "explanted"
    voided = api(world, "POST", f"{pk}/void/", {"reason": "another patient's"})
    assert voided.json()["entered_in_error_reason"] == "another patient's"


def test_bad_input_is_refused_by_field(world: World) -> None:
    procedure = implant_procedure(world)
    for data, field, code in (
        ({"procedure": 0}, "procedure", "does_not_exist"),
        ({"kind": "toaster"}, "kind", "invalid_choice"),
        ({"kind": "spinal_cord_stimulator"}, "kind", "wrong_kind"),
        ({"implanted_on": "2027-01-10"}, "implanted_on", "before_procedure"),
        ({"explanted_on": "2027-01-12"}, "explanted_on", "unknown_field"),
    ):
        answer = api(world, "POST", data=body(procedure) | data, day=1)
        assert (answer.status_code, faults(answer)) == (400, [(field, code)]), data
    pk = recorded_device(world, procedure).pk
    for path, inputs, field, code in (
        ("refill", {}, "next_due_on", "required"),
        ("refill", {"next_due_on": "2027-01-12"}, "next_due_on", "in_the_past"),
        ("explant", {"on": "2027-01-12", "reason": "other"}, "note", "reason_required"),
        ("explant", {"on": "2027-01-10", "reason": "wish"}, "on", "before_implant"),
        ("void", {"reason": ""}, "reason", "blank"),
    ):
        answer = api(world, "POST", f"{pk}/{path}/", inputs)
        assert (answer.status_code, faults(answer)) == (400, [(field, code)]), path
    assert ImplantedDevice.objects.count() == 1


def test_the_list_is_narrowed_to_what_is_due_and_what_is_in_place(world: World) -> None:
    procedure = implant_procedure(world)
    due, later = recorded_device(world, procedure), recorded_device(world, procedure, serial_number="A-1002")
    api(world, "POST", f"{later.pk}/explant/", {"on": "2027-01-20", "reason": "wish"})

    def found(query: str) -> list[int]:
        return [row["id"] for row in api(world, "GET", query).json()["results"]]

    assert found("") == [later.pk, due.pk]
    assert found("?in_place=true") == [due.pk]
    assert found("?in_place=false") == [later.pk]
    assert found(f"?due_by={MONDAY + 90 * DAY}") == [due.pk]
    assert found(f"?due_by={MONDAY + 89 * DAY}") == []
    assert found(f"?patient={world.patient.pk}&kind=intrathecal_pump") == [later.pk, due.pk]


def test_a_list_takes_the_same_number_of_queries_however_long(world: World) -> None:
    procedure = implant_procedure(world)
    recorded_device(world, procedure)
    first = queries(lambda: api(world, "GET"))
    for number in range(5):
        recorded_device(world, procedure, serial_number=f"B-{number}")
    assert queries(lambda: api(world, "GET")) == first
