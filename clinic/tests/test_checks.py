"""What `check --deploy` says of the settings."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from clinic import checks
from clinic.addresses import database
from clinic.checks import pooler_is_known, sender_and_site_share_a_domain
from clinic.database import short_waits
from clinic.models import OutgoingEmail
from conftest import World
from outcomes import services


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
    return [str(one.id) for one in run_checks(databases=["default"]) if one.id == "clinic.E001"]


def test_a_pooler_without_its_variable_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found() == []
    monkeypatch.setattr(checks, "answered_by_another", lambda _: True)
    assert "clinic.E001" in found()
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert found() == []


def test_a_pooler_is_known_by_its_port_without_asking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", 6432)
    assert [one.id for one in pooler_is_known(None)] == ["clinic.E001"]


def test_with_a_pooler_nothing_is_left_on_a_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No prepared statement, no cursor of the server, no setting: whatever a booking and the tick ask."""
    described = database("postgresql://clinic_web:x@pooler:6432/clinic", kept=60, pooled=True)
    assert described["DISABLE_SERVER_SIDE_CURSORS"] is True
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    connection.cursor().execute("DEALLOCATE ALL")
    with CaptureQueriesContext(connection) as asked, short_waits(100):
        follow_up = world.performed().follow_up
        services.tick(now=follow_up.check_ins.get(offset_minutes=1440).due_at)
        list(OutgoingEmail.objects.iterator())
    said = [one["sql"].upper() for one in asked.captured_queries]
    assert len(said) > 50
    for sql in said:
        assert not sql.startswith(("SET ", "PREPARE", "DECLARE", "LISTEN")) or sql.startswith("SET LOCAL")
        assert "LOCK_TIMEOUT" not in sql
        assert "PG_ADVISORY_LOCK" not in sql
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
