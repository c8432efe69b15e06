"""Whether relief lasts equally long in two or more groups: score tests for interval-censored times."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from outcomes.survival.curve import Curve, Proof
from outcomes.survival.data import Floats, Intervals, UnusableData, Whole, pool
from outcomes.survival.estimate import turnbull

#: Up to so many ways to deal the follow-ups into the groups, all of them are looked at.
MOST_ARRANGEMENTS = 20_000
#: Statistics that differ by a smaller share are the same; sums come in different order.
SAME = 1e-9


class Score(StrEnum):
    """What a follow-up counts, from the share in relief at both ends of its interval, a = S(L) and b = S(R).

    A score is high where relief ended early. The score is [g(a) − g(b)] / (a − b), with H(t) the sum of pⱼ / Sⱼ₋₁ up
    to t. For times that are known exactly, SUN is the log-rank test's score.
    """

    SUN = "sun"  # g = −S·H, Sun, Stat Med 1996;15:1387-1395
    FINKELSTEIN = "finkelstein"  # g = S·ln S, Finkelstein, Biometrics 1986;42:845-854
    WILCOXON = "wilcoxon"  # the score is a + b − 1, early differences weigh more


@dataclass(frozen=True)
class Comparison:
    """A score test of the hypothesis that relief lasts equally long in all groups.

    `excess` is each group's sum of scores less its share of all: above 0 where relief ended sooner than in the pool.
    `statistic` is compared with chi-square of `freedom` degrees; `p` is 1, and the statistic 0, where all scores are
    equal. For two groups the statistic is Z² of the permutation form. `proof` is that of the pooled curve.
    """

    score: Score
    excess: tuple[float, ...]
    statistic: float
    freedom: int
    p: float
    proof: Proof


@dataclass(frozen=True)
class Permutation:
    """The share of arrangements whose statistic is at least the one seen. `draws` is None when all were looked at.

    With draws it is (1 + as many) / (1 + draws), which keeps the level (Phipson and Smyth, Stat Appl Genet Mol Biol
    2010;9:39).
    """

    p: float
    draws: int | None


def compare(groups: Sequence[Intervals], *, score: Score = Score.SUN) -> Comparison:
    """Test two or more groups, with the variance of a random arrangement of the follow-ups into the groups.

    With scores c of n follow-ups and s² = Σ(c − c̄)²/(n − 1), the statistic is Σ (excess of g)² / (s²·n of g), over
    the groups g. The test assumes that whether and when patients answer does not differ between the groups.

    Raises UnusableData: `one_group`.
    """
    scores, dealt, curve = table(groups, score)
    excess, statistic = statistics(scores, dealt)
    freedom = len(groups) - 1
    return Comparison(
        score, tuple(excess.tolist()), statistic, freedom, chi_square_tail(statistic, freedom), curve.proof
    )


def permute(
    groups: Sequence[Intervals], *, score: Score = Score.SUN, draws: int = 9_999, seed: int
) -> Permutation:
    """The p of `compare` without the chi-square approximation, for small or very unequal groups.

    Exact up to MOST_ARRANGEMENTS ways to deal the follow-ups into groups; else from `draws` random arrangements, which
    `seed` repeats. The work grows with draws times distinct scores. Raises UnusableData: `one_group`, `draws`.
    """
    if draws < 1:
        raise UnusableData("At least one arrangement must be drawn.", code="draws")
    scores, dealt, _ = table(groups, score)
    _, seen = statistics(scores, dealt)
    sizes = dealt.sum(axis=1)
    centred = scores - scores @ dealt.sum(axis=0) / sizes.sum()
    if arrangements(sizes) <= MOST_ARRANGEMENTS:
        each = np.repeat(centred, dealt.sum(axis=0))
        sums = np.array(
            [[each[list(dealing)].sum() for dealing in way] for way in dealings(len(each), sizes.tolist())]
        )
        as_far = at_least((sums**2 / sizes).sum(axis=1), scores, dealt, seen)
        return Permutation(as_far / len(sums), None)
    rng = np.random.default_rng(seed)
    sums = drawn(centred, dealt.sum(axis=0), sizes, draws, rng)
    as_far = at_least((sums**2 / sizes).sum(axis=1), scores, dealt, seen)
    return Permutation((1 + as_far) / (1 + draws), draws)


def table(groups: Sequence[Intervals], score: Score) -> tuple[Floats, Whole, Curve]:
    """The distinct scores, how many follow-ups of each group (row) have each, and the pooled curve."""
    if len(groups) < 2:
        raise UnusableData("A comparison needs at least two groups.", code="one_group")
    together = pool(groups)
    curve = turnbull(together)
    tail = curve.tail
    hazard = np.append(0.0, np.cumsum(curve.mass / tail[:-1]))
    begin = np.searchsorted(curve.until, together.after, side="right")
    end = np.searchsorted(curve.until, together.until, side="right")
    scores, kind = np.unique(scored(score, tail, hazard, begin, end), return_inverse=True)
    places = {pair: place for place, pair in enumerate(zip(together.after, together.until, strict=True))}
    dealt = np.zeros((len(groups), len(scores)), dtype=np.int64)
    for row, intervals in enumerate(groups):
        where = [places[pair] for pair in zip(intervals.after, intervals.until, strict=True)]
        np.add.at(dealt[row], kind[where], intervals.counts)
    return scores, dealt, curve


def scored(score: Score, tail: Floats, hazard: Floats, begin: Whole, end: Whole) -> Floats:
    """The score of each kind of follow-up, whose interval begins and ends after so many spans of the curve."""
    if score is Score.WILCOXON:
        result: Floats = tail[begin] + tail[end] - 1
        return result
    if score is Score.FINKELSTEIN:
        curved = tail * np.log(np.where(tail > 0, tail, 1.0))
    else:
        curved = -tail * hazard
    return (curved[begin] - curved[end]) / (tail[begin] - tail[end])


def statistics(scores: Floats, dealt: Whole) -> tuple[Floats, float]:
    """Each group's excess, and the statistic."""
    sizes, kinds = dealt.sum(axis=1), dealt.sum(axis=0)
    centred = scores - scores @ kinds / kinds.sum()
    excess: Floats = dealt @ centred
    variance = float(kinds @ centred**2) / max(1, int(kinds.sum()) - 1)
    if variance < SAME**2:
        return np.zeros(len(sizes)), 0.0
    return excess, float((excess**2 / sizes).sum() / variance)


def at_least(far: Floats, scores: Floats, dealt: Whole, seen: float) -> int:
    """How many of the arrangements, given their Σ (excess)²/n, are as far from equality as the one seen."""
    if not seen:
        return len(far)
    excess, _ = statistics(scores, dealt)
    return int((far >= float((excess**2 / dealt.sum(axis=1)).sum()) * (1 - SAME)).sum())


def arrangements(sizes: Whole) -> int:
    """The number of ways to deal so many follow-ups into groups of these sizes."""
    ways, left = 1, int(sizes.sum())
    for size in sizes.tolist():
        ways *= math.comb(left, size)
        left -= size
        if ways > MOST_ARRANGEMENTS:
            break
    return ways


def dealings(number: int, sizes: Sequence[int]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every way to deal the numbers below `number` into groups of these sizes."""

    def deal(left: tuple[int, ...], rest: Sequence[int]) -> Iterator[tuple[tuple[int, ...], ...]]:
        if len(rest) == 1:
            yield (left,)
            return
        for taken in combinations(left, rest[0]):
            others = tuple(index for index in left if index not in taken)
            for more in deal(others, rest[1:]):
                yield (taken, *more)

    return deal(tuple(range(number)), sizes)


def drawn(scores: Floats, kinds: Whole, sizes: Whole, draws: int, rng: np.random.Generator) -> Floats:
    """Sums of scores by draw (row) and group, when the follow-ups are dealt at random.

    One kind of follow-up after the other is dealt into the room that each group still has.
    """
    room = np.tile(sizes, (draws, 1))
    sums = np.zeros(room.shape)
    for score, kind in zip(scores.tolist(), kinds.tolist(), strict=True):
        left = np.full(draws, kind)
        for group in range(len(sizes) - 1):
            others = room[:, group + 1 :].sum(axis=1)
            dealt = rng.hypergeometric(room[:, group], others, left)
            sums[:, group] += score * dealt
            room[:, group] -= dealt
            left -= dealt
        sums[:, -1] += score * left
        room[:, -1] -= left
    return sums


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(χ² > statistic) for whole degrees of freedom, by the series of Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    half = statistic / 2
    if half <= 0:
        return 1.0
    power = freedom % 2 / 2
    total = math.erfc(math.sqrt(half)) if freedom % 2 else 0.0
    while power < freedom / 2:
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
        power += 1
    return min(1.0, total)
