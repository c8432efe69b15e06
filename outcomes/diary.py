"""The diary of a diagnostic block: which entries are late, and how much of the anaesthetic's time brought relief.

Pure: whole minutes after the procedure in, plain values out. The time that an anaesthetic is expected to work ends
between `window_from` and `window_until` of the relief profile; both ends are reported, because the agents differ. An
entry speaks for the time since the planned hour before it. Time without an entry is not known: no relief was seen in
it, so it lowers the share, and its minutes are told beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outcomes.relief import meets

#: So many planned hours in a row in relief are "consistent" relief, an operational reading of the word (a choice;
#: unconfirmed; the setting DIARY_HOURS_IN_A_ROW).
IN_A_ROW = 2


class Ended(StrEnum):
    """How the effect of a block ended: before its anaesthetic is expected to, with it, or after it."""

    BEFORE = "before"
    WITH = "with"
    AFTER = "after"


@dataclass(frozen=True)
class Entry:
    """What was written for one planned hour: the pain then, 0–10, and whether pain medicine had been taken since the
    entry before; None when that was not said. `late`: written down well after its hour."""

    score: int
    took_medicine: bool | None = None
    late: bool = False


@dataclass(frozen=True)
class Share:
    """Of the first `of_minutes` after the procedure: `relief_minutes` with relief at the threshold, and
    `unknown_minutes` without an entry."""

    of_minutes: int
    relief_minutes: int
    unknown_minutes: int

    @property
    def percent(self) -> int:
        """The share in relief, cut so that 79.9 never shows as 80."""
        return 100 * self.relief_minutes // self.of_minutes


@dataclass(frozen=True)
class Result:
    """What a diary shows. `shares` of the shortest and of the longest time that the anaesthetic is expected to work.

    `consistent`: whether so many planned hours in a row as were asked for, `hours_in_a_row`, were in relief within the
    longest time; None while hours without an entry leave it open. `ended`: how that relief ended against the time that
    the anaesthetic is expected to work; None while it was not seen to end. `positive`: consistent relief that ended
    with the anaesthetic; None when that is not known. Silence makes no block negative.

    `medicine_by`: the first hour, in minutes, by which pain medicine had been taken; None when none was. From there on
    the relief may be the medicine's. `entries` and `late` are counts.
    """

    shares: tuple[Share, ...]
    hours_in_a_row: int
    consistent: bool | None
    ended: Ended | None
    medicine_by: int | None
    entries: int
    late: int

    @property
    def positive(self) -> bool | None:
        """Whether the block was positive; None when that is not known."""
        if not self.consistent:
            return self.consistent
        return None if self.ended is None else self.ended == Ended.WITH


def late_after(hours: Sequence[int], hour: int) -> float:
    """The minute after which an entry for `hour` is late: half the gap to the next planned hour; for the last, half the
    gap before it. `hours`: the planned ones, rising, `hour` among them (a choice, unconfirmed)."""
    at = hours.index(hour)
    if len(hours) == 1:
        return hour + hour / 2
    gap = hours[at + 1] - hour if at + 1 < len(hours) else hour - hours[at - 1]
    return hour + gap / 2


def result(
    entries: Mapping[int, Entry],
    *,
    hours: Sequence[int],
    baseline: int | None,
    percent: int,
    window_from: int,
    window_until: int,
    in_a_row: int = IN_A_ROW,
) -> Result | None:
    """What the entries show; None without a baseline above 0 or without an expected time.

    `entries` by their planned hour in minutes; `hours`: all planned ones, rising. `percent`: the relief that counts.
    `in_a_row`: how many planned hours in a row in relief are consistent relief, at least 1.
    """
    if not baseline or window_until <= 0:
        return None
    relief = {hour: meets(baseline, entry.score, percent) for hour, entry in entries.items()}
    within = [hour for hour in hours if hour <= window_until]
    run = first_run(relief, within, in_a_row)
    open_still = len(within) < in_a_row or any(
        all(relief.get(hour, True) for hour in within[at : at + in_a_row])
        for at in range(len(within) - in_a_row + 1)
    )
    ends = sorted({end for end in (window_from, window_until) if end > 0})
    return Result(
        shares=tuple(share(relief, hours, end) for end in ends),
        hours_in_a_row=in_a_row,
        consistent=True if run else None if open_still else False,
        ended=how_ended(relief, [hour for hour in hours if hour >= run[-1]], window_from, window_until)
        if run
        else None,
        medicine_by=min((hour for hour, entry in entries.items() if entry.took_medicine), default=None),
        entries=len(entries),
        late=sum(entry.late for entry in entries.values()),
    )


def first_run(relief: Mapping[int, bool], within: Sequence[int], in_a_row: int) -> Sequence[int]:
    """The first so many planned hours in a row that were all in relief; empty without such."""
    for at in range(len(within) - in_a_row + 1):
        run = within[at : at + in_a_row]
        if all(relief.get(hour, False) for hour in run):
            return run
    return ()


def how_ended(
    relief: Mapping[int, bool], hours: Sequence[int], window_from: int, window_until: int
) -> Ended | None:
    """How relief ended that was there at the first of `hours`; None while it was not seen to end.

    It ended between the last hour in relief and the first one out of it, which only must not lie wholly outside the
    expected time. Hours without an entry are passed over.
    """
    known = [hour for hour in hours if hour in relief]
    gone = next((hour for hour in known if not relief[hour]), None)
    last = [hour for hour in known if gone is None or hour < gone][-1]
    if last > window_until:
        return Ended.AFTER
    if gone is None:
        return None
    return Ended.BEFORE if gone < window_from else Ended.WITH


def share(relief: Mapping[int, bool], hours: Sequence[int], end: int) -> Share:
    """How much of the first `end` minutes was in relief. `relief` by planned hour, for those with an entry."""
    counted = {True: 0, False: 0, None: 0}
    before = 0
    for hour in hours:
        counted[relief.get(hour)] += max(0, min(hour, end) - before)
        before = max(before, min(hour, end))
    return Share(end, counted[True], counted[None] + end - before)
