"""What work that nobody waits for asks of PostgreSQL: one at a time, no long waits, a row's fault for itself."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connection, connections, transaction

T = TypeVar("T")

#: After so many rows that others hold locked a piece of work gives up until its next turn: they may hold all of them.
LOCKED_ROWS = 3
#: Classes and codes (SQLSTATE) with which the server itself goes away.
AWAY = ("08", "57P01", "57P02", "57P03", "57P05", "53300")
LOCK_NOT_AVAILABLE = "55P03"
#: With these the server ends what has waited or lasted too long: another try a moment later may go through.
BUSY = (LOCK_NOT_AVAILABLE, "57014", "40P01")
DISK_FULL = "53100"
#: A question for which the server puts half a megabyte aside on its disk. To change a row tells too little: that
#: often works on a full disk.
NEEDS_ROOM = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 30000)"


def sqlstate(exc: BaseException) -> str:
    """PostgreSQL's code of what went wrong; "" when the server has said nothing."""
    return getattr(exc.__cause__, "sqlstate", None) or ""


def is_away(exc: BaseException) -> bool:
    """Whether a fault means that the database cannot be reached, so that nothing else can be done now either.

    A lock that was waited for too long, a statement that took too long or a full disk is an OperationalError as well.
    """
    code = sqlstate(exc)
    return isinstance(exc, OperationalError) and (not code or code.startswith(AWAY))


def is_busy(exc: BaseException | None) -> bool:
    """Whether a fault means that something waited for others, or lasted, longer than it may."""
    return isinstance(exc, OperationalError) and sqlstate(exc) in BUSY


def disk_is_full() -> bool:
    """Whether the database's own disk has no room left."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NEEDS_ROOM)
    except DatabaseError as exc:
        if sqlstate(exc) != DISK_FULL:
            raise
        return True
    return False


def for_each_row(rows: Iterable[T], act: Callable[[T], int]) -> int:
    """Do `act` for one row after the other; what it counted, in all. One row's fault stops no other.

    Raises OperationalError at once when the database is away, and at the end an ExceptionGroup of the faults. After
    LOCKED_ROWS that others hold locked it leaves the rest for the next time.
    """
    total, locked = 0, 0
    faults = []
    for row in rows:
        try:
            total += act(row)
        except Exception as exc:
            if is_away(exc):
                raise
            faults.append(exc)
            locked += sqlstate(exc) == LOCK_NOT_AVAILABLE
            if locked >= LOCKED_ROWS:
                break
    if faults:
        raise ExceptionGroup("some rows failed", faults)
    return total


@contextmanager
def short_waits(milliseconds: int) -> Iterator[None]:
    """Within it, who waits longer than that for a lock of this connection gets an OperationalError instead.

    Behind a pooler there are no settings of a connection: there the role's own lock_timeout counts
    (clinic/dev/embedded/roles.sql).
    """
    if connections[DEFAULT_DB_ALIAS].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [str(milliseconds)])
    try:
        yield
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


@contextmanager
def advisory_lock(number: int) -> Iterator[bool]:
    """Whether nobody else holds the advisory lock of that number; if so it is held until the end, and never longer.

    On a connection of its own, in one transaction, so that it holds behind a pooler as well, and so that the work in it
    can have as many transactions as it wants. It locks no row and holds back no vacuum.
    """
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        own = psycopg.connect(**database.get_connection_params())
    try:
        with database.wrap_database_errors:
            own.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            row = own.execute("SELECT pg_try_advisory_xact_lock(%s)", [number]).fetchone()
        yield bool(row and row[0])
    finally:
        with suppress(psycopg.Error):
            own.rollback()  # so that it is released by now: the server learns of a closed connection a moment later
        own.close()
