"""Pointwise bands for the share still in relief, by drawing the follow-ups anew."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from outcomes.survival.curve import grid
from outcomes.survival.data import Floats, Intervals, UnusableData, Whole
from outcomes.survival.estimate import turnbull


@dataclass(frozen=True, eq=False)
class Bands:
    """The share still in relief at each of `days`, and its band; all are arrays of one length.

    The estimate lies between `low` and `high`, which differ only where the curve is undefined. `band_low` comes from
    the lowest and `band_high` from the highest share that each draw allows. The band is widened, where it must be, to
    hold the estimate and Wilson's interval around it of as many follow-ups as are known at that day.
    `level` is that of each day alone, not of all at once. `unproven` draws missed the conditions for a maximum.
    """

    days: Floats
    low: Floats
    high: Floats
    band_low: Floats
    band_high: Floats
    level: float
    draws: int
    unproven: int


def bands(data: Intervals, days: ArrayLike, *, draws: int = 500, level: float = 0.95, seed: int) -> Bands:
    """Percentile bands at `days`, in any order, such as a grid for a chart or a relief window's two ends.

    Each draw gives the distinct intervals new counts, as drawing as many follow-ups with replacement would, and is
    fitted from the beginning; `seed` repeats it. Where all that is known lies on one side, drawing anew never shows the
    other one, and the band would be none at all: Wilson's interval keeps it as wide as the few who are known make it.
    Sound where check-ins fall on planned days, so that few different
    days can be the end of an interval. Where each patient is seen at times of their own, such bands are known to be
    unreliable (Sen, Banerjee and Woodroofe, Ann Stat 2010;38:1953-1977).

    Raises UnusableData: `not_flat`, `not_a_number`, `negative`, `infinite`, `not_a_share`, `draws`.
    """
    at = grid(days)
    if not 0 < level < 1:
        raise UnusableData("The level of a band lies between 0 and 1.", code="not_a_share")
    if draws < 2:
        raise UnusableData("A band needs at least two draws.", code="draws")
    low, high = turnbull(data).shares(at)
    rng = np.random.default_rng(seed)
    lows, highs = np.empty((draws, len(at))), np.empty((draws, len(at)))
    unproven = 0
    for number in range(draws):
        counts = rng.multinomial(data.total, data.counts / data.total)
        drawn = counts > 0
        curve = turnbull(Intervals(data.after[drawn], data.until[drawn], counts[drawn]))
        lows[number], highs[number] = curve.shares(at)
        unproven += not curve.proof.converged
    outside = (1 - level) / 2
    known_in, known_out = data.known(at)
    few_low, few_high = wilson(low, high, known_in + known_out, level)  # not at day 0: there all is known
    return Bands(
        days=at,
        low=low,
        high=high,
        band_low=np.minimum(
            np.where(at > 0, few_low, low), np.quantile(lows, outside, axis=0, method="lower")
        ),
        band_high=np.maximum(few_high, np.quantile(highs, 1 - outside, axis=0, method="higher")),
        level=level,
        draws=draws,
        unproven=unproven,
    )


def wilson(low: Floats, high: Floats, known: Whole, level: float) -> tuple[Floats, Floats]:
    """Below `low` and above `high`, shares of 0–1, how far the truth can lie when so many are known; if none, anywhere
    (Wilson, J Am Stat Assoc 1927;22:209-212)."""
    z = NormalDist().inv_cdf((1 + level) / 2)

    def bound(share: Floats, side: int) -> Floats:
        middle = share * known + z * z / 2
        half = z * np.sqrt(known * share * (1 - share) + z * z / 4)
        found: Floats = (middle + side * half) / (known + z * z)
        return found

    return np.clip(np.minimum(low, bound(low, -1)), 0, 1), np.clip(np.maximum(high, bound(high, 1)), 0, 1)
