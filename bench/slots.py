"""Finding a time, the day board and the week, among ten thousand to a million appointments in one database."""

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import cycle, islice

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.crowd import QUICK, SIZES, Crowd
from bench.table import Row
from clinic import roles
from clinic.dev.bootstrap import step
from clinic.models import User
from patients.models import Patient
from procedures.availability import find_slots

#: One look at something: what was seen, counted, so that nobody measures an empty page.
Look = Callable[[], int]
GROWS = "≤ 130 % of the smallest"


def measure(now: datetime, *, quick: bool) -> list[Row]:
    """Milliseconds a look, median and 95th percentile at each size beside the smallest, and queries."""
    sizes = QUICK if quick else SIZES
    crowd = Crowd.make(now)
    rows: list[Row] = []
    smallest: dict[str, float] = {}
    for number, sites in sizes.items():
        with step(f"Writing {number:,} appointments at {sites} sites"):
            crowd.grow(number, sites)
        last = number == max(sizes)
        for what, look, rounds, goal in looks(crowd, now, quick=quick):
            with step(f"Looking among {number:,}: {what}"):
                times, seen, queries = time_it(look, rounds)
            middle, late = statistics.median(times), statistics.quantiles(times, n=20)[-1]
            named = f"{what} among {number:,} appointments ({seen} seen, {queries} queries)"
            rows.append(
                Row(
                    f"{named}, p50",
                    middle,
                    smallest.get(what),
                    " ms",
                    "at the smallest",
                    goal if last else "",
                )
            )
            rows.append(Row(f"{named}, p95", late, unit=" ms"))
            smallest.setdefault(what, middle)
    return rows


def looks(crowd: Crowd, now: datetime, *, quick: bool) -> Iterator[tuple[str, Look, int, str]]:
    """What is looked at, how often, and what is wanted of the median at the largest size."""
    site = crowd.places[0].site
    patients = cycle(Patient.objects.filter(pk__in=crowd.patients[:200]))
    days = cycle(working_days(now.date(), 20))
    client = front_desk(crowd)

    def find() -> int:
        found = find_slots(
            crowd.kind,
            sites=[site],
            starts_from=now,
            starts_before=now + timedelta(days=30),
            now=now,
            patient=next(patients),
        )
        return len(found)

    def page(name: str) -> int:
        answer = client.get(f"/admin/procedures/appointment/{name}/?site={site.pk}&day={next(days)}")
        return int(answer.context_data["count"]) if answer.status_code == 200 else 0

    yield "free starts in 30 days", find, 60 if quick else 300, f"≤ 15 ms and {GROWS}"
    yield "the day board", lambda: page("board"), 20 if quick else 100, f"≤ 40 ms and {GROWS}"
    yield "the week", lambda: page("week"), 20 if quick else 100, GROWS


def working_days(first: date, number: int) -> list[date]:
    """The `number` weekdays after `first`."""
    after = (first + timedelta(days=days) for days in range(1, 2 * number + 7))
    return list(islice((day for day in after if day.weekday() < 5), number))


def front_desk(crowd: Crowd) -> Client:
    """Somebody at the front desk of the first site, signed in; what is logged of each request goes nowhere."""
    logging.getLogger("django_structlog").setLevel(logging.WARNING)
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    roles.grant_all()
    user, _ = User.objects.get_or_create(email="desk@example.org", is_staff=True)
    user.groups.add(Group.objects.get(name=roles.FRONT_DESK))
    user.sites.add(crowd.places[0].site)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    return client


def time_it(look: Look, rounds: int) -> tuple[list[float], int, int]:
    """Milliseconds of each look; how much the last one saw, and how many queries one needs."""
    for _ in range(10):  # warms the caches
        look()
    with CaptureQueriesContext(connection) as captured:
        seen = look()
    queries = len(captured)  # now: the next request forgets them
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        seen = look()
        times.append((time.perf_counter() - began) * 1000)
        if not seen:
            raise SystemExit("Nothing was seen; the measurement is none.")
    return times, seen, queries
