"""Dump, sixty asked, restore, tick: nobody is asked again. With pg_dump, pg_restore, processes and a mail server."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from aiosmtpd.controller import Controller
from django.db import connection
from django.utils import timezone

from clinic.models import Site
from clinic.tests.deployment import free_port
from clinic.tests.restored_database import queued
from outcomes.tests.site.due_check_ins import due_check_ins
from outcomes.tests.site.installation import Installation, Post, run_postgres
from procedures.tests.factories import World

ASKED = 60


@contextmanager
def another_database(name: str) -> Iterator[None]:
    """An empty database beside the tests' own, until the block ends."""
    with closing(psycopg.connect(os.environ["DATABASE_URL"], dbname="postgres", autocommit=True)) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def original(transactional_db: None, tmp_path: Path) -> Iterator[Installation]:
    """The clinic's own installation: the tests' database."""
    post, port = Post(), free_port()
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield Installation(connection.settings_dict["NAME"], tmp_path / "sending", post, port)
    finally:
        server.stop()


def test_a_restored_clinic_asks_nobody_again_and_neither_does_a_copy(
    original: Installation, world: World, tmp_path: Path
) -> None:
    dump = tmp_path / "clinic.dump"
    assert original.tick() == 0
    Site.objects.update(quiet_from="00:00", quiet_until="00:00")  # whatever the hour is while this runs
    due_check_ins(world, ASKED)
    run_postgres("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={original.url}")
    assert original.tick() == ASKED

    with another_database(f"{original.database}_restored"):
        restored = Installation(
            f"{original.database}_restored", original.folder, original.post, original.port
        )
        run_postgres("pg_restore", "--exit-on-error", f"--dbname={restored.url}", str(dump))

        # A machine for tests: there is no copy beside it, and the original goes on meanwhile.
        for_tests = Installation(restored.database, tmp_path / "elsewhere", original.post, original.port)
        assert for_tests.tick() == 0
        assert (for_tests.paused, for_tests.waiting) == ("copy_missing", ASKED)
        queued(world, "meanwhile", now=timezone.now())
        assert original.tick() == 1
        assert original.paused is None

        # In the place of the original, where the copy lies.
        assert restored.tick() == 0
        assert restored.paused == "counter_behind"
        assert f"Probably went out already: {ASKED}." in restored.manage("sending")
        restored.manage("sending", "--go-on", "mark", "--by", world.admin.email)
        assert (restored.paused, restored.waiting) == (None, 0)
        assert restored.tick() == 0
        # What falls due from now on goes out.
        with closing(psycopg.connect(restored.url, autocommit=True)) as database:
            database.execute(
                b'INSERT INTO clinic_outgoingemail (key, template, context, "to", site_id, status, attempts,'
                b" created_at, not_before, message_id, provider_id, problem)"
                b" SELECT 'new', 'clinic.tests.restored_database.letter', '{}', 'new@example.org', min(id), 'queued',"
                b" 0, now(), now(), 'new', '', '' FROM clinic_site"
            )
        assert restored.tick() == 1
    assert len(original.post.taken) == len(set(original.post.taken)) == ASKED + 2
