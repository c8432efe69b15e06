"""Taking a step back: an arrival or a no-show that was none brings back what was before, or says who is in the way."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied

from clinic.models import AuditEvent, Closure, Resource
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World
from procedures.tests.races import run_together


def missed(world: World, *, confirmed: bool = False) -> Appointment:
    """An appointment at nine that was marked as a no-show at five past."""
    made = services.book(world.appointment(), by=world.clerk, now=world.now)
    if confirmed:
        services.take_step(made.pk, "confirm", by=world.clerk, now=world.now)
    return services.mark_no_show(made.pk, by=world.clerk, now=world.at(MONDAY, 9, 5))


def undo(world: World, appointment: Appointment, minute: int = 10) -> Appointment:
    return services.take_step(appointment.pk, "undo_no_show", by=world.clerk, now=world.at(MONDAY, 9, minute))


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_no_show_that_was_none_is_expected_again_and_holds_what_it_held(
    world: World, confirmed: bool
) -> None:
    appointment = missed(world, confirmed=confirmed)
    assert not appointment.reservations.filter(released_at=None).exists()
    undone = undo(world, appointment)
    assert undone.status == ("confirmed" if confirmed else "booked")
    assert undone.reservations.filter(released_at=None).count() == 3
    assert undone.steps.values_list("step", flat=True).last() == "undo_no_show"
    trail = AuditEvent.objects.filter(object_id=appointment.pk, at=world.at(MONDAY, 9, 10))
    assert [(event.by, event.action) for event in trail] == [(world.clerk, f"appointment.{undone.status}")]
    rival = world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 15))
    with pytest.raises(Refusal) as refused:
        services.book(rival, by=world.clerk, now=world.at(MONDAY, 9, 11))
    assert refused.value.code == "taken"
    services.arrive(appointment.pk, by=world.clerk, now=world.at(MONDAY, 9, 20))


def test_undoing_an_arrival_remembers_that_the_patient_had_confirmed(world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    for name, status in (
        ("arrive", "arrived"),
        ("undo_arrival", "booked"),
        ("confirm", "confirmed"),
        ("arrive", "arrived"),
        ("undo_arrival", "confirmed"),
        ("arrive", "arrived"),
        ("undo_arrival", "confirmed"),
    ):
        appointment = services.take_step(appointment.pk, name, by=world.clerk, now=world.at(MONDAY, 8, 50))
        assert appointment.status == status, name


def test_what_somebody_else_has_by_now_is_named(world: World) -> None:
    appointment = missed(world)
    rival = world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 15))
    services.book(rival, by=world.clerk, now=world.at(MONDAY, 9, 6))
    with pytest.raises(Refusal) as refused:
        undo(world, appointment)
    assert (refused.value.code, refused.value.field) == ("taken", "starts_at")
    assert "Dr Test is taken from 09:15 to 10:00 on 2027-01-11" in str(refused.value.message)
    appointment.refresh_from_db()
    assert appointment.status == "no_show"
    assert not appointment.reservations.filter(released_at=None).exists()
    services.cancel(rival.pk, reason="ill", by=world.clerk, now=world.at(MONDAY, 9, 12))
    assert undo(world, appointment, 13).status == "booked"


def test_a_patient_who_was_given_another_time_is_not_in_two_places(world: World) -> None:
    appointment = missed(world)
    services.book(
        world.appointment(starts_at=world.at(MONDAY, 9, 30)), by=world.clerk, now=world.at(MONDAY, 9, 6)
    )
    with pytest.raises(Refusal) as refused:
        undo(world, appointment)
    assert refused.value.code == "taken"
    assert "The patient has another appointment from 09:30" in str(refused.value.message)


def test_who_was_squeezed_in_beside_it_does_not_keep_it_out(world: World) -> None:
    """They shared the resources before, for a reason; they may again."""
    Resource.objects.update(overbooking=1)
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    beside = world.appointment(patient=world.another_patient(), overbooked_reason="Cannot walk")
    services.book(beside, by=world.physician, now=world.now)
    services.mark_no_show(appointment.pk, by=world.clerk, now=world.at(MONDAY, 9, 5))
    assert undo(world, appointment).status == "booked"
    services.mark_no_show(beside.pk, by=world.clerk, now=world.at(MONDAY, 9, 15))
    again = services.take_step(beside.pk, "undo_no_show", by=world.clerk, now=world.at(MONDAY, 9, 16))
    assert set(again.reservations.values_list("lane", "released_at")) == {(1, None)}


def test_a_room_that_was_closed_meanwhile_keeps_it_out(world: World) -> None:
    appointment = missed(world)
    leak = Closure(
        resource=world.room, starts_at=world.at(MONDAY, 9), ends_at=world.at(MONDAY, 12), reason="Leak"
    )
    services.close(leak, by=world.admin, now=world.at(MONDAY, 9, 7))
    with pytest.raises(Refusal) as refused:
        undo(world, appointment)
    assert refused.value.code == "closed"
    appointment.refresh_from_db()
    assert (appointment.status, appointment.reservations.filter(released_at=None).count()) == ("no_show", 0)


def test_a_no_show_stands_after_a_week(world: World) -> None:
    appointment = missed(world)
    week = appointment.starts_at + timedelta(days=7)
    with pytest.raises(Refusal) as refused:
        services.take_step(appointment.pk, "undo_no_show", by=world.clerk, now=week + timedelta(seconds=1))
    assert (refused.value.code, refused.value.field) == ("too_late", "status")
    assert services.take_step(appointment.pk, "undo_no_show", by=world.clerk, now=week).status == "booked"


def test_only_who_receives_patients_may_undo(world: World) -> None:
    appointment = missed(world)
    world.clerk.groups.clear()
    world.clerk = type(world.clerk).objects.get(pk=world.clerk.pk)
    with pytest.raises(PermissionDenied):
        undo(world, appointment)


@pytest.mark.django_db(transaction=True)
def test_undoing_against_booking_the_same_time(world: World) -> None:
    """One of the two is first; the other is told."""
    now = world.at(MONDAY, 9, 10)
    for turn in range(4):
        appointment = missed(world)
        rival = world.appointment(
            patient=world.another_patient(500 + turn), starts_at=world.at(MONDAY, 9, 15)
        )
        outcome = run_together(
            lambda pk=appointment.pk: services.take_step(pk, "undo_no_show", by=None, now=now),
            lambda rival=rival: services.book(rival, by=None, now=now),
        )
        assert outcome == {"won": 1, "taken": 1}
        for left in Appointment.objects.filter(status="booked"):
            services.cancel(left.pk, reason="next turn", by=None, now=now)


def test_over_the_api(world: World) -> None:
    appointment = missed(world, confirmed=True)
    path = f"appointments/{appointment.pk}/undo-no-show/"
    shown = call(world.clerk, "GET", f"appointments/{appointment.pk}/", now=world.at(MONDAY, 9, 10)).json()
    assert "undo_no_show" in shown["possible_steps"]
    rival = services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 15)),
        by=world.clerk,
        now=world.at(MONDAY, 9, 6),
    )
    clash = call(world.clerk, "POST", path, now=world.at(MONDAY, 9, 10))
    assert (clash.status_code, faults(clash)) == (409, [("starts_at", "taken")])
    services.cancel(rival.pk, reason="ill", by=world.clerk, now=world.at(MONDAY, 9, 10))
    response = call(world.clerk, "POST", path, now=world.at(MONDAY, 9, 11))
    assert (response.status_code, response.json()["status"]) == (200, "confirmed")
    assert {row["released_at"] for row in response.json()["reservations"]} == {None}


def test_on_the_board_and_in_one_click(world: World) -> None:
    appointment = missed(world)
    desk = signed_in(world.clerk)
    board = "/admin/procedures/appointment/board/"
    address = f"/admin/procedures/appointment/{appointment.pk}/undo-no-show/?next="
    with clock(world.at(MONDAY, 9, 10)):
        assert address in desk.get(board).content.decode()
        page = words(desk.post(address, follow=True))
    assert "The patient is expected again." in page
    appointment.refresh_from_db()
    assert appointment.status == "booked"
    services.mark_no_show(appointment.pk, by=world.clerk, now=world.at(MONDAY, 9, 15))
    rival = world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 15))
    services.book(rival, by=world.clerk, now=world.at(MONDAY, 9, 16))
    with clock(world.at(MONDAY, 9, 17)):
        page = words(desk.post(address, follow=True))
        assert "Dr Test is taken from 09:15 to 10:00" in page
    with clock(appointment.starts_at + timedelta(days=8)):
        assert address not in desk.get(board, {"day": MONDAY.isoformat()}).content.decode()
