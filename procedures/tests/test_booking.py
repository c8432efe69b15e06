"""Booking, moving, cancelling: what is refused, with which code, and that nothing is half-saved."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clinic.models import AuditEvent, Closure, Resource, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY, resource
from procedures import services
from procedures.models import Appointment, Reservation
from procedures.tests.factories import World


def book(world: World, **values: object) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def test_a_booking_reserves_every_resource_for_as_long_as_it_is_needed(world: World) -> None:
    appointment = book(world)
    assert appointment.ends_at == world.at(MONDAY, 10, 45)
    held = {r.resource: (r.starts_at, r.ends_at) for r in appointment.reservations.all()}
    assert held == {
        world.doctor: (world.at(MONDAY, 9), world.at(MONDAY, 9, 45)),
        world.room: (world.at(MONDAY, 9), world.at(MONDAY, 9, 45)),
        world.bay: (world.at(MONDAY, 9, 45), world.at(MONDAY, 10, 45)),
    }
    assert AuditEvent.objects.get().action == "appointment.booked"


def test_back_to_back_is_legal(world: World) -> None:
    book(world)
    second = book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 10, 45))
    assert second.pk
    # The room and the physician are free as soon as the patient is in the bay.
    Reservation.objects.filter(resource=world.bay).delete()
    assert book(world, patient=world.another_patient(3), starts_at=world.at(MONDAY, 9, 45)).pk


REFUSALS: list[tuple[str, str, Callable[[World], dict[str, object]]]] = [
    ("in_the_past", "starts_at", lambda w: {"starts_at": w.now - timedelta(hours=1)}),
    (
        "outside_hours",
        "starts_at",
        lambda w: {"starts_at": w.at(MONDAY, 16, 30)},
    ),  # recovery would end at 18:15
    ("outside_hours", "starts_at", lambda w: {"starts_at": w.at(MONDAY, 7, 30)}),
    ("outside_hours", "starts_at", lambda w: {"starts_at": w.at(MONDAY, 23, 30)}),  # across midnight
    ("outside_hours", "starts_at", lambda w: {"starts_at": w.at(MONDAY - timedelta(days=1), 9)}),  # Sunday
    ("side_required", "laterality", lambda w: {"laterality": ""}),
    ("side_not_possible", "laterality", lambda w: {"laterality": "midline"}),
    ("region_not_possible", "region", lambda w: {"region": "knee"}),
    ("intent_not_possible", "intent", lambda w: {"intent": "diagnostic"}),
]


@pytest.mark.parametrize(("code", "field", "values"), REFUSALS)
def test_what_makes_no_sense_is_refused_and_nothing_is_saved(
    world: World, code: str, field: str, values: Callable[[World], dict[str, object]]
) -> None:
    with pytest.raises(Refusal) as refused:
        book(world, **values(world))
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not Appointment.objects.exists()
    assert not Reservation.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_type_out_of_use_a_dead_and_a_merged_patient_are_refused(world: World) -> None:
    world.ablation.active = False
    world.ablation.save()
    with pytest.raises(Refusal) as refused:
        book(world)
    assert refused.value.code == "unknown_procedure_type"
    world.ablation.active = True
    world.ablation.save()
    for values in ({"died_on": date(2027, 1, 1)}, {"merged_into": world.patient}):
        with pytest.raises(Refusal) as refused:
            book(world, patient=world.another_patient(len(str(values)), **values))
        assert refused.value.code == "patient_not_bookable"


def test_a_clash_names_who_is_taken_and_when(world: World) -> None:
    book(world)
    with pytest.raises(Refusal, match=r"(Room 1|Dr Test) .* 09:00 .* 09:45 .* 2027-01-11") as refused:
        book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 9, 30))
    assert refused.value.code == "taken"
    with pytest.raises(Refusal, match=r"09:00 .* 10:45") as refused:
        book(world, starts_at=world.at(MONDAY, 10))
    assert refused.value.code == "taken"


def test_any_resource_of_the_category_will_do_and_a_named_one_is_kept(world: World) -> None:
    rooms = [world.room, resource("Room 2", world.room.categories.get(), world.site)]
    bays = [world.bay, resource("Bay 2", world.bay.categories.get(), world.site)]
    doctors = [world.doctor, resource("Dr Two", world.doctor.categories.get(), world.site)]
    named = services.book(world.appointment(), resources=[rooms[1]], by=world.clerk, now=world.now)
    assert rooms[1] in {r.resource for r in named.reservations.all()}
    other = book(world, patient=world.another_patient())
    both = {r.resource for a in (named, other) for r in a.reservations.all()}
    assert both == {*rooms, *bays, *doctors}
    with pytest.raises(Refusal, match="Every") as refused:
        book(world, patient=world.another_patient(3))
    assert refused.value.code == "taken"


def test_named_resources_must_be_needed_and_in_use(world: World) -> None:
    from clinic.models import ResourceCategory

    laser = resource("Laser", ResourceCategory.objects.create(code="laser", name="Laser"), world.site)
    with pytest.raises(Refusal) as refused:
        services.book(world.appointment(), resources=[laser], by=world.clerk, now=world.now)
    assert (refused.value.code, refused.value.field) == ("not_needed", "resources")
    Resource.objects.filter(pk=world.room.pk).update(active=False)
    world.room.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        services.book(world.appointment(), resources=[world.room], by=world.clerk, now=world.now)
    assert refused.value.code == "inactive"
    with pytest.raises(Refusal) as refused:
        book(world)
    assert refused.value.code == "outside_hours"


@pytest.mark.parametrize("of", ["site", "room"])
def test_a_closure_is_kept(world: World, of: str) -> None:
    closed = {"site": world.site} if of == "site" else {"resource": world.room}
    Closure.objects.create(
        starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9, 15), reason="Snow", **closed
    )
    with pytest.raises(Refusal, match="Snow") as refused:
        book(world)
    assert refused.value.code == "closed"
    assert book(world, starts_at=world.at(MONDAY, 9, 15)).pk


def test_hours_may_meet_and_end(world: World) -> None:
    WorkingHours.objects.filter(resource=world.room).delete()
    for opens, closes in ((time(8), time(9, 30)), (time(9, 30), time(12))):
        WorkingHours.objects.create(
            resource=world.room, site=world.site, weekday=0, opens=opens, closes=closes, valid_until_on=MONDAY
        )
    assert book(world).pk  # across both spans
    with pytest.raises(Refusal) as refused:
        book(world, patient=world.another_patient(), starts_at=world.at(MONDAY + timedelta(days=7), 9))
    assert refused.value.code == "outside_hours"


def test_wrong_spans_never_reach_the_database(world: World) -> None:
    appointment = book(world)
    for change in (
        {"ends_at": appointment.starts_at},
        {"ends_at": appointment.starts_at - timedelta(hours=1)},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Appointment.objects.filter(pk=appointment.pk).update(**change)
    with pytest.raises(ValidationError):
        services.book(
            world.appointment(starts_at=datetime(2027, 1, 11, 9)),  # noqa: DTZ001  (naive on purpose)
            by=world.clerk,
            now=world.now,
        )


def test_a_cancelled_time_is_free_at_once_and_the_reason_is_kept(world: World) -> None:
    appointment = book(world)
    with pytest.raises(Refusal) as refused:
        services.cancel(appointment.pk, reason=" ", by=world.clerk, now=world.now)
    assert refused.value.code == "reason_required"
    services.cancel(appointment.pk, reason="Patient has a cold", by=world.clerk, now=world.now)
    assert book(world).pk
    assert AuditEvent.objects.get(action="appointment.cancelled").reason == "Patient has a cold"
    with pytest.raises(Refusal) as refused:
        services.cancel(appointment.pk, reason="Again", by=world.clerk, now=world.now)
    assert refused.value.code == "not_allowed_now"


def test_moving_takes_the_new_time_and_frees_the_old_or_does_neither(world: World) -> None:
    appointment = book(world)
    moved = services.reschedule(
        appointment.pk, starts_at=world.at(MONDAY, 9, 30), by=world.clerk, now=world.now
    )  # overlaps the old time
    assert moved.rescheduled_from == appointment
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.CANCELLED
    assert appointment.rescheduled_to == moved
    rival = book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    with pytest.raises(Refusal) as refused:
        services.reschedule(moved.pk, starts_at=rival.starts_at, by=world.clerk, now=world.now)
    assert refused.value.code == "taken"
    moved.refresh_from_db()
    assert moved.status == Appointment.Status.BOOKED
    assert moved.reservations.filter(released_at=None).count() == 3


def test_arrivals_and_no_shows(world: World) -> None:
    appointment = book(world)
    with pytest.raises(Refusal) as refused:
        services.arrive(appointment.pk, by=world.clerk, now=world.now)
    assert refused.value.code == "not_today"
    with pytest.raises(Refusal) as refused:
        services.mark_no_show(appointment.pk, by=world.clerk, now=world.at(MONDAY, 8))
    assert refused.value.code == "too_early"
    services.arrive(appointment.pk, by=world.clerk, now=world.at(MONDAY, 8, 50))
    with pytest.raises(Refusal) as refused:
        services.mark_no_show(appointment.pk, by=world.clerk, now=world.at(MONDAY, 10))
    assert refused.value.code == "not_allowed_now"


def test_performing_refuses_what_cannot_be_true(world: World) -> None:
    appointment = book(world)
    after = world.at(MONDAY, 11)
    for code, record in {
        "in_the_future": services.Performed(performed_at=world.at(MONDAY, 12)),
        "before_booking_day": services.Performed(performed_at=world.at(MONDAY, 9) - timedelta(days=1)),
        "score_out_of_range": services.Performed(performed_at=world.at(MONDAY, 9), baseline_pain=11),
        "status_not_possible": services.Performed(
            performed_at=world.at(MONDAY, 9), status="entered_in_error"
        ),
    }.items():
        with pytest.raises(Refusal) as refused:
            services.perform(appointment.pk, record, by=world.physician, now=after)
        assert refused.value.code == code
    appointment.refresh_from_db()
    assert appointment.status == Appointment.Status.BOOKED
    services.perform(
        appointment.pk, services.Performed(performed_at=world.at(MONDAY, 9)), by=world.physician, now=after
    )
    with pytest.raises(Refusal) as refused:  # the second click
        services.perform(
            appointment.pk,
            services.Performed(performed_at=world.at(MONDAY, 9)),
            by=world.physician,
            now=after,
        )
    assert refused.value.code == "not_allowed_now"


def test_history_sees_bulk_updates_and_deletes(world: World) -> None:
    appointment = book(world)
    Appointment.objects.filter(pk=appointment.pk).update(note="moved by a bulk update")
    labels = appointment.events.order_by("pgh_id").values_list("pgh_label", flat=True)  # type: ignore[attr-defined]
    assert list(labels) == ["insert", "update"]
    appointment.reservations.first().delete()  # type: ignore[union-attr]
    deleted = apps.get_model("procedures", "ReservationEvent")._default_manager.filter(pgh_label="delete")
    assert deleted.count() == 1


def test_a_hold_that_has_run_out_stands_in_nobodys_way_before_it_is_released(world: World) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    other = world.appointment(patient=world.another_patient())
    with pytest.raises(Refusal, match="taken from"):
        services.preview_booking(other, now=world.now + timedelta(minutes=9))
    assert services.preview_booking(other, now=world.now + timedelta(minutes=10))


def test_moving_twice_with_one_key_moves_once(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)

    def move(hour: int) -> Appointment:
        return services.reschedule(
            old.pk, starts_at=world.at(MONDAY, hour), by=world.clerk, now=world.now, request_key="k"
        )

    assert move(13).pk == move(13).pk
    with pytest.raises(Refusal) as refusal:
        move(14)
    assert refusal.value.code == "key_reused"


def test_what_moving_would_do_is_told_without_doing_it(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    before = AuditEvent.objects.count()

    def ask(hour: int) -> Appointment:
        starts_at = world.at(MONDAY, hour)
        return services.check_reschedule(old.pk, starts_at=starts_at, by=world.clerk, now=world.now)

    assert {str(held.resource) for held in ask(13).reservations.all()} == {"Dr Test", "Room 1", "Bay 1"}
    with pytest.raises(Refusal) as refusal:
        ask(20)
    assert refusal.value.code == "outside_hours"
    old.refresh_from_db()
    assert (old.status, Appointment.objects.count()) == ("booked", 1)
    assert AuditEvent.objects.count() == before
