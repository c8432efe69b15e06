"""Record numbers: one for one patient in the whole installation, however it is written; and the next free one."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from clinic import roles
from clinic.csv_import.imports import Mode
from clinic.models import Site
from clinic.tests.admin_client import clock, errors, signed_in
from clinic.tests.api_client import call, faults
from clinic.tests.factories import staff
from patients import services
from patients.models import Patient
from patients.normalize import NumberKey
from patients.record_numbers import number_key, numbered
from procedures.tests.factories import World

ADD = "/admin/patients/patient/add/"
#: Other ways to write P00001.
WRITTEN = ["P00001", "p00001", "P1", "P0000001", "p01"]


def registration(site: Site, **changes: Any) -> dict[str, Any]:
    return {
        "given_name": "Zoë",
        "family_name": "Nguyễn",
        "born_on": "1961-02-28",
        "site": site.pk,
    } | changes


@pytest.fixture
def stranger(world: World) -> Any:
    hillside = Site.objects.create(
        name="Hillside", time_zone="America/Denver", phone="+1 303 555 0100", record_number_scheme="H-000"
    )
    return staff("stranger@example.org", roles.FRONT_DESK, hillside)


@given(st.text(st.sampled_from(" 0012aAbP-"), max_size=12))
def test_a_key_is_the_key_of_itself_and_knows_no_case(number: str) -> None:
    assert number_key(number_key(number)) == number_key(number) == number_key(number.lower() + " ")


@pytest.mark.parametrize("number", ["P00001", "00123", "0", "000", "P-0 07", "a-0-1", "B12-003", " x 1 "])
def test_the_database_makes_the_same_key(db: None, number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {NumberKey.template % {'expressions': '%s::text'}}", [number])
        assert cursor.fetchone()[0] == number_key(number)


@pytest.mark.parametrize("number", WRITTEN)
def test_the_database_keeps_one_number_for_one_patient(world: World, number: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        world.another_patient(record_number=number)
    with pytest.raises(IntegrityError), transaction.atomic():
        world.another_patient(record_number="")


@pytest.mark.parametrize("number", WRITTEN)
def test_a_taken_number_gets_one_answer_from_whoever_may_see_it_or_not(
    world: World, stranger: Any, number: str
) -> None:
    for user, free in ((world.clerk, "P00002"), (stranger, "H-001")):
        said = registration(user.sites.get(), record_number=number)
        response = call(user, "POST", "patients/", said, now=world.now)
        assert (response.status_code, faults(response)) == (400, [("record_number", "unique")])
        (error,) = response.json()["errors"]
        assert error["detail"] == f"This record number is taken. {free} is free."


def test_the_answer_is_the_same_at_the_desk_and_for_a_file(
    world: World, stranger: Any, client: Client
) -> None:
    signed_in(stranger, client)
    said = registration(stranger.sites.get(), record_number="p1", language="en")
    with clock(world.now):
        response = client.post(ADD, said)
    assert errors(response) == {"record_number": ["unique"]}
    assert "H-001 is free" in response.content.decode()
    assert "Riverside" not in response.content.decode()
    data = b"record_number,given_name,family_name,born_on,site\np1,Ann,O'Brien,1944-05-06,Hillside\n"
    report = services.import_patients(data, mode=Mode.ALL, by=stranger, now=world.now)
    (refusal,) = report.refusals
    assert (refusal.column, refusal.code) == ("record_number", "unique")
    assert refusal.sentence == "This record number is taken. H-001 is free."


def test_a_number_cannot_be_changed_into_anothers_or_taken_away(world: World) -> None:
    other = world.another_patient()
    for said, code in (({"record_number": "p1"}, "unique"), ({"record_number": ""}, "blank")):
        response = call(world.clerk, "PATCH", f"patients/{other.pk}/", said, now=world.now)
        assert faults(response) == [("record_number", code)]
    same = call(world.clerk, "PATCH", f"patients/{other.pk}/", {"record_number": "p2"}, now=world.now)
    assert same.status_code == 200


def test_without_a_number_the_sites_scheme_gives_the_next(
    world: World, stranger: Any, client: Client
) -> None:
    world.another_patient(41)
    response = call(world.clerk, "POST", "patients/", registration(world.site), now=world.now)
    assert response.json()["record_number"] == "P00042"
    signed_in(stranger, client)
    with clock(world.now):
        said = registration(stranger.sites.get(), language="en", record_number="", family_name="Okoro")
        response = client.post(ADD, said)
    assert response.status_code == 302, errors(response)
    assert Patient.objects.get(site__name="Hillside").record_number == "H-001"


def test_more_digits_than_the_scheme_has_noughts() -> None:
    assert [numbered("P000", 7), numbered("P000", 1000), numbered("000", 12)] == ["P007", "P1000", "012"]


def test_a_number_is_found_however_it_is_written(world: World) -> None:
    assert set(Patient.objects.numbered([*WRITTEN, "P 00001", "P2"])) == {*WRITTEN, "P 00001"}
    data = "\n".join(
        ["record_number,given_name,family_name,born_on,site,phone"]
        + [f"{number},Ann,O'Brien,1944-05-06,Riverside,+1 212 555 0100" for number in ("p1", "P01")]
    )
    report = services.import_patients(data.encode(), mode=Mode.ALL, by=world.clerk, now=world.now)
    assert [refusal.code for refusal in report.refusals] == ["duplicate_row", "duplicate_row"]
