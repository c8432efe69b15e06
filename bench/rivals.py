"""Races: fifty connections want the same resources at the same moment; one gets them, the others are told."""

import multiprocessing
import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain

from django.db import connections

from bench import clients
from bench.clinic import Clinic
from bench.table import Row
from clinic.dev.bootstrap import step
from patients.models import Patient
from procedures.models import Appointment
from procedures.services import book

RIVALS = 50
#: So many processes share the rivals: a connection each, and threads of one Python would wait for each other.
PROCESSES = 5
#: How a race must end.
FAIR = Counter({"won": 1, "taken": RIVALS - 1})

#: When an attempt began and ended, on the clock that all processes share, and how: "won", a code, or a fault's name.
Attempt = tuple[float, float, str]


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """1,000 races, or as many as BENCH_RACES says. A race lasts from the first call to the last answer."""
    number = int(os.environ.get("BENCH_RACES", "20" if quick else "1000"))
    starts = [starts_at for starts_at, _ in clinic.slots(0, number)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(RIVALS)
    seats = [
        clinic.patients[first : first + RIVALS // PROCESSES]
        for first in range(0, RIVALS, RIVALS // PROCESSES)
    ]
    with (
        step(f"{number:,} races of {RIVALS}"),
        context.Pool(PROCESSES, clients.begin, (barrier,)) as pool,
    ):
        tasks = [(clinic, patients, starts) for patients in seats]
        courses = list(chain.from_iterable(pool.starmap_async(run, tasks, chunksize=1).get(3600)))
    races = list(zip(*courses, strict=True))
    endings = [Counter(how for _, _, how in race) for race in races]
    fair = sum(ending == FAIR for ending in endings)
    others = sum((ending - FAIR for ending in endings), Counter())
    booked = Appointment.objects.filter(starts_at__in=starts).count()
    times = sorted(
        1000 * (max(end for _, end, _ in race) - min(begin for begin, _, _ in race)) for race in races
    )
    what = f"races of {RIVALS} connections for one slot"
    wrong = "".join(f", {count} × {how}" for how, count in others.items())
    return [
        Row(
            f"{what}: one winner, {RIVALS - 1} told that it is taken{wrong}; {booked:,} appointments after it",
            fair,
            number,
            " races",
            "run",
            "100 %",
        ),
        Row(f"{what}, p50", statistics.median(times), unit=" ms"),
        Row(f"{what}, p95", statistics.quantiles(times, n=20)[-1], unit=" ms"),
    ]


def run(clinic: Clinic, patients: list[Patient], starts: list[datetime]) -> list[list[Attempt]]:
    """One thread a patient, each of which takes part in every race."""
    with ThreadPoolExecutor(len(patients)) as pool:
        return list(pool.map(lambda patient: compete(clinic, patient, starts), patients))


def compete(clinic: Clinic, patient: Patient, starts: list[datetime]) -> list[Attempt]:
    attempts = []
    try:
        for starts_at in starts:
            appointment = clinic.appointment(starts_at, patient)
            connections["default"].ensure_connection()
            clients.together()
            began = time.monotonic()
            try:
                book(
                    appointment, resources=clinic.resources[0], by=clinic.clerk, now=clinic.now, quietly=True
                )
                how = "won"
            except Exception as exc:
                how = str(getattr(exc, "code", None) or type(exc).__name__)
            attempts.append((began, time.monotonic(), how))
    finally:
        connections.close_all()
    return attempts
