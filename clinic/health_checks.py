"""Whether this process can serve: each part is asked in a time that is short however badly it hangs."""

import select
import shutil
import tempfile
from contextlib import suppress
from time import monotonic

import psycopg
from django.conf import settings
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connections
from redis.exceptions import RedisError

from clinic.database import DISK_FULL, NEEDS_ROOM

#: The database answers within so many seconds, or it does not. libpq knows no shorter time for connecting.
CONNECTS_WITHIN, ANSWERS_WITHIN = 2, 2.3


def database_answers() -> bool:
    """Whether the database takes a new connection and answers on it, see `ask_database`."""
    return ask_database()[0]


def ask_database() -> tuple[bool, bool]:
    """Whether the database takes a new connection and answers on it; and whether it has room on its disk.

    A connection of its own, and never one of Django's: the server can hang so that it neither answers nor heeds its
    own time limits, and who waits for it then has to be able to go away.
    """
    deadline = monotonic() + ANSWERS_WITHIN
    params = connections[DEFAULT_DB_ALIAS].get_connection_params()
    try:
        raw = psycopg.connect(**params | {"connect_timeout": CONNECTS_WITHIN, "autocommit": True})
    except psycopg.Error:
        return False, True
    try:
        fault = reply(raw.pgconn, deadline)
    except psycopg.Error:
        fault = None
    finally:
        with suppress(psycopg.Error):
            raw.close()
    return fault in ("", DISK_FULL), fault != DISK_FULL


def reply(pgconn: psycopg.pq.abc.PGconn, deadline: float) -> str | None:
    """How the server answers a question for which it needs some room, before `deadline` on the monotonic clock.

    "" when it does, the SQLSTATE of its refusal, and None for no answer in time.
    """
    pgconn.send_query(NEEDS_ROOM.encode())
    code = ""
    while True:
        while pgconn.is_busy():
            readable, _, _ = select.select([pgconn.socket], [], [], max(0, deadline - monotonic()))
            if not readable:
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return code
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            code = (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"unknown").decode()


def disk_has_room() -> bool:
    """Whether there is room where this process writes: uploads and what libraries put aside."""
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return False
    least: int = settings.DISK_FREE_MB * 2**20
    return free >= least


def redis_answers() -> bool:
    """Whether the cache answers; settings.CACHES says for how long it is waited for."""
    try:
        cache.get("ready")
    except (RedisError, OSError):
        return False
    return True
