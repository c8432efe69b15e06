"""Which score counts as the one before a procedure. Pure: plain values in, plain values out.

The score of the day of the procedure, taken before it, wins; of several the latest. Else the latest of the days before,
if it is not too old. Otherwise there is none: a score from after the procedure is never taken for one from before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

#: A score so many days older than the procedure, counted on the calendar, still stands for it (a choice; unconfirmed).
OLDEST_DAYS = 30
#: The pain now, 0–10, against which relief is judged.
PAIN = "nrs.now"


class Source(StrEnum):
    """From when a baseline is, against the day of the procedure on the site's wall clock."""

    DAY_OF = "day_of"
    EARLIER = "earlier"


@dataclass(frozen=True)
class Item:
    """An item that is asked before a procedure: the version of its instrument, and its lowest and highest value."""

    version: str
    least: int
    most: int


#: What can be noted before a procedure, by "instrument.item". The instruments live above, in `outcomes`, whose tests
#: check that this agrees with them.
ITEMS: Mapping[str, Item] = {
    PAIN: Item("1", 0, 10),
    "peg.pain": Item("1", 0, 10),
    "peg.enjoyment": Item("1", 0, 10),
    "peg.activity": Item("1", 0, 10),
}


@dataclass(frozen=True)
class RecordedScore:
    """One score of one item, and when the patient named it."""

    taken_at: datetime
    value: int


@dataclass(frozen=True)
class BaselineScore:
    """The score that stands for "before the procedure", when it was taken, and from when that is."""

    value: int
    taken_at: datetime
    source: Source


def days_before(taken_at: datetime, performed_at: datetime, *, zone: ZoneInfo) -> int:
    """How many calendar days on the clock in `zone` lie between a score and the procedure; 0 on the day itself."""
    return (performed_at.astimezone(zone).date() - taken_at.astimezone(zone).date()).days


def source_of(taken_at: datetime, performed_at: datetime, *, zone: ZoneInfo) -> Source:
    """From when a score is that was taken before the procedure."""
    same_day = days_before(taken_at, performed_at, zone=zone) == 0
    return Source.DAY_OF if same_day else Source.EARLIER


def resolve(
    noted: Iterable[RecordedScore], *, performed_at: datetime, zone: ZoneInfo
) -> BaselineScore | None:
    """The score that counts, of one item's; None when there is none that may. The order of `noted` does not matter."""
    usable = [
        recorded_score
        for recorded_score in noted
        if recorded_score.taken_at <= performed_at
        and days_before(recorded_score.taken_at, performed_at, zone=zone) <= OLDEST_DAYS
    ]
    if not usable:
        return None
    latest = max(usable, key=lambda recorded_score: (recorded_score.taken_at, recorded_score.value))
    return BaselineScore(latest.value, latest.taken_at, source_of(latest.taken_at, performed_at, zone=zone))
