"""What must not be booked is not booked through any door: service, API, each form of the desk, calendar, import."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from clinic.csv_import.imports import Mode
from clinic.models import Closure, Resource, ResourceCategory
from clinic.refusals import Refusal
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, errors, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY
from clinic.timezones import instant
from procedures import services
from procedures.models import Appointment, Reservation
from procedures.services.imports import import_appointments
from procedures.tests.factories import World, appointment_row, appointments_csv, booking_request, on_waitlist

#: Takes the wall time at which something is to begin; returns the code of the refusal, "" when there was none.
Try = Callable[[datetime], str]
#: Makes ready what its way needs, and returns the way.
Door = Callable[[World], Try]

TUESDAY = MONDAY + timedelta(days=1)
NINE = datetime(2027, 1, 11, 9)  # noqa: DTZ001  a wall time
DESK = "/admin/procedures/"
PAGE = f"{DESK}appointment/"
#: What a page says where it shows a sentence and no code.
SAID = {
    " is closed ": "closed",
    "has no privilege": "no_privilege",
    "does not work": "outside_hours",
    "There is no procedure room": "outside_hours",
    "is taken": "taken",
    " begin every ": "off_grid",
    "The last day that can be booked": "too_far_ahead",
}


def code_of(act: Callable[[], object]) -> str:
    try:
        act()
    except Refusal as refusal:
        return str(refusal.code)
    return ""


def expected(world: World) -> Appointment:
    """What is there to be moved."""
    at = world.at(TUESDAY, 9)
    return services.book(world.appointment(starts_at=at), by=world.clerk, now=world.now)


def requested(world: World) -> Appointment:
    """What is there to be accepted."""
    at = world.at(TUESDAY, 9)
    return services.book(world.appointment(starts_at=at), by=world.clerk, now=world.now, request=True)


def sent(world: World, path: str, inputs: dict[str, Any]) -> str:
    """How the API answers the clerk."""
    response = call(world.clerk, "POST", path, inputs, now=world.now)
    return "" if response.status_code < 300 else faults(response)[0][1]


def filled_in(world: World, address: str, wall: datetime, **more: Any) -> str:
    """How a form of the desk answers the clerk."""
    typed = {"starts_0": f"{wall:%Y-%m-%d}", "starts_1": f"{wall:%H:%M}"} | more
    with clock(world.now):
        response = signed_in(world.clerk).post(f"{DESK}{address}", typed)
    return "" if response.status_code == 302 else next(iter(errors(response).values()))[0]


def clicked(world: World, query: str, wall: datetime, **more: Any) -> str:
    """How the Book screen answers the clerk who clicks a button that an older page still shows."""
    slot = f"{instant(wall, world.site.zone):%Y-%m-%dT%H:%MZ} {world.site.pk}"
    with clock(world.now):
        response = signed_in(world.clerk).post(
            f"{PAGE}find/?{query}".format(slot=slot), {"slot": slot} | more
        )
    if response.status_code == 302:
        return ""
    return next(code for said, code in SAID.items() if said in words(response))


def by_service(world: World, **how: Any) -> Try:
    def attempt(wall: datetime) -> str:
        asked = world.appointment(starts_at=instant(wall, world.site.zone))
        return code_of(lambda: services.book(asked, by=world.clerk, now=world.now, **how))

    return attempt


def by_api(world: World, **how: Any) -> Try:
    return lambda wall: sent(
        world, "appointments/", booking_request(world, starts_at=wall.isoformat(), **how)
    )


def moved_by_api(world: World) -> Try:
    old = expected(world)
    return lambda wall: sent(world, f"appointments/{old.pk}/reschedule/", {"starts_at": wall.isoformat()})


def accepted_by_api(world: World) -> Try:
    asked = requested(world)
    return lambda wall: sent(world, f"appointments/{asked.pk}/accept/", {"starts_at": wall.isoformat()})


def from_waitlist_by_api(world: World) -> Try:
    entry = on_waitlist(world)
    return lambda wall: sent(
        world, f"waitlist/{entry.pk}/book/", {"site": world.site.pk, "starts_at": wall.isoformat()}
    )


def typed(world: World) -> Try:
    asked = {
        "patient": world.patient.pk, "procedure_type": world.ablation.pk, "site": world.site.pk,
        "region": "lumbar", "laterality": "left",
    }  # fmt: skip
    return lambda wall: filled_in(world, "appointment/add/", wall, **asked)


def moved_at_the_desk(world: World) -> Try:
    old = expected(world)
    return lambda wall: filled_in(world, f"appointment/{old.pk}/reschedule/", wall)


def accepted_at_the_desk(world: World) -> Try:
    asked = requested(world)
    return lambda wall: filled_in(world, f"appointment/{asked.pk}/accept/", wall)


def from_waitlist_at_the_desk(world: World) -> Try:
    entry = on_waitlist(world)
    address = f"waitlistentry/{entry.pk}/book/"
    return lambda wall: filled_in(world, address, wall, site=world.site.pk)


def held_on_the_screen(world: World) -> Try:
    asked = f"patient={world.patient.pk}&procedure_type={world.ablation.pk}&region=lumbar&laterality=left"
    return lambda wall: clicked(world, asked, wall, key="k")


def moved_on_the_screen(world: World) -> Try:
    old = expected(world)
    return lambda wall: clicked(world, f"move={old.pk}&slot={{slot}}", wall)


def dropped(world: World) -> Try:
    old = expected(world)

    def attempt(wall: datetime) -> str:
        inputs, desk = {"appointment": old.pk, "starts": wall.isoformat()}, signed_in(world.clerk)
        with clock(world.now):
            asked = desk.post(f"{PAGE}week/move/?{beside(old)}", inputs | {"check": "1"})
            desk.post(f"{PAGE}week/move/?{beside(old)}", inputs)  # who does not ask first
        return "" if asked.status_code == 200 else str(asked.json()["code"])

    return attempt


def imported(world: World) -> Try:
    def attempt(wall: datetime) -> str:
        data = appointments_csv(appointment_row(date=f"{wall:%Y-%m-%d}", time=f"{wall:%H:%M}"))
        report = import_appointments(data, mode=Mode.GOOD, by=world.clerk, now=world.now)
        return report.refusals[0].code if report.refusals else ""

    return attempt


#: Doors that are told an instant: the wall time was understood before.
INSTANTS: dict[str, Door] = {
    "service": by_service,
    "hold": lambda world: by_service(world, hold=True),
    "hold on the screen": held_on_the_screen,
    "move on the screen": moved_on_the_screen,
}
#: Doors that are told what the clock on the wall shows.
WALLS: dict[str, Door] = {
    "API": by_api,
    "hold by API": lambda world: by_api(world, hold=True),
    "move by API": moved_by_api,
    "accept by API": accepted_by_api,
    "from the waitlist by API": from_waitlist_by_api,
    "form": typed,
    "form to move": moved_at_the_desk,
    "form to accept": accepted_at_the_desk,
    "from the waitlist": from_waitlist_at_the_desk,
    "calendar": dropped,
    "import": imported,
}
DOORS = INSTANTS | WALLS


def close(world: World, **what: Any) -> None:
    day = {"starts_at": world.at(MONDAY, 0), "ends_at": world.at(TUESDAY, 0), "reason": "Epiphany"}
    services.close(Closure(**day | what), by=None, now=world.now)


def holiday(world: World) -> None:
    close(world, site=world.site)


def yearly_holiday(world: World) -> None:
    """Written down years ago, as the clinic began."""
    span = {"starts_at": world.at(date(2025, 1, 11), 0), "ends_at": world.at(date(2025, 1, 12), 0)}
    close(world, site=world.site, yearly=True, **span)


def closed_room(world: World) -> None:
    close(world, resource=world.room)


def room_out_of_use(world: World) -> None:
    Resource.objects.filter(pk=world.room.pk).update(active=False)


def no_privilege(world: World) -> None:
    ResourceCategory.objects.filter(code="physician").update(needs_privilege=True)


def taken(world: World) -> None:
    rival = world.appointment(patient=world.another_patient(77))
    services.book(rival, by=None, now=world.now)


def nothing(world: World) -> None:
    pass


OBSTACLES = {
    "holiday": (holiday, NINE, "closed"),
    "yearly holiday": (yearly_holiday, NINE, "closed"),
    "closed room": (closed_room, NINE, "closed"),
    "room out of use": (room_out_of_use, NINE, "outside_hours"),
    "no privilege": (no_privilege, NINE, "no_privilege"),
    "taken": (taken, NINE, "taken"),
    "across midnight": (nothing, NINE.replace(hour=23, minute=30), "outside_hours"),
    "on a Sunday": (nothing, NINE - timedelta(days=1), "outside_hours"),
    "in the third year": (nothing, NINE.replace(year=2029), "too_far_ahead"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_no_door_leads_past_what_is_in_the_way(world: World, door: str, obstacle: str) -> None:
    put_in_the_way, wall, code = OBSTACLES[obstacle]
    attempt = DOORS[door](world)
    put_in_the_way(world)
    before = list(Appointment.objects.order_by("pk").values()), Reservation.objects.count()
    assert attempt(wall) == code
    assert (list(Appointment.objects.order_by("pk").values()), Reservation.objects.count()) == before


@pytest.mark.parametrize("door", [name for name in DOORS if name != "import"])
def test_no_door_leads_off_the_grid(world: World, door: str) -> None:
    attempt = DOORS[door](world)
    assert attempt(NINE + timedelta(minutes=7)) == "off_grid"
    assert not Appointment.objects.filter(starts_at=world.at(MONDAY, 9, 7)).exists()


def test_what_is_imported_begins_at_any_minute(world: World) -> None:
    assert imported(world)(NINE + timedelta(minutes=7)) == ""
    assert Appointment.objects.get().starts_at == world.at(MONDAY, 9, 7)


@pytest.mark.parametrize("door", DOORS)
def test_every_door_is_open_where_nothing_is_in_the_way(world: World, door: str) -> None:
    """If this fails, the test above proves nothing."""
    attempt = DOORS[door](world)
    assert attempt(NINE) == ""
    assert Reservation.objects.filter(appointment__starts_at=world.at(MONDAY, 9), released_at=None).exists()


@pytest.mark.parametrize("door", WALLS)
def test_no_door_knows_a_time_that_the_clock_jumps_over(world: World, door: str) -> None:
    for held in (world.room, world.bay, world.doctor):
        held.working_hours.create(site=world.site, weekday=6, opens="00:00", closes="23:59")
    attempt = WALLS[door](world)
    made = Reservation.objects.count()
    assert attempt(datetime(2027, 3, 14, 2, 30)) == "no_such_time"  # noqa: DTZ001
    assert Reservation.objects.count() == made
    assert attempt(datetime(2027, 3, 14, 3, 30)) == ""  # noqa: DTZ001


def test_a_time_that_is_closed_while_it_is_held_is_not_booked(world: World) -> None:
    """The hold took it first, but a hold is no booking: the clerk hears of it while the patient is on the line."""
    closures: list[dict[str, Any]] = [{"site": world.site}, {"resource": world.bay}]
    for number, what in enumerate(closures):
        patient = world.another_patient(80 + number)
        held = services.book(world.appointment(patient=patient), by=world.clerk, now=world.now, hold=True)
        closure = Closure(
            starts_at=world.at(MONDAY, 10), ends_at=world.at(MONDAY, 11), reason="Burst pipe", **what
        )
        assert list(services.displaced_by(closure, now=world.now)) == [held]
        services.close(closure, by=None, now=world.now)
        pk = held.pk
        assert code_of(partial(services.take_step, pk, "book", by=None, now=world.now)) == "closed"
        response = call(world.clerk, "POST", f"appointments/{pk}/book/", {}, now=world.now)
        assert faults(response) == [("starts_at", "closed")]
        held.refresh_from_db()
        assert held.status == "held"
        services.reopen(closure, by=None, now=world.now)
        assert services.take_step(held.pk, "book", by=None, now=world.now).status == "booked"
        services.cancel(held.pk, reason="next", by=None, now=world.now)
