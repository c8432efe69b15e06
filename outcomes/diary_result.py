"""The diary of a test: which entries are late, and whether the test was positive. Pure.

Whole minutes after the procedure in, plain values out. A test is a procedure done to find out where the pain comes from
(intent diagnostic): its anesthetic is expected to wear off between the first and the last hour of the profile's window.

The definition, with the entries at their planned hours:

- **In relief** is an entry with at least the profile's percent less pain.
- An entry **covers** the time since the planned hour before it.
- **Positive**: two planned hours in a row in relief, the second of them at or after the window's first hour, no entry
  out of relief before them, and entries that cover at least 75 % of the time up to the second.
- **Negative**: an entry out of relief came before any such two, and entries cover at least 75 % of the time up to it,
  or up to the window's first planned hour where that is later: nothing written later can make the test positive.
- **Indeterminate**: everything else, and pain medicine taken by an hour within the window: relief may be the
  medicine's.
- Relief beyond the window's last hour is long, a remark on a positive test. It makes no test negative.

Two in a row is an operational reading of "consistent" relief (the setting DIARY_HOURS_IN_A_ROW; a choice, unconfirmed),
and so are the 75 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outcomes.relief import meets

#: So many planned hours in a row in relief are "consistent" relief.
IN_A_ROW = 2
#: Entries must cover at least this share of the time that the result rests on.
COVERED_PERCENT = 75


class Outcome(StrEnum):
    """What a test shows. The codes are those of verdicts."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


class Why(StrEnum):
    """Why a test is indeterminate."""

    MEDICINE = "medicine"
    NOT_COVERED = "not_covered"
    OPEN = "open"


@dataclass(frozen=True)
class DiaryEntry:
    """What was written for one planned hour: the pain then, 0–10, and whether pain medicine had been taken since the
    entry before; None when that was not said. `late`: written down well after its hour."""

    score: int
    took_medicine: bool | None = None
    late: bool = False


@dataclass(frozen=True)
class Result:
    """What a diary shows. Every position is in minutes after the procedure.

    `why`: of an indeterminate test; "" of others. `decided_at`: the planned hour that decided it; None while none has.
    `window_minutes` is the window's length from the procedure to its last hour; of it `covered_minutes` are covered by
    entries, `relief_minutes` in relief. `relief_seen_at`: the last entry in relief before the first one out of it;
    `gone_at` that one; both None where there is none. `medicine_by`: the first hour by which pain medicine had been
    taken; None when none was. `entries` and `late` are counts, of entries within the longest planned time.
    """

    outcome: Outcome
    why: str
    decided_at: int | None
    window_minutes: int
    covered_minutes: int
    relief_minutes: int
    relief_seen_at: int | None
    gone_at: int | None
    window_until: int
    medicine_by: int | None
    entries: int
    late: int

    @property
    def covered_percent(self) -> int:
        """The share of the window that entries cover, cut so that 79.9 never shows as 80."""
        return 100 * self.covered_minutes // self.window_minutes

    @property
    def relief_percent(self) -> int:
        """The share of the window that was in relief, cut likewise."""
        return 100 * self.relief_minutes // self.window_minutes

    @property
    def long_relief(self) -> bool:
        """Whether relief was seen beyond the window's last hour."""
        return self.relief_seen_at is not None and self.relief_seen_at > self.window_until


def late_after(hours: Sequence[int], hour: int) -> float:
    """The minute after which an entry for `hour` is late: half the gap to the next planned hour; for the last, half the
    gap before it. `hours`: the planned ones, rising, `hour` among them (a choice, unconfirmed)."""
    at = hours.index(hour)
    if len(hours) == 1:
        return hour + hour / 2
    gap = hours[at + 1] - hour if at + 1 < len(hours) else hour - hours[at - 1]
    return hour + gap / 2


def result(
    entries: Mapping[int, DiaryEntry],
    *,
    hours: Sequence[int],
    baseline: int | None,
    percent: int,
    window_from: int,
    window_until: int,
    in_a_row: int = IN_A_ROW,
) -> Result | None:
    """What the entries show; None without a baseline above 0 or without a window.

    `entries` by their planned hour in minutes, in any order; `hours`: all planned ones, rising. `percent`: the relief
    that counts. `in_a_row`: how many planned hours in a row in relief are consistent relief, at least 1.
    """
    if not baseline or window_until <= 0:
        return None
    relief = {hour: meets(baseline, entries[hour].score, percent) for hour in hours if hour in entries}
    medicine_by = min((hour for hour in relief if entries[hour].took_medicine), default=None)
    outcome, why, decided_at = outcome_of(relief, hours, window_from, window_until, in_a_row)
    if medicine_by is not None and medicine_by <= window_until:
        outcome, why, decided_at = Outcome.INDETERMINATE, Why.MEDICINE, medicine_by
    gone_at = next((hour for hour in relief if not relief[hour]), None)
    seen = [hour for hour in relief if relief[hour] and (gone_at is None or hour < gone_at)]
    return Result(
        outcome=outcome,
        why=why,
        decided_at=decided_at,
        window_minutes=window_until,
        covered_minutes=covered(relief, hours, window_until),
        relief_minutes=covered([hour for hour in relief if relief[hour]], hours, window_until),
        relief_seen_at=seen[-1] if seen else None,
        gone_at=gone_at,
        window_until=window_until,
        medicine_by=medicine_by,
        entries=len(relief),
        late=sum(entries[hour].late for hour in relief),
    )


def outcome_of(
    relief: Mapping[int, bool], hours: Sequence[int], window_from: int, window_until: int, in_a_row: int
) -> tuple[Outcome, str, int | None]:
    """The outcome without a look at medicine, why it is indeterminate, and the hour that decided it."""
    run = 0
    for hour in hours:
        if relief.get(hour) is False:
            # Pain before any run: whatever comes later makes no run without pain before it.
            first = next((hour for hour in hours if hour >= window_from), hour)
            until = max(hour, min(first, window_until))
            if enough(relief, hours, until):
                return Outcome.NEGATIVE, "", until
            return Outcome.INDETERMINATE, Why.NOT_COVERED, None
        run = run + 1 if relief.get(hour) else 0
        if run >= in_a_row and hour >= window_from and enough(relief, hours, hour):
            return Outcome.POSITIVE, "", hour
    return Outcome.INDETERMINATE, Why.OPEN, None


def enough(relief: Mapping[int, bool], hours: Sequence[int], until: int) -> bool:
    """Whether entries cover enough of the time up to the minute `until`."""
    return 100 * covered(relief, hours, until) >= COVERED_PERCENT * until


def covered(answered: Mapping[int, bool] | Sequence[int], hours: Sequence[int], until: int) -> int:
    """How many of the first `until` minutes the entries at the hours `answered` cover."""
    minutes = before = 0
    for hour in hours:
        if hour in answered:
            minutes += max(0, min(hour, until) - before)
        before = max(before, min(hour, until))
    return minutes
