"""Attempts of several at the same moment, each on a connection of its own."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from procedures.services import booking, booking_checks


def race(monkeypatch: pytest.MonkeyPatch, attempts: Sequence[Callable[..., object]]) -> Counter[str]:
    """Run the attempts at once, each on its own connection, all past their first look before any may go on.

    Returns how they ended: "won", a refusal's code, or an exception's name.
    """
    barrier = threading.Barrier(len(attempts))
    look = booking_checks.choose_resources
    looked = threading.local()

    def look_and_wait(*args: object, **kwargs: object) -> object:
        try:
            return look(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            if not getattr(looked, "once", False):
                looked.once = True
                barrier.wait(timeout=60)

    monkeypatch.setattr(booking, "choose_resources", look_and_wait)

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(ended, attempts))


def run_together(*attempts: Callable[..., object]) -> Counter[str]:
    """Run the attempts at once, each on its own connection; how they ended, as `race` says it."""
    barrier = threading.Barrier(len(attempts))

    def run(attempt: Callable[..., object]) -> str:
        barrier.wait(timeout=60)
        return ended(attempt)

    with ThreadPoolExecutor(len(attempts)) as pool:
        return Counter(pool.map(run, attempts))


def ended(attempt: Callable[..., object]) -> str:
    """Run it and say how it ended: "won", a refusal's code, or an exception's name."""
    try:
        attempt()
    except Exception as exc:
        return str(getattr(exc, "code", None) or type(exc).__name__)
    finally:
        connections.close_all()
    return "won"
