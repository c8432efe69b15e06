"""What is logged carries no secret, no name and no score, whoever writes it and however."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.test import Client, override_settings

from clinic import health_checks, urls
from clinic.logs import scrub
from clinic.tests.deployment import deployment_environment, eventually, free_port, started, web_answer

SECRET = "tokenAbcdefghijklmnop"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged from here on, as the deployment's handler writes it."""
    console = next(
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.filters
    )
    stream = io.StringIO()
    before = console.setStream(stream)
    yield stream
    console.setStream(before)


def events(log: io.StringIO) -> list[dict[str, Any]]:
    """The lines as JSON; fails on one that is none."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def secret_call(name: str) -> None:
    patient = f"{name} has a score of 9"
    raise ValueError(patient)


def test_requests_are_logged_without_token_and_query(client: Client, db: None, log: io.StringIO) -> None:
    client.get(f"/c/{SECRET}/?lang=es")
    client.get(f"/p/{SECRET}/?lang=es")
    client.get(f"/a/{SECRET}/?lang=es")
    client.get(f"/calendar/{SECRET}.ics")
    client.get("/health/live?q=García&e=ann@example.org")
    finished = [event for event in events(log) if event["event"] == "request_finished"]
    assert [event["request"] for event in finished] == [
        "GET /c/[token]/?[query]",
        "GET /p/[token]/?[query]",
        "GET /a/[token]/?[query]",
        "GET /calendar/[token]",
        "GET /health/live?[query]",
    ]
    assert all(event["request_id"] and event["level"] and event["timestamp"] for event in finished)
    for word in (SECRET, "García", "Garc", "ann@"):
        assert word not in log.getvalue()


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False)
def test_a_fault_is_logged_by_its_kind_and_place(
    db: None, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_checks, "redis_answers", lambda: secret_call("O'Brien"))
    client = Client(raise_request_exception=False)
    assert client.get(f"/health/ready?next=/c/{SECRET}/").status_code == 500
    text = log.getvalue()
    for word in (SECRET, "Brien", "score of 9", "Traceback"):
        assert word not in text
    (failed,) = [event for event in events(log) if event["event"] == "request_failed"]
    assert failed["fault"] == "ValueError"
    assert failed["at"].endswith(" secret_call")


@pytest.mark.parametrize("name", ["celery.app.trace", "anything"])
def test_the_text_of_an_exception_stays_out(log: io.StringIO, name: str) -> None:
    logger = structlog.get_logger(name)
    try:
        secret_call("O'Brien")
    except ValueError as exc:
        logging.getLogger(name).exception("Task %s raised %r", "tick", exc)
        logging.getLogger(name).error("failed: %s", exc, exc_info=True, stack_info=True)
        logger.exception("task_failed", error=str(exc), exception=exc)
        logger.warning("task_retrying", reason=exc)
    assert "Brien" not in log.getvalue()
    kinds = [event["event"].partition(" (")[0] for event in events(log)]
    assert kinds == ["Task tick raised …", "failed: …", "task_failed", "task_retrying"]


def test_the_web_server_complains_through_the_same_filter(log: io.StringIO) -> None:
    """Gunicorn puts handlers of its own there before a worker loads the settings, which replace them."""
    logging.getLogger("gunicorn.error").error("Error handling request %s", f"/c/{SECRET}/")
    assert [event["event"] for event in events(log)] == ["Error handling request /c/[token]/"]


SERVERS = {
    # As `manage.py up` runs it, and with the access log that somebody may switch on.
    "gunicorn": [
        "-m",
        "gunicorn",
        "clinic.wsgi:application",
        "--no-control-socket",
        "--bind",
        "127.0.0.1:{port}",
    ],
    "gunicorn, access log": [
        *("-m", "gunicorn", "clinic.wsgi:application", "--no-control-socket", "--bind", "127.0.0.1:{port}"),
        *("--access-logfile", "-", "--access-logformat", "%(r)s %(U)s %(f)s"),
    ],
    "runserver": ["manage.py", "runserver", "--noreload", "--insecure", "127.0.0.1:{port}"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_no_server_writes_a_token_with_debug_either(server: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "web.log"
    environment = deployment_environment(redis="redis://127.0.0.1:1/0") | {
        "DEBUG": "true",
        "LOG_LEVEL": "DEBUG",
        "SITE_URL": "http://clinic.example.org",
    }
    command = [sys.executable, *(word.format(port=port) for word in SERVERS[server])]
    with started(command, environment, log) as process:
        eventually(lambda: web_answer(port, "/health/live")[0] == 200, process, log)
        for path in (f"/c/{SECRET}/none/", f"/u/{SECRET}/none/?lang=es", f"/p/{SECRET}", f"/a/{SECRET}//x"):
            status, _body = web_answer(port, path, Referer=f"http://clinic.example.org/c/{SECRET}/")
            assert status in (301, 404)
    text = log.read_text()
    assert "[token]" in text
    assert SECRET not in text


def test_every_secret_address_is_known_to_the_log() -> None:
    secret = [
        str(urlpattern.pattern) for urlpattern in urls.urlpatterns if "<str:token>" in str(urlpattern.pattern)
    ]
    assert len(secret) > 5
    for route in secret:
        path = "/" + re.sub(r"<str:token>", SECRET, route)
        assert SECRET not in scrub(f"GET {path} 200"), route
