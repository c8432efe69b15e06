"""Tables to take away: what is in them, who may have them, and what is left of a patient in a de-identified one."""

import csv
import io
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from clinic.models import AuditEvent, Site, User
from clinic.refusals import Refusal
from clinic.roles import ADMINISTRATOR, EVERYONE, MANAGER, PHYSICIAN
from clinic.tests.admin_client import clock, levels, signed_in
from clinic.tests.api_client import call
from clinic.tests.factories import MONDAY, staff
from clinic.text_rules import FORMULA
from outcomes import services
from outcomes.exports import TABLES, Shielding, entries
from outcomes.exports.columns import cell, lines
from outcomes.exports.deidentification import MOST_DAYS, band
from outcomes.management.commands.data_dictionary import dictionary
from outcomes.models import AdverseEvent, Export, ExportPart, FollowUp
from outcomes.reports import Selection
from outcomes.services import exports
from outcomes.tests.factories import Rows, answered_course, csv_rows, export_rows
from procedures.tests.factories import World


def test_a_follow_up_is_one_row_with_codes_labels_and_both_clocks(world: World) -> None:
    follow_up = answered_course(world, {42: 3, 92: 2, 184: 7, 275: 8})
    (row,) = export_rows(world)
    performed = follow_up.procedure.performed_at
    assert row["follow_up"] == str(follow_up.pk)
    assert row["record_number"] == follow_up.patient.record_number
    assert datetime.fromisoformat(row["performed_utc"]) == performed
    assert datetime.fromisoformat(row["performed_local"]) == performed
    on_the_wall = performed.astimezone(follow_up.procedure.site.zone)
    assert (row["zone"], row["performed_local"]) == ("America/New_York", on_the_wall.isoformat(sep=" "))
    assert (row["verdict"], row["verdict_label"]) == ("possibly_early", "possibly lost early")
    assert (row["lost_after"], row["lost_until"], row["responded"]) == ("92", "184", "true")
    assert (row["check_ins_answered"], row["closed_utc"]) == ("4", "")


def test_a_check_in_is_a_row_whether_it_was_answered_or_not(world: World) -> None:
    answered_course(world, {42: 3})
    rows = {row["offset"]: row for row in export_rows(world, "check_ins")}
    assert (rows["60480"]["nrs_now"], rows["60480"]["channel"]) == ("3", "email")
    assert (rows["1440"]["status"], rows["1440"]["nrs_now"]) == ("missed", "")
    assert {"peg_enjoyment", "pgic_change", "relief_worn_off", "red_flags_yes"} <= rows["1440"].keys()


@pytest.mark.parametrize("kind", TABLES)
def test_the_columns_are_the_same_without_a_single_row(world: World, kind: str) -> None:
    export = services.request_export(kind, Selection(), deidentified=False, by=world.physician, now=world.now)
    text = b"".join(services.download(export, by=world.physician, now=world.now)).decode()
    assert next(csv.reader(io.StringIO(text[1:]))) == [column.name for column in TABLES[kind].columns()]


def test_every_column_is_in_the_dictionary_and_the_page_is_true(settings: Any) -> None:
    assert [(entry.table, entry.column) for entry in entries()] == [
        (table.code, column.name) for table in TABLES.values() for column in table.columns()
    ]
    assert all(entry.meaning for entry in entries())
    page = settings.BASE_DIR / "docs" / "data-dictionary.md"
    assert page.read_text() == dictionary(), "manage.py data_dictionary > docs/data-dictionary.md"


@given(st.text())
def test_no_cell_is_run_as_a_formula(text: str) -> None:
    shown = cell(text)
    assert not shown.startswith((*FORMULA, "\t", "\r", "\n"))
    assert shown.removeprefix("'") == text.removeprefix("'")
    assert next(csv.reader(io.StringIO(lines([[shown, "x"]]), newline=""))) == [shown, "x"]


def test_a_negative_number_stays_a_number() -> None:
    assert (cell(-3), cell("-3"), cell(None), cell(True)) == ("-3", "'-3", "", "true")


def many(world: World, number: int) -> list[FollowUp]:
    """Patients of one age, with an event, a level and a remark that would give them away."""
    found = [answered_course(world, {42: 3, 92: 2, 184: 7, 275: 8}) for _ in range(number)]
    for follow_up in found:
        follow_up.procedure.levels = "L3-L5 of the singer"
        follow_up.procedure.save()
        AdverseEvent.objects.create(
            follow_up=follow_up,
            term="other",
            onset_on=follow_up.procedure.performed_at.date() + timedelta(days=3),
            severity="mild",
            outcome="resolved",
            relation="possible",
            description="Slipped on the way to her sister Rosa",
            recorded_at=world.now + timedelta(days=900),
        )
    return found


def hidden(world: World, kind: str) -> Rows:
    """The rows of a de-identified file."""
    return export_rows(world, kind, deidentified=True)


def test_a_de_identified_export_names_nobody_no_place_and_no_day(world: World) -> None:
    """All tables are searched for whatever of a patient is written down anywhere."""
    found = many(world, 5)
    text = ""
    for kind in TABLES:
        rows = hidden(world, kind)
        assert rows, kind
        if not TABLES[kind].totals:
            assert all(len(row[name]) == 12 for row in rows for name in ("patient", "follow_up", "site"))
        text += "\n".join(",".join(row.values()) for row in rows) + "\n"
    site = world.site
    secrets = [
        "Rosa",
        "singer",
        "thank Dr Test",
        site.name,
        site.phone,
        site.time_zone,
        "@",
        "+1 212",
        "Pain 8",
    ]
    for patient in (follow_up.patient for follow_up in found):
        secrets += [patient.given_name, patient.family_name, patient.record_number, patient.email]
        secrets += [patient.phone, str(patient.born_on)]
    for person in User.objects.all():
        secrets += [person.email, person.last_name]
    for secret in filter(None, secrets):
        assert secret not in text, secret
    assert not re.search(r"\d\d:\d\d:\d\d(Z|[+-]\d)", text), "a distance from UTC says where the site is"
    assert not re.search(
        r"\+?\d[\d ()-]{7,}\d(?!\d*[ -:])", re.sub(r"\d{4}-\d\d-\d\d[ 0-9:]*|[0-9a-f]{12}", "", text)
    )


def test_everything_of_a_patient_is_moved_by_the_same_days_in_all_tables(world: World) -> None:
    """Rows of patients' tables find each other, their hours and what lies between their days are right, no day is."""
    many(world, 5)
    moved: dict[str, set[int]] = {}
    patients: dict[str, str] = {}
    for kind in (kind for kind, table in TABLES.items() if not table.totals):
        for plain, row in zip(export_rows(world, kind), hidden(world, kind), strict=True):
            assert patients.setdefault(plain["patient"], row["patient"]) == row["patient"]
            for name in row:
                if name.endswith("_utc"):
                    assert row[name] == ""
                if not (name.endswith("_local") or name == "onset_on") or not plain[name]:
                    continue
                before = datetime.fromisoformat(plain[name]).replace(tzinfo=None)
                after = datetime.fromisoformat(row[name])
                assert (after - before).seconds == 0, "the clock on the wall stays"
                moved.setdefault(row["patient"], set()).add((after - before).days)
    assert len(moved) == 5
    assert all(len(days) == 1 and days != {0} for days in moved.values())
    assert len(set.union(*moved.values())) > 1


def test_codes_hold_for_one_selection_of_one_person(world: World) -> None:
    answered_course(world, {42: 3})
    world.site.smallest_cell = 1
    world.site.save()
    (first,), (again,) = hidden(world, "follow_ups"), hidden(world, "follow_ups")
    (other,) = export_rows(world, deidentified=True, procedure_type="rfa_facet")
    assert first == again
    assert first["patient"] != other["patient"]
    assert first["performed_local"] != other["performed_local"]
    Export.objects.update(requested_by=world.admin)
    export = Export.objects.earliest("pk")
    assert exports.secret_of(export) != exports.secret_of(Export(requested_by=world.physician))


def test_a_language_or_an_indication_of_few_is_left_empty(world: World) -> None:
    found = many(world, 6)
    for follow_up, code in zip(found, ("M47.816",) * 5 + ("M54.50",), strict=True):
        follow_up.procedure.indication = code
        follow_up.procedure.save()
        services.update_verdict(follow_up.pk, now=world.now)
    found[0].patient.language = "es"
    found[0].patient.save()
    rows = hidden(world, "follow_ups")
    assert sorted(row["language"] for row in rows) == ["", *["en"] * 5]
    assert sorted(row["indication"] for row in rows) == ["", *["M47.816"] * 5]
    assert {row["answer_language"] for row in hidden(world, "check_ins")} == {"", "en"}


def test_each_cell_is_what_the_rows_say(world: World) -> None:
    """Byte for byte: what is written for one row of each table, column by column, from the models themselves."""
    (follow_up,) = many(world, 1)
    procedure, patient, summary = follow_up.procedure, follow_up.patient, follow_up.summary
    check_in = follow_up.check_ins.select_related("answer").get(offset_minutes=42 * 1440)
    answer, event = check_in.answer, follow_up.adverse_events.get()
    zone = world.site.zone

    def both(moment: datetime | None) -> list[str]:
        if moment is None:
            return ["", ""]
        return [f"{moment:%Y-%m-%dT%H:%M:%SZ}", str(moment.astimezone(zone).replace(microsecond=0))]

    whose = [
        *(str(follow_up.pk), str(patient.pk), patient.record_number, str(world.site.pk)),
        *("Riverside", "America/New_York", "rfa_facet"),
    ]
    plan = [summary.evaluate_after, summary.window_from, summary.window_until, summary.success_percent]
    expected = {
        "follow_ups": [
            *(*whose, world.ablation.name, "radiofrequency_ablation", "therapeutic", "completed", "lumbar"),
            *("left", procedure.levels, "", "", str(procedure.performer_id or "")),
            *both(procedure.performed_at),
            *(str(patient.age_on(summary.performed_on)), "en", "8", "day_of", "day", *map(str, plan)),
            *("possibly_early", "possibly lost early", "", "", follow_up.verdict_reason, "92", "184", "true"),
            *("", "possibly_early", "", str(summary.last_answer), "7", "4", "", ""),
            *(*both(follow_up.closed_at), ""),
        ],
        "check_ins": [
            *(
                str(check_in.pk),
                *whose,
                "planned",
                "60480",
                *both(check_in.due_at),
                *both(check_in.closes_at),
            ),
            *("answered", "answered", *both(check_in.invited_at), "", "0", *both(answer.answered_at)),
            *("email", "e-mail link", "patient", "", "en", "false", "1"),
        ],
        "adverse_events": [
            *(
                str(event.pk),
                *whose,
                "other",
                str(event.get_term_display()),
                str(event.onset_on),
                "3",
                "mild",
            ),
            *("false", "resolved", "resolved", "possible", "procedure", "", event.description),
        ],
    }
    for kind, cells in expected.items():
        rows = export_rows(world, kind)
        (row,) = [row for row in rows if row.get("offset", "60480") == "60480"]
        shown = list(row.values())
        assert shown[: len(cells)] == cells, kind
        figures = {
            name: value for name, value in row.items() if value and name.startswith(("nrs", "peg", "pgic"))
        }
        assert figures == ({"nrs_now": "3"} if kind == "check_ins" else {})


def test_why_a_course_ended_is_told_as_a_code_and_in_words(world: World) -> None:
    FollowUp.objects.filter(pk=answered_course(world, {42: 3}).pk).update(
        closed_reason="explanted", closed_at=world.now
    )
    (row,) = export_rows(world)
    assert (row["closed_reason"], row["closed_reason_label"]) == ("explanted", "the device was taken out")


def test_groups_of_few_patients_are_left_out_and_counted(world: World) -> None:
    many(world, 5)
    old = answered_course(world, {42: 3})
    old.patient.born_on = date(1930, 1, 1)
    old.patient.save()
    rows = export_rows(world, deidentified=True)
    export = Export.objects.latest("pk")
    assert (len(rows), export.rows_done, export.rows_suppressed, export.rows_total) == (5, 5, 1, 6)
    assert {row["age"] for row in rows} == {"70-79"}


@given(st.integers(1, 10**9), st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 9999))
def test_days_move_by_the_same_and_never_not_at_all(patient: int, day: date, later: int) -> None:
    shielding = Shielding(b"secret")
    moved = shielding.shift(day, patient)
    assert 0 < abs((moved - day).days) <= MOST_DAYS
    assert shielding.shift(day + timedelta(days=later), patient) - moved == timedelta(days=later)
    assert shielding.code("patient", patient) != Shielding(b"another").code("patient", patient)


@pytest.mark.parametrize(
    ("age", "words"), [(0, "0-17"), (17, "0-17"), (18, "18-39"), (89, "80-89"), (90, "90+"), (104, "90+")]
)
def test_ages_are_told_in_bands(age: int, words: str) -> None:
    assert band(age) == words


def test_nobody_takes_what_they_may_not_see(world: World) -> None:
    answered_course(world, {42: 3})
    elsewhere = Site.objects.create(name="Hill", time_zone="America/New_York", phone="1")
    stranger = staff("stranger@example.org", "Physician", elsewhere)
    ask: dict[str, Any] = {"deidentified": False, "now": world.now}
    assert services.request_export("follow_ups", Selection(), by=stranger, **ask).rows_done == 0
    with pytest.raises(PermissionDenied):
        services.request_export("follow_ups", Selection(), by=world.clerk, **ask)
    mine = services.request_export("follow_ups", Selection(), by=world.physician, **ask)
    with pytest.raises(PermissionDenied):
        services.download(mine, by=stranger, now=world.now)
    with pytest.raises(Refusal) as refused:
        services.request_export("names", Selection(), by=world.physician, **ask)
    assert (refused.value.code, refused.value.field) == ("unknown_table", "kind")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every export is too large to be made while one waits."""
    monkeypatch.setattr(exports, "SMALL", -1)


def waiting(world: World) -> Export:
    return services.request_export(
        "follow_ups", Selection(), deidentified=False, by=world.physician, now=world.now
    )


@pytest.mark.usefixtures("large")
def test_a_large_export_waits_for_the_tick_and_expires(world: World) -> None:
    answered_course(world, {42: 3})
    export = waiting(world)
    assert export.status == Export.Status.QUEUED
    with pytest.raises(Refusal) as refused:
        services.download(export, by=world.physician, now=world.now)
    assert refused.value.code == "not_ready"
    list_page = "/admin/outcomes/export/"
    assert signed_in(world.physician).get(list_page).headers["Refresh"] == "5"  # its progress moves by itself
    call_command("tick", now=world.now.isoformat(), no_send=True)
    export.refresh_from_db()
    assert (export.status, export.rows_done) == (Export.Status.DONE, 1)
    assert "Refresh" not in signed_in(world.physician).get(list_page).headers
    later = world.now + exports.KEPT
    assert services.expire_exports(now=later) == 1
    export.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        services.download(export, by=world.physician, now=later)
    assert (refused.value.code, ExportPart.objects.count()) == ("expired", 0)


def test_an_old_link_says_that_the_file_is_gone(world: World, client: Client) -> None:
    answered_course(world, {42: 3})
    export = services.request_export(
        "follow_ups", Selection(), deidentified=True, by=world.physician, now=world.now
    )
    desk = signed_in(world.physician, client)
    with clock(export.expires_at):
        page = desk.get(f"/admin/outcomes/export/{export.key}/file/", follow=True)
        assert levels(page) == ["error"]
        refused = call(world.physician, "GET", f"exports/{export.pk}/download/", now=export.expires_at)
    assert (refused.status_code, refused.json()["code"]) == (400, "expired")
    assert not AuditEvent.objects.filter(action="export.downloaded").exists()


@pytest.mark.usefixtures("large")
def test_a_role_that_was_taken_away_meanwhile_gets_nothing(world: World) -> None:
    export = waiting(world)
    world.physician.groups.clear()
    assert services.make_exports(now=world.now) == 0
    export.refresh_from_db()
    assert (export.status, export.problem) == (Export.Status.FAILED, "not_allowed")


@pytest.mark.usefixtures("large")
def test_what_a_dead_worker_left_is_begun_anew_and_given_up_in_the_end(world: World) -> None:
    answered_course(world, {42: 3})
    export = waiting(world)
    dead = {"status": Export.Status.RUNNING, "claims": 1, "rows_done": 1}
    Export.objects.update(**dead, claimed_at=Now())
    ExportPart.objects.create(export=export, number=0, data=b"half a file")
    assert services.make_exports(now=world.now) == 0  # perhaps it lives
    Export.objects.update(claimed_at=Now() - exports.ABANDONED * 2)
    assert services.make_exports(now=world.now) == 1
    export.refresh_from_db()
    assert len(csv_rows(b"".join(services.download(export, by=world.physician, now=world.now)))) == 1
    Export.objects.update(
        **dead | {"claims": exports.MOST_CLAIMS}, claimed_at=Now() - exports.ABANDONED * 2, done_at=None
    )
    assert services.make_exports(now=world.now) == 0
    export.refresh_from_db()
    assert (export.status, export.problem, export.parts.count()) == (Export.Status.FAILED, "abandoned", 0)


@pytest.mark.usefixtures("large")
def test_five_at_once_are_enough(world: World) -> None:
    for _ in range(exports.MOST_AT_ONCE):
        waiting(world)
    with pytest.raises(Refusal) as refused:
        waiting(world)
    assert refused.value.code == "too_many"


def test_each_step_is_in_the_trail_without_a_name(world: World) -> None:
    answered_course(world, {42: 3})
    export_rows(world)
    events = AuditEvent.objects.filter(action__startswith="export.").order_by("pk")
    assert list(events.values_list("action", "reason")) == [
        ("export.requested", "follow_ups, identified, 1 rows"),
        ("export.made", "follow_ups, identified, 1 rows"),
        ("export.downloaded", "follow_ups, identified, 1 rows"),
    ]


def test_the_number_of_queries_depends_on_batches_alone(world: World) -> None:
    export_rows(world)  # what is read once a process is read
    counts = []
    for _ in range(2):
        answered_course(world, {42: 3, 92: 2})
        world.physician = User.objects.get(pk=world.physician.pk)  # has asked for no permission yet
        with CaptureQueriesContext(connection) as captured:
            export_rows(world, "check_ins")
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_physician_asks_for_a_table_and_takes_it_in_the_browser(world: World, client: Client) -> None:
    answered_course(world, {42: 3})
    client.force_login(world.physician)
    page = "/admin/outcomes/export/"
    assert "Ask for an export" in client.get(page).content.decode()
    response = client.post(f"{page}ask/", {"kind": "follow_ups", "deidentified": "false"}, follow=True)
    assert response.status_code == 200
    export = Export.objects.get()
    assert f"{page}{export.key}/file/" in response.content.decode()
    file = client.get(f"{page}{export.key}/file/")
    assert file["Cache-Control"].startswith("no-store, private")
    assert len(csv_rows(b"".join(file))) == 1
    assert b"follow_ups,follow_up" in client.get(f"{page}dictionary/").content
    client.force_login(world.clerk)
    assert client.get(f"{page}{export.key}/file/").status_code == 403


def test_what_is_wrong_is_said_at_its_field_and_kept(world: World, client: Client) -> None:
    client.force_login(world.physician)
    response = client.post(
        "/admin/outcomes/export/ask/",
        {
            "kind": "follow_ups",
            "deidentified": "false",
            "performed_from": "2027-02-02",
            "performed_until": "2027-02-01",
        },
    )
    assert response.status_code == 422
    assert "2027-02-02" in response.content.decode()
    assert not Export.objects.exists()


def test_the_same_by_api(world: World, client: Client) -> None:
    answered_course(world, {42: 3})
    client.force_login(world.physician)
    asked = {"kind": "follow_ups", "deidentified": False, "performed_from": str(MONDAY)}
    response = client.post("/api/v1/exports/", asked, content_type="application/json")
    assert response.status_code == 201, response.content
    export = response.json()
    assert (export["status"], export["rows_done"], export["selection"]) == (
        "done",
        1,
        {"performed_from": str(MONDAY)},
    )
    file = client.get(f"/api/v1/exports/{export['id']}/download/")
    assert len(csv_rows(b"".join(file))) == 1
    assert len(client.get("/api/v1/exports/dictionary/").json()) == len(entries())
    refused = client.post("/api/v1/exports/", asked | {"site": 10**6}, content_type="application/json")
    assert (refused.status_code, "unknown_site" in refused.content.decode()) == (400, True)


@pytest.mark.parametrize("role", EVERYONE)
def test_an_export_is_its_owners_and_for_roles_that_may(world: World, client: Client, role: str) -> None:
    services.request_export("follow_ups", Selection(), deidentified=False, by=world.physician, now=world.now)
    pk = Export.objects.get().pk
    client.force_login(staff("somebody@example.org", role, world.site))
    may = role in (PHYSICIAN, MANAGER, ADMINISTRATOR)
    assert client.get("/api/v1/exports/dictionary/").status_code == (200 if may else 403)
    assert client.get(f"/api/v1/exports/{pk}/").status_code == (404 if may else 403)
    assert client.get(f"/api/v1/exports/{pk}/download/").status_code == (404 if may else 403)
    if may:
        assert client.get("/api/v1/exports/").json()["results"] == []
