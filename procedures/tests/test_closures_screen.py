"""Leave and closures: whom they displace is shown before anything is saved, and each is one click from a new time."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.models import AuditEvent, Closure, Resource, Site
from clinic.tests.admin_client import clock, errors, filled, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from procedures import services
from procedures.models import Privilege
from procedures.tests.factories import World

CLOSURES = "/admin/clinic/closure/"
FIND = "/admin/procedures/appointment/find/"


@pytest.fixture
def desk(world: World, client: Client) -> Client:
    return signed_in(world.clerk, client)


def close(desk: Client, world: World, page: str = f"{CLOSURES}add/", **said: Any) -> Any:
    data = {
        "resource": world.doctor.pk,
        "starts_0": MONDAY.isoformat(),
        "starts_1": "00:00",
        "ends_0": (MONDAY + timedelta(days=1)).isoformat(),
        "ends_1": "00:00",
        "reason": "leave",
    }
    with clock(world.now):
        return desk.post(page, data | said)


def test_leave_that_displaces_is_shown_first_and_saved_on_the_second_click(
    desk: Client, world: World
) -> None:
    appointment = services.book(world.appointment(), by=world.clerk, now=world.now)
    shown = close(desk, world)
    assert errors(shown) == {"__all__": ["displaces"]}
    assert not Closure.objects.exists()
    page = words(shown)
    assert "1 appointment displaced" in page
    assert "Mon 11 Jan 2027, 09:00–10:45 EST" in page
    assert f"{FIND}?move={appointment.pk}" in shown.content.decode()
    seen = shown.context["adminform"].form["seen"].value()
    assert seen == str(appointment.pk)
    assert close(desk, world, seen=seen).status_code == 302
    closure = Closure.objects.get()
    assert AuditEvent.objects.get(action="closure.added").by == world.clerk
    with clock(world.now):
        assert f"{FIND}?move={appointment.pk}" in desk.get(f"{CLOSURES}{closure.pk}/change/").content.decode()


def test_what_was_booked_meanwhile_is_shown_before_it_is_saved(desk: Client, world: World) -> None:
    first = services.book(world.appointment(), by=world.clerk, now=world.now)
    shown = close(desk, world)
    seen = shown.context["adminform"].form["seen"].value()
    second = services.book(
        world.appointment(patient=world.another_patient(), starts_at=world.at(MONDAY, 13)),
        by=world.clerk,
        now=world.now,
    )
    again = close(desk, world, seen=seen)
    assert errors(again) == {"__all__": ["displaces"]}
    assert again.context["adminform"].form["seen"].value() == f"{first.pk},{second.pk}"
    # One that was moved away in between needs no second look.
    services.cancel(first.pk, reason="moved", by=world.clerk, now=world.now)
    assert close(desk, world, seen=f"{first.pk},{second.pk}").status_code == 302


def test_leave_that_displaces_nobody_is_saved_at_once_every_year(desk: Client, world: World) -> None:
    assert close(desk, world, resource="", site=world.site.pk, yearly="on").status_code == 302
    closure = Closure.objects.get(repeats=None)
    later = closure.repetitions.order_by("starts_at")
    assert [row.starts_at for row in later] == [
        world.at(MONDAY.replace(year=year), 0) for year in (2028, 2029)
    ]
    with clock(world.now):
        assert words(desk.get(CLOSURES)).count("renovation") == 0
        assert len(desk.get(CLOSURES).context["cl"].result_list) == 3
        # A later year is changed where the closure was made.
        page = desk.get(f"{CLOSURES}{later[0].pk}/change/")
        assert "change it there" in words(page)
        assert close(desk, world, f"{CLOSURES}{later[0].pk}/change/").status_code == 403


def test_changing_a_closure_asks_again(desk: Client, world: World) -> None:
    close(desk, world)
    closure = Closure.objects.get()
    tuesday = MONDAY + timedelta(days=1)
    services.book(world.appointment(starts_at=world.at(tuesday, 9)), by=world.clerk, now=world.now)
    page = f"{CLOSURES}{closure.pk}/change/"
    longer = {"ends_0": (MONDAY + timedelta(days=2)).isoformat()}
    assert errors(close(desk, world, page, **longer)) == {"__all__": ["displaces"]}
    closure.refresh_from_db()
    assert closure.ends_at == world.at(tuesday, 0)
    assert close(desk, world, page, reason="longer leave").status_code == 302


def test_past_closures_are_out_of_the_way(desk: Client, world: World) -> None:
    close(desk, world)
    for now, expected in ((world.now, 1), (world.at(MONDAY + timedelta(days=3), 9), 0)):
        with clock(now):
            assert len(desk.get(CLOSURES).context["cl"].result_list) == expected
            assert len(desk.get(f"{CLOSURES}?time=all").context["cl"].result_list) == 1


def test_reopening_frees_it_with_its_later_years(world: World, client: Client) -> None:
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    close(client, world, yearly="on")
    closure = Closure.objects.get(repeats=None)
    page = f"{CLOSURES}{closure.pk}/delete/"
    assert "taken back with its later years" in words(client.get(page))
    assert Closure.objects.count() == 3
    client.post(page, {"post": "yes"})
    assert not Closure.objects.exists()
    assert AuditEvent.objects.filter(action="closure.removed", object_id=closure.pk).exists()
    close(client, world, yearly="on")
    chosen = list(Closure.objects.values_list("pk", flat=True))
    client.post(CLOSURES, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert not Closure.objects.exists()


def test_displaced_patients_of_other_sites_are_counted_not_named(world: World, client: Client) -> None:
    services.book(world.appointment(), by=world.clerk, now=world.now)
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/New_York", phone="+1")
    world.doctor.working_hours.create(site=elsewhere, weekday=5, opens="08:00", closes="12:00")
    signed_in(staff("stranger@example.org", "Front desk", elsewhere), client)
    shown = close(client, world)
    assert "1 appointment displaced" in words(shown)
    assert "and 1 more" in words(shown)
    assert "Brien" not in words(shown)


def test_the_preview_asks_as_much_for_thirty_as_for_three(desk: Client, world: World) -> None:
    def book(first: int, last: int) -> None:
        for number in range(first, last):
            services.book(
                world.appointment(starts_at=world.at(MONDAY + timedelta(days=7 * number), 9)),
                by=world.clerk,
                now=world.now,
            )

    far = {"ends_0": (MONDAY + timedelta(days=400)).isoformat()}
    book(0, 3)
    few = queries(lambda: close(desk, world, **far))
    book(3, 30)
    assert queries(lambda: close(desk, world, **far)) == few


def test_privileges_are_given_on_the_clinicians_page(world: World, client: Client) -> None:
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    page = f"/admin/clinic/resource/{world.doctor.pk}/change/"
    context = client.get(page).context
    sent = filled(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.initial_forms):
            sent |= filled(form)
    sent |= {
        "privileges-TOTAL_FORMS": 1,
        "privileges-0-resource": world.doctor.pk,
        "privileges-0-family": "radiofrequency_ablation",
    }
    refused = client.post(page, sent | {"privileges-0-family": "anything"})
    assert refused.status_code == 200
    assert client.post(page, sent).status_code == 302
    assert Privilege.objects.get().family == "radiofrequency_ablation"
    signed_in(world.clerk, client)
    assert "privileges" in words(client.get(page)).lower()
    assert Resource.objects.filter(pk=world.doctor.pk).exists()


def test_a_physician_enters_their_own_leave(world: World, client: Client) -> None:
    signed_in(world.nurse, client)
    assert client.get(f"{CLOSURES}add/").status_code == 403  # nobody's time is theirs
    signed_in(world.physician, client)
    with clock(world.now):
        page = client.get(f"{CLOSURES}add/")
    assert 'name="site"' not in page.content.decode()
    form = page.context["adminform"].form
    assert [*form.fields["resource"].queryset] == [world.doctor]
    assert errors(close(client, world, resource=world.room.pk)) == {"resource": ["invalid_choice"]}
    assert close(client, world).status_code == 302
    mine = Closure.objects.get()
    assert mine.resource == world.doctor
    others = Closure.objects.create(
        resource=world.room, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9), reason="Floor"
    )
    assert close(client, world, f"{CLOSURES}{others.pk}/change/").status_code == 403
    assert close(client, world, f"{CLOSURES}{mine.pk}/change/", reason="course").status_code == 302
    mine.refresh_from_db()
    others.refresh_from_db()
    assert (mine.reason, others.reason) == ("course", "Floor")
