"""Screens of several steps, and buttons beside a row: what a colleague did meanwhile is neither undone nor doubled."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clinic.admin.stale_forms import SHOWN
from clinic.refusals import Refusal
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, signed_in, version_on, words
from clinic.tests.factories import MONDAY
from outcomes import services as outcomes
from outcomes.models import Alert, CheckIn, ContactAttempt
from outcomes.tests.factories import red_flag, to_call
from procedures import services
from procedures.models import Appointment, CalendarFeed, FigureConfirmation, ProcedureType, WaitlistEntry
from procedures.tests.factories import World, freed_time, on_waitlist

FIND = "/admin/procedures/appointment/find/"


@pytest.fixture
def desk(world: World) -> Client:
    """A browser that sends what a test says, and no version of its own."""
    return signed_in(world.clerk, Client())


def test_what_the_book_screen_has_not_shown_as_it_stands_stays(desk: Client, world: World) -> None:
    held = services.book(world.appointment(), by=world.clerk, now=world.now, hold=True)
    address = f"{FIND}?patient={world.patient.pk}&procedure_type={world.ablation.pk}&held={held.pk}"
    with clock(world.now):
        assert beside(held) in desk.get(address).content.decode()
        old = f"{address}&{beside(held)}"
        services.take_step(held.pk, "book", by=world.nurse, now=world.now)
        for stale in (old, address):
            answer = desk.post(stale, {"held": held.pk, "give_back": "1"})
            assert answer.status_code == 302
        held.refresh_from_db()
        assert held.status == Appointment.Status.BOOKED  # what a colleague has booked is not given back
        again = desk.post(old, {"held": held.pk})
        assert again["Location"] == reverse("admin:procedures_appointment_change", args=[held.pk])


def test_what_is_moved_on_the_book_screen_is_moved_as_it_was_shown(desk: Client, world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    slot = f"2027-01-12T15:00Z {world.site.pk}".replace(" ", "%20")
    address = f"{FIND}?move={old.pk}&slot={slot}"
    with clock(world.now):
        carried = version_on(desk.get(address))
        Appointment.objects.filter(pk=old.pk).update(note="Allergic to latex")
        assert desk.post(address, {"reason": "a wedding"}).status_code == 409
        stale = desk.post(address, {"reason": "a wedding", SHOWN: carried})
        assert stale.status_code == 409
        assert [change.now for change in stale.context["stale"].changes] == ["Allergic to latex"]
        assert stale.context["why"]["reason"].value() == "a wedding"
        assert not Appointment.objects.filter(rescheduled_from=old).exists()
        done = desk.post(address, {"reason": "a wedding", "ended_by": "patient", SHOWN: version_on(stale)})
    new = Appointment.objects.get(rescheduled_from=old)
    assert done["Location"] == reverse("admin:procedures_appointment_change", args=[new.pk])


def test_what_the_calendar_has_not_shown_as_it_stands_is_not_moved(desk: Client, world: World) -> None:
    old = services.book(world.appointment(), by=world.clerk, now=world.now)
    week = reverse("admin:procedures_appointment_week")
    with clock(world.now):
        page = desk.get(week, {"site": str(world.site.pk), "day": MONDAY.isoformat()})
        (event,) = page.context["calendar"]["events"]
        address = f"{week}move/?seen={event['extendedProps']['version']}"
        said = {"appointment": old.pk, "starts": "2027-01-12T13:00"}
        assert desk.post(address, said | {"check": "1"}).status_code == 200
        Appointment.objects.filter(pk=old.pk).update(note="Allergic to latex")
        for stale in (address, f"{week}move/"):
            asked = desk.post(stale, said | {"check": "1"})
            assert (asked.status_code, asked.json()["code"]) == (409, "stale")
            desk.post(stale, said)
            assert Appointment.objects.get() == old
        old.refresh_from_db()
        desk.post(f"{week}move/?{beside(old)}", said)
    assert Appointment.objects.filter(rescheduled_from=old).exists()


def note(check_in: CheckIn, outcome: str, world: World, at: Any, **more: Any) -> ContactAttempt:
    return outcomes.note_call(check_in.pk, outcome=outcome, by=world.nurse, now=at, **more)


def test_a_call_does_not_undo_what_a_colleague_has_written_down(desk: Client, world: World) -> None:
    check_in, now = to_call(world)
    address = reverse("admin:outcomes_checkin_call", args=[check_in.pk])
    with clock(now):
        carried = version_on(desk.get(address))
        note(check_in, "call_again", world, now, again_at=now + timedelta(hours=2))
        for said in ({"outcome": "declined"}, {"outcome": "wrong_number", SHOWN: carried}):
            answer = desk.post(address, said)
            assert (answer.status_code, answer["Location"]) == (302, address)
        assert [call.outcome for call in ContactAttempt.objects.all()] == ["call_again"]
        typed = {"outcome": "call_again", "again_0": "2027-02-01", "again_1": "09:30", SHOWN: carried}
        stale = desk.post(address, typed)
        assert stale.status_code == 409
        assert stale.context["again"]["again"].value() == ["2027-02-01", "09:30"]
        assert len(stale.context["calls"]) == 1
        (change,) = stale.context["stale"].changes
        assert change.now.endswith("EST")  # on the wall clock of the site
        assert desk.post(address, typed | {SHOWN: version_on(stale)}).status_code == 302
    assert ContactAttempt.objects.count() == 2


def test_a_yes_counts_though_the_patient_has_answered_meanwhile(desk: Client, world: World) -> None:
    check_in, now = to_call(world)
    flag = red_flag(world)
    address = reverse("admin:outcomes_checkin_call", args=[check_in.pk])
    with clock(now):
        carried = version_on(desk.get(address))
        outcomes.record_answer(
            check_in.pk, values={"nrs.now": 2, f"red_flag.{flag.code}": 0}, channel="clinic", language="en",
            by=world.nurse, now=now,
        )  # fmt: skip
        said = {"outcome": "reached", "nrs.now": "8", f"red_flag.{flag.code}": "1", SHOWN: carried}
        answer = desk.post(address, said)
        assert answer["Location"] == reverse("admin:outcomes_checkin_change", args=[check_in.pk])
        alert = Alert.objects.get(kind=Alert.Kind.RED_FLAG)
        assert alert.codes == [flag.code]
        recorded = reverse("admin:outcomes_checkin_answer", args=[check_in.pk])
        assert desk.post(recorded, said | {"channel": "phone", "language": "en"}).status_code == 409
    check_in.refresh_from_db()
    assert check_in.answer.measurements.get(item="now").value == 2


def test_a_figure_is_confirmed_as_it_was_shown(world: World) -> None:
    browser = signed_in(world.physician, Client())
    kind, old = world.ablation, world.ablation.relief_profiles.get()
    address = reverse("admin:procedures_proceduretype_confirm", args=[kind.pk, "duration"])
    shown = browser.get(reverse("admin:procedures_proceduretype_change", args=[kind.pk])).content.decode()
    button = f"{address}?{beside(kind)}"
    assert f'action="{button}"' in shown
    ProcedureType.objects.filter(pk=kind.pk).update(procedure_minutes=kind.procedure_minutes + 5)
    browser.post(button)
    assert not FigureConfirmation.objects.exists()
    kind.refresh_from_db()
    browser.post(f"{address}?{beside(kind)}")
    assert FigureConfirmation.objects.get().figure == "duration"
    old.pk, old._state.adding, old.version = None, True, old.version + 1
    old.save()
    with pytest.raises(Refusal) as refusal:
        services.confirm_figure(
            kind, "onset", profile=kind.relief_profiles.earliest("version"), by=world.physician, now=world.now
        )
    assert refusal.value.code == "replaced"


def test_a_calendar_address_of_a_colleague_is_neither_replaced_nor_revoked_unseen(
    desk: Client, world: World
) -> None:
    issue, revoke = (
        reverse(f"admin:clinic_resource_{name}_feed", args=[world.doctor.pk]) for name in ("issue", "revoke")
    )

    def in_force() -> list[int]:
        return list(CalendarFeed.objects.filter(revoked_at=None).values_list("pk", flat=True))

    none = version_on(desk.get(issue))
    services.issue_feed(world.doctor, by=world.admin, now=world.now)
    first = in_force()
    assert desk.post(issue).status_code == 302
    assert desk.post(issue, {SHOWN: none}).status_code == 302
    assert in_force() == first
    pages = {page: version_on(desk.get(page)) for page in (issue, revoke)}
    services.issue_feed(world.doctor, by=world.admin, now=world.now)
    second = in_force()
    for page in (issue, revoke):
        assert desk.post(page, {SHOWN: pages[page]}).status_code == 302
        assert in_force() == second != first
    assert desk.post(issue, {SHOWN: version_on(desk.get(issue))}).status_code == 200
    assert in_force() not in (first, second)
    desk.post(revoke, {SHOWN: version_on(desk.get(revoke))})
    assert in_force() == []


def test_nobody_is_taken_off_the_waitlist_or_booked_from_it_as_they_were_not_shown(
    desk: Client, world: World
) -> None:
    waits, freed = on_waitlist(world), freed_time(world)
    entry = f"/admin/procedures/waitlistentry/{waits.pk}"
    with clock(world.now):
        page = desk.get(f"/admin/procedures/freedtime/{freed.pk}/change/").content.decode()
        book = f"/admin/procedures/freedtime/{freed.pk}/book/{waits.pk}/?{beside(waits)}"
        assert f'action="{book}"' in page
        assert f'action="/admin/procedures/freedtime/{freed.pk}/dismiss/?{beside(freed)}"' in page
        off = f"{entry}/withdrawn/?{beside(waits)}"
        assert f'formaction="{off}"' in desk.get(f"{entry}/change/").content.decode()
        WaitlistEntry.objects.filter(pk=waits.pk).update(note="Comes on Monday only")
        for old in (off, book):
            answer = desk.post(old)
            assert "Comes on Monday only" in words(desk.get(answer["Location"], follow=True))
        waits.refresh_from_db()
        freed.refresh_from_db()
        assert (waits.closed_at, freed.closed_at) == (None, None)
        desk.post(f"{entry}/withdrawn/?{beside(waits)}")
    waits.refresh_from_db()
    assert waits.closed_reason == WaitlistEntry.Closed.WITHDRAWN


def test_an_alert_is_taken_as_it_was_shown(world: World) -> None:
    check_in, now = to_call(world)
    browser = signed_in(world.nurse, Client())
    alert = outcomes.raise_red_flags(check_in, [red_flag(world).code], now=now)
    assert alert
    with clock(now):
        button = f"/admin/outcomes/alert/{alert.pk}/acknowledge/?{beside(alert)}"
        shown = browser.get(f"/admin/outcomes/alert/{alert.pk}/change/").content.decode()
        assert f'formaction="{button}"' in shown
        Alert.objects.filter(pk=alert.pk).update(codes=[*alert.codes, "another"])
        browser.post(button)
        alert.refresh_from_db()
        assert alert.acknowledged_at is None
        for _twice in range(2):
            browser.post(f"/admin/outcomes/alert/{alert.pk}/acknowledge/?{beside(alert)}")
    alert.refresh_from_db()
    assert alert.owner == world.nurse
