"""The operator's bad week, minute by minute: each trouble is on the first page and at /health/jobs soon.

The minutes are simulated; the database, its locks, Valkey and the mail server are real. What counts as a trouble from
when on is said in `outcomes.troubles`; from then on it must be seen within two minutes, and be gone with its cause.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from django.core.cache import caches
from django.db import connection
from django.test import Client

from clinic import outbox
from clinic.dev.embedded import Valkey
from clinic.tests.admin_client import clock, signed_in
from clinic.tests.factories import MONDAY
from clinic.tests.test_compose import free_port
from clinic.tests.test_embedded import sockets  # noqa: F401  # a fixture
from outcomes import services
from outcomes.models import CheckIn
from outcomes.services import tick_steps
from outcomes.troubles import OVERDUE, TICK_LASTS, TRY_TO_WRITE
from procedures.tests.factories import World

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
SOON = 2 * MINUTE


class Post:
    """A mail server that takes e-mail from whoever knows the password, and can have it expire."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.expired = False

    def authenticate(self, *_: Any) -> AuthResult:
        return AuthResult(success=not self.expired, handled=False)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # aiosmtpd's name
        self.taken += envelope.rcpt_tos
        return "250 taken"


@pytest.fixture
def post(settings: Any) -> Iterator[Post]:
    """The mail server that the settings name."""
    post = Post()
    port = free_port()
    controller = Controller(post, "127.0.0.1", port, authenticator=post.authenticate, auth_require_tls=False)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "clinic", "expires one day"
    yield post
    controller.stop()


@pytest.fixture
def valkey(settings: Any, tmp_path: Path, sockets: None) -> Iterator[Valkey]:  # noqa: F811
    """The Valkey that the settings name."""
    with Valkey(tmp_path / "valkey") as server:
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
        yield server
        caches["default"].close()


class Week:
    """A clinic whose clock goes on by minutes. `beat`: whether the tick comes each minute, as it should."""

    def __init__(self, world: World, now: datetime) -> None:
        self.world, self.now = world, now
        self.beat = True
        self.desk = signed_in(world.clerk)

    def minute(self) -> None:
        self.now += MINUTE
        if self.beat:
            for job in (services.tick, outbox.send_due):
                with suppress(Exception):  # as Celery does: it is logged, and the next one comes
                    job(now=self.now)

    def seen(self) -> list[str]:
        """The codes at /health/jobs, which are those on the first page."""
        with clock(self.now):
            answer, page = Client().get("/health/jobs"), self.desk.get("/admin/")
        codes = [str(one["code"]) for one in answer.json()["troubles"]]
        assert answer.status_code == (503 if codes else 200)
        assert [trouble.code for trouble in page.context["troubles"]] == codes
        for code in codes:
            assert f'data-code="{code}"' in page.content.decode()
        return codes

    def until(self, code: str, *, within: timedelta) -> None:
        """Let minutes pass until the trouble is seen; it must be within so long after the cause."""
        since = self.now
        while code not in self.seen():
            assert self.now - since < within, (code, self.seen())
            self.minute()

    def well_again(self) -> None:
        self.minute()
        assert self.seen() == []


@pytest.fixture
def week(world: World, post: Post, valkey: Valkey) -> Week:
    """Tuesday at nine: three patients were treated on Monday and are asked at ten."""
    for number, hour in enumerate((8, 10, 12), start=2):
        world.performed(patient=world.another_patient(number), hour=hour)
    week = Week(world, world.at(MONDAY + timedelta(days=1), 9))
    week.well_again()
    return week


def pass_until(week: Week, hour: int, minute: int = 0) -> None:
    while week.now < week.world.at(MONDAY + timedelta(days=1), hour, minute):
        week.minute()


def test_beat_is_dead(week: Week, post: Post) -> None:
    pass_until(week, 9, 57)
    week.beat = False
    week.until("tick_late", within=TICK_LASTS + SOON)
    week.until("check_ins_overdue", within=timedelta(minutes=3) + OVERDUE + SOON)
    assert post.taken == []
    week.beat = True
    week.well_again()
    assert len(post.taken) == 3


def test_the_senders_password_has_expired(week: Week, post: Post) -> None:
    pass_until(week, 9, 59)
    post.expired = True
    week.until("sender_refused", within=MINUTE + SOON)
    assert post.taken == []
    post.expired = False
    week.well_again()
    assert len(post.taken) == 3


@contextmanager
def read_only() -> Iterator[None]:
    """The database refuses every write of this connection."""
    connection.cursor().execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        connection.cursor().execute("RESET default_transaction_read_only")


def test_the_database_takes_no_writes(week: Week, post: Post) -> None:
    """As a full disk does; a standby that was taken for the primary is the same."""
    pass_until(week, 9, 59)
    with read_only():
        week.until("database_refuses_writes", within=TRY_TO_WRITE + SOON)
    week.well_again()
    assert len(post.taken) == 3


def test_somebody_holds_a_lock(week: Week, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten transaction: it is told, and who is not locked is asked all the same."""
    monkeypatch.setattr(tick_steps, "WAITS", 100)
    pass_until(week, 9, 59)
    stuck, *others = CheckIn.objects.filter(offset_minutes=1440).order_by("pk")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM outcomes_checkin WHERE id = %s FOR UPDATE", [stuck.pk])
        week.until("tick_incomplete", within=MINUTE + SOON)
        assert len(post.taken) == len(others)
    week.well_again()
    assert len(post.taken) == 3


def test_valkey_is_killed(week: Week, valkey: Valkey) -> None:
    assert valkey.process
    valkey.process.kill()
    valkey.process.wait()
    week.until("broker_away", within=SOON)
    valkey.start()
    week.well_again()
