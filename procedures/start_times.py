"""When an appointment may begin: on its site's grid, and not further ahead than anybody plans. Pure."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

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
