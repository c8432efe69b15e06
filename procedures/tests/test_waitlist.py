"""The waitlist: who may join, what frees a time, whom it suits, and that of two clerks one books it."""

import threading
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.models import AuditEvent, Closure, Resource, Site, User
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY, resource, staff
from patients.models import Patient
from procedures import services
from procedures.models import Appointment, FreedTime, ProcedureType, ResourceRequirement, WaitlistEntry
from procedures.services import waitlist, waitlist_matching
from procedures.tests.factories import FRIDAY, World, another_waiting, freed_time, on_waitlist, waitlist_entry
from procedures.tests.races import run_together

Priority = WaitlistEntry.Priority


def names(found: list[services.Match]) -> list[WaitlistEntry]:
    return [match.entry for match in found]


def suits(world: World, freed: FreedTime, by: User | None = None) -> list[WaitlistEntry]:
    return names(services.matches(freed, by=by, now=world.now))


# Joining.


def test_who_joins_waits_until_somebody_asks_again_in_sixty_days(world: World) -> None:
    waits = on_waitlist(world, sites=[world.site], clinicians=[world.doctor], priority=Priority.URGENT)
    waits = WaitlistEntry.objects.get(pk=waits.pk)
    assert (waits.created_at, waits.created_by, waits.closed_at) == (world.now, world.clerk, None)
    assert waits.stale_on == FRIDAY + timedelta(days=60)
    assert waits.intent == "therapeutic"  # the only one that this type knows
    assert [*waits.sites.all()] == [world.site]
    assert [*waits.clinicians.all()] == [world.doctor]
    event = AuditEvent.objects.get(action="waitlist.joined")
    assert (event.by, event.object_id, event.site) == (world.clerk, waits.pk, world.site)


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"earliest_on": FRIDAY - timedelta(days=1)}, "in_the_past", "earliest_on"),
        ({"stale_on": FRIDAY}, "in_the_past", "stale_on"),
        ({"laterality": ""}, "side_required", "laterality"),
        ({"laterality": "midline"}, "side_not_possible", "laterality"),
        ({"region": "knee"}, "region_not_possible", "region"),
        ({"intent": "trial"}, "intent_not_possible", "intent"),
    ],
)
def test_what_could_never_be_booked_cannot_be_waited_for(
    world: World, values: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        on_waitlist(world, **values)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not WaitlistEntry.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"notice_hours": -1},
        {"notice_hours": 70_000},
        {"priority": 9},
        {"note": "x" * 301},
        {"earliest_on": None},
    ],
)
def test_values_that_no_entry_may_have_are_refused_by_field(world: World, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        on_waitlist(world, **values)
    assert [*refused.value.message_dict] == [*values]


def test_the_first_day_counts_by_the_calendar_of_the_patients_site(world: World) -> None:
    late = world.at(FRIDAY, 23, 30)  # already Saturday in UTC
    assert late.date() > FRIDAY
    assert on_waitlist(world, earliest_on=FRIDAY, now=late).pk


def test_the_dead_and_the_merged_do_not_wait(world: World) -> None:
    dead = world.another_patient(2, died_on=date(2026, 12, 1))
    merged = world.another_patient(3, merged_into=world.patient)
    for patient in (dead, merged):
        with pytest.raises(Refusal) as refused:
            on_waitlist(world, patient=patient)
        assert (refused.value.code, refused.value.field) == ("patient_not_bookable", "patient")


def test_what_is_not_offered_any_more_cannot_be_waited_for(world: World) -> None:
    ProcedureType.objects.update(active=False)
    world.ablation.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        on_waitlist(world)
    assert (refused.value.code, refused.value.field) == ("unknown_procedure_type", "procedure_type")


def test_clinicians_who_could_never_serve_are_refused(world: World) -> None:
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    physician = world.doctor.categories.get()
    gone = resource("Dr Gone", physician, world.site)
    Resource.objects.filter(pk=gone.pk).update(active=False)
    gone.refresh_from_db()
    bay_kind, _ = type(physician).objects.get_or_create(code="fluoroscope", defaults={"name": "Fluoroscope"})
    for clinician, sites, code in (
        (gone, [], "inactive"),
        (resource("C-arm", bay_kind, world.site), [], "not_needed"),
        (world.doctor, [far], "not_here"),
    ):
        with pytest.raises(Refusal) as refused:
            on_waitlist(world, clinicians=[clinician], sites=sites)
        assert (refused.value.code, refused.value.field) == (code, "clinicians")


def test_nobody_waits_twice_for_the_same(world: World) -> None:
    first = on_waitlist(world)
    with pytest.raises(Refusal) as refused:
        on_waitlist(world)
    assert (refused.value.code, refused.value.field) == ("already_waiting", "patient")
    assert on_waitlist(world, laterality="right").pk  # another wish
    services.withdraw(first.pk, by=world.clerk, now=world.now)
    assert on_waitlist(world).pk  # the first one is over


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_add_the_same_wish_at_once_one_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = waitlist.check_waiting
    barrier = threading.Barrier(2)

    def check_and_wait(*args: Any, **more: Any) -> None:
        real(*args, **more)
        barrier.wait(timeout=60)  # both have found nobody

    monkeypatch.setattr(waitlist, "check_waiting", check_and_wait)
    assert run_together(lambda: on_waitlist(world), lambda: on_waitlist(world)) == {
        "won": 1,
        "already_waiting": 1,
    }
    assert WaitlistEntry.objects.count() == 1


def test_only_who_may_manages_the_waitlist(world: World) -> None:
    manager = staff("manager@example.org", "Manager", world.site)
    waits, freed = on_waitlist(world), freed_time(world)
    for act in (
        lambda: services.join_waitlist(waitlist_entry(world, laterality="right"), by=manager, now=world.now),
        lambda: services.withdraw(waits.pk, by=manager, now=world.now),
        lambda: services.still_waiting(waits.pk, by=manager, now=world.now),
        lambda: services.dismiss_freed(freed.pk, by=manager, now=world.now),
        lambda: services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=manager, now=world.now),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert WaitlistEntry.objects.get().closed_at is None


# Waiting on, and no more.


def test_an_entry_ages_visibly_and_is_fresh_again_once_asked(world: World) -> None:
    waits = on_waitlist(world)
    later = world.at(FRIDAY + timedelta(days=60), 9)
    assert not waitlist.is_stale(waits, now=later - timedelta(days=1))
    assert waitlist.is_stale(waits, now=later)
    services.close_passed_times(now=later)
    assert WaitlistEntry.objects.get().closed_at is None  # nothing ends by itself
    waits = services.still_waiting(waits.pk, by=world.clerk, now=later)
    assert waits.stale_on == FRIDAY + timedelta(days=120)
    assert not waitlist.is_stale(waits, now=later)
    assert AuditEvent.objects.get(action="waitlist.still_waiting").by == world.clerk


def test_asking_early_never_brings_the_next_question_nearer(world: World) -> None:
    waits = on_waitlist(world, stale_on=FRIDAY + timedelta(days=200))
    assert services.still_waiting(waits.pk, by=world.clerk, now=world.now).stale_on == FRIDAY + timedelta(
        days=200
    )


def test_who_waits_no_more_cannot_be_withdrawn_or_asked_again(world: World) -> None:
    waits = on_waitlist(world)
    closed = services.withdraw(waits.pk, by=world.clerk, now=world.now)
    assert (closed.closed_at, closed.closed_reason) == (world.now, "withdrawn")
    for act in (services.withdraw, services.still_waiting):
        with pytest.raises(Refusal) as refused:
            act(waits.pk, by=world.clerk, now=world.now)
        assert refused.value.code == "not_waiting"
    assert AuditEvent.objects.filter(action="waitlist.withdrawn").count() == 1


# What frees a time.


def test_a_cancelled_appointment_frees_its_time_once(world: World) -> None:
    freed = freed_time(world)
    assert (freed.site, freed.starts_at, freed.ends_at) == (
        world.site,
        world.at(MONDAY, 9),
        world.at(MONDAY, 10, 45),
    )
    assert (freed.created_at, freed.closed_at) == (world.now, None)
    services.note_freed(freed.appointment, now=world.now)
    services.take_step(
        freed.appointment_id, "enter_in_error", by=world.physician, now=world.now, reason="wrong row"
    )
    assert FreedTime.objects.count() == 1


def test_a_moved_appointment_frees_its_old_time(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.reschedule(old.pk, starts_at=world.at(MONDAY, 13), by=world.clerk, now=world.now)
    assert FreedTime.objects.get().starts_at == world.at(MONDAY, 9)


def test_a_move_that_is_refused_frees_nothing(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    with pytest.raises(Refusal):
        services.reschedule(old.pk, starts_at=world.at(MONDAY, 20), by=world.clerk, now=world.now)
    assert not FreedTime.objects.exists()


def test_what_had_begun_frees_nothing(world: World) -> None:
    missed = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.mark_no_show(missed.pk, by=world.clerk, now=world.at(MONDAY, 9, 30))
    late = services.book(world.appointment(starts_at=world.at(MONDAY, 13)), by=world.clerk, now=world.now)
    services.cancel(late.pk, reason="never came", by=world.clerk, now=world.at(MONDAY, 13))
    assert not FreedTime.objects.exists()


def test_a_hold_that_ends_frees_nothing(world: World) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    assert services.release_expired_holds(now=world.now + timedelta(minutes=10)) == 1
    again = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    services.cancel(again.pk, reason="not this one", by=world.clerk, now=world.now)
    assert not FreedTime.objects.exists()


def test_a_time_that_nobody_could_be_offered_is_not_noted(world: World) -> None:
    Resource.objects.update(overbooking=1)
    services.book(world.appointment(), by=world.clerk, now=world.now)
    second = services.book(
        world.appointment(patient=world.another_patient(), overbooked_reason="urgent"),
        by=world.physician,
        now=world.now,
    )
    services.cancel(second.pk, reason="not urgent", by=world.clerk, now=world.now)
    displaced = services.book(
        world.appointment(patient=world.another_patient(3), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
    )
    shut = Closure(
        site=world.site, starts_at=world.at(MONDAY, 12), ends_at=world.at(MONDAY, 17), reason="No water"
    )
    services.close(shut, by=world.clerk, now=world.now)
    services.cancel(displaced.pk, reason="No water", by=world.clerk, now=world.now)
    assert not FreedTime.objects.exists()


def test_a_move_by_some_minutes_frees_nothing(world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.reschedule(old.pk, starts_at=world.at(MONDAY, 9, 15), by=world.clerk, now=world.now)
    assert not FreedTime.objects.exists()


def test_a_time_that_is_given_back_again_is_one_task(world: World) -> None:
    """Somebody booked it at the desk, without the waitlist, and cancelled too."""
    first = freed_time(world)
    again = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.cancel(again.pk, reason="a cold", by=world.clerk, now=world.now)
    assert FreedTime.objects.get() == first
    waits = another_waiting(world, 2)
    assert suits(world, first) == [waits]
    services.dismiss_freed(first.pk, by=world.clerk, now=world.now)
    once_more = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.cancel(once_more.pk, reason="a cough", by=world.clerk, now=world.now)
    assert FreedTime.objects.filter(closed_at=None).count() == 1  # what was dismissed is another matter
    resource("Room 2", world.room.categories.get(), world.site)
    elsewhere = services.book(
        world.appointment(starts_at=world.at(MONDAY, 13)), by=world.clerk, now=world.now
    )
    services.cancel(elsewhere.pk, reason="a cough", by=world.clerk, now=world.now)
    assert FreedTime.objects.filter(closed_at=None).count() == 2


def test_a_freed_time_that_has_begun_is_closed_by_the_tick(world: World) -> None:
    freed = freed_time(world)
    assert services.close_passed_times(now=world.at(MONDAY, 9) - timedelta(minutes=1)) == 0
    assert services.close_passed_times(now=world.at(MONDAY, 9)) == 1
    freed.refresh_from_db()
    assert (freed.closed_reason, freed.closed_at) == ("passed", world.at(MONDAY, 9))
    assert services.close_passed_times(now=world.at(MONDAY, 10)) == 0


def test_a_freed_time_that_is_booked_past_the_waitlist_is_closed_by_the_tick(world: World) -> None:
    freed, later = freed_time(world), world.now + timedelta(minutes=1)
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    assert services.close_filled_times(now=later) == 0  # the clerk may let it go
    services.cancel(held.pk, reason="not this one", by=world.clerk, now=world.now)
    ResourceRequirement.objects.filter(category__code="recovery_bay").update(lasts_minutes=30)
    short = services.book(world.appointment(), by=world.clerk, now=world.now)
    assert services.close_filled_times(now=later) == 0  # the rest of the bay's time is still free
    services.cancel(short.pk, reason="a cold", by=world.clerk, now=world.now)
    ResourceRequirement.objects.filter(category__code="recovery_bay").update(lasts_minutes=60)
    services.book(world.appointment(), by=world.clerk, now=world.now)
    assert services.close_filled_times(now=later) == 1
    freed.refresh_from_db()
    assert (freed.closed_reason, freed.closed_at, freed.closed_by) == ("filled", later, None)
    assert services.close_filled_times(now=later) == 0


def test_a_dismissed_time_is_nobodys(world: World) -> None:
    on_waitlist(world)
    freed = services.dismiss_freed(freed_time(world).pk, by=world.clerk, now=world.now)
    assert (freed.closed_reason, freed.closed_by) == ("dismissed", world.clerk)
    assert not suits(world, freed)
    with pytest.raises(Refusal) as refused:
        services.dismiss_freed(freed.pk, by=world.clerk, now=world.now)
    assert refused.value.code == "freed_time_closed"
    assert AuditEvent.objects.get(action="freed_time.dismissed").by == world.clerk


# Whom it suits.


def test_matches_are_ranked_by_priority_then_freshness_then_waiting_time(world: World) -> None:
    long_ago = world.now - timedelta(days=90)
    stale = another_waiting(world, 2, now=long_ago, earliest_on=FRIDAY - timedelta(days=90))
    younger = another_waiting(world, 3, now=world.now - timedelta(hours=1))
    older = another_waiting(world, 4, now=world.now - timedelta(days=5), earliest_on=FRIDAY)
    urgent = another_waiting(world, 5, priority=Priority.URGENT)
    found = services.matches(freed_time(world), now=world.now)
    assert names(found) == [urgent, older, younger, stale]
    assert [match.ask_again_since for match in found] == [None, None, None, stale.stale_on]
    assert found[0].reasons == [
        "urgent",
        "waiting since today",
        "accepts any site",
        "Dr Test is free",
        "needs 24 h notice, has 69 h",
    ]
    assert found[3].reasons[-1] == f"ask again since {stale.stale_on}"
    assert found[0].clinicians == ["Dr Test"]


def test_only_whom_everything_suits_is_a_match(world: World) -> None:
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    physician = world.doctor.categories.get()
    elsewhere = resource("Dr Far", physician, far)
    fits = [
        another_waiting(world, 2, sites=[far, world.site]),
        another_waiting(world, 3, clinicians=[world.doctor, elsewhere]),
        another_waiting(world, 4, notice_hours=69),
        another_waiting(world, 5, earliest_on=MONDAY),
    ]
    another_waiting(world, 6, sites=[far])
    another_waiting(world, 7, clinicians=[elsewhere])
    another_waiting(world, 8, notice_hours=70)
    another_waiting(world, 9, earliest_on=MONDAY + timedelta(days=1))
    another_waiting(world, 10)
    Patient.objects.filter(record_number="P00010").update(died_on=FRIDAY)
    assert suits(world, freed_time(world)) == fits


def test_who_is_busy_then_is_no_match(world: World) -> None:
    second = [resource(name, kept.categories.get(), world.site)
              for name, kept in (("Dr Two", world.doctor), ("Room 2", world.room), ("Bay 2", world.bay))]  # fmt: skip
    busy = on_waitlist(world)
    idle = another_waiting(world, 2)
    freed = freed_time(world)
    services.book(
        world.appointment(starts_at=world.at(MONDAY, 10, 30), laterality="right"),
        resources=second,
        by=world.clerk,
        now=world.now,
    )
    assert suits(world, freed) == [idle]
    assert busy.pk


def test_any_free_clinician_will_do_for_who_named_none(world: World) -> None:
    """The one who came free is booked again; a colleague is there."""
    second = resource("Dr Two", world.doctor.categories.get(), world.site)
    insists, open_to_all = another_waiting(world, 2, clinicians=[world.doctor]), another_waiting(world, 3)
    freed = freed_time(world)
    Closure.objects.create(
        resource=world.doctor, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 12), reason="ill"
    )
    found = services.matches(freed, now=world.now)
    assert names(found) == [open_to_all]
    assert found[0].clinicians == [second.name]
    assert insists.pk


def test_who_waits_gets_what_came_free_before_anything_else(world: World) -> None:
    """Another physician and another room are free as well, and come first by name."""
    resource("Dr Able", world.doctor.categories.get(), world.site)
    resource("A room", world.room.categories.get(), world.site)
    waits, freed = on_waitlist(world), freed_time(world, resources=[world.doctor, world.room])
    (match,) = services.matches(freed, now=world.now)
    assert match.clinicians == ["Dr Test"]
    booked = services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    assert {world.doctor, world.room} < {row.resource for row in booked.reservations.all()}


def test_who_does_not_accept_whose_time_came_free_gets_another_clinician(world: World) -> None:
    able = resource("Dr Able", world.doctor.categories.get(), world.site)
    room = resource("A room", world.room.categories.get(), world.site)
    waits = on_waitlist(world, clinicians=[able])
    freed = freed_time(world, resources=[world.doctor, world.room])
    (match,) = services.matches(freed, now=world.now)
    assert match.clinicians == ["Dr Able"]
    # Whose room has been taken again gets another one.
    taking = world.appointment(patient=world.another_patient(7))
    services.book(taking, resources=[world.doctor, world.room], by=None, now=world.now)
    resource("Bay 2", world.bay.categories.get(), world.site)
    booked = services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    assert {able, room} < {row.resource for row in booked.reservations.all()}


def test_what_is_taken_again_suits_nobody(world: World) -> None:
    another_waiting(world, 2)
    freed = freed_time(world)
    services.book(world.appointment(), by=world.clerk, now=world.now)
    assert suits(world, freed) == []


def test_who_gave_the_time_back_is_not_offered_it(world: World) -> None:
    on_waitlist(world)
    assert suits(world, freed_time(world, patient=world.patient)) == []


def test_an_appointment_that_they_have_already_is_said(world: World) -> None:
    later = services.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=world.clerk, now=world.now
    )
    on_waitlist(world)
    found = services.matches(freed_time(world), now=world.now)
    assert [match.booked_already for match in found] == [later]


def test_patients_of_other_sites_are_not_shown(world: World) -> None:
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    ours = on_waitlist(world)
    theirs = on_waitlist(world, patient=world.another_patient(2, site=far))
    freed = freed_time(world)
    assert suits(world, freed, by=world.clerk) == [ours]
    assert suits(world, freed, by=world.admin) == [ours, theirs]


def test_thirty_who_wait_cost_as_many_queries_as_three(world: World) -> None:
    freed = freed_time(world)

    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            services.matches(freed, by=world.clerk, now=world.now)
        return len(captured)

    for number in range(2, 5):
        another_waiting(world, number, clinicians=[world.doctor], sites=[world.site])
    few = cost()
    for number in range(5, 32):
        another_waiting(world, number, clinicians=[world.doctor], sites=[world.site])
    assert cost() == few <= 8
    assert len(suits(world, freed)) == waitlist_matching.NAMED


def test_different_wishes_are_looked_at_up_to_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waitlist_matching, "CHECKED", 1)
    first = another_waiting(world, 2)
    another_waiting(world, 3, laterality="right")
    same = another_waiting(world, 4)
    assert suits(world, freed_time(world)) == [first, same]


# Booking from it.


def test_booking_closes_the_entry_and_the_freed_time(world: World) -> None:
    waits, freed = on_waitlist(world, clinicians=[world.doctor], note="call the son"), freed_time(world)
    booked = services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    assert (booked.patient, booked.starts_at, booked.status) == (
        world.patient,
        freed.starts_at,
        "booked",
    )
    assert (booked.region, booked.laterality, booked.booked_by) == ("lumbar", "left", world.clerk)
    waits.refresh_from_db()
    freed.refresh_from_db()
    assert (waits.closed_reason, waits.appointment, waits.closed_at) == ("booked", booked, world.now)
    assert (freed.closed_reason, freed.closed_by) == ("filled", world.clerk)
    assert {"waitlist.booked", "freed_time.filled", "appointment.booked"} <= {
        *AuditEvent.objects.values_list("action", flat=True)
    }


def test_another_time_can_be_booked_from_the_waitlist(world: World) -> None:
    waits = on_waitlist(world)
    booked = services.book_from_waitlist(
        waits.pk,
        starts_at=world.at(MONDAY, 13),
        site=world.site,
        resources=[world.room],
        by=world.clerk,
        now=world.now,
    )
    waits.refresh_from_db()
    assert (waits.appointment, booked.starts_at) == (booked, world.at(MONDAY, 13))


def test_a_booking_that_is_refused_leaves_both_open(world: World) -> None:
    waits, freed = on_waitlist(world), freed_time(world)
    services.book(world.appointment(patient=world.another_patient(5)), by=world.clerk, now=world.now)
    with pytest.raises(Refusal) as refused:
        services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    assert refused.value.code == "taken"
    waits.refresh_from_db()
    freed.refresh_from_db()
    assert (waits.closed_at, waits.appointment, freed.closed_at) == (None, None, None)


def test_a_second_booking_is_told_why_not(world: World) -> None:
    waits, freed, late = on_waitlist(world), freed_time(world), another_waiting(world, 2)
    services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    for pk, code in ((waits.pk, "not_waiting"), (late.pk, "freed_time_closed")):
        with pytest.raises(Refusal) as refused:
            services.book_from_waitlist(pk, freed_id=freed.pk, by=world.clerk, now=world.now)
        assert refused.value.code == code


def test_a_time_that_has_begun_is_not_given_away(world: World) -> None:
    waits, freed = on_waitlist(world), freed_time(world)
    with pytest.raises(Refusal) as refused:
        services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=freed.starts_at)
    assert refused.value.code == "freed_time_closed"


def test_no_accepted_clinician_at_the_site_is_a_refusal(world: World) -> None:
    far = Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")
    waits = on_waitlist(world, clinicians=[resource("Dr Far", world.doctor.categories.get(), far)])
    with pytest.raises(Refusal) as refused:
        services.book_from_waitlist(waits.pk, freed_id=freed_time(world).pk, by=world.clerk, now=world.now)
    assert (refused.value.code, refused.value.field) == ("not_here", "resources")


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_fill_the_same_time_at_once_one_wins(world: World) -> None:
    entries, freed = [on_waitlist(world), another_waiting(world, 2)], freed_time(world)

    def fill(waits: WaitlistEntry) -> Any:
        return lambda: services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now)

    assert run_together(*map(fill, entries)) == {"won": 1, "freed_time_closed": 1}
    freed.refresh_from_db()
    booked = Appointment.objects.get(status="booked")
    won = WaitlistEntry.objects.get(appointment=booked)
    lost = WaitlistEntry.objects.exclude(pk=won.pk).get()
    assert (freed.closed_reason, won.closed_reason) == ("filled", "booked")
    assert (won.patient, booked.starts_at) == (booked.patient, freed.starts_at)
    assert (lost.closed_at, lost.closed_reason, lost.appointment) == (None, "", None)


@pytest.mark.django_db(transaction=True)
def test_of_two_clerks_who_book_the_same_patient_at_once_one_wins(world: World) -> None:
    waits, freed = on_waitlist(world), [freed_time(world), freed_time(world, starts_at=world.at(MONDAY, 13))]

    def fill(freed_time: FreedTime) -> Any:
        return lambda: services.book_from_waitlist(
            waits.pk, freed_id=freed_time.pk, by=world.clerk, now=world.now
        )

    assert run_together(*map(fill, freed)) == {"won": 1, "not_waiting": 1}
    assert Appointment.objects.filter(status="booked").count() == 1
    assert FreedTime.objects.filter(closed_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_direct_booking_of_the_freed_time_at_once_leaves_one_of_them(world: World) -> None:
    waits, freed = on_waitlist(world), freed_time(world)
    rival = world.another_patient(7)
    ended = run_together(
        lambda: services.book_from_waitlist(waits.pk, freed_id=freed.pk, by=world.clerk, now=world.now),
        lambda: services.book(world.appointment(patient=rival), by=world.clerk, now=world.now),
    )
    assert ended == {"won": 1, "taken": 1}
    waits.refresh_from_db()
    freed.refresh_from_db()
    booked = Appointment.objects.get(status="booked")
    assert (freed.closed_reason == "filled") == (booked.patient == world.patient)
    assert (waits.appointment_id is not None) == (booked.patient == world.patient)
