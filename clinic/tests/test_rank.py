"""Nobody changes the account of somebody who may more or works where they do not, and every change is kept."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.test import Client

from clinic import roles, services
from clinic.admin.staff import ABOVE_YOU
from clinic.models import MEMBERSHIPS, AuditEvent, Site, User
from clinic.tests.admin_client import clock, filled, signed_in
from clinic.tests.factories import staff
from procedures.tests.factories import World

USERS = "/admin/clinic/user/"
PASSWORD = "blue horse battery 9"


@pytest.fixture
def administrator(world: World) -> User:
    return staff("administrator@example.org", roles.ADMINISTRATOR, world.site)


@pytest.fixture
def elsewhere(db: None) -> Site:
    return Site.objects.create(name="Elsewhere", time_zone="America/Chicago", phone="+1")


@pytest.fixture
def both(world: World, elsewhere: Site) -> User:
    """A nurse of two sites."""
    nurse = staff("both@example.org", roles.NURSE, world.site)
    nurse.sites.add(elsewhere)
    return nurse


def trail(action: str) -> list[tuple[str, int | None]]:
    return list(AuditEvent.objects.filter(action=action).order_by("pk").values_list("reason", "by"))


def test_whoever_works_elsewhere_too_is_not_changed_by_an_administrator_of_one_site(
    world: World, administrator: User, both: User, client: Client
) -> None:
    signed_in(administrator, client)
    page, before = f"{USERS}{both.pk}/change/", both.password
    shown = client.get(page)
    assert shown.status_code == 200
    assert not shown.context["has_change_permission"]
    assert ABOVE_YOU in [
        options.get("description") for _name, options in shown.context["adminform"].fieldsets
    ]
    assert client.post(page, {"email": "mine@example.org", "sites": [world.site.pk]}).status_code == 403
    for sent in ({"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}, {}):
        assert client.post(f"{USERS}{both.pk}/password/", sent).status_code == 403
    both.refresh_from_db()
    assert (both.email, both.password, both.sites.count()) == ("both@example.org", before, 2)


def test_the_service_refuses_as_well_and_looks_at_what_is_true_now(
    world: World, administrator: User, both: User
) -> None:
    both.is_active = False
    with pytest.raises(PermissionDenied):
        services.save_staff(both, by=administrator, now=world.now)
    with pytest.raises(PermissionDenied):
        services.set_password(both, PASSWORD, by=administrator, now=world.now)
    world.nurse.user_permissions.add(Permission.objects.get(codename="delete_patient"))
    with pytest.raises(PermissionDenied):
        services.set_password(world.nurse, PASSWORD, by=administrator, now=world.now)
    assert User.objects.get(pk=both.pk).is_active


def test_an_administrator_of_both_sites_changes_the_nurse_of_both(
    world: World, administrator: User, both: User, elsewhere: Site, client: Client
) -> None:
    administrator.sites.add(elsewhere)
    signed_in(administrator, client)
    page = f"{USERS}{both.pk}/change/"
    sent = filled(client.get(page).context["adminform"].form) | {"last_name": "Other"}
    assert client.post(page, sent).status_code == 302
    both.refresh_from_db()
    assert (both.last_name, both.sites.count(), both.groups.count()) == ("Other", 2, 1)


def test_no_site_and_no_role_out_of_reach_is_added(
    world: World, administrator: User, elsewhere: Site
) -> None:
    hidden = Group.objects.create(name="Hidden")
    hidden.permissions.add(Permission.objects.get(codename="delete_group"))
    services.save_staff(
        world.nurse,
        groups=[hidden, Group.objects.get(name=roles.NURSE)],
        sites=[world.site, elsewhere],
        by=administrator,
        now=world.now,
    )
    assert [*world.nurse.sites.all()] == [world.site]
    assert [*world.nurse.groups.all()] == [Group.objects.get(name=roles.NURSE)]


def test_what_the_editor_cannot_see_stays(world: World, elsewhere: Site, both: User) -> None:
    editor = staff("editor@example.org", roles.ADMINISTRATOR, world.site)
    services.replace_related(
        both, "sites", [], Site.objects.visible_to(editor), "sites_changed", by=editor, now=world.now
    )
    assert [*both.sites.all()] == [elsewhere]


def test_roles_sites_flags_and_passwords_are_audited_with_before_and_after(
    world: World, elsewhere: Site, client: Client
) -> None:
    signed_in(world.admin, client)
    nurse, page = world.nurse, f"{USERS}{world.nurse.pk}/change/"
    sent = filled(client.get(page).context["adminform"].form)
    manager = Group.objects.get(name=roles.MANAGER)
    view = Permission.objects.get(codename="view_logentry")
    del sent["is_active"]
    sent |= {
        "groups": [manager.pk],
        "sites": [elsewhere.pk],
        "user_permissions": [view.pk],
        "first_name": "N",
    }
    with clock(world.now):
        assert client.post(page, sent).status_code == 302
    admin = world.admin.pk
    assert trail("user.roles_changed") == [(f"{roles.NURSE} → {roles.MANAGER}", admin)]
    assert trail("user.sites_changed") == [(f"{world.site.pk} → {elsewhere.pk}", admin)]
    assert trail("user.permissions_changed") == [("– → view_logentry", admin)]
    assert trail("user.changed") == [("is_active True → False, first_name", admin)]
    assert client.post(page, sent).status_code == 302  # nothing changed: nothing is said
    assert len(trail("user.roles_changed")) == 1
    reset = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "set-password": "1"}
    assert client.post(f"{USERS}{nurse.pk}/password/", reset).status_code == 302
    off = {"usable_password": "false", "unset-password": "1"}
    assert client.post(f"{USERS}{nurse.pk}/password/", off).status_code == 302
    assert trail("user.password_changed") == [
        ("a password → another password", admin),
        ("a password → no password", admin),
    ]
    nurse.refresh_from_db()
    assert not nurse.has_usable_password()


def test_a_change_of_ones_own_password_is_audited(world: World, client: Client) -> None:
    signed_in(world.nurse, client)
    sent = {"old_password": "correct horse", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert client.post("/admin/password_change/", sent).status_code == 302
    assert trail("user.password_changed") == [("a password → another password", world.nurse.pk)]


def test_permissions_of_a_role_are_audited(world: World, client: Client) -> None:
    signed_in(world.admin, client)
    group = Group.objects.get(name=roles.NURSE)
    page = f"/admin/auth/group/{group.pk}/change/"
    kept = set(group.permissions.values_list("pk", flat=True))
    gone = Permission.objects.get(codename="record_answer")
    assert client.post(page, {"name": group.name, "permissions": kept - {gone.pk}}).status_code == 302
    assert trail("group.permissions_changed") == [("added: –; taken away: record_answer", world.admin.pk)]


def test_history_of_an_account_shows_who_changed_what_and_no_password(
    world: World, administrator: User, elsewhere: Site, client: Client
) -> None:
    nurse = world.nurse
    signed_in(world.admin, client)
    page = f"{USERS}{nurse.pk}/change/"
    sent = filled(client.get(page).context["adminform"].form)
    more = {"last_name": "Newname", "sites": [world.site.pk, elsewhere.pk]}
    assert client.post(page, sent | more).status_code == 302
    services.set_password(nurse, PASSWORD, by=None, now=world.now)
    nurse.refresh_from_db()
    shown = client.get(f"{USERS}{nurse.pk}/history/")
    changes = shown.context["changes"]

    def given(page: Any) -> set[Any]:
        """What the history says was given."""
        return {field["after"] for change in page.context["changes"] for field in change["fields"]}

    assert {"before": "Test", "after": "Newname", "name": "last name"} in [
        field for change in changes for field in change["fields"]
    ]
    assert "password_changed" in [change["what"] for change in changes]
    assert nurse.password not in shown.content.decode()
    assert str(elsewhere) in given(shown)
    signed_in(administrator, client)
    assert str(elsewhere) not in given(client.get(f"{USERS}{nurse.pk}/history/"))


def test_the_database_keeps_what_is_changed_past_every_page(world: World, elsewhere: Site) -> None:
    def kept(relation: str) -> list[Any]:
        events: Any = MEMBERSHIPS[relation]
        return list(
            events.objects.filter(user=world.nurse).order_by("pk").values_list("pgh_label", flat=True)
        )

    before = {relation: len(kept(relation)) for relation in MEMBERSHIPS}
    world.nurse.sites.set([elsewhere])
    world.nurse.groups.clear()
    world.nurse.user_permissions.add(Permission.objects.all()[0])
    User.objects.filter(pk=world.nurse.pk).update(is_active=False)
    assert sorted(kept("sites")[before["sites"] :]) == ["delete", "insert"]
    assert kept("groups")[before["groups"] :] == ["delete"]
    assert kept("user_permissions")[before["user_permissions"] :] == ["insert"]
    events: Any = User.pgh_event_model  # type: ignore[attr-defined]
    last = events.objects.filter(pgh_obj=world.nurse).order_by("pk").last()
    assert (last.pgh_label, last.is_active) == ("update", False)
    assert not {"password", "last_login"} & {field.name for field in events._meta.fields}
