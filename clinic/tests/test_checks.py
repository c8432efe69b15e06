"""What `check --deploy` says of the settings."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from clinic import checks
from clinic.checks import pooler_is_known, sender_and_site_share_a_domain


@pytest.mark.parametrize(
    ("sender", "site", "fine"),
    [
        ("Riverside <clinic@example.org>", "https://clinic.example.org", True),
        ("ask@mail.example.org", "https://www.example.org", True),
        ("clinic@example.com", "https://clinic.example.org", False),
        ("clinic@localhost", "http://localhost:8000", False),
        ("", "https://clinic.example.org", False),
    ],
)
def test_a_sender_of_another_domain_than_the_links_is_warned_about(
    settings: Any, sender: str, site: str, fine: bool
) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.SITE_URL = sender, site
    assert ([found.id for found in sender_and_site_share_a_domain(None)] == []) is fine


def found() -> list[str]:
    return [str(check.id) for check in run_checks(databases=["default"]) if check.id == "clinic.E001"]


def test_a_pooler_without_its_variable_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found() == []
    monkeypatch.setattr(checks, "answered_by_another", lambda _: True)
    assert "clinic.E001" in found()
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert found() == []


def test_a_pooler_is_known_by_its_port_without_asking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", 6432)
    assert [message.id for message in pooler_is_known(None)] == ["clinic.E001"]


@pytest.fixture
def replaced(db: None) -> list[tuple[str, str]]:
    """What the first migrations stand for, in a database in which all of it was applied, and they were not yet."""
    recorder = MigrationRecorder(connections["default"])
    former: list[tuple[str, str]] = []
    for key, first in MigrationLoader(None).replacements.items():
        former += first.replaces
        recorder.record_unapplied(*key)
    for key in former:
        recorder.record_applied(*key)
    return former


def test_a_database_with_all_that_the_first_migrations_stand_for_needs_none(
    replaced: list[tuple[str, str]],
) -> None:
    assert {app for app, _name in replaced} == {"clinic", "patients", "procedures", "outcomes"}
    call_command("migrate", verbosity=0)
    applied = MigrationRecorder(connections["default"]).applied_migrations()
    assert {(app, "0001_schema") for app, _name in replaced} <= set(applied)


@pytest.mark.parametrize("app", ["clinic", "outcomes"])
def test_a_database_without_some_of_it_is_refused_before_anything_is_done(
    replaced: list[tuple[str, str]], app: str
) -> None:
    last = max(key for key in replaced if key[0] == app)
    MigrationRecorder(connections["default"]).record_unapplied(*last)
    with pytest.raises(SystemCheckError, match=r"clinic\.E002"):
        call_command("migrate", verbosity=0, skip_checks=False)
    assert (app, "0001_schema") not in MigrationRecorder(connections["default"]).applied_migrations()
