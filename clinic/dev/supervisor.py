"""The service on one's own machine: started in order, started again where it dies, stopped in order.

Never loads Django. It starts the servers, writes their addresses where `settings.py` finds them, prepares the database,
and watches over the children until somebody stops it.
"""

import argparse
import contextlib
import http.client
import ipaddress
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from clinic.dev.bootstrap import say, step
from clinic.dev.embedded import Postgres, Server, ServerFailed, Valkey, last_lines, spawn

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  #: what listens to all addresses, and where to reach that  # noqa: S104
KEEP_ALIVE = "75"  #: seconds; more than a proxy keeps a connection: who closes first must not be the web
PATIENCE = 5.0  # seconds that children get to stop by themselves
#: who dies more often than so many times within so many seconds is not started again
MOST_DEATHS, DEATHS_COUNT_FOR = 4, 60.0
#: lines of the logs that a person should see at once: trouble, and how far the demo has come
NEWS = re.compile(
    r'"level": "(?:error|critical)"|\[(?:error|critical) *\]|\b(?:ERROR|CRITICAL)\b'
    r"|^(?:\w+\.)*\w*(?:Error|Exception)\b|^Demo history"
)


class StopRequested(BaseException):
    """Somebody asked for the end: Ctrl-C, a termination signal or a closed terminal."""


@dataclass
class Child:
    """A process of the service, its log, and how much of the log (bytes) has been looked through."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes]
    log: Path
    role: str  #: who it is for the database
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


class ChildDied(Exception):
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
        self.greeted = False  #: whether everything has run once
        self.deaths: list[tuple[str, float]] = []  #: who died when, on the monotonic clock

    def run(self, wanted: argparse.Namespace) -> NoReturn:
        """Start everything, then watch over it.

        Raises:
            Stopped: somebody asked for the end.
            Death: a child ended during the start, or again and again.
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
        self._do("Preparing the database", "prepare", *(["--demo"] if wanted.demo else []))
        with step("Starting the web server"):
            self._start_web(wanted)
        self._start_celery()  # a moment later: on a small machine they would only slow each other down
        self._greet(wanted, sign_ins)
        self.greeted = True
        if wanted.demo:
            history = ["nice", "-n", "10", sys.executable, "manage.py", "seed_demo", "--history"]
            self._start("history", history, role="clinic_worker", may_end=True)
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
            "DATABASE_URL": self.database.url_of("clinic_owner"),
            "REDIS_URL": self.broker.url,
            "SITE_URL": self.url,
        }
        if not _local(wanted.host):
            values["ALLOWED_HOSTS"] = (
                f"localhost,127.0.0.1,[::1],{'*' if wanted.host in EVERYWHERE else bracketed(wanted.host)}"
            )
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write("# Written by `manage.py up` at every start; the secret stays the same.\n")
            out.writelines(f"{name}={value}\n" for name, value in values.items())
        draft.replace(file)
        # The surrounding environment wins, as it does when settings.py reads the file.
        return values | os.environ | {"CLINIC_DATA": str(self.data), "PYTHONUNBUFFERED": "1"}

    def _start(self, name: str, command: list[str], *, role: str, may_end: bool = False) -> Child:
        """`role`: who it is for the database, as in a deployment (clinic/dev/embedded/roles.sql)."""
        log = self.logs / f"{name}.log"
        log.write_bytes(b"")
        child = Child(name, command, self._spawn(command, log, role), log, role, may_end=may_end)
        self.children.append(child)
        return child

    def _spawn(self, command: list[str], log: Path, role: str) -> subprocess.Popen[bytes]:
        return spawn(command, log=log, env=self.environment | {"DATABASE_URL": self.database.url_of(role)})

    def _do(self, title: str, *command: str) -> None:
        """Run one management command to its end, showing that it goes on."""
        log = self.logs / f"{command[0]}.log"

        def at() -> str:
            """The step that the command is at, as it says in its log."""
            steps = re.findall(r"(?m)^== (.+)$", log.read_text(errors="replace")) if log.exists() else []
            return str(steps[-1]) if steps else ""

        with step(title, at):
            child = self._start(command[0], [sys.executable, "manage.py", *command], role="clinic_owner")
            code = child.process.wait()
            self.children.remove(child)
            if code:
                raise ChildDied(_obituary(f"`{' '.join(command)}`", code, child.log))

    def _start_web(self, wanted: argparse.Namespace) -> None:
        web = [sys.executable, "-m", "gunicorn", "clinic.wsgi:application", "--no-control-socket"]
        web += ["--bind", f"{bracketed(wanted.host)}:{wanted.port}", "--graceful-timeout", "3"]
        web += ["--keep-alive", KEEP_ALIVE]
        self._start("web", [*web, "--workers", "2", "--threads", "24"], role="clinic_web")
        self._wait_for_web(wanted)

    def _start_celery(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "clinic.celery"]
        # Threads: two tasks at once without two more processes.
        worker = ["worker", "--pool", "threads", "-c", "2", "-l", "WARNING", "--without-mingle"]
        self._start("worker", [*celery, *worker], role="clinic_worker")
        schedule = ["--schedule", str(self.data / "beat-schedule"), "--pidfile="]
        self._start("beat", [*celery, "beat", *schedule, "-l", "WARNING"], role="clinic_worker")

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
        raise ChildDied(f"The web server does not answer. See {self.logs / 'web.log'}.")

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
        """Show news; notice who has ended, and start again what should live, as a deployment does."""
        for child in list(self.children):
            ended = child.process.poll()
            for line in child.news():
                say(f"{child.name}: {line}")
            if ended is None:
                continue
            if child.may_end:
                self.children.remove(child)
                if ended:
                    say(f"{_obituary(child.name, ended, child.log)}\nThe rest goes on.")
            else:
                self._mourn(child.name, ended, child.log)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.process.pid, signal.SIGKILL)  # what it started itself
                child.process = self._spawn(child.command, child.log, child.role)
        servers: tuple[Server, ...] = (self.database, self.broker)
        for server in servers:
            if server.process is not None and (ended := server.process.poll()) is not None:
                self._mourn(server.name, ended, server.log)
                self._start_again(server)

    def _mourn(self, name: str, code: int, log: Path) -> None:
        """Tell of a death after which the same is started again.

        Raises:
            Death: not everything has run yet, or it is one death too many.
        """
        now = time.monotonic()
        self.deaths = [(who, at) for who, at in self.deaths if now - at < DEATHS_COUNT_FOR] + [(name, now)]
        if not self.greeted or [who for who, _ in self.deaths].count(name) > MOST_DEATHS:
            raise ChildDied(_obituary(name, code, log))
        say(f"{_obituary(name, code, log)}\nIt is started again.")

    def _start_again(self, server: Server) -> None:
        """Start a server that was killed. What it left behind may take a moment to go."""
        for patience in (1, 2, 4):
            try:
                server.start()
            except ServerFailed:
                time.sleep(patience)
            else:
                return
        server.start()


def _obituary(name: str, code: int, log: Path) -> str:
    return f"{name} has stopped (code {code}). Its last lines, from {log}:\n{last_lines(log)}"


def bracketed(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
