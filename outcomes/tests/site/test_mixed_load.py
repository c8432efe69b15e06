"""Twenty clients at once against a real web server whose processes are killed: nothing is lost, doubled or a fault.

With `procedures/tests/test_races.py` and `test_faults.py` beside it these are the three proofs of load, in one command:
`python3 manage.py test procedures/tests/test_races.py outcomes/tests/site/test_faults.py
outcomes/tests/site/test_mixed_load.py`.
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection, connections
from django.utils import timezone
from knox.models import AuthToken

from bench.clinic import Clinic
from clinic.dev.embedded import Valkey, last_lines, spawn
from clinic.tests.deployment import eventually, free_port
from clinic.tests.factories import resource
from outcomes import services
from outcomes.models import Answer, CheckIn, Measurement
from procedures.models import Appointment, Reservation
from procedures.tests.factories import World

CLIENTS, STEPS, CHECK_INS = 20, 25, 4
#: A process of the web server is killed after so many of all steps.
KILLED_AFTER = (100, 200, 300)
#: So few starts for so many clients, that they meet.
STARTS = 24


@dataclass
class Web:
    """A web server with its own processes on the database of the test. `answers` counts statuses and codes."""

    port: int
    process: Any
    log: Path
    answers: Counter[str] = field(default_factory=Counter)
    killed: int = 0

    def kill_one(self) -> None:
        """kill -9 one of the processes that answer; the server starts another."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        self.killed += 1


@pytest.fixture
def web(transactional_db: None, runtime_folder: None, tmp_path: Path) -> Iterator[Web]:
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    port, log = free_port(), tmp_path / "web.log"
    with ExitStack() as stack:
        broker = stack.enter_context(Valkey(tmp_path / "valkey"))
        environment = os.environ | {
            "DATABASE_URL": database.geturl(),
            "REDIS_URL": broker.url,
            "ALLOWED_HOSTS": "127.0.0.1",
        }
        gunicorn = ["-m", "gunicorn", "bench.web:application", "--bind", f"127.0.0.1:{port}"]
        process = spawn(
            [sys.executable, *gunicorn, "--no-control-socket", "--workers", "2", "--threads", "24"],
            log=log,
            env=environment,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        eventually(lambda: "Booting worker" in log.read_text(), seconds=60)
        yield Web(port, process, log)


@dataclass
class Client:
    """Somebody who books, moves, cancels and writes answers down. `expected`: what became of each appointment that the
    server said yes to; `scores`: of each check-in."""

    web: Web
    token: str
    patient: int
    site: int
    starts: list[datetime]
    check_ins: list[int]
    dice: Random
    expected: dict[int, str] = field(default_factory=dict)
    scores: dict[int, int] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
        """Status, document and ETag. A request that got no answer is sent again with the same key until it gets one."""
        headers["Authorization"] = f"Token {self.token}"
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid.UUID(int=self.dice.getrandbits(128)).hex)
        deadline = time.monotonic() + 60
        while True:
            link = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
            try:
                link.request(
                    method,
                    f"/api/v1/{path}",
                    json.dumps(body) if body is not None else None,
                    {"Content-Type": "application/json", **headers},
                )
                response = link.getresponse()
                document = json.loads(response.read() or b"null")
                break
            except (OSError, http.client.HTTPException):
                self.web.answers["no answer"] += 1
                assert time.monotonic() < deadline
                time.sleep(0.05)
            finally:
                link.close()
        said = document.get("code", "") if response.status >= 400 else ""
        self.web.answers[f"{method} {response.status} {said}".strip()] += 1
        return response.status, document, response.headers.get("ETag", "")

    def own(self) -> int | None:
        standing = [pk for pk, status in self.expected.items() if status != "cancelled"]
        return self.dice.choice(standing) if standing else None

    def book(self) -> None:
        body = {
            "patient": self.patient,
            "procedure_type": "rfa_facet",
            "site": self.site,
            "starts_at": self.dice.choice(self.starts).isoformat(),
            "region": "lumbar",
            "laterality": "left",
        }
        key = {"Idempotency-Key": uuid.UUID(int=self.dice.getrandbits(128)).hex}
        status, made, _ = self.ask("POST", "appointments/", body, **key)
        if status in (200, 201):
            self.expected[made["id"]] = "booked"
            again, same, _ = self.ask("POST", "appointments/", body, **key)
            assert (again, same["id"]) == (200, made["id"])

    def step(self, name: str, becomes: str, body: Any = None) -> None:
        if (pk := self.own()) is None:
            return
        tag = self.ask("GET", f"appointments/{pk}/")[2]
        status, made, _ = self.ask("POST", f"appointments/{pk}/{name}/", body, **{"If-Match": tag})
        if status in (200, 201):
            if made["id"] != pk:  # moved: this one makes way for another
                self.expected[pk] = "cancelled"
            self.expected[made["id"]] = becomes

    def answer(self) -> None:
        if not self.check_ins:
            return
        pk, score = self.check_ins.pop(), self.dice.randrange(11)
        tag = self.ask("GET", f"check-ins/{pk}/")[2]
        status, *_ = self.ask(
            "POST", f"check-ins/{pk}/answer/", {"score": score, "channel": "phone"}, **{"If-Match": tag}
        )
        assert status in (200, 201)
        self.scores[pk] = score

    def look(self) -> None:
        first = self.starts[0].date()
        path = self.dice.choice(
            (
                f"appointments/?day={first}",
                f"slots/?procedure_type=rfa_facet&site={self.site}&starts_from={first}T00:00"
                f"&starts_before={first + timedelta(days=5)}T00:00",
                "check-ins/?status=invited",
                "alerts/",
                "reports/overview/",
                f"patients/{self.patient}/",
            )
        )
        assert self.ask("GET", path)[0] == 200

    def correct(self) -> None:
        if (pk := self.own()) is None:
            return
        tag = self.ask("GET", f"appointments/{pk}/")[2]
        note = {"note": f"note {self.dice.randrange(1000)}"}
        assert self.ask("PATCH", f"appointments/{pk}/", note, **{"If-Match": tag})[0] in (200, 400, 412)

    def work(self, done: list[int]) -> None:
        for _ in range(STEPS):
            self.dice.choices(
                (
                    self.book,
                    lambda: self.step("confirm", "confirmed"),
                    lambda: self.step(
                        "reschedule", "booked", {"starts_at": self.dice.choice(self.starts).isoformat()}
                    ),
                    lambda: self.step("cancel", "cancelled", {"reason": "ill", "ended_by": "patient"}),
                    self.answer,
                    self.correct,
                    self.look,
                ),
                weights=(6, 2, 3, 2, 3, 2, 4),
            )[0]()
            done.append(1)


def starts(world: World) -> list[datetime]:
    """Three starts on each of the next eight weekdays after tomorrow."""
    found: list[datetime] = []
    day = timezone.now().date() + timedelta(days=2)
    while len(found) < STARTS:
        if day.weekday() < 5:
            found += [world.at(day, hour) for hour in (9, 10, 14)]
        day += timedelta(days=1)
    return found


def test_twenty_clients_lose_nothing_and_double_nothing(world: World, web: Web) -> None:
    for name in ("Room B", "Room C"):
        resource(name, world.room.categories.get(), world.site)
    patients = [world.another_patient(number) for number in range(100, 100 + CLIENTS)]
    clinic = Clinic(world.site, world.nurse, world.ablation, [], patients, timezone.now())
    check_ins = [check_in.pk for check_in in clinic.due(CLIENTS * CHECK_INS)]
    times = starts(world)
    clients = [
        Client(
            web,
            AuthToken.objects.create(world.nurse)[1],
            patient.pk,
            world.site.pk,
            times,
            check_ins[number::CLIENTS],
            Random(number),
        )
        for number, patient in enumerate(patients)
    ]
    over = threading.Event()
    done: list[int] = []

    def tick() -> None:
        while not over.wait(1):
            services.tick(now=timezone.now())
        connections.close_all()

    def kill() -> None:
        for number in KILLED_AFTER:
            while len(done) < number and not over.wait(0.05):
                pass
            web.kill_one()

    beside = [threading.Thread(target=act) for act in (tick, kill)]
    for thread in beside:
        thread.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(client.work, done) for client in clients]
    over.set()
    for thread in beside:
        thread.join()
    for work in working:
        work.result()

    said = f"{dict(web.answers)}\n{last_lines(web.log, 20)}"
    assert not [answer for answer in web.answers if answer.split()[1].startswith("5")], said
    assert web.killed == len(KILLED_AFTER)
    assert min(web.answers[act] for act in ("POST 201", "POST 409 taken", "PATCH 200")) > 0, said
    expected = {pk: status for client in clients for pk, status in client.expected.items()}
    made = Appointment.objects.filter(starts_at__gt=timezone.now())
    assert dict(made.values_list("pk", "status")) == expected, said
    scores = {pk: score for client in clients for pk, score in client.scores.items()}
    given = Measurement.objects.filter(instrument="nrs", item="now")
    assert dict(given.values_list("answer__check_in", "value")) == scores
    assert Answer.objects.count() == len(scores) > CLIENTS
    assert CheckIn.objects.filter(status=CheckIn.Status.ANSWERED).count() == len(scores)
    held = Reservation.objects.filter(appointment__in=made, released_at=None)
    assert Counter(held.values_list("appointment", flat=True)) == {
        pk: 3 for pk, status in expected.items() if status != "cancelled"
    }
    spans = list(held.order_by("resource", "starts_at").values_list("resource", "starts_at", "ends_at"))
    assert not [
        (before, after) for before, after in pairwise(spans) if before[0] == after[0] and before[2] > after[1]
    ]
