"""Programs of installed packages as children of this process, without its traces and without root."""

import functools
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# Runs between fork and the program itself, in a fresh interpreter: safe beside threads, unlike `preexec_fn`.
_GUARD = """
import ctypes, os, sys
parent, death, user, group = map(int, sys.argv[1:5])
if user >= 0:
    os.setgroups([]), os.setgid(group), os.setuid(user)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, death)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
os.execvp(sys.argv[5], sys.argv[5:])
"""


class ServerFailed(RuntimeError):
    """A server did not start; the message is for people and carries the last lines of its log."""


def spawn(
    command: list[str],
    *,
    log: Path,
    death: signal.Signals = signal.SIGKILL,
    env: dict[str, str] | None = None,
    user: tuple[int, int] = (-1, -1),
) -> subprocess.Popen[bytes]:
    """Start a child that cannot outlive this thread: at the thread's end, by kill -9 too, it is sent `death`.

    The kernel does that on Linux; elsewhere the child is an ordinary one. It gets a session of its own, so
    that a terminal's Ctrl-C reaches only the parent, which then ends its children in order.

    Args:
        log: appended to; standard output and errors go there.
        env: the whole environment; None means this process's.
        user: the user and group id to become, for root only; -1 means stay.
    """
    if sys.platform == "linux" or user != (-1, -1):
        guard = [str(number) for number in (os.getpid(), int(death), *user)]
        command = [sys.executable, "-I", "-S", "-c", _GUARD, *guard, *command]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True
        )


def last_lines(log: Path, count: int = 10) -> str:
    """The last `count` lines that are not empty; an empty text when there is no such file."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def binary(package: str, pattern: str) -> Path:
    """A program inside an installed package, found without importing the package.

    Raises:
        ServerFailed: it is not installed, or not for this kind of machine.
    """
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        for found in Path(place).glob(pattern):
            return found
    raise ServerFailed(
        f"{package} is not installed here. Set DATABASE_URL and REDIS_URL to servers of your own, "
        "or use docker-compose.yml."
    )


def plain_environment() -> dict[str, str]:
    """This process's environment without what would bend a server: PG* variables, locale, time zone."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"PG|LC_|LANG", name)}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


@functools.cache
def without_root() -> tuple[list[str], tuple[int, int]]:
    """How to run a program that refuses root: words to put before it, user and group id to become (-1: stay).

    In a user namespace the program sees itself as `nobody` while files still belong to root, so that folders
    closed to others work. Where namespaces are forbidden it becomes `nobody` in earnest.
    """
    if os.geteuid() != 0:
        return [], (-1, -1)
    prefix = ["unshare", "--map-user=65534", "--map-group=65534"]
    if shutil.which("unshare") and not subprocess.run([*prefix, "true"], capture_output=True).returncode:
        return prefix, (-1, -1)
    nobody = pwd.getpwnam("nobody")
    return [], (nobody.pw_uid, nobody.pw_gid)
