"""What `manage.py up` promises about processes, on a toy project with real servers, web, worker and beat."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clinic.tests.deployment import eventually

ROOT = Path(__file__).resolve().parents[2]

WSGI = """
import os
def application(environ, start_response):
    role = os.environ["DATABASE_URL"].partition("@")[0].partition("//")[2].encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [role]
"""
CELERY = """
import os
from celery import Celery
broker = os.environ["REDIS_URL"].replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
app = Celery("toy", broker=broker)
"""
MANAGE = """
import os, pathlib, sys
data = pathlib.Path(os.environ["CLINIC_DATA"])
with (data / "done").open("a") as done:
    print(*sys.argv[1:], "as", os.environ["DATABASE_URL"].partition("@")[0].partition("//")[2], file=done)
if sys.argv[1:] == ["prepare", "--demo"] and not (data / "demo-sign-ins.txt").exists():
    (data / "demo-sign-ins.txt").write_text("Sign in as ada@example.org\\n")
if sys.argv[1:] == ["seed_demo", "--history"]:
    print("Demo history: 200 of 200 patients")
"""


@dataclass
class Run:
    """One `up` of the toy project and what it says."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int

    @property
    def said(self) -> str:
        return (self.home / "said").read_text()

    def served(self) -> "Run":
        eventually(lambda: self.process.poll() is not None or "Ctrl-C stops everything" in self.said)
        assert self.process.poll() is None, self.said
        return self

    def stopped(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)

    def processes(self) -> list[int]:
        """Everything that this toy runs: servers, web workers and all work inside its folder."""
        return [pid for pid, cwd in working_folders() if cwd.is_relative_to(self.home)]


def working_folders() -> Iterator[tuple[int, Path]]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                yield int(entry.name), (entry / "cwd").readlink()


@pytest.fixture
def home(tmp_path: Path, runtime_folder: None) -> Iterator[Path]:
    """A checkout with this project's supervisor and, in place of everything of Django's, three toys."""
    package = tmp_path / "clinic"
    (package / "dev").mkdir(parents=True)
    for name in ("__init__.py", "dev/__init__.py", "dev/bootstrap.py", "dev/supervisor.py", "dev/up.py"):
        shutil.copy(ROOT / "clinic" / name, package / name)
    shutil.copytree(ROOT / "clinic" / "dev" / "embedded", package / "dev" / "embedded")
    (package / "wsgi.py").write_text(WSGI)
    (package / "celery.py").write_text(CELERY)
    (tmp_path / "manage.py").write_text(MANAGE)
    yield tmp_path
    for pid, cwd in working_folders():
        if cwd.is_relative_to(tmp_path):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        chosen: int = probe.getsockname()[1]
        return chosen


def surroundings(home: Path, **more: str) -> dict[str, str]:
    ours = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"CLINIC_DATA": str(home / "data")} | more


def up(home: Path, port: int) -> Run:
    with (home / "said").open("wb") as said:
        command = [sys.executable, "-m", "clinic.dev.up", "--port", str(port)]
        process = subprocess.Popen(command, cwd=home, env=surroundings(home), stdout=said, stderr=said)
    return Run(process, home, port)


def refused(home: Path, *args: str, **more: str) -> str:
    """What `up` says when it refuses, which has to be one line and quick."""
    command = [sys.executable, "-m", "clinic.dev.up", *args]
    done = subprocess.run(
        command, cwd=home, env=surroundings(home, **more), capture_output=True, text=True, timeout=10
    )
    assert done.returncode != 0
    assert done.stdout == ""
    return done.stderr.strip()


def status(port: int) -> int:
    return said(port)[0]


def said(port: int) -> tuple[int, str]:
    """The status and the body of what the web answers: in this toy, who it is for the database."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("GET", "/health/live")
    answer = client.getresponse()
    body = answer.read().decode()
    client.close()
    return answer.status, body


def test_a_whole_life(home: Path, port: int) -> None:
    copy = home / "data" / "sending" / "counter.json"  # of a database that is gone
    copy.parent.mkdir(parents=True)
    copy.touch()
    run = up(home, port).served()
    assert not copy.exists()
    assert said(port) == (200, "clinic_web")
    for words in (
        f"http://127.0.0.1:{port}/admin/",
        "/api/v1/docs/",
        "/dev/mail/",
        "Sign in as ada@example.org",
    ):
        assert words in run.said
    eventually(lambda: "Demo history: 200 of 200 patients" in run.said)

    environment = home / "data" / "environment"
    assert environment.stat().st_mode & 0o777 == 0o600
    told = environment.read_text()
    assert f"SITE_URL=http://127.0.0.1:{port}\n" in told
    assert "DEBUG=true\n" in told
    (folder,) = re.findall(r"DATABASE_URL=postgresql://clinic_owner@:5432/clinic\?host=(.+)", told)
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert refused(home, "--port", str(port)) == f"It is already running at http://127.0.0.1:{port}."

    run.process.send_signal(signal.SIGINT)
    assert run.stopped(signal.SIGINT) == 0  # the second Ctrl-C changes nothing
    assert run.said.endswith("\nStopped.\n")
    assert run.processes() == []
    assert not Path(folder).exists()

    copy.parent.mkdir()
    copy.touch()
    again = up(home, port).served()
    assert copy.exists()
    assert again.stopped(signal.SIGTERM) == 0
    secret = re.findall("SECRET_KEY=.{40,}", told)
    assert re.findall("SECRET_KEY=.{40,}", environment.read_text()) == secret != []
    done = (home / "data" / "done").read_text()
    first = ["prepare --demo as clinic_owner", "seed_demo --history as clinic_worker"]
    assert done.splitlines()[:3] == [*first, first[0]]


def test_kill_9_leaves_nothing_behind_and_the_next_start_heals(home: Path, port: int) -> None:
    run = up(home, port).served()
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in run.processes()}
    assert {"postgres", "valkey-server"} <= names
    assert len(run.processes()) > 8
    assert run.stopped(signal.SIGKILL) == -signal.SIGKILL
    again = up(home, port).served()  # at once, while the orphans are still leaving
    assert status(port) == 200
    assert again.stopped(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not again.processes())


def victim(run: Run, name: str) -> int:
    """The process of that name that was started by `up` itself; its children have it as their parent."""
    found = [pid for pid in run.processes() if name in Path(f"/proc/{pid}/cmdline").read_text()]
    (first,) = [pid for pid in found if parent(pid) not in found]
    return first


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_who_dies_is_told_and_started_again(home: Path, port: int) -> None:
    run = up(home, port).served()
    names = ["clinic.celery\0worker", "clinic.celery\0beat", "valkey-server", "gunicorn", "bin/postgres"]
    for name in names:
        died, told = victim(run, name), run.said.count("It is started again.")
        os.kill(died, signal.SIGKILL)  # a worker may follow the broker
        eventually(lambda: run.said.count("It is started again.") > told)  # noqa: B023
        eventually(lambda: any(pid != died for pid in alive(run, name)))  # noqa: B023
    eventually(lambda: answers(port))
    assert run.process.poll() is None
    assert run.stopped(signal.SIGTERM) == 0
    assert run.processes() == []


def alive(run: Run, name: str) -> list[int]:
    found = []
    for pid in run.processes():
        with contextlib.suppress(OSError):
            if name in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return status(port) == 200
    return False


def test_who_dies_again_and_again_stops_all(home: Path, port: int) -> None:
    run = up(home, port).served()
    (home / "clinic" / "celery.py").write_text("raise SystemExit(7)")
    os.kill(victim(run, "clinic.celery\0worker"), signal.SIGKILL)
    assert run.process.wait(40) == 1
    assert "worker has stopped (code 7). Its last lines, from " in run.said
    assert run.processes() == []


def test_a_busy_port_is_refused_before_anything_is_made(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        said = refused(home, "--port", taken)
    assert said.startswith(f"Port {taken} is in use: choose another one, for instance `--port ")
    assert "\n" not in said
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    ("surrounding", "words"),
    [
        ({"DATABASE_URL": "postgresql://db/clinic"}, "DATABASE_URL is set"),
        ({"REDIS_URL": "redis://redis/0"}, "REDIS_URL is set"),
        ({"DEBUG": "false"}, "DEBUG is off"),
        ({"CLINIC_DATA": "/dev/null/clinic"}, "This folder cannot be written to: /dev/null/clinic"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    home: Path, port: int, surrounding: dict[str, str], words: str
) -> None:
    said = refused(home, "--port", str(port), **surrounding)
    assert words in said
    assert "\n" not in said


def test_an_address_of_another_machine_is_refused(home: Path, port: int) -> None:
    said = refused(home, "--host", "192.0.2.1", "--port", str(port))
    assert said == "192.0.2.1 is no address of this machine: leave out `--host`."


@pytest.mark.parametrize("wrong", ["eighty", "0", "65536", "-1"])
def test_a_port_is_a_number(home: Path, wrong: str) -> None:
    assert "port" in refused(home, "--port", wrong)
