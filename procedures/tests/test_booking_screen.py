"""The Book screen: from a known patient to a booked time in three clicks, and every refusal said."""

import contextlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from clinic.models import Site
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, errors, levels, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment, Reservation
from procedures.tests.factories import World

FIND = "/admin/procedures/appointment/find/"


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    return signed_in(world.clerk, client)


def wanted(world: World, **changes: Any) -> dict[str, Any]:
    """What is searched for: the patient's left lumbar ablation, wherever and with whom it may be."""
    return {
        "patient": world.patient.pk,
        "procedure_type": world.ablation.pk,
        "region": "lumbar",
        "laterality": "left",
    } | changes


def look(desk: Client, world: World, at: Any = None, **changes: Any) -> Any:
    with clock(at or world.now):
        return desk.get(FIND, wanted(world, **changes))


def offered(response: Any) -> list[str]:
    return re.findall(r'name="slot" value="([^"]+)"', response.content.decode())


def key(response: Any) -> str:
    return str(response.context["key"])


def hold(desk: Client, world: World, page: Any, slot: str, **changes: Any) -> Any:
    query = "&".join(f"{name}={value}" for name, value in wanted(world, **changes).items())
    with clock(world.now):
        return desk.post(f"{FIND}?{query}", {"slot": slot, "key": key(page)})


def test_three_clicks_from_a_known_patient(desk: Client, world: World) -> None:
    page = look(desk, world)
    first = offered(page)[0]
    assert "First available: Friday 8 January, 12:00 EST" in words(page)
    held = hold(desk, world, page, first)
    assert held.status_code == 302
    appointment = Appointment.objects.get()
    assert appointment.status == Appointment.Status.HELD
    with clock(world.now):
        shown = desk.get(FIND + held["Location"].removeprefix(FIND))
        assert "Held until 12:10 EST" in words(shown)
        for _twice in range(2):
            done = desk.post(FIND + held["Location"].removeprefix(FIND), {"held": appointment.pk})
            assert done["Location"] == f"/admin/procedures/appointment/{appointment.pk}/change/"
    appointment.refresh_from_db()
    assert (appointment.status, appointment.booked_by) == (Appointment.Status.BOOKED, world.clerk)
    assert appointment.starts_at == world.now


def test_going_back_from_what_was_booked_does_not_ask_to_book_again(desk: Client, world: World) -> None:
    held = hold(desk, world, look(desk, world), offered(look(desk, world))[0])
    address = FIND + held["Location"].removeprefix(FIND)
    appointment = Appointment.objects.get()
    with clock(world.now):
        desk.post(address, {"held": appointment.pk})
        back = desk.get(address, follow=True)
    assert back.redirect_chain[-1][0] == f"/admin/procedures/appointment/{appointment.pk}/change/"
    assert levels(back) == ["success", "info"]


def test_the_same_again_is_of_the_same_levels(desk: Client, world: World) -> None:
    services.book(world.appointment(levels="L3–L5"), by=world.clerk, now=world.now)
    with clock(world.now):
        page = desk.get(FIND, {"patient": world.patient.pk})
    (words_said, link) = page.context["again"][0]
    assert "L3–L5" in words_said
    with clock(world.now):
        page = desk.get(FIND + link)
        desk.post(FIND + link, {"slot": offered(page)[0], "key": key(page)})
    assert Appointment.objects.get(status="held").levels == "L3–L5"


def test_typing_a_time_keeps_what_was_chosen(desk: Client, world: World) -> None:
    page = look(desk, world, levels="L3–L5", site=world.site.pk)
    form = desk.get(page.context["typed"]).context["adminform"].form
    for name, value in wanted(world, levels="L3–L5", site=world.site.pk).items():
        assert str(form[name].value()) == str(value), name


def test_a_double_click_holds_once(desk: Client, world: World) -> None:
    page = look(desk, world)
    first, second = (hold(desk, world, page, offered(page)[0]) for _twice in range(2))
    assert first["Location"] == second["Location"]
    assert Appointment.objects.count() == 1


def test_a_hold_is_given_back_and_a_late_one_says_so(desk: Client, world: World) -> None:
    page = look(desk, world)
    held = FIND + hold(desk, world, page, offered(page)[0])["Location"].removeprefix(FIND)
    appointment = Appointment.objects.get()
    with clock(world.now + timedelta(minutes=11)):
        assert levels(desk.get(held)) == ["warning"]
        late = desk.post(f"{held}&{beside(appointment)}", {"held": appointment.pk}, follow=True)
        assert levels(late) == ["error"]
    with clock(world.now):
        assert "free again" in words(desk.post(held, {"held": appointment.pk, "give_back": "1"}, follow=True))
    assert not Reservation.objects.filter(released_at=None).exists()


def test_a_patient_is_found_by_name_birth_date_and_record_number(desk: Client, world: World) -> None:
    world.another_patient()
    for typed in ("brien", "O'Brien, Ann", "1944-05-06", "05/06/1944", "P00001"):
        found = desk.get(FIND, {"q": typed}).context["found"]
        assert [patient for patient, _link in found] == [world.patient], typed
    assert "Nobody found" in words(desk.get(FIND, {"q": "xyzzy"}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"laterality": ""}, {"laterality": ["side_required"]}),
        ({"region": "knee"}, {"region": ["invalid_choice"]}),
        ({"intent": "diagnostic"}, {"intent": ["intent_not_possible"]}),
        ({"procedure_type": "99999"}, {"procedure_type": ["invalid_choice"]}),
        ({"site": "99999"}, {"site": ["invalid_choice"]}),
        ({"clinician": "99999"}, {"clinician": ["invalid_choice"]}),
        ({"on": "tomorrow"}, {"on": ["invalid"]}),
        ({"on": "9999-12-31"}, {"on": ["too_far"]}),
    ],
)
def test_what_cannot_be_searched_for_is_said_beside_its_field(
    desk: Client, world: World, changes: dict[str, str], expected: dict[str, list[str]]
) -> None:
    response = look(desk, world, **changes)
    assert response.status_code == 422
    assert errors(response) == expected


def test_a_time_that_is_gone_is_refused_with_everything_kept(desk: Client, world: World) -> None:
    page = look(desk, world, clinician=world.doctor.pk, on=MONDAY.isoformat())
    slot = next(slot for slot in offered(page) if slot.startswith("2027-01-11T14:00"))
    services.book(world.appointment(patient=world.another_patient()), by=world.clerk, now=world.now)
    refused = hold(desk, world, page, slot, clinician=world.doctor.pk, on=MONDAY.isoformat())
    assert refused.status_code == 422
    assert "taken" in words(refused)
    assert refused.context["form"]["clinician"].value() == str(world.doctor.pk)
    assert slot not in offered(refused)
    for nonsense in ("", "x", "2027-01-11T14:00Z 99999", "2027-99-11T14:00Z 1"):
        assert levels(hold(desk, world, page, nonsense)) == ["error"]


def test_no_time_says_when_the_next_one_is(desk: Client, world: World) -> None:
    services.close(_closure(world, days=20), by=world.clerk, now=world.now)
    page = look(desk, world, on=MONDAY.isoformat())
    assert offered(page) == []
    assert "No time in these seven days. The next one is" in words(page)
    world.doctor.working_hours.all().delete()
    assert "No time in the next six months" in words(look(desk, world))


def _closure(world: World, days: int) -> Any:
    from clinic.models import Closure

    return Closure(
        site=world.site,
        starts_at=world.at(MONDAY - timedelta(days=4), 0),
        ends_at=world.at(MONDAY + timedelta(days=days), 0),
        reason="renovation",
    )


def test_a_week_across_the_clock_change_offers_no_skipped_time(desk: Client, world: World) -> None:
    for held in (world.room, world.bay, world.doctor):
        held.working_hours.create(site=world.site, weekday=6, opens="00:00", closes="12:00")
    page = look(desk, world, on="2027-03-14")
    sunday = [slot.split()[0] for slot in offered(page) if slot.startswith("2027-03-14")]
    assert "2027-03-14T06:45Z" in sunday  # 01:45 EST
    assert "2027-03-14T07:00Z" in sunday  # 03:00 EDT
    times = re.findall(r"Sunday 14 March, </span>(\d\d:\d\d)", page.content.decode())
    assert "03:00" in times
    assert not [time for time in times if time.startswith("02")]


def test_the_same_again_and_the_same_clinician_are_offered(desk: Client, world: World) -> None:
    procedure = world.performed()
    procedure.performer = world.physician
    procedure.save()
    later = world.at(MONDAY + timedelta(days=30), 9)
    with clock(later):
        start = desk.get(FIND, {"patient": world.patient.pk})
        assert "lumbar · left" in words(start)
        page = look(desk, world, at=later)
        assert "Same clinician as last time: Dr Test" in words(page)


def test_the_screen_asks_as_much_for_many_as_for_few(desk: Client, world: World) -> None:
    def asked(**query: Any) -> int:
        with clock(world.now):
            return queries(lambda: desk.get(FIND, query))

    pages: list[dict[str, Any]] = [
        {"q": "García"},
        {"patient": world.patient.pk},
        wanted(world),
        wanted(world, on=MONDAY.isoformat()),
    ]
    services.book(world.appointment(), by=world.clerk, now=world.now)
    moving = {"move": Appointment.objects.get().pk}
    few = [asked(**page) for page in (*pages, moving)]
    for number in range(2, 30):
        patient = world.another_patient(number)
        if number < 10:
            start = world.at(MONDAY + timedelta(days=number // 2), 8 + number % 2 * 4)
            for who in (patient, world.patient):
                with contextlib.suppress(ValidationError):  # the weekend, or taken
                    services.book(
                        world.appointment(patient=who, starts_at=start), by=world.clerk, now=world.now
                    )
    assert Appointment.objects.count() > 5
    assert [asked(**page) for page in (*pages, moving)] == few


def test_moving_shows_first_and_moves_on_the_second_click(desk: Client, world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    with clock(world.now):
        page = desk.get(FIND, {"move": old.pk})
        slot = next(slot for slot in offered(page) if slot.startswith("2027-01-12T15:00"))
        sure = desk.get(f"{FIND}?move={old.pk}&slot={slot.replace(' ', '+')}")
        assert "Tue 12 Jan 2027, 10:00 EST" in words(sure)
        old.refresh_from_db()
        assert old.status == Appointment.Status.BOOKED
        for _twice in range(2):
            moved = desk.post(f"{FIND}?move={old.pk}&slot={slot.replace(' ', '+')}")
            new = Appointment.objects.get(rescheduled_from=old)
            assert moved["Location"] == f"/admin/procedures/appointment/{new.pk}/change/"
    assert new.starts_at == world.at(MONDAY + timedelta(days=1), 10)


def test_moving_onto_a_taken_time_is_refused_and_nothing_is_lost(desk: Client, world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
    )
    with clock(world.now):
        response = desk.post(f"{FIND}?move={old.pk}&slot=2027-01-11T18:00Z+{world.site.pk}")
    assert response.status_code == 422
    assert "taken" in words(response)
    old.refresh_from_db()
    assert old.status == Appointment.Status.BOOKED


def test_who_may_not_book_and_who_works_elsewhere_see_nothing(world: World, client: Client) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    assert client.get(FIND).status_code == 403
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
    assert client.get(FIND, {"move": old.pk}).status_code == 404
    assert client.get(FIND, {"move": "x"}).status_code == 404
    assert "Brien" not in words(client.get(FIND, {"q": "brien"})).replace("“brien”", "")
    page = look(client, world)
    assert page.context["step"] == "patient"
    held = {"held": old.pk}
    mine = world.another_patient(3, site=elsewhere)
    assert client.post(f"{FIND}?patient={mine.pk}", held).status_code == 404
