"""Settings come from the environment, and what is wrong with it is said in one sentence with a code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHOLE = {
    "SECRET_KEY": "for this test alone",
    "DATABASE_URL": "postgresql://clinic:hidden@127.0.0.1:1/clinic",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "EMAIL_URL": "smtp://127.0.0.1:1",
}


def refused(tmp_path: Path, **changes: str | None) -> str:
    """What `manage.py tick` says in an environment with these changes; it must fail."""
    known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environment = known | {"CLINIC_DATA": str(tmp_path)} | WHOLE | changes
    done = subprocess.run(
        [sys.executable, "manage.py", "tick"],
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "REDIS_URL", "EMAIL_URL", "DATABASE_URL"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    assert f"setting_missing: {name} is not set." in refused(tmp_path, **{name: None})


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "mysql://clinic:hidden@127.0.0.1/clinic",
        "postgresql://clinic:hidden@127.0.0.1:port/clinic",
        "postgresql://clinic:hidden@[::1/clinic",
        "postgresql://",
    ],
)
def test_an_address_that_is_no_databases_is_refused(tmp_path: Path, url: str) -> None:
    assert refused(tmp_path, DATABASE_URL=url).startswith("database_url: DATABASE_URL ")


def test_an_email_address_that_is_no_servers_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, EMAIL_URL="pigeon://coop").startswith("email_url: EMAIL_URL ")


@pytest.mark.parametrize(
    ("url", "lacks"),
    [
        ("anymail+sendgrid://?api_key=hidden", "tracking_webhook_verification_key"),
        ("anymail+mailersend://?api_token=hidden", "signing_secret"),
    ],
)
def test_a_service_whose_reports_could_not_be_checked_is_refused(
    tmp_path: Path, url: str, lacks: str
) -> None:
    said = refused(tmp_path, EMAIL_URL=url, EMAIL_WEBHOOK_SECRET="clinic:0123456789abcdef")
    assert said.startswith(f"email_url: EMAIL_URL lacks {lacks}")
    assert refused(tmp_path, EMAIL_URL=url).startswith("database_unreachable: ")


def test_a_database_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith("database_unreachable: ")
