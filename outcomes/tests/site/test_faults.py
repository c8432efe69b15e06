"""Every due check-in is asked, at most once, and never silently not: with real processes that are killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from clinic.dev.embedded import Valkey, last_lines, spawn
from clinic.models import OutgoingEmail, Site
from clinic.outbox import TRIES
from clinic.tests.deployment import eventually
from outcomes.models import CheckIn, ContactAttempt
from outcomes.services.invitations import invitation_key
from outcomes.tests.site.due_check_ins import due_check_ins
from outcomes.tests.site.smtp_sink import FATES, fate
from procedures.tests.factories import World

ROOT = Path(__file__).resolve().parents[3]
SEED = "faults 1"
CHECK_INS = 2000
#: What happens each time that so many e-mails more have been taken.
EVERY = 200
TROUBLES = ["worker", "child", "broker", "worker", "worker", "child", "broker", "worker"]


@dataclass
class Run:
    """The processes of a clinic: a broker, a mail server, two workers, two beats."""

    folder: Path
    broker: Valkey
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    senders_killed: int = 0  #: processes that may have been sending when they were killed

    def start(self, name: str) -> None:
        """Start "sink", "worker …" or "beat …", anew if it ran before."""
        log = self.folder / f"{name}.log"
        celery = ["-m", "celery", "-A", "outcomes.tests.site.fast_celery"]
        command = {
            "sink": ["-m", "outcomes.tests.site.smtp_sink", str(self.folder / "events"), SEED],
            "worker": [*celery, "worker", "-c", "2", "-l", "WARNING", "-n", f"{name[-1]}@here"],
            "beat": [*celery, "beat", "-l", "WARNING", "-s", str(self.folder / name), "--pidfile="],
        }[name.split()[0]]
        self.processes[name] = spawn([sys.executable, *command], log=log, env=self.environment)

    def children(self, name: str) -> list[int]:
        """The process ids of a worker's pool."""
        pid = self.processes[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self, name: str) -> None:
        """kill -9 a process and all that it has started."""
        if name.startswith("worker") and self.processes[name].poll() is None:
            self.senders_killed += len(self.children(name))
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def end(self) -> None:
        """Kill everything that still runs."""
        for name in self.processes:
            self.kill(name)
        self.broker.stop()

    def events(self) -> list[dict[str, Any]]:
        """What the sink has noted; a line that is just being written is left out."""
        whole = (self.folder / "events").read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def taken(self) -> int:
        """How often the mail server has taken an e-mail."""
        return (self.folder / "events").read_text().count('"event": "taken"')

    def logs(self) -> str:
        return "\n".join(f"{log.name}:\n{last_lines(log, 5)}" for log in sorted(self.folder.glob("*.log")))


@pytest.fixture
def run(transactional_db: None, runtime_folder: None, tmp_path: Path) -> Iterator[Run]:
    """The processes, against the test's own database and a broker and a mail server of their own."""
    with ExitStack() as stack:
        broker = Valkey(tmp_path / "valkey")
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
        here = {"REDIS_URL": broker.url, "SENDING_COPY_DIR": str(tmp_path / "sending")}
        run = Run(tmp_path, broker, os.environ | here | {"DATABASE_URL": database.geturl()})
        stack.callback(run.end)
        broker.start()
        run.start("sink")
        eventually(lambda: (tmp_path / "events").exists() and bool(run.events()))
        run.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{run.events()[0]['port']}"
        yield run


def wait(run: Run, look: Callable[[], bool], seconds: float = 120) -> None:
    """Until `look` is true; what the processes said last if it is not in time."""
    try:
        eventually(look, seconds=seconds)
    except AssertionError:
        raise AssertionError(f"did not happen in time; the logs end with:\n{run.logs()}") from None


def strike(run: Run, trouble: str, worker: str, chance: Random) -> None:
    """Kill a worker or one process of its pool, or let the broker forget everything."""
    if trouble == "broker":
        run.broker.stop()
        shutil.rmtree(run.broker.data)
        run.broker = Valkey(run.broker.data)  # at the same address
        run.broker.start()
    elif trouble == "child" and (children := run.children(worker)):
        run.senders_killed += 1
        os.kill(chance.choice(children), signal.SIGKILL)
    else:
        run.kill(worker)
        run.start(worker)


def test_every_due_check_in_is_asked_at_most_once_whatever_dies(
    world: World, run: Run, client: Client
) -> None:
    Site.objects.update(quiet_from="00:00", quiet_until="00:00")  # whatever the hour is while this runs
    check_ins = due_check_ins(world, CHECK_INS)
    chance = Random(SEED)
    for name in ("worker 1", "worker 2", "beat 1", "beat 2"):
        run.start(name)
    for number, trouble in enumerate(TROUBLES, 1):
        wait(run, lambda goal=number * EVERY: run.taken() >= goal)  # type: ignore[misc]
        strike(run, trouble, chance.choice(["worker 1", "worker 2"]), chance)
    planned = CheckIn.objects.filter(status=CheckIn.Status.PLANNED)
    under_way = OutgoingEmail.objects.filter(status__in=["queued", "sending"])
    wait(run, lambda: not planned.exists() and not under_way.exists())
    # What is proven is proven of two workers and two beats that ran all the time.
    assert {name: process.poll() for name, process in run.processes.items()} == dict.fromkeys(run.processes)
    run.end()

    taken: dict[str, list[str]] = defaultdict(list)  # Message-ID: to whom, each time
    cut_off: Counter[str] = Counter()
    replies_lost = 0
    for event in run.events():
        if event["event"] == "taken":
            taken[event["id"]].append(event["to"])
            replies_lost += event["reply"] != "250"
        elif event["event"] == "cut_off":
            cut_off[event["id"]] += 1

    # Everybody is asked, by one e-mail, or it says in the outbox why not.
    rows = {row.key: row for row in OutgoingEmail.objects.all()}
    assert len(rows) == CHECK_INS
    queued = ContactAttempt.objects.filter(outcome=ContactAttempt.Outcome.QUEUED)
    assert queued.count() == queued.values("check_in").distinct().count() == CHECK_INS
    refused = {"refuse": "recipient_refused_550", "reject": "message_refused_554"}
    for check_in in check_ins:
        row = rows[invitation_key(check_in)]
        address = check_in.follow_up.patient.email
        problem = refused.get(fate(SEED, address))
        if problem:
            assert (row.status, row.problem, taken.get(message_id(row))) == ("failed", problem, None)
        else:
            assert row.status == "sent", (row.problem, row.attempts)
            assert set(taken[message_id(row)]) == {address}
    assert set(taken) == {message_id(row) for row in rows.values() if row.status == "sent"}

    # Twice only where the server took an e-mail and its reply was lost, or the sender died before it was marked.
    again = {number: len(times) - 1 for number, times in taken.items() if len(times) > 1}
    assert 0 < sum(again.values()) <= replies_lost + run.senders_killed
    for first, count in again.items():
        assert cut_off[first] >= count
        assert count < TRIES

    # Whoever is not asked stands on the list of the front desk; the logs name nobody.
    client.force_login(world.admin)
    failed = sum(row.status == "failed" for row in rows.values())
    assert failed > CHECK_INS * sum(FATES[name][0] for name in refused) / 2
    assert (
        client.get("/admin/clinic/outgoingemail/?status__exact=failed").context["cl"].result_count == failed
    )
    for log in run.folder.glob("*.log"):
        assert not re.search("@example|García", log.read_text()), log.name


def message_id(row: OutgoingEmail) -> str:
    """As it stands in the header."""
    return f"<{row.message_id}@localhost>"
