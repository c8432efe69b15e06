"""What patients answered after the last dump is not lost: base backup, archived WAL, a killed server, recovery.

The commands are those of docs/operations.md, with the binaries of the embedded server.
"""

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.db import connection

from clinic.dev.embedded import Postgres
from clinic.dev.embedded.programs import without_root
from clinic.tests.deployment import eventually
from clinic.tests.restored_database import identity
from outcomes.models import CheckIn
from outcomes.tests.site.due_check_ins import due_check_ins
from outcomes.tests.site.installation import ROOT, Installation, Post, run_postgres
from procedures.tests.factories import World

ANSWER = (
    "INSERT INTO outcomes_answer (check_in_id, channel, language, answered_at, remark, late, version)"
    " VALUES (%s, 'link', 'en', now(), '', false, 1)"
)


class Archiving(Postgres):
    """A PostgreSQL with options of its own."""

    def __init__(self, data: Path, **options: str) -> None:
        super().__init__(data)
        self._options += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]


def archiving(archive: Path) -> dict[str, str]:
    """What docker-compose.yml says with WAL_ARCHIVE=on, with this folder in the place of /archive."""
    words = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["database"]["command"]
    pairs = [word.removeprefix("-c").split("=", 1) for word in words if "=" in word]
    options = {name: value.replace("/archive", str(archive)) for name, value in pairs}
    assert options["archive_mode"] == "${WAL_ARCHIVE:-off}"
    return options | {"archive_mode": "on"}


def ask(server: Postgres, question: str) -> Any:
    with closing(psycopg.connect(server.url)) as database:
        row = database.execute(question.encode()).fetchone()
        return row and row[0]


def tell(server: Postgres, statement: str, *values: object) -> None:
    with closing(psycopg.connect(server.url, autocommit=True)) as database:
        database.execute(statement.encode(), values)


@pytest.mark.usefixtures("runtime_folder", "transactional_db")
def test_a_clinic_is_brought_back_to_a_minute_after_the_last_dump(world: World, tmp_path: Path) -> None:
    due_check_ins(world, 3)
    identity()
    first, second, third = CheckIn.objects.order_by("pk").values_list("pk", flat=True)
    name, folder = connection.settings_dict["NAME"], tmp_path / "clinic"
    dump, archive, base = folder / "clinic.dump", folder / "archive", folder / "base"
    archive.mkdir(parents=True)
    for place in (folder, archive):
        os.chown(place, *without_root()[1])
    run_postgres(
        "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={Installation(name, folder, Post()).url}"
    )

    with Archiving(folder / "data", **archiving(archive)) as server:
        run_postgres("pg_restore", "--exit-on-error", f"--dbname={server.url}", str(dump))
        tell(server, ANSWER, first)
        run_postgres(
            "pg_basebackup", f"--dbname={server.url}", f"--pgdata={base}", "--checkpoint=fast", "--no-sync"
        )
        tell(server, ANSWER, second)
        tell(server, "UPDATE clinic_databaseidentity SET counter = counter + 5")
        good = ask(server, "SELECT clock_timestamp()::text")
        tell(server, "UPDATE clinic_databaseidentity SET counter = counter + 1")
        tell(server, ANSWER, third)
        tell(server, "DELETE FROM outcomes_answer")  # a mistake
        last = ask(server, "SELECT pg_walfile_name(pg_switch_wal())")
        eventually(lambda: (archive / last).exists())
        counter = ask(server, "SELECT counter FROM clinic_databaseidentity")
        assert server.process is not None
        server.process.kill()
        server.process.wait()

    (base / "recovery.signal").touch()
    for place in (base, *base.rglob("*")):
        os.chown(place, *without_root()[1])
    recovery = {
        "restore_command": f"cp {archive}/%f %p",
        "recovery_target_time": good,
        "recovery_target_action": "promote",
    }
    with Archiving(base, **archiving(archive), **recovery) as recovered:
        eventually(lambda: ask(recovered, "SELECT NOT pg_is_in_recovery()") is True)
        answered = "SELECT array_agg(check_in_id ORDER BY check_in_id) FROM outcomes_answer"
        assert ask(recovered, answered) == [first, second]
        # What was sent after that minute, the copy outside knows: sending is paused.
        assert ask(recovered, "SELECT counter FROM clinic_databaseidentity") == counter - 1
        tell(recovered, ANSWER, third)


def test_the_archive_holds_whole_files_only(tmp_path: Path) -> None:
    """A copy that breaks off is not taken for the file, and none that is there is overwritten."""
    command = (
        archiving(tmp_path)["archive_command"].replace("%f", "0001").replace("%p", str(tmp_path / "wal"))
    )
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode
    assert not (tmp_path / "0001").exists()
    (tmp_path / "wal").write_text("one")
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0
    assert (tmp_path / "0001").read_text() == "one"
    (tmp_path / "wal").write_text("another")
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode
    assert (tmp_path / "0001").read_text() == "one"
