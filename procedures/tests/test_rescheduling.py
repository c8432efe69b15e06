"""Moving keeps the clinician and what was asked for by name, through every door, and says whose wish it was."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic.models import AuditEvent, Resource, ResourceCategory
from clinic.refusals import Refusal
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, resource
from procedures import services
from procedures.models import Appointment, FreedTime
from procedures.tests.factories import World, on_waitlist

TUESDAY = MONDAY + timedelta(days=1)
PAGE = "/admin/procedures/appointment/"


@pytest.fixture
def able(world: World) -> Resource:
    """A second physician, whose name comes first."""
    return resource("Dr Able", ResourceCategory.objects.get(code="physician"), world.site)


def of(appointment: Appointment) -> set[str]:
    return {held.resource.name for held in appointment.reservations.filter(released_at=None)}


def book(world: World, **values: Any) -> Appointment:
    named = values.pop("resources", [world.doctor])
    return services.book(world.appointment(**values), resources=named, by=world.clerk, now=world.now)


def by_api(world: World, old: Appointment, at: datetime) -> None:
    path = f"appointments/{old.pk}/reschedule/"
    assert (
        call(world.clerk, "POST", path, {"starts_at": f"{at:%Y-%m-%dT%H:%M}Z"}, now=world.now).status_code
        == 201
    )


def by_drag(world: World, old: Appointment, at: datetime) -> None:
    wall = f"{at.astimezone(world.site.zone):%Y-%m-%dT%H:%M}"
    old.refresh_from_db()
    with clock(world.now):
        signed_in(world.clerk).post(
            f"{PAGE}week/move/?{beside(old)}", {"appointment": old.pk, "starts": wall}
        )


def by_click(world: World, old: Appointment, at: datetime) -> None:
    slot = f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ} {world.site.pk}".replace(" ", "%20")
    with clock(world.now):
        signed_in(world.clerk).post(f"{PAGE}find/?move={old.pk}&slot={slot}")


def by_typing(world: World, old: Appointment, at: datetime) -> None:
    wall = at.astimezone(world.site.zone)
    typed = {"starts_0": f"{wall:%Y-%m-%d}", "starts_1": f"{wall:%H:%M}", "keep": "on"}
    with clock(world.now):
        signed_in(world.clerk).post(f"{PAGE}{old.pk}/reschedule/", typed)


@pytest.mark.parametrize("door", [by_api, by_drag, by_click, by_typing])
def test_the_clinician_and_a_named_room_go_along_through_every_door(
    world: World, able: Resource, door: Callable[[World, Appointment, datetime], None]
) -> None:
    room = ResourceCategory.objects.get(code="procedure_room")
    named = resource("Room 9", room, world.site)
    old = book(world, resources=[world.doctor, named])
    door(world, old, world.at(TUESDAY, 10))
    new = Appointment.objects.get(rescheduled_from=old)
    assert new.starts_at == world.at(TUESDAY, 10)
    assert of(new) == {"Dr Test", "Room 9", "Bay 1"}


def test_whom_nobody_named_stays_and_a_room_that_nobody_named_may_change(world: World) -> None:
    old = book(world, resources=[])
    resource("Dr Able", ResourceCategory.objects.get(code="physician"), world.site)
    resource("Room 0", ResourceCategory.objects.get(code="procedure_room"), world.site)
    new = services.reschedule(old.pk, starts_at=world.at(TUESDAY, 10), by=world.clerk, now=world.now)
    assert of(new) == {"Dr Test", "Room 0", "Bay 1"}
    again = services.reschedule(new.pk, starts_at=world.at(TUESDAY, 13), by=world.clerk, now=world.now)
    assert of(again) == {"Dr Test", "Room 0", "Bay 1"}


def test_who_asks_otherwise_gets_otherwise(world: World, able: Resource) -> None:
    old = book(world)
    path = f"appointments/{old.pk}/reschedule/"
    told = {"starts_at": "2027-01-12T10:00", "resources": [able.pk]}
    answer = call(world.clerk, "POST", path, told, now=world.now).json()
    assert "Dr Able" in {held["name"] for held in answer["reservations"]}
    other = book(world, starts_at=world.at(MONDAY, 13), patient=world.another_patient())
    free = {"starts_at": "2027-01-12T13:00", "keep": False}
    answer = call(world.clerk, "POST", f"appointments/{other.pk}/reschedule/", free, now=world.now).json()
    assert "Dr Able" in {held["name"] for held in answer["reservations"]}


def test_where_only_the_clinician_is_taken_it_is_said_who_and_when(world: World, able: Resource) -> None:
    resource("Room 2", ResourceCategory.objects.get(code="procedure_room"), world.site)
    resource("Bay 2", ResourceCategory.objects.get(code="recovery_bay"), world.site)
    book(world, starts_at=world.at(TUESDAY, 10), patient=world.another_patient())
    old = book(world)
    path = f"appointments/{old.pk}/reschedule/"
    refused = call(world.clerk, "POST", path, {"starts_at": "2027-01-12T10:00"}, now=world.now)
    assert (refused.status_code, faults(refused)) == (409, [("resources", "kept_not_free")])
    free = refused.json()["free"]
    assert free["resources"] == [{"id": able.pk, "name": "Dr Able"}]
    assert free["starts_at"][0] == "2027-01-12T15:45:00Z"
    old.refresh_from_db()
    assert old.status == "booked"
    assert (
        call(world.clerk, "POST", path, {"starts_at": free["starts_at"][0]}, now=world.now).status_code == 201
    )
    with clock(world.now):
        asked = {"appointment": old.pk, "starts": "2027-01-12T10:00", "check": "1"}
        assert (
            signed_in(world.clerk).post(f"{PAGE}week/move/?{beside(old)}", asked).json()["code"]
            == "not_allowed_now"
        )


def test_where_nobody_is_free_the_next_times_are_said(world: World) -> None:
    book(world, starts_at=world.at(TUESDAY, 10), patient=world.another_patient())
    old = book(world)
    with pytest.raises(Refusal) as refused:
        services.reschedule(old.pk, starts_at=world.at(TUESDAY, 10), by=world.clerk, now=world.now)
    assert (refused.value.code, refused.value.field) == ("taken", "starts_at")
    free = refused.value.members["free"]
    assert free["starts_at"][0] == world.at(TUESDAY, 11)  # the bay is needed from 45 minutes on


def test_a_clinician_who_left_is_told_with_who_could_come(world: World, able: Resource) -> None:
    old = book(world)
    Resource.objects.filter(pk=world.doctor.pk).update(active=False)
    with pytest.raises(Refusal) as refused:
        services.reschedule(old.pk, starts_at=world.at(TUESDAY, 10), by=world.clerk, now=world.now)
    assert refused.value.code == "kept_not_free"
    assert refused.value.members["free"] == {"resources": [{"id": able.pk, "name": "Dr Able"}]}


def test_slots_for_a_move_are_those_at_which_it_would_do(world: World, able: Resource) -> None:
    book(world, starts_at=world.at(TUESDAY, 10), patient=world.another_patient())
    old = book(world)
    query = (
        f"slots/?procedure_type=rfa_facet&site={world.site.pk}&replacing={old.pk}"
        "&starts_from=2027-01-12T08:00&starts_before=2027-01-12T17:00"
    )
    for found in call(world.clerk, "GET", query, now=world.now).json()["results"]:
        assert "Dr Test" in {held["name"] for held in found["resources"]}


@pytest.mark.parametrize("wants", [True, False])
def test_whose_wish_it_was_and_why_is_kept(world: World, wants: bool) -> None:
    old, other = book(world), book(world, starts_at=world.at(MONDAY, 13), patient=world.another_patient())
    path = f"appointments/{old.pk}/reschedule/"
    told = {"starts_at": "2027-01-12T10:00", "ended_by": "patient", "reason": "no driver"}
    call(world.clerk, "POST", path, told, now=world.now)
    old.refresh_from_db()
    assert (old.ended_by, old.ended_reason) == ("patient", "no driver")
    assert AuditEvent.objects.get(action="appointment.rescheduled").reason == "no driver"
    assert not AuditEvent.objects.filter(action="appointment.cancelled").exists()
    if wants:
        services.ask_for_change(other.pk, now=world.now)
    by_drag(world, other, world.at(TUESDAY, 13))
    other.refresh_from_db()
    assert other.ended_by == ("patient" if wants else "clinic")


def test_the_desk_is_asked_whose_wish_it_is(world: World) -> None:
    old = book(world)
    slot = f"2027-01-12T15:00Z {world.site.pk}".replace(" ", "%20")
    address = f"{PAGE}find/?move={old.pk}&slot={slot}"
    with clock(world.now):
        desk = signed_in(world.clerk)
        desk.post(address, {"ended_by": "patient", "reason": "a wedding"})
    old.refresh_from_db()
    assert (old.ended_by, old.ended_reason) == ("patient", "a wedding")


def test_what_is_booked_of_a_type_that_has_changed_since_can_be_moved_and_its_note_corrected(
    world: World,
) -> None:
    old = book(world)
    kind = world.ablation
    kind.purpose, kind.laterality, kind.regions = "diagnostic", "not_applicable", ["cervical"]
    kind.laterality_options = []
    kind.save()
    services.correct(old.pk, values={"note": "Walks with a frame."}, by=world.clerk, now=world.now)
    new = services.reschedule(old.pk, starts_at=world.at(TUESDAY, 9), by=world.clerk, now=world.now)
    told = (new.intent, new.region, new.laterality, new.note)
    assert told == (old.intent, "lumbar", "left", "Walks with a frame.")
    with pytest.raises(Refusal) as refused:
        book(world, intent=old.intent, starts_at=world.at(TUESDAY, 12))
    assert refused.value.code == "intent_not_possible"


def test_what_is_booked_of_a_type_that_is_out_of_use_can_be_moved(world: World) -> None:
    old = book(world)
    world.ablation.active = False
    world.ablation.save()
    with clock(world.now):
        page = signed_in(world.clerk).get(f"{PAGE}find/?move={old.pk}")
        assert page.context["any_time"]
    by_api(world, old, world.at(TUESDAY, 10))
    with pytest.raises(Refusal) as refused:
        book(world, patient=world.another_patient())
    assert refused.value.code == "unknown_procedure_type"


# Reading it.


def test_a_moved_appointment_reads_rescheduled_and_counts_as_no_cancellation(world: World) -> None:
    old, gone = book(world), book(world, starts_at=world.at(MONDAY, 13), patient=world.another_patient())
    services.cancel(gone.pk, reason="ill", by=world.clerk, now=world.now)
    new = services.reschedule(old.pk, starts_at=world.at(TUESDAY, 10), by=world.clerk, now=world.now)
    desk = signed_in(world.clerk)
    with clock(world.now):
        board = desk.get(f"{PAGE}board/?site={world.site.pk}&day=2027-01-11")
        listed = desk.get(f"{PAGE}?when=all")
        for tallies in (board.context["tallies"], listed.context["tallies"]):
            counts = {str(label): count for label, _kind, count in tallies}
            assert (counts["cancelled"], counts["rescheduled"]) == (1, 1)
        only = desk.get(f"{PAGE}?when=all&status__exact=cancelled").context["cl"].result_list
        assert [row.pk for row in only] == [gone.pk]
        only = desk.get(f"{PAGE}?when=all&status__exact=rescheduled").context["cl"].result_list
        assert [row.pk for row in only] == [old.pk]
        shown = words(desk.get(f"{PAGE}{old.pk}/change/"))
        assert "cancelled" not in shown.replace("cancelled or moved by", "")
        patient = desk.get(f"/admin/patients/patient/{world.patient.pk}/change/")
    assert f"{PAGE}{new.pk}/change/" in listed.content.decode()
    part = words(patient).partition("Rescheduled")
    assert "Past" not in words(patient)
    assert "Tue 12 Jan 2027" in part[0]
    assert "rescheduled" in part[2]
    answer = call(world.clerk, "GET", "appointments/?rescheduled=true", now=world.now).json()["results"]
    assert [(row["id"], row["status"], row["rescheduled_to"]) for row in answer] == [
        (old.pk, "cancelled", new.pk)
    ]


def test_what_was_called_off_ahead_does_not_stand_under_past(world: World) -> None:
    gone = book(world)
    services.cancel(gone.pk, reason="ill", by=world.clerk, now=world.now)
    with clock(world.now):
        page = words(signed_in(world.clerk).get(f"/admin/patients/patient/{world.patient.pk}/change/"))
    assert "Cancelled, its time has not come" in page
    assert "Past" not in page


# Correcting.

RIGHT = {"laterality": "right", "levels": "L4–L5", "indication": "M47.816", "note": "needs a translator"}


def test_side_levels_indication_and_note_are_corrected_in_place(world: World) -> None:
    booked = book(world)
    letters = call(world.admin, "GET", f"appointments/{booked.pk}/", now=world.now).json()["sequence"]
    answer = call(world.clerk, "PATCH", f"appointments/{booked.pk}/", RIGHT, now=world.now)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in RIGHT} == RIGHT
    assert answer.json()["sequence"] == letters
    event = booked.events.order_by("-pgh_id").first()  # type: ignore[attr-defined]
    assert (event.pgh_label, event.laterality) == ("update", "right")
    assert (
        AuditEvent.objects.get(action="appointment.corrected").reason
        == "laterality, levels, indication, note"
    )


def test_the_patient_is_not_written_to_about_what_they_were_not_told(world: World) -> None:
    from clinic.models import OutgoingEmail

    booked = book(world)
    before = OutgoingEmail.objects.count()
    services.correct(booked.pk, values=RIGHT, by=world.clerk, now=world.now)
    assert OutgoingEmail.objects.count() == before


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"laterality": ""}, ("laterality", "side_required")),
        ({"laterality": "midline"}, ("laterality", "side_not_possible")),
        ({"indication": "nonsense"}, ("indication", "icd_10_cm")),
        ({"levels": "x" * 61}, ("levels", "max_length")),
        ({"starts_at": "2027-01-12T10:00Z"}, ("starts_at", "unknown_field")),
    ],
)
def test_wrong_corrections_change_nothing(
    world: World, values: dict[str, str], fault: tuple[str, str]
) -> None:
    booked = book(world)
    answer = call(world.clerk, "PATCH", f"appointments/{booked.pk}/", values, now=world.now)
    assert (answer.status_code, faults(answer)) == (400, [fault])
    assert booked.events.count() == 1  # type: ignore[attr-defined]


def test_what_is_over_is_not_corrected(world: World) -> None:
    booked = book(world)
    services.cancel(booked.pk, reason="ill", by=world.clerk, now=world.now)
    with pytest.raises(Refusal) as refused:
        services.correct(booked.pk, values={"levels": "L3"}, by=world.clerk, now=world.now)
    assert refused.value.code == "not_allowed_now"


def test_the_desk_corrects_what_it_changed_on_the_page_and_nothing_else(world: World) -> None:
    booked = book(world)
    shown = {"initial-laterality": "left", "initial-levels": "", "initial-indication": "", "initial-note": ""}
    services.correct(booked.pk, values={"note": "meanwhile"}, by=world.nurse, now=world.now)
    with clock(world.now):
        desk = signed_in(world.clerk)
        assert "initial-levels" in desk.get(f"{PAGE}{booked.pk}/correct/").content.decode()
        desk.post(f"{PAGE}{booked.pk}/correct/", shown | {"laterality": "left", "levels": "L3–L5"})
    booked.refresh_from_db()
    assert (booked.levels, booked.laterality, booked.note) == ("L3–L5", "left", "meanwhile")


# When it may begin.


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (timedelta(minutes=7), "off_grid"),
        (timedelta(seconds=7.5), "off_grid"),
        (timedelta(days=7 * 110), "too_far_ahead"),
    ],
)
def test_a_start_lies_on_the_grid_and_within_24_months(world: World, offset: timedelta, code: str) -> None:
    at = world.at(TUESDAY, 10) + offset
    old = book(world)
    deeds: list[Callable[[], object]] = [
        lambda: services.book(world.appointment(starts_at=at), by=world.clerk, now=world.now),
        lambda: services.book(world.appointment(starts_at=at), by=world.clerk, now=world.now, request=True),
        lambda: services.reschedule(old.pk, starts_at=at, by=world.clerk, now=world.now),
        lambda: services.preview_booking(world.appointment(starts_at=at), now=world.now),
    ]
    for deed in deeds:
        with pytest.raises(Refusal) as refused:
            deed()
        assert (refused.value.code, refused.value.field) == (code, "starts_at")


def test_overbooked_and_imported_ones_begin_on_any_full_minute(world: World) -> None:
    for minute, how in ((7, {"overbooked_reason": "urgent"}), (8, {})):
        at = world.at(TUESDAY + timedelta(days=minute), 10)
        booked = world.appointment(starts_at=at + timedelta(minutes=minute), **how)
        services.book(booked, by=world.physician, now=world.now, imported=not how)
        odd = world.appointment(starts_at=at + timedelta(hours=3, seconds=7.5), **how)
        with pytest.raises(Refusal) as refused:
            services.book(odd, by=world.physician, now=world.now, imported=not how)
        assert refused.value.code == "off_grid"


def test_no_time_is_offered_that_lies_too_far_ahead(world: World) -> None:
    query = f"slots/?procedure_type=rfa_facet&site={world.site.pk}"
    span = "&starts_from=2029-01-06T00:00&starts_before=2029-01-20T00:00"
    found = call(world.clerk, "GET", query + span, now=world.now).json()["results"]
    assert {row["starts_at"][:10] for row in found} == {"2029-01-08"}  # 24 months from Friday 8 January 2027


def test_a_time_off_the_grid_that_came_free_is_filled_from_the_next_on_it(world: World) -> None:
    odd = world.appointment(
        starts_at=world.at(TUESDAY, 10) + timedelta(minutes=7), patient=world.another_patient()
    )
    services.book(odd, by=world.clerk, now=world.now, imported=True)
    entry = on_waitlist(world)
    services.cancel(odd.pk, reason="ill", by=world.clerk, now=world.now)
    freed = FreedTime.objects.get()
    assert [match.entry for match in services.matches(freed, now=world.now)] == [entry]
    booked = services.book_from_waitlist(entry.pk, freed_id=freed.pk, by=world.clerk, now=world.now)
    assert booked.starts_at == world.at(TUESDAY, 10) + timedelta(minutes=15)
    assert not booked.reservations.filter(named=True).exists()
