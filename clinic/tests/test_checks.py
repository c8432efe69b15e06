"""What `check --deploy` says of the settings."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections

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
