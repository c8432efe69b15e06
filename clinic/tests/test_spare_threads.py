"""/health/ is answered while all requests at work hang in the database: with gunicorn and a frozen PostgreSQL."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from clinic import spare_threads
from clinic.dev.embedded import Postgres, Valkey
from clinic.spare_threads import AT_WORK, SPARE, WAITING, ConcurrencyLimit, SpareThreadsMiddleware
from clinic.tests.deployment import (
    command_of,
    deployment_environment,
    eventually,
    free_port,
    started,
    web_answer,
)


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process and all that it has started neither run nor end until the block does."""
    family = [pid]
    for first in family:  # grows while it is gone through
        family += map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())
    for first in family:
        os.kill(first, signal.SIGSTOP)
    try:
        yield
    finally:
        for first in family:
            os.kill(first, signal.SIGCONT)


def test_health_is_answered_while_all_requests_hang_in_the_database(
    tmp_path: Path, runtime_folder: None
) -> None:
    port, log = free_port(), tmp_path / "web.log"
    command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in command_of("web")]
    assert int(command[command.index("--threads") + 1]) == AT_WORK + WAITING + SPARE
    https = {"X-Forwarded-Proto": "https"}

    def patient(_: int = 0) -> int:
        return web_answer(port, "/c/whatever/", **https)[0]

    with Valkey(tmp_path / "valkey") as valkey, Postgres() as database, ThreadPoolExecutor(60) as people:
        assert database.process is not None
        environment = deployment_environment(valkey.url) | {
            "WEB_CONCURRENCY": "1",
            "DATABASE_URL": database.url,
        }
        with started(command, environment, log) as web:
            eventually(lambda: web_answer(port, "/health/ready")[0] == 200, web, log)
            list(people.map(patient, range(40)))  # the threads have connections now
            with standing_still(database.process.pid):
                asked = [people.submit(patient) for _ in range(40)]
                for path, status in [("live", 200), ("ready", 503), ("jobs", 503), ("live", 200)] * 2:
                    began = monotonic()
                    assert web_answer(port, f"/health/{path}")[0] == status
                    assert monotonic() - began < 3, path
                turned_away, hang = wait(asked, timeout=1)
                assert {pid.result() for pid in turned_away} <= {
                    500,
                    503,
                }  # 500: had its answer before all stood still
                assert 0 < len(hang) <= AT_WORK + WAITING
                assert web_answer(port, "/api/v1/patients/", **https)[0] == 503
            assert {pid.result() for pid in hang} <= {500, 503, 0}
            assert patient() == 500  # which is what an empty database is good for


def test_who_comes_while_others_are_at_work_waits_for_one_of_them() -> None:
    places = ConcurrencyLimit(1, 1, patience=30)
    assert places.take()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(places.take)
        places.give_back()
        assert waiting.result(10)


def test_nobody_waits_for_ever_and_few_wait_at_once() -> None:
    places = ConcurrencyLimit(1, 1, patience=0.2)
    assert places.take()
    with ThreadPoolExecutor(3) as others:
        assert [pid.result(10) for pid in [others.submit(places.take) for _ in range(3)]] == [False] * 3
    places.give_back()
    assert places.take()
    full = ConcurrencyLimit(0, 0, patience=30)
    assert not full.take()


def test_who_finds_no_place_is_told_when_to_come_again(rf: RequestFactory, monkeypatch: Any) -> None:
    for name in ("AT_WORK", "WAITING"):
        monkeypatch.setattr(spare_threads, name, 0)
    middleware = SpareThreadsMiddleware(lambda request: HttpResponse("well"))
    assert middleware(rf.get("/health/live")).status_code == 200
    for path in ("/c/whatever/", "/api/v1/patients/"):
        response = middleware(rf.post(path))
        assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b'"busy"' in response.content  # type: ignore[attr-defined]


@pytest.mark.django_db  # a response that is closed looks after its connection
@pytest.mark.parametrize("sent", [0, 1, 2])
def test_what_is_sent_piece_by_piece_keeps_its_thread_and_no_place_at_work(
    rf: RequestFactory, sent: int
) -> None:
    download = StreamingHttpResponse(["a file ", "in two pieces"])
    middleware = SpareThreadsMiddleware(lambda request: download)
    middleware.places = places = ConcurrencyLimit(1, 0, patience=0)
    response = middleware(rf.get("/api/v1/exports/1/download/"))
    assert isinstance(response, StreamingHttpResponse)
    assert not places.take()  # the only thread is still sending
    for _piece in islice(response, sent):
        pass
    for _twice in range(2):
        response.close()  # as the web server does, also where the reader has gone
    assert places.take()
    assert not places.take()


def test_a_download_does_not_keep_others_from_work(rf: RequestFactory) -> None:
    middleware = SpareThreadsMiddleware(lambda request: StreamingHttpResponse(["a file"]))
    middleware.places = places = ConcurrencyLimit(1, 1, patience=0)
    middleware(rf.get("/api/v1/exports/1/download/"))
    assert places.take()
