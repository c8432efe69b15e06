"""How long a tick takes that finds nothing to do."""

import time

from django.utils import timezone

from bench.table import Row, interleave
from outcomes import services
from outcomes.models import CheckIn


def measure(*, quick: bool) -> list[Row]:
    """Milliseconds; what the other measurements left to be done, is done first."""
    now = timezone.now()
    while any(services.tick(now=now).values()):
        pass

    def tick() -> float:
        began = time.perf_counter()
        services.tick(now=now)
        return (time.perf_counter() - began) * 1000

    (milliseconds,) = interleave("Ticking with nothing due", 5 if quick else 21, tick)
    planned = CheckIn.objects.filter(status="planned").count()
    return [Row(f"a tick with nothing due among {planned:,} planned check-ins", milliseconds, unit=" ms")]
