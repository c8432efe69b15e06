"""The front desk's appointments: booked, run through the day, refused, and seen only by those who may."""

import re
from datetime import date, datetime, timedelta
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import Client

from clinic.models import AuditEvent, Site
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, errors, filled, levels, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment, FigureConfirmation, Procedure, ReliefProfile
from procedures.tests.factories import World

LIST = "/admin/procedures/appointment/"
ADD = f"{LIST}add/"


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the clerk of the small clinic is signed in."""
    return signed_in(world.clerk, client)


def booking(world: World, **changes: Any) -> dict[str, Any]:
    """What the booking form sends: Monday at nine."""
    return {
        "site": world.site.pk,
        "patient": world.patient.pk,
        "procedure_type": world.ablation.pk,
        "starts_0": MONDAY.isoformat(),
        "starts_1": "09:00",
        "region": "lumbar",
        "laterality": "left",
        "levels": "L3–L5",
        "intent": "",
        "indication": "",
        "note": "",
    } | changes


def book(desk: Client, world: World, **changes: Any) -> Any:
    with clock(world.now):
        return desk.post(ADD, booking(world, **changes))


def step(desk: Client, appointment: Appointment, name: str, at: datetime, **said: Any) -> Any:
    with clock(at):
        return desk.post(f"{LIST}{appointment.pk}/{name}/", said, follow=True)


def test_a_booking_is_made_on_the_wall_clock_of_the_site(desk: Client, world: World) -> None:
    assert book(desk, world).status_code == 302
    appointment = Appointment.objects.get()
    assert appointment.starts_at == world.at(MONDAY, 9)
    assert appointment.intent == "therapeutic"
    assert appointment.reservations.count() == 3
    assert AuditEvent.objects.get(action="appointment.booked").by == world.clerk


def test_a_named_resource_is_the_one_that_is_taken(desk: Client, world: World) -> None:
    book(desk, world, resources=[world.room.pk])
    assert world.room in [held.resource for held in Appointment.objects.get().reservations.all()]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"starts_0": "2027-03-14", "starts_1": "02:30"}, {"starts": ["no_such_time"]}),
        ({"starts_0": "2027-01-07"}, {"starts": ["in_the_past"]}),
        ({"starts_1": "18:00"}, {"starts": ["outside_hours"]}),
        ({"starts_1": "25:00"}, {"starts": ["invalid"]}),
        ({"laterality": ""}, {"laterality": ["side_required"]}),
        ({"region": "knee"}, {"region": ["invalid_choice"]}),
        ({"intent": "diagnostic"}, {"intent": ["intent_not_possible"]}),
        ({"indication": "pain"}, {"indication": ["icd_10_cm"]}),
        ({"procedure_type": "99999"}, {"procedure_type": ["invalid_choice"]}),
        ({"starts_0": "", "starts_1": ""}, {"starts": ["required"]}),
    ],
)
def test_what_cannot_be_booked_is_refused_beside_its_field(
    desk: Client, world: World, changes: dict[str, str], expected: dict[str, list[str]]
) -> None:
    response = book(desk, world, **changes)
    found = errors(response)
    assert {field: codes[:1] for field, codes in found.items()} == expected
    assert not Appointment.objects.exists()


def test_of_a_time_that_occurs_twice_the_first_is_booked_and_said(desk: Client, world: World) -> None:
    sunday = date(2027, 11, 7)
    for held in (world.room, world.bay, world.doctor):
        held.working_hours.create(site=world.site, weekday=6, opens="00:00", closes="23:59")
    with clock(world.now):
        response = desk.post(ADD, booking(world, starts_0=sunday.isoformat(), starts_1="01:30"), follow=True)
    assert Appointment.objects.get().starts_at.isoformat() == "2027-11-07T05:30:00+00:00"
    assert "twice" in words(response)
    assert "EDT" in words(response)


def test_a_clash_is_a_sentence_with_the_input_kept(desk: Client, world: World) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    response = book(desk, world, patient=world.another_patient().pk, note="prefers mornings")
    assert response.status_code == 200
    assert errors(response) == {"starts": ["taken"]}
    assert "prefers mornings" in response.content.decode()
    assert "added successfully" not in words(response)
    assert Appointment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_race_is_the_same_sentence(world: World, client: Client) -> None:
    """The form is checked before the rival commits: only the booking itself meets the clash."""
    signed_in(world.clerk, client)
    rival = world.another_patient()
    real = services.preview_booking
    asked: list[Appointment] = []

    def book_for_rival() -> None:
        services.book(world.appointment(patient=rival), by=world.clerk, now=world.now)
        connection.close()

    def check_then_lose(appointment: Appointment, **more: Any) -> Any:
        result = real(appointment, **more)
        if not asked:
            asked.append(appointment)
            thread = Thread(target=book_for_rival)
            thread.start()
            thread.join()
        return result

    with patch.object(services, "preview_booking", check_then_lose):
        response = book(client, world, note="prefers mornings")
    assert asked
    assert response.status_code == 200
    assert errors(response) == {"starts": ["taken"]}
    assert "prefers mornings" in response.content.decode()
    assert "added successfully" not in words(response)
    assert [appointment.patient for appointment in Appointment.objects.all()] == [rival]


def test_booking_twice_by_a_double_click_books_once(desk: Client, world: World) -> None:
    assert book(desk, world).status_code == 302
    again = book(desk, world)
    assert errors(again) == {"starts": ["taken"]}
    assert Appointment.objects.count() == 1


@pytest.mark.parametrize("asked", [{}, {"only_request": "on"}])
def test_a_double_click_on_the_page_is_answered_with_what_the_first_click_made(
    desk: Client, world: World, asked: dict[str, str]
) -> None:
    with clock(world.now):
        sent = booking(world, key=desk.get(ADD).context["adminform"].form["key"].value(), **asked)
    first, again = (book(desk, world, **sent) for _twice in range(2))
    assert (first.status_code, again.status_code) == (302, 302)
    assert first["Location"] == again["Location"]
    assert Appointment.objects.count() == 1
    # The same page with something else typed into it is another request.
    assert book(desk, world, **sent | {"starts_1": "13:00"}).status_code == 302
    assert Appointment.objects.count() == 2


def test_a_booked_appointment_is_not_edited(desk: Client, world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    page = f"{LIST}{appointment.pk}/change/"
    assert 'name="starts_0"' not in desk.get(page).content.decode()
    assert desk.post(page, booking(world, starts_1="10:00")).status_code == 403
    assert desk.post(f"{LIST}{appointment.pk}/delete/", {"post": "yes"}).status_code == 403
    appointment.refresh_from_db()
    assert appointment.starts_at == world.at(MONDAY, 9)


def test_a_day_at_the_desk(desk: Client, world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    nine = world.at(MONDAY, 9)
    assert levels(step(desk, appointment, "arrive", nine)) == ["success"]
    signed_in(world.physician, desk)
    done = step(
        desk,
        appointment,
        "perform",
        world.at(MONDAY, 10),
        status="completed",
        performed_0=MONDAY.isoformat(),
        performed_1="09:10",
        baseline_pain="8",
        performer=str(world.physician.pk),
        region="lumbar",
        laterality="left",
        levels="L3–L5",
        agent="lidocaine 2 %",
    )
    assert levels(done) == ["success"]
    procedure = Procedure.objects.get()
    assert procedure.performed_at == world.at(MONDAY, 9, 10)
    assert (procedure.baseline_pain, procedure.performer) == (8, world.physician)
    assert procedure.follow_up.check_ins.count() == 10
    again = step(desk, appointment, "perform", world.at(MONDAY, 10), status="completed",
                 performed_0=MONDAY.isoformat(), performed_1="09:10", baseline_pain="8")  # fmt: skip
    assert again.status_code == 409  # it is completed already
    assert Procedure.objects.count() == 1
    void = f"/admin/procedures/procedure/{procedure.pk}/void/"
    assert desk.post(void, {"reason": ""}).status_code == 422
    desk.post(void, {"reason": "wrong patient"})
    procedure.refresh_from_db()
    assert procedure.status == Procedure.Status.ENTERED_IN_ERROR
    desk.post(void, {"reason": "again"})
    procedure.refresh_from_db()
    assert procedure.status == Procedure.Status.ENTERED_IN_ERROR


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"baseline_pain": "11"}, "baseline_pain", "invalid_choice"),
        ({"baseline_pain": "seven"}, "baseline_pain", "invalid_choice"),
        ({"baseline_pain": ""}, "baseline_pain", "required"),
        ({"performed_1": "11:30"}, "performed", "in_the_future"),
        ({"performed_0": "2027-01-08"}, "performed", "before_booking_day"),
        ({"status": "entered_in_error"}, "status", "invalid_choice"),
    ],
)
def test_what_cannot_have_been_performed_is_refused(
    world: World, client: Client, said: dict[str, str], field: str, code: str
) -> None:
    signed_in(world.physician, client)
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    record = {
        "status": "completed",
        "performed_0": MONDAY.isoformat(),
        "performed_1": "09:00",
        "baseline_pain": "8",
        "agent": "lidocaine 2 %",
    }
    response = step(client, appointment, "perform", world.at(MONDAY, 10), **record | said)
    assert response.status_code == 422
    assert errors(response) == {field: [code]}
    assert "lidocaine 2 %" in response.content.decode()
    assert not Procedure.objects.exists()


def test_that_nobody_asked_for_the_pain_is_said_and_shown(world: World, client: Client) -> None:
    signed_in(world.physician, client)
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    step(client, appointment, "perform", world.at(MONDAY, 10), status="completed",
         performed_0=MONDAY.isoformat(), performed_1="09:00", baseline_pain="not-asked",
         region="lumbar", laterality="left")  # fmt: skip
    assert Procedure.objects.get().baseline_pain is None
    with clock(world.at(MONDAY, 10)):
        assert "missing" in words(client.get(LIST))


def test_rescheduling_moves_and_a_clash_keeps_everything(desk: Client, world: World) -> None:
    first = services.book(world.appointment(), by=world.clerk, now=world.now)
    second = services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
    )
    clash = step(desk, second, "reschedule", world.now, starts_0=MONDAY.isoformat(), starts_1="09:15")
    assert errors(clash) == {"starts": ["taken"]}
    second.refresh_from_db()
    assert second.status == Appointment.Status.BOOKED
    gap = step(desk, second, "reschedule", world.now, starts_0="2027-03-14", starts_1="02:30")
    assert errors(gap) == {"starts": ["no_such_time"]}
    step(desk, first, "reschedule", world.now, starts_0="2027-01-12", starts_1="09:00")
    first.refresh_from_db()
    assert first.status == Appointment.Status.CANCELLED
    assert first.rescheduled_to.starts_at == world.at(date(2027, 1, 12), 9)


def test_cancelling_wants_a_reason(desk: Client, world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    assert errors(step(desk, appointment, "cancel", world.now, reason=" ")) == {"reason": ["reason_required"]}
    step(desk, appointment, "cancel", world.now, reason="patient is ill")
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.CANCELLED
    again = step(desk, appointment, "cancel", world.now, reason="x")
    assert again.status_code == 409


def test_who_cancels_is_kept_and_shown(desk: Client, world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    step(desk, appointment, "cancel", world.now, reason="patient is ill", ended_by="patient")
    appointment.refresh_from_db()
    assert appointment.ended_by == "patient"
    assert "the patient: patient is ill" in words(desk.get(f"{LIST}{appointment.pk}/change/"))


def test_a_patient_goes_through_the_house_step_by_step(world: World, client: Client) -> None:
    signed_in(world.physician, client)
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    step(client, appointment, "confirm", world.now)
    way = ("arrive", "undo-arrival", "arrive", "make-ready", "start", "to-recovery")
    for minute, name in enumerate(way):
        step(client, appointment, name, world.at(MONDAY, 9, minute))
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.RECOVERING
    page = words(client.get(f"{LIST}{appointment.pk}/change/"))
    assert "Mon 11 Jan 2027, 09:05 EST" in page
    assert "recovering" in page
    assert "cannot" not in page
    refused = step(client, appointment, "arrive", world.at(MONDAY, 9, 9))
    assert levels(refused) == ["error"]
    assert errors(step(client, appointment, "error", world.at(MONDAY, 10), reason="")) == {
        "reason": ["reason_required"]
    }
    step(client, appointment, "error", world.at(MONDAY, 10), reason="wrong patient")
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.ENTERED_IN_ERROR


def test_a_nurse_does_not_void_and_a_clerk_does_not_treat(world: World, client: Client) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    for user, name in ((world.nurse, "error"), (world.clerk, "make-ready")):
        signed_in(user, client)
        assert client.post(f"{LIST}{appointment.pk}/{name}/", {"reason": "x"}).status_code == 403


def test_who_may_overbooks_with_a_reason_and_it_stays_visible(world: World, client: Client) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    for held in (world.room, world.bay, world.doctor):
        held.overbooking = 1
        held.save()
    second = {"patient": world.another_patient().pk, "overbooked_reason": "in great pain"}
    signed_in(world.clerk, client)
    assert errors(book(client, world, **second)) == {"starts": ["taken"]}
    signed_in(world.physician, client)
    assert book(client, world, **second).status_code == 302
    with clock(world.at(MONDAY, 8)):
        assert "overbooked" in words(client.get(LIST))


@pytest.mark.parametrize("name", ["arrive", "no-show", "cancel", "reschedule", "perform", "error"])
def test_looking_changes_nothing(world: World, client: Client, name: str) -> None:
    signed_in(world.physician, client)
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    with clock(world.at(MONDAY, 9, 30)):
        assert client.get(f"{LIST}{appointment.pk}/{name}/").status_code == 200
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.BOOKED


def test_steps_are_offered_to_those_who_may_take_them_when_they_make_sense(
    world: World, client: Client
) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    page = f"{LIST}{appointment.pk}/change/"

    def offered(user: Any, at: datetime) -> list[str]:
        signed_in(user, client)
        with clock(at):
            return re.findall(rf'{LIST}{appointment.pk}/([a-z-]+)/["?]', client.get(page).content.decode())

    def steps(user: Any, at: datetime) -> list[str]:
        return [name for name in offered(user, at) if name not in ("change", "history")]

    manager = staff("manager@example.org", "Manager", world.site)
    nine = world.at(MONDAY, 9)
    assert steps(world.clerk, world.now) == ["confirm", "baseline", "reschedule", "correct", "cancel"]
    assert steps(world.clerk, nine) == ["arrive", "baseline", "no-show", "reschedule", "correct", "cancel"]
    treating = ["arrive", "perform", "baseline", "no-show", "reschedule", "correct", "cancel"]
    assert steps(world.nurse, nine) == treating
    assert steps(world.physician, nine) == [*treating, "error"]
    assert steps(manager, nine) == []
    signed_in(manager, client)
    assert client.post(f"{LIST}{appointment.pk}/cancel/", {"reason": "x"}).status_code == 403
    signed_in(world.clerk, client)
    assert client.post(f"{LIST}{appointment.pk}/perform/", {}).status_code == 403
    assert client.get(f"{LIST}{appointment.pk}/explode/").status_code == 404


def test_another_site_is_neither_listed_nor_opened_nor_offered(world: World, client: Client) -> None:
    performed = world.performed()
    appointment = performed.appointment
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    stranger = staff("stranger@example.org", "Physician", elsewhere)
    signed_in(stranger, client)
    listed = client.get(f"{LIST}?when=all").content.decode()
    assert "O'Brien" not in listed
    assert "O&#x27;Brien" not in listed
    assert "Riverside" not in listed
    for page in (
        f"{LIST}{appointment.pk}/change/",
        f"{LIST}{appointment.pk}/history/",
        f"{LIST}{appointment.pk}/cancel/",
        f"/admin/procedures/procedure/{performed.pk}/change/",
        f"/admin/procedures/procedure/{performed.pk}/void/",
    ):
        assert client.get(page).status_code == 404, page
    assert client.post(f"{LIST}{appointment.pk}/arrive/").status_code == 404
    with clock(world.now):
        refused = client.post(ADD, booking(world))
    assert errors(refused)["site"] == ["invalid_choice"]
    assert errors(refused)["patient"] == ["invalid_choice"]
    for field, model in (("patient", "appointment"), ("resource", "reservation")):
        query = {"app_label": "procedures", "model_name": model, "field_name": field}
        assert client.get("/admin/autocomplete/", query).json()["results"] == []


def test_today_is_the_day_on_the_wall_of_each_site(world: World, client: Client) -> None:
    """At 04:00 UTC on Tuesday it is still Monday evening in New York."""
    signed_in(world.clerk, client)
    monday = services.book(world.appointment(), by=world.clerk, now=world.now)
    tuesday = services.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=1), 9)), by=world.clerk, now=world.now
    )
    with clock(world.at(MONDAY, 23)):
        for query, expected in (
            ("", [monday]),
            ("?when=today", [monday]),
            ("?when=tomorrow", [tuesday]),
            ("?when=week", [monday, tuesday]),
            ("?when=all", [tuesday, monday]),
            ("?q=brien", [tuesday, monday]),
        ):
            response = client.get(LIST + query)
            assert list(response.context["cl"].result_list) == expected, query
        assert "Monday 11 January 2027" in words(client.get(LIST))


def test_the_months_to_leaf_through_are_those_of_the_wall_clock(world: World, client: Client) -> None:
    for held in (world.room, world.bay, world.doctor):
        held.working_hours.create(site=world.site, weekday=6, opens="17:00", closes="23:59")
    evening = world.at(date(2027, 1, 31), 21)  # the first of February in UTC
    services.book(world.appointment(starts_at=evening), by=world.clerk, now=world.now)
    signed_in(world.clerk, client)
    page = client.get(f"{LIST}?when=all&starts_at__year=2027&starts_at__month=1")
    assert page.context["cl"].result_count == 1


def test_back_from_a_step_is_the_list_it_was_taken_from(desk: Client, world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    with clock(world.at(MONDAY, 9)):
        offered = desk.get(f"{LIST}?when=week").content.decode()
        address = re.search(rf'formaction="({LIST}{appointment.pk}/arrive/[^"]*)"', offered)[1]  # type: ignore[index]
        response = desk.post(address)
    assert response["Location"] == f"{LIST}?when=week"


@pytest.mark.parametrize(
    "address",
    [f"{LIST}?when=all", "/admin/procedures/procedure/", "/admin/procedures/proceduretype/"],
)
def test_lists_ask_as_much_for_thirty_rows_as_for_three(world: World, client: Client, address: str) -> None:
    signed_in(world.physician, client)

    for day in range(3):
        world.performed(day=MONDAY + timedelta(days=7 * day))
    few = queries(lambda: client.get(address))
    for day in range(3, 30):
        world.performed(day=MONDAY + timedelta(days=7 * day))
    assert queries(lambda: client.get(address)) == few
    assert client.get(address).status_code == 200


def test_a_patients_page_asks_as_much_for_ten_coming_appointments_as_for_two(
    desk: Client, world: World
) -> None:
    address = f"/admin/patients/patient/{world.patient.pk}/change/"

    def book(first: int, last: int) -> None:
        for week in range(first, last):
            start = world.at(MONDAY + timedelta(days=7 * week), 9)
            services.book(world.appointment(starts_at=start), by=world.clerk, now=world.now)

    with clock(world.now):
        book(0, 2)
        few = queries(lambda: desk.get(address))
        book(2, 10)
        assert queries(lambda: desk.get(address)) == few
        assert words(desk.get(address)).count("Cancel") >= 10


def test_a_physician_confirms_a_figure_once(world: World, client: Client) -> None:
    page = f"/admin/procedures/proceduretype/{world.ablation.pk}"
    profile = world.ablation.relief_profiles.get()
    signed_in(world.clerk, client)
    assert "unconfirmed" in words(client.get(f"{page}/change/"))
    assert client.post(f"{page}/confirm/onset/", {"profile": profile.pk}).status_code == 403
    signed_in(world.physician, client)
    assert levels(client.get(f"{page}/confirm/onset/", follow=True)) == ["warning"]
    assert not FigureConfirmation.objects.exists()
    for _ in range(2):
        client.post(f"{page}/confirm/onset/", {"profile": profile.pk})
    client.post(f"{page}/confirm/duration/")
    said = {
        figure_confirmation.figure: figure_confirmation.user
        for figure_confirmation in FigureConfirmation.objects.all()
    }
    assert said == {"onset": world.physician, "duration": world.physician}
    client.post(f"{page}/confirm/weight/?{beside(world.ablation)}")
    assert FigureConfirmation.objects.count() == 2
    assert client.post(f"{page}/confirm/onset/", {"profile": "99999"}).status_code == 404


def test_the_page_of_a_type_shows_what_is_asked_about_each_risk(world: World, client: Client) -> None:
    kind = world.ablation
    for name in ("infection", "soreness", "a risk of our own", "bleeding"):
        kind.risks.create(name=name, severity="mild", transient=True)
    kind.red_flags.create(
        code="fever", question="Hot?", question_es="¿Fiebre?", source="test", urgency="same_day"
    )
    kind.catalogue_values = {
        "asked": {"infection": ["fever"], "soreness": "It is expected.", "bleeding": ["taken_off"]}
    }
    kind.save()
    signed_in(world.physician, client)
    page = client.get(f"/admin/procedures/proceduretype/{kind.pk}/change/")
    rows = {
        row.risk.name: ([flag.code for flag in row.asked_by], row.reason) for row in page.context["risks"]
    }
    assert rows == {
        "infection": (["fever"], ""),
        "soreness": ([], "It is expected."),
        "a risk of our own": ([], ""),
        "bleeding": ([], ""),
    }
    said = words(page)
    assert "Hot? (same day)" in said
    assert "Not asked: It is expected." in said
    assert said.count("Nothing is asked about it") == 2


def test_new_durations_are_unconfirmed_again(world: World, client: Client) -> None:
    services.confirm_figure(world.ablation, "duration", profile=None, by=world.physician, now=world.now)
    signed_in(world.physician, client)
    world.ablation.red_flags.create(code="fever", question="Fever?", question_es="¿Fiebre?", source="test")
    world.ablation.after_care = ["Rest today, light activity from tomorrow.", "Do not drive."]
    world.ablation.save()
    page = f"/admin/procedures/proceduretype/{world.ablation.pk}/change/"
    form = client.get(page).context["adminform"].form
    data = filled(form) | {"procedure_minutes": 50}
    data["after_care"] = "\r\n\r\n".join(world.ablation.after_care)
    data |= {f"{p}-{k}": 0 for p in ("requirements", "risks") for k in ("TOTAL_FORMS", "INITIAL_FORMS")}
    response = client.post(page, data)
    assert response.status_code == 302, errors(response)
    world.ablation.refresh_from_db()
    assert world.ablation.procedure_minutes == 50
    assert world.ablation.after_care == ["Rest today, light activity from tomorrow.", "Do not drive."]
    assert not FigureConfirmation.objects.exists()
    assert AuditEvent.objects.filter(action="proceduretype.changed", by=world.physician).exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"requirements-2-lasts_minutes": "61"}, "This is needed after the end, minute 105."),
        ({"requirements-2-lasts_minutes": "0"}, "A resource is needed for at least a minute."),
        ({"requirements-0-lasts_minutes": "-5"}, "Ensure this value is greater than or equal to 0."),
        ({"requirements-1-setup_minutes": "241"}, "Set-up and turnover take four hours at most."),
        ({"procedure_minutes": "0"}, "A procedure lasts at least a minute."),
        ({"recovery_minutes": "1440"}, "Procedure and recovery last a day at most."),
    ],
)
def test_what_no_procedure_can_need_is_refused_in_words(
    world: World, client: Client, typed: dict[str, str], said: str
) -> None:
    signed_in(world.physician, client)
    world.ablation.red_flags.create(code="fever", question="Fever?", question_es="¿Fiebre?", source="test")
    page = f"/admin/procedures/proceduretype/{world.ablation.pk}/change/"
    context = client.get(page).context
    sent = filled(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.initial_forms):
            sent |= filled(form)
    before = list(world.ablation.requirements.values())
    response = client.post(page, sent | typed)
    assert response.status_code == 200
    assert said in words(response)
    assert list(world.ablation.requirements.values()) == before
    assert client.post(page, sent | {"requirements-2-lasts_minutes": "60"}).status_code == 302


def test_a_new_relief_profile_replaces_the_last_and_changes_nothing_past(
    world: World, client: Client
) -> None:
    performed = world.performed()
    signed_in(world.physician, client)
    add = f"/admin/procedures/reliefprofile/add/?procedure_type={world.ablation.pk}"
    form = client.get(add).context["adminform"].form
    data = filled(form) | {"check_in_days": "1, 7, 14, 42, 92, 166, 180, 184, 275, 366"}
    refused = client.post(add, data | {"window_source": "", "window_from_days": "400"})
    assert "window_source" in errors(refused)
    assert ReliefProfile.objects.count() == 1
    client.post(add, data | {"window_until_days": "300", "window_source": "Our own 40 courses, 2026"})
    new = ReliefProfile.objects.get(version=2)
    assert (new.origin, new.window_until_days) == ("clinic", 300)
    performed.refresh_from_db()
    assert performed.relief_profile.version == 1
    assert AuditEvent.objects.filter(action="relief_profile.added", by=world.physician).exists()
