"""Rounds, medians and the table that is printed."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection

from clinic.dev.bootstrap import step

#: One measurement: does its work and returns how much of it was done in a second.
Arm = Callable[[], float]


@dataclass(frozen=True)
class Row:
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


def print_table(rows: list[Row], *, quick: bool) -> None:
    """The results as a Markdown table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')")
        version, fsync, commit = cursor.fetchone()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(
        f"\n{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{version.split(' on ')[0]}, fsync {fsync}, synchronous_commit {commit}")
    if quick:
        print("Quick: too few rounds to be quoted.")
    print("\n| what | ours | beside | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        beside, ratio = "", ""
        if row.bare is not None:
            beside = f"{figure(row.bare)}{row.unit} {row.bare_what}"
            ratio = f"{100 * row.ours / row.bare:.0f} %"
        print(f"| {row.what} | {figure(row.ours)}{row.unit} | {beside} | {ratio} | {row.goal} |")


def figure(value: float) -> str:
    """Three digits at most behind which nobody looks."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"
