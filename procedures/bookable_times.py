"""When an appointment may begin, and when resources work: hours on a site's wall clock as spans of UTC. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from clinic.timezones import on_wall

#: How far ahead appointments are booked.
YEARS_AHEAD = 2


def on_grid(starts_at: datetime, zone: ZoneInfo, minutes: int) -> bool:
    """Whether the wall clock in `zone` shows a full number of `minutes` since the hour, a divisor of 60, then."""
    wall = starts_at.astimezone(zone)
    return wall.minute % minutes == 0 and wall.second == wall.microsecond == 0


def next_on_grid(starts_at: datetime, zone: ZoneInfo, minutes: int) -> datetime:
    """The first instant on the grid at or after `starts_at`, in UTC."""
    wall = starts_at.astimezone(zone)
    past = timedelta(minutes=wall.minute % minutes, seconds=wall.second, microseconds=wall.microsecond)
    return starts_at.astimezone(UTC) + (timedelta(minutes=minutes) - past if past else timedelta(0))


def last_day(now: datetime, zone: ZoneInfo) -> date:
    """The last day on which an appointment may begin, on the wall clock in `zone`: 24 months from today's."""
    today = now.astimezone(zone).date()
    try:
        return today.replace(year=today.year + YEARS_AHEAD)
    except ValueError:  # 29 February
        return today.replace(year=today.year + YEARS_AHEAD, day=28)


#: The last minute of the day: hours that close then run on into the next day's.
MIDNIGHT = time(23, 59)

Span = tuple[datetime, datetime]


def days_touched(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> list[date]:
    """The days on the wall clock in `zone` that [starts_at, ends_at) touches, and the day on which it ends."""
    first, last = starts_at.astimezone(zone).date(), ends_at.astimezone(zone).date()
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]


def open_spans(hours: Iterable[tuple[date, time, time]], zone: ZoneInfo) -> list[Span]:
    """The spans in UTC, in order, of hours that open and close at these wall times of these days."""
    return sorted((on_wall(day, opens, zone), closing(day, closes, zone)) for day, opens, closes in hours)


def closing(day: date, closes: time, zone: ZoneInfo) -> datetime:
    """The instant at which hours that close at the wall time `closes` end on `day`."""
    if closes >= MIDNIGHT:
        return on_wall(day + timedelta(days=1), time(0), zone)
    return on_wall(day, closes, zone)


def covered(starts_at: datetime, ends_at: datetime, spans: Sequence[Span]) -> bool:
    """Whether `spans`, in order of their starts, leave no gap in [starts_at, ends_at)."""
    reached = starts_at
    for start, end in spans:
        if start > reached:
            break
        reached = max(reached, end)
    return reached >= ends_at
