"""When resources work. Weekly hours on a site's wall clock become spans of UTC instants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from clinic.models import WorkingHours
from clinic.wall_clock import on_wall

#: The last minute of the day: hours that close then run on into the next day's.
MIDNIGHT = time(23, 59)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Hours:
    """The weekly hours of some resources at one site, ready to be asked about a day."""

    by_resource: dict[int, list[WorkingHours]]
    zone: ZoneInfo

    @classmethod
    def of(cls, rows: Iterable[WorkingHours], *, zone: ZoneInfo) -> Hours:
        by_resource: dict[int, list[WorkingHours]] = {}
        for row in rows:
            by_resource.setdefault(row.resource_id, []).append(row)
        return cls(by_resource, zone)

    def spans(self, resource_id: int, starts_at: datetime, ends_at: datetime) -> list[Span]:
        """The resource's working spans, in UTC and in order, on the days that [starts_at, ends_at) touches."""
        first, last = starts_at.astimezone(self.zone).date(), ends_at.astimezone(self.zone).date()
        days = [first + timedelta(days=count) for count in range((last - first).days + 1)]
        rows = self.by_resource.get(resource_id, [])
        return sorted(
            (on_wall(day, row.opens, self.zone), self.closing(day, row))
            for day in days
            for row in rows
            if in_force(row, day)
        )

    def closing(self, day: date, row: WorkingHours) -> datetime:
        """The instant at which `row` closes on `day`."""
        if row.closes >= MIDNIGHT:
            return on_wall(day + timedelta(days=1), time(0), self.zone)
        return on_wall(day, row.closes, self.zone)


def in_force(row: WorkingHours, day: date) -> bool:
    """Whether `row` says something about `day`."""
    return (
        row.weekday == day.weekday()
        and (row.valid_from_on is None or row.valid_from_on <= day)
        and (row.valid_until_on is None or day <= row.valid_until_on)
    )


def covered(starts_at: datetime, ends_at: datetime, spans: Sequence[Span]) -> bool:
    """Whether `spans`, in order of their starts, leave no gap in [starts_at, ends_at)."""
    reached = starts_at
    for start, end in spans:
        if start > reached:
            break
        reached = max(reached, end)
    return reached >= ends_at
