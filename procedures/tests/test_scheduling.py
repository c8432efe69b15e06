"""Holds, overbooking, privileges, buffers, idempotency and closures: what each promises and refuses."""

from collections.abc import Callable
from datetime import date, time, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from clinic.models import Closure, Resource, ResourceCategory, Site, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY
from procedures import services
from procedures.models import Appointment, FreedTime, Privilege, Reservation, ResourceRequirement
from procedures.services.booking import HOLD_LASTS
from procedures.tests.factories import World
from procedures.tests.races import race


def book(world: World, **values: object) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refusal:
        act()
    return str(refusal.value.code)


# Holds


def test_a_held_time_is_taken_for_ten_minutes_and_then_frees_itself(world: World) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    assert held.held_until == world.now + HOLD_LASTS
    rival = world.another_patient()
    assert refused(lambda: book(world, patient=rival)) == "taken"
    late = world.now + HOLD_LASTS
    assert services.book(world.appointment(patient=rival), by=world.clerk, now=late).pk
    held.refresh_from_db()
    assert (held.status, held.ended_reason) == ("cancelled", "The hold ran out.")
    assert refused(lambda: services.take_step(held.pk, "book", by=world.clerk, now=late)) == "not_allowed_now"


def test_a_hold_becomes_a_booking_in_time_and_not_after(world: World) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    late = world.now + HOLD_LASTS
    assert refused(lambda: services.take_step(held.pk, "book", by=world.clerk, now=late)) == "hold_expired"
    services.take_step(held.pk, "book", by=world.clerk, now=late - timedelta(seconds=1))
    held.refresh_from_db()
    assert (held.status, held.held_until) == ("booked", None)
    assert services.release_expired_holds(now=late) == 0
    assert [step.step for step in held.steps.all()] == ["hold", "book"]


def test_a_hold_without_an_end_is_refused_by_the_database(world: World) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Appointment.objects.filter(pk=held.pk).update(held_until=None)


# Overbooking


def test_overbooking_wants_permission_and_room_for_it_and_stays_visible(world: World) -> None:
    book(world)
    rival = world.another_patient()
    asked = {"patient": rival, "overbooked_reason": "Cannot walk by Monday otherwise"}
    with pytest.raises(PermissionDenied):
        services.book(world.appointment(**asked), by=world.clerk, now=world.now)

    def as_physician() -> Appointment:
        return services.book(world.appointment(**asked), by=world.physician, now=world.now)

    assert refused(as_physician) == "taken"  # no resource allows it
    Resource.objects.update(overbooking=1)
    second = as_physician()
    assert second.overbooked_reason == "Cannot walk by Monday otherwise"
    assert set(second.reservations.values_list("lane", flat=True)) == {1}
    third = world.appointment(patient=world.another_patient(3), overbooked_reason="Once more")
    assert refused(lambda: services.book(third, by=world.physician, now=world.now)) == "taken"


def test_what_was_free_is_not_called_overbooked(world: World) -> None:
    Resource.objects.update(overbooking=1)
    appointment = services.book(
        world.appointment(overbooked_reason="To be sure"), by=world.physician, now=world.now
    )
    assert appointment.overbooked_reason == ""
    assert set(appointment.reservations.values_list("lane", flat=True)) == {0}


def test_a_patient_is_never_overbooked(world: World) -> None:
    Resource.objects.update(overbooking=3)
    book(world)
    again = world.appointment(overbooked_reason="Why not")
    assert refused(lambda: services.book(again, by=world.physician, now=world.now)) == "taken"


def test_who_was_squeezed_in_keeps_the_time_when_the_first_leaves(world: World) -> None:
    """The room is still in use: nobody else gets it without saying why, and it is offered to nobody."""
    Resource.objects.update(overbooking=1)
    first = book(world)
    squeezed = services.book(
        world.appointment(patient=world.another_patient(), overbooked_reason="Cannot walk"),
        by=world.physician,
        now=world.now,
    )
    services.cancel(first.pk, reason="ill", by=world.clerk, now=world.now)
    assert not FreedTime.objects.exists()
    third = world.another_patient(3)
    assert refused(lambda: book(world, patient=third)) == "taken"
    again = services.book(
        world.appointment(patient=third, overbooked_reason="Cannot walk either"),
        by=world.physician,
        now=world.now,
    )
    assert again.overbooked_reason == "Cannot walk either"
    assert set(again.reservations.values_list("lane", flat=True)) == {0}
    fourth = world.appointment(patient=world.another_patient(4), overbooked_reason="Nor can she")
    assert refused(lambda: services.book(fourth, by=world.physician, now=world.now)) == "taken"
    for gone in (squeezed, again):
        services.cancel(gone.pk, reason="ill", by=world.clerk, now=world.now)
    assert FreedTime.objects.get().appointment == again
    assert book(world, patient=third).overbooked_reason == ""


@pytest.mark.django_db(transaction=True)
def test_a_rival_who_overbooks_at_once_is_seen(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Both find the time free. One of them was told that it is; the other may have it beside, and says why."""
    Resource.objects.update(overbooking=1)
    plain, beside = world.another_patient(5), world.another_patient(6)
    outcome = race(
        monkeypatch,
        [
            lambda: services.book(world.appointment(patient=plain), by=None, now=world.now),
            lambda: services.book(
                world.appointment(patient=beside, overbooked_reason="Now"), by=None, now=world.now
            ),
        ],
    )
    made = {appointment.patient: appointment for appointment in Appointment.objects.all()}
    if outcome == {"won": 2}:
        assert made[beside].overbooked_reason == "Now"
        assert not made[plain].reservations.filter(lane=1).exists()
    else:  # whoever overbooks was first, and then it was no overbooking
        assert outcome == {"won": 1, "taken": 1}
        assert made[beside].overbooked_reason == ""


# Privileges


def test_a_clinician_without_the_privilege_is_not_booked(world: World) -> None:
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
    assert refused(lambda: book(world)) == "no_privilege"
    privilege = Privilege.objects.create(
        resource=world.doctor, family="radiofrequency_ablation", valid_until_on=MONDAY - timedelta(days=1)
    )
    assert refused(lambda: book(world)) == "no_privilege"
    named = lambda: services.book(world.appointment(), resources=[world.doctor], by=None, now=world.now)  # noqa: E731
    assert refused(named) == "no_privilege"
    privilege.valid_until_on = MONDAY
    privilege.save()
    assert book(world).pk
    later = {"patient": world.another_patient(), "starts_at": world.at(MONDAY + timedelta(days=7), 9)}
    assert refused(lambda: book(world, **later)) == "no_privilege"


# Buffers


def test_set_up_and_turnover_hold_the_resource_but_not_the_patient(world: World) -> None:
    ResourceRequirement.objects.filter(category__code="procedure_room").update(
        setup_minutes=15, turnover_minutes=10
    )
    appointment = book(world)
    held = appointment.reservations.get(resource=world.room)
    assert (held.starts_at, held.ends_at) == (world.at(MONDAY, 8, 45), world.at(MONDAY, 9, 55))
    assert appointment.starts_at == world.at(MONDAY, 9)
    at_eight = {"patient": world.another_patient(), "starts_at": world.at(MONDAY, 8)}
    assert (
        refused(lambda: book(world, **at_eight)) == "outside_hours"
    )  # the room would be set up before it opens


# Idempotency


def test_the_same_click_twice_is_one_appointment(world: World) -> None:
    def click(**values: object) -> Appointment:
        return services.book(world.appointment(**values), by=world.clerk, now=world.now, request_key="abc")

    first = click()
    assert click().pk == first.pk
    assert Appointment.objects.count() == 1
    assert refused(lambda: click(starts_at=world.at(MONDAY, 13))) == "key_reused"
    other = services.book(
        world.appointment(starts_at=world.at(MONDAY, 13)), by=world.nurse, now=world.now, request_key="abc"
    )
    assert other.pk != first.pk


# Closures


def closure(world: World, **values: object) -> Closure:
    defaults: dict[str, object] = {
        "site": world.site,
        "starts_at": world.at(MONDAY, 8),
        "ends_at": world.at(MONDAY, 12),
        "reason": "Snow",
    }
    return Closure(**defaults | values)


def test_closing_shows_whom_it_displaces_and_touches_nobody(world: World) -> None:
    morning = book(world)
    afternoon = book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    plan = closure(world)
    assert list(services.displaced_by(plan, now=world.now)) == [morning]
    services.close(plan, by=world.clerk, now=world.now)
    morning.refresh_from_db()
    assert morning.status == "booked"
    assert (
        refused(lambda: book(world, patient=world.another_patient(3), starts_at=world.at(MONDAY, 11)))
        == "closed"
    )
    moved = services.reschedule(morning.pk, starts_at=world.at(MONDAY, 15), by=world.clerk, now=world.now)
    assert list(services.displaced_by(plan, now=world.now)) == []
    assert {moved.status, afternoon.status} == {"booked"}
    services.reopen(plan, by=world.clerk, now=world.now)
    assert book(world, patient=world.another_patient(4)).pk


def test_one_resource_can_be_closed(world: World) -> None:
    appointment = book(world)
    assert list(services.displaced_by(closure(world, site=None, resource=world.room), now=world.now)) == [
        appointment
    ]
    other = closure(
        world, site=None, resource=world.bay, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9, 45)
    )
    assert list(services.displaced_by(other, now=world.now)) == []  # the bay is needed from 9:45 on


def test_the_patient_is_not_at_a_site_that_is_closed_though_nothing_is_reserved(world: World) -> None:
    """Without a bay the recovery takes nobody's time; the house must be open all the same."""
    ResourceRequirement.objects.filter(category__code="recovery_bay").delete()
    noon = closure(world, starts_at=world.at(MONDAY, 12))
    noon.ends_at = world.at(MONDAY, 13)
    booked = book(world, starts_at=world.at(MONDAY, 11))  # until 11:45, then an hour of recovery
    assert list(services.displaced_by(noon, now=world.now)) == [booked]
    services.close(noon, by=world.clerk, now=world.now)
    later = {"patient": world.another_patient(), "starts_at": world.at(MONDAY, 10, 30)}
    assert refused(lambda: book(world, **later)) == "closed"
    later["starts_at"] = world.at(MONDAY, 10, 15)
    assert book(world, **later).ends_at == noon.starts_at


def test_a_type_that_asks_for_nothing_is_not_booked_at_any_hour(world: World) -> None:
    ResourceRequirement.objects.all().delete()
    for at in (world.at(MONDAY, 9), world.at(MONDAY, 3)):
        assert refused(lambda at=at: book(world, starts_at=at)) == "no_requirements"  # type: ignore[misc]
    asked = services.book(world.appointment(), by=world.clerk, now=world.now, request=True)
    assert refused(lambda: services.accept(asked.pk, by=world.clerk, now=world.now)) == "no_requirements"


def test_a_visiting_physician_is_displaced_where_they_are_and_not_at_home(world: World) -> None:
    away = Site.objects.create(name="Hillside", time_zone="America/New_York", phone="+1 212 555 0101")
    for resource in (world.doctor, world.room, world.bay):
        WorkingHours.objects.create(resource=resource, site=away, weekday=0, opens=time(8), closes=time(17))
    there = book(world, site=away)
    assert list(services.displaced_by(closure(world), now=world.now)) == []
    services.close(closure(world), by=world.clerk, now=world.now)
    beyond = {"patient": world.another_patient(), "starts_at": world.at(MONDAY, 10, 45)}
    assert book(world, site=away, **beyond).pk  # their home is closed, the place where they work is not
    assert there in services.displaced_by(closure(world, site=away), now=world.now)


def test_a_yearly_closure_comes_again_on_the_same_wall_days(world: World) -> None:
    new_year = closure(
        world,
        starts_at=world.at(date(2027, 1, 1), 0),
        ends_at=world.at(date(2027, 1, 2), 0),
        reason="New Year",
        yearly=True,
    )
    services.close(new_year, by=world.clerk, now=world.now)
    days = [
        row.starts_at.astimezone(world.site.zone).date() for row in new_year.repetitions.order_by("starts_at")
    ]
    assert days == [date(2028, 1, 1), date(2029, 1, 1)]
    assert services.extend_yearly_closures(now=world.now) == 0
    assert services.extend_yearly_closures(now=world.now + timedelta(days=400)) == 1
    services.reopen(new_year, by=world.clerk, now=world.now)
    assert not Closure.objects.exists()


def test_a_yearly_closure_shows_whom_its_later_years_displace(world: World) -> None:
    booked = book(world)
    a_year_before = closure(
        world, starts_at=world.at(date(2026, 1, 11), 8), ends_at=world.at(date(2026, 1, 11), 12)
    )
    assert list(services.displaced_by(a_year_before, now=world.now)) == []
    a_year_before.yearly = True
    assert list(services.displaced_by(a_year_before, now=world.now)) == [booked]
    services.close(a_year_before, by=world.clerk, now=world.now)
    assert list(services.displaced_by(a_year_before, now=world.now)) == [booked]


def test_a_year_of_a_yearly_closure_that_was_reopened_stays_open(world: World) -> None:
    snow = closure(world, yearly=True)
    services.close(snow, by=world.clerk, now=world.now)
    services.reopen(snow.repetitions.order_by("starts_at")[0], by=world.clerk, now=world.now)
    assert services.extend_yearly_closures(now=world.now) == 0
    assert snow.repetitions.get().starts_at.astimezone(world.site.zone).year == 2029
    later = world.now + timedelta(days=400)
    assert services.extend_yearly_closures(now=later) == 1
    assert services.extend_yearly_closures(now=later) == 0


def test_a_closure_on_the_29th_of_february_is_kept_on_the_28th(world: World) -> None:
    leap = closure(
        world, starts_at=world.at(date(2028, 2, 29), 8), ends_at=world.at(date(2028, 2, 29), 17), yearly=True
    )
    services.close(leap, by=world.clerk, now=world.at(date(2028, 1, 1), 8))
    first = leap.repetitions.order_by("starts_at").first()
    assert first
    assert first.starts_at.astimezone(world.site.zone).date() == date(2029, 2, 28)


# Steps


def test_a_days_way_through_the_house(world: World) -> None:
    appointment = book(world)
    way = [
        ("confirm", world.clerk, world.now),
        ("arrive", world.clerk, world.at(MONDAY, 8, 40)),
        ("make_ready", world.nurse, world.at(MONDAY, 8, 55)),
        ("start", world.nurse, world.at(MONDAY, 9)),
        ("to_recovery", world.nurse, world.at(MONDAY, 9, 40)),
    ]
    for name, by, now in way:
        services.take_step(appointment.pk, name, by=by, now=now)
    services.perform(
        appointment.pk,
        services.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=8),
        by=world.physician,
        now=world.at(MONDAY, 10),
    )
    appointment.refresh_from_db()
    assert appointment.status == "completed"
    assert [step.step for step in appointment.steps.all()] == [
        "book",
        *(name for name, _, _ in way),
        "complete",
    ]


@pytest.mark.parametrize("name", ["make_ready", "enter_in_error"])
def test_a_step_wants_its_permission(world: World, name: str) -> None:
    appointment = book(world)
    services.arrive(appointment.pk, by=world.clerk, now=world.at(MONDAY, 8, 50))
    with pytest.raises(PermissionDenied):
        services.take_step(appointment.pk, name, by=world.clerk, now=world.at(MONDAY, 9), reason="x")


def test_entered_in_error_gives_back_the_time_and_voids_what_followed(world: World) -> None:
    procedure = world.performed()
    services.take_step(
        procedure.appointment_id,
        "enter_in_error",
        by=world.physician,
        now=world.at(MONDAY, 12),
        reason="wrong row",
    )
    procedure.refresh_from_db()
    assert procedure.status == "entered_in_error"
    assert not Reservation.objects.filter(released_at=None).exists()
