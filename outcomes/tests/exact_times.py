"""Kaplan-Meier and the log-rank test, for comparison only: they need to know the very day on which relief ended.

From check-ins that day is not known. A loss dated at the check-in that found it overstates how long relief lasted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from outcomes.survival.data import Floats, UnusableData, Whole, numbers
from outcomes.survival.group_tests import SAME, chi_square_tail


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """The product-limit estimate (Kaplan and Meier, J Am Stat Assoc 1958;53:457-481), in one row per time of loss.

    `times` in order; just before each `at_risk` were still in relief and watched, and `lost` lost it then. `share` is
    the share still in relief after that time and until the next. `error` is Greenwood's standard error; `low` and
    `high` are the log-log band of Kalbfleisch and Prentice. The three are NaN where the share is 0: there is none.
    """

    times: Floats
    at_risk: Whole
    lost: Whole
    share: Floats
    error: Floats
    low: Floats
    high: Floats

    def quantile(self, lost: float) -> float:
        """The first time at which a share of `lost`, above 0 and at most 1, has lost its relief; else infinite.

        Raises UnusableData: `not_a_share`.
        """
        if not 0 < lost <= 1:
            raise UnusableData("A quantile is a share above 0 and at most 1.", code="not_a_share")
        reached = self.times[self.share <= 1 - lost + SAME]
        return float(reached[0]) if len(reached) else float("inf")

    @property
    def median(self) -> float:
        """The first time at which half have lost their relief; infinite when it was not reached."""
        return self.quantile(0.5)


@dataclass(frozen=True)
class LogRank:
    """The log-rank test (Mantel, Cancer Chemother Rep 1966;50:163-170): losses seen and expected in each group."""

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float
    freedom: int
    p: float


def kaplan_meier(times: ArrayLike, lost: ArrayLike, *, level: float = 0.95) -> KaplanMeier:
    """The product-limit estimate. `lost` is true where relief ended at that time, false where watching ended then.

    At equal times losses come first: who is no longer watched was still at risk. `level` is that of the pointwise
    band. Raises UnusableData: those of `intervals`, `not_a_flag`, `not_a_share` for the level.
    """
    at, event = watched(times, lost)
    if not 0 < level < 1:
        raise UnusableData("The level of a band lies between 0 and 1.", code="not_a_share")
    when, number = np.unique(at[event], return_counts=True)
    at_risk = len(at) - np.searchsorted(np.sort(at), when)
    share = np.cumprod(1 - number / at_risk, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.cumsum(number / (at_risk * (at_risk - number)))
        gone = share <= 0
        error = np.where(gone, np.nan, share * np.sqrt(terms))
        width = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(terms) / np.abs(np.log(share))
        low = np.where(gone, np.nan, share ** np.exp(width))
        high = np.where(gone, np.nan, share ** np.exp(-width))
    return KaplanMeier(when, at_risk, number, share, error, low, high)


def log_rank(groups: Sequence[tuple[ArrayLike, ArrayLike]]) -> LogRank:
    """Test whether two or more groups, each its `times` and `lost`, lose relief equally fast; variance at ties exact.

    Raises UnusableData: those of `kaplan_meier`, `one_group`.
    """
    if len(groups) < 2:
        raise UnusableData("A comparison needs at least two groups.", code="one_group")
    parts = [watched(*group) for group in groups]
    when = np.unique(np.concatenate([at[event] for at, event in parts]))
    risk = np.array([len(at) - np.searchsorted(np.sort(at), when) for at, _ in parts])
    seen = np.array([np.searchsorted(np.sort(at[event]), when, side="right") for at, event in parts])
    seen = np.diff(seen, prepend=0, axis=1)
    everyone, losses = risk.sum(axis=0), seen.sum(axis=0)
    portion = risk / everyone
    expected = (losses * portion).sum(axis=1)
    spread = losses * (everyone - losses) / np.maximum(everyone - 1, 1)
    covariance = np.diag((spread * portion).sum(axis=1)) - (spread * portion) @ portion.T
    gap = seen.sum(axis=1) - expected
    statistic = float(gap @ np.linalg.pinv(covariance, hermitian=True) @ gap)
    freedom = len(groups) - 1
    return LogRank(
        tuple(seen.sum(axis=1).tolist()),
        tuple(expected.tolist()),
        statistic,
        freedom,
        chi_square_tail(statistic, freedom),
    )


def watched(times: ArrayLike, lost: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Checked times and flags. Raises UnusableData as `intervals` does, and `infinite`, `not_a_flag`."""
    at, flags = numbers(times, "times"), numbers(lost, "lost")
    if len(at) != len(flags):
        raise UnusableData("Each time needs to say whether relief ended then.", code="lengths_differ")
    if not len(at):
        raise UnusableData("There is no follow-up to compute with.", code="empty")
    if at.min() < 0:
        raise UnusableData("Time counts from the procedure and is never negative.", code="negative")
    if np.isinf(at).any():
        raise UnusableData("Nobody is watched for ever.", code="infinite")
    if not np.isin(flags, (0, 1)).all():
        raise UnusableData("Whether relief ended is yes or no.", code="not_a_flag")
    return at, flags == 1
