"""The diary of a diagnostic block: which entries are late, and how much of the anaesthetic's time brought relief.

Pure: whole minutes after the procedure in, plain values out. The time that an anaesthetic is expected to work ends
between `window_from` and `window_until` of the relief profile; both ends are reported, because the agents differ. An
entry speaks for the time since the planned hour before it. Time without an entry is not known: no relief was seen in
it, so it lowers the share, and its minutes are told beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from outcomes.relief import meets


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

    `two_in_a_row`: whether two planned hours in a row within the longest time were in relief, an operational reading of
    "consistent" (a choice, unconfirmed). `medicine_by`: the first hour, in minutes, by which pain medicine had been
    taken; None when none was. From there on the relief may be the medicine's. `entries` and `late` are counts.
    """

    shares: tuple[Share, ...]
    two_in_a_row: bool
    medicine_by: int | None
    entries: int
    late: int


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
) -> Result | None:
    """What the entries show; None without a baseline above 0 or without an expected time.

    `entries` by their planned hour in minutes; `hours`: all planned ones, rising. `percent`: the relief that counts.
    """
    if not baseline or window_until <= 0:
        return None
    relief = {hour: meets(baseline, entry.score, percent) for hour, entry in entries.items()}
    within = [hour for hour in hours if hour <= window_until]
    ends = sorted({end for end in (window_from, window_until) if end > 0})
    return Result(
        shares=tuple(share(relief, hours, end) for end in ends),
        two_in_a_row=any(
            relief.get(one, False) and relief.get(other, False) for one, other in pairwise(within)
        ),
        medicine_by=min((hour for hour, entry in entries.items() if entry.took_medicine), default=None),
        entries=len(entries),
        late=sum(entry.late for entry in entries.values()),
    )


def share(relief: Mapping[int, bool], hours: Sequence[int], end: int) -> Share:
    """How much of the first `end` minutes was in relief. `relief` by planned hour, for those with an entry."""
    counted = {True: 0, False: 0, None: 0}
    before = 0
    for hour in hours:
        counted[relief.get(hour)] += max(0, min(hour, end) - before)
        before = max(before, min(hour, end))
    return Share(end, counted[True], counted[None] + end - before)
