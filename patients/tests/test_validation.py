"""What no door takes about a patient: the form, the API and a file refuse the same with the same code."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from clinic.csv_import.imports import Mode
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, signed_in
from clinic.tests.api_client import call, faults
from patients import services
from patients.models import OpioidUse, Patient
from procedures.tests.factories import World

ADD = "/admin/patients/patient/add/"
PERSON = {"record_number": "N-17", "given_name": "Zoë", "family_name": "Okoro", "born_on": "1961-02-28"}
REFUSED = [
    ("family_name", "Oko\u202ero", "control_character"),
    ("given_name", "Z\r\nB", "control_character"),
    ("given_name", "Z\tB", "control_character"),
    ("family_name", "\u200b\u200d", "invisible_name"),
    ("family_name", "=1+1", "formula"),
    ("phone", "abc", "phone"),
    ("phone", "1", "phone"),
    ("email", "zoe\u202e@example.org", "invalid"),
    ("born_on", "0044-05-06", "out_of_range"),
]


@pytest.mark.parametrize(("field", "value", "code"), REFUSED)
def test_the_api_refuses_it(world: World, field: str, value: str, code: str) -> None:
    said = PERSON | {"site": world.site.pk, field: value}
    response = call(world.clerk, "POST", "patients/", said, now=world.now)
    assert response.status_code == 400
    assert (field, code) in faults(response)
    change = call(world.clerk, "PATCH", f"patients/{world.patient.pk}/", {field: value}, now=world.now)
    if field != "record_number":
        assert (field, code) in faults(change)
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(("field", "value", "code"), REFUSED)
def test_the_form_refuses_it(world: World, client: Client, field: str, value: str, code: str) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        response = client.post(ADD, PERSON | {"site": world.site.pk, "language": "en", field: value})
    assert code in errors(response)[field]
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(("field", "value", "code"), REFUSED)
def test_a_file_refuses_it(world: World, field: str, value: str, code: str) -> None:
    row = PERSON | {"site": "Riverside", "email": "", "phone": "", field: value}
    data = ",".join(row) + "\n" + ",".join(f'"{cell}"' for cell in row.values()) + "\n"
    report = services.import_patients(data.encode(), mode=Mode.ALL, by=world.clerk, now=world.now)
    expected = {code, "control_character"} if code == "invalid" else {code}
    assert {refusal.column for refusal in report.refusals} == {field}
    assert {refusal.code for refusal in report.refusals} <= expected
    assert Patient.objects.count() == 1


def test_a_single_name_is_taken_through_every_door(world: World, client: Client) -> None:
    said: dict[str, Any] = PERSON | {"site": world.site.pk, "given_name": "", "family_name": "Suharto"}
    made = call(world.clerk, "POST", "patients/", said, now=world.now)
    assert made.status_code == 201, made.json()
    signed_in(world.clerk, client)
    with clock(world.now):
        form = said | {
            "record_number": "N-18",
            "language": "en",
            "family_name": "Cher",
            "born_on": "1946-05-20",
        }
        assert client.post(ADD, form).status_code == 302
    data = "record_number,given_name,family_name,born_on,site\nN-19,,Pelé,1940-10-23,Riverside\n"
    report = services.import_patients(data.encode(), mode=Mode.ALL, by=world.clerk, now=world.now)
    assert report.saved, report.refusals
    shown = Patient.objects.exclude(pk=world.patient.pk).order_by("record_number")
    assert [(str(patient), patient.called) for patient in shown] == [
        (name, name) for name in ("Suharto", "Cher", "Pelé")
    ]


@pytest.mark.parametrize(
    ("drug", "unit", "most"), [("oxycodone", "mg/day", 10_000), ("fentanyl_patch", "mcg/h", 1_000)]
)
def test_a_dose_with_noughts_too_many_is_refused(world: World, drug: str, unit: str, most: int) -> None:
    def record(dose: int) -> OpioidUse:
        use = OpioidUse(
            patient=world.patient,
            drug=drug,
            unit=unit,
            dose=Decimal(dose),
            prescription="x",
            from_on="2027-01-01",
        )
        use.clean_fields(exclude=["recorded_at", "mme_per_day", "dose"])
        return services.record_opioid_use(use, by=world.nurse, now=world.now)

    with pytest.raises(Refusal) as caught:
        record(most + 1)
    assert (caught.value.code, caught.value.field) == ("dose_too_high", "dose")
    assert record(most).pk


def test_the_api_refuses_a_dose_of_99_999_mg_a_day(world: World) -> None:
    said = {
        "drug": "oxycodone",
        "dose": "99999",
        "unit": "mg/day",
        "prescription": "x",
        "from_on": "2027-01-01",
    }
    path = f"patients/{world.patient.pk}/opioids/"
    response = call(world.nurse, "POST", path, said, now=world.now)
    assert (response.status_code, faults(response)) == (400, [("dose", "dose_too_high")])
