"""Rounds, medians and the table that is printed."""

import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from django.db import connection
from django.test.utils import CaptureQueriesContext

from clinic.dev.bootstrap import step

#: One measurement: does its work and returns how much of it was done in a second.
Arm = Callable[[], float]


class Row(NamedTuple):
    """One line of the table. `bare` is what stands beside it, None when nothing does; `unit` is of both."""

    what: str
    ours: float
    bare: float | None = None
    unit: str = "/s"
    bare_what: str = ""
    goal: str = ""


def interleave(title: str, rounds: int, *arms: Arm) -> list[float]:
    """The median of each arm over `rounds`; every round runs all arms in turn, so that noise meets them all alike.

    One round before does not count: connections, plans and caches are made then.
    """
    results: list[list[float]] = [[] for _ in arms]
    done = 0
    with step(title, lambda: f"round {done} of {rounds}"):
        for arm in arms:
            arm()
        for turn in range(rounds):
            # Who goes first changes, for what one arm leaves behind would otherwise always meet the same next one.
            order = range(len(arms)) if turn % 2 else range(len(arms) - 1, -1, -1)
            for number in order:
                results[number].append(arms[number]())
            done += 1
    return [statistics.median(values) for values in results]


def rate(count: int, work: Callable[[], object]) -> float:
    """How many of `count` pieces of `work` were done in a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def percentiles(
    what: str,
    work: Callable[[], object],
    rounds: int,
    bare: float | None = None,
    *,
    before: Callable[[], object] = lambda: None,
) -> tuple[Row, Row]:
    """The p50 and p95 of `work` in milliseconds, over `rounds` after those that warm up, and its queries.

    `bare`: the p50 of the same at the smallest size. `work` that returns nothing has seen nothing, and is none.
    """
    taken = []
    with step(f"Looking: {what}"):
        before()
        with CaptureQueriesContext(connection) as captured:  # slows what it counts: this round does not count
            work()
        queries = len(captured)  # now: the next request forgets them
        for _ in range(rounds):
            before()
            began = time.perf_counter()
            seen = work()
            taken.append((time.perf_counter() - began) * 1000)
            if not seen:
                raise SystemExit(f"Nothing was seen of {what}; the measurement is none.")
    late = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    middle = statistics.median(taken)
    return (
        Row(f"{what}, {queries} queries, p50", middle, bare, " ms", "at the smallest"),
        Row(f"{what}, p95", late, unit=" ms"),
    )


def print_table(rows: list[Row], *, quick: bool) -> None:
    """The results as a Markdown table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        version, fsync, commit = cursor.fetchone()
    print(f"\n{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{version.split(' on ')[0]}, fsync {fsync}, synchronous_commit {commit}")
    print("Quick: too few rounds to be quoted." if quick else "")
    print("| what | ours | beside | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        beside = f"{figure(row.bare)}{row.unit} {row.bare_what}" if row.bare else ""
        ratio = f"{100 * row.ours / row.bare:.0f} %" if row.bare else ""
        print(f"| {row.what} | {figure(row.ours)}{row.unit} | {beside} | {ratio} | {row.goal} |")


def figure(value: float) -> str:
    """Three digits at most behind which nobody looks."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"
