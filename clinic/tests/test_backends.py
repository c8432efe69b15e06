"""What staff may do is what Django's own backend says, found in one query."""

from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission

from clinic.models import User
from procedures.tests.factories import World


def test_permissions_are_those_of_django(world: World, django_assert_num_queries: Any) -> None:
    mixed = User.objects.create_user("mixed@example.org", "secret pass 1")
    mixed.groups.set([*world.clerk.groups.all(), *world.physician.groups.all()])
    mixed.user_permissions.set(Permission.objects.filter(codename="delete_group"))
    closed = User.objects.create_user("closed@example.org", "secret pass 1", is_active=False)
    closed.groups.set(world.clerk.groups.all())
    for user in (world.clerk, world.nurse, mixed, closed):
        expected = ModelBackend().get_all_permissions(User.objects.get(pk=user.pk))
        fresh = User.objects.get(pk=user.pk)
        assert fresh.get_all_permissions() == expected
        assert bool(expected) == user.is_active
    assert fresh.has_perm("auth.delete_group") is False
    fresh = User.objects.get(pk=mixed.pk)
    with django_assert_num_queries(1):
        assert fresh.has_perms(["auth.delete_group", "procedures.book_appointment"])
        assert not fresh.has_perm("auth.delete_user")


@pytest.mark.django_db
def test_an_administrator_may_everything_without_a_question(django_assert_num_queries: Any) -> None:
    root = User.objects.create_superuser("root@example.org", "secret pass 1")
    with django_assert_num_queries(0):
        assert root.has_perm("procedures.book_appointment")
    assert len(root.get_all_permissions()) == Permission.objects.count()
