"""How a deployment's processes are started in tests, as docker-compose.yml says, and what they answer."""

import http.client
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: ${NAME}, ${NAME:-default}, ${NAME:?refusal}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


def dockerfile() -> list[list[str]]:
    """The Dockerfile's instructions, each split into its first word and the rest."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in whole.splitlines() if line.strip()]


def instructions(word: str) -> list[str]:
    return [rest for first, rest in dockerfile() if first == word]


def filled_in(words: list[str], values: dict[str, str] | None = None) -> list[str]:
    """The words of a command with compose's variables replaced: by `values`, else by their defaults."""

    def value(found: "re.Match[str]") -> str:
        return (values or {}).get(found[1], found[3] if found[2] == "-" else "")

    return [VARIABLE.sub(value, word).replace("$$", "$") for word in words]


def image_command() -> list[str]:
    return shlex.split(instructions("CMD")[0].strip("[]").replace(",", " "))


def command_of(service: str) -> list[str]:
    """What the service runs, without a shell around it where there is none."""
    return filled_in(SERVICES[service].get("command") or image_command())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def deployment_environment(redis: str) -> dict[str, str]:
    """The environment of a deployment's container, with the tests' database and the Redis at `redis`."""
    return {
        # Only what has to do with this machine; a deployment has its own.
        **{name: value for name, value in os.environ.items() if name in ("LANG", "TMPDIR", "HOME")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SECRET_KEY": "k" * 25 + "0123456789" * 3,
        "DEBUG": "false",
        "SITE_URL": "https://clinic.example.org",
        "ALLOWED_HOSTS": "clinic.example.org",
        "BEHIND_PROXY": "true",
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": redis,
        "EMAIL_URL": "smtp+tls://user:password@127.0.0.1:1",
        "SENDING_COPY_DIR": os.environ["SENDING_COPY_DIR"],
        "HOSTNAME": socket.gethostname(),
    }


@contextmanager
def started(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command as a process of its own until the block ends; what it said is in `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def eventually(
    look: Callable[[], bool],
    process: "subprocess.Popen[bytes] | None" = None,
    log: Path | None = None,
    *,
    seconds: float = 60,
) -> None:
    """Wait until `look` is true; fails after `seconds`, or when the process ends before, with what its log says."""
    deadline = time.monotonic() + seconds
    while not look():
        said = log.read_text() if log else "did not happen in time"
        assert process is None or process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


def web_answer(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """What the web server at `port` answers; status 0 while there is none."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", path, headers={"Host": "clinic.example.org"} | headers)
        response = client.getresponse()
        return response.status, response.read()
    except OSError:
        return 0, b""
    finally:
        client.close()
