"""Whether a trial of a stimulator or a pump passed. Pure: plain values in, plain values out.

A trial is a procedure with the intent trial: a lead or a catheter for some days, to find out whether the implant would
help. It is judged by the share of its days in relief, from the day after it until the day on which lead or catheter
came out; both thresholds are the relief profile's. Where it came out on the day of the procedure, that day counts.

- **A day is known** by the last score of that day, or by the answer to the next planned check-in: an answer speaks for
  the days since the planned one before it, as an entry of a diary does.
- **Passed**: enough of the days in relief, whatever the days without an answer were.
- **Failed**: not enough, even if all of those had been in relief.
- **Indeterminate**: neither can be told, or nobody has said when lead or catheter came out.
- **Too early** instead of indeterminate while check-ins up to there are open.
"""

from collections.abc import Iterable
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
class Score:
    """The pain, 0–10, on the day `at` after the procedure. It speaks for the days after `since`, the planned one before
    it, up to `at`; for `at` alone where `since` is None."""

    at: int
    score: int
    since: int | None = None


@dataclass(frozen=True)
class Result:
    """What the days of a trial show: `days` in all, `known` of them by an answer, `relief` of these in relief.

    `ended`: somebody has said when lead or catheter came out; while nobody has, `days` are those up to the last score.
    """

    outcome: Outcome
    ended: bool
    days: int
    known: int
    relief: int


def result(
    scores: Iterable[Score],
    *,
    baseline: int,
    percent: int,
    days_percent: int,
    until: int | None,
    open_still: bool,
) -> Result:
    """What a trial shows.

    `scores` in any order but for those of one day, of which the last counts; those later than `until` are left out.
    `baseline`: above 0. `percent`: the relief that counts. `days_percent`: the share of days in relief that passes,
    1–100. `until`: the day on which the lead or catheter came out, None while nobody has said it. `open_still`: a
    check-in up to there may still be answered.
    """
    first = 0 if until == 0 else 1
    relief: dict[int, bool] = {}
    own: set[int] = set()
    for score in sorted(scores, key=lambda score: score.at):
        if score.at < first or (until is not None and score.at > until):
            continue
        good = meets(baseline, score.score, percent)
        begins = score.at if score.since is None else score.since + 1
        for day in range(max(begins, first), score.at):
            if day not in own:
                relief[day] = good
        relief[score.at] = good
        own.add(score.at)
    last = max(relief, default=0) if until is None else until
    days, known, count = max(last - first + 1, 0), len(relief), sum(relief.values())
    if until is None or not days:
        outcome = Outcome.INDETERMINATE
    elif 100 * count >= days_percent * days:
        outcome = Outcome.PASSED
    elif 100 * (days - known + count) < days_percent * days:
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.INDETERMINATE
    if outcome == Outcome.INDETERMINATE and open_still:
        outcome = Outcome.TOO_EARLY
    return Result(outcome, until is not None, days, known, count)
