"""Loading the catalogue: repeatable, never over a local edit, a new version for a changed figure."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from clinic.models import AuditEvent, ResourceCategory
from clinic.toml_pages import Confirmation
from procedures.catalogue import Catalogue, ProcedureType, read_catalogue
from procedures.models import (
    FigureConfirmation,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.models import ProcedureType as Row
from procedures.services import catalogue_loader
from procedures.services.catalogue_loader import LoadReport, load
from procedures.tests.factories import World

NOW = datetime(2027, 1, 8, 17, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
RAO = Confirmation("Dr. Rao", date(2027, 1, 15))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture
def loaded(db: None, catalogue: Catalogue) -> Catalogue:
    load(catalogue, by=None, now=NOW)
    return catalogue


def page(catalogue: Catalogue, code: str = "rfa_facet") -> ProcedureType:
    return next(page for page in catalogue.procedure_types if page.code == code)


def with_page(catalogue: Catalogue, **changes: Any) -> Catalogue:
    """The catalogue with a changed page for facet ablation."""
    changed = replace(page(catalogue), **changes)
    return replace(
        catalogue,
        procedure_types=tuple(
            changed if old.code == changed.code else old for old in catalogue.procedure_types
        ),
    )


def with_window(catalogue: Catalogue, **changes: Any) -> Catalogue:
    return with_page(catalogue, relief_window=replace(page(catalogue).relief_window, **changes))


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row that loading writes."""
    models: tuple[type[Model], ...] = (
        *(ResourceCategory, RedFlag, ReadinessItem, Row, ResourceRequirement, Risk),
        *(ReliefProfile, FigureConfirmation, Row.red_flags.through, Row.readiness_items.through),
    )
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def test_the_first_load_brings_everything(loaded: Catalogue) -> None:
    assert Row.objects.count() == 28
    row = Row.objects.get(code="rfa_facet")
    assert row.procedure_minutes == 45
    assert row.indications[0] == "M47.812"
    assert {entry.category.code for entry in row.requirements.all()} == {
        *("physician", "procedure_room", "c_arm", "rf_generator", "recovery_bay")
    }
    assert [risk.name for risk in row.risks.all()] == [risk.name for risk in page(loaded).risks]
    assert sorted(flag.code for flag in row.red_flags.all()) == sorted(page(loaded).red_flags)
    assert sorted(item.code for item in row.readiness_items.all()) == sorted(page(loaded).readiness)
    profile = row.relief_profiles.get()
    assert (profile.version, profile.origin, profile.in_force_from) == (1, "catalogue", NOW)
    assert (profile.window_from_days, profile.window_until_days) == (180, 365)
    assert "Lord 1996" in profile.window_source
    assert not FigureConfirmation.objects.exists()


def test_the_questions_about_each_risk_are_remembered_with_the_type(loaded: Catalogue) -> None:
    asked = Row.objects.get(code="rfa_facet").catalogue_values["asked"]
    assert asked["infection"] == ["site_infection", "fever_chills"]
    assert asked["soreness or muscle spasm for up to two weeks"].startswith("Soreness is expected")
    quiet = tuple(replace(risk, asked_by=(), not_asked="Never seen.") for risk in page(loaded).risks)
    assert load(with_page(loaded, risks=quiet), by=None, now=LATER) == LoadReport()
    assert Row.objects.get(code="rfa_facet").catalogue_values["asked"]["infection"] == "Never seen."


def test_hours_become_minutes(loaded: Catalogue) -> None:
    profile = Row.objects.get(code="medial_branch_block").relief_profiles.get()
    assert (profile.window_from_minutes, profile.window_until_minutes) == (120, 720)
    assert profile.check_in_minutes[:2] == [30, 60]


def test_every_profile_is_one_that_the_database_and_the_admin_accept(loaded: Catalogue) -> None:
    for row in Row.objects.all():
        row.full_clean()
        for entry in (*row.relief_profiles.all(), *row.requirements.all(), *row.risks.all()):
            entry.full_clean()
    for shared in (*RedFlag.objects.all(), *ReadinessItem.objects.all()):
        shared.full_clean()


def test_a_second_load_reports_nothing_and_writes_nothing(loaded: Catalogue) -> None:
    before = everything()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        report = load(loaded, by=None, now=LATER)
    assert report == LoadReport()
    assert everything() == before
    assert [
        query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
    ] == []


def test_a_load_that_did_something_stands_in_the_audit_trail(loaded: Catalogue) -> None:
    event = AuditEvent.objects.get(action="catalogue.loaded")
    assert (event.at, event.by, event.actor) == (NOW, None, "import")
    load(loaded, by=None, now=LATER)
    assert AuditEvent.objects.filter(action="catalogue.loaded").count() == 1


def test_a_changed_text_is_taken_over(loaded: Catalogue) -> None:
    report = load(with_page(loaded, description="Better words."), by=None, now=LATER)
    assert report == LoadReport(changed=[("rfa_facet", "description")])
    assert Row.objects.get(code="rfa_facet").description == "Better words."


def rename(row: Row) -> None:
    row.name = "Facet burning"
    row.save()


def drop_a_flag(row: Row) -> None:
    row.red_flags.remove(RedFlag.objects.get(code="falls"))


def add_an_item(row: Row) -> None:
    row.readiness_items.add(ReadinessItem.objects.get(code="psych_eval"))


def need_a_nurse(row: Row) -> None:
    row.requirements.create(category=ResourceCategory.objects.get(code="nurse"), lasts_minutes=45)


def soften_a_risk(row: Row) -> None:
    row.risks.filter(name="infection").update(severity="moderate")


@pytest.mark.parametrize(
    ("edit", "field", "changes"),
    [
        (rename, "name", {"name": "Radiofrequency ablation, facet"}),
        (drop_a_flag, "red_flags", {"red_flags": ("new_weakness",)}),
        (add_an_item, "readiness_items", {"readiness": ("consent",)}),
        (need_a_nurse, "requirements", {"requires": ()}),
        (soften_a_risk, "risks", {"risks": ()}),
    ],
)
def test_a_local_edit_stays_and_is_reported(
    loaded: Catalogue, edit: Callable[[Row], None], field: str, changes: dict[str, Any]
) -> None:
    edit(Row.objects.get(code="rfa_facet"))
    edited = everything()
    assert load(loaded, by=None, now=LATER) == LoadReport(kept_local=[("rfa_facet", field)])
    assert everything() == edited
    report = load(with_page(loaded, **changes, description="Better words."), by=None, now=LATER)
    assert report == LoadReport(changed=[("rfa_facet", "description")], kept_local=[("rfa_facet", field)])
    assert Row.objects.get(code="rfa_facet").description == "Better words."


def test_a_field_that_the_clinic_set_back_follows_the_files_again(loaded: Catalogue) -> None:
    Row.objects.filter(code="rfa_facet").update(name="Facet burning")
    load(loaded, by=None, now=LATER)
    Row.objects.filter(code="rfa_facet").update(name=page(loaded).name)
    report = load(with_page(loaded, name="Ablation"), by=None, now=LATER)
    assert report == LoadReport(changed=[("rfa_facet", "name")])
    assert Row.objects.get(code="rfa_facet").name == "Ablation"


def test_a_duration_is_kept_together_with_its_source(loaded: Catalogue) -> None:
    Row.objects.filter(code="rfa_facet").update(procedure_minutes=40)
    changed = replace(page(loaded).duration, recovery_minutes=90, source="A new leaflet")
    report = load(with_page(loaded, duration=changed), by=None, now=LATER)
    assert report.changed == []
    row = Row.objects.get(code="rfa_facet")
    assert (row.procedure_minutes, row.recovery_minutes) == (40, 60)
    assert row.duration_source == page(loaded).duration.source


def test_a_local_wording_of_a_question_stays(loaded: Catalogue) -> None:
    RedFlag.objects.filter(code="falls").update(question="Have you fallen?")
    flags = tuple(
        replace(flag, urgency="emergency") if flag.code == "falls" else flag for flag in loaded.red_flags
    )
    report = load(replace(loaded, red_flags=flags), by=None, now=LATER)
    assert report == LoadReport(changed=[("falls", "urgency")], kept_local=[("falls", "question")])
    flag = RedFlag.objects.get(code="falls")
    assert (flag.question, flag.urgency) == ("Have you fallen?", "emergency")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"until_days": 400}, "window_until_days"), ({"source": "A new trial"}, "window_source")],
)
def test_a_changed_figure_or_source_is_a_new_version(
    loaded: Catalogue, changes: dict[str, Any], field: str
) -> None:
    report = load(with_window(loaded, **changes), by=None, now=LATER)
    assert report == LoadReport(changed=[("rfa_facet", field)])
    new, old = Row.objects.get(code="rfa_facet").relief_profiles.order_by("-version")
    assert (old.version, old.window_until_days, old.in_force_from) == (1, 365, NOW)
    assert (new.version, new.origin, new.in_force_from) == (2, "catalogue", LATER)
    assert load(with_window(loaded, **changes), by=None, now=LATER) == LoadReport()


def test_a_performed_procedure_keeps_the_profile_of_its_day(world: World, catalogue: Catalogue) -> None:
    procedure = world.performed()
    before = ReliefProfile.objects.values().get(pk=procedure.relief_profile_id)
    load(with_window(catalogue, until_days=400), by=world.admin, now=LATER)
    procedure.refresh_from_db()
    assert procedure.relief_profile.version == 1
    assert ReliefProfile.objects.values().get(pk=procedure.relief_profile_id) == before
    assert world.ablation.relief_profiles.order_by("-version")[0].window_until_days == 400


def test_a_profile_that_the_clinic_made_stays_in_force(loaded: Catalogue) -> None:
    row = Row.objects.get(code="rfa_facet")
    values = ReliefProfile.objects.values().get(procedure_type=row)
    own = ReliefProfile.objects.create(
        **values
        | {"id": None, "version": 2, "origin": "clinic", "window_until_days": 300, "in_force_from": NOW}
    )
    report = load(with_window(loaded, until_days=400), by=None, now=LATER)
    assert report == LoadReport(kept_local=[("rfa_facet", "window_until_days")])
    assert row.relief_profiles.order_by("-version")[0] == own


def test_a_type_that_the_clinic_made_itself_is_left_alone(loaded: Catalogue) -> None:
    Row.objects.filter(code="rfa_facet").update(code="our_own", name="Our own")
    report = load(loaded, by=None, now=LATER)
    assert report == LoadReport(added=["rfa_facet"])
    assert Row.objects.get(code="our_own").name == "Our own"


def test_a_confirmation_in_the_file_is_brought_changed_and_taken_back(loaded: Catalogue) -> None:
    confirmed = with_page(
        with_window(loaded, confirmed=RAO), duration=replace(page(loaded).duration, confirmed=RAO)
    )
    report = load(confirmed, by=None, now=LATER)
    assert report == LoadReport(
        changed=[("rfa_facet", "duration confirmed"), ("rfa_facet", "relief_window confirmed")]
    )
    said = FigureConfirmation.objects.order_by("figure")
    assert [(entry.figure, entry.confirmed_by, entry.confirmed_on) for entry in said] == [
        ("duration", RAO.by, RAO.on),
        ("relief_window", RAO.by, RAO.on),
    ]
    assert Row.objects.get(code="rfa_facet").relief_profiles.count() == 1
    assert load(confirmed, by=None, now=LATER) == LoadReport()
    load(loaded, by=None, now=LATER)
    assert not FigureConfirmation.objects.exists()


def test_a_confirmation_made_here_stays_with_its_figure_and_not_with_a_changed_one(loaded: Catalogue) -> None:
    row = Row.objects.get(code="rfa_facet")
    first = row.relief_profiles.get()
    for figure in ("onset", "relief_window"):
        FigureConfirmation.objects.create(
            procedure_type=row, relief_profile=first, figure=figure, confirmed_by="Dr. Lee", confirmed_on=NOW
        )
    load(with_window(loaded, until_days=400), by=None, now=LATER)
    second = row.relief_profiles.order_by("-version")[0]
    assert [said.figure for said in second.confirmations.all()] == ["onset"]
    assert first.confirmations.count() == 2


def test_a_confirmation_of_a_duration_goes_with_the_duration(loaded: Catalogue) -> None:
    row = Row.objects.get(code="rfa_facet")
    row.confirmations.create(figure="duration", confirmed_by="Dr. Lee", confirmed_on=NOW)
    changed = replace(page(loaded).duration, recovery_minutes=90)
    load(with_page(loaded, duration=changed), by=None, now=LATER)
    assert not row.confirmations.exists()


def test_a_failing_load_leaves_nothing_behind(db: None, catalogue: Catalogue) -> None:
    broken = with_page(catalogue, duration=replace(page(catalogue).duration, source=""))
    with pytest.raises(IntegrityError), transaction.atomic():
        load(broken, by=None, now=NOW)
    assert not Row.objects.exists()
    assert not RedFlag.objects.exists()


def load_while_another_is_open(catalogue: Catalogue) -> LoadReport | Exception:
    """What a second load, on a connection of its own, comes to while the first has not committed yet.

    The first commits once the second stands at its lock, or at an insert, having seen no row of the first.
    """
    arrived = threading.Event()
    outcome: list[LoadReport | Exception] = []

    def announce(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT") or "advisory" in sql:
            arrived.set()
        return execute(sql, params, many, context)

    def second() -> None:
        try:
            with connection.execute_wrapper(announce):
                outcome.append(load(catalogue, by=None, now=LATER))
        except Exception as exc:
            outcome.append(exc)
        finally:
            arrived.set()
            connection.close()

    rival = threading.Thread(target=second)
    with transaction.atomic():
        load(catalogue, by=None, now=NOW)
        rival.start()
        assert arrived.wait(30)
    rival.join(30)
    return outcome[0]


@pytest.mark.django_db(transaction=True)
def test_of_two_loads_at_once_one_does_the_work(catalogue: Catalogue) -> None:
    assert load_while_another_is_open(catalogue) == LoadReport()
    assert Row.objects.count() == ReliefProfile.objects.count() == 28
    assert load(catalogue, by=None, now=LATER) == LoadReport()


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_two_loads_at_once_collide(
    monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    """If this fails, the test above proves nothing."""
    monkeypatch.setattr(catalogue_loader, "wait_for_turn", lambda: None)
    catalogue_loader.load_categories(
        LoadReport()
    )  # these would make the second wait, and see everything, by chance
    assert isinstance(load_while_another_is_open(catalogue), IntegrityError)


def test_the_command_says_in_plain_words_what_it_did(db: None) -> None:
    out = StringIO()
    call_command("load_catalogue", stdout=out)
    assert "rfa_facet: added\n" in out.getvalue()
    out = StringIO()
    call_command("load_catalogue", stdout=out)
    assert out.getvalue() == (
        "28 procedure types: 0 entries added, 0 fields changed, 0 kept as edited here.\n"
    )


def test_the_command_refuses_a_bad_folder_and_loads_nothing(db: None, tmp_path: Path) -> None:
    (tmp_path / "rfa_facet.toml").write_text('code = "rfa_facet"\n', encoding="utf-8")
    with pytest.raises(CommandError) as refused:
        call_command("load_catalogue", folder=tmp_path)
    assert refused.value.returncode == 1
    assert "shared/red_flags.toml: is missing.\n" in str(refused.value)
    assert "rfa_facet.toml: relief_window: is missing.\n" in str(refused.value)
    assert not Row.objects.exists()
