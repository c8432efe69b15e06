"""`python3 manage.py bench`: what the service costs beside the bare tools it stands on, as ratios in one run.

Runs on a PostgreSQL of its own under `.clinic/`, with fsync on, which is removed at the end. All traffic stays on
127.0.0.1 and on sockets of this machine.
"""

import argparse
import fcntl
import os
import secrets
import shutil
import socket
import sys
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

from clinic.dev.bootstrap import ROOT, step
from clinic.dev.embedded import Postgres, ServerFailed, Valkey, last_lines, spawn

FOLDER = ROOT / ".clinic"
#: In this order: a million appointments would be in everybody's way.
SECTIONS = ("booking", "sending", "duration", "reports", "slots")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(stack: ExitStack, name: str, port: int, *command: str) -> None:
    """Run a server of the bench until `stack` ends, and wait, at most half a minute, until it answers."""
    log = FOLDER / "logs" / f"bench-{name}.log"
    log.write_bytes(b"")
    process = spawn([sys.executable, *command], log=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"A server did not start:\n{last_lines(log)}")
        time.sleep(0.05)


def fresh(stack: ExitStack, name: str) -> Path:
    """A folder for the data of a server, without those of a run that was killed; removed when `stack` ends."""
    data = FOLDER / f"bench-{name}"
    shutil.rmtree(data, ignore_errors=True)
    stack.callback(shutil.rmtree, data, ignore_errors=True)
    return data


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="manage.py bench", description="Measure; about half an hour, or three minutes with --quick."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows: to see that it runs")
    parser.add_argument("--only", choices=SECTIONS, help="one part alone")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        smtp, web = free_port(), free_port()
        with step("Starting PostgreSQL and Valkey"):
            (FOLDER / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                fcntl.flock(
                    stack.enter_context((FOLDER / "bench.lock").open("w")), fcntl.LOCK_EX | fcntl.LOCK_NB
                )
            except BlockingIOError:
                raise SystemExit(
                    "The bench is running already; two at once would measure each other."
                ) from None
            log = FOLDER / "logs" / "bench-postgresql.log"
            os.environ["DATABASE_URL"] = stack.enter_context(
                Postgres(fresh(stack, "postgresql"), log=log)
            ).url
            os.environ["REDIS_URL"] = stack.enter_context(Valkey(fresh(stack, "valkey"))).url
        os.environ |= {"SECRET_KEY": secrets.token_urlsafe(50), "DEBUG": "false"}
        os.environ |= {"EMAIL_URL": f"smtp://127.0.0.1:{smtp}", "SITE_URL": f"http://127.0.0.1:{web}"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "clinic.settings"
        import django

        django.setup()
        from bench.clinic import Clinic
        from bench.table import print_table

        with step("Making the tables and a clinic"):
            clinic = Clinic.make()
        sink = ["-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{smtp}", "-c", "aiosmtpd.handlers.Sink"]
        serve(stack, "smtp", smtp, *sink)
        gunicorn = ["-m", "gunicorn", "bench.web:application", "--bind", f"127.0.0.1:{web}"]
        serve(stack, "web", web, *gunicorn, "--no-control-socket", "--workers", "2", "--threads", "24")
        rows = []
        for section in [wanted.only] if wanted.only else SECTIONS:
            rows += import_module(f"bench.{section}").measure(clinic, quick=wanted.quick)
        print_table(rows, quick=wanted.quick)


if __name__ == "__main__":
    try:
        main()
    except ServerFailed as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
