"""The operator's bad week, day by day: each trouble is on the first page and at /health/jobs soon.

One clinic, one week: its database is a server of its own on a disk of its own, which one day is really full. The
server, its locks, Valkey, the mail server, pg_dump and pg_restore are real; the minutes are simulated. What counts as
a trouble from when on is said in `outcomes.troubles`; from then on it must be seen within two minutes, and be gone
with its cause. Nobody gets an e-mail while a trouble keeps it from leaving, and everybody gets one afterwards.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from django.core.cache import caches
from django.db import connection
from django.test import Client
from psycopg.conninfo import conninfo_to_dict

from clinic import outbox
from clinic.dev.embedded import Postgres, Valkey
from clinic.tests.admin_client import clock, signed_in
from clinic.tests.deployment import free_port
from clinic.tests.factories import MONDAY
from outcomes import services
from outcomes.models import CheckIn
from outcomes.services import tick_steps
from outcomes.tests.site.due_check_ins import due_check_ins
from outcomes.tests.site.installation import run_postgres
from outcomes.tests.site.small_disk import SmallDisk, small_disk
from outcomes.troubles import OVERDUE, TICK_LASTS
from procedures.tests.factories import World

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SOON = 2 * MINUTE
#: Of the database's disk: the server, the clinic, and changes that were not put in their places yet.
MEGABYTES = 400
ASKED = 60
SENDING = "/admin/clinic/outgoingemail/sending/"


class Post:
    """A mail server that takes e-mail from whoever knows the password, and can have it expire."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.expired = False

    def of(self, addresses: set[str]) -> list[str]:
        """Who of them has got an e-mail, as often as they did."""
        return sorted(trouble for trouble in self.taken if trouble in addresses)

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
def valkey(settings: Any, tmp_path: Path, runtime_folder: None) -> Iterator[Valkey]:
    """The Valkey that the settings name."""
    with Valkey(tmp_path / "valkey") as server:
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
        yield server
        caches["default"].close()


@contextmanager
def elsewhere(server: Postgres) -> Iterator[None]:
    """Django's connection goes to the database of that server, with all that is stored here, until the block ends."""
    here = dict(connection.settings_dict)
    dump = server.log.with_name("tests.dump")
    tests = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{here['NAME']}").geturl()
    run_postgres("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={tests}")
    run_postgres("pg_restore", "--exit-on-error", f"--dbname={server.url}", str(dump))
    connection.close()
    there = conninfo_to_dict(server.url)
    connection.settings_dict |= {
        "HOST": there.pop("host"),
        "PORT": there.pop("port"),
        "NAME": there.pop("dbname"),
    }
    connection.settings_dict |= {"USER": there.pop("user"), "PASSWORD": ""}
    connection.settings_dict["OPTIONS"] = {
        name: value for name, value in here["OPTIONS"].items() if name not in ("host", "port")
    }
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict |= here


class Week:
    """A clinic whose clock goes on by minutes. `beat`: whether the tick comes each minute, as it should."""

    def __init__(self, world: World, post: Post, server: Postgres) -> None:
        self.world, self.post, self.server, self.now = world, post, server, world.now
        self.beat = True
        self.desk = signed_in(world.clerk)
        self.patients = 1

    def day_begins(self, day: date) -> set[str]:
        """Three minutes before ten; the addresses of three who were treated the day before and are asked at ten."""
        self.now, addresses = self.world.at(day, 9, 57), set()
        for hour in (8, 10, 12):
            self.patients += 1
            patient = self.world.another_patient(self.patients, email=f"week{self.patients}@example.org")
            self.world.performed(patient=patient, day=day - DAY, hour=hour)
            addresses.add(patient.email)
        self.well_again()
        return addresses

    def minute(self) -> None:
        self.now += MINUTE
        if self.beat:
            for job in (services.tick, outbox.send_due):
                with suppress(Exception):  # as Celery does: it is logged, and the next one comes
                    job(now=self.now)

    def minutes(self, number: int) -> None:
        for _ in range(number):
            self.minute()

    def seen(self) -> list[str]:
        """The codes at /health/jobs, which are those on the first page."""
        with clock(self.now):
            answer, page = Client().get("/health/jobs"), self.desk.get("/admin/")
        codes = [str(row["code"]) for row in answer.json()["troubles"]]
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


def beat_is_dead(week: Week, asked: set[str]) -> None:
    week.beat = False
    week.until("tick_late", within=TICK_LASTS + SOON)
    week.until("check_ins_overdue", within=timedelta(minutes=3) + OVERDUE + SOON)
    assert week.post.of(asked) == []
    week.beat = True


def the_senders_password_has_expired(week: Week, asked: set[str]) -> None:
    week.minute()
    week.post.expired = True
    week.until("sender_refused", within=2 * MINUTE + SOON)
    assert week.post.of(asked) == []
    week.post.expired = False


def the_disk_is_full(week: Week, asked: set[str], disk: SmallDisk) -> None:
    """That of the database, to the last byte."""
    week.minute()
    disk.fill()
    week.until("disk_full", within=SOON)
    ready = Client().get("/health/ready")
    assert (ready.status_code, ready.json()["parts"]["disk"]) == (503, False)
    assert Client().get("/health/live").status_code == 200
    week.minutes(5)  # over ten o'clock
    assert "disk_full" in week.seen()
    disk.free()
    assert Client().get("/health/ready").json()["parts"]["disk"]


@contextmanager
def read_only() -> Iterator[None]:
    """The database refuses every write of this connection."""
    connection.cursor().execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        connection.cursor().execute("RESET default_transaction_read_only")


def a_standby_is_taken_for_the_database(week: Week, asked: set[str]) -> None:
    week.minute()
    with read_only():
        week.until("database_refuses_writes", within=2 * MINUTE + SOON)
    assert week.post.of(asked) == []


def somebody_holds_a_lock(week: Week, asked: set[str]) -> None:
    """A forgotten transaction: it is told, and who is not locked is asked all the same."""
    stuck = CheckIn.objects.filter(follow_up__patient__email__in=asked, offset_minutes=1440).earliest("pk")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM outcomes_checkin WHERE id = %s FOR UPDATE", [stuck.pk])
        week.until("tick_incomplete", within=3 * MINUTE + SOON)
        assert week.post.of(asked) == sorted(asked - {stuck.follow_up.patient.email})


def valkey_is_killed(week: Week, asked: set[str], valkey: Valkey) -> None:
    assert valkey.process
    valkey.process.kill()
    valkey.process.wait()
    week.until("broker_away", within=SOON)
    valkey.start()


def a_dump_is_restored(week: Week, asked: set[str], dump: Path) -> None:
    """Sixty are asked after the dump. They are not asked again, and whoever falls due afterwards is asked."""
    with clock(week.now):
        sixty = {check_in.follow_up.patient.email for check_in in due_check_ins(week.world, ASKED)}
    run_postgres("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={week.server.url}")
    week.minute()
    assert week.post.of(sixty) == sorted(sixty)

    connection.close()
    with closing(psycopg.connect(week.server.url, dbname="postgres", autocommit=True)) as server:
        server.execute("DROP DATABASE clinic WITH (FORCE)")
        server.execute("CREATE DATABASE clinic")
    run_postgres("pg_restore", "--exit-on-error", f"--dbname={week.server.url}", str(dump))

    taken = list(week.post.taken)
    week.until("sending_paused", within=SOON)
    week.minutes(4)  # over ten o'clock
    assert week.post.taken == taken
    admin = signed_in(week.world.admin)
    with clock(week.now):
        page = admin.get(SENDING).context
        assert (page["pause"].reason, page["doubtful"]["count"]) == ("counter_behind", ASKED)
        assert page["ready"]["count"] >= len(asked)
        admin.post(SENDING, {"do": "mark_all", "own": "yes"})
    week.minute()
    assert week.post.of(sixty) == sorted(sixty)


@pytest.fixture
def server(tmp_path: Path, runtime_folder: None) -> Iterator[tuple[Postgres, SmallDisk | None]]:
    """The clinic's database, and its disk: None where this machine lets nobody have a small one."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", megabytes=MEGABYTES) as disk:
        server = Postgres(tmp_path / "disk" / "data", log=tmp_path / "postgresql.log")
        if disk:
            server.data = disk.folder / "data"
        with server:
            yield server, disk


def test_the_bad_week(
    world: World,
    post: Post,
    valkey: Valkey,
    server: tuple[Postgres, SmallDisk | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tick_steps, "WAITS", 100)
    database, disk = server
    troubles: list[Callable[[Week, set[str]], None]] = [
        beat_is_dead,
        the_senders_password_has_expired,
        *([partial(the_disk_is_full, disk=disk)] if disk else []),
        a_standby_is_taken_for_the_database,
        somebody_holds_a_lock,
        partial(valkey_is_killed, valkey=valkey),
        partial(a_dump_is_restored, dump=tmp_path / "clinic.dump"),
    ]
    with elsewhere(database):
        week, day = Week(world, post, database), MONDAY
        for trouble in troubles:
            day = next_day(day)
            asked = week.day_begins(day)
            trouble(week, asked)
            week.beat = True
            week.minutes(3)
            assert week.post.of(asked) == sorted(asked), trouble
            assert week.seen() == []
    if disk is None:
        pytest.skip(
            "All but the full disk: this machine allows no small file system (root, or user namespaces)."
        )


def next_day(day: date) -> date:
    """The day after it on which somebody can be asked who was treated the day before."""
    return day + DAY if day.isoweekday() < 6 else day + 3 * DAY
