"""Whoever loses what was held for them is shown beforehand, marked everywhere, counted, and moved together."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from clinic.models import Closure, OutgoingEmail, Resource, ResourceCategory, Site, WorkingHours
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, filled, signed_in, words
from clinic.tests.api_client import call, faults
from clinic.tests.factories import MONDAY, resource, staff
from procedures import services
from procedures.models import Appointment
from procedures.tests.factories import World

PAGE = "/admin/procedures/appointment/"
TUESDAY = MONDAY + timedelta(days=1)


def book(world: World, **values: Any) -> Appointment:
    return services.book(world.appointment(**values), by=world.clerk, now=world.now)


def close(world: World, **values: Any) -> Closure:
    span = {"starts_at": world.at(MONDAY, 0), "ends_at": world.at(TUESDAY, 0), "reason": "leave"}
    return services.close(
        Closure(**span | ({"resource": world.doctor} | values)), by=world.clerk, now=world.now
    )


def why(appointment: Appointment) -> str:
    appointment.refresh_from_db()
    return appointment.displaced_reason


def form_of(page: Any) -> dict[str, Any]:
    """What the browser would send of a page with its inlines."""
    sent = filled(page.context["adminform"].form)
    for inline in page.context["inline_admin_formsets"]:
        sent |= filled(inline.formset.management_form)
        for form in inline.formset.forms:
            sent |= filled(form)
    return sent


@pytest.fixture
def admin(world: World) -> Client:
    return signed_in(world.admin)


def test_a_closure_marks_and_reopening_takes_the_mark_away(world: World) -> None:
    booked = book(world)
    closure = close(world)
    assert why(booked) == "closed"
    services.reopen(closure, by=world.clerk, now=world.now)
    assert why(booked) == ""
    closure = close(world, resource=None, site=world.site)
    assert why(booked) == "closed"
    closure.starts_at, closure.ends_at = world.at(TUESDAY, 0), world.at(TUESDAY, 12)
    services.close(closure, by=world.clerk, now=world.now)
    assert why(booked) == ""


def change(
    admin: Client, world: World, page: str, typed: dict[str, Any], booked: Appointment, code: str
) -> None:
    """Saving shows first whom it displaces, and displaces on the second click."""
    with clock(world.now):
        before = form_of(admin.get(page))
        sent = {name: value for name, value in (before | typed).items() if value is not None}
        shown = admin.post(page, sent)
        assert errors(shown) == {"__all__": ["displaces"]}
        assert "1 appointment displaced" in words(shown)
        assert f"?move={booked.pk}" in shown.content.decode()
        assert f'name="seen" value="{booked.pk}"' in shown.content.decode()
        assert why(booked) == ""
        assert admin.post(page, sent | {"seen": str(booked.pk)}).status_code == 302
    assert why(booked) == code


def test_a_resource_that_is_switched_off_shows_first_whom_it_displaces(world: World, admin: Client) -> None:
    booked = book(world)
    page = f"/admin/clinic/resource/{world.room.pk}/change/"
    change(admin, world, page, {"active": None}, booked, "inactive")
    world.room.refresh_from_db()
    assert not world.room.active


def test_shortened_hours_show_first_whom_they_displace(world: World, admin: Client) -> None:
    booked = book(world)
    page = f"/admin/clinic/resource/{world.doctor.pk}/change/"
    change(admin, world, page, {"working_hours-0-opens": "10:00"}, booked, "outside_hours")
    assert WorkingHours.objects.get(resource=world.doctor, weekday=0).opens == time(10)


def test_another_time_zone_shows_first_whom_it_displaces(world: World, admin: Client) -> None:
    booked = book(world)
    page = f"/admin/clinic/site/{world.site.pk}/change/"
    change(admin, world, page, {"time_zone": "America/Los_Angeles"}, booked, "outside_hours")


def test_what_displaces_nobody_is_saved_at_once(world: World, admin: Client) -> None:
    booked = book(world)
    page = f"/admin/clinic/resource/{world.doctor.pk}/change/"
    with clock(world.now):
        sent = form_of(admin.get(page))
        assert admin.post(page, sent | {"working_hours-0-opens": "09:00"}).status_code == 302
    assert why(booked) == ""


def test_it_is_marked_on_every_screen_and_counted_on_the_first_page(world: World) -> None:
    booked = book(world)
    close(world)
    desk = signed_in(world.clerk)
    with clock(world.now):
        for page in (
            f"{PAGE}board/?site={world.site.pk}&day=2027-01-11",
            f"{PAGE}week/?site={world.site.pk}&day=2027-01-11",
            f"{PAGE}?displaced=yes",
            f"{PAGE}{booked.pk}/change/",
            f"/admin/patients/patient/{world.patient.pk}/change/",
        ):
            assert "displaced: closed" in words(desk.get(page)), page
        front = desk.get("/admin/").context["overview"]
        (card,) = [card for group in front for card in group["cards"] if "displaced" in card["link"]]
        assert (card["count"], card["urgent"]) == (1, True)
    listed = call(world.clerk, "GET", "appointments/?displaced=true", now=world.now).json()["results"]
    assert [(row["id"], row["displaced_reason"]) for row in listed] == [(booked.pk, "closed")]


def test_they_are_moved_together_each_to_a_time_of_its_own(world: World) -> None:
    first, second = book(world), book(world, patient=world.another_patient(), starts_at=world.at(MONDAY, 13))
    close(world)
    OutgoingEmail.objects.all().delete()
    desk = signed_in(world.clerk)
    with clock(world.now):
        page = desk.get(f"{PAGE}displaced/")
        values = [row["value"] for row in page.context["rows"]]
        assert [value.split()[2] for value in values] == ["keep", "keep"]
        assert len({value.split()[1] for value in values}) == 2
        for _ in range(2):  # a second click finds it done
            desk.post(f"{PAGE}displaced/", {"move": values, "key": "k"})
        assert b'class="desk-empty"' in desk.get(f"{PAGE}displaced/").content
    for old in (first, second):
        old.refresh_from_db()
        assert (old.status, old.ended_by, old.rescheduled_to.status) == ("cancelled", "clinic", "booked")
    assert Appointment.objects.count() == 4
    assert OutgoingEmail.objects.filter(key__endswith="booked").count() == 2
    assert not Appointment.objects.displaced(world.now).exists()


def test_what_can_stay_by_now_is_not_moved_from_an_old_page(world: World) -> None:
    booked = book(world)
    closure = close(world)
    desk = signed_in(world.clerk)
    with clock(world.now):
        values = [row["value"] for row in desk.get(f"{PAGE}displaced/").context["rows"]]
        services.reopen(closure, by=world.physician, now=world.now)
        desk.post(f"{PAGE}displaced/", {"move": values, "key": "k"})
    move = {"moves": [{"appointment": booked.pk, "starts_at": "2027-01-12T15:00:00Z"}]}
    [refused] = call(world.clerk, "POST", "displaced/", move, now=world.now).json()["results"]
    assert (refused["rescheduled_to"], refused["code"]) == (None, "not_displaced")
    assert Appointment.objects.get() == booked


def test_without_the_clinician_only_where_nobody_else_will_do(world: World) -> None:
    booked = book(world)
    other = resource("Dr Able", ResourceCategory.objects.get(code="physician"), world.site)
    Resource.objects.filter(pk=world.doctor.pk).update(active=False)
    services.mark_displaced(resource=world.doctor, now=world.now)
    assert why(booked) == "inactive"
    answer = call(world.clerk, "GET", "displaced/", now=world.now).json()
    [proposal] = answer["results"]
    assert (answer["count"], proposal["appointment"], proposal["keep"]) == (1, booked.pk, False)
    assert other.pk in {held["resource"] for held in proposal["slot"]["resources"]}
    move = {"appointment": booked.pk, "starts_at": proposal["slot"]["starts_at"]}
    kept = call(world.clerk, "POST", "displaced/", {"moves": [move]}, now=world.now).json()["results"]
    assert [(row["rescheduled_to"], row["code"]) for row in kept] == [(None, "kept_not_free")]
    done = call(world.clerk, "POST", "displaced/", {"moves": [move | {"keep": False}]}, now=world.now).json()
    assert done["results"][0]["rescheduled_to"] == Appointment.objects.get(rescheduled_from=booked).pk


def test_who_may_not_book_moves_nobody_and_another_site_is_not_seen(world: World) -> None:
    booked = book(world)
    close(world)
    move = {"moves": [{"appointment": booked.pk, "starts_at": "2027-01-12T15:00:00Z"}]}
    manager = staff("manager@example.org", "Manager", world.site)
    assert call(manager, "POST", "displaced/", move, now=world.now).status_code == 403
    with clock(world.now):
        assert signed_in(manager).get(f"{PAGE}displaced/").status_code == 403
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")
    stranger = staff("stranger@example.org", "Front desk", elsewhere)
    assert call(stranger, "GET", "displaced/", now=world.now).json()["count"] == 0
    assert call(stranger, "POST", "displaced/", move, now=world.now).status_code == 400
    with clock(world.now):
        signed_in(stranger).post(f"{PAGE}displaced/", {"move": f"{booked.pk} 2027-01-12T15:00Z keep"})
    assert Appointment.objects.count() == 1


def test_what_changed_behind_the_services_back_is_marked(world: World) -> None:
    booked = book(world)
    WorkingHours.objects.filter(resource=world.bay).delete()
    assert services.mark_displaced_soon(now=world.now) == 1
    assert why(booked) == "outside_hours"


# Closures.


def test_the_identical_closure_twice_is_refused(world: World) -> None:
    closure = close(world)
    with pytest.raises(Refusal) as refused:
        close(world)
    assert (refused.value.code, refused.value.field) == ("closed_already", "starts_at")
    inputs = {
        "resource": world.doctor.pk, "starts_at": "2027-01-11T00:00", "ends_at": "2027-01-12T00:00", "reason": "x",
    }  # fmt: skip
    answer = call(world.clerk, "POST", "closures/", inputs, now=world.now)
    assert (answer.status_code, faults(answer)) == (409, [("starts_at", "closed_already")])
    typed = {
        "resource": world.doctor.pk, "reason": "again", "starts_0": "2027-01-11", "starts_1": "00:00",
        "ends_0": "2027-01-12", "ends_1": "00:00",
    }  # fmt: skip
    desk = signed_in(world.clerk)
    with clock(world.now):
        assert errors(desk.post("/admin/clinic/closure/add/", typed)) == {"starts": ["closed_already"]}
        page = f"/admin/clinic/closure/{closure.pk}/change/"
        assert desk.post(page, typed).status_code == 302  # itself is no other
    assert Closure.objects.get().reason == "again"


def test_whoever_may_add_a_closure_may_remove_it(world: World) -> None:
    desk = signed_in(world.clerk)
    with clock(world.now):
        for user, whose in (
            (world.clerk, {}),
            (world.physician, {}),
            (world.clerk, {"resource": world.room}),
        ):
            closure = close(world, **whose)
            signed_in(user, desk)
            page = f"/admin/clinic/closure/{closure.pk}/delete/"
            assert desk.post(page, {"post": "yes"}).status_code == 302
            assert not Closure.objects.exists()
        others = close(world, resource=world.room)
        signed_in(world.physician, desk)
        assert desk.post(f"/admin/clinic/closure/{others.pk}/delete/", {"post": "yes"}).status_code == 403
    assert call(world.physician, "DELETE", f"closures/{others.pk}/", now=world.now).status_code == 400
    assert call(world.clerk, "DELETE", f"closures/{others.pk}/", now=world.now).status_code == 204


def test_on_the_hour_the_tick_looks_however_far_ahead(world: World) -> None:
    booked = book(world, starts_at=world.at(MONDAY + timedelta(days=364), 9))
    WorkingHours.objects.filter(resource=world.bay).delete()
    assert (world.now.minute, services.mark_displaced_soon(now=world.now)) == (0, 1)
    assert why(booked) == "outside_hours"


def test_the_command_marks_however_far_ahead(world: World) -> None:
    booked = book(world, starts_at=world.at(MONDAY + timedelta(days=364), 9))
    WorkingHours.objects.filter(resource=world.bay).delete()
    assert services.mark_displaced_soon(now=world.now + timedelta(minutes=1)) == 0
    with clock(world.now):
        call_command("mark_displaced")
    assert why(booked) == "outside_hours"
