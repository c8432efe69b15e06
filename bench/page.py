"""The patient's page through gunicorn, beside a view that does nothing in the same gunicorn."""

import http.client
import re
import socket
from collections.abc import Callable
from pathlib import Path

from django.contrib.staticfiles import finders

from bench.clients import clients
from bench.clinic import Clinic
from bench.table import Row, interleave

CLIENTS = 8


def measure(clinic: Clinic, port: int, *, quick: bool) -> list[Row]:
    """CLIENTS processes with one keep-alive connection each ask as fast as they are answered."""
    rounds, each = (3, 20) if quick else (7, 50)
    shown = clinic.links(clinic.due(50))
    size, all_of_it = look(port, f"/c/{shown[0]}/")

    with clients(CLIENTS) as run:

        def get(*paths: str) -> float:
            requests = [request(paths[number % len(paths)], port) for number in range(each)]
            return CLIENTS * each / run(ask, [(port, requests, b" 200 ") for _ in range(CLIENTS)])

        def post() -> float:
            tokens = clinic.links(clinic.due(CLIENTS * each))
            requests = [request(f"/c/{token}/", port, score=4) for token in tokens]
            return (
                CLIENTS
                * each
                / run(ask, [(port, requests[number::CLIENTS], b" 302 ") for number in range(CLIENTS)])
            )

        shows, takes, nothing = interleave(
            f"Asking for the patient's page, {CLIENTS} clients",
            rounds,
            lambda: get(*(f"/c/{token}/" for token in shown)),
            post,
            lambda: get("/noop/"),
        )
    return [
        Row(f"the patient's page shown ({size / 1000:.1f} kB)", shows, nothing, "/s", "no-op view"),
        Row("the patient's page, a step of it taken", takes, nothing, "/s", "no-op view"),
        Row(
            "the patient's page with everything that it loads, not compressed",
            all_of_it / 1000,
            unit=" kB",
            goal="≤ 30 kB",
        ),
    ]


def look(port: int, path: str) -> tuple[int, int]:
    """The page's own bytes, and its bytes with those of all that it loads."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"The patient's page answered {answer.status}.")
    loaded = len(body)
    for found in re.findall(rb"<(?:link|script|img)[^>]+(?:href|src)=\"([^\"]+)\"", body):
        if not found.startswith(b"data:"):
            loaded += len(static(found.decode()))
    client.close()
    return len(body), loaded


def static(address: str) -> bytes:
    """A file that the page loads, as the project has it: gunicorn serves it only after `collectstatic`."""
    path = finders.find(address.removeprefix("/static/"))
    if path is None:
        raise SystemExit(f"The patient's page loads {address}, and nobody knows it.")
    return Path(path).read_bytes()


def request(path: str, port: int, *, score: int | None = None) -> bytes:
    """The bytes of a GET, or of a POST that answers with `score`."""
    head = f"Host: 127.0.0.1:{port}\r\n"
    if score is None:
        return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
    # What it asks besides the pain was asked for once already.
    body = f"step=1&nrs.now={score}&asked=nrs.average_7_days&asked=nrs.worst_24_hours"
    head += "Content-Type: application/x-www-form-urlencoded\r\n"
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def ask(port: int, requests: list[bytes], status: bytes) -> Callable[[], None]:
    """One connection over which the requests go one after the other; each must be answered with `status`."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def work() -> None:
        nonlocal connection
        for one in requests:
            connection.sendall(one)
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = connection.recv(65536)
                if not part:
                    raise RuntimeError("the server hung up")
                answer += part
            head, _, body = answer.partition(b"\r\n\r\n")
            if status not in head.split(b"\r\n")[0]:
                raise RuntimeError(head.split(b"\r\n")[0].decode())
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
        connection.close()

    return work
