"""Looking up what an input names shows what `visible_to` shows, however the query is written."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import models

from clinic import visible
from clinic.models import Resource, Site, User
from procedures.tests.factories import World

PATIENTS: Any = apps.get_model("patients", "Patient")._default_manager
LIMITED = [model for model in apps.get_models() if hasattr(model._default_manager.all(), "visible_to")]


@pytest.mark.django_db
@pytest.mark.parametrize("model", LIMITED)
def test_what_is_visible_depends_on_the_number_and_on_sees_all_sites_alone(model: type[models.Model]) -> None:
    """Else a statement that was written for one user would not do for the next."""
    plain, full = (User.objects.create_user(f"{name}@example.org", "secret pass 1") for name in ("a", "b"))
    full.user_permissions.set(Permission.objects.all())
    full.is_staff = True
    rows: Any = model._default_manager.all()
    written = [rows.visible_to(user).query.sql_with_params() for user in (plain, full)]
    (sql, params), (sql_of_full, params_of_full) = written
    assert sql == sql_of_full
    assert params_of_full == tuple(full.pk if param == plain.pk else param for param in params)


@pytest.mark.parametrize(
    "queryset", [Site.objects.all(), Resource.objects.all(), PATIENTS.prefetch_related("site")]
)
def test_it_shows_what_visible_to_shows(world: World, queryset: Any) -> None:
    elsewhere = Site.objects.create(name="Elsewhere", time_zone="America/New_York", phone="1")
    Resource.objects.create(name="Far room", site=elsewhere)
    PATIENTS.create(
        record_number="FAR", given_name="A", family_name="B", born_on="1950-01-01", site=elsewhere,
        created_at=world.now,
    )  # fmt: skip
    administrator = User.objects.create_superuser("root@example.org", "secret pass 1")
    every = list(queryset.values_list("pk", flat=True))
    for user in (world.clerk, administrator, User.objects.create_user("new@example.org", "secret pass 1")):
        expected = list(queryset.visible_to(user))
        found = visible.rows(queryset, [*every, *every, 2**62], user=user)
        assert found == expected
        assert [row.__dict__.keys() for row in found] == [row.__dict__.keys() for row in expected]
        assert [model_values(row) for row in found] == [model_values(row) for row in expected]
    assert len(visible.rows(queryset, every, user=world.clerk)) < len(every)


def model_values(row: models.Model) -> list[Any]:
    return [getattr(row, field.attname) for field in row._meta.concrete_fields]


def test_a_query_of_more_than_one_table_is_refused(world: World) -> None:
    with pytest.raises(TypeError, match="prefetched"):
        visible.rows(PATIENTS.select_related("site"), [1], user=world.clerk)
