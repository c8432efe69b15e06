"""Turnbull's estimate of when relief ended, by a constrained Newton method, with the proof that it is the maximum.

The method is Wang's (J R Stat Soc B 2007;69:185-198), on the innermost intervals, here called cells. Each step lets
into the support the best cell between any two that carry mass, maximises the quadratic approximation of the
log-likelihood over masses that are not negative, and goes as far towards it as the log-likelihood rises. Masses
become exactly 0, convergence is quadratic near the maximum, and every fit ends with the conditions that prove it.

Each follow-up covers the cells from `start` up to but not including `stop`; so sums over a follow-up's cells, and
over the follow-ups of a cell or of two cells, are differences of running sums, and no matrix of follow-ups by cells
is ever made.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outcomes.survival.curve import Curve, Proof
from outcomes.survival.data import Floats, Intervals, Whole, innermost, totalled
from outcomes.survival.quadratic_program import maximise

#: Up to so many cells the first support is all of them: cheaper than to let them in one by one.
FEW_CELLS = 300
#: So many cells are moved in one Newton step at most, for time and memory grow with the square and more; where more
#: carry mass, as with ten thousand different times known to the minute, parts of them take turns.
MOST_AT_ONCE = 1000
#: Rounding of the mean log-likelihood; a step that loses no more than this is let pass.
ROUNDING = 1e-14


def turnbull(data: Intervals, *, tolerance: float = 1e-9, most_steps: int = 2_000) -> Curve:
    """The nonparametric maximum likelihood estimate for interval-censored times (Turnbull, J R Stat Soc B 1976;38).

    `Curve.proof` says whether the conditions for a maximum hold within `tolerance`; a fit that stopped after
    `most_steps` without them is returned all the same, with `converged` False.
    """
    after, until = innermost(data.after, data.until)
    cover = CoveredCells.of(data, after, until)
    mass, steps = climb(cover, tolerance, most_steps)
    held = mass > 0
    chance = cover.chance(mass)
    off = violation(mass, cover.slope(chance))  # of the very masses that are returned
    return Curve(
        after=after[held],
        until=until[held],
        mass=mass[held],
        total=data.total,
        log_likelihood=data.total * float(cover.weight @ np.log(chance)),
        proof=Proof(off, tolerance, off <= tolerance, steps),
    )


@dataclass(frozen=True, eq=False)
class CoveredCells:
    """Which cells each kind of follow-up covers, `start` ≤ cell < `stop`, and its share among all follow-ups."""

    start: Whole
    stop: Whole
    weight: Floats
    cells: int

    @classmethod
    def of(cls, data: Intervals, after: Floats, until: Floats) -> "CoveredCells":
        """Intervals that cover the same cells become one."""
        start = np.searchsorted(after, data.after)
        stop = np.searchsorted(until, data.until, side="right")
        width = len(after) + 1
        keys, counts = totalled(start * width + stop, width**2, data.counts)
        return cls(keys // width, keys % width, counts / counts.sum(), len(after))

    def chance(self, mass: Floats) -> Floats:
        """The probability of each kind of follow-up."""
        sums = np.append(0.0, np.cumsum(mass))
        chance: Floats = sums[self.stop] - sums[self.start]
        return chance

    def slope(self, chance: Floats) -> Floats:
        """dⱼ/n for every cell: the derivative of the mean log-likelihood."""
        ratio = self.weight / chance
        width = self.cells + 1
        steps = np.bincount(self.start, ratio, width) - np.bincount(self.stop, ratio, width)
        slope: Floats = np.cumsum(steps[:-1])
        return slope

    def curvature(self, chance: Floats, support: Whole) -> Floats:
        """Minus the second derivatives of the mean log-likelihood, for the cells of the support."""
        size = len(support)
        before = np.searchsorted(support, np.arange(self.cells + 1))
        first, last = before[self.start], before[self.stop] - 1
        met = last >= first
        weight = self.weight[met] / chance[met] ** 2
        table = np.bincount(first[met] * size + last[met], weight, size * size).reshape(size, size)
        # Of two cells j ≤ l: all follow-ups that start at j or before it and reach l.
        upper = np.triu(table.cumsum(axis=0)[:, ::-1].cumsum(axis=1)[:, ::-1])
        whole: Floats = upper + np.triu(upper, 1).T
        return whole

    def value(self, mass: Floats) -> float:
        """The mean log-likelihood less the sum of the masses, which is largest where that sum is 1."""
        chance = self.chance(mass)
        return float(self.weight @ np.log(chance) - mass.sum()) if chance.min() > 0 else -np.inf

    def beginning(self) -> Floats:
        """Masses with which no follow-up is impossible."""
        mass = np.zeros(self.cells)
        if self.cells <= FEW_CELLS:
            mass[:] = 1.0
        else:  # the fewest cells that meet every follow-up: take the last cell of each that is not met yet
            latest = np.full(self.cells + 1, -1)
            np.maximum.at(latest, self.stop, self.start)
            taken = -1
            for stop, start in enumerate(latest.tolist()):
                if start > taken:
                    taken = stop - 1
                    mass[taken] = 1.0
        return normal(mass)


def climb(cover: CoveredCells, tolerance: float, most_steps: int) -> tuple[Floats, int]:
    """The best masses that were found, of all cells, and the steps that were made."""
    mass = cover.beginning()
    for _ in range(3):  # a few steps of expectation and maximisation come near cheaply
        mass = mass * cover.slope(cover.chance(mass))
    best, least, steps = mass, np.inf, 0
    while True:
        chance = cover.chance(mass)
        slope = cover.slope(chance)
        found = violation(mass, slope)
        if found < least:
            best, least = mass, found
        if least <= tolerance or steps == most_steps:
            return normal(best), steps
        steps += 1
        mass = stepped(cover, mass, chance, slope, steps)


def violation(mass: Floats, slope: Floats) -> float:
    """By how much the conditions of Gentleman and Geyer are violated; 0 at the maximum."""
    return float(max((slope - 1).max(), np.abs(slope - 1)[mass > 0].max()))


def stepped(cover: CoveredCells, mass: Floats, chance: Floats, slope: Floats, turn: int) -> Floats:
    """Masses with a higher likelihood: a constrained Newton step, or one of expectation and maximisation."""
    support = np.flatnonzero(wanted(mass, slope))
    if len(support) > MOST_AT_ONCE:
        support = part_of(support, turn)
    held = mass[support]
    goal = maximise(cover.curvature(chance, support), held, slope[support] - 1)
    rise = float((goal - held) @ (slope[support] - 1))
    now = cover.value(mass)
    part = 1.0
    while part > 1e-10 and rise > 0:
        tried = mass.copy()
        tried[support] = (1 - part) * held + part * goal
        if cover.value(tried) >= now + 1e-4 * part * rise - ROUNDING:
            return normal(tried)
        part /= 2
    return normal(mass * slope)


def normal(mass: Floats) -> Floats:
    """The masses with sum 1."""
    result: Floats = mass / mass.sum()
    return result


def part_of(support: Whole, turn: int) -> Whole:
    """MOST_AT_ONCE neighbouring cells, the next at each turn; each part overlaps half of the one before."""
    step = MOST_AT_ONCE // 2
    parts = -(-len(support) // step) - 1
    begins = (turn % parts) * step
    return support[begins : begins + MOST_AT_ONCE]


def wanted(mass: Floats, slope: Floats) -> NDArray[np.bool_]:
    """The cells that carry mass, and between each two of them the best of those that should."""
    held = mass > 0
    better = np.flatnonzero(slope > 1)
    better = better[~held[better]]
    if not len(better):
        return held
    between = np.cumsum(held)[better]
    order = np.lexsort((slope[better], between))
    last = np.append(between[order][1:] != between[order][:-1], True)
    chosen = held.copy()
    chosen[better[order[last]]] = True
    return chosen
