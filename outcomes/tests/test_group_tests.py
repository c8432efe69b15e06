"""Whether relief lasts equally long in several groups; Kaplan-Meier and log-rank beside it."""

import math
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcomes.survival import (
    Intervals,
    Permutation,
    Score,
    UnusableData,
    compare,
    intervals,
    permute,
    pool,
    turnbull,
)
from outcomes.tests.exact_times import kaplan_meier, log_rank
from outcomes.tests.published import (
    MAINTAINED,
    MERCAPTOPURINE,
    NOT_MAINTAINED,
    PLACEBO,
    RADIOTHERAPY,
    WITH_CHEMOTHERAPY,
    Times,
)


def of(seen: list[tuple[float, float]]) -> Intervals:
    return intervals([group for group, _ in seen], [group for _, group in seen])


def exact(times: Times) -> Intervals:
    """Lost at t is (t − 1, t], watched until t is (t, infinity)."""
    return of([(at - 1, at) if lost else (at, inf) for at, lost in zip(*times, strict=True)])


BREAST = [of(RADIOTHERAPY), of(WITH_CHEMOTHERAPY)]
LEUKAEMIA = [exact(MERCAPTOPURINE), exact(PLACEBO)]
#: How long an example takes says nothing on a busy machine.
unhurried = settings(deadline=None)
seen_by_group = st.lists(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(1, 8), st.booleans()).map(
            lambda group: (float(group[0]), inf if group[2] else float(group[0] + group[1]))
        ),
        min_size=1,
        max_size=12,
    ),
    min_size=2,
    max_size=4,
)


# Published results


@pytest.mark.parametrize(
    ("score", "excess", "z", "p"),
    [
        (Score.SUN, 9.141846, 2.6684, 0.007622),
        (Score.WILCOXON, 5.656724, 2.1672, 0.03022),
    ],
)
def test_breast_retraction_gives_the_published_tests(score: Score, excess: float, z: float, p: float) -> None:
    """As the R package interval prints them, in the asymptotic permutation form (Fay and Shaw, J Stat Softw 2010)."""
    test = compare(BREAST, score=score)
    assert test.excess == pytest.approx((-excess, excess), abs=5e-7)
    assert math.sqrt(test.statistic) == pytest.approx(z, abs=5e-5)
    assert test.p == pytest.approx(p, abs=5e-6 if score is Score.WILCOXON else 5e-7)
    assert test.freedom == 1
    assert test.proof.converged


def test_mercaptopurine_keeps_remission() -> None:
    curve = kaplan_meier(*MERCAPTOPURINE)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.share.round(3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.lost.tolist() == [3, 1, 1, 1, 1, 1, 1]
    assert (curve.median, kaplan_meier(*PLACEBO).median) == (23, 8)
    test = log_rank([MERCAPTOPURINE, PLACEBO])
    assert test.observed == (9, 21)
    assert [round(group, 1) for group in test.expected] == [19.3, 10.7]
    assert test.statistic == pytest.approx(16.79294, abs=5e-6)
    assert test.p == pytest.approx(4.17e-5, abs=5e-8)


def test_maintenance_in_leukaemia() -> None:
    curve = kaplan_meier(*MAINTAINED)
    assert curve.times.tolist() == [9, 13, 18, 23, 31, 34, 48]
    assert curve.share.round(3).tolist() == [0.909, 0.818, 0.716, 0.614, 0.491, 0.368, 0.184]
    assert log_rank([MAINTAINED, NOT_MAINTAINED]).statistic == pytest.approx(3.396389, abs=5e-7)


def test_suns_scores_are_the_log_rank_tests_for_exact_times() -> None:
    test = log_rank([MERCAPTOPURINE, PLACEBO])
    gap = [seen - expected for seen, expected in zip(test.observed, test.expected, strict=True)]
    assert compare(LEUKAEMIA).excess == pytest.approx(gap, abs=1e-7)


# Kaplan-Meier's bands


def test_greenwoods_error_without_censoring_is_that_of_a_proportion() -> None:
    curve = kaplan_meier(*PLACEBO)
    share = curve.share[:-1]
    assert curve.error[:-1] == pytest.approx(np.sqrt(share * (1 - share) / 21))
    assert np.isnan([curve.error[-1], curve.low[-1], curve.high[-1]]).all()


def test_the_log_log_band_of_mercaptopurine() -> None:
    """At 10 weeks, from Greenwood's sum 3/(21·18) + 1/(17·16) + 1/(15·14) by hand."""
    curve = kaplan_meier(*MERCAPTOPURINE)
    total = 3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)
    share = 18 / 21 * 16 / 17 * 14 / 15
    assert curve.error[2] == pytest.approx(share * math.sqrt(total))
    far = 1.959964 * math.sqrt(total) / abs(math.log(share))
    assert (curve.low[2], curve.high[2]) == pytest.approx((share ** math.exp(far), share ** math.exp(-far)))
    inner = kaplan_meier(*MERCAPTOPURINE, level=0.5)
    assert curve.low[2] < inner.low[2] < share < inner.high[2] < curve.high[2]


def test_nobody_lost_relief() -> None:
    curve = kaplan_meier([14, 42], [False, False])
    assert curve.times.tolist() == []
    assert curve.median == inf
    assert log_rank([([14], [False]), ([42], [False])]).p == 1


def test_relief_can_be_lost_on_the_very_day_and_by_the_last_one() -> None:
    curve = kaplan_meier([0, 5], [True, True])
    assert (curve.times.tolist(), curve.share.tolist(), curve.quantile(1)) == ([0, 5], [0.5, 0], 5)


def test_the_last_one_at_risk_adds_no_variance() -> None:
    """By hand: one of 3, of 2 and of 1 is lost at 1, 2 and 3; expected 2/3 + 1/2 + 1, variance 2/9 + 1/4 + 0."""
    test = log_rank([([1, 3], [True, True]), ([2], [True])])
    assert test.observed == (2, 1)
    assert test.expected[0] == pytest.approx(13 / 6)
    assert test.statistic == pytest.approx(1 / 17)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, nan])
def test_a_share_outside_of_0_to_1_is_refused(share: float) -> None:
    for refuse in (
        lambda: kaplan_meier(*PLACEBO).quantile(share),
        lambda: kaplan_meier(*PLACEBO, level=share),
        lambda: kaplan_meier(*PLACEBO, level=1),
    ):
        with pytest.raises(UnusableData) as refused:
            refuse()
        assert refused.value.code == "not_a_share"


@pytest.mark.parametrize(
    ("times", "lost", "code"),
    [
        ([], [], "empty"),
        ([14, 42], [True], "lengths_differ"),
        ([-1], [True], "negative"),
        ([nan], [True], "not_a_number"),
        ([inf], [False], "infinite"),
        ([14], [2], "not_a_flag"),
    ],
)
def test_times_that_are_none_are_refused(times: list[float], lost: list[bool], code: str) -> None:
    with pytest.raises(UnusableData) as refused:
        kaplan_meier(times, lost)
    assert refused.value.code == code


# What holds for all data


@unhurried
@given(seen_by_group, st.sampled_from(Score))
def test_scores_follow_the_recipe(seen: list[list[tuple[float, float]]], score: Score) -> None:
    """Each follow-up's score from S at both of its ends, its sum a group, and the variance of a random arrangement."""
    groups = [of(group) for group in seen]
    curve = turnbull(pool(groups))
    tail = curve.tail

    def g(day: float) -> tuple[float, float]:
        past = int((curve.until <= day).sum())
        share = float(tail[past])
        hazard = float(sum(curve.mass[:past] / tail[:past]))
        if score is Score.FINKELSTEIN:
            return share, share * math.log(share) if share > 0 else 0.0
        return share, -share * hazard

    def scored(after: float, until: float) -> float:
        (a, high), (b, low) = g(after), g(until)
        return a + b - 1 if score is Score.WILCOXON else (high - low) / (a - b)

    each = [[scored(*pair) for pair in group] for group in seen]
    everyone = np.concatenate(each)
    variance = float(((everyone - everyone.mean()) ** 2).sum()) / (len(everyone) - 1)
    test = compare(groups, score=score)
    if variance < 1e-12:
        assert test.p == 1
        return
    excess = [sum(group) - len(group) * float(everyone.mean()) for group in each]
    assert test.excess == pytest.approx(excess, abs=1e-6)
    assert sum(test.excess) == pytest.approx(0, abs=1e-9)
    statistic = sum(far**2 / len(group) for far, group in zip(excess, each, strict=True)) / variance
    assert test.statistic == pytest.approx(statistic, rel=1e-5, abs=1e-6)
    if len(each) == 2:
        (group, two), number = map(len, each), len(everyone)
        z = excess[0] / math.sqrt(group * two / number * variance)
        assert test.statistic == pytest.approx(z**2, rel=1e-5, abs=1e-6)


@unhurried
@given(seen_by_group)
def test_the_order_of_groups_changes_nothing_but_the_order(seen: list[list[tuple[float, float]]]) -> None:
    test = compare([of(group) for group in seen])
    again = compare([of(group) for group in reversed(seen)])
    assert again.statistic == pytest.approx(test.statistic)
    assert again.excess[::-1] == pytest.approx(test.excess)


def test_equal_groups_do_not_differ() -> None:
    for score in Score:
        assert compare([BREAST[0], BREAST[0], BREAST[0]], score=score).p == pytest.approx(1)
    nothing = intervals([0, 0], [inf, inf])
    assert compare([nothing, nothing]).statistic == 0
    assert permute([nothing, nothing], seed=1).p == 1


@pytest.mark.parametrize("score", Score)
def test_the_test_keeps_its_level_and_finds_a_difference(score: Score) -> None:
    """Of 200 comparisons of the like about ten are below 0.05; of unlike ones nearly all."""
    dice = np.random.default_rng(1)
    check_ins = np.array([14, 42, 92, 184, 275, 366])

    def group(days: float) -> Intervals:
        ends = dice.exponential(days, 60)[:, None]
        answered = dice.random((60, 6)) < 0.6
        return intervals(
            np.where(answered & (check_ins < ends), check_ins, 0).max(axis=1),
            np.where(answered & (check_ins >= ends), check_ins, inf).min(axis=1),
        )

    like = sum(compare([group(150), group(150)], score=score).p < 0.05 for _ in range(200))
    unlike = sum(compare([group(60), group(400)], score=score).p < 0.05 for _ in range(50))
    assert 3 <= like <= 19
    assert unlike >= 48


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"),
    [
        (3.841459, 1, 0.05),
        (5.991465, 2, 0.05),
        (7.814728, 3, 0.05),
        (9.487729, 4, 0.05),
        (20.51501, 5, 0.001),
    ],
)
def test_chi_squares_tail_at_tabled_points(statistic: float, freedom: int, p: float) -> None:
    from outcomes.survival.group_tests import chi_square_tail

    assert chi_square_tail(statistic, freedom) == pytest.approx(p, rel=1e-5)


# Permutations


def test_few_follow_ups_are_permuted_exactly() -> None:
    """Three against three, wholly apart: 2 of the 20 arrangements are as far."""
    early, late = intervals([0, 1, 2], [1, 2, 3]), intervals([3, 4, 5], [4, 5, 6])
    result = permute([early, late], seed=1)
    assert result == Permutation(p=0.1, draws=None)
    assert permute([early, late], score=Score.WILCOXON, seed=7).p == 0.1
    three = permute([intervals([0], [1]), intervals([1, 2], [2, 3]), intervals([3], [4])], seed=1)
    assert three.draws is None
    assert three.p * 12 == pytest.approx(round(three.p * 12))


def test_many_are_drawn_the_same_for_the_same_seed_and_near_the_asymptotic_p() -> None:
    result = permute(BREAST, seed=1, draws=4999)
    assert result == permute(BREAST, seed=1, draws=4999)
    assert result.draws == 4999
    assert result.p == pytest.approx(compare(BREAST).p, abs=0.004)
    thirds = [BREAST[0], BREAST[1], LEUKAEMIA[0]]
    assert permute(thirds, seed=1, draws=4999).p == pytest.approx(compare(thirds).p, abs=0.02)


def test_drawn_and_exact_permutations_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [of(RADIOTHERAPY[:7]), of(WITH_CHEMOTHERAPY[:6])]
    looked = permute(groups, seed=1)
    assert looked.draws is None
    monkeypatch.setattr("outcomes.survival.group_tests.MOST_ARRANGEMENTS", 0)
    drawn = permute(groups, seed=1, draws=20_000)
    assert drawn.draws == 20_000
    assert drawn.p == pytest.approx(looked.p, abs=0.015)


def test_one_group_is_no_comparison() -> None:
    for refuse in (lambda: compare(BREAST[:1]), lambda: permute([], seed=1), lambda: log_rank([PLACEBO])):
        with pytest.raises(UnusableData) as refused:
            refuse()
        assert refused.value.code == "one_group"
    with pytest.raises(UnusableData, match="drawn"):
        permute(BREAST, draws=0, seed=1)


def test_a_drawn_p_is_never_nought() -> None:
    """The arrangement seen is one of them: groups wholly apart can be rarer than the draws can show."""
    early, late = intervals([0], [14], [100]), intervals([92], [184], [100])
    assert permute([early, late], draws=199, seed=1).p == 1 / 200
