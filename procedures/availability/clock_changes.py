"""How the clock on a site's wall goes, in stretches between its changes, and the times on its grid. Pure.

Seconds throughout: of instants since 1970 in UTC, of wall times since 1970 on the wall.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

#: Requirements reach at most so far beyond the appointment's start for clock changes to be known in their hours.
REACH = timedelta(days=3)


@dataclass(frozen=True)
class OffsetPeriod:
    """A stretch of wall time in which a clock keeps one distance from UTC. Seconds; walls count from 1970 on the wall.

    Of a wall time shown twice the stretch has the first; `shown_until` is where those end that are shown at all, and
    from there to `wall_until` the clock jumps.
    """

    wall_from: int
    wall_until: int
    shown_until: int
    ahead: int


# Wall times, which have no zone: where their count begins, and before and after all that anybody asks for.
EPOCH, EVER, NEVER = datetime(1970, 1, 1), datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001


def clock(zone: ZoneInfo, first: datetime, last: datetime) -> list[OffsetPeriod]:
    """How the clock in `zone` goes from `first` to `last` and REACH beyond, without gaps, as `timezones.on_wall`.

    Taken from Python's time zones and not from PostgreSQL's, which may be of another release and, of a wall time that
    occurs twice, mean the second.
    """
    day = (first.astimezone(zone) - REACH).date()
    end = (last.astimezone(zone) + REACH).date()
    changes: list[tuple[datetime, timedelta]] = []
    wall = datetime.combine(day, time(0))
    ahead = distance(wall, zone)
    begin = (EVER, ahead)
    while wall.date() < end:
        following = wall + timedelta(days=1)
        after = distance(following, zone)
        if after != ahead:
            low, high = 0, 24 * 60  # the distance changes in the minute that ends at `high`
            while high - low > 1:
                middle = (low + high) // 2
                same = distance(wall + timedelta(minutes=middle), zone) == ahead
                low, high = (middle, high) if same else (low, middle)
            changes.append((wall + timedelta(minutes=high), after))
        wall, ahead = following, after
    starts = [begin, *changes]
    ends = [*changes, (NEVER, ahead)]
    return [
        OffsetPeriod(
            seconds(since),
            seconds(until),
            seconds(until - max(then - own, timedelta(0))),
            own.days * 86400 + own.seconds,
        )
        for (since, own), (until, then) in zip(starts, ends, strict=True)
    ]


def distance(wall: datetime, zone: ZoneInfo) -> timedelta:
    """How far the clock in `zone` is ahead of UTC when it shows `wall`, for the first time if it does so twice."""
    return wall.replace(tzinfo=zone).utcoffset() or timedelta(0)


def seconds(wall: datetime) -> int:
    return (wall - EPOCH) // timedelta(seconds=1)


def on_grid(
    spans: Iterable[tuple[int, int]], stretches: Sequence[OffsetPeriod], minutes: int
) -> Iterator[int]:
    """The instants, as seconds since 1970 in UTC, at which the wall shows a time on the grid within closed `spans`."""
    step = minutes * 60
    for low, high in spans:
        for stretch in stretches:
            since = max(low + stretch.ahead, stretch.wall_from)
            until = min(high + stretch.ahead + 1, stretch.shown_until)
            for wall in range(-(-since // step) * step, until, step):
                yield wall - stretch.ahead
