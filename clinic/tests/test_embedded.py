"""What the embedded servers promise: they start anywhere, keep what they were given, leave nothing behind."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clinic.dev.embedded import Postgres, ServerFailed, Valkey, socket_folder
from clinic.tests.deployment import eventually

pytestmark = pytest.mark.usefixtures("runtime_folder")

ROOT = Path(__file__).resolve().parents[2]


def ask(server: Postgres, query: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def tell(server: Postgres, statement: str) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute(statement.encode())


def alive(process: "subprocess.Popen[bytes] | None") -> bool:
    return process is not None and process.poll() is None


@contextlib.contextmanager
def killed_owner(data: Path, how: str = "pass") -> "Iterator[subprocess.Popen[str]]":
    """Another process that owns a server on `data` until it is killed; waits until the server runs."""
    script = f"""
import signal, sys, pathlib
from clinic.dev import embedded
from clinic.dev.embedded import programs
{how}
server = embedded.Postgres(pathlib.Path({str(data)!r}))
server.start()
print(server.process.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        yield owner
        owner.kill()


def command_line(pid: int) -> str:
    """Empty when the process is gone or a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_a_throwaway_postgres_serves_and_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPORT", "PGDATA", "PGHOST", "PGDATABASE", "LC_ALL"):  # of a developer who has another one
        monkeypatch.setenv(name, "5433")
    with Postgres() as server:
        assert ask(server, "SELECT current_database()") == "clinic"
        assert ask(server, "SHOW server_version_num") >= "180000"  # type: ignore[operator]
        assert int(str(ask(server, "SHOW max_connections"))) >= 200
        assert ask(server, "SHOW listen_addresses") == ""
        assert server.sockets.stat().st_mode & 0o777 == 0o700
        for extension in ("btree_gist", "pg_trgm", "citext", "unaccent"):
            tell(server, f"CREATE EXTENSION {extension}")
        folder, process = server.data.parent, server.process
        assert folder.stat().st_mode & 0o077 in (0, 0o011)
    assert not folder.exists()
    assert not alive(process)


def test_postgres_keeps_its_rows_in_a_deep_folder_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / ("deep " * 20) / "postgresql"  # too long for a socket, and with spaces
    with Postgres(data) as server:
        assert server.made
        tell(server, "CREATE TABLE kept AS SELECT 7 AS seven")
    with Postgres(data) as server:
        assert not server.made
        assert ask(server, "SELECT seven FROM kept") == 7
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not server.sockets.exists()


def test_a_half_made_data_folder_heals(tmp_path: Path) -> None:
    draft = tmp_path / "postgresql.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")  # an initdb killed half-way
    with Postgres(tmp_path / "postgresql") as server:
        assert ask(server, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_kill_9_of_the_owner_ends_the_server(tmp_path: Path) -> None:
    with killed_owner(tmp_path / "postgresql") as owner:
        assert owner.stdout
        server = int(owner.stdout.readline())
        owner.send_signal(signal.SIGKILL)
        eventually(lambda: not command_line(server))


def test_a_server_left_running_is_ended_first(tmp_path: Path) -> None:
    """As after kill -9 on a system that does not end children with their parent."""
    data = tmp_path / "postgresql"
    with killed_owner(data, how="programs._GUARD = programs._GUARD.replace('prctl(1', 'prctl(0')") as owner:
        assert owner.stdout
        left = int(owner.stdout.readline())
        owner.kill()
        owner.wait()
        assert command_line(left)
        with Postgres(data) as server:
            assert ask(server, "SELECT 1") == 1
            assert not command_line(left)


def test_a_pid_file_that_names_a_stranger_does_not_hurt_the_stranger(tmp_path: Path) -> None:
    data = tmp_path / "postgresql"
    with Postgres(data):
        lines = (data / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with Postgres(data) as server:
            assert ask(server, "SELECT 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path)
    assert socket_folder(tmp_path) == folder
    folder.chmod(0o777)
    with pytest.raises(ServerFailed, match="not a private folder of yours"):
        socket_folder(tmp_path)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ServerFailed, match="not a private folder of yours"):
        socket_folder(tmp_path)
    folder.unlink()


def test_a_broken_data_folder_is_told_with_the_servers_own_words(tmp_path: Path) -> None:
    data = tmp_path / "postgresql"
    with Postgres(data):
        pass
    shutil.rmtree(data / "base")
    (data / "postgresql.conf").write_text("nonsense\n")
    with pytest.raises(ServerFailed, match=r"PostgreSQL did not start:\n(.|\n)*syntax error"):
        Postgres(data).start()


def test_something_else_in_the_place_of_the_data_folder_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "postgresql" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(ServerFailed, match="did not start"):
        Postgres(precious.parent).start()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_valkey_keeps_what_it_was_given(tmp_path: Path, end: signal.Signals) -> None:
    def say(server: Valkey, words: bytes) -> bytes:
        path, _, _ = server.url.removeprefix("unix://").partition("?")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(words + b"\r\n")
            return client.recv(100)

    with Valkey(tmp_path / "valkey") as server:
        assert say(server, b"SET message waiting") == b"+OK\r\n"
        assert alive(server.process)
        assert server.process
        os.kill(server.process.pid, end)
        server.process.wait(20)
    with Valkey(tmp_path / "valkey") as server:
        assert say(server, b"GET message") == b"$7\r\nwaiting\r\n"
        assert say(server, b"CONFIG GET port").endswith(b"$1\r\n0\r\n")


def test_any_command_runs_beside_a_throwaway_postgres() -> None:
    ours = ("DATABASE_URL", "SECRET_KEY", "DEBUG", "EMAIL_URL")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    look = (
        "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL']);"
        "print(os.environ['DEBUG'], os.environ['EMAIL_URL'], len(os.environ['SECRET_KEY']) > 50); sys.exit(7)"
    )
    command = [sys.executable, "-m", "clinic.dev.embedded", sys.executable, "-W", "ignore", "-c", look]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "false memorymail:// True\n", "")


ROLES = ("clinic_owner", "clinic_web", "clinic_worker")
LIMITS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


def limits(server: Postgres, role: str) -> list[int]:
    """How long a role waits for a lock, for a statement, and in a transaction without a word; milliseconds."""
    with psycopg.connect(server.url_of(role)) as connection:
        rows = connection.execute(
            "SELECT setting::int FROM pg_settings WHERE name = ANY(%s) ORDER BY array_position(%s, name)",
            [list(LIMITS), list(LIMITS)],
        ).fetchall()
    return [row[0] for row in rows]


def as_role(server: Postgres, role: str, *statements: str) -> None:
    with psycopg.connect(server.url_of(role)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_there_are_roles_that_do_not_wait_for_ever() -> None:
    with Postgres() as server:
        web, worker, owner = (limits(server, f"clinic_{name}") for name in ("web", "worker", "owner"))
        assert all(0 < short < longer < long for short, longer, long in zip(web, worker, owner, strict=True))
        extensions = [f"CREATE EXTENSION {name}" for name in ("btree_gist", "pg_trgm", "unaccent", "citext")]
        as_role(server, "clinic_owner", *extensions, "CREATE TABLE made (id bigserial, word text)")
        for role in ROLES[1:]:
            as_role(
                server,
                role,
                "INSERT INTO made (word) VALUES ('x')",
                "UPDATE made SET word = 'y'",
                "TABLE made",
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_role(server, role, "DROP TABLE made")
        as_role(server, "clinic_worker", "ANALYZE made")
        with (
            psycopg.connect(server.url_of("clinic_worker")) as holder,
            psycopg.connect(server.url_of("clinic_web"), options="-c lock_timeout=50") as waiting,
        ):
            holder.execute("SELECT FROM made FOR UPDATE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                waiting.execute("UPDATE made SET word = 'z'")


def test_a_data_folder_of_before_gets_the_roles_at_its_next_start(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgresql") as server:
        tell(server, "ALTER DATABASE clinic OWNER TO clinic")
        for role in ROLES:
            tell(server, f"DROP OWNED BY {role}")
            tell(server, f"DROP ROLE {role}")
        tell(server, "CREATE EXTENSION unaccent")
        tell(server, "CREATE TABLE kept (id bigserial PRIMARY KEY, word text)")
        tell(server, "CREATE VIEW seen AS TABLE kept")
        tell(server, "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with Postgres(tmp_path / "postgresql") as server:
        as_role(server, "clinic_web", "INSERT INTO kept (word) VALUES ('x')", "TABLE seen", "SELECT one()")
        as_role(server, "clinic_owner", "ALTER TABLE kept ADD more int", "DROP FUNCTION one()")
        as_role(server, "clinic_owner", "CREATE TABLE made_later (id int)")
        as_role(server, "clinic_worker", "INSERT INTO made_later VALUES (1)")
        assert (
            ask(server, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'clinic'")
            == ROLES[0]
        )
