"""One set of rules for names, phone numbers, dates and lines, in every model and through every door."""

from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models

from clinic import text_rules, validators
from clinic.models import Resource, Site, User
from clinic.refusals import Refusal
from clinic.tests.admin_client import clock, errors, filled, signed_in
from procedures.tests.factories import World

OURS = [model for label in validators.APPS for model in apps.get_app_config(label).get_models()]
#: History tables repeat the columns of others and are written by the database.
LINES = [
    (model, field)
    for model in OURS
    if not hasattr(model, "pgh_tracked_model")
    for field in model._meta.concrete_fields
    if isinstance(field, models.CharField)
]
BROKEN = ["a\r\nb", "a\tb", "a\nb", "a\x00b", "a\x85b", "a\u2028b", "a\u202eb"]


def codes(act: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        act()
    return {str(error.code) for error in caught.value.error_list}


@pytest.mark.parametrize(
    ("model", "field"), LINES, ids=lambda field: getattr(field, "__name__", None) or field.name
)
def test_no_one_line_field_of_any_model_takes_a_broken_line(model: Any, field: Any) -> None:
    for value in BROKEN:
        assert "control_character" in codes(lambda value=value: field.run_validators(value))
    if model._meta.model_name not in validators.BY_MACHINES:
        row = model(**{field.attname: BROKEN[0]})
        with pytest.raises(Refusal) as caught:
            validators.refuse_broken_lines(model, row)
        assert (caught.value.code, caught.value.field) == ("control_character", field.attname)


def test_there_are_many_such_fields() -> None:
    assert len(LINES) > 80
    assert {Site, Resource, User} <= {model for model, _field in LINES}


def test_a_broken_line_is_not_saved_by_any_way(world: World) -> None:
    world.site.name = "River\r\nside"
    with pytest.raises(Refusal):
        world.site.save()
    world.site.refresh_from_db()
    assert world.site.name == "Riverside"


@pytest.mark.parametrize("name", ["name", "phone", "address"])
def test_a_site_with_a_broken_line_is_refused_at_the_desk(world: World, name: str) -> None:
    client = signed_in(world.admin)
    page = f"/admin/clinic/site/{world.site.pk}/change/"
    with clock(world.now):
        sent = filled(client.get(page).context["adminform"].form)
        refused = client.post(page, sent | {name: "+1 212\r\n555 0100"})
    assert "control_character" in errors(refused)[name]


@pytest.mark.parametrize("name", ["\u200b\u200d", "\u3164", "…", "12", "  ", "=cmd()", "@x"])
def test_what_shows_no_letter_or_runs_as_a_formula_is_no_name(name: str) -> None:
    assert codes(lambda: validators.person_name(name)) & {"invisible_name", "formula"}


@pytest.mark.parametrize(
    "name", ["Zoë", "O’Brien", "Đặng", "X Æ A-12", "李", "محمد", "می\u200cخواهم", "d'Arc", "Suharto"]
)
def test_names_of_all_kinds_are_names(name: str) -> None:
    validators.person_name(name)
    validators.one_line(name)


@pytest.mark.parametrize(
    "number", ["abc", "1", "12-34", "+", "+1 212 555 0147;", "x12345", "1" * 16, "1٢٣٤٥٦"]
)
def test_what_is_no_phone_number(number: str) -> None:
    assert not text_rules.is_phone(number)


@pytest.mark.parametrize(
    "number",
    [
        "+1 212 555 0147",
        "(212) 555-0147",
        "212.555.0147",
        "+44 20 7946 0958",
        "2125550147 x12",
        "555-0147 ext. 4",
    ],
)
def test_phone_numbers_in_any_format(number: str) -> None:
    assert text_rules.is_phone(number)
    assert text_rules.is_phone("911", fewest=3)


def test_a_member_of_staff_has_a_name_that_can_be_read(world: World) -> None:
    world.nurse.first_name = "\u200b"
    with pytest.raises(ValidationError) as caught:
        world.nurse.full_clean()
    assert [error.code for error in caught.value.error_dict["first_name"]] == ["invisible_name"]
