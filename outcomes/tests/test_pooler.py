"""A pooler in transaction mode, such as PgBouncer: nothing may be left on a connection."""

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from clinic.database import short_waits
from clinic.database_urls import database
from clinic.models import OutgoingEmail
from outcomes import services
from procedures.tests.factories import World


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
    said = [query["sql"].upper() for query in asked.captured_queries]
    assert len(said) > 50
    for sql in said:
        assert not sql.startswith(("SET ", "PREPARE", "DECLARE", "LISTEN")) or sql.startswith("SET LOCAL")
        assert "LOCK_TIMEOUT" not in sql
        assert "PG_ADVISORY_LOCK" not in sql
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
