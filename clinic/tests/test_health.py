"""The addresses for machines answer in time, however the database and Redis hang."""

import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connections
from django.test import Client

from clinic import health_checks


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("path", ["live", "ready", "jobs"])
def test_it_answers_within_three_seconds_while_everything_hangs(
    path: str, silent: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {**connections["default"].get_connection_params(), "host": "127.0.0.1", "port": silent}
    monkeypatch.setattr(type(connections["default"]), "get_connection_params", lambda self: dict(here))
    options = settings.CACHES["default"]["OPTIONS"]
    settings.CACHES = {
        "default": settings.CACHES["default"]
        | {"LOCATION": f"redis://127.0.0.1:{silent}/0", "OPTIONS": options}
    }
    began = monotonic()
    response = Client().get(f"/health/{path}")
    assert monotonic() - began < 3
    assert response.status_code == (200 if path == "live" else 503)
    if path == "ready":
        assert response.json()["parts"] == {"database": False, "redis": False, "disk": True}
    if path == "jobs":
        assert [row["code"] for row in response.json()["troubles"]] == ["database_unreachable"]
    caches["default"].close()


def test_a_server_that_hangs_after_the_connection_is_noticed(silent: int) -> None:
    class Hanging:
        socket = -1

        def send_query(self, _: bytes) -> None: ...
        def is_busy(self) -> bool:
            return True

    with socket.create_connection(("127.0.0.1", silent)) as line:
        Hanging.socket = line.fileno()
        began = monotonic()
        assert health_checks.reply(Hanging(), began + 0.1) is None  # type: ignore[arg-type]
        assert 0.1 <= monotonic() - began < 1


def test_a_database_that_is_there_answers(db: None) -> None:
    assert health_checks.database_answers()


def test_a_full_disk_is_not_ready(db: None, settings: Any) -> None:
    assert Client().get("/health/ready").json()["parts"]["disk"] is True
    settings.DISK_FREE_MB = 10**9
    response = Client().get("/health/ready")
    assert (response.status_code, response.json()["parts"]["disk"]) == (503, False)
