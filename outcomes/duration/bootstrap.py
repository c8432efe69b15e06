"""Pointwise bands for the share still in relief, by drawing the follow-ups anew."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from outcomes.duration.curve import grid
from outcomes.duration.data import Floats, Intervals, Unusable
from outcomes.duration.estimate import turnbull


@dataclass(frozen=True, eq=False)
class Bands:
    """The share still in relief at each of `days`, and its band; all are arrays of one length.

    The estimate lies between `low` and `high`, which differ only where the curve is undefined. `band_low` comes from
    the lowest and `band_high` from the highest share that each draw allows, and the band is widened, where it must
    be, to hold the estimate.
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
    fitted from the beginning; `seed` repeats it. Sound where check-ins fall on planned days, so that few different
    days can be the end of an interval. Where each patient is seen at times of their own, such bands are known to be
    unreliable (Sen, Banerjee and Woodroofe, Ann Stat 2010;38:1953-1977).

    Raises Unusable: `not_flat`, `not_a_number`, `negative`, `infinite`, `not_a_share`, `draws`.
    """
    at = grid(days)
    if not 0 < level < 1:
        raise Unusable("The level of a band lies between 0 and 1.", code="not_a_share")
    if draws < 2:
        raise Unusable("A band needs at least two draws.", code="draws")
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
    return Bands(
        days=at,
        low=low,
        high=high,
        band_low=np.minimum(low, np.quantile(lows, outside, axis=0, method="lower")),
        band_high=np.maximum(high, np.quantile(highs, 1 - outside, axis=0, method="higher")),
        level=level,
        draws=draws,
        unproven=unproven,
    )
