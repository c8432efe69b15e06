"""Statements that PostgreSQL plans once a connection, not once a call.

For the few that are long and asked all the time: planning one of them takes several times as long as running it. Their
parameters are bound by the server, so each needs a type that does not depend on its value: `%(now)s::timestamptz`.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import psycopg
from django.db import connection, connections
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

#: How that begins which django-pghistory puts in front of a statement: who is behind the change.
CONTEXT = "SELECT set_config('pghistory."

Raw = psycopg.Connection[tuple[Any, ...]]

#: The connections that plan for any values instead of these values. Every table here is read by an index whoever asks.
planning_once: WeakSet[Raw] = WeakSet()


class Prepared(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor whose statements are all prepared when they are first used on its connection."""

    def __init__(self, raw: Raw) -> None:
        super().__init__(raw)
        if raw.prepare_threshold is None:  # Django's "never", which its own cursors keep to in any case
            raw.prepare_threshold = 5
        # A small number would be a smallint, and the same statement with a larger one another statement.
        self.adapters.register_dumper(int, Int8Dumper)

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> "Prepared":
        if query.startswith(CONTEXT):  # a prepared statement is one command
            context, _, query = query.partition("; ")
            super().execute(context, params, prepare=True)
        super().execute(query, params, prepare=True)
        return self


def rows(statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows that a prepared statement returns. `params` by name, as `%(name)s` in the statement.

    Behind a pooler that gives each transaction another connection nothing can be prepared. There DATABASE_URL says
    `DISABLE_SERVER_SIDE_CURSORS=true`, as Django needs it too, and these statements are planned at every call.
    """
    database = connections[connection.alias]  # `connection` itself looks for it at every name
    with database.cursor() as cursor:
        if not database.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            raw = database.connection
            # Only between transactions: one that is rolled back would take the setting with it.
            if raw not in planning_once and raw.info.transaction_status == TransactionStatus.IDLE:
                raw.execute("SET plan_cache_mode = force_generic_plan")
                planning_once.add(raw)
            cursor.cursor = Prepared(raw)
        cursor.execute(statement, dict(params))
        if database.queries_logged:
            database.queries_log[-1]["sql"] = statement  # Django finds no text in what runs by a name
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
