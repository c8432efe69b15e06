"""`manage.py up`: the whole service on one's own machine, from one command, until Ctrl-C.

Refuses what could not run, sees that only one runs on a data folder, and leaves the rest to `clinic.dev.supervisor`.
"""

import argparse
import contextlib
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from clinic.dev.bootstrap import ROOT, say
from clinic.dev.embedded import ServerFailed
from clinic.dev.supervisor import EVERYWHERE, ChildDied, StopRequested, Supervisor, bracketed

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def data_folder() -> Path:
    """Where `up` keeps databases, logs and addresses: CLINIC_DATA, or the checkout's `.clinic`."""
    return Path(os.environ.get("CLINIC_DATA") or ROOT / ".clinic").resolve()


def options(args: list[str]) -> argparse.Namespace:
    """The command line of `up`, understood: `host`, `port` (a TCP port), `demo`."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Start everything on this machine; Ctrl-C stops it."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: this machine only)"
    )
    parser.add_argument("--port", default=8000, type=_port, help="port to serve on (default: 8000)")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="leave out the made-up demo clinic"
    )
    return parser.parse_args(args)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def check(args: list[str]) -> argparse.Namespace:
    """Refuse now what would fail later, before anything slow happens; the understood command line otherwise.

    Raises:
        SystemExit: a sentence says why it cannot run here and what to do.
    """
    wanted = options(args)
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name in os.environ:
            raise SystemExit(
                f"{name} is set, but `up` brings servers of its own: unset it, or use docker-compose.yml."
            )
    if os.environ.get("DEBUG", "true").lower() not in ("true", "on", "ok", "y", "yes", "1"):
        raise SystemExit(
            "DEBUG is off, but `up` is for one's own machine only: unset it, or use docker-compose.yml."
        )
    running = _running_at()
    if running:
        raise SystemExit(f"It is already running at {running}.")
    # After a kill -9 the orphaned web workers need a second to notice and to leave the port.
    deadline = time.monotonic() + (3 if _last_run_was_killed() else 0)
    while trouble := _busy(wanted.host, wanted.port):
        if time.monotonic() > deadline:
            raise SystemExit(trouble)
        time.sleep(0.1)
    return wanted


def _busy(host: str, port: int) -> str:
    """Why that address cannot be served on; an empty text when it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError:
        return f"Port {port} is for the system only: choose another one, for instance `--port 8000`."
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return f"Port {port} is in use: choose another one, for instance `--port {port % 65535 + 1}`."
        return f"{host} is no address of this machine: leave out `--host`."
    return ""


def _lock_file() -> Path:
    return data_folder() / "up.lock"


def _last_run_was_killed() -> bool:
    """Whether the address is still in the lock file, which a run that stops takes out."""
    return _lock_file().exists() and _lock_file().stat().st_size > 0


def _running_at() -> str:
    """The address of the `up` that runs on this data folder; an empty text when none does."""
    try:
        with _lock_file().open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _lock_file().read_text().strip() or "an address it has not told yet"
    except OSError:
        pass
    return ""


def main(args: list[str]) -> int:
    """Run until stopped; the exit code: 0 when somebody stopped it, 1 when something failed."""
    os.chdir(ROOT)
    wanted = check(args)
    data = data_folder()
    url = f"http://{bracketed(EVERYWHERE.get(wanted.host, wanted.host))}:{wanted.port}"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
        lock = os.open(_lock_file(), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise SystemExit(f"This folder cannot be written to: {data}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"It is already running at {_running_at() or url}.") from None
    os.ftruncate(lock, 0)
    os.write(lock, url.encode())
    supervisor = Supervisor(data, url)
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # leave nohup its meaning
            signal.signal(number, _stop)
    try:
        supervisor.run(wanted)
    except StopRequested:
        code = 0
    except BrokenPipeError:  # `manage.py up | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (ServerFailed, ChildDied) as failure:
        code = 1
        say(f"\n{failure}", file=sys.stderr)
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop()
    os.ftruncate(lock, 0)
    with contextlib.suppress(OSError):  # the terminal may be gone
        say("\nStopped." if code == 0 else "Everything was stopped.")
    return code


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C shall not disturb the stopping
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
