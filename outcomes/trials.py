"""Whether a trial of a stimulator or a pump passed. Pure: plain values in, plain values out.

A trial is a procedure with the intent trial: a lead or a catheter for some days, to find out whether the implant would
help. It is judged by the share of its days in relief, from the day after it until the day on which lead or catheter
came out; both thresholds are the relief profile's.

- **Passed**: enough of the days in relief, whatever the days without an answer were.
- **Failed**: not enough, even if all of those had been in relief.
- **Indeterminate**: neither can be told.
- **Too early** while the lead is in and neither is certain yet.

A day's last score speaks for that day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from outcomes.relief import meets


class Outcome(StrEnum):
    """What a trial shows. The codes are those of verdicts."""

    PASSED = "passed"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"
    TOO_EARLY = "too_early"


@dataclass(frozen=True)
class Result:
    """What the days of a trial show: `days` in all, `known` of them with an answer, `relief` of these in relief."""

    outcome: Outcome
    days: int
    known: int
    relief: int


def result(
    scores: Mapping[int, int],
    *,
    baseline: int,
    percent: int,
    days_percent: int,
    until: int,
    ended: bool,
) -> Result:
    """What a trial shows.

    `scores`: the pain, 0–10, by the day after the procedure; days beyond `until` are left out. `baseline`: above 0.
    `percent`: the relief that counts. `days_percent`: the share of days in relief that passes, 1–100. `until`: the last
    day that the lead or catheter was in, or was planned to be. `ended`: it is out.
    """
    days = max(until, 1)
    relief = {day: meets(baseline, score, percent) for day, score in scores.items() if 1 <= day <= days}
    good = sum(relief.values())
    if 100 * good >= days_percent * days:
        outcome = Outcome.PASSED
    elif 100 * (days - len(relief) + good) < days_percent * days:
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.INDETERMINATE if ended else Outcome.TOO_EARLY
    return Result(outcome, days, len(relief), good)
