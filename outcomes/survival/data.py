"""What check-ins tell about when relief ended: one interval per follow-up, counted and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: A table of so many cells is filled faster than as many pairs are sorted. A choice by measurement.
MOST_CELLS = 1 << 22


class UnusableData(ValueError):
    """The data cannot be computed with. `code` is stable; the message is a sentence without any patient's data.

    Not `clinic.refusals.Refusal`, which is Django's: this package is pure, and its callers are reports.
    """

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class Span(NamedTuple):
    """Relief ended after `after` and not later than `until`; `until` is infinite when no end was seen."""

    after: float
    until: float


@dataclass(frozen=True, eq=False)
class Intervals:
    """Distinct intervals (L, R] with the number of follow-ups that have each; made by `intervals`, in order of L, R.

    `after` holds L, `until` holds R, `counts` how many (whole, above 0), all of one length.
    """

    after: Floats
    until: Floats
    counts: Whole

    @property
    def total(self) -> int:
        """The number of follow-ups."""
        return int(self.counts.sum())

    def known(self, days: ArrayLike) -> tuple[Whole, Whole]:
        """How many are known to be in relief at each day, and how many are known to have lost it by then.

        The others are not known at that day. Divided by `total`, the first is the share in relief if all of these had
        lost it, and one minus the second if none had.
        """
        at = numbers(days, "days")
        order = np.argsort(self.until)
        begun = np.append(0, np.cumsum(self.counts))[np.searchsorted(self.after, at)]
        ended = np.append(0, np.cumsum(self.counts[order]))
        return self.total - begun, ended[np.searchsorted(self.until[order], at, side="right")]


def intervals(after: ArrayLike, until: ArrayLike, counts: ArrayLike | None = None) -> Intervals:
    """One interval (L, R] per follow-up, reduced to distinct ones with their counts.

    `after` (L) and `until` (R) are one-dimensional, of one length and in one unit: days after the procedure, or
    minutes for diagnostic blocks. Relief is known at L and known to be gone at R: it ended after L, at R at the
    latest. `until` is infinite while relief has not been seen to end. `after` is 0 where relief was never seen.
    `counts`, whole and not negative, says how many follow-ups stand behind each pair; None means one each.

    Raises UnusableData: `not_flat`, `lengths_differ`, `empty`, `not_a_number`, `negative`, `not_an_interval` (R ≤ L),
    `counts`.
    """
    left, right = numbers(after, "after"), numbers(until, "until")
    if len(left) != len(right):
        raise UnusableData("Each interval needs both of its ends.", code="lengths_differ")
    if not len(left):
        raise UnusableData("There is no follow-up to compute with.", code="empty")
    if left.min() < 0:
        raise UnusableData("Time counts from the procedure and is never negative.", code="negative")
    if not (right > left).all():
        raise UnusableData("An interval must end later than it begins.", code="not_an_interval")
    return tally(left, right, None if counts is None else checked_counts(counts, len(left)))


def pool(groups: Sequence[Intervals]) -> Intervals:
    """The follow-ups of all groups as one."""
    return tally(
        np.concatenate([group.after for group in groups]),
        np.concatenate([group.until for group in groups]),
        np.concatenate([group.counts for group in groups]),
    )


def numbers(values: ArrayLike, name: str) -> Floats:
    """The values as a flat array. Raises UnusableData: `not_a_number`, `not_flat`."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UnusableData(f"Not all of `{name}` are numbers.", code="not_a_number") from None
    if array.ndim != 1:
        raise UnusableData(f"`{name}` must be one flat sequence.", code="not_flat")
    if np.isnan(array).any():
        raise UnusableData(f"Not all of `{name}` are numbers.", code="not_a_number")
    return array


def checked_counts(counts: ArrayLike, length: int) -> Whole:
    """The counts as whole numbers. Raises UnusableData: `lengths_differ`, `counts`, `empty` when all are 0."""
    array = numbers(counts, "counts")
    if len(array) != length:
        raise UnusableData("Each interval needs one count.", code="lengths_differ")
    if not (np.isfinite(array) & (array >= 0) & (array == np.floor(array))).all():
        raise UnusableData("Counts are whole numbers and not negative.", code="counts")
    if not array.any():
        raise UnusableData("There is no follow-up to compute with.", code="empty")
    return array.astype(np.int64)


def tally(left: Floats, right: Floats, counts: Whole | None) -> Intervals:
    """Distinct pairs with their counts, in order. The arguments are good."""
    times, first, second = ranked(left, right)
    keys, totals = totalled(first * len(times) + second, len(times) ** 2, counts)
    kept = totals > 0
    keys, totals = keys[kept], totals[kept]
    return Intervals(times[keys // len(times)], times[keys % len(times)], totals.astype(np.int64))


def ranked(left: Floats, right: Floats) -> tuple[Floats, Whole, Whole]:
    """Times in rising order, infinity last, and the places of `left` and `right` among them."""
    finite = right[np.isfinite(right)]
    latest = max(left.max(), finite.max(initial=0.0))
    if (latest + 2) ** 2 <= MOST_CELLS:  # whole days need no sorting: each is its own place
        first = left.astype(np.int64)
        second = np.minimum(right, latest + 1).astype(np.int64)
        if (first == left).all() and (second == np.minimum(right, latest + 1)).all():
            return np.append(np.arange(latest + 1), np.inf), first, second
    times = np.unique(np.concatenate([np.unique(left), np.unique(right)]))
    return times, np.searchsorted(times, left), np.searchsorted(times, right)


def totalled(keys: Whole, size: int, weights: Whole | None) -> tuple[Whole, Floats]:
    """The distinct keys (0 ≤ key < `size`) in order with the sum of weights of each; None weighs one each."""
    if size <= max(MOST_CELLS, 4 * len(keys)):
        sums = np.bincount(keys, weights, size)
        found = np.flatnonzero(sums)
        return found, sums[found].astype(np.float64)
    found, place = np.unique(keys, return_inverse=True)
    return found, np.bincount(place, weights, len(found)).astype(np.float64)


def innermost(after: Floats, until: Floats) -> tuple[Floats, Floats]:
    """The innermost intervals (q, p]: q is some L, p some R, and no L or R lies between (Turnbull 1976).

    Only these can carry mass. Ends of equal value do not meet: (a, t] and (t, b] share no instant.
    """
    lefts, rights = np.unique(after), np.unique(until)
    nearest = lefts[np.searchsorted(lefts, rights) - 1]
    inner = np.append(-np.inf, rights[:-1]) <= nearest
    return nearest[inner], rights[inner]
