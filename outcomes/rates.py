"""Rates with their denominators. Pure: counts in, shares with bounds out.

A rate is never shown without how many were due and how many answered. Whoever is due and did not answer, also because
the course had ended before that day, is counted three ways: left out (complete case), as not reached (worst case) and
as reached (best case). Nobody's answer is made up. What worst and best hold of those whose course had ended says
`outcomes.reports.counts`.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

#: Of the intervals beside all shares.
LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """`count` of `of`; `value`, `low` and `high` between 0 and 1, the bounds by Wilson's interval of LEVEL."""

    count: int
    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rate:
    """How many reached something, of all that were treated, due, asked and answered; counts of follow-ups.

    `due`: those for whom the day has come; `asked`: of these, those whose course had not ended before. `response` is
    answered of asked. `complete` counts those who answered; `worst` takes all others as not reached, `best` the silent
    as reached, and of those whose course had ended as many as may have reached it; both are of those due. A share of
    nobody is None. `hidden`: so few answered that the count and its shares are withheld; they are None then.
    """

    treated: int
    due: int
    asked: int
    answered: int
    count: int | None
    response: Share | None
    complete: Share | None
    worst: Share | None
    best: Share | None
    hidden: bool = False


def wilson(count: int, of: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Bounds of a share, 0–1 (Wilson, J Am Stat Assoc 1927;22:209-212). `of` is above 0, `count` from 0 to `of`."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * sqrt(count * (of - count) / of + z * z / 4)
    # But for rounding these are the ends.
    return (0.0 if count == 0 else middle - half), (1.0 if count == of else middle + half)


def share(count: int, of: int) -> Share | None:
    """`count` of `of` with its bounds; None of nobody."""
    if not of:
        return None
    return Share(count, of, count / of, *wilson(count, of))


def rate(
    *,
    treated: int,
    due: int,
    answered: int,
    count: int,
    ended: int = 0,
    perhaps: int = 0,
    smallest: int = 1,
) -> Rate:
    """`count` of those who answered reached it. Of those due the course of `ended` had ended before, of whom `perhaps`
    may have reached it. Fewer answers than `smallest`, but some: the rate is hidden."""
    asked = due - ended
    response = share(answered, asked)
    if 0 < answered < smallest:
        return Rate(treated, due, asked, answered, None, response, None, None, None, hidden=True)
    return Rate(
        treated,
        due,
        asked,
        answered,
        count,
        response=response,
        complete=share(count, answered),
        worst=share(count, due),
        best=share(count + asked - answered + perhaps, due),
    )
