"""The waitlist and the freed times at the front desk: filled in, read, booked from, and seen only by those who may."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.models import Site
from clinic.row_versions import beside
from clinic.tests.admin_client import clock, errors, filled, levels, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Appointment, FreedTime, WaitlistEntry
from procedures.tests.factories import FRIDAY, World, another_waiting, freed_time, on_waitlist, waitlist_entry

WAITLIST = "/admin/procedures/waitlistentry/"
FREED = "/admin/procedures/freedtime/"


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    """A browser in which the clerk of the small clinic is signed in."""
    return signed_in(world.clerk, client)


def get(desk: Client, world: World, address: str) -> Any:
    with clock(world.now):
        return desk.get(address)


def post(desk: Client, world: World, address: str, **said: Any) -> Any:
    with clock(world.now):
        return desk.post(address, said, follow=True)


def page(freed: FreedTime) -> str:
    return f"{FREED}{freed.pk}/change/"


def book(desk: Client, world: World, freed: FreedTime, waits: WaitlistEntry) -> Any:
    return post(desk, world, f"{FREED}{freed.pk}/book/{waits.pk}/?{beside(waits)}")


def elsewhere() -> Site:
    return Site.objects.create(name="Far", time_zone="America/Phoenix", phone="1")


# The waitlist.


def test_a_patient_is_put_on_the_waitlist(desk: Client, world: World) -> None:
    sent = filled(get(desk, world, f"{WAITLIST}add/").context["adminform"].form)
    assert (sent["earliest_on"], sent["notice_hours"]) == (FRIDAY, 24)
    sent |= {"patient": world.patient.pk, "procedure_type": world.ablation.pk, "region": "lumbar"}
    sent |= {"laterality": "left", "clinicians": [world.doctor.pk], "sites": [world.site.pk], "stale_on": ""}
    response = post(desk, world, f"{WAITLIST}add/", **sent)
    assert response.redirect_chain
    waits = WaitlistEntry.objects.get()
    assert (waits.created_by, waits.stale_on) == (world.clerk, FRIDAY + timedelta(days=60))
    assert ([*waits.sites.all()], [*waits.clinicians.all()]) == ([world.site], [world.doctor])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"laterality": ""}, {"laterality": ["side_required"]}),
        ({"earliest_on": "2027-01-07"}, {"earliest_on": ["in_the_past"]}),
        ({"earliest_on": "soon"}, {"earliest_on": ["invalid"]}),
        ({"stale_on": "2027-01-08"}, {"stale_on": ["in_the_past"]}),
        ({"patient": "99999"}, {"patient": ["invalid_choice"]}),
        ({"intent": "trial"}, {"intent": ["intent_not_possible"]}),
        ({"notice_hours": "-1"}, {"notice_hours": ["min_value"]}),
    ],
)
def test_what_is_refused_is_said_beside_its_field(
    desk: Client, world: World, changes: dict[str, str], expected: dict[str, list[str]]
) -> None:
    sent = filled(get(desk, world, f"{WAITLIST}add/").context["adminform"].form)
    sent |= {"patient": world.patient.pk, "procedure_type": world.ablation.pk, "laterality": "left"}
    sent |= {"note": "call the son"} | changes
    response = post(desk, world, f"{WAITLIST}add/", **sent)
    assert {field: codes[:1] for field, codes in errors(response).items()} == expected
    assert "call the son" in response.content.decode()
    assert not WaitlistEntry.objects.exists()


def test_a_second_entry_for_the_same_is_refused_with_everything_still_there(
    desk: Client, world: World
) -> None:
    on_waitlist(world)
    sent = filled(get(desk, world, f"{WAITLIST}add/").context["adminform"].form)
    sent |= {"patient": world.patient.pk, "procedure_type": world.ablation.pk, "region": "lumbar"}
    response = post(desk, world, f"{WAITLIST}add/", **sent, laterality="left", note="call the son")
    assert errors(response) == {"patient": ["already_waiting"]}
    assert "call the son" in response.content.decode()


def test_the_list_says_who_waits_for_what_since_when_and_whom_to_ask_again(
    desk: Client, world: World
) -> None:
    another_waiting(world, 2, now=world.now - timedelta(days=90), earliest_on=FRIDAY - timedelta(days=90))
    on_waitlist(world, priority=WaitlistEntry.Priority.URGENT, clinicians=[world.doctor], note="call the son")
    gone = another_waiting(world, 3)
    services.withdraw(gone.pk, by=world.clerk, now=world.now)
    said = words(get(desk, world, WAITLIST))
    assert said.index("O&#x27;Brien, Ann") < said.index("García2, Ana2")  # the urgent one first
    assert "García3" not in said
    for text in ("urgent", "24 h notice", "90 days", "Dr Test", "any clinician", "any site", "call the son"):
        assert text in said
    stale_on = FRIDAY - timedelta(days=30)
    assert f"ask again since {stale_on}" in said
    asked = words(get(desk, world, f"{WAITLIST}?state=ask"))
    assert "García2" in asked
    assert "O&#x27;Brien" not in asked
    assert "García3" in words(get(desk, world, f"{WAITLIST}?state=withdrawn"))
    found = words(get(desk, world, f"{WAITLIST}?q=brien"))
    assert "O&#x27;Brien" in found
    assert "García2" not in found
    assert "1 result" in found or "García" not in found


def test_an_empty_waitlist_says_so(desk: Client, world: World) -> None:
    assert "Nobody is waiting." in words(get(desk, world, WAITLIST))
    assert "Nobody on the waitlist matches." in words(get(desk, world, f"{WAITLIST}?q=nobody"))
    assert "No time has come free." in words(get(desk, world, FREED))


def test_many_are_asked_or_taken_off_at_once(desk: Client, world: World) -> None:
    first, second = on_waitlist(world), another_waiting(world, 2)
    services.withdraw(second.pk, by=world.clerk, now=world.now)
    chosen = [first.pk, second.pk]
    response = post(desk, world, f"{WAITLIST}?state=all", action="still_waiting", _selected_action=chosen)
    assert "1 patient still waits." in words(response)
    assert "not waiting any more: withdrawn" in words(response)
    response = post(desk, world, WAITLIST, action="withdraw", _selected_action=[first.pk])
    assert "1 patient waits no more." in words(response)
    first.refresh_from_db()
    assert first.closed_reason == "withdrawn"


def test_one_is_asked_or_taken_off_on_its_page_and_a_second_click_is_told(desk: Client, world: World) -> None:
    waits = on_waitlist(world)
    shown = get(desk, world, f"{WAITLIST}{waits.pk}/change/")
    assert "Still waits" in words(shown)
    assert "still waits." in words(post(desk, world, f"{WAITLIST}{waits.pk}/asked/"))
    assert "taken off the waitlist" in words(post(desk, world, f"{WAITLIST}{waits.pk}/withdrawn/"))
    again = words(post(desk, world, f"{WAITLIST}{waits.pk}/withdrawn/"))
    assert "not waiting any more: withdrawn" in again
    assert "Still waits" not in again
    waits = on_waitlist(world, patient=world.another_patient(9))
    assert get(desk, world, f"{WAITLIST}{waits.pk}/withdrawn/")["Location"] == f"{WAITLIST}{waits.pk}/"
    assert levels(get(desk, world, f"{WAITLIST}{waits.pk}/change/")) == ["warning"]
    waits.refresh_from_db()
    assert waits.closed_at is None


def test_another_time_is_booked_from_an_entrys_page(desk: Client, world: World) -> None:
    waits = on_waitlist(world)
    address = f"{WAITLIST}{waits.pk}/book/"
    assert f'href="{address}"' in get(desk, world, f"{WAITLIST}{waits.pk}/change/").content.decode()
    sent = filled(get(desk, world, address).context["form"]) | {"starts_0": str(MONDAY)}
    assert sent["site"] == world.site.pk
    refused = post(desk, world, address, **sent | {"starts_1": "20:00"})
    assert (refused.status_code, errors(refused)) == (422, {"starts": ["outside_hours"]})
    assert "off the waitlist" in words(post(desk, world, address, **sent | {"starts_1": "13:00"}))
    waits.refresh_from_db()
    assert waits.appointment is not None
    assert waits.appointment.starts_at == world.at(MONDAY, 13)
    again = words(post(desk, world, address, **sent | {"starts_1": "13:00"}))
    assert "not waiting any more: booked" in again
    signed_in(staff("manager@example.org", "Manager", world.site), desk)
    assert post(desk, world, address).status_code == 403


def test_an_entry_is_not_changed_or_deleted_behind_the_services(desk: Client, world: World) -> None:
    waits = on_waitlist(world)
    assert post(desk, world, f"{WAITLIST}{waits.pk}/change/", note="x").status_code == 403
    assert post(desk, world, f"{WAITLIST}{waits.pk}/delete/", post="yes").status_code == 403
    assert get(desk, world, f"{WAITLIST}{waits.pk}/history/").status_code == 200


# Freed times.


def test_open_freed_times_come_first_on_the_wall_clock_of_their_site(desk: Client, world: World) -> None:
    early, late = freed_time(world), freed_time(world, starts_at=world.at(MONDAY, 13))
    services.dismiss_freed(early.pk, by=world.clerk, now=world.now)
    said = words(get(desk, world, FREED))
    assert said.index("13:00–14:45 EST") < said.index("09:00–10:45 EST")
    assert "Dr Test · Room 1 · 105 min" in said
    assert "dismissed" in said
    assert "09:00" not in words(get(desk, world, f"{FREED}?state=open"))
    assert late.pk


def test_a_freed_times_page_names_whom_it_suits_and_books_them(desk: Client, world: World) -> None:
    freed, waits = freed_time(world), on_waitlist(world)
    another_waiting(world, 2, notice_hours=200)
    said = words(get(desk, world, page(freed)))
    for text in (
        "O&#x27;Brien, Ann",
        "Dr Test is free",
        "needs 24 h notice, has 69 h",
        "Book : O&#x27;Brien",
    ):
        assert text in said
    assert "García2" not in said
    assert not Appointment.objects.filter(status="booked").exists()  # looking books nothing
    response = book(desk, world, freed, waits)
    booked = Appointment.objects.get(status="booked")
    assert response.redirect_chain[-1][0] == f"/admin/procedures/appointment/{booked.pk}/change/"
    assert booked.starts_at == freed.starts_at
    assert "filled" in words(get(desk, world, page(freed)))
    assert "booked" in words(get(desk, world, f"{WAITLIST}?state=booked"))


def test_a_second_click_is_a_clear_refusal(desk: Client, world: World) -> None:
    freed, waits, late = freed_time(world), on_waitlist(world), another_waiting(world, 2)
    book(desk, world, freed, waits)
    assert "not waiting any more: booked" in words(book(desk, world, freed, waits))
    response = book(desk, world, freed, late)
    assert response.redirect_chain[-1][0] == page(freed)
    assert "not free any more: filled" in words(response)
    assert Appointment.objects.filter(status="booked").count() == 1


def test_a_time_that_somebody_took_meanwhile_is_said(desk: Client, world: World) -> None:
    freed, waits = freed_time(world), on_waitlist(world)
    services.book(world.appointment(patient=world.another_patient(5)), by=world.clerk, now=world.now)
    response = book(desk, world, freed, waits)
    said = words(response)
    assert "Dr Test is taken from 09:00 to 09:45 on 2027-01-11." in said
    assert "Something that came free is taken again" in said
    assert "Nobody is waiting for this." in said
    assert "partly taken again" in words(get(desk, world, FREED))


def test_who_must_be_asked_again_and_who_has_an_appointment_is_marked(desk: Client, world: World) -> None:
    on_waitlist(world, now=world.now - timedelta(days=90), earliest_on=FRIDAY - timedelta(days=90))
    later = services.book(
        world.appointment(starts_at=world.at(MONDAY + timedelta(days=7), 9)), by=world.clerk, now=world.now
    )
    response = get(desk, world, page(freed_time(world)))
    assert "ask again since 2026-12-09" in words(response)
    assert "Booked already: Mon 18 Jan 2027, 09:00 EST" in words(response)
    assert f"/admin/procedures/appointment/{later.pk}/change/" in response.content.decode()


def test_a_time_for_which_nobody_waits_is_dismissed(desk: Client, world: World) -> None:
    freed = freed_time(world)
    assert "Nobody is waiting for this." in words(get(desk, world, page(freed)))
    assert "dismissed" in words(post(desk, world, f"{FREED}{freed.pk}/dismiss/"))
    assert "not free any more: dismissed" in words(post(desk, world, f"{FREED}{freed.pk}/dismiss/"))
    assert "Dismiss" not in re.sub("dismissed", "", words(get(desk, world, page(freed))))


def test_a_time_that_has_begun_offers_nobody(desk: Client, world: World) -> None:
    freed, waits = freed_time(world), on_waitlist(world)
    with clock(freed.starts_at):
        said = words(desk.get(page(freed)))
    assert "Whom it would suit" not in said
    assert "passed" in said
    assert waits.pk


# Who may.


def test_who_may_not_manage_sees_and_does_nothing(world: World, client: Client) -> None:
    freed, waits = freed_time(world), on_waitlist(world)
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    said = words(get(client, world, page(freed)))
    assert "O&#x27;Brien" in said
    assert "Dismiss" not in said
    assert "Book :" not in said
    assert "Still waits" not in words(get(client, world, f"{WAITLIST}{waits.pk}/change/"))
    assert get(client, world, f"{WAITLIST}add/").status_code == 403
    for address in (
        f"{FREED}{freed.pk}/book/{waits.pk}/",
        f"{FREED}{freed.pk}/dismiss/",
        f"{WAITLIST}{waits.pk}/asked/",
        f"{WAITLIST}{waits.pk}/withdrawn/",
    ):
        assert post(client, world, address).status_code == 403, address
    assert 'value="withdraw"' not in get(client, world, WAITLIST).content.decode()


def test_what_is_another_sites_is_not_there(world: World, client: Client) -> None:
    freed, waits = freed_time(world), on_waitlist(world)
    far = elsewhere()
    signed_in(staff("far@example.org", "Front desk", far), client)
    for listed in (WAITLIST, FREED):
        assert not get(client, world, listed).context["cl"].result_list
    for address in (page(freed), f"{WAITLIST}{waits.pk}/change/"):
        assert get(client, world, address).status_code == 404
    for address in (
        f"{FREED}{freed.pk}/book/{waits.pk}/",
        f"{FREED}{freed.pk}/dismiss/",
        f"{WAITLIST}{waits.pk}/withdrawn/",
    ):
        assert post(client, world, address).status_code == 404
    post(client, world, WAITLIST, action="withdraw", _selected_action=[waits.pk])
    waits.refresh_from_db()
    freed.refresh_from_db()
    assert (waits.closed_at, freed.closed_at) == (None, None)


def test_a_patient_of_another_site_cannot_be_booked_into_ours(desk: Client, world: World) -> None:
    far = elsewhere()
    hidden = on_waitlist(world, patient=world.another_patient(2, site=far))
    freed = freed_time(world)
    assert "García2" not in words(get(desk, world, page(freed)))
    assert book(desk, world, freed, hidden).status_code == 404
    hidden_patient = waitlist_entry(world, patient=hidden.patient, laterality="right")
    sent = filled(get(desk, world, f"{WAITLIST}add/").context["adminform"].form)
    sent |= {"patient": hidden_patient.patient.pk, "procedure_type": world.ablation.pk}
    response = post(desk, world, f"{WAITLIST}add/", **sent, laterality="right")
    assert errors(response)["patient"] == ["invalid_choice"]


def test_both_lists_stand_at_the_side(desk: Client, world: World) -> None:
    html = get(desk, world, "/admin/").content.decode()
    assert f'href="{WAITLIST}"' in html
    assert f'href="{FREED}?state=open"' in html


# How much it asks of the database.


@pytest.mark.parametrize("address", [WAITLIST, FREED, "page"])
def test_thirty_rows_cost_as_many_queries_as_three(desk: Client, world: World, address: str) -> None:
    freed = freed_time(world)
    address = page(freed) if address == "page" else address

    def more(start: int, end: int) -> None:
        for number in range(start, end):
            another_waiting(world, number, clinicians=[world.doctor], sites=[world.site])
            freed_time(world, starts_at=world.at(MONDAY + timedelta(days=7 * number), 9))

    with clock(world.now):
        more(2, 5)
        few = queries(lambda: desk.get(address))
        more(5, 20)
        assert queries(lambda: desk.get(address)) == few
