"""Finding a time: what is offered can be booked, what can be booked is offered, on every wall clock."""

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.models import Closure, Resource, ResourceCategory, Site, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.factories import MONDAY
from clinic.timezones import NoSuchTime, day_span, instant
from procedures import services
from procedures.availability import (
    Slot,
    by_day,
    find_slots,
    first_available,
    same_clinician,
)
from procedures.models import Privilege, ResourceRequirement
from procedures.services.booking import HOLD_LASTS
from procedures.tests.factories import World

DAY = timedelta(days=1)


def find(world: World, first: date = MONDAY, days: int = 1, **values: Any) -> list[Slot]:
    """The slots of that many days on the wall clock of the world's site, for anybody."""
    defaults: dict[str, Any] = {
        "sites": [world.site],
        "starts_from": day_span(first, world.site.zone)[0],
        "starts_before": day_span(first + days * DAY, world.site.zone)[0],
        "now": world.now,
    }
    kind = values.pop("procedure_type", world.ablation)
    return find_slots(kind, **defaults | values)


def walls(slots: Iterable[Slot]) -> list[str]:
    return [f"{slot.wall:%H:%M}" for slot in slots]


def every(minutes: int, first: str, last: str) -> list[str]:
    """Wall times from `first` to `last`, both included."""
    low, high = (int(text[:2]) * 60 + int(text[3:]) for text in (first, last))
    return [f"{at // 60:02}:{at % 60:02}" for at in range(low, high + 1, minutes)]


def bookable(world: World, at: datetime, *, now: datetime | None = None, **values: Any) -> bool:
    """Whether booking says yes."""
    resources = values.pop("resources", ())
    patient = values.pop("patient", None) or world.patient
    appointment = world.appointment(starts_at=at, patient=patient, **values)
    try:
        services.preview_booking(appointment, resources=resources, now=now or world.now)
    except (Refusal, ValidationError):
        return False
    return True


# What is offered


def test_an_empty_day_offers_every_start_from_which_everything_fits(world: World) -> None:
    slots = find(world)
    assert walls(slots) == every(15, "08:00", "15:15")  # the bay closes at 17:00, 105 minutes later
    first = slots[0]
    assert (first.starts_at, first.ends_at) == (world.at(MONDAY, 8), world.at(MONDAY, 9, 45))
    assert first.starts_at.tzinfo == UTC
    assert [(held.category, held.name) for held in first.resources] == [
        ("Physician", "Dr Test"),
        ("Procedure room", "Room 1"),
        ("Recovery bay", "Bay 1"),
    ]
    assert [held.resource_id for held in first.resources] == [world.doctor.pk, world.room.pk, world.bay.pk]


def test_a_booking_takes_the_starts_that_would_need_what_it_holds(world: World) -> None:
    services.book(world.appointment(starts_at=world.at(MONDAY, 10)), by=None, now=world.now)
    # The physician and the room until 10:45, the bay from 10:45 to 11:45.
    assert walls(find(world)) == [*every(15, "08:00", "09:00"), *every(15, "11:00", "15:15")]


def test_what_is_held_is_what_booking_holds(world: World) -> None:
    spare = Resource.objects.create(name="Another room", site=world.site)
    spare.categories.add(ResourceCategory.objects.get(code="procedure_room"))
    WorkingHours.objects.create(resource=spare, site=world.site, weekday=0, opens=time(12), closes=time(17))
    for slot in find(world)[::4]:
        reservations = services.preview_booking(world.appointment(starts_at=slot.starts_at), now=world.now)
        assert {held.resource_id for held in slot.resources} == {each.resource_id for each in reservations}
    assert "Room 1" in {held.name for held in find(world)[0].resources}
    assert "Another room" in {held.name for held in find(world)[-1].resources}


def test_the_past_is_not_offered(world: World) -> None:
    assert walls(find(world, now=world.at(MONDAY, 13, 1)))[:2] == ["13:15", "13:30"]
    assert walls(find(world, now=world.at(MONDAY, 13)))[0] == "13:00"
    assert find(world, now=world.at(MONDAY, 18)) == []


def test_the_span_is_half_open(world: World) -> None:
    span: dict[str, Any] = {"starts_from": world.at(MONDAY, 9), "starts_before": world.at(MONDAY, 10)}
    assert walls(find(world, **span)) == ["09:00", "09:15", "09:30", "09:45"]
    assert find(world, **span | {"starts_before": world.at(MONDAY, 9)}) == []
    assert find(world, **span | {"starts_before": world.at(MONDAY, 8)}) == []


@pytest.mark.parametrize("minutes", [5, 10, 15])
def test_starts_lie_on_the_grid_of_the_site(world: World, minutes: int) -> None:
    Site.objects.update(grid_minutes=minutes)
    world.site.refresh_from_db()
    WorkingHours.objects.update(opens=time(8, 7))
    first = {5: "08:10", 10: "08:10", 15: "08:15"}[minutes]
    assert walls(find(world)) == every(minutes, first, "15:15")


def test_the_grid_is_that_of_the_wall_where_the_wall_is_45_minutes_off(world: World) -> None:
    world.site.time_zone, world.site.grid_minutes = "Asia/Kathmandu", 10
    world.site.save()
    assert walls(find(world)) == every(10, "08:00", "15:10")


def test_what_ends_between_whole_seconds_does_not_shift_the_grid(world: World) -> None:
    Closure.objects.create(
        resource=world.room,
        starts_at=world.at(MONDAY, 10, 30) + timedelta(microseconds=1),
        ends_at=world.at(MONDAY, 11) + timedelta(microseconds=1),
        reason="Cleaning",
    )
    assert walls(find(world))[:9] == [*every(15, "08:00", "09:45"), "11:15"]


def test_nothing_is_offered_of_what_cannot_be_booked_at_all(world: World) -> None:
    assert find(world, sites=[]) == []
    Resource.objects.filter(pk=world.bay.pk).update(active=False)
    assert find(world) == []
    Resource.objects.update(active=True)
    world.ablation.active = False
    assert find(world) == []
    world.ablation.active = True
    assert find(world)
    ResourceRequirement.objects.all().delete()
    assert find(world) == []


def test_nothing_is_offered_to_a_patient_who_cannot_be_booked(world: World) -> None:
    other = world.another_patient()
    assert find(world, patient=other)
    other.died_on = MONDAY
    assert find(world, patient=other) == []
    other.died_on, other.merged_into = None, world.patient
    assert find(world, patient=other) == []


def test_the_limit_keeps_the_first(world: World) -> None:
    assert walls(find(world, limit=3)) == ["08:00", "08:15", "08:30"]
    assert find(world, limit=0) == []


def test_one_query_however_long_the_span_and_however_many_sites(world: World) -> None:
    second = another_site(world, "America/Phoenix")
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert (
            len(find(world, days=300, sites=[world.site, second], patient=world.patient, limit=9000)) > 8000
        )
    assert len(captured) == 1
    with CaptureQueriesContext(connection) as captured:
        assert not first_available(
            world.ablation,
            sites=[world.site],
            starts_from=world.now,
            starts_before=world.now + 60 * DAY,
            now=world.now,
            clinician=Resource(pk=0),
        )
    assert len(captured) == 2


# Who and where


def test_any_of_a_category_or_the_chosen_one(world: World) -> None:
    second = twin(world.doctor, "Dr Second")
    services.book(world.appointment(), resources=[world.doctor], by=None, now=world.now)
    assert "09:00" not in walls(find(world))  # the room is taken too
    twin(world.room, "Room 2")
    twin(world.bay, "Bay 2")
    (at_nine,) = (slot for slot in find(world) if f"{slot.wall:%H:%M}" == "09:00")
    assert [held.name for held in at_nine.resources] == ["Dr Second", "Room 2", "Bay 1"] or [
        held.name for held in at_nine.resources
    ] == ["Dr Second", "Room 2", "Bay 2"]
    assert "09:00" in walls(find(world, clinician=second))
    assert "09:00" not in walls(find(world, clinician=world.doctor))
    assert "09:00" not in walls(find(world, resources=[world.room]))
    both = find(world, resources=[world.doctor, second])
    assert "09:00" in walls(both)


def test_a_chosen_resource_that_cannot_serve_leaves_nothing(world: World) -> None:
    stray = Resource.objects.create(name="Microscope", site=world.site)
    assert find(world, resources=[stray]) == []
    retired = twin(world.doctor, "Dr Retired")
    Resource.objects.filter(pk=retired.pk).update(active=False)
    assert find(world, clinician=retired) == []
    assert find(world, resources=[world.doctor, retired]) == []


def test_who_works_at_two_sites_is_offered_where_the_hours_are(world: World) -> None:
    second = another_site(world, "America/Phoenix", doctor=False)
    WorkingHours.objects.filter(resource=world.doctor, weekday=0).delete()
    for site, opens, closes in ((world.site, 8, 10), (second, 13, 17)):
        WorkingHours.objects.create(
            resource=world.doctor, site=site, weekday=0, opens=time(opens), closes=time(closes)
        )
    slots = find(world, sites=[world.site, second], clinician=world.doctor)
    assert walls(slot for slot in slots if slot.site == world.site) == every(15, "08:00", "09:15")
    assert walls(slot for slot in slots if slot.site == second) == every(15, "13:00", "15:15")
    assert [slot.starts_at for slot in slots] == sorted(slot.starts_at for slot in slots)
    # Held at one site, taken at the other: 15:00 in New York is 13:00 in Phoenix.
    WorkingHours.objects.filter(resource=world.doctor, site=world.site).update(closes=time(17))
    services.book(world.appointment(starts_at=world.at(MONDAY, 15)), by=None, now=world.now)
    assert walls(find(world, sites=[second]))[:2] == ["13:45", "14:00"]


def test_sites_at_the_same_instant_come_in_the_order_asked_for(world: World) -> None:
    second = another_site(world, "America/New_York")
    for sites in ([world.site, second], [second, world.site]):
        assert [slot.site for slot in find(world, sites=sites)[:4]] == sites * 2


def test_one_resource_never_serves_two_needs_at_once(world: World) -> None:
    nurse = ResourceCategory.objects.create(code="assistant", name="Assistant")
    ResourceRequirement.objects.create(procedure_type=world.ablation, category=nurse, lasts_minutes=45)
    world.doctor.categories.add(nurse)  # who is then both
    assert find(world) == []
    assert not bookable(world, world.at(MONDAY, 9))
    second = twin(world.doctor, "Dr Second")
    assert find(world)
    for slot in find(world):
        assert {world.doctor.pk, second.pk} < {held.resource_id for held in slot.resources}
        assert bookable(world, slot.starts_at)


def test_privileges_are_wanted_of_who_needs_them_and_on_the_day(world: World) -> None:
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
    assert find(world, days=7) == []
    other = Privilege.objects.create(resource=world.doctor, family="epidural")
    assert find(world, days=7) == []
    other.family, other.valid_until_on = "radiofrequency_ablation", MONDAY + DAY
    other.save()
    assert list(by_day(find(world, days=7))) == [MONDAY, MONDAY + DAY]
    other.valid_until_on = None
    other.save()
    assert len(by_day(find(world, days=7))) == 5


def test_a_privilege_ends_with_its_day_on_the_wall(world: World) -> None:
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
    WorkingHours.objects.all().delete()
    for resource in (world.doctor, world.room, world.bay):
        hours(resource, world.site, range(7), time(0), time(23, 59))
    Privilege.objects.create(resource=world.doctor, family="radiofrequency_ablation", valid_until_on=MONDAY)
    slots = find(world, days=2)
    assert walls(slots)[-1] == "23:45"  # begun on the last day
    assert {slot.wall.date() for slot in slots} == {MONDAY}
    assert not bookable(world, world.at(MONDAY + DAY, 0))
    assert bookable(world, world.at(MONDAY, 23, 45))


# What is in the way


def test_set_up_and_turnover_are_kept_free(world: World) -> None:
    ResourceRequirement.objects.filter(category__code="procedure_room").update(
        setup_minutes=15, turnover_minutes=10
    )
    services.book(world.appointment(starts_at=world.at(MONDAY, 11)), by=None, now=world.now)
    # The room is held from 10:45 to 11:55; it opens at eight, so nothing begins before 08:15.
    assert walls(find(world)) == [*every(15, "08:15", "09:45"), *every(15, "12:15", "15:15")]


def test_closures_of_a_site_and_of_a_resource(world: World) -> None:
    Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY, 0), ends_at=world.at(MONDAY, 12), reason="Holiday"
    )
    Closure.objects.create(
        resource=world.bay, starts_at=world.at(MONDAY, 15), ends_at=world.at(MONDAY, 16), reason="Repair"
    )
    assert walls(find(world)) == [*every(15, "12:00", "13:15"), "15:15"]


def test_a_hold_is_taken_until_it_runs_out(world: World) -> None:
    held = services.book(world.appointment(), by=None, now=world.now, hold=True)
    assert held.held_until == world.now + HOLD_LASTS
    for patient in (None, world.patient):
        before = find(world, now=held.held_until - timedelta(seconds=1), patient=patient)
        after = find(world, now=held.held_until, patient=patient)
        assert "09:00" not in walls(before)
        assert "09:00" in walls(after)
    services.book(world.appointment(patient=world.another_patient()), by=None, now=held.held_until)


def test_a_cancelled_appointment_frees_its_time_unless_somebody_was_squeezed_in(world: World) -> None:
    appointment = services.book(world.appointment(), by=None, now=world.now)
    assert "09:00" not in walls(find(world))
    Resource.objects.update(overbooking=1)
    squeezed = services.book(
        world.appointment(patient=world.another_patient(), overbooked_reason="In pain"),
        by=world.physician,
        now=world.now,
    )
    third = world.another_patient(3)
    for leaving, free in ((appointment, False), (squeezed, True)):
        services.cancel(leaving.pk, reason="ill", by=None, now=world.now)
        assert ("09:00" in walls(find(world))) == free
        assert bookable(world, world.at(MONDAY, 9), patient=third) == free


def test_the_patient_is_not_in_two_places(world: World) -> None:
    for resource in (world.doctor, world.room, world.bay):
        twin(resource, f"{resource} too")
    services.book(world.appointment(starts_at=world.at(MONDAY, 11)), by=None, now=world.now)
    assert walls(find(world)) == every(15, "08:00", "15:15")
    own = find(world, patient=world.patient)
    assert walls(own) == [*every(15, "08:00", "09:15"), *every(15, "12:45", "15:15")]


def test_what_is_to_be_moved_is_not_in_its_own_way(world: World) -> None:
    old = services.book(world.appointment(starts_at=world.at(MONDAY, 11)), by=None, now=world.now)
    assert walls(find(world, patient=world.patient, replacing=old)) == every(15, "08:00", "15:15")
    moved = services.reschedule(old.pk, starts_at=world.at(MONDAY, 11, 30), by=None, now=world.now)
    assert moved.starts_at == world.at(MONDAY, 11, 30)


def test_an_appointment_may_run_over_midnight_where_the_hours_do(world: World) -> None:
    WorkingHours.objects.all().delete()
    for resource in (world.doctor, world.room, world.bay):
        hours(resource, world.site, [0], time(20), time(23, 59))
        hours(resource, world.site, [1], time(0), time(2))
    slots = find(world, days=2)
    assert [f"{slot.wall:%d %H:%M}" for slot in slots[-3:]] == ["11 23:45", "12 00:00", "12 00:15"]
    assert len(slots) == 4 * 4 + 2
    assert all(bookable(world, slot.starts_at) for slot in slots)
    # And a span that begins at midnight sees what began before it.
    services.book(world.appointment(starts_at=world.at(MONDAY, 23, 30)), by=None, now=world.now)
    assert find(world, MONDAY + DAY) == []


def test_hours_that_overlap_count_once_and_join(world: World) -> None:
    for resource in (world.doctor, world.room, world.bay):
        WorkingHours.objects.filter(resource=resource).delete()
        hours(resource, world.site, [0], time(8), time(12))
        hours(resource, world.site, [0], time(10), time(17))
        hours(resource, world.site, [0], time(10), time(17))
    slots = find(world)
    assert walls(slots) == every(15, "08:00", "15:15")
    assert all(bookable(world, slot.starts_at) for slot in slots)  # through noon, where one span ends


def test_hours_hold_while_they_are_valid(world: World) -> None:
    WorkingHours.objects.filter(resource=world.doctor).update(
        valid_from_on=MONDAY + DAY, valid_until_on=MONDAY + 7 * DAY
    )
    days = [MONDAY + number * DAY for number in (1, 2, 3, 4, 7)]
    assert list(by_day(find(world, days=14))) == days


# Clock changes: the wall times that are offered on the day, literally


@pytest.mark.parametrize(
    ("zone", "day", "offered"),
    [
        ("America/New_York", date(2027, 3, 14), ["00:30", "01:00", "01:30", "03:00", "03:30", "04:00"]),
        (
            "America/New_York",
            date(2027, 11, 7),
            ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"],
        ),
        # Half an hour only: from 02:00 to 02:30 in October, from 02:00 to 01:30 in April.
        (
            "Australia/Lord_Howe",
            date(2027, 10, 3),
            ["00:30", "01:00", "01:30", "02:30", "03:00", "03:30", "04:00"],
        ),
        (
            "Australia/Lord_Howe",
            date(2027, 4, 4),
            ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"],
        ),
        (
            "America/Phoenix",
            date(2027, 3, 14),
            ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"],
        ),
        (
            "America/Phoenix",
            date(2027, 11, 7),
            ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"],
        ),
        ("Europe/London", date(2027, 3, 28), ["00:30", "02:00", "02:30", "03:00", "03:30", "04:00"]),
        (
            "Europe/London",
            date(2027, 10, 31),
            ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"],
        ),
    ],
)
def test_on_the_day_of_a_clock_change(world: World, zone: str, day: date, offered: list[str]) -> None:
    """Hours from 00:30 to 05:45 on the wall, an appointment of 105 minutes, starts at every half hour."""
    world.site.time_zone = zone
    world.site.save()
    WorkingHours.objects.all().delete()
    for resource in (world.doctor, world.room, world.bay):
        hours(resource, world.site, range(7), time(0, 30), time(5, 45))
    slots = [slot for slot in find(world, day, now=world.now) if slot.wall.minute % 30 == 0]
    assert walls(slots) == offered
    assert {slot.starts_at for slot in slots} == {
        instant(slot.wall.replace(tzinfo=None, fold=0), world.site.zone) for slot in slots
    }
    assert_agreement(world, day, 1)


@pytest.mark.parametrize("opens", [time(1), time(1, 30), time(2), time(2, 15), time(2, 30)])
@pytest.mark.parametrize("closes", [time(2), time(2, 30), time(3), time(4), time(23, 59)])
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", date(2027, 3, 14)),
        ("America/New_York", date(2027, 11, 7)),
        ("Australia/Lord_Howe", date(2027, 10, 3)),
        ("Australia/Lord_Howe", date(2027, 4, 4)),
        ("Atlantic/Azores", date(2027, 10, 31)),  # from 01:00 back to midnight
        ("Africa/Cairo", date(2027, 4, 30)),  # from midnight to 01:00
    ],
)
def test_hours_that_begin_or_end_in_a_clock_change(
    world: World, zone: str, day: date, opens: time, closes: time
) -> None:
    if closes <= opens:
        return
    world.site.time_zone = zone
    world.site.save()
    ResourceRequirement.objects.exclude(category__code="physician").delete()
    ResourceRequirement.objects.update(lasts_minutes=15)
    WorkingHours.objects.all().delete()
    hours(world.doctor, world.site, range(7), opens, closes)
    assert_agreement(world, day, 1)


# Agreement with booking


def assert_agreement(world: World, first: date, days: int, **values: Any) -> int:
    """Every grid time of the wall is offered if and only if booking takes it; how many are."""
    zone, step = world.site.zone, timedelta(minutes=world.site.grid_minutes)
    offered = [slot.starts_at for slot in find(world, first, days, limit=9000, **values)]
    values.pop("now", None)
    wall, possible = datetime.combine(first, time(0)), []
    while wall < datetime.combine(first + days * DAY, time(0)):
        try:
            at = instant(wall, zone)
        except NoSuchTime:
            at = None
        if at and at >= world.now and bookable(world, at, **values):
            possible.append(at)
        wall += step
    assert offered == possible
    return len(offered)


ZONES = ("America/New_York", "Australia/Lord_Howe", "America/Phoenix", "Europe/London", "Asia/Kathmandu")


@pytest.mark.parametrize("seed", range(40))
def test_random_clinics_agree_with_booking(world: World, seed: int) -> None:
    """Hours, closures, reservations, buffers, privileges, shared categories and choices, all drawn at random."""
    dice = random.Random(seed)
    world.site.time_zone, world.site.grid_minutes = dice.choice(ZONES), dice.choice((10, 15))
    world.site.save()
    first = dice.choice((MONDAY, date(2027, 3, 13), date(2027, 3, 27), date(2027, 4, 3), date(2027, 10, 30)))
    everybody = [world.doctor, world.room, world.bay]
    for original in tuple(everybody):
        everybody += [twin(original, f"{original} {number}") for number in range(dice.randrange(3))]
    categories = list(ResourceCategory.objects.all())
    for resource in everybody:
        if dice.random() < 0.2:
            resource.categories.add(dice.choice(categories))
        WorkingHours.objects.filter(resource=resource).delete()
        for _ in range(dice.randrange(1, 4)):
            opens = dice.randrange(0, 12 * 60, 5)
            closes = min(opens + dice.randrange(120, 1200, 5), 24 * 60 - 1)
            valid = {"valid_from_on": first + DAY} if dice.random() < 0.2 else {}
            hours(resource, world.site, range(7), clock_time(opens), clock_time(closes), **valid)
    for requirement in ResourceRequirement.objects.all():
        requirement.setup_minutes, requirement.turnover_minutes = (
            dice.choice((0, 5, 20)),
            dice.choice((0, 10)),
        )
        requirement.save()
    if dice.random() < 0.3:  # then nothing is reserved while the patient recovers
        ResourceRequirement.objects.filter(category__code="recovery_bay").delete()
    if dice.random() < 0.3:
        ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
        for resource in everybody:
            if dice.random() < 0.7:
                Privilege.objects.create(
                    resource=resource,
                    family=world.ablation.family,
                    valid_until_on=dice.choice((None, first, first - DAY)),
                )
    start = day_span(first, world.site.zone)[0]
    for _ in range(dice.randrange(4)):
        at = start + timedelta(minutes=dice.randrange(0, 48 * 60, 7))
        what = {"site": world.site} if dice.random() < 0.3 else {"resource": dice.choice(everybody)}
        length = timedelta(minutes=dice.randrange(10, 300))
        Closure.objects.create(**what, starts_at=at, ends_at=at + length, reason="random")
    others = [world.patient, *(world.another_patient(number) for number in range(2, 5))]
    made = []
    Resource.objects.filter(pk__in=[resource.pk for resource in dice.sample(everybody, 2)]).update(
        overbooking=1
    )
    for _ in range(25):
        at = start + timedelta(minutes=dice.randrange(0, 48 * 60, 5))
        reason = "random" if dice.random() < 0.3 else ""
        asked = world.appointment(starts_at=at, patient=dice.choice(others), overbooked_reason=reason)
        try:
            made.append(services.book(asked, by=None, now=world.now))
        except Refusal:
            continue
    for item in dice.sample(made, len(made) // 4):
        services.cancel(item.pk, reason="random", by=None, now=world.now)
        made.remove(item)
    chosen = dice.sample(everybody, dice.choice((0, 0, 0, 1, 2)))
    assert_agreement(world, first, 2, patient=world.patient, resources=chosen)
    own = [appointment for appointment in made if appointment.patient_id == world.patient.pk]
    if own:
        offered = find(world, first, 2, patient=world.patient, replacing=own[0], limit=9000)
        for slot in dice.sample(offered, min(8, len(offered))):
            assert bookable(world, slot.starts_at, rescheduled_from=own[0])


# First available, same clinician, week at a glance


def test_first_available_looks_near_and_then_far(world: World) -> None:
    asked: dict[str, Any] = {
        "sites": [world.site],
        "starts_from": world.now,
        "starts_before": world.now + 90 * DAY,
        "now": world.now,
    }
    found = first_available(world.ablation, **asked)
    assert found
    assert found.starts_at == world.at(world.now.astimezone(world.site.zone).date(), 12)
    Closure.objects.create(
        site=world.site, starts_at=world.now, ends_at=world.at(MONDAY + 28 * DAY, 10), reason="Rebuilding"
    )
    far = first_available(world.ablation, **asked)
    assert far
    assert far.starts_at == world.at(MONDAY + 28 * DAY, 10)
    assert first_available(world.ablation, **asked | {"starts_before": world.at(MONDAY, 10)}) is None


def test_the_same_clinician_is_who_treated_the_patient_last(world: World) -> None:
    assert same_clinician(world.patient) is None
    procedure = world.performed()
    assert same_clinician(world.patient) is None  # nobody wrote down who it was
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)
    assert same_clinician(world.patient) == world.doctor
    second = twin(world.doctor, "Dr Second")
    second.user = world.nurse
    second.save()
    procedure.performer = world.nurse
    procedure.save()
    assert same_clinician(world.patient) == second
    procedure.performer = world.physician
    procedure.save()
    assert same_clinician(world.patient) == world.doctor
    Resource.objects.filter(pk=world.doctor.pk).update(active=False)
    assert same_clinician(world.patient) is None


def test_the_day_is_that_of_the_wall(world: World) -> None:
    world.site.time_zone = "Australia/Lord_Howe"  # where it is already Monday when it is Sunday in UTC
    world.site.save()
    assert [len(slots) for slots in by_day(find(world, MONDAY - DAY, days=3)).values()] == [30, 30]


# Making things


def clock_time(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


def hours(
    resource: Resource, site: Site, weekdays: Iterable[int], opens: time, closes: time, **values: Any
) -> None:
    """Hours at `site` on these weekdays, 0 for Monday."""
    WorkingHours.objects.bulk_create(
        WorkingHours(resource=resource, site=site, weekday=day, opens=opens, closes=closes, **values)
        for day in weekdays
    )


def twin(original: Resource, name: str) -> Resource:
    """One more resource of the same categories with the same hours."""
    made = Resource.objects.create(name=name, site=original.site)
    made.categories.set(original.categories.all())
    for each in original.working_hours.all():
        hours(made, each.site, [each.weekday], each.opens, each.closes)
    return made


def another_site(world: World, zone: str, *, doctor: bool = True) -> Site:
    """A second site in `zone` with a room and a bay, and with a physician unless told otherwise."""
    site = Site.objects.create(name=f"Second in {zone}", time_zone=zone, phone="+1 212 555 0101")
    for original in (world.room, world.bay, *([world.doctor] if doctor else [])):
        made = Resource.objects.create(name=original.name, site=site)
        made.categories.set(original.categories.all())
        hours(made, site, range(5), time(8), time(17))
    return site
