"""A file of coming appointments: every row through the booking service, and none of them twice."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clinic.csv_import.imports import Mode, Outcome, Report
from clinic.models import AuditEvent, Closure, Resource, ResourceCategory, Site, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.factories import MONDAY, resource
from procedures import services
from procedures.models import Appointment, ProcedureType, Reservation
from procedures.services import booking, imports
from procedures.services.imports import import_appointments
from procedures.tests.factories import World, appointment_row, appointments_csv

PAGE = "/admin/procedures/appointment/import/"


def run(world: World, data: bytes, mode: Mode = Mode.ALL, **changes: Any) -> Report:
    how: dict[str, Any] = {"mode": mode, "by": world.clerk, "now": world.now}
    return import_appointments(data, **how | changes)


def refused(report: Report) -> list[tuple[int, str, str]]:
    return [(refusal.row, refusal.column, refusal.code) for refusal in report.refusals]


def outcomes(report: Report) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(line.row, line.outcome.value, line.columns) for line in report.lines]


def test_a_row_is_booked_with_everything_it_says(world: World) -> None:
    full = appointment_row(
        intent="Therapeutic", levels="L3–L5", indication="m47.816", clinician="dr test", room="Room 1",
        note="Needs an interpreter", external_id="A-17",
    )  # fmt: skip
    report = run(world, appointments_csv(full))
    assert (report.saved, outcomes(report), refused(report)) == (True, [(2, "added", ())], [])
    booked = Appointment.objects.get()
    assert (booked.patient, booked.procedure_type, booked.site) == (world.patient, world.ablation, world.site)
    assert (booked.starts_at, booked.ends_at) == (world.at(MONDAY, 9), world.at(MONDAY, 10, 45))
    assert (booked.intent, booked.region, booked.laterality) == ("therapeutic", "lumbar", "left")
    assert (booked.levels, booked.indication, booked.note) == ("L3–L5", "M47.816", "Needs an interpreter")
    assert (booked.status, booked.booked_by) == ("booked", world.clerk)
    assert {reservation.resource for reservation in booked.reservations.all()} == {
        world.doctor,
        world.room,
        world.bay,
    }


def test_the_same_file_again_books_nothing_whoever_brings_it(world: World) -> None:
    world.another_patient()
    data = appointments_csv(
        appointment_row(external_id="A-17"), appointment_row(record_number="P00002", time="13:00")
    )
    run(world, data)
    rows, events = list(Appointment.objects.order_by("pk").values()), AuditEvent.objects.count()
    for by in (world.clerk, world.nurse, None):
        report = run(world, data, by=by)
        assert outcomes(report) == [(2, "unchanged", ()), (3, "unchanged", ())]
    assert list(Appointment.objects.order_by("pk").values()) == rows
    assert AuditEvent.objects.count() == events + 3  # the three imports themselves


def test_what_the_clinic_moved_or_cancelled_since_stays_as_it_is(world: World) -> None:
    world.another_patient()
    data = appointments_csv(
        appointment_row(external_id="A-17"), appointment_row(record_number="P00002", time="13:00")
    )
    run(world, data)
    first, second = Appointment.objects.order_by("starts_at")
    moved = services.reschedule(first.pk, starts_at=world.at(MONDAY, 15), by=world.clerk, now=world.now)
    services.cancel(second.pk, reason="Feels better.", by=world.clerk, now=world.now)
    data = appointments_csv(
        appointment_row(external_id="A-17", levels="L4"),
        appointment_row(record_number="P00002", time="13:00"),
    )
    assert outcomes(run(world, data)) == [(2, "unchanged", ("levels",)), (3, "unchanged", ())]
    assert list(Appointment.objects.filter(status__in=Appointment.LIVE)) == [moved]


def test_an_external_id_names_one_appointment_for_ever(world: World) -> None:
    run(world, appointments_csv(appointment_row(external_id="A-17")))
    report = run(
        world, appointments_csv(appointment_row(external_id="A-17", date="2027-01-12")), by=world.nurse
    )
    assert refused(report) == [(2, "external_id", "key_reused")]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"record_number": "P404"}, ("record_number", "unknown_patient")),
        ({"procedure_type": "massage"}, ("procedure_type", "unknown_procedure_type")),
        ({"site": "Nowhere"}, ("site", "unknown_site")),
        ({"clinician": "Dr Who"}, ("clinician", "unknown_resource")),
        ({"room": "Room 9"}, ("room", "unknown_resource")),
        ({"date": "2027-02-29"}, ("date", "no_such_date")),
        ({"date": "11.01.2027"}, ("date", "invalid_date")),
        ({"time": "9 am"}, ("time", "invalid_time")),
        ({"time": "24:00"}, ("time", "invalid_time")),
        ({"date": "2027-03-14", "time": "02:30"}, ("time", "no_such_time")),
        ({"date": "2027-01-04"}, ("time", "in_the_past")),
        ({"date": "2027-01-16"}, ("time", "outside_hours")),
        ({"time": "16:30"}, ("time", "outside_hours")),
        ({"intent": "diagnostic"}, ("intent", "intent_not_possible")),
        ({"intent": "fun"}, ("intent", "invalid_choice")),
        ({"side": ""}, ("side", "side_required")),
        ({"side": "middle"}, ("side", "invalid_choice")),
        ({"region": "knee"}, ("region", "region_not_possible")),
        ({"indication": "pain"}, ("indication", "icd_10_cm")),
        ({"note": "=cmd|calc"}, ("note", "formula")),
        ({"levels": "-1"}, ("levels", "formula")),
        ({"external_id": "x" * 81}, ("external_id", "max_length")),
    ],
)
@pytest.mark.parametrize("mode", [Mode.CHECK, Mode.GOOD])
def test_a_bad_row_is_refused_by_name(
    world: World, changes: dict[str, str], refusal: tuple[str, str], mode: Mode
) -> None:
    world.another_patient()
    report = run(
        world,
        appointments_csv(appointment_row(**changes), appointment_row(record_number="P00002", time="13:00")),
        mode,
    )
    assert refused(report) == [(2, *refusal)]
    assert outcomes(report) == [(3, "added", ())]
    assert Appointment.objects.count() == (mode == Mode.GOOD)


@pytest.mark.parametrize("mode", [Mode.CHECK, Mode.ALL, Mode.GOOD])
def test_the_house_rules_hold_for_rows(world: World, mode: Mode) -> None:
    world.another_patient(2, died_on=MONDAY - timedelta(days=9))
    world.another_patient(3)
    Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY, 0), ends_at=world.at(MONDAY, 12), reason="Holiday"
    )
    ProcedureType.objects.create(
        **{field: getattr(world.ablation, field) for field in ("family", "purpose", "description", "sedation")},
        code="old", name="Old", laterality="required", laterality_options=["left"], regions=["lumbar"],
        procedure_minutes=45, recovery_minutes=60, duration_source="test", active=False,
    )  # fmt: skip
    resource("Bay 9", world.bay.categories.get(), world.site)
    Resource.objects.filter(name="Bay 9").update(active=False)
    rows = [
        appointment_row(),
        appointment_row(record_number="P00002", time="13:00"),
        appointment_row(record_number="P00003", time="13:00", procedure_type="old"),
        appointment_row(record_number="P00003", time="13:00", room="Bay 9"),
    ]
    assert refused(run(world, appointments_csv(*rows), mode)) == [
        (2, "time", "closed"),
        (3, "record_number", "patient_not_bookable"),
        (4, "procedure_type", "unknown_procedure_type"),
        (5, "room", "inactive"),
    ]
    assert not Appointment.objects.exists()


@pytest.mark.parametrize("mode", [Mode.CHECK, Mode.GOOD])
def test_rows_of_one_file_do_not_take_the_same_time_twice(world: World, mode: Mode) -> None:
    """Without saving anything, a check refuses what booking the rows one after the other would refuse."""
    for number in range(2, 6):
        world.another_patient(number)
    second_room = resource("Room 2", world.room.categories.get(), world.site)
    second_bay = resource("Bay 2", world.bay.categories.get(), world.site)
    resource("Dr Next", world.doctor.categories.get(), world.site)
    rows = [
        appointment_row(),
        appointment_row(record_number="P00002"),  # the second of everything
        appointment_row(record_number="P00003"),  # a third there is not
        appointment_row(time="10:00"),  # Ann is still recovering
        appointment_row(record_number="P00004", time="09:30", clinician="Dr Test"),
        appointment_row(record_number="P00005", time="11:00"),
    ]
    report = run(world, appointments_csv(*rows), mode)
    assert refused(report) == [(4, "time", "taken"), (5, "time", "taken"), (6, "time", "taken")]
    assert [line.row for line in report.lines] == [2, 3, 7]
    if mode == Mode.GOOD:
        took = Reservation.objects.filter(appointment__patient__record_number="P00002")
        assert {second_room.pk, second_bay.pk} < set(took.values_list("resource", flat=True))


def test_the_same_appointment_twice_refuses_both_rows(world: World) -> None:
    world.another_patient()
    rows = [
        appointment_row(),
        appointment_row(time="9:00"),
        appointment_row(external_id="A", time="11:00"),
        appointment_row(external_id="A", date="2027-01-12"),
    ]
    report = run(
        world, appointments_csv(*rows, appointment_row(record_number="P00002", time="13:00")), Mode.GOOD
    )
    assert refused(report) == [
        (2, "time", "duplicate_row"),
        (3, "time", "duplicate_row"),
        (4, "external_id", "duplicate_row"),
        (5, "external_id", "duplicate_row"),
    ]
    assert Appointment.objects.get().patient.record_number == "P00002"


def test_one_refused_row_keeps_all_out_or_itself_only(world: World) -> None:
    world.another_patient()
    data = appointments_csv(appointment_row(), appointment_row(record_number="P00002", time="09:30"))
    assert not run(world, data).saved
    assert not Appointment.objects.exists()
    assert run(world, data, Mode.GOOD).saved
    assert Appointment.objects.get().patient == world.patient


def test_a_rival_between_checking_and_booking_keeps_all_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.another_patient()
    lock_everything = imports.lock_everything

    def a_clerk_is_faster(drafts: Any) -> None:
        rival = world.appointment(patient=world.another_patient(3), starts_at=world.at(MONDAY, 13))
        services.book(rival, by=world.clerk, now=world.now)
        lock_everything(drafts)

    monkeypatch.setattr(imports, "lock_everything", a_clerk_is_faster)
    report = run(
        world, appointments_csv(appointment_row(), appointment_row(record_number="P00002", time="13:00"))
    )
    assert (report.saved, refused(report)) == (False, [(3, "time", "taken")])
    assert not Appointment.objects.filter(patient=world.patient).exists()


def test_a_row_that_another_import_books_while_it_is_checked_is_no_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = booking.preview_booking
    rivals = [appointments_csv(appointment_row())]

    def the_other_is_faster(*args: Any, **how: Any) -> Any:
        if rivals:
            assert run(world, rivals.pop()).saved
        return check(*args, **how)

    monkeypatch.setattr(imports, "preview_booking", the_other_is_faster)
    report = run(world, appointments_csv(appointment_row()))
    assert (refused(report), report.count(Outcome.UNCHANGED)) == ([], 1)
    assert Appointment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_file_at_once_book_it_once(world: World) -> None:
    for number in range(2, 5):
        world.another_patient(number)
    rows = [
        appointment_row(external_id="A-1"),
        *(appointment_row(record_number=f"P0000{n}", time=f"{n + 9}:00") for n in (2, 3, 4)),
    ]
    # Backwards: without one order of locks the two would wait for each other in a ring.
    files = {world.clerk: appointments_csv(*rows), world.nurse: appointments_csv(*reversed(rows))}
    start = threading.Barrier(2, timeout=30)

    def bring(by: Any) -> Report:
        try:
            start.wait()
            return run(world, files[by], by=by)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(bring, files))
    assert [refused(report) for report in reports] == [[], []]
    assert sorted(report.count(Outcome.ADDED) for report in reports) == [0, 4]
    assert Appointment.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_clerk_who_books_meanwhile_waits_and_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 30))
    book_draft, pool = imports.book_draft, ThreadPoolExecutor(1)
    waiting: list[Any] = []

    def clerk() -> str:
        try:
            services.book(rival, by=world.nurse, now=world.now)
        except Refusal as refusal:
            return str(refusal.code)
        finally:
            connection.close()
        return "booked"

    def while_a_clerk_books(draft: Any, **how: Any) -> Any:
        if not waiting:
            waiting.append(pool.submit(clerk))
            with pytest.raises(TimeoutError):
                waiting[0].result(timeout=0.5)  # the resources are locked before the first row is booked
        return book_draft(draft, **how)

    monkeypatch.setattr(imports, "book_draft", while_a_clerk_books)
    with pool:
        assert run(world, appointments_csv(appointment_row())).saved
        assert waiting[0].result(timeout=30) == "taken"


def test_the_sites_wall_clock_counts_on_both_sides_of_a_clock_change(world: World) -> None:
    clock_change = [("2027-03-12", 14), ("2027-03-15", 13), ("2027-11-05", 13), ("2027-11-08", 14)]
    run(world, appointments_csv(*(appointment_row(date=day) for day, _ in clock_change)))
    starts = Appointment.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert list(starts) == [
        datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC) for day, hour in clock_change
    ]


def test_rows_are_of_the_importers_sites_and_resources(world: World) -> None:
    other = Site.objects.create(name="Hilltop", time_zone="America/New_York", phone="+1 212 555 0199")
    world.another_patient(site=other)
    same_name = resource("Room 1", ResourceCategory.objects.get(code="procedure_room"), other)
    visitor = resource("Dr Far", ResourceCategory.objects.get(code="physician"), other)
    WorkingHours.objects.filter(resource=visitor).update(site=world.site)
    rows = [
        appointment_row(record_number="P00002"),
        appointment_row(site="Hilltop"),
        appointment_row(room="Room 1", clinician="Dr Far"),
    ]
    report = run(world, appointments_csv(*rows), Mode.GOOD)
    assert refused(report) == [
        (2, "record_number", "unknown_patient"),
        (3, "site", "unknown_site"),
    ]
    taken = set(Appointment.objects.get().reservations.values_list("resource", flat=True))
    assert (visitor.pk in taken, world.room.pk in taken, same_name.pk in taken) == (True, True, False)


def test_the_trail_says_that_it_was_an_import_and_names_no_patient(world: World) -> None:
    run(world, appointments_csv(appointment_row()))
    told = AuditEvent.objects.order_by("pk").values_list("action", "by", "actor", "reason")
    assert list(told)[-2:] == [
        ("appointment.imported", world.clerk.pk, "import", ""),
        ("appointments.imported", world.clerk.pk, "import", "all: 1 rows: 1 added, 0 changed, 0 unchanged, 0 refused."),
    ]  # fmt: skip


def test_a_check_leaves_no_trace(world: World) -> None:
    with CaptureQueriesContext(connection) as captured:
        run(world, appointments_csv(appointment_row()), Mode.CHECK)
    words_of = {query["sql"].split()[0] for query in captured}
    assert words_of <= {"SELECT", "WITH"}
    assert not [query for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert not AuditEvent.objects.exists()


def test_looking_up_asks_as_much_for_thirty_rows_as_for_three(world: World) -> None:
    def lookups(rows: list[str]) -> int:
        run(world, appointments_csv(*rows))
        with CaptureQueriesContext(connection) as captured:
            assert run(world, appointments_csv(*rows), Mode.CHECK).count(Outcome.UNCHANGED) == len(rows)
        return len(captured)

    days = [MONDAY + timedelta(days=7 * week) for week in range(30)]
    rows = [appointment_row(date=day.isoformat(), room="Room 1") for day in days]
    assert lookups(rows) == lookups(rows[:3])


def test_the_command_prints_no_patient(world: World, tmp_path: Any) -> None:
    file = tmp_path / "appointments.csv"
    file.write_bytes(
        appointments_csv(
            appointment_row(note="Interpreter"),
            appointment_row(time="02:30", date="2027-03-14", note="Interpreter"),
        )
    )
    out, err = io.StringIO(), io.StringIO()
    with clock(world.now):
        with pytest.raises(CommandError, match="Nothing was saved"):
            call_command("import_appointments", str(file), stdout=out, stderr=err)
        call_command("import_appointments", str(file), "--good-rows-only", stdout=out, stderr=err)
        call_command("import_appointments", str(file), "--good-rows-only", stdout=out, stderr=err)
    said = out.getvalue() + err.getvalue()
    assert (
        "row 3, time: This time does not exist on that day: the clocks jump over it. [no_such_time]" in said
    )
    assert "2 of 2 rows saved" in said
    assert "2 rows: 0 added, 0 changed, 1 unchanged, 1 refused." in said
    assert not {word for word in ("P00001", "Interpreter", "lumbar") if word in said}
    assert AuditEvent.objects.get(action="appointment.imported").by is None


def test_a_clerk_checks_and_imports(world: World, client: Client) -> None:
    def send(**fields: Any) -> Any:
        return client.post(
            PAGE, {"file": SimpleUploadedFile("a.csv", appointments_csv(appointment_row())), **fields}
        )

    signed_in(world.clerk, client)
    with clock(world.now):
        assert PAGE in client.get("/admin/procedures/appointment/").content.decode()
        page = send()
        assert not page.context["report"].saved
        page = send(checked=page.context["form"]["checked"].value(), mode="all")
        assert "Imported. 1 added" in words(page)
    assert Appointment.objects.get().booked_by == world.clerk
    world.clerk.groups.clear()
    assert client.get(PAGE).status_code in (302, 403)
