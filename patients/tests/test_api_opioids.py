"""Opioids by API: recorded, totalled, ended, corrected."""

from typing import Any

from clinic.models import AuditEvent
from clinic.tests.admin_client import queries
from clinic.tests.api_client import call, faults
from patients.models import OpioidUse
from patients.tests.factories import recorded_opioid_use
from procedures.tests.factories import World

OXYCODONE = {
    "drug": "oxycodone",
    "dose": "20",
    "unit": "mg/day",
    "prescription": "10 mg ER twice a day",
    "from_on": "2027-01-01",
}


def api(world: World, method: str, path: str = "", data: Any = None) -> Any:
    return call(world.nurse, method, f"patients/{world.patient.pk}/opioids/{path}", data, now=world.now)


def test_an_opioid_from_its_recording_to_its_correction(world: World) -> None:
    made = api(world, "POST", data=OXYCODONE)
    assert made.status_code == 201
    row = made.json()
    assert (row["dose"], row["mme_per_day"], row["mme_version"], row["left_out"]) == (
        "20",
        "30",
        "CDC-2022",
        None,
    )
    again = api(world, "POST", data=OXYCODONE)
    assert (again.status_code, again.json()["code"]) == (409, "recorded_already")

    ended = api(world, "POST", f"{row['id']}/end/", {"until_on": "2027-01-08"})
    assert ended.json()["until_on"] == "2027-01-08"
    right = api(
        world,
        "POST",
        f"{row['id']}/correct/",
        {"reason": "typed a nought too many", "instead": OXYCODONE | {"dose": 2}},
    )
    assert (right.status_code, right.json()["corrects"], right.json()["mme_per_day"]) == (200, row["id"], "3")
    (stands,) = api(world, "GET", "?standing=true").json()["results"]
    assert stands["id"] == right.json()["id"]
    (mistake,) = api(world, "GET", "?standing=false").json()["results"]
    assert (mistake["id"], mistake["entered_in_error_reason"]) == (row["id"], "typed a nought too many")

    never = api(world, "POST", f"{stands['id']}/correct/", {"reason": "another patient's", "instead": None})
    assert never.json()["entered_in_error_reason"] == "another patient's"
    assert not OpioidUse.objects.standing().exists()


def test_the_total_of_a_day_says_what_is_not_in_it_and_what_it_is_not_for(world: World) -> None:
    recorded_opioid_use(world)
    recorded_opioid_use(world, drug="buprenorphine", unit="mcg/h", prescription="a patch")
    assert api(world, "GET", "total/").json() == {
        "on": "2027-01-08",
        "mme_per_day": "30",
        "counted": 1,
        "left_out": [{"drug": "buprenorphine", "reason": "no_factor"}],
        "note": "An estimate; never use it to switch drugs.",
    }
    before = api(world, "GET", "total/?on=2026-12-31").json()
    assert (before["mme_per_day"], before["counted"], before["left_out"]) == ("0", 0, [])
    assert AuditEvent.objects.filter(action="patient.read", object_id=world.patient.pk).count() == 2


def test_bad_input_is_refused_by_field(world: World) -> None:
    for data, field, code in (
        ({"dose": "many"}, "dose", "invalid"),
        ({"dose": "NaN"}, "dose", "invalid"),
        ({"dose": 0}, "dose", "min_value"),
        ({"drug": "heroin"}, "drug", "invalid_choice"),
        ({"unit": "mcg/h"}, "unit", "unit_not_possible"),
        ({"from_on": "2027-01-09"}, "from_on", "in_the_future"),
        ({"intrathecal": "yes"}, "intrathecal", "invalid"),
        ({"mme_per_day": "5"}, "mme_per_day", "unknown_field"),
    ):
        answer = api(world, "POST", data=OXYCODONE | data)
        assert (answer.status_code, faults(answer)) == (400, [(field, code)]), data
    assert not OpioidUse.objects.exists()


def test_a_row_is_found_below_its_own_patient_only(world: World) -> None:
    kept, other = recorded_opioid_use(world), world.another_patient()
    path = f"patients/{other.pk}/opioids/{kept.pk}/end/"
    answer = call(world.nurse, "POST", path, {"until_on": "2027-01-08"}, now=world.now)
    assert answer.status_code == 404


def test_patients_can_be_narrowed_by_their_total(world: World) -> None:
    recorded_opioid_use(world)
    world.another_patient()

    def found(limit: int) -> list[int]:
        answer = call(world.nurse, "GET", f"patients/?mme_at_least={limit}", now=world.now)
        return [row["id"] for row in answer.json()["results"]]

    assert found(30) == [world.patient.pk]
    assert found(31) == []


def test_a_list_takes_the_same_number_of_queries_however_long(world: World) -> None:
    recorded_opioid_use(world)
    first = queries(lambda: api(world, "GET"))
    for number in range(5):
        recorded_opioid_use(world, prescription=f"another {number}")
    assert queries(lambda: api(world, "GET")) == first
