"""How long a tick takes that finds nothing to do, and one that finds a whole outage's work."""

import time

from django.utils import timezone

from bench.clinic import Clinic
from bench.table import Row, interleave
from clinic.dev.bootstrap import step
from outcomes import services
from outcomes.models import CheckIn


def measure(clinic: Clinic, *, quick: bool) -> list[Row]:
    """Milliseconds with nothing due, then seconds with very much; what was left to be done is done first."""
    due = 2_000 if quick else 100_000
    now = timezone.now()
    while any(services.tick(now=now).values()):
        pass

    def tick() -> float:
        began = time.perf_counter()
        services.tick(now=now)
        return (time.perf_counter() - began) * 1000

    (milliseconds,) = interleave("Ticking with nothing due", 5 if quick else 21, tick)
    planned = CheckIn.objects.filter(status="planned").count()
    fell_due = clinic.fall_due(due)
    if fell_due != due:
        raise SystemExit(f"{fell_due} check-ins fell due instead of {due}.")
    with step(f"Ticking with {due:,} due"):
        began = time.perf_counter()
        done = services.tick(now=now)
        seconds = time.perf_counter() - began
    if done["check_ins_invited"] != due:
        raise SystemExit(f"The tick did {done} instead of {due}.")
    return [
        Row(f"a tick with nothing due among {planned:,} planned check-ins", milliseconds, unit=" ms"),
        Row(f"a tick with {due:,} due among {planned:,} planned check-ins, once", seconds, unit=" s"),
        Row("check-ins of such a tick put into the outbox", due / seconds),
    ]
