"""When a follow-up's check-ins fall due. Pure: days and minutes in, UTC instants out.

Days are calendar days on the site's wall clock, counted from the day of the procedure (day 0). A check-in opens on
the morning of its day, falls due at the hour at which the site sends, and closes after half the gap to the next one, at
most MOST_TOLERANCE later. Half of a short gap would be too short for whoever answers a day or two late: a check-in
waits LEAST_TOLERANCE at least, or until the next one is due. So no two that were asked are ever open at once.

The check-ins that count from the minute of the procedure are its diary. They are asked together, by one link; an entry
opens at its minute, and the whole diary stays open until DIARY_STAYS_OPEN after the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from clinic.timezones import on_wall

DAY = 24 * 60
#: The longest time that a check-in waits for its answer (a choice, unconfirmed).
MOST_TOLERANCE = timedelta(days=14)
#: How long it waits at least, unless the next one is due before (a choice, unconfirmed).
LEAST_TOLERANCE = timedelta(days=3)
#: How long after its last entry a diary can still be filled in; what comes late is marked so (a choice, unconfirmed).
DIARY_STAYS_OPEN = timedelta(hours=24)
#: When to remind, remind again and telephone: so much of the time that a check-in is open has gone by (a choice,
#: unconfirmed).
RUNGS = (0.25, 0.5, 0.75)
#: A first bad score is asked about once more so many days after it: up to CONFIRM_SOON_UNTIL the first, then the second
#: (choices, unconfirmed).
CONFIRM_AFTER_DAYS = (3, 7)
CONFIRM_SOON_UNTIL = 90
#: When to remind of such a question, and when to telephone. Whoever may be losing relief is not left waiting as long as
#: in the plan: a week of silence is as long as the question itself had waited (a choice, unconfirmed).
CONFIRMATION_RUNGS = (timedelta(days=1), timedelta(days=3))


@dataclass(frozen=True, order=True)
class Planned:
    """One check-in: how many minutes after the procedure it is meant for, and its three instants in UTC."""

    offset_minutes: int
    opens_at: datetime
    due_at: datetime
    closes_at: datetime


def plan(
    performed_at: datetime,
    *,
    days: Sequence[int],
    minutes: Sequence[int],
    every_days: int | None,
    at: time,
    zone: ZoneInfo,
) -> list[Planned]:
    """The check-ins of one follow-up in order; of those that repeat every `every_days`, the first.

    `days` count from the day of the procedure, `minutes` from its minute; an entry of `minutes` that is a whole
    number of the `days` is the same question and asked once. `at` is the wall time at which the site sends.
    """
    offsets = sorted({*minutes, *(day * DAY for day in days)})
    if every_days and offsets:
        offsets.append(offsets[-1] + every_days * DAY)
    by_day = {day * DAY for day in days}
    if every_days and offsets:
        by_day.add(offsets[-1])
    gaps = [later - earlier for earlier, later in pairwise(offsets)]
    # Nothing follows the last one: it waits as long as any of its plan does.
    gaps.append(every_days * DAY if every_days else max(gaps, default=2 * DAY * MOST_TOLERANCE.days))
    planned = [
        plan_check_in(performed_at, offset, gap_minutes=gap, by_day=offset in by_day, at=at, zone=zone)
        for offset, gap in zip(offsets, gaps, strict=True)
    ]
    diary = [entry.due_at for entry in planned if entry.offset_minutes not in by_day]
    return [
        entry
        if entry.offset_minutes in by_day
        else Planned(entry.offset_minutes, entry.opens_at, entry.due_at, diary[-1] + DIARY_STAYS_OPEN)
        for entry in planned
    ]


def diary(*, days: Sequence[int], minutes: Sequence[int]) -> set[int]:
    """Which of the offsets in minutes make up the diary: those that are not one of the `days` as well."""
    return {*minutes} - {day * DAY for day in days}


def following(
    performed_at: datetime, *, last_offset: int, every_days: int, at: time, zone: ZoneInfo
) -> Planned:
    """The check-in that comes `every_days` after the one at `last_offset` minutes."""
    step = every_days * DAY
    return plan_check_in(performed_at, last_offset + step, gap_minutes=step, by_day=True, at=at, zone=zone)


def plan_check_in(
    performed_at: datetime, offset: int, *, gap_minutes: int, by_day: bool, at: time, zone: ZoneInfo
) -> Planned:
    """The instants of one check-in, `offset` minutes after the procedure, with `gap_minutes` until the next."""
    if by_day:
        day = performed_at.astimezone(zone).date() + timedelta(days=offset // DAY)
        opens_at, due_at = on_wall(day, time(0), zone), on_wall(day, at, zone)
        until_next = on_wall(day + timedelta(days=gap_minutes // DAY), at, zone) - due_at
    else:
        opens_at = due_at = performed_at + timedelta(minutes=offset)
        until_next = timedelta(minutes=gap_minutes)
    least = min(until_next, LEAST_TOLERANCE)
    tolerance = min(max(timedelta(minutes=gap_minutes) / 2, least), MOST_TOLERANCE)
    return Planned(offset, opens_at, due_at, due_at + tolerance)


def confirmation(performed_at: datetime, answered_at: datetime, *, at: time, zone: ZoneInfo) -> Planned:
    """The check-in that asks once more about the first bad score, which was given at `answered_at`."""
    day = days_after(performed_at, answered_at, zone)
    due_on = day + CONFIRM_AFTER_DAYS[day > CONFIRM_SOON_UNTIL]
    open_for = 2 * MOST_TOLERANCE // timedelta(minutes=1)
    return plan_check_in(performed_at, due_on * DAY, gap_minutes=open_for, by_day=True, at=at, zone=zone)


def confirms(due_at: datetime, answered_at: datetime, planned: Planned, zone: ZoneInfo) -> bool:
    """Whether a check-in of the plan that is due at `due_at` asks about the bad score of `answered_at` soon enough, so
    that the confirmation `one` is not needed. On the very day it does not: two scores of one day confirm nothing."""
    return days_after(answered_at, due_at, zone) > 0 and days_after(due_at, planned.due_at, zone) >= 0


def days_after(earlier: datetime, later: datetime, zone: ZoneInfo) -> int:
    """How many days `later` lies after `earlier` on the calendar in `zone`."""
    return (later.astimezone(zone).date() - earlier.astimezone(zone).date()).days


def reminder_schedule(
    asked_at: datetime, closes_at: datetime, *, confirmation: bool = False
) -> tuple[datetime, ...]:
    """The instants at which to remind for the first time, to remind again, and to telephone; none after the close.

    `confirmation`: of a question that confirms a bad score, of which the patient is reminded once.
    """
    if confirmation:
        last = asked_at + (closes_at - asked_at) * RUNGS[-1]
        return tuple(min(asked_at + wait, last) for wait in CONFIRMATION_RUNGS)
    return tuple(asked_at + (closes_at - asked_at) * part for part in RUNGS)


def quiet_until(moment: datetime, *, quiet_from: time, quiet_until: time, zone: ZoneInfo) -> datetime | None:
    """The end of the quiet hours in which `plan_check_in` lies, in UTC; None outside them.

    The hours are on the clock in `zone` and may run over midnight; equal ones mean that there are none.
    """
    wall = moment.astimezone(zone)
    clock = wall.time().replace(tzinfo=None)
    if quiet_from == quiet_until:
        return None
    if quiet_from < quiet_until:
        quiet, ends_on = quiet_from <= clock < quiet_until, wall.date()
    else:
        quiet = clock >= quiet_from or clock < quiet_until
        ends_on = wall.date() + timedelta(days=clock >= quiet_from)
    return on_wall(ends_on, quiet_until, zone) if quiet else None
