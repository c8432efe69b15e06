"""Client processes: each with a Python and a connection of its own, all starting at the same moment."""

import ctypes
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_start: Any = None


def begin(barrier: Any) -> None:
    """What every client process does first."""
    global _start
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # dies with its parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import django

    django.setup()
    _start = barrier


def together() -> None:
    """Wait until all are here that the barrier is for."""
    _start.wait(60)


def _work(task: tuple[Callable[..., Callable[[], None]], tuple[Any, ...]]) -> tuple[float, float]:
    """Prepare, wait for the others, do it; when it began and ended, on the clock that all processes share."""
    work, arguments = task
    ready = work(*arguments)
    together()
    began = time.monotonic()
    ready()
    return began, time.monotonic()


@contextmanager
def clients(number: int) -> Iterator[Callable[..., float]]:
    """A function that runs one task in each of `number` processes at once, and returns how long they took (seconds).

    A task is a module's function and its arguments; it prepares, and returns what is to be timed.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(number)
    with context.Pool(number, begin, (barrier,)) as pool:

        def run(work: Callable[..., Callable[[], None]], arguments: list[tuple[Any, ...]]) -> float:
            # The barrier keeps every process at its one task.
            times = pool.map_async(_work, [(work, argument) for argument in arguments], chunksize=1).get(300)
            return max(end for _, end in times) - min(start for start, _ in times)

        yield run


def ask(port: int, requests: list[bytes], status: bytes) -> Callable[[], None]:
    """One connection over which the requests go one after the other; each must be answered with `status`."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def work() -> None:
        nonlocal connection
        for request in requests:
            connection.sendall(request)
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
