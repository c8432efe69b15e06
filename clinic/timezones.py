"""Wall clocks and instants. Pure: no Django, no clock of its own.

A *wall time* is what the clock on a site's wall shows: a date and a time without a zone. An *instant* is an aware
UTC datetime. When clocks jump forward some wall times never occur; when they fall back some occur twice.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class NoSuchTime(ValueError):
    """The wall clock jumps over this time on that day."""


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of the naive wall time `wall` in `zone`; of two, the first.

    Raises NoSuchTime when the clock jumps over it.
    """
    if wall.tzinfo is not None:
        raise TypeError("a wall time has no zone of its own")
    result = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if result.astimezone(zone).replace(tzinfo=None) != wall:
        raise NoSuchTime(f"{wall:%Y-%m-%d %H:%M} does not exist in {zone.key}: the clocks jump over it.")
    return result


def occurs_twice(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether the clock in `zone` shows the naive wall time `wall` twice, once before and once after falling back."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second


def on_wall(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the clock in `zone` reaches `at` on `day`.

    Never refuses: what is planned for a time that the clock jumps over happens when it has jumped, as long after the
    last existing minute as was meant (02:30 becomes 03:30). Of a time that occurs twice it takes the first.
    """
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def day_span(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The half-open span [start, end) of UTC instants that make up `day` in `zone`: 23, 24 or 25 hours long."""
    return on_wall(day, time(0), zone), on_wall(day + timedelta(days=1), time(0), zone)
