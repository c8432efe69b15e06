"""Where a plan must ask: the catalogue's plans, and what the loader, the service and the admin refuse."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from clinic.tests.admin_client import errors, filled, signed_in, words
from clinic.toml_pages import PagesError
from procedures.catalogue import FOLDER, ProcedureType, plan_figures, read_catalogue
from procedures.check_in_plan import TESTING, Figures, exempt, lead, missing, rules, untested
from procedures.models import ReliefProfile
from procedures.services.relief_profiles import add_profile, check_purpose
from procedures.tests.factories import World

PAGES = {page.code: page for page in read_catalogue().procedure_types}

RFA = [1, 7, 14, 42, 92, 166, 180, 184, 275, 366, 548, 731]
ESI = [1, 3, 7, 14, 18, 21, 28, 60, 92, 180, 184]
STIMULATOR = [1, 3, 7, 14, 42, 90, 166, 180, 270, 365]
JOINT_OF_THE_SPINE = [1, 3, 7, 14, 18, 21, 28, 60, 92, 122]
SHORT = [1, 3, 7, 11, 14, 28, 42, 60]

ABLATION = Figures(
    purpose="therapeutic",
    restarts=False,
    window_from=180,
    window_until=365,
    ongoing=False,
    evaluate_after=42,
    days=RFA,
    repeats=False,
)


def broken(**changes: Any) -> list[str]:
    return [rule.code for rule in missing(replace(ABLATION, **changes))]


@pytest.mark.parametrize(
    ("code", "days"),
    [
        ("rfa_facet", RFA),
        ("rfa_sacroiliac", RFA),
        ("rfa_peripheral", RFA),
        ("esi_interlaminar", ESI),
        ("esi_transforaminal", ESI),
        ("esi_caudal", ESI),
        ("epidural_adhesiolysis", [1, 3, 7, 14, 28, 53, 60, 92, 180, 184]),
        ("joint_injection", [1, 3, 7, 14, 18, 21, 28, 42, 60, 90]),
        ("facet_joint_injection", JOINT_OF_THE_SPINE),
        ("sacroiliac_joint_injection", JOINT_OF_THE_SPINE),
        ("occipital_nerve_block", SHORT),
        ("trigger_point_injection", SHORT),
        ("scs_implant", STIMULATOR),
        ("pns_temporary", [1, 3, 7, 14, 30, 53, 60, 90, 180, 365, 425]),
        ("pns_implant", STIMULATOR),
        ("itp_implant", [1, 2, 3, 7, 14, 30, 60, 90, 166, 180, 270, 365]),
        ("neurostimulator_revision", [1, 3, 7, 14, 42, 90, 166, 180]),
        # Nothing is lost early: the window begins at once. The end is asked about.
        ("stellate_ganglion_block", [1, 3, 7, 14, 28, 60, 90]),
        ("lumbar_sympathetic_block", [1, 3, 7, 14, 28, 60, 90]),
        ("peripheral_nerve_block", [1, 7, 14, 28, 60, 90]),
        ("selective_nerve_root_block", [1, 3, 7, 14, 28, 60, 92]),
        # Tests, trials and upkeep.
        ("medial_branch_block", [1, 7]),
        ("si_lateral_branch_block", [1, 7]),
        ("scs_trial", [1, 2, 3, 4, 5, 6, 7]),
        ("pns_trial", [1, 2, 3, 4, 5, 6, 7]),
        ("itp_trial", [1, 2, 3]),
        ("itp_refill_adjustment", [1, 3, 14]),
        ("neurostimulator_programming", [7, 14, 30]),
    ],
)
def test_the_plan_of_each_type(code: str, days: list[int]) -> None:
    page = PAGES[code]
    assert list(page.check_ins.days) == days
    assert page.check_ins.confirmed is None


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_treatment_asks_on_start_and_on_or_after_the_end_and_says_so_in_its_source(
    page: ProcedureType,
) -> None:
    assert missing(plan_figures(page)) == []
    window, days = page.relief_window, page.check_ins.days
    if exempt(plan_figures(page)):
        return
    if window.from_days > page.evaluate_after.days:
        assert window.from_days in days
        before = [day for day in days if page.evaluate_after.days <= day < window.from_days]
        assert before
        assert window.from_days - before[-1] <= 14
        assert "early loss" in page.check_ins.source
    assert window.ongoing or max(days) >= window.until_days


def test_who_is_exempt() -> None:
    reasons = {code: exempt(plan_figures(page)) for code, page in PAGES.items()}
    assert {code: reason for code, reason in reasons.items() if reason} == {
        "medial_branch_block": "test",
        "si_lateral_branch_block": "test",
        "scs_trial": "trial",
        "pns_trial": "trial",
        "itp_trial": "trial",
        "itp_refill_adjustment": "upkeep",
        "neurostimulator_programming": "upkeep",
    }


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"days": [1, 7, 14, 42, 92, 184, 366]}, ["no_check_in_on_start", "no_check_in_before_start"]),
        ({"days": [42, 92, 180, 366]}, ["no_check_in_before_start"]),
        ({"days": [42, 165, 180, 366]}, ["no_check_in_before_start"]),
        ({"days": [42, 166, 180, 366]}, []),
        ({"days": [42, 179, 180, 366]}, []),
        ({"days": [42, 166, 181, 366]}, ["no_check_in_on_start"]),
        ({"days": [42, 166, 180, 364]}, ["no_check_in_after_end"]),
        ({"days": [42, 166, 180, 365]}, []),
        ({"days": [42, 166, 180, 184], "repeats": True}, []),
        ({"days": [42, 166, 180, 184], "ongoing": True}, []),
        ({"days": [1, 7, 14, 180, 366]}, ["cannot_tell_early"]),
        ({"evaluate_after": 180}, ["cannot_tell_early"]),
        ({"evaluate_after": 200}, ["cannot_tell_early"]),
        ({"evaluate_after": 200, "ongoing": True}, ["cannot_tell_early"]),
        ({"window_from": 1, "evaluate_after": 7}, []),
        ({"window_from": 2, "evaluate_after": 7}, ["cannot_tell_early"]),
        ({"window_from": 59, "days": [42, 59, 366]}, []),
        ({"window_from": 60, "days": [42, 60, 366]}, ["no_check_in_before_start"]),
        ({"purpose": "diagnostic", "days": [1]}, []),
        ({"purpose": "device_trial", "days": [1]}, []),
        ({"purpose": "device_maintenance", "days": [1]}, []),
        (
            {"purpose": "device_maintenance", "restarts": True, "days": [42, 166, 366]},
            ["no_check_in_on_start"],
        ),
        ({"purpose": "device_implant", "days": [42, 166, 366]}, ["no_check_in_on_start"]),
        ({"purpose": "diagnostic_and_therapeutic", "days": [42, 166, 366]}, ["no_check_in_on_start"]),
    ],
)
def test_what_a_plan_must_ask(changes: dict[str, Any], codes: list[str]) -> None:
    assert broken(**changes) == codes


@pytest.mark.parametrize(
    ("judged_from", "start", "days"), [(42, 180, 14), (90, 180, 14), (28, 60, 7), (50, 60, 7), (4, 60, 14)]
)
def test_how_long_before_the_window_a_check_in_lies(judged_from: int, start: int, days: int) -> None:
    assert lead(evaluate_after=judged_from, window_from=start) == days


def test_the_rules_name_the_day_that_meets_them() -> None:
    assert {rule.code: rule.met_by for rule in rules(ABLATION)} == {
        "cannot_tell_early": 42,
        "no_check_in_on_start": 180,
        "no_check_in_before_start": 166,
        "no_check_in_after_end": 366,
    }


# The loader.


@pytest.mark.parametrize(
    ("pattern", "instead", "key", "day"),
    [
        (r"166, 180, 184", "166, 184", "check_ins.days", "180"),
        (r"92, 166, 180", "92, 180", "check_ins.days", "166"),
        (r", 366, 548, 731\]", "]", "check_ins.days", "365"),
        (r"14, 42, 92, 166,", "14,", "check_ins.days", "180"),
        (r"(\[evaluate_after\][^\n]*\n)days = 42", r"\1days = 180", "evaluate_after.days", "180"),
    ],
)
def test_the_loader_refuses_a_plan_by_file_key_and_day(
    tmp_path: Path, pattern: str, instead: str, key: str, day: str
) -> None:
    (tmp_path / "shared").mkdir()
    for name in ("rfa_facet.toml", "shared/red_flags.toml", "shared/readiness.toml"):
        shutil.copy(FOLDER / name, tmp_path / name)
    read_catalogue(tmp_path)
    file = tmp_path / "rfa_facet.toml"
    text, changed = re.subn(pattern, instead, file.read_text(encoding="utf-8"), count=1)
    assert changed
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PagesError) as refused:
        read_catalogue(tmp_path)
    (problem,) = refused.value.problems
    assert (problem.file, problem.key, problem.code) == ("rfa_facet.toml", key, "plan")
    assert f"day {day}" in problem.sentence


# The service and the admin.


def new_profile(world: World, **changes: Any) -> ReliefProfile:
    profile = world.ablation.relief_profiles.latest("version")
    profile.pk, profile.check_in_days = None, RFA
    for name, value in changes.items():
        setattr(profile, name, value)
    return profile


@pytest.mark.parametrize(
    ("changes", "field", "codes"),
    [
        (
            {"check_in_days": [1, 42, 92, 184, 366]},
            "check_in_days",
            ["no_check_in_on_start", "no_check_in_before_start"],
        ),
        ({"check_in_days": [1, 42, 166, 180]}, "check_in_days", ["no_check_in_after_end"]),
        ({"check_in_days": [1, 180, 366]}, "check_in_days", ["cannot_tell_early"]),
        ({"evaluate_after_days": 184}, "evaluate_after_days", ["cannot_tell_early"]),
    ],
)
def test_the_service_refuses_by_code(
    world: World, changes: dict[str, Any], field: str, codes: list[str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        add_profile(new_profile(world, **changes), by=world.physician, now=world.now)
    assert {name: [fault.code for fault in faults] for name, faults in refused.value.error_dict.items()} == {
        field: codes
    }
    assert ReliefProfile.objects.count() == 1
    made = add_profile(new_profile(world), by=world.physician, now=world.now)
    assert (made.version, made.origin) == (2, "clinic")


def test_a_trial_may_ask_when_it_likes(world: World) -> None:
    world.ablation.purpose = "device_trial"
    world.ablation.save()
    assert add_profile(new_profile(world, check_in_days=[1]), by=world.physician, now=world.now).version == 2


def test_the_admin_says_which_rule_applied_and_refuses_the_rest(world: World, client: Client) -> None:
    signed_in(world.physician, client)
    add = f"/admin/procedures/reliefprofile/add/?procedure_type={world.ablation.pk}"
    data = filled(client.get(add).context["adminform"].form)
    refused = client.post(add, data | {"check_in_days": "1, 42, 92, 180, 366"})
    assert errors(refused) == {"check_in_days": ["no_check_in_before_start"]}
    assert "day 166" in words(refused)
    assert ReliefProfile.objects.count() == 1
    sent = client.post(add, data | {"check_in_days": ", ".join(map(str, RFA))})
    assert sent.status_code == 302, errors(sent)
    page = words(client.get(f"/admin/procedures/proceduretype/{world.ablation.pk}/change/"))
    assert "shortly before its first day: day 166" in page
    assert "A check-in on day 180 is missing" in page  # of the version before


def test_a_test_becomes_no_treatment_while_its_profile_is_none(world: World, client: Client) -> None:
    signed_in(world.physician, client)
    world.ablation.purpose = "diagnostic"
    world.ablation.save()
    world.ablation.red_flags.create(code="fever", question="Fever?", question_es="¿Fiebre?", source="test")
    page = f"/admin/procedures/proceduretype/{world.ablation.pk}/change/"
    context = client.get(page).context
    data = filled(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.initial_forms):
            data |= filled(form)
    refused = client.post(page, data | {"purpose": "therapeutic"})
    assert errors(refused) == {"purpose": ["no_check_in_on_start", "no_check_in_before_start"]}
    assert client.post(page, data | {"description": "Another one."}).status_code == 302


def test_a_treatment_becomes_no_test_while_its_profile_has_no_window_in_hours(world: World) -> None:
    world.ablation.purpose = "diagnostic_and_therapeutic"
    with pytest.raises(ValidationError) as refused:
        check_purpose(world.ablation)
    (fault,) = refused.value.error_dict["purpose"][-1:]
    assert fault.code == "no_hour_window"
    profile = new_profile(world)
    hours = {"window_from_minutes": 120, "window_until_minutes": 720, "check_in_minutes": [30, 60, 120]}
    for name, value in hours.items():
        setattr(profile, name, value)
    world.ablation.save()
    assert add_profile(profile, by=world.physician, now=world.now).version == 2
    for wrong in (
        {"window_until_minutes": None, "window_from_minutes": None},
        {"check_in_minutes": [30, 60]},
    ):
        other = new_profile(world)
        for name, value in (hours | wrong).items():
            setattr(other, name, value)
        with pytest.raises(ValidationError) as refused:
            add_profile(other, by=world.physician, now=world.now)
        assert [error.code for error in refused.value.error_dict["window_until_minutes"]] == [
            "no_hour_window"
        ]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_type_that_may_be_a_test_has_a_window_in_hours_and_a_diary_up_to_it(
    page: ProcedureType,
) -> None:
    window = (page.relief_window.from_hours, page.relief_window.until_hours)
    assert untested(page.purpose, window=window, asked=page.check_ins.hours) == ""
    assert page.purpose not in TESTING or window[0] is not None
