"""Bringing a file of patients by API: checked, all or nothing, the good rows; and forms that are none."""

from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from clinic.api import csv_import
from clinic.csv_import import files
from clinic.csv_import.imports import Report
from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import signed_in
from clinic.tests.api_client import bring, call, faults
from clinic.tests.factories import staff
from patients.models import Patient
from patients.tests.factories import PATIENT_ROW, patients_csv
from procedures.tests.factories import World

PATH = "imports/patients/"
BAD = "N-2,Ben,Okoro,1970-02-30,Riverside,,,,"


def kept() -> tuple[int, int]:
    return (Patient.objects.count(), AuditEvent.objects.count())


def test_a_check_says_what_would_be_done_and_saves_nothing(world: World) -> None:
    before = kept()
    response = bring(world.clerk, PATH, patients_csv(PATIENT_ROW, BAD), now=world.now)
    assert response.status_code == 200
    assert response.json() == {
        "mode": "check",
        "saved": False,
        "unreadable": False,
        "total": 2,
        "counts": {"added": 1, "changed": 0, "unchanged": 0, "refused": 1},
        "refusals": [
            {
                "row": 3,
                "column": "born_on",
                "code": "no_such_date",
                "detail": "The calendar has no such day.",
            }
        ],
        "more_refusals": 0,
        "noted": [],
        "more_noted": 0,
    }
    assert response["Cache-Control"] == "no-store"
    assert kept() == before
    assert (
        bring(world.clerk, PATH, patients_csv(PATIENT_ROW, BAD), now=world.now, mode="check").json()
        == response.json()
    )


def test_all_or_nothing_is_nothing_when_one_row_is_refused(world: World) -> None:
    response = bring(world.clerk, PATH, patients_csv(PATIENT_ROW, BAD), now=world.now, mode="all")
    assert response.status_code == 422
    assert faults(response) == [("file", "rows_refused")]
    report = response.json()["report"]
    assert (report["saved"], report["counts"]["refused"]) == (False, 1)
    assert [(row["row"], row["code"]) for row in report["refusals"]] == [(3, "no_such_date")]
    assert Patient.objects.count() == 1
    assert AuditEvent.objects.get().action == "patients.import_refused"


def test_all_are_imported_once_however_often_they_are_brought(world: World) -> None:
    first = bring(world.clerk, PATH, patients_csv(PATIENT_ROW), now=world.now, mode="all")
    assert (first.status_code, first.json()["saved"]) == (200, True)
    assert first.json()["counts"]["added"] == 1
    again = bring(
        world.clerk, PATH, patients_csv(PATIENT_ROW.replace("Zoë", "Zoe")), now=world.now, mode="all"
    ).json()
    assert again["counts"] == {"added": 0, "changed": 1, "unchanged": 0, "refused": 0}
    assert again["noted"] == [{"row": 2, "outcome": "changed", "columns": ["given_name"], "kept": []}]
    third = bring(
        world.clerk, PATH, patients_csv(PATIENT_ROW.replace("Zoë", "Zoe")), now=world.now, mode="all"
    ).json()
    assert third["counts"]["unchanged"] == 1
    assert Patient.objects.filter(given_name="Zoe").count() == 1


def test_the_good_rows_are_imported_and_the_others_left_out(world: World) -> None:
    response = bring(world.clerk, PATH, patients_csv(PATIENT_ROW, BAD), now=world.now, mode="good")
    assert (response.status_code, response.json()["saved"]) == (200, True)
    assert response.json()["counts"] == {"added": 1, "changed": 0, "unchanged": 0, "refused": 1}
    nothing = bring(world.clerk, PATH, patients_csv(BAD), now=world.now, mode="good")
    assert (nothing.status_code, faults(nothing)) == (422, [("file", "rows_refused")])
    assert set(Patient.objects.values_list("record_number", flat=True)) == {"P00001", "N-1"}


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"", ["empty"]),
        (b"PK\x03\x04" + bytes(200), ["encoding"]),
        (b"record_number,given_name,fax\nN-1,Ann,1\n", ["missing_column"] * 3 + ["unknown_column"]),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole_with_its_codes(
    world: World, data: bytes, codes: list[str]
) -> None:
    response = bring(world.clerk, PATH, data, now=world.now, mode="good")
    assert response.status_code == 422
    assert faults(response) == [("file", code) for code in codes]
    assert response.json()["report"]["unreadable"]
    checked = bring(world.clerk, PATH, data, now=world.now)
    assert (checked.status_code, checked.json()["unreadable"]) == (200, True)
    assert [row["code"] for row in checked.json()["refusals"]] == codes


def test_a_report_lists_the_first_refusals_and_counts_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "MOST", 2)
    rows = [BAD.replace("N-2", f"N-{number}") for number in range(2, 7)]
    report = bring(world.clerk, PATH, patients_csv(*rows), now=world.now).json()
    assert [row["row"] for row in report["refusals"]] == [2, 3]
    assert (report["more_refusals"], report["counts"]["refused"]) == (3, 5)


def test_a_file_larger_than_anybody_means_is_broken_off(world: World) -> None:
    before = kept()
    data = patients_csv(PATIENT_ROW) + b"x" * (files.LARGEST + 1)
    response = bring(world.clerk, PATH, data, now=world.now, mode="all")
    assert (response.status_code, faults(response)) == (400, [("file", "too_large")])
    assert kept() == before


def test_a_large_file_is_never_written_to_disk(world: World) -> None:
    """Between Django's limit for memory and ours, Django would write it to a temporary file."""
    rows = [f"N-{number},Ann,Lee,1970-01-01,Riverside,,,," for number in range(90_000)]
    data = patients_csv(*rows)
    assert settings.FILE_UPLOAD_MAX_MEMORY_SIZE < len(data) < files.LARGEST
    seen: list[int] = []

    def service(file: bytes, **how: Any) -> Any:
        seen.append(len(file))
        return Report(how["mode"])

    refuse = mock.Mock(side_effect=AssertionError("written to disk"))
    with (
        mock.patch("django.core.files.uploadedfile.TemporaryUploadedFile.__init__", refuse),
        mock.patch("patients.services.import_patients", service),
    ):
        assert bring(world.clerk, PATH, data, now=world.now).status_code == 200
    assert seen == [len(data)]


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({}, ("file", "required")),
        ({"file": "record_number"}, ("file", "invalid")),
        ({"mode": "some"}, ("mode", "invalid_choice")),
        ({"mode": ["all", "check"]}, ("mode", "given_twice")),
        ({"dry_run": "yes"}, ("dry_run", "unknown_field")),
        (
            {
                "file": [
                    SimpleUploadedFile("a.csv", patients_csv(PATIENT_ROW)),
                    SimpleUploadedFile("b.csv", patients_csv(PATIENT_ROW)),
                ]
            },
            ("file", "given_twice"),
        ),
    ],
)
def test_a_form_that_does_not_say_what_is_meant_is_refused(
    world: World, form: dict[str, Any], fault: tuple[str, str]
) -> None:
    before = kept()
    client = APIClient()
    client.force_authenticate(world.clerk)
    response = client.post(f"/api/v1/{PATH}", form, format="multipart")
    assert response.status_code == 400
    assert fault in faults(response)
    assert kept() == before


def test_what_is_no_form_is_refused(world: World) -> None:
    assert call(world.clerk, "POST", PATH, {"mode": "all"}, now=world.now).status_code == 415
    client = APIClient()
    client.force_authenticate(world.clerk)
    broken = client.generic("POST", f"/api/v1/{PATH}", "nonsense", "multipart/form-data")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    parts = {f"name{number}": "x" for number in range(1100)}
    many = client.post(f"/api/v1/{PATH}", parts, format="multipart")
    assert (many.status_code, many.json()["code"]) == (400, "parse_error")
    assert client.post(f"/api/v1/{PATH}").status_code == 400


def test_importing_needs_both_permissions_and_goes_to_ones_own_sites(world: World) -> None:
    assert bring(None, PATH, patients_csv(PATIENT_ROW), now=world.now).status_code == 401
    other = Site.objects.create(name="Hilltop", time_zone="America/New_York", phone="+1 212 555 0199")
    stranger = staff("stranger@example.org", "Front desk", other)
    refused = bring(stranger, PATH, patients_csv(PATIENT_ROW), now=world.now, mode="all")
    assert [row["code"] for row in refused.json()["report"]["refusals"]] == ["unknown_site"]
    group = world.clerk.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_patient"))
    assert bring(world.clerk, PATH, patients_csv(PATIENT_ROW), now=world.now, mode="all").status_code == 403
    assert Patient.objects.count() == 1


def test_a_browser_needs_its_token(world: World) -> None:
    strict = signed_in(world.clerk, APIClient(enforce_csrf_checks=True))
    form = {"file": SimpleUploadedFile("p.csv", patients_csv(PATIENT_ROW)), "mode": "all"}
    assert strict.post(f"/api/v1/{PATH}", form, format="multipart").status_code == 403
    assert Patient.objects.count() == 1
