"""Client processes: each with a Python and a connection of its own, all starting at the same moment."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_start: Any = None


def begin(barrier: Any) -> None:
    """What every client process does first."""
    global _start
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import django

    django.setup()
    _start = barrier


def _work(task: tuple[Callable[..., Callable[[], None]], tuple[Any, ...]]) -> tuple[float, float]:
    """Prepare, wait for the others, do it; when it began and ended, on the clock that all processes share."""
    ready = task[0](*task[1])
    _start.wait(60)
    began = time.monotonic()
    ready()
    return began, time.monotonic()


@contextmanager
def clients(number: int) -> Iterator[Callable[..., float]]:
    """A function that runs one task in each of `number` processes at once, and returns how long they took (seconds).

    A task is a module's function and its arguments; it prepares, and returns what is to be timed.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(number, begin, (context.Barrier(number),)) as pool:

        def run(work: Callable[..., Callable[[], None]], arguments: list[tuple[Any, ...]]) -> float:
            # The barrier keeps every process at its one task.
            times = pool.map_async(_work, [(work, argument) for argument in arguments], chunksize=1).get(300)
            return max(end for _, end in times) - min(start for start, _ in times)

        yield run
