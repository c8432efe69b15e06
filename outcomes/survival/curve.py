"""The curve: where relief may have ended, with which probability, and what follows for a day or a share."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from outcomes.survival.data import Floats, Span, UnusableData, numbers

#: Shares that differ by less are the same; sums of masses are not exact.
SAME = 1e-9


class Share(NamedTuple):
    """A share of 0–1 of which only the bounds are known; equal bounds where it is known."""

    low: float
    high: float


class CurvePiece(NamedTuple):
    """A piece of the curve, `begins` to `ends`, with the share still in relief between `low` and `high`.

    Known (`low` = `high`): the piece has both of its ends. Undefined: it has neither, and the data say nothing about
    how the curve falls from `high` to `low` inside.
    """

    begins: float
    ends: float
    low: float
    high: float


@dataclass(frozen=True)
class Proof:
    """What shows that a fit is the maximum: the conditions of Gentleman and Geyer, Biometrika 1994;81:618-623.

    With n follow-ups and dⱼ the derivative of the log-likelihood for the mass of innermost interval j, masses are
    the maximum if and only if dⱼ = n wherever there is mass and dⱼ ≤ n everywhere else. `violation` is the largest
    |dⱼ/n − 1| where there is mass or excess dⱼ/n − 1 elsewhere, `tolerance` what was asked for, `converged` whether
    it was met. By concavity the log-likelihood is at most n·`violation` below its maximum. `steps` were needed.
    """

    violation: float
    tolerance: float
    converged: bool
    steps: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Turnbull's estimate. The share `mass[j]` lost its relief after `after[j]` and not later than `until[j]`.

    The spans are disjoint and in order, the masses above 0 with sum 1; `until` may end in infinity. In the unit of
    the intervals. The masses are unique: each innermost interval is the last one of some follow-up's interval, so
    the matrix of the likelihood has full column rank and the log-likelihood is strictly concave.
    `log_likelihood` is the sum over the `total` follow-ups.
    """

    after: Floats
    until: Floats
    mass: Floats
    total: int
    log_likelihood: float
    proof: Proof

    @property
    def tail(self) -> Floats:
        """The share still in relief before each span, from 1, and 0 after the last."""
        tail = np.append(np.cumsum(self.mass[::-1])[::-1], 0.0)
        tail[0] = 1.0  # but for rounding it is
        return tail

    def shares(self, days: ArrayLike) -> tuple[Floats, Floats]:
        """The lowest and highest share still in relief at each day, S(t) = P(T > t), that agree with the data.

        They differ only strictly inside a span. Raises UnusableData: `not_flat`, `not_a_number`, `negative`,
        `infinite`.
        """
        at = grid(days)
        tail = self.tail
        return tail[np.searchsorted(self.after, at)], tail[np.searchsorted(self.until, at, side="right")]

    def share(self, day: float) -> Share:
        """The share still in relief at one day; raises as `shares`."""
        low, high = self.shares([day])
        return Share(float(low[0]), float(high[0]))

    def quantile(self, lost: float) -> Span:
        """The span within which the share that lost its relief reaches `lost`, above 0 and at most 1.

        An infinite `until` means that it was not reached. Raises UnusableData: `not_a_share`.
        """
        if not 0 < lost <= 1:
            raise UnusableData("A quantile is a share above 0 and at most 1.", code="not_a_share")
        place = min(int(np.searchsorted(np.cumsum(self.mass), lost - SAME)), len(self.mass) - 1)
        return Span(float(self.after[place]), float(self.until[place]))

    @property
    def median(self) -> Span:
        """The span within which half have lost their relief."""
        return self.quantile(0.5)

    def stretches(self) -> list[CurvePiece]:
        """The whole curve in order, from time 0: known and undefined pieces in turn.

        The first piece is known, at 1; a known piece between two spans that touch is a single instant.
        """
        pieces = []
        tail = self.tail.tolist()
        known_from = 0.0
        for number, (begins, ends) in enumerate(zip(self.after.tolist(), self.until.tolist(), strict=True)):
            pieces.append(CurvePiece(known_from, begins, tail[number], tail[number]))
            pieces.append(CurvePiece(begins, ends, tail[number + 1], tail[number]))
            known_from = ends
        if np.isfinite(known_from):
            pieces.append(CurvePiece(known_from, np.inf, 0.0, 0.0))
        return pieces


def grid(days: ArrayLike) -> Floats:
    """Days to look at, in any order. Raises UnusableData: `not_flat`, `not_a_number`, `negative`, `infinite`."""
    at = numbers(days, "days")
    if (at < 0).any():
        raise UnusableData("Time counts from the procedure and is never negative.", code="negative")
    if np.isinf(at).any():
        raise UnusableData("Nothing can be said of a day at infinity.", code="infinite")
    return at
