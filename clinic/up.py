"""`manage.py up`: the whole service on one's own machine, from one command, until Ctrl-C.

This process never loads Django. It starts the servers, writes their addresses where `settings.py` finds them,
prepares the database, and watches over the children until one dies or somebody stops it.
"""

import argparse
import contextlib
import errno
import fcntl
import http.client
import ipaddress
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from clinic.bootstrap import ROOT, say, step
from clinic.embedded import Postgres, Server, ServerFailed, Valkey, last_lines, spawn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  #: what listens to all addresses, and where to reach that  # noqa: S104
PATIENCE = 5.0  # seconds that children get to stop by themselves
#: lines of the logs that a person should see at once: trouble, and how far the demo has come
NEWS = re.compile(
    r'"level": "(?:error|critical)"|\[(?:error|critical) *\]|\b(?:ERROR|CRITICAL)\b'
    r"|^(?:\w+\.)*\w*(?:Error|Exception)\b|^Demo history"
)


class Stopped(BaseException):
    """Somebody asked for the end: Ctrl-C, a termination signal or a closed terminal."""


@dataclass
class Child:
    """A process of the service, its log, and how much of the log (bytes) has been looked through."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    seen: int = 0
    may_end: bool = False  #: whether to come to an end is its purpose

    def news(self) -> list[str]:
        """The whole lines written since the last look that a person should see."""
        with self.log.open("rb") as file:
            file.seek(self.seen)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.seen += len(whole) + len(newline)
        lines = whole.decode(errors="replace").splitlines()
        return [line for line in lines if NEWS.search(line)]


def data_folder() -> Path:
    """Where `up` keeps databases, logs and addresses: CLINIC_DATA, or the checkout's `.clinic`."""
    return Path(os.environ.get("CLINIC_DATA") or ROOT / ".clinic").resolve()


def options(args: list[str]) -> argparse.Namespace:
    """The command line of `up`, understood: `host`, `port` (a TCP port), `demo`."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Start everything on this machine; Ctrl-C stops it."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: this machine only)"
    )
    parser.add_argument("--port", default=8000, type=_port, help="port to serve on (default: 8000)")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="leave out the made-up demo clinic"
    )
    return parser.parse_args(args)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def check(args: list[str]) -> argparse.Namespace:
    """Refuse now what would fail later, before anything slow happens; the understood command line otherwise.

    Raises:
        SystemExit: a sentence says why it cannot run here and what to do.
    """
    wanted = options(args)
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name in os.environ:
            raise SystemExit(
                f"{name} is set, but `up` brings servers of its own: unset it, or use docker-compose.yml."
            )
    if os.environ.get("DEBUG", "true").lower() not in ("true", "on", "ok", "y", "yes", "1"):
        raise SystemExit(
            "DEBUG is off, but `up` is for one's own machine only: unset it, or use docker-compose.yml."
        )
    running = _running_at()
    if running:
        raise SystemExit(f"It is already running at {running}.")
    # After a kill -9 the orphaned web workers need a second to notice and to leave the port.
    deadline = time.monotonic() + (3 if _last_run_was_killed() else 0)
    while trouble := _busy(wanted.host, wanted.port):
        if time.monotonic() > deadline:
            raise SystemExit(trouble)
        time.sleep(0.1)
    return wanted


def _busy(host: str, port: int) -> str:
    """Why that address cannot be served on; an empty text when it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError:
        return f"Port {port} is for the system only: choose another one, for instance `--port 8000`."
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return f"Port {port} is in use: choose another one, for instance `--port {port % 65535 + 1}`."
        return f"{host} is no address of this machine: leave out `--host`."
    return ""


def _lock_file() -> Path:
    return data_folder() / "up.lock"


def _last_run_was_killed() -> bool:
    """Whether the address is still in the lock file, which a run that stops takes out."""
    return _lock_file().exists() and _lock_file().stat().st_size > 0


def _running_at() -> str:
    """The address of the `up` that runs on this data folder; an empty text when none does."""
    try:
        with _lock_file().open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _lock_file().read_text().strip() or "an address it has not told yet"
    except OSError:
        pass
    return ""


def main(args: list[str]) -> int:
    """Run until stopped; the exit code: 0 when somebody stopped it, 1 when something failed."""
    os.chdir(ROOT)
    wanted = check(args)
    data = data_folder()
    url = f"http://{_bracketed(EVERYWHERE.get(wanted.host, wanted.host))}:{wanted.port}"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
        lock = os.open(_lock_file(), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise SystemExit(f"This folder cannot be written to: {data}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"It is already running at {_running_at() or url}.") from None
    os.ftruncate(lock, 0)
    os.write(lock, url.encode())
    supervisor = Supervisor(data, url)
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # leave nohup its meaning
            signal.signal(number, _stop)
    try:
        supervisor.run(wanted)
    except Stopped:
        code = 0
    except BrokenPipeError:  # `manage.py up | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (ServerFailed, Death) as failure:
        code = 1
        say(f"\n{failure}", file=sys.stderr)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()
    os.ftruncate(lock, 0)
    with contextlib.suppress(OSError):  # the terminal may be gone
        say("\nStopped." if code == 0 else "Everything was stopped.")
    return code


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C shall not disturb the stopping
    raise Stopped


class Death(Exception):
    """A child that should live has ended; the message carries its last lines."""


class Supervisor:
    """Starts everything in order, watches it, and stops it in the opposite order."""

    def __init__(self, data: Path, url: str) -> None:
        self.data, self.url = data, url
        self.logs = data / "logs"
        self.database = Postgres(data / "postgresql", log=self.logs / "postgresql.log")
        self.broker = Valkey(data / "valkey", log=self.logs / "valkey.log")
        self.children: list[Child] = []
        self.environment: dict[str, str] = {}

    def run(self, wanted: argparse.Namespace) -> NoReturn:
        """Start everything, then watch over it.

        Raises:
            Stopped: somebody asked for the end.
            Death: a child ended that should not have.
            ServerFailed: a server did not start.
        """
        for server in (self.database, self.broker):
            with step(f"Starting {server.name}"):
                server.start()
        self.environment = self._write_environment(wanted)
        sign_ins = self.data / "demo-sign-ins.txt"
        if self.database.made:
            # They belonged to an earlier database.
            sign_ins.unlink(missing_ok=True)
            shutil.rmtree(self.data / "sending", ignore_errors=True)
        self._do("Bringing the database up to date", "migrate", "--no-input")
        self._do("Loading the catalogue of procedures", "load_catalogue")
        self._do("Judging follow-ups by this release", "judge_follow_ups")
        if wanted.demo and not sign_ins.exists():
            self._do("Making the demo clinic", "seed_demo", "--essentials")
        with step("Starting the web server"):
            self._start_web(wanted)
        self._start_celery()  # a moment later: on a small machine they would only slow each other down
        self._greet(wanted, sign_ins)
        if wanted.demo:
            history = ["nice", "-n", "10", sys.executable, "manage.py", "seed_demo", "--history"]
            self._start("history", history, may_end=True)
        while True:
            self._watch()
            time.sleep(0.25)

    def stop(self) -> None:
        """Stop all children within seconds, whatever they do, then the servers; nothing is left running."""
        for child in self.children:
            child.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)  # each leads a group; its own children are in it
            child.process.wait()
        self.broker.stop()
        self.database.stop()

    def _write_environment(self, wanted: argparse.Namespace) -> dict[str, str]:
        """Write what `settings.py` reads, for the children and for any other command in this checkout."""
        file = self.data / "environment"
        kept = re.search(r"(?m)^SECRET_KEY=(.+)$", file.read_text()) if file.exists() else None
        values = {
            "SECRET_KEY": kept[1] if kept else secrets.token_urlsafe(50),
            "DEBUG": "true",
            "DATABASE_URL": self.database.url,
            "REDIS_URL": self.broker.url,
            "SITE_URL": self.url,
        }
        if not _local(wanted.host):
            values["ALLOWED_HOSTS"] = (
                f"localhost,127.0.0.1,[::1],{'*' if wanted.host in EVERYWHERE else _bracketed(wanted.host)}"
            )
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write("# Written by `manage.py up` at every start; the secret stays the same.\n")
            out.writelines(f"{name}={value}\n" for name, value in values.items())
        draft.replace(file)
        # The surrounding environment wins, as it does when settings.py reads the file.
        return values | os.environ | {"CLINIC_DATA": str(self.data), "PYTHONUNBUFFERED": "1"}

    def _start(self, name: str, command: list[str], *, may_end: bool = False) -> Child:
        log = self.logs / f"{name}.log"
        log.write_bytes(b"")
        process = spawn(command, log=log, env=self.environment)
        child = Child(name, process, log, may_end=may_end)
        self.children.append(child)
        return child

    def _do(self, title: str, *command: str) -> None:
        """Run one management command to its end, showing that it goes on."""
        with step(title):
            child = self._start(command[0], [sys.executable, "manage.py", *command])
            code = child.process.wait()
            self.children.remove(child)
            if code:
                raise Death(_obituary(f"`{' '.join(command)}`", code, child.log))

    def _start_web(self, wanted: argparse.Namespace) -> None:
        web = [sys.executable, "-m", "gunicorn", "clinic.wsgi:application", "--no-control-socket"]
        web += ["--bind", f"{_bracketed(wanted.host)}:{wanted.port}", "--graceful-timeout", "3"]
        self._start("web", [*web, "--workers", "2", "--threads", "4"])
        self._wait_for_web(wanted)

    def _start_celery(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "clinic.celery"]
        # Threads: two tasks at once without two more processes.
        worker = ["worker", "--pool", "threads", "-c", "2", "-l", "WARNING", "--without-mingle"]
        self._start("worker", [*celery, *worker])
        schedule = ["--schedule", str(self.data / "beat-schedule"), "--pidfile="]
        self._start("beat", [*celery, "beat", *schedule, "-l", "WARNING"])

    def _wait_for_web(self, wanted: argparse.Namespace) -> None:
        host = EVERYWHERE.get(wanted.host, wanted.host)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self._watch()
            with contextlib.suppress(OSError, http.client.HTTPException):
                client = http.client.HTTPConnection(host, wanted.port, timeout=10)
                client.request("GET", "/health/live")
                if client.getresponse().status == 200:
                    return
            time.sleep(0.1)
        raise Death(f"The web server does not answer. See {self.logs / 'web.log'}.")

    def _greet(self, wanted: argparse.Namespace, sign_ins: Path) -> None:
        say(f"\n  Front desk     {self.url}/admin/")
        say(f"  For programs   {self.url}/api/v1/docs/")
        say(f"  E-mail inbox   {self.url}/dev/mail/\n")
        if wanted.demo and sign_ins.exists():
            say(sign_ins.read_text().rstrip() + "\n")
        else:
            say("No demo clinic: make an account with `python3 manage.py createsuperuser`.\n")
        if not _local(wanted.host):
            say("Everybody in this network can reach it. It is meant for trying out, not for patients.")
        say(f"Logs: {self.logs}. Ctrl-C stops everything.")

    def _watch(self) -> None:
        """Show news; notice who has ended."""
        for child in list(self.children):
            ended = child.process.poll()
            for line in child.news():
                say(f"{child.name}: {line}")
            if ended is None:
                continue
            if not child.may_end:
                raise Death(_obituary(child.name, ended, child.log))
            self.children.remove(child)
            if ended:
                say(f"{_obituary(child.name, ended, child.log)}\nThe rest goes on.")
        servers: tuple[Server, ...] = (self.database, self.broker)
        for server in servers:
            if server.process is not None and (ended := server.process.poll()) is not None:
                raise Death(_obituary(server.name, ended, server.log))


def _obituary(name: str, code: int, log: Path) -> str:
    return f"{name} has stopped (code {code}). Its last lines, from {log}:\n{last_lines(log)}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
