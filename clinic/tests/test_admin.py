"""The front desk's ground floor: who may do what with staff, places, the trail and the outbox."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction
from django.test import Client

from clinic.models import AuditEvent, Closure, OutgoingEmail, Resource, Site, User
from clinic.tests.admin_client import clock, errors, filled, levels, queries, signed_in, words
from clinic.tests.factories import MONDAY, staff
from procedures.tests.factories import World

USERS, CLOSURES, EMAILS = "/admin/clinic/user/", "/admin/clinic/closure/", "/admin/clinic/outgoingemail/"
PASSWORD = "blue horse battery 9"


@pytest.fixture
def administrator(world: World) -> User:
    return staff("administrator@example.org", "Administrator", world.site)


def elsewhere() -> Site:
    return Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")


def test_only_the_admin_may_evaluate_code_of_its_own(world: World, client: Client) -> None:
    assert "'unsafe-eval'" in client.get("/admin/login/")["Content-Security-Policy"]
    for address in ("/c/nothing/", "/health/live"):
        assert "unsafe-eval" not in client.get(address)["Content-Security-Policy"]


def test_every_page_of_the_side_opens_for_those_to_whom_it_is_shown(
    world: World, administrator: User, client: Client
) -> None:
    manager = staff("manager@example.org", "Manager", world.site)
    for user in (world.clerk, world.nurse, world.physician, manager, administrator, world.admin):
        signed_in(user, client)
        groups = client.get("/admin/").context["sidebar_navigation"]
        links = [item["link"] for group in groups for item in group["items"]]
        assert len(links) > 5
        for link in links:
            assert client.get(link).status_code == 200, (user, link)


def test_signing_in_by_email_in_any_case(world: World, client: Client) -> None:
    response = client.post("/admin/login/", {"username": "Clerk@Example.org", "password": "correct horse"})
    assert (response.status_code, response["Location"]) == (302, "/admin/")


# Nobody gives away what they do not hold.


def hire(client: Client, **said: Any) -> Any:
    return client.post(
        f"{USERS}add/",
        {
            "email": "New@Example.org",
            "first_name": "Nia",
            "last_name": "New",
            "password1": PASSWORD,
            "password2": PASSWORD,
            "usable_password": "true",
            "is_staff": "on",
        }
        | said,
    )


def test_an_administrator_hires_within_their_own_rights(
    world: World, administrator: User, client: Client
) -> None:
    signed_in(administrator, client)
    may = Group.objects.get(name="Manager")
    assert hire(client, groups=[may.pk], sites=[world.site.pk]).status_code == 302
    user = User.objects.get(email="new@example.org")
    assert ([*user.groups.all()], [*user.sites.all()], user.is_superuser) == ([may], [world.site], False)
    assert AuditEvent.objects.filter(action="user.added", by=administrator).exists()
    assert client.login(username="new@example.org", password=PASSWORD)


def test_an_administrator_grants_nothing_that_they_do_not_hold(
    world: World, administrator: User, client: Client
) -> None:
    signed_in(administrator, client)
    beyond = Group.objects.create(name="Beyond")
    beyond.permissions.add(Permission.objects.get(codename="delete_group"))
    refused = hire(client, groups=[beyond.pk], sites=[elsewhere().pk])
    assert errors(refused) == {"groups": ["invalid_choice"], "sites": ["invalid_choice"]}
    assert errors(hire(client)) == {"sites": ["required"]}
    hire(client, sites=[world.site.pk], is_superuser="on", user_permissions=[1])
    user = User.objects.get(email="new@example.org")
    assert not user.is_superuser
    assert not user.user_permissions.exists()


def test_an_administrator_cannot_take_over_a_higher_account(
    world: World, administrator: User, client: Client
) -> None:
    signed_in(administrator, client)
    world.admin.sites.add(world.site)
    beyond = staff("beyond@example.org", "Nurse", world.site)
    beyond.user_permissions.add(Permission.objects.get(codename="delete_patient"))
    for user in (world.admin, beyond):
        page = f"{USERS}{user.pk}/change/"
        before = user.password
        assert client.get(page).status_code == 200
        assert client.post(page, {"email": "mine@example.org"}).status_code == 403
        changed = client.post(f"{USERS}{user.pk}/password/", {"password1": PASSWORD, "password2": PASSWORD})
        assert changed.status_code == 403
        user.refresh_from_db()
        assert (user.password, user.email != "mine@example.org") == (before, True)


def test_an_administrator_does_not_raise_themselves(
    world: World, administrator: User, client: Client
) -> None:
    signed_in(administrator, client)
    page = f"{USERS}{administrator.pk}/change/"
    sent = filled(client.get(page).context["adminform"].form)
    assert "is_superuser" not in sent
    client.post(page, sent | {"is_superuser": "on", "user_permissions": [1]})
    administrator.refresh_from_db()
    assert not administrator.is_superuser
    assert not administrator.user_permissions.exists()
    assert client.get("/admin/auth/group/").status_code == 403


def test_staff_of_other_sites_are_not_shown(world: World, administrator: User, client: Client) -> None:
    stranger = staff("stranger@example.org", "Nurse", elsewhere())
    signed_in(administrator, client)
    assert stranger not in client.get(USERS).context["cl"].result_list
    assert client.get(f"{USERS}{stranger.pk}/change/").status_code == 404


# Closures, on the wall clock.


def close(client: Client, **said: Any) -> Any:
    return client.post(
        f"{CLOSURES}add/",
        {
            "starts_0": MONDAY.isoformat(),
            "starts_1": "08:00",
            "ends_0": MONDAY.isoformat(),
            "ends_1": "12:00",
            "reason": "inspection",
        }
        | said,
    )


def test_a_closure_is_typed_and_shown_on_the_wall_clock(world: World, client: Client) -> None:
    signed_in(world.clerk, client)
    assert close(client, resource=world.room.pk).status_code == 302
    closure = Closure.objects.get()
    assert (closure.starts_at, closure.ends_at) == (world.at(MONDAY, 8), world.at(MONDAY, 12))
    assert "Mon 11 Jan 2027, 08:00 EST" in words(client.get(CLOSURES))
    form = client.get(f"{CLOSURES}{closure.pk}/change/").context["adminform"].form
    assert form["starts"].value() == datetime.combine(MONDAY, time(8))
    event = AuditEvent.objects.get(action="closure.added")
    assert event.by == world.clerk


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {"__all__": ["site_or_resource"]}),
        ({"ends_1": "07:00"}, {"ends": ["ends_before_start"]}),
        (
            {"starts_0": "2027-03-14", "starts_1": "02:30", "ends_0": "2027-03-15"},
            {"starts": ["no_such_time"]},
        ),
    ],
)
def test_what_no_closure_can_be_is_refused(
    world: World, client: Client, said: dict[str, str], expected: dict[str, list[str]]
) -> None:
    signed_in(world.clerk, client)
    where = {"site": world.site.pk} if said else {}
    assert errors(close(client, **where, **said)) == expected
    assert not Closure.objects.exists()


def test_only_who_may_delete_a_closure_deletes_it_and_it_is_written_down(
    world: World, client: Client
) -> None:
    closure = Closure.objects.create(
        site=world.site, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9), reason="x"
    )
    signed_in(world.physician, client)  # who may close their own time only
    assert client.post(f"{CLOSURES}{closure.pk}/delete/", {"post": "yes"}).status_code == 403
    signed_in(world.clerk, client)
    client.post(f"{CLOSURES}{closure.pk}/delete/", {"post": "yes"})
    assert not Closure.objects.exists()
    assert AuditEvent.objects.filter(action="closure.removed", object_id=closure.pk).exists()


def test_a_resource_and_its_hours_are_changed_and_it_is_written_down(world: World, client: Client) -> None:
    manager = staff("manager@example.org", "Manager", world.site)
    signed_in(manager, client)
    page = f"/admin/clinic/resource/{world.room.pk}/change/"
    context = client.get(page).context
    sent = filled(context["adminform"].form) | {"name": "Room 7"}
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.initial_forms):
            sent |= filled(form)
    sent["working_hours-0-closes"] = "18:00"
    assert client.post(page, sent).status_code == 302
    world.room.refresh_from_db()
    assert world.room.name == "Room 7"
    assert world.room.working_hours.filter(closes="18:00").count() == 1
    assert AuditEvent.objects.get(action="resource.changed").by == manager


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"closes": "08:00"}, "Hours must close after they open."),
        ({"closes": "07:30"}, "Hours must close after they open."),
        ({"opens": "8 am"}, "Enter a valid time."),
        (
            {"valid_from_on": "2027-02-01", "valid_until_on": "2027-01-31"},
            "The last day must not be before the first.",
        ),
    ],
)
def test_hours_that_cannot_be_are_refused_in_words(
    world: World, client: Client, typed: dict[str, str], said: str
) -> None:
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    page = f"/admin/clinic/resource/{world.room.pk}/change/"
    context = client.get(page).context
    sent = filled(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.initial_forms):
            sent |= filled(form)
    before = list(world.room.working_hours.values())
    response = client.post(page, sent | {f"working_hours-0-{name}": value for name, value in typed.items()})
    assert response.status_code == 200
    assert said in words(response)
    assert list(world.room.working_hours.values()) == before


def test_places_of_other_sites_are_neither_listed_nor_opened(world: World, client: Client) -> None:
    site = elsewhere()
    room = Resource.objects.create(name="Far room", site=site)
    closure = Closure.objects.create(
        resource=room, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9), reason="x"
    )
    signed_in(staff("manager@example.org", "Manager", world.site), client)
    for model, row in (("site", site), ("resource", room), ("closure", closure)):
        assert row not in client.get(f"/admin/clinic/{model}/").context["cl"].result_list
        assert client.get(f"/admin/clinic/{model}/{row.pk}/change/").status_code == 404


# The trail and the outbox.


def outgoing(world: World, key: str, status: str) -> OutgoingEmail:
    return OutgoingEmail.objects.create(
        key=key, template="t", to="a@example.org", site=world.site, status=status, attempts=5,
        problem="SMTPRecipientsRefused", created_at=world.now, not_before=world.now,
        sent_at=world.now if status == "sent" else None,
    )  # fmt: skip


def test_failed_emails_are_tried_again_and_no_others(world: World, client: Client) -> None:
    failed, sent = outgoing(world, "one", "failed"), outgoing(world, "two", "sent")
    signed_in(world.clerk, client)
    assert "SMTPRecipientsRefused" in words(client.get(f"{EMAILS}?status__exact=failed"))
    later = world.at(date(2027, 1, 12), 9)
    with clock(later):
        response = client.post(
            EMAILS, {"action": "try_again", "_selected_action": [failed.pk, sent.pk]}, follow=True
        )
    assert levels(response) == ["info"]
    failed.refresh_from_db()
    sent.refresh_from_db()
    assert (failed.status, failed.attempts, failed.not_before, failed.problem) == ("queued", 0, later, "")
    assert sent.status == "sent"
    assert AuditEvent.objects.get(action="email.queued_again").by == world.clerk


def test_what_went_out_or_goes_out_last_stands_first(world: World, client: Client) -> None:
    """Not what was written down last: a booking made today may remind in a month."""
    hours = {"first": 1, "sent late": 9, "reminds": 30, "written last": 2}
    for key, hour in hours.items():
        email = outgoing(world, key, "queued" if key == "reminds" else "sent")
        moment = world.now + timedelta(hours=hour)
        email.not_before = moment if key != "sent late" else world.now
        email.sent_at = None if key == "reminds" else moment
        email.save()
    page = signed_in(world.clerk, client).get(EMAILS)
    assert [row.key for row in page.context["cl"].result_list] == sorted(
        hours, key=hours.__getitem__, reverse=True
    )
    assert "goes out from then on" in words(page)


def test_the_trail_is_only_looked_at(world: World, client: Client) -> None:
    world.performed()
    signed_in(world.admin, client)
    event = AuditEvent.objects.first()
    assert event is not None
    for model, row in (("auditevent", event), ("outgoingemail", outgoing(world, "one", "failed"))):
        page = f"/admin/clinic/{model}/"
        assert client.get(page).status_code == 200
        assert client.get(f"{page}add/").status_code == 403
        assert client.post(f"{page}{row.pk}/change/", {"action": "x"}).status_code == 403
        assert client.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_trail_and_the_outbox_of_other_sites_are_not_shown(world: World, client: Client) -> None:
    world.performed()
    email = outgoing(world, "one", "failed")
    signed_in(staff("far@example.org", "Manager", elsewhere()), client)
    for model in ("auditevent", "outgoingemail"):
        assert not client.get(f"/admin/clinic/{model}/").context["cl"].result_list
    client.post(EMAILS, {"action": "try_again", "_selected_action": [email.pk]})
    email.refresh_from_db()
    assert email.status == "failed"


@pytest.mark.parametrize("model", ["user", "resource", "closure", "auditevent", "outgoingemail"])
def test_lists_ask_as_much_for_thirty_rows_as_for_three(world: World, client: Client, model: str) -> None:
    signed_in(world.admin, client)

    def more(start: int, end: int) -> None:
        for number in range(start, end):
            staff(f"s{number}@example.org", "Nurse", world.site)
            room = Resource.objects.create(name=f"Store {number}", site=world.site)
            room.categories.set(world.room.categories.all())
            Closure.objects.create(
                resource=room, starts_at=world.at(MONDAY, 8), ends_at=world.at(MONDAY, 9), reason="x"
            )
            outgoing(world, f"mail {number}", "failed")
            client.get(f"/admin/patients/patient/{world.patient.pk}/change/")

    more(0, 3)
    few = queries(lambda: client.get(f"/admin/clinic/{model}/"))
    more(3, 30)
    assert queries(lambda: client.get(f"/admin/clinic/{model}/")) == few


def test_the_smallest_group_of_reports_is_five_and_never_none(world: World, client: Client) -> None:
    assert world.site.smallest_cell == 5
    signed_in(world.admin, client)
    page = f"/admin/clinic/site/{world.site.pk}/change/"
    form = client.get(page).context["adminform"].form
    assert "unconfirmed" in str(form.fields["smallest_cell"].help_text)
    sent = filled(form)
    assert client.post(page, sent | {"smallest_cell": "10"}).status_code == 302
    world.site.refresh_from_db()
    assert world.site.smallest_cell == 10
    assert "too_small" in str(errors(client.post(page, sent | {"smallest_cell": "0"})))
    with pytest.raises(IntegrityError, match="site_smallest_cell"), transaction.atomic():
        Site.objects.filter(pk=world.site.pk).update(smallest_cell=0)
