"""A file of patients: every row by the rules, every refusal by row, column and code, and nothing twice."""

import io
import re
from datetime import date
from typing import Any
from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.core.signals import request_finished
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.admin import csv_import
from clinic.csv_import import files
from clinic.csv_import.imports import Mode, Outcome, Report
from clinic.models import AuditEvent, Site
from clinic.tests.admin_client import clock, signed_in, words
from patients.models import Patient
from patients.services import import_patients
from patients.tests.factories import PATIENT_COLUMNS, PATIENT_ROW, patients_csv
from procedures.tests.factories import World

PAGE = "/admin/patients/patient/import/"


def run(world: World, data: bytes, mode: Mode = Mode.ALL, **changes: Any) -> Report:
    how: dict[str, Any] = {"mode": mode, "by": world.clerk, "now": world.now}
    return import_patients(data, **how | changes)


def refused(report: Report) -> list[tuple[int, str, str]]:
    return [(refusal.row, refusal.column, refusal.code) for refusal in report.refusals]


def outcomes(report: Report) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(line.row, line.outcome.value, line.columns) for line in report.lines]


def test_a_patient_is_registered_with_everything_the_row_says(world: World) -> None:
    report = run(world, patients_csv(PATIENT_ROW))
    assert (report.saved, outcomes(report), refused(report)) == (True, [(2, "added", ())], [])
    patient = Patient.objects.get(record_number="N-1")
    assert (patient.given_name, patient.family_name, patient.born_on) == ("Zoë", "Nguyễn", date(1961, 2, 28))
    assert (patient.email, patient.phone, patient.language) == ("zoe@example.org", "+1 212 555 0147", "es")
    assert (patient.site, patient.consented_at, patient.created_at) == (world.site, world.now, world.now)


def test_the_same_file_again_changes_nothing(world: World) -> None:
    data = patients_csv(PATIENT_ROW, "N-2,Ben,Okoro,1970-01-01,riverside,,,,2026-03-08")
    run(world, data)
    before = list(Patient.objects.order_by("pk").values())
    events = AuditEvent.objects.filter(object_type="patients.patient").count()
    report = run(world, data, by=world.nurse)
    assert outcomes(report) == [(2, "unchanged", ()), (3, "unchanged", ())]
    assert list(Patient.objects.order_by("pk").values()) == before
    assert AuditEvent.objects.filter(object_type="patients.patient").count() == events


def test_who_differs_is_changed_in_those_columns_and_an_empty_cell_says_nothing(world: World) -> None:
    data = patients_csv("P00001,Ann,O'Brien,1944-05-06,Riverside,new@example.org,,,no")
    assert outcomes(run(world, data, Mode.CHECK)) == [(2, "changed", ("email", "agreed_to_email"))]
    report = run(world, data)
    assert outcomes(report) == [(2, "changed", ("email", "agreed_to_email"))]
    world.patient.refresh_from_db()
    assert (world.patient.email, world.patient.consented_at) == ("new@example.org", None)
    assert world.patient.language == "en"


def test_an_import_never_takes_back_that_the_patient_stopped_the_emails(world: World) -> None:
    Patient.objects.update(opted_out_at=world.now)
    run(world, patients_csv("P00001,Ann,O'Brien,1944-05-06,Riverside,,,,yes"))
    world.patient.refresh_from_db()
    assert world.patient.why_no_email == "opted_out"


def test_a_check_names_every_refusal_and_saves_nothing(world: World) -> None:
    rows = [
        PATIENT_ROW,
        "N-2,Ben,Okoro,1970-02-30,Nowhere,ben@example,,,maybe",
        "N 3,Ben,Okoro,1970-02-03,Nowhere,,,,",
        "N-4,Ben,Okoro,2031-02-03,Riverside,,,fr,2031-01-01",
        "N-5,Ben,Okoro,1970-02-03,Riverside,no address,,fr,",
    ]
    with CaptureQueriesContext(connection) as captured:
        report = run(world, patients_csv(*rows), Mode.CHECK)
    assert not [sql for sql in captured if sql["sql"].startswith(("INSERT", "UPDATE"))]
    assert refused(report) == [
        (3, "born_on", "no_such_date"),
        (3, "agreed_to_email", "yes_no_or_date"),
        (4, "site", "unknown_site"),
        (5, "language", "invalid_choice"),
        (6, "email", "invalid"),
        (6, "language", "invalid_choice"),
    ]
    assert (report.total, report.count(Outcome.ADDED), report.count(Outcome.REFUSED)) == (5, 1, 4)
    assert not report.saved
    assert Patient.objects.count() == 1
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ("N-1,A,B,2023-02-29,Riverside,,,,", ("born_on", "no_such_date")),
        ("N-1,A,B,02/28/1961,Riverside,,,,", ("born_on", "invalid_date")),
        ("N-1,A,B,0001-01-01,Riverside,,,,", ("born_on", "out_of_range")),
        ("N-1,A,B,2027-01-09,Riverside,,,,", ("born_on", "in_the_future")),
        ("N-1,A,B,1961-02-28,Riverside,,,,2027-01-09", ("agreed_to_email", "in_the_future")),
        ("N-1,=HYPERLINK(1),B,1961-02-28,Riverside,,,,", ("given_name", "formula")),
        ("N-1,A,@SUM(1),1961-02-28,Riverside,,,,", ("family_name", "formula")),
        ("N-1,A,＝1+1,1961-02-28,Riverside,,,,", ("family_name", "formula")),
        ("N-1,A,B,1961-02-28,Riverside,,+1+cmd|calc,,", ("phone", "formula")),
        ('N-1,"A\nB",B,1961-02-28,Riverside,,,,', ("given_name", "control_character")),
        ("N-1,A\x07,B,1961-02-28,Riverside,,,,", ("given_name", "control_character")),
        ("N-1,A\u202eB,B,1961-02-28,Riverside,,,,", ("given_name", "control_character")),
        (f"N-1,{'A' * 101},B,1961-02-28,Riverside,,,,", ("given_name", "max_length")),
        ("N 1,A,B,1961-02-28,Riverside,,,,", ("record_number", "record_number")),
        ("N-1,A,B,1961-02-28,Riverside", ("", "cell_count")),
        ("N-1,A,B,1961-02-28,Riverside,,,,,", ("", "cell_count")),
    ],
)
def test_a_bad_cell_is_refused_by_name(world: World, row: str, refusal: tuple[str, str]) -> None:
    report = run(world, patients_csv(row, "N-9,Ben,Okoro,1970-01-01,Riverside,,,,"), Mode.GOOD)
    assert refused(report) == [(2, *refusal)]
    assert list(Patient.objects.exclude(pk=world.patient.pk).values_list("record_number")) == [("N-9",)]


@pytest.mark.parametrize(
    ("data", "refusals"),
    [
        (b"", [(1, "", "empty")]),
        (b"\r\n  \r\n", [(1, "", "empty")]),
        (PATIENT_COLUMNS.encode(), [(1, "", "empty")]),
        (patients_csv("N-1,José,B,1961-02-28,Riverside,,,,").decode().encode("cp1252"), [(2, "", "encoding")]),
        (patients_csv(PATIENT_ROW).decode().encode("utf-16-le"), [(1, "", "encoding")]),
        (patients_csv(PATIENT_ROW).decode().encode("utf-16")[:-1], [(2, "", "encoding")]),
        (b"PK\x03\x04" + bytes(200), [(1, "", "encoding")]),
        (patients_csv(header=PATIENT_COLUMNS.replace("phone", "fax")), [(1, "column 7", "unknown_column")]),
        (patients_csv(PATIENT_ROW, header=PATIENT_COLUMNS[:-4]), [(1, "column 9", "unknown_column")]),
        (patients_csv(header=PATIENT_COLUMNS.replace("site,", "")), [(1, "site", "missing_column")]),
        (patients_csv(header=PATIENT_COLUMNS.replace("phone", "email")), [(1, "email", "duplicate_column")]),
        (patients_csv(PATIENT_ROW, 'N-2,"Ben,Okoro,1970-01-01,Riverside,,,,', PATIENT_ROW), [(3, "", "broken_quotes")]),
        (patients_csv(PATIENT_ROW, 'N-2,"Ben" X,Okoro,1970-01-01,Riverside,,,,'), [(3, "", "broken_quotes")]),
        (patients_csv(PATIENT_ROW, 'N-2,"' + "x" * 140_000, PATIENT_ROW), [(3, "", "cell_too_long")]),
        (b"x" * (files.LARGEST + 1), [(1, "", "too_large")]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_for_certain_is_refused_whole(
    world: World, data: bytes, refusals: list[tuple[int, str, str]]
) -> None:
    report = run(world, data, Mode.GOOD)
    assert refused(report) == refusals
    assert report.unreadable
    assert not report.saved
    assert Patient.objects.count() == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_write_is_read(world: World, encoding: str, delimiter: str, end: str) -> None:
    text = (
        patients_csv(PATIENT_ROW, header=PATIENT_COLUMNS.title())
        .decode()
        .replace(",", delimiter)
        .replace("\r\n", end)
    )
    report = run(world, (text + delimiter * 8 + end).encode(encoding))
    assert refused(report) == []
    assert Patient.objects.get(record_number="N-1").family_name == "Nguyễn"


def test_a_record_number_twice_refuses_every_row_that_has_it(world: World) -> None:
    rows = [PATIENT_ROW, "N-2,Ben,Okoro,1970-01-01,Riverside,,,,", PATIENT_ROW.replace("Zoë", "Zoe")]
    report = run(world, patients_csv(*rows), Mode.GOOD)
    assert refused(report) == [(2, "record_number", "duplicate_row"), (4, "record_number", "duplicate_row")]
    assert not Patient.objects.filter(record_number="N-1").exists()


def test_one_refused_row_keeps_all_out_or_itself_only(world: World) -> None:
    data = patients_csv(
        PATIENT_ROW, "N-2,Ben,Okoro,2030-01-01,Riverside,,,,", "P00001,Anna,O'Brien,1944-05-06,Riverside,,,,"
    )
    report = run(world, data)
    assert not report.saved
    assert (report.count(Outcome.ADDED), report.count(Outcome.CHANGED)) == (1, 1)  # what would have been
    assert Patient.objects.get().given_name == "Ann"
    report = run(world, data, Mode.GOOD)
    assert report.saved
    assert set(Patient.objects.values_list("given_name", flat=True)) == {"Anna", "Zoë"}


def test_rows_go_to_sites_of_the_importer_only(world: World) -> None:
    other = Site.objects.create(name="Hilltop", time_zone="America/New_York", phone="+1 212 555 0199")
    world.another_patient(site=other)
    rows = ["N-1,A,B,1961-02-28,Hilltop,,,,", "P00002,Ana2,García2,1950-02-03,Riverside,,,,"]
    report = run(world, patients_csv(*rows), Mode.GOOD)
    assert refused(report) == [(2, "site", "unknown_site"), (3, "record_number", "unique")]
    assert run(world, patients_csv(rows[0]), by=world.admin).saved


def test_the_trail_says_who_imported_and_holds_no_patient(world: World) -> None:
    run(world, patients_csv(PATIENT_ROW))
    run(world, patients_csv(PATIENT_ROW, "N-2,Ben,Okoro,2030-01-01,Riverside,,,,"), by=None)
    told = list(AuditEvent.objects.order_by("pk").values_list("action", "by", "actor", "reason"))
    assert told == [
        ("patient.registered", world.clerk.pk, "import", ""),
        ("patients.imported", world.clerk.pk, "import", "all: 1 rows: 1 added, 0 changed, 0 unchanged, 0 refused."),
        ("patients.import_refused", None, "import", "all: 2 rows: 0 added, 0 changed, 1 unchanged, 1 refused."),
    ]  # fmt: skip


def many(number: int, site: str = "Riverside") -> bytes:
    return patients_csv(
        *(f"M-{n},Given{n},Family{n},1950-01-01,{site},m{n}@example.org,,en,yes" for n in range(number))
    )


def test_the_file_is_looked_up_by_the_chunk(world: World) -> None:
    data = many(501)
    run(world, data)
    with CaptureQueriesContext(connection) as captured:
        run(world, data, Mode.CHECK)
    assert len(captured) <= 2 + 2 * 3  # who may go where; per chunk one look-up and a savepoint's two ends


def test_progress_is_told_every_thousand_rows(world: World) -> None:
    said: list[tuple[str, int, int]] = []
    report = run(world, many(1001), Mode.CHECK, progress=lambda *what: said.append(what))
    assert report.count(Outcome.ADDED) == 1001
    assert said == [("checked", 1000, 1001), ("checked", 1001, 1001)]


def test_ten_thousand_rows_with_a_formula_and_a_number_twice(world: World) -> None:
    """Checked, then imported but for the refused rows, then once more, which changes nothing."""
    lines = many(10_000).decode().splitlines()
    cells = lines[4_321].split(",")
    lines[4_321] = ",".join([cells[0], "=HYPERLINK()", *cells[2:]])
    lines[9_000] = lines[8_999]
    data = "\r\n".join([*lines, ""]).encode()
    known = Patient.objects.count()
    checked = run(world, data, Mode.CHECK)
    wrong = [
        (4_322, "given_name", "formula"),
        (9_000, "record_number", "duplicate_row"),
        (9_001, "record_number", "duplicate_row"),
    ]
    assert (checked.saved, refused(checked), Patient.objects.count()) == (False, wrong, known)
    told: list[tuple[str, int, int]] = []
    first = run(world, data, Mode.GOOD, progress=lambda *what: told.append(what))
    assert (first.saved, first.count(Outcome.ADDED), refused(first)) == (True, 9_997, wrong)
    assert told[-1][1] == told[-1][2]
    assert Patient.objects.count() == known + 9_997
    again = run(world, data, Mode.GOOD)
    assert (again.count(Outcome.UNCHANGED), again.count(Outcome.ADDED)) == (9_997, 0)


def command(tmp_path: Any, data: bytes, *options: str) -> tuple[str, str, str]:
    """What the command printed, complained of, and failed with."""
    file = tmp_path / "patients.csv"
    file.write_bytes(data)
    out, err, failure = io.StringIO(), io.StringIO(), ""
    try:
        call_command("import_patients", str(file), *options, stdout=out, stderr=err)
    except CommandError as exc:
        failure = str(exc)
    return out.getvalue(), err.getvalue(), failure


def test_the_command_says_rows_and_reasons_and_no_values(world: World, tmp_path: Any) -> None:
    data = patients_csv(
        PATIENT_ROW,
        "N-2,Benedict,Okoro,1970-02-30,Riverside,,,,",
        "N-3,Benedict,Okoro,1970-02-03,Riverside,,,klingon"[:-2] + ",",
    )
    out, err, failure = command(tmp_path, data, "--dry-run")
    assert "row 3, born_on: The calendar has no such day. [no_such_date]" in err
    assert "row 4, language: This is none of the possible values. [invalid_choice]" in err
    assert "3 rows: 1 added, 0 changed, 0 unchanged, 2 refused.\nChecked only" in out
    assert failure == "Rows would be refused."
    assert not {word for word in ("Benedict", "Okoro", "1970-02-30", "xy", "N-2") if word in out + err}
    assert command(tmp_path, data)[2] == "Nothing was saved."
    assert Patient.objects.count() == 1
    assert command(tmp_path, data, "--good-rows-only")[2] == ""
    assert Patient.objects.count() == 2


def test_the_command_refuses_a_file_that_is_not_there(world: World, tmp_path: Any) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_patients", str(tmp_path / "nothing.csv"))


def sent(data: bytes, **fields: Any) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("p.csv", data, "text/csv"), **fields}


def test_a_clerk_checks_reads_and_imports(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        assert PAGE in client.get("/admin/patients/patient/").content.decode()
        assert "checked first" in words(client.get(PAGE))
        data = patients_csv(PATIENT_ROW, "N-2,Ben,Okoro,1970-02-30,Riverside,,,,")
        page = client.post(PAGE, sent(data))
        said = words(page)
        assert "Checked. Nothing is saved yet. 1 added, 0 changed, 0 unchanged, 1 refused." in said
        assert "3 born_on 1970-02-30 The calendar has no such day. no_such_date" in said
        assert Patient.objects.count() == 1
        checked = page.context["form"]["checked"].value()
        page = client.post(PAGE, sent(data, checked=checked, mode="all"))
        assert "Nothing was saved." in words(page)
        page = client.post(PAGE, sent(data, checked=checked, mode="good"))
        assert "Imported. 1 added, 0 changed, 0 unchanged, 1 refused." in words(page)
    assert Patient.objects.filter(record_number="N-1").exists()


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """From five rows on a file is long, and how far it is, is said after every second row."""
    monkeypatch.setattr(csv_import, "LONG", 5)
    monkeypatch.setattr(csv_import, "EVERY", 2)


def pieces(response: Any) -> list[str]:
    return [piece.decode() for piece in response]


def test_a_long_import_says_how_far_it_is_while_it_runs(long: None, world: World, client: Client) -> None:
    """By itself, in pieces of the page, of which each takes the place of the one before; no script asks for it."""
    signed_in(world.clerk, client)
    data = patients_csv(*many(6).decode().splitlines()[1:], "N-2,Ben,Okoro,1970-02-30,Riverside,,,,")
    with clock(world.now):
        head, *told, last = pieces(client.post(PAGE, sent(data)))
        assert [re.findall(r"[1-9]", piece) for piece in told] == [[*"6226"], [*"6446"], [*"6666"]]
        assert "<progress max='6' value='2'></progress>2 of 6 rows checked" in told[0]
        assert ["Leave this page open" in piece for piece in told] == [True, True, False]
        whole = head + "".join(told) + last
        assert whole.count("<html") == whole.count("</html>") == whole.count('"desk-heading"') == 1
        assert "The calendar has no such day." in last
        assert "6 added, 0 changed, 0 unchanged, 1 refused." in re.sub(r"\s+", " ", last)
        assert Patient.objects.count() == 1
        checked = re.search(r'name="checked" value="([^"]+)"', last)
        assert checked
        _, *told, last = pieces(client.post(PAGE, sent(data, checked=checked[1], mode="good")))
    assert "2 of 6 rows saved" in told[0]
    assert "Imported." in last
    assert Patient.objects.count() == 7
    event = Patient.objects.get(record_number="M-1").events.get()  # type: ignore[attr-defined]
    assert event.pgh_context.metadata["user"] == world.clerk.pk


def signed(client: Client, data: bytes) -> str:
    found = re.search(r'name="checked" value="([^"]+)"', pieces(client.post(PAGE, sent(data)))[-1])
    assert found
    return found[1]


@pytest.mark.parametrize("broken", ["closed", "fault"])
def test_a_long_import_that_breaks_off_saves_all_or_nothing(
    long: None, world: World, client: Client, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(world.clerk, client)
    data = many(6)
    with clock(world.now):
        response = client.post(PAGE, sent(data, checked=signed(client, data), mode="all"))
        told = iter(response)
        assert b"2 of 6 rows saved" not in next(told)
        assert b"2 of 6 rows saved" in next(told)
        assert Patient.objects.count() == 3
        if broken == "closed":
            with mock.patch.object(request_finished, "send"):  # which would end the test's transaction
                response.close()
        else:
            broken = mock.Mock(side_effect=OSError("Given3 Family3"))
            monkeypatch.setattr("patients.services.imports.import_entry", broken)
            said = b"".join(told).decode()
            assert "The import broke off." in said
            assert said.count("</html>") == 1
            assert "Given3" not in said
    assert Patient.objects.count() == 1


def test_only_the_file_that_was_checked_is_imported(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    with clock(world.now):
        checked = client.post(PAGE, sent(patients_csv(PATIENT_ROW))).context["form"]["checked"].value()
        page = client.post(
            PAGE, sent(patients_csv(PATIENT_ROW.replace("N-1", "N-7")), checked=checked, mode="all")
        )
        assert page.status_code == 422
        assert "This is not the file that was checked." in words(page)
        nurse = signed_in(world.nurse)
        assert (
            nurse.post(PAGE, sent(patients_csv(PATIENT_ROW), checked=checked, mode="all")).status_code == 422
        )
        assert client.post(PAGE, {}).status_code == 422
        assert client.post(PAGE, sent(b"x" * (files.LARGEST + 1))).status_code == 422
        assert "The file is empty." in words(client.post(PAGE, sent(b"")))
    assert Patient.objects.count() == 1


def test_what_a_cell_says_is_shown_as_text(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    row = "N-2,<b>Ben,Okoro,1970-02-03,<script>alert(1)</script>,,,,"
    with clock(world.now):
        assert "<script>alert(1)" not in client.post(PAGE, sent(patients_csv(row))).content.decode()


def test_importing_needs_the_permission_and_the_page_its_token(world: World) -> None:
    world.clerk.groups.clear()
    assert signed_in(world.clerk).get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302
    strict = signed_in(world.nurse, Client(enforce_csrf_checks=True))
    assert strict.post(PAGE, sent(patients_csv(PATIENT_ROW))).status_code == 403
    token = strict.get(PAGE).cookies["csrftoken"].value
    assert strict.post(PAGE, sent(patients_csv(PATIENT_ROW), csrfmiddlewaretoken=token)).status_code == 200
