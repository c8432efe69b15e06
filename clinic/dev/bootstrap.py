"""What `manage.py` does before Django: `up`, `test` and `bench` make their own environment with Python alone.

Only the standard library is imported here, and the file stays readable for old Pythons, so that they too get
a sentence instead of a traceback.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "clinic-stamp"
COMMANDS = ("up", "test", "bench")

say = functools.partial(print, flush=True)  #: a line for the person at the terminal


def prepare(argv: "list[str]") -> None:
    """Make the environment for `up`, `test` and `bench` and become that command; let Django do any other.

    Returns only when Django should go on in this very process.

    Raises:
        SystemExit: a sentence says what is missing.
    """
    command = argv[1] if len(argv) > 1 else ""
    if command not in COMMANDS:
        _find_django(argv)
        return
    if os.name != "posix":
        raise SystemExit(
            "The embedded servers exist for Linux and macOS only: use docker-compose.yml, or WSL on Windows."
        )
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SystemExit(
            "Python 3.11, 3.12 or 3.13 is needed; this is Python {}.{}.".format(*sys.version_info[:2])
        )
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that knows no "…"
    os.chdir(ROOT)
    rest = argv[2:]
    if command == "up":
        from clinic.dev import up

        up.check(rest)  # what would be refused is refused before anything slow
        _become([_environment("requirements.txt"), "-m", "clinic.dev.up", *rest])
    python = _environment("requirements.txt", "requirements-dev.txt")
    if command == "test":
        _become([python, "-m", "pytest", *rest])
    _become([python, "-m", "clinic.dev.embedded", python, "-m", "bench", *rest])


def _find_django(argv: "list[str]") -> None:
    """Go on here when this Python has the packages, else in the environment that `up` made."""
    if _importable("django", "environ", "knox"):
        return
    if PYTHON.exists() and Path(sys.prefix).resolve() != VENV.resolve():
        _become([str(PYTHON), *argv])
    raise SystemExit("Nothing is installed yet: run `python3 manage.py up`.")


def _importable(*names: str) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


def _become(command: "list[str]") -> None:
    sys.stdout.flush()
    os.execv(command[0], command)


def _environment(*requirements: str) -> str:
    """The Python that has these requirement files installed; makes or completes `.venv` when needed."""
    probe = "pytest" if "requirements-dev.txt" in requirements else "django"
    if os.environ.get("DATABASE_URL") and _importable("django", "environ", "knox", probe):
        return sys.executable  # a container or somebody's own environment
    here = ["python {}.{}".format(*sys.version_info[:2]), f"place {VENV}"]
    wanted = [f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}" for name in requirements]
    if not _stamped(here + wanted):
        with _only_one() as lock:
            if not _stamped(here + wanted):  # another run may have finished meanwhile
                sound = _stamped(here)
                STAMP.unlink(missing_ok=True)  # an interruption leaves no stamp: the next run heals
                if not sound:
                    _make(lock)
                _install(requirements, lock)
                draft = STAMP.with_suffix(".new")
                draft.write_text("\n".join(here + wanted))
                draft.replace(STAMP)
    return str(PYTHON)


def _stamped(lines: "list[str]") -> bool:
    try:
        return set(lines) <= set(STAMP.read_text().splitlines()) and PYTHON.exists()
    except OSError:
        return False


@contextlib.contextmanager
def _only_one() -> "Iterator[int]":
    """Hold the installation's lock, waiting for another run; yields its descriptor, which pip inherits."""
    import fcntl

    try:
        _log().parent.parent.mkdir(mode=0o700, exist_ok=True)
        _log().parent.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(ROOT / ".clinic" / "install.lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not os.access(ROOT, os.W_OK):
            raise PermissionError
    except OSError:
        raise SystemExit(f"This folder cannot be written to: {ROOT}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("Waiting for another run that is installing"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    except KeyboardInterrupt:
        raise SystemExit("Interrupted. Running the same command again goes on.") from None
    finally:
        os.close(lock)


def _make(lock: int) -> None:
    if not _importable("venv", "ensurepip"):
        raise SystemExit(
            "This Python cannot make virtual environments. On Debian and Ubuntu install the package "
            "python3-venv (`apt install python3-venv`), then run this again."
        )
    if VENV.is_symlink():
        raise SystemExit(f"{VENV.name} is a link to another folder, which would be emptied. Remove the link.")
    # The base interpreter: the running one may live in the very folder that is cleared.
    base = getattr(sys, "_base_executable", "") or sys.executable
    with step("Making the virtual environment"):
        _run([base, "-m", "venv", "--clear", str(VENV)], lock, "The virtual environment could not be made")


def _install(requirements: "tuple[str, ...]", lock: int) -> None:
    pins = sum(len(re.findall(r"(?m)^[A-Za-z0-9]", (ROOT / name).read_text())) for name in requirements)
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--no-compile", "--retries=2"]
    for name in requirements:
        command += ["-r", name]

    def counted() -> str:
        lines = _log().read_text(errors="replace").splitlines()
        seen = sum(
            line.startswith(("Collecting", "Processing", "Ignoring", "Requirement already")) for line in lines
        )
        return f"{seen} of {pins} fetched" if seen < pins else "unpacking"

    with step(f"Installing {pins} packages (about half a minute, once)", counted):
        _run(command, lock, "The packages could not be installed (is there a network?)")


def _log() -> Path:
    return ROOT / ".clinic" / "logs" / "install.log"


def _run(command: "list[str]", lock: int, refusal: str) -> None:
    with _log().open("wb") as log:
        # The child shares the lock: should this process be killed, the next run waits for the child too.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PIP_USER": "0"},
            pass_fds=[lock],
        )
    if done.returncode:
        lines = [line for line in _log().read_text(errors="replace").splitlines() if line.strip()]
        lines = [line for line in lines if line.startswith("ERROR")] or lines or ["no output"]
        raise SystemExit(
            f"{refusal}: {lines[-1]}\nAll of it: {_log()}. Running the same command again goes on."
        )


@contextlib.contextmanager
def step(title: str, detail: "Callable[[], str]" = str) -> "Iterator[None]":
    """Say what is being done while it is being done, and how long it took (seconds).

    A terminal shows the seconds and `detail()` running; anything else gets a dot every two seconds.
    """
    began, over, live = time.monotonic(), threading.Event(), sys.stdout.isatty()

    def tell() -> None:
        while not over.wait(1 if live else 2):
            if live:
                words = [title, "…", detail(), f"{time.monotonic() - began:.0f} s"]
                say("\r\033[K" + " ".join(filter(None, words)), end="")
            else:
                say(".", end="")

    say(f"{title} …", end=" " if live else "")
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    end = "not finished"
    try:
        yield
        end = f"{time.monotonic() - began:.1f} s"
    finally:
        over.set()
        teller.join()
        say(f"\r\033[K{title} … {end}" if live else f" {end}")
