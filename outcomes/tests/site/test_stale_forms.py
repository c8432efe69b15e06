"""Two people open every form of the front desk and both save: nothing of the first is lost, the second is told."""

from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.http import QueryDict
from django.test import Client

from clinic.admin.base import DeskAdmin
from clinic.admin.form_data import kept_fields, put, shown_in
from clinic.admin.stale_forms import SHOWN
from clinic.models import Closure, Resource, ResourceCategory, Site, User
from clinic.tests.admin_client import signed_in, version_on
from clinic.tests.factories import MONDAY, staff
from patients.models import Patient
from procedures.models import Privilege, ProcedureType, ReadinessItem, RedFlag, Risk
from procedures.tests.factories import World

#: What somebody else says in a field, where any other text would be refused.
OTHERS: dict[str, dict[str, list[str]]] = {
    "record_number_scheme": {"record_number_scheme": ["R00000"]},
    "time_zone": {"time_zone": ["America/Chicago"]},
    "email": {"email": ["other@example.org"]},
    "alert_email": {"alert_email": ["alerts@example.org"]},
    "born_on": {"born_on": ["1945-01-02"]},
    "died_on": {"died_on": ["2026-01-02"]},
    "phone": {"phone": ["+1 212 555 0177"]},
    "emergency_phone": {"emergency_phone": ["+1 212 555 0178"]},
    "imaging": {"imaging": ["ultrasound"]},
    "regions": {"regions": ["cervical,lumbar"]},
    "indications": {"indications": ["M47.816"]},
    "laterality_options": {"laterality_options": ["left,right"]},
    "sedation_options": {"sedation_options": ["local_only"]},
    "restarts": {"restarts": [""]},
    "starts": {"starts_0": ["2027-03-01"], "starts_1": ["08:00"]},
    "reply_to": {"reply_to": ["desk@example.org"]},
    "ends": {"ends_0": ["2027-03-02"], "ends_1": ["17:00"]},
}
#: What the first one leaves alone, with the reason.
LEFT = {
    "clinic.closure": {
        "site",  # a closure is of one of the two
        "resource",
        "deputy",  # of a person's time off only
        "seen",  # what the page itself carries
    },
    "patients.patient": {"merged_into"},  # a merged record takes nothing else
    "procedures.proceduretype": {"restarts", "purpose", "laterality", "sedation_options"},
    "clinic.user": {"is_superuser"},  # the reader of this very page
    "clinic.site": {"logo", "no_logo"},  # a picture is put in the place of another; none is shown in a field
}


def rows_of(world: World) -> dict[type[models.Model], models.Model]:
    """A row for every form, with rows in every table below it."""
    world.another_patient()
    Privilege.objects.create(resource=world.doctor, family="radiofrequency_ablation")
    Risk.objects.create(procedure_type=world.ablation, name="bleeding", severity="mild", transient=True)
    flag = RedFlag.objects.create(
        code="fever", question="Fever?", question_es="¿Fiebre?", urgency="same_day", source="test"
    )
    item = ReadinessItem.objects.create(code="fasting", label="Fasting", blocking=False, source="test")
    RedFlag.objects.create(
        code="weak", question="Weak?", question_es="¿Débil?", urgency="same_day", source="test"
    )
    ReadinessItem.objects.create(code="driver", label="Driver", blocking=False, source="test")
    world.ablation.red_flags.add(flag)
    world.ablation.readiness_items.add(item)
    colleague = staff("colleague@example.org", "Nurse", world.site)
    return {
        Site: world.site,
        Resource: world.doctor,
        ResourceCategory: world.doctor.categories.get(),
        User: colleague,
        Group: Group.objects.create(name="Extra"),
        Patient: world.patient,
        Closure: Closure.objects.create(
            resource=world.room, starts_at=world.at(MONDAY, 18), ends_at=world.at(MONDAY, 19), reason="x"
        ),
        ProcedureType: world.ablation,
        RedFlag: flag,
        ReadinessItem: item,
    }


def changeable() -> list[type[models.Model]]:
    """The models whose rows have a form that an administrator can save."""
    return [model for model, page in admin.site._registry.items() if isinstance(page, DeskAdmin)]


def state(row: models.Model, page: Any, request: Any) -> dict[str, Any]:
    """Every column of the row and of the tables on its page, and the rows that it points to."""
    kept: dict[str, Any] = dict(type(row)._base_manager.filter(pk=row.pk).values().get())
    for many in row._meta.many_to_many:
        kept[many.name] = sorted(getattr(row, many.name).values_list("pk", flat=True))
    for inline in page.inlines:
        fk = next(f for f in inline.model._meta.fields if f.remote_field and f.related_model is type(row))
        kept[inline.model._meta.label] = list(
            inline.model._base_manager.filter(**{fk.name: row}).order_by("pk").values()
        )
    return kept


def sent(context: Any, carried: str) -> QueryDict:
    """What a browser sends of the page's form, with all that is on it."""
    data = QueryDict(mutable=True)
    form = context["adminform"].form
    whole = [(form, "")]
    for inline in context["inline_admin_formsets"]:
        formset = inline.formset
        for first in formset.management_form:
            data[first.html_name] = str(first.value())
        whole += [(form, f"{form.prefix}-") for form in formset.forms]
    for first, prefix in whole:
        for field in first:
            if field.name == "DELETE":
                continue
            if first.is_bound:
                for key in shown_in(first, field.name):
                    data.setlist(prefix + key, first.data.getlist(prefix + key))
            else:
                put(data, shown_in(first, field.name), prefix)
    data[SHOWN] = carried
    return data


def other(name: str, field: Any, form: Any) -> dict[str, list[str]]:
    """Something else than the field says."""
    if name in OTHERS:
        return OTHERS[name]
    now, rows = shown_in(form, name), getattr(field, "queryset", [])
    choices: Any = getattr(field, "choices", [])
    [(key, said)] = now.items()
    if isinstance(field, forms.BooleanField):
        return {key: [] if said else ["on"]}
    if isinstance(field, forms.ModelMultipleChoiceField):
        return {key: [str(row.pk) for row in rows if str(row.pk) not in said][:1] + said[:0]}
    if isinstance(field, forms.ModelChoiceField):
        return {key: [str(row.pk) for row in rows if str(row.pk) not in said][:1] or said}
    if isinstance(field, forms.MultipleChoiceField):
        return {key: [str(value) for value, _ in choices if value not in said][:1]}
    if isinstance(field, forms.ChoiceField):
        return {key: [str(value) for value, _ in choices if value and str(value) not in said][:1] or said}
    if isinstance(field, forms.TimeField):
        return {key: ["09:30:00" if said != ["09:30:00"] else "09:45:00"]}
    if isinstance(field, forms.DateField):
        return {key: ["2028-02-03"]}
    if isinstance(field, forms.IntegerField | forms.DecimalField):
        return {key: [str(int(said[0]) + 1 if said and said[0] else 1)]}
    return {key: [f"{said[0] if said else ''}x"]}


def altered(context: Any, carried: str, left: set[str]) -> QueryDict:
    """The page's form as somebody sends it who has changed all that they can."""
    data = sent(context, carried)
    form = context["adminform"].form
    for name, field in kept_fields(form):
        if name not in left:
            put(data, other(name, field, form))
    for inline in context["inline_admin_formsets"]:
        for first in inline.formset.initial_forms[:1]:
            for name, field in kept_fields(first):
                if name in ("closes", "note", "frequency", "valid_until_on", "lasts_minutes"):
                    put(
                        data,
                        {"closes": {"closes": ["17:30:00"]}, "lasts_minutes": {"lasts_minutes": ["30"]}}.get(
                            name, other(name, field, first)
                        ),
                        f"{first.prefix}-",
                    )
    return data


def said(response: Any) -> list[Any]:
    """What a page refuses."""
    tables = [form.formset.errors for form in response.context["inline_admin_formsets"]]
    return [response.context["adminform"].form.errors, tables]


def post(client: Client, address: str, data: QueryDict) -> Any:
    return client.post(address, data.urlencode(), content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("model", changeable(), ids=lambda model: model._meta.label)
def test_of_two_who_save_the_same_form_the_first_loses_nothing(
    model: type[models.Model], world: World
) -> None:
    page = admin.site._registry[model]
    row = rows_of(world).get(model)
    request = type("Request", (), {"user": world.admin, "GET": {}, "method": "GET", "resolver_match": None})()
    if row is None:
        assert not page.has_change_permission(request), "a form without a row in this test"
        return
    address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/change/"
    first = signed_in(world.admin, Client())
    second = signed_in(User.objects.create_superuser("second@example.org", "correct horse"), Client())
    mine = second.get(address)
    seen = sent(mine.context, version_on(mine))
    theirs = first.get(address)
    before = state(row, page, request)
    saved = post(
        first, address, altered(theirs.context, version_on(theirs), LEFT.get(model._meta.label_lower, set()))
    )
    assert saved.status_code == 302, said(saved)
    after = state(row, page, request)
    assert after != before
    for name, field in kept_fields(theirs.context["adminform"].form):
        if name in before and name not in LEFT.get(model._meta.label_lower, set()):
            assert (name, before[name]) != (name, after[name]), field

    stale = post(second, address, seen)
    assert stale.status_code == 409
    assert state(row, page, request) == after
    assert stale.context["stale"].changes
    assert {change.by for change in stale.context["stale"].changes} == {str(world.admin)}

    again = post(second, address, sent(stale.context, version_on(stale)))
    assert again.status_code == 302, said(again)
    assert state(row, page, request) == after


@pytest.mark.parametrize("model", changeable(), ids=lambda model: model._meta.label)
def test_a_form_that_nobody_touched_is_not_stale(model: type[models.Model], world: World) -> None:
    row = rows_of(world).get(model)
    if row is None:
        return
    address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/change/"
    page = signed_in(world.admin, Client()).get(address)
    browser = signed_in(world.admin, Client())
    saved = post(browser, address, sent(page.context, version_on(page)))
    assert saved.status_code == 302, said(saved)


def test_rows_that_were_added_removed_and_changed_below_a_form_are_merged(world: World) -> None:
    address = f"/admin/clinic/resource/{world.doctor.pk}/change/"
    monday, tuesday, wednesday, *_rest = world.doctor.working_hours.order_by("pk")
    browser = signed_in(world.admin, Client())
    page = browser.get(address)
    mine = sent(page.context, version_on(page))
    hours = next(
        inline.formset
        for inline in page.context["inline_admin_formsets"]
        if inline.formset.prefix == "working_hours"
    )
    place = {form.instance.pk: index for index, form in enumerate(hours.initial_forms)}
    mine[f"working_hours-{place[monday.pk]}-closes"] = "16:00:00"  # is gone by then
    mine[f"working_hours-{place[tuesday.pk]}-closes"] = "16:15:00"  # says something else by then
    mine["working_hours-TOTAL_FORMS"] = str(len(place) + 1)
    new = {"site": world.site.pk, "weekday": 5, "opens": "08:00:00", "closes": "12:00:00"}
    for name, value in new.items():
        mine[f"working_hours-{len(place)}-{name}"] = str(value)

    monday.delete()
    type(tuesday).objects.filter(pk__in=[tuesday.pk, wednesday.pk]).update(opens="09:00", closes="15:00")
    sunday = type(tuesday).objects.create(
        resource=world.doctor, site=world.site, weekday=6, opens="10:00", closes="11:00"
    )

    stale = post(browser, address, mine)
    assert stale.status_code == 409
    assert "16:15:00" in {change.typed for change in stale.context["stale"].changes}
    again = post(browser, address, sent(stale.context, version_on(stale)))
    assert again.status_code == 302, said(again)
    kept = {
        hour.weekday: (f"{hour.opens:%H:%M}", f"{hour.closes:%H:%M}")
        for hour in world.doctor.working_hours.filter(weekday__in=[0, 1, 2, 5, 6])
    }
    assert kept == {
        monday.weekday: ("08:00", "16:00"),  # typed by the second, into a row that the first had removed
        tuesday.weekday: ("09:00", "16:15"),
        wednesday.weekday: ("09:00", "15:00"),
        5: ("08:00", "12:00"),
        sunday.weekday: ("10:00", "11:00"),
    }


def test_a_new_relief_profile_does_not_undo_the_one_that_came_between(world: World) -> None:
    address = f"/admin/procedures/reliefprofile/add/?procedure_type={world.ablation.pk}"
    browsers = [signed_in(world.admin, Client()) for _ in range(2)]
    pages = [browser.get(address) for browser in browsers]
    first, second = (sent(page.context, version_on(page)) for page in pages)
    first["check_in_days"] = second["check_in_days"] = "1,7,14,42,92,166,180,184,275,366"
    first["success_percent"] = "60"
    saved = post(browsers[0], address, first)
    assert saved.status_code == 302, said(saved)
    stale = post(browsers[1], address, second)
    assert (stale.status_code, world.ablation.relief_profiles.count()) == (409, 2)
    again = post(browsers[1], address, sent(stale.context, version_on(stale)))
    assert again.status_code == 302, said(again)
    newest = world.ablation.relief_profiles.order_by("-version").first()
    assert newest is not None
    assert (newest.version, newest.success_percent) == (3, 60)
