"""Opioids at the front desk: on the patient's page with the total of today, recorded, ended and corrected."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, errors, queries, signed_in, words
from clinic.tests.factories import staff
from patients.models import OpioidUse
from patients.tests.factories import recorded_opioid_use
from procedures.tests.factories import World

PAGES = "/admin/patients/opioiduse/"
SAID = {
    "drug": "oxycodone",
    "dose": "20",
    "unit": "mg/day",
    "prescription": "10 mg ER twice a day",
    "from_on": "2027-01-01",
    "until_on": "",
}


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the nurse is signed in."""
    return signed_in(world.nurse, client)


def page_of_patient(desk: Client, world: World) -> str:
    with clock(world.now):
        return words(desk.get(f"/admin/patients/patient/{world.patient.pk}/change/"))


def send(desk: Client, world: World, path: str, said: dict[str, Any]) -> Any:
    with clock(world.now):
        return desk.post(f"{PAGES}{path}/", said)


def test_the_patients_page_shows_the_total_and_what_it_is_not_for(desk: Client, world: World) -> None:
    assert "Opioids Record an opioid None recorded." in page_of_patient(desk, world)
    recorded_opioid_use(world)
    recorded_opioid_use(world, drug="fentanyl_patch", unit="mcg/h", dose=Decimal(25), prescription="a patch")
    recorded_opioid_use(
        world, drug="buprenorphine", unit="mcg/h", dose=Decimal(10), prescription="another patch"
    )
    recorded_opioid_use(world, drug="morphine", dose=Decimal(2), intrathecal=True, prescription="by the pump")
    said = page_of_patient(desk, world)
    assert "Today: 90 MME · not in it: " in said
    assert "buprenorphine (has no factor)" in said
    assert "morphine (goes into the spinal fluid)" in said
    assert "an estimate; never use it to switch drugs. Table CDC-2022, unconfirmed." in said
    assert "not counted: has no factor" in said


def test_what_cannot_be_counted_is_not_nought(desk: Client, world: World) -> None:
    recorded_opioid_use(world, drug="buprenorphine", unit="mcg/h", prescription="a patch")
    assert "Today: cannot be counted" in page_of_patient(desk, world)


def test_an_opioid_is_recorded_ended_and_corrected(desk: Client, world: World) -> None:
    response = send(desk, world, f"record/{world.patient.pk}", SAID)
    assert response["Location"] == f"/admin/patients/patient/{world.patient.pk}/change/"
    use = OpioidUse.objects.get()
    assert (use.mme_per_day, use.recorded_by) == (Decimal(30), world.nurse)
    send(desk, world, f"{use.pk}/end", {"until_on": "2027-01-08"})
    use.refresh_from_db()
    assert use.until_on
    send(desk, world, f"{use.pk}/correct", SAID | {"dose": "10", "reason": "the dose"})
    right = OpioidUse.objects.standing().get()
    assert (right.corrects, right.mme_per_day, right.until_on) == (use, Decimal(15), None)
    send(desk, world, f"{right.pk}/error", {"reason": "another patient's"})
    assert not OpioidUse.objects.standing().exists()
    with clock(world.now):
        said = words(desk.get(f"{PAGES}{use.pk}/change/"))
    assert "the dose" in said
    assert "never use it to switch drugs" in said


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"dose": "lots"}, "dose", "invalid"),
        ({"dose": "0"}, "dose", "min_value"),
        ({"drug": ""}, "drug", "required"),
        ({"unit": "mcg/h"}, "unit", "unit_not_possible"),
        ({"from_on": "2027-01-09"}, "from_on", "in_the_future"),
        ({"until_on": "2026-12-31"}, "__all__", "ends_before_start"),
    ],
)
def test_a_refusal_is_shown_beside_its_field_and_what_was_typed_stays(
    desk: Client, world: World, change: dict[str, str], field: str, code: str
) -> None:
    response = send(desk, world, f"record/{world.patient.pk}", SAID | change)
    assert response.status_code == 422
    assert errors(response) == {field: [code]}
    assert "10 mg ER twice a day" in response.content.decode()
    assert not OpioidUse.objects.exists()


def test_the_form_of_a_correction_shows_what_stands(desk: Client, world: World) -> None:
    use = recorded_opioid_use(world)
    with clock(world.now):
        form = desk.get(f"{PAGES}{use.pk}/correct/").context["form"]
    assert (form["dose"].value(), form["drug"].value()) == ("20", "oxycodone")
    response = send(desk, world, f"{use.pk}/correct", SAID | {"reason": ""})
    assert errors(response) == {"reason": ["reason_required"]}


def test_patients_are_filtered_by_their_total(desk: Client, world: World) -> None:
    recorded_opioid_use(world, drug="methadone", prescription="10 mg twice")  # 94
    world.another_patient()
    with clock(world.now):
        for limit, found in (("50", 1), ("90", 1), ("1", 2), ("", 2)):
            shown = desk.get(f"/admin/patients/patient/?mme={limit}").context["cl"].result_list
            assert len(shown) == found, limit


def test_who_may_look_but_not_record(client: Client, world: World) -> None:
    use = recorded_opioid_use(world)
    desk = signed_in(world.clerk, client)
    said = page_of_patient(desk, world)
    assert "Today: 30 MME" in said
    assert "Record an opioid" not in said
    for path in (f"record/{world.patient.pk}", f"{use.pk}/end", f"{use.pk}/correct", f"{use.pk}/error"):
        assert desk.get(f"{PAGES}{path}/").status_code == 403


def test_another_sites_opioids_do_not_exist(client: Client, world: World) -> None:
    use = recorded_opioid_use(world)
    other = Site.objects.create(name="Desert", time_zone="America/Phoenix", phone="+1 602 555 0100")
    desk = signed_in(staff("stranger@example.org", "Physician", other), client)
    for path in (f"record/{world.patient.pk}", f"{use.pk}/end", f"{use.pk}/correct", f"{use.pk}/change"):
        assert desk.get(f"{PAGES}{path}/").status_code in (302, 404)
    assert list(desk.get(PAGES).context["cl"].result_list) == []


def test_looking_is_written_down_and_lists_stay_flat(desk: Client, world: World) -> None:
    use = recorded_opioid_use(world)
    with clock(world.now):
        desk.get(f"{PAGES}{use.pk}/change/")
        assert AuditEvent.objects.filter(action="patient.read").count() == 1
        first, page = queries(lambda: desk.get(PAGES)), queries(lambda: page_of_patient(desk, world))
        for number in range(5):
            recorded_opioid_use(world, prescription=f"another {number}")
        assert queries(lambda: desk.get(PAGES)) == first
        assert queries(lambda: page_of_patient(desk, world)) == page
