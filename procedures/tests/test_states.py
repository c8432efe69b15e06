"""Whatever clerks do in whatever order: no illegal state, no overlap, nothing held by what has ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.models import AuditEvent, Closure, Resource
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY, resource
from procedures import services
from procedures.models import Appointment, AppointmentStep, Reservation
from procedures.services import booking
from procedures.tests.factories import World
from procedures.tests.races import run_together
from procedures.workflow import BY_THEMSELVES, STEPS, possible

#: Ways into a state that are no step of the table: how an appointment begins, and what time and moving do.
ENTRIES = {
    "hold": "held",
    "request": "requested",
    "book": "booked",
    "expire": "cancelled",
    "reschedule": "cancelled",
}

number = st.integers(0, 8)
acts = st.one_of(
    st.tuples(
        st.sampled_from(["book", "hold", "request", "overbook"]), st.integers(0, 5), st.integers(8, 15)
    ),
    st.tuples(st.just("accept"), number, st.integers(0, 15)),
    st.tuples(st.just("move"), number, st.integers(8, 15)),
    st.tuples(st.just("wait"), st.integers(1, 30), st.just(0)),
    st.tuples(st.just("tick"), st.just(0), st.just(0)),
    # Mostly what leads on, so that a patient gets through the house; and now and then what does not.
    *[st.tuples(st.just("onward"), number, st.integers(0, 9))] * 4,
    st.tuples(st.sampled_from([*STEPS]), number, st.just(0)),
)


def act(world: World, patients: list[Any], deed: tuple[str, int, int], now: Any) -> None:
    """Do one deed; what is refused is refused."""
    name, number, more = deed
    made = list(Appointment.objects.order_by("pk"))
    appointment = made[number % len(made)] if made else None
    if name == "onward" and appointment:
        leading = possible(appointment.status)
        name, more = (leading[more % len(leading)].name, 0) if leading else ("wait", 0)
    try:
        if name in ("book", "hold", "request", "overbook") and more:
            wanted = world.appointment(
                patient=patients[number],
                starts_at=world.at(MONDAY, more),
                overbooked_reason="squeezed in" if name == "overbook" else "",
            )
            services.book(wanted, by=world.admin, now=now, hold=name == "hold", request=name == "request")
        elif name == "tick":
            services.release_expired_holds(now=now)
        elif appointment is None or name == "wait":
            return
        elif name == "move":
            services.reschedule(appointment.pk, starts_at=world.at(MONDAY, more, 30), by=world.admin, now=now)
        else:
            another = world.at(MONDAY, more, 15) if more > 7 else None
            take(world, appointment, name, now, starts_at=another)
    except (Refusal, PermissionDenied):
        pass


def take(world: World, appointment: Appointment, name: str, now: Any, *, starts_at: Any = None) -> None:
    """Take a step of the table, by the service that takes it."""
    if name == "accept":
        services.accept(appointment.pk, starts_at=starts_at, by=world.admin, now=now)
    elif name == "complete":
        record = services.Performed(performed_at=now, baseline_pain=5)
        services.perform(appointment.pk, record, by=world.admin, now=now)
    else:
        services.take_step(appointment.pk, name, by=world.admin, now=now, reason="so it is")


#: Pairs of reservations of one resource that overlap: in one lane, or though neither was overbooked.
WRONG = """
    SELECT COUNT(*) FROM procedures_reservation AS a
      JOIN procedures_reservation AS b ON a.id < b.id AND a.resource_id = b.resource_id
       AND a.released_at IS NULL AND b.released_at IS NULL AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
      JOIN procedures_appointment AS first ON first.id = a.appointment_id
      JOIN procedures_appointment AS second ON second.id = b.appointment_id
     WHERE a.lane = b.lane OR first.overbooked_reason = '' AND second.overbooked_reason = ''
"""


@pytest.mark.django_db
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(acts, min_size=5, max_size=40))
def test_no_illegal_state_and_no_overlap_is_ever_reached(
    world: World, deeds: list[tuple[str, int, int]]
) -> None:
    with transaction.atomic():
        patients = [world.another_patient(1000 + number) for number in range(6)]
        resource("Room 2", world.room.categories.get(), world.site)
        Resource.objects.update(overbooking=1)
        now = world.at(MONDAY, 8)
        for deed in deeds:
            act(world, patients, deed, now)
            now += timedelta(minutes=deed[1] if deed[0] == "wait" else 2)
        for appointment in Appointment.objects.all():
            legal(list(appointment.steps.order_by("pk")), appointment)
            holding = appointment.reservations.filter(released_at=None).count()
            assert holding == (3 if appointment.live else 0)
        with connection.cursor() as cursor:
            cursor.execute(WRONG)
            assert cursor.fetchone() == (0,)
        transaction.set_rollback(True)


def legal(steps: list[AppointmentStep], appointment: Appointment) -> None:
    """Every step taken leads on from the state before it, and the last one's state is the appointment's."""
    assert steps
    assert steps[0].step in ("hold", "request", "book")
    before, status = "", steps[0].status
    for step in steps[1:]:
        if step.step in STEPS:
            assert status in STEPS[step.step].origins, (status, step.step)
            assert step.status in STEPS[step.step].goals
            if STEPS[step.step].undoes:
                assert step.status == before
        else:
            assert ENTRIES[step.step] == step.status
        before, status = status, step.status
    assert status == appointment.status


def test_the_table_names_every_state_and_only_those() -> None:
    states = set(Appointment.Status.values)
    named = {state for step in STEPS.values() for state in (*step.origins, *step.goals)}
    assert named == states
    assert all(step.to in step.goals for step in STEPS.values())
    assert possible("entered_in_error") == []
    assert {step.to for step in STEPS.values() if step.ends} == states - set(Appointment.LIVE) - {"requested"}


def test_every_step_leads_only_where_it_says(world: World) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    for status in Appointment.Status.values:
        for name, step in STEPS.items():
            if status in step.origins or name in BY_THEMSELVES:
                continue
            held_until = world.at(MONDAY, 12) if status == "held" else None
            Appointment.objects.filter(pk=appointment.pk).update(
                status=status, held_until=held_until, ended_reason="x"
            )
            with pytest.raises(Refusal) as refused:
                services.take_step(appointment.pk, name, by=world.admin, now=world.at(MONDAY, 10), reason="x")
            assert refused.value.code == "not_allowed_now"


#: The steps from the beginning to each state, as somebody takes them.
WAYS: dict[str, tuple[str, ...]] = {
    "requested": (),
    "held": (),
    "booked": (),
    "confirmed": ("confirm",),
    "arrived": ("arrive",),
    "ready": ("arrive", "make_ready"),
    "in_procedure": ("arrive", "start"),
    "recovering": ("arrive", "start", "to_recovery"),
    "completed": ("complete",),
    "no_show": ("mark_no_show",),
    "cancelled": ("cancel",),
    "entered_in_error": ("enter_in_error",),
}


def brought_to(world: World, status: str) -> Appointment:
    """An appointment in this state, by the steps that lead there."""
    request, hold = status == "requested", status == "held"
    made = services.book(world.appointment(), by=world.clerk, now=world.now, request=request, hold=hold)
    for name in WAYS[status]:
        take(world, made, name, world.at(MONDAY, 10))
    made.refresh_from_db()
    assert made.status == status
    return made


@pytest.mark.parametrize(
    ("name", "origin"), [(step.name, origin) for step in STEPS.values() for origin in sorted(step.origins)]
)
def test_every_step_leads_on_from_each_of_its_origins(world: World, name: str, origin: str) -> None:
    """With its time, its actor and its audit event; and what has ended holds nothing."""
    appointment, step = brought_to(world, origin), STEPS[name]
    now = world.now + timedelta(minutes=5) if origin in ("requested", "held") else world.at(MONDAY, 11)
    take(world, appointment, name, now)
    appointment.refresh_from_db()
    assert appointment.status == step.to
    last = appointment.steps.order_by("pk").last()
    assert last
    assert (last.step, last.status, last.at, last.by) == (name, step.to, now, world.admin)
    trail = AuditEvent.objects.filter(
        object_type="procedures.appointment",
        object_id=appointment.pk,
        action=f"appointment.{step.to}",
        at=now,
    )
    assert trail.get().by == world.admin
    if step.needs_reason:
        assert last.reason == trail.get().reason == "so it is"
    assert appointment.reservations.filter(released_at=None).count() == (3 if appointment.live else 0)
    assert appointment.live != step.ends


def test_the_ways_lead_to_every_state() -> None:
    assert WAYS.keys() == set(Appointment.Status.values)


@pytest.mark.django_db(transaction=True)
def test_moving_against_cancelling(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """One of the two is first; the other is told. Never both, never neither, never half."""
    for turn in range(4):
        made = services.book(
            world.appointment(patient=world.another_patient(500 + turn)), by=world.clerk, now=world.now
        )
        outcome = run_together(
            lambda pk=made.pk: services.reschedule(
                pk, starts_at=world.at(MONDAY, 13), by=None, now=world.now
            ),
            lambda pk=made.pk: services.cancel(pk, reason="ill", by=None, now=world.now),
        )
        assert outcome == {"won": 1, "not_allowed_now": 1}
        made.refresh_from_db()
        assert made.status == "cancelled"
        assert hasattr(made, "rescheduled_to") == (made.ended_reason == "Moved to another time.")
        for left in Appointment.objects.filter(status="booked"):
            services.cancel(left.pk, reason="next turn", by=None, now=world.now)


@pytest.mark.django_db(transaction=True)
def test_closing_a_room_against_booking_it(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Either the booking was first and is displaced, or the room was closed and the booking refused."""
    for turn in range(6):
        patient = world.another_patient(600 + turn)
        closed = Closure(
            resource=world.room, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 12), reason="Leak"
        )
        outcome = run_together(
            lambda p=patient: services.book(world.appointment(patient=p), by=None, now=world.now),
            lambda c=closed: services.close(c, by=None, now=world.now),
        )
        booked = Appointment.objects.filter(status="booked")
        assert outcome in ({"won": 2}, {"won": 1, "closed": 1})
        assert booked.count() == outcome["won"] - 1
        assert list(services.displaced_by(closed, now=world.now)) == list(booked)
        for left in booked:
            services.cancel(left.pk, reason="next turn", by=None, now=world.now)
        services.reopen(closed, by=None, now=world.now)
    assert booking.ATTEMPTS > 1
    assert not Reservation.objects.filter(released_at=None).exists()


def closing_in_between(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, closure: Closure, world: World
) -> None:
    """Somebody else closes, and commits, right after `module.name` was called for the first time."""
    real, done = getattr(module, name), list[bool]()

    def and_then_close(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        if not done:
            done.append(True)
            assert run_together(lambda: services.close(closure, by=None, now=world.now)) == {"won": 1}
        return result

    monkeypatch.setattr(module, name, and_then_close)


def morning_off(world: World, what: str) -> Closure:
    whole = {"site": world.site} if what == "site" else {"resource": world.room}
    return Closure(starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 12), reason="Leak", **whole)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["site", "room"])
def test_what_is_closed_between_the_look_and_the_lock_is_not_booked(
    monkeypatch: pytest.MonkeyPatch, world: World, what: str
) -> None:
    closing_in_between(monkeypatch, booking, "choose_resources", morning_off(world, what), world)
    with pytest.raises(Refusal) as refused:
        services.book(world.appointment(), by=None, now=world.now)
    assert refused.value.code == "closed"
    assert not Appointment.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_without_the_look_behind_the_lock_it_would_be_booked(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """If this fails, the test above proves nothing."""
    monkeypatch.setattr(booking, "refuse_if_taken_since", lambda *_: None)
    closing_in_between(monkeypatch, booking, "choose_resources", morning_off(world, "room"), world)
    assert services.book(world.appointment(), by=None, now=world.now).pk


@pytest.mark.django_db(transaction=True)
def test_a_hold_and_a_closure_of_what_it_holds(world: World) -> None:
    """Either it was booked first and is displaced, or it was closed first and cannot be booked any more."""
    for turn in range(4):
        held = services.book(
            world.appointment(patient=world.another_patient(700 + turn)), by=None, now=world.now, hold=True
        )
        closed = morning_off(world, "room")
        outcome = run_together(
            lambda pk=held.pk: services.take_step(pk, "book", by=None, now=world.now),
            lambda c=closed: services.close(c, by=None, now=world.now),
        )
        held.refresh_from_db()
        assert outcome == ({"won": 2} if held.status == "booked" else {"won": 1, "closed": 1})
        assert list(services.displaced_by(closed, now=world.now)) == [held]
        services.cancel(held.pk, reason="next turn", by=None, now=world.now)
        services.reopen(closed, by=None, now=world.now)
