"""Statements that PostgreSQL plans once a connection, not once a call.

For the few that are long and asked all the time: planning one of them takes several times as long as running it. Their
parameters are bound by the server, so each needs a type that does not depend on its value: `%(now)s::timestamptz`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from django.db import connection, connections, models
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

#: How that begins which django-pghistory puts in front of a statement: who is behind the change.
CONTEXT = "SELECT set_config('pghistory."

M = TypeVar("M", bound=models.Model)
AnyField: TypeAlias = "models.Field[Any, Any]"
Raw = psycopg.Connection[tuple[Any, ...]]

#: The connections that plan for any values instead of these values. Every table here is read by an index whoever asks.
planning_once: WeakSet[Raw] = WeakSet()
#: The cursor of each of Django's connections, while the connection behind it is the same.
cursors: "WeakKeyDictionary[Any, Prepared]" = WeakKeyDictionary()


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

    Behind a pooler that gives each transaction another connection nothing can be prepared. Where DATABASE_POOLER names
    one, these statements are planned at every call.
    """
    database: Any = connections[connection.alias]  # `connection` itself looks for it at every name
    if database.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        with database.cursor() as cursor:
            return answer(database, cursor, statement, params)
    # As Django makes a cursor, but without making one of its own.
    database.close_if_health_check_failed()
    database.ensure_connection()
    own: Any = cursor_of(database)
    wrapped = database.make_debug_cursor(own) if database.queries_logged else database.make_cursor(own)
    return answer(database, wrapped, statement, params)


def answer(database: Any, cursor: Any, statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run the statement, and read all that it returns."""
    cursor.execute(statement, dict(params))
    if database.queries_logged:
        database.queries_log[-1]["sql"] = statement  # Django finds no text in what runs by a name
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def cursor_of(database: Any) -> Prepared:
    """The one cursor that serves all statements of a connection, for each is read to its end at once."""
    raw = database.connection
    # Only between transactions: one that is rolled back would take the setting with it.
    if raw not in planning_once and raw.info.transaction_status == TransactionStatus.IDLE:
        raw.execute("SET plan_cache_mode = force_generic_plan")
        planning_once.add(raw)
    own = cursors.get(database)
    if own is None or own.connection is not raw:
        own = cursors[database] = Prepared(raw)
    return own


@cache
def read(model: type[models.Model]) -> "tuple[list[str], list[tuple[int, AnyField]]]":
    """The names of all that a row of `model` keeps, in order, and which of them are kept as something else."""
    fields = model._meta.concrete_fields
    return [field.attname for field in fields], [
        (place, field) for place, field in enumerate(fields) if hasattr(field, "from_db_value")
    ]


def named(model: type[models.Model], table: str) -> str:
    """The columns that `made` takes, as a statement lists them that calls the model's table `table`."""
    quoted = [connection.ops.quote_name(str(field.column)) for field in model._meta.concrete_fields]
    return ", ".join(f"{table}.{column}" for column in quoted)


def made(model: type[M], values: Sequence[Any]) -> M:
    """The object that the columns of `named` make: as any that a query reads."""
    names, kept_otherwise = read(model)
    values = list(values)
    for place, field in kept_otherwise:
        values[place] = field.from_db_value(values[place], None, connection)  # type: ignore[attr-defined]
    return model.from_db(connection.alias, names, values)


@cache
def written(model: type[models.Model]) -> "list[AnyField]":
    """The columns that an insert names: not the number, nor what the database fills in."""
    fields = model._meta.local_concrete_fields
    return [field for field in fields if not field.primary_key and not field.has_db_default()]


def into(model: type[models.Model], fields: "Sequence[AnyField]", *first: str) -> str:
    """The beginning of an insert of those columns, after those in `first`."""
    quote = connection.ops.quote_name
    listed = ", ".join(quote(name) for name in (*first, *(str(field.column) for field in fields)))
    return f"INSERT INTO {quote(model._meta.db_table)} ({listed})"


def kind(field: "AnyField") -> str:
    """A column's type without its length: a cast to varchar(16) would cut what is longer, saving it refuses."""
    return (field.db_type(connection) or "").partition("(")[0]


@cache
def insert_one(model: type[models.Model]) -> str:
    """The insert of one row, whose parameters are `values`."""
    slots = ", ".join(f"%({field.column})s::{kind(field)}" for field in written(model))
    return f"{into(model, written(model))} VALUES ({slots})"


def values(row: models.Model) -> dict[str, Any]:
    """The parameters of `insert_one`."""
    database = connections[connection.alias]
    return {
        str(field.column): field.get_db_prep_save(getattr(row, field.attname), database)
        for field in written(type(row))
    }
