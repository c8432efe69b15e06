"""How long relief lasts: the curve, its proof, its bands."""

from fractions import Fraction
from math import inf, isclose, nan
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outcomes.rates import wilson
from outcomes.survival import (
    Curve,
    CurvePiece,
    Floats,
    Intervals,
    Span,
    UnusableData,
    bands,
    bootstrap,
    intervals,
    turnbull,
)
from outcomes.tests.exact_times import kaplan_meier
from outcomes.tests.published import MERCAPTOPURINE, MICE, PLACEBO, RADIOTHERAPY, WITH_CHEMOTHERAPY, Times

Pair = tuple[float, float]
#: Small whole days meet often, so that ends are shared and nested.
pairs = st.tuples(st.integers(0, 12), st.integers(1, 12), st.booleans()).map(
    lambda interval: (float(interval[0]), inf if interval[2] else float(interval[0] + interval[1]))
)
#: How long an example takes says nothing on a busy machine.
unhurried = settings(deadline=None)
follow_ups = st.lists(pairs, min_size=1, max_size=40)


def of(seen: list[Pair]) -> Intervals:
    return intervals([interval for interval, _ in seen], [interval for _, interval in seen])


def spans(curve: Curve) -> list[tuple[float, float, float]]:
    return [
        (after, until, round(mass, 4))
        for after, until, mass in zip(curve.after, curve.until, curve.mass, strict=True)
    ]


# What is refused


@pytest.mark.parametrize(
    ("after", "until", "counts", "code"),
    [
        ([], [], None, "empty"),
        ([14, 42], [42], None, "lengths_differ"),
        ([14], [42], [1, 2], "lengths_differ"),
        ([42], [42], None, "not_an_interval"),
        ([42], [14], None, "not_an_interval"),
        ([inf], [inf], None, "not_an_interval"),
        ([-1], [14], None, "negative"),
        ([nan], [14], None, "not_a_number"),
        ([14], [nan], None, "not_a_number"),
        ([14], [None], None, "not_a_number"),
        (["soon"], [14], None, "not_a_number"),
        ([[14]], [[42]], None, "not_flat"),
        (14, 42, None, "not_flat"),
        ([14], [42], [-1], "counts"),
        ([14], [42], [0.5], "counts"),
        ([14], [42], [inf], "counts"),
        ([14], [42], [0], "empty"),
    ],
)
def test_what_is_no_interval_is_refused_with_its_code(
    after: object, until: object, counts: object, code: str
) -> None:
    with pytest.raises(UnusableData) as refused:
        intervals(after, until, counts)  # type: ignore[arg-type]
    assert refused.value.code == code
    assert isinstance(refused.value, ValueError)


# How follow-ups are counted


@unhurried
@given(
    st.lists(
        st.tuples(st.integers(0, 4000), st.integers(1, 4000), st.booleans(), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([1, 0.5]),
)
def test_many_different_times_are_counted_as_few_are(
    seen: list[tuple[int, int, bool, int]], unit: float
) -> None:
    """Tables too large for memory are sorted instead; whole days need no sorting. All count alike."""
    ends = [(unit * after, inf if never else unit * (after + more)) for after, more, never, _ in seen]
    counts = [number for *_, number in seen]
    expected: dict[Pair, int] = {}
    for pair, number in zip(ends, counts, strict=True):
        if number:
            expected[pair] = expected.get(pair, 0) + number
    if not expected:
        return
    for cells in (0, 1 << 26):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("outcomes.survival.data.MOST_CELLS", cells)
            data = intervals([interval for interval, _ in ends], [interval for _, interval in ends], counts)
            curve = turnbull(data)
        found = zip(data.after.tolist(), data.until.tolist(), data.counts.tolist(), strict=True)
        assert [((after, until), number) for after, until, number in found] == sorted(expected.items())
        assert data.total == curve.total == sum(counts)
        assert curve.proof.converged


def test_half_a_day_at_either_end_is_kept() -> None:
    assert spans(turnbull(of([(0, 1.5), (1.5, 2)]))) == [(0, 1.5, 0.5), (1.5, 2, 0.5)]
    assert spans(turnbull(of([(0, 1.5), (2, inf)]))) == [(0, 1.5, 0.5), (2, inf, 0.5)]


# The curve of few


def test_ends_that_only_touch_share_no_day() -> None:
    """One lost relief by day 42 and one after it: closed intervals would put both on day 42."""
    assert spans(turnbull(of([(14, 42), (42, 92)]))) == [(14, 42, 0.5), (42, 92, 0.5)]


def test_overlapping_intervals_lose_relief_where_they_overlap() -> None:
    assert spans(turnbull(of([(14, 92), (42, 184)]))) == [(42, 92, 1.0)]


def test_the_curve_is_undefined_inside_a_span_and_known_at_both_of_its_ends() -> None:
    curve = turnbull(of([(14, 42), (14, 42), (92, 184), (200, inf)]))
    assert curve.share(0) == curve.share(14) == (1, 1)
    assert curve.share(15) == curve.share(41.5) == pytest.approx((0.5, 1))
    assert curve.share(42) == curve.share(92) == pytest.approx((0.5, 0.5))
    assert curve.share(93) == pytest.approx((0.25, 0.5))
    assert curve.share(184) == curve.share(200) == pytest.approx((0.25, 0.25))
    assert curve.share(201) == pytest.approx((0, 0.25))
    pieces = [
        CurvePiece(0, 14, 1, 1),
        CurvePiece(14, 42, 0.5, 1),
        CurvePiece(42, 92, 0.5, 0.5),
        CurvePiece(92, 184, 0.25, 0.5),
        CurvePiece(184, 200, 0.25, 0.25),
        CurvePiece(200, inf, 0, 0.25),
    ]
    for found, piece in zip(curve.stretches(), pieces, strict=True):
        assert found == pytest.approx(piece)


def test_where_everybody_has_lost_relief_the_curve_ends_at_nought() -> None:
    assert turnbull(of([(14, 42)])).stretches() == [
        CurvePiece(0, 14, 1, 1),
        CurvePiece(14, 42, 0, 1),
        CurvePiece(42, inf, 0, 0),
    ]


def test_a_median_is_a_span_and_may_not_be_reached() -> None:
    assert turnbull(of([(14, 42), (92, 184), (92, 184)])).median == (92, 184)
    assert turnbull(of([(14, 42), (92, 184)])).median == (14, 42)  # half is reached here
    curve = turnbull(of([(14, 42), (92, inf), (92, inf)]))
    assert curve.median == Span(92, inf)
    assert curve.quantile(1 / 3) == (14, 42)
    assert curve.quantile(1) == (92, inf)


@pytest.mark.parametrize("lost", [0, -0.1, 1.1, nan])
def test_a_quantile_is_a_share(lost: float) -> None:
    with pytest.raises(UnusableData, match="share") as refused:
        turnbull(of([(14, 42)])).quantile(lost)
    assert refused.value.code == "not_a_share"


@pytest.mark.parametrize(("day", "code"), [(-1, "negative"), (inf, "infinite"), (nan, "not_a_number")])
def test_a_day_is_a_day(day: float, code: str) -> None:
    with pytest.raises(UnusableData) as refused:
        turnbull(of([(14, 42)])).share(day)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("seen", "span"),
    [
        ([(14.0, 42.0)], (14, 42)),  # one patient
        ([(0.0, 14.0)] * 3, (0, 14)),  # nobody ever responded
        (
            [(14.0, inf), (92.0, inf), (366.0, inf)],
            (366, inf),
        ),  # all censored: nothing is lost before day 366
        ([(0.0, inf)] * 5, (0, inf)),  # nothing is known at all
    ],
)
def test_the_plainest_cases(seen: list[Pair], span: Pair) -> None:
    curve = turnbull(of(seen))
    assert spans(curve) == [(*span, 1.0)]
    assert curve.proof.converged
    assert curve.proof.violation == 0
    assert curve.log_likelihood == 0
    assert curve.median == span


def test_how_many_are_known_at_a_day() -> None:
    in_relief, lost = of([(0, 14), (42, 92), (92, inf), (92, inf)]).known([0, 14, 50, 92, 93])
    assert in_relief.tolist() == [4, 3, 2, 2, 0]
    assert lost.tolist() == [0, 1, 1, 2, 2]


# Published results


def test_breast_retraction_loses_where_the_literature_says() -> None:
    """The masses that the R package interval prints for these data (Fay and Shaw, J Stat Softw 2010;36(2))."""
    assert spans(turnbull(of(RADIOTHERAPY))) == [
        (4, 5, 0.0463),
        (6, 7, 0.0334),
        (7, 8, 0.0887),
        (11, 12, 0.0708),
        (24, 25, 0.0926),
        (33, 34, 0.0818),
        (38, 40, 0.1209),
        (46, 48, 0.4656),
    ]
    assert [mass for *_, mass in spans(turnbull(of(WITH_CHEMOTHERAPY)))] == [
        *[0.0433, 0.0433, 0.0692, 0.1454, 0.1411, 0.1157, 0.0999, 0.0709, 0.1608, 0.0552, 0.0552]
    ]


def current_status(kinds: list[str]) -> list[Pair]:
    """Mice that died with a tumour had it by then; those without would have it later."""
    return [(0.0, float(day)) for kind in kinds for day in MICE[kind][0]] + [
        (float(day), inf) for kind in kinds for day in MICE[kind][1]
    ]


def test_lung_tumours_of_mice_agree_with_the_isotonic_regression_to_the_last_digit() -> None:
    seen = current_status(["conventional", "germ-free"])
    assert len(seen) == 144
    curve = turnbull(of(seen), tolerance=1e-12)
    steps = {
        371: Fraction(0),
        381: Fraction(1, 7),
        477: Fraction(2, 9),
        515: Fraction(1, 4),
        650: Fraction(1, 3),
    }
    steps |= {679: Fraction(1, 2), 698: Fraction(9, 17), 779: Fraction(9, 13), 839: Fraction(7, 10)}
    steps |= {888: Fraction(15, 18), 1008: Fraction(1)}
    assert curve.until.tolist() == sorted(steps)[1:]
    for day, lost in steps.items():
        low, high = curve.share(day)
        assert low == high == pytest.approx(1 - float(lost), abs=1e-10), day
    assert curve.mass[0] == pytest.approx(0.142857, abs=1e-6)
    assert curve.mass[-1] == pytest.approx(0.166667, abs=1e-6)


@pytest.mark.parametrize("times", [MERCAPTOPURINE, PLACEBO])
def test_weeks_known_exactly_give_the_kaplan_meier_curve(times: Times) -> None:
    agrees_with_kaplan_meier(*times)


# What holds for all data


@unhurried
@given(follow_ups)
@example([(0.0, 1.0), (0.0, inf), (1.0, 2.0)])
def test_every_fit_is_the_maximum_by_conditions_computed_anew(seen: list[Pair]) -> None:
    """Gentleman and Geyer's conditions on a matrix of follow-ups by instants, which the code never makes."""
    curve = turnbull(of(seen))
    assert curve.proof.converged
    assert curve.mass.min() > 0
    assert isclose(curve.mass.sum(), 1)
    # Any place for mass: between each two neighbouring ends, and after the last.
    ends = np.unique([end for interval in seen for end in interval if end < inf])
    places = np.append((ends[:-1] + ends[1:]) / 2, ends[-1] + 1)
    chance = [
        sum(m for a, b, m in zip(curve.after, curve.until, curve.mass, strict=True) if l <= a and b <= r)
        for l, r in seen  # noqa: E741
    ]
    for place in places:
        slope = sum(1 / p for p, (l, r) in zip(chance, seen, strict=True) if l < place <= r)  # noqa: E741
        assert slope <= len(seen) * (1 + 1e-8)
        if any(a < place < b for a, b in zip(curve.after, curve.until, strict=True)):
            assert slope == pytest.approx(len(seen))
    assert curve.log_likelihood == pytest.approx(float(np.log(chance).sum()), abs=1e-9)


@unhurried
@given(follow_ups)
def test_every_curve_is_what_its_own_follow_ups_expect(seen: list[Pair]) -> None:
    """Turnbull's self-consistency: each span has the mass that the follow-ups, given the curve, put into it."""
    curve = turnbull(of(seen))
    shares = np.zeros(len(curve.mass))
    for after, until in seen:
        inside = (curve.after >= after) & (curve.until <= until)
        shares += np.where(inside, curve.mass, 0) / curve.mass[inside].sum()
    assert shares / len(seen) == pytest.approx(curve.mass, abs=1e-8)


@unhurried
@given(follow_ups, st.integers(2, 5), st.randoms(use_true_random=False))
def test_neither_order_nor_doubling_nor_counting_changes_the_curve(
    seen: list[Pair], times: int, dice: Random
) -> None:
    curve = turnbull(of(seen))
    mixed = seen * times
    dice.shuffle(mixed)
    counted = intervals(
        [interval for interval, _ in seen], [interval for _, interval in seen], [times] * len(seen)
    )
    for other in (turnbull(of(mixed)), turnbull(counted)):
        assert other.total == times * curve.total
        same(curve, other)


@unhurried
@given(follow_ups, st.floats(0.1, 90))
def test_the_unit_does_not_matter(seen: list[Pair], factor: float) -> None:
    """Days or minutes, whole or not: only the order of the ends decides the masses."""
    curve = turnbull(of(seen))
    other = turnbull(of([(factor * interval, factor * two) for interval, two in seen]))
    assert other.mass == pytest.approx(curve.mass, abs=1e-7)
    assert other.after == pytest.approx(factor * curve.after)


@unhurried
@given(st.lists(st.tuples(st.integers(1, 15), st.booleans()), min_size=1, max_size=40))
def test_days_known_exactly_give_the_kaplan_meier_curve(seen: list[tuple[int, bool]]) -> None:
    agrees_with_kaplan_meier([float(day) for day, _ in seen], [lost for _, lost in seen])


@unhurried
@given(st.lists(st.tuples(st.integers(1, 15), st.booleans()), min_size=1, max_size=40))
def test_one_look_at_each_patient_gives_the_isotonic_regression(seen: list[tuple[int, bool]]) -> None:
    curve = turnbull(of([(0.0, float(day)) if lost else (float(day), inf) for day, lost in seen]))
    days = sorted({day for day, _ in seen})
    lost = isotonic(
        [sum(gone for at, gone in seen if at == day) for day in days],
        [sum(at == day for at, _ in seen) for day in days],
    )
    for day, share in zip(days, lost, strict=True):
        low, high = curve.share(day)
        assert 1 - high - 1e-7 <= share <= 1 - low + 1e-7


@settings(deadline=None, max_examples=8)
@given(st.integers(301, 420), st.integers(0, 2**32 - 1))
def test_many_cells_and_wildly_different_counts_end_at_the_maximum(number: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    after = dice.random(number) * 100
    until = after + dice.random(number) * 10
    counts = np.ceil(10 ** (6 * dice.random(number)))
    proof = turnbull(intervals(after, np.where(dice.random(number) < 0.1, inf, until), counts)).proof
    assert proof.converged, proof


def test_a_support_too_large_for_one_step_is_climbed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = intervals(range(60), [day + 1 for day in range(60)], [1 + day % 7 for day in range(60)])
    wide = intervals([*data.after, 3, 20], [*data.until, inf, 45], [*data.counts, 50, 30])
    whole = turnbull(wide)
    monkeypatch.setattr("outcomes.survival.estimate.MOST_AT_ONCE", 10)
    parts = turnbull(wide)
    assert parts.proof.converged
    same(whole, parts)


def test_a_fit_that_was_stopped_says_so() -> None:
    stopped = turnbull(of(RADIOTHERAPY), most_steps=0).proof
    assert not stopped.converged
    assert stopped.violation > stopped.tolerance


@unhurried
@given(follow_ups, st.integers(0, 3))
def test_a_stopped_fit_says_how_far_at_most_it_is_from_the_maximum(seen: list[Pair], steps: int) -> None:
    stopped, best = turnbull(of(seen), most_steps=steps), turnbull(of(seen))
    assert stopped.proof.converged == (stopped.proof.violation <= stopped.proof.tolerance)
    lacking = best.log_likelihood - stopped.log_likelihood
    assert -1e-8 <= lacking <= len(seen) * stopped.proof.violation + 1e-8


# Bands


def test_bands_hold_the_estimate_and_are_the_same_for_the_same_seed() -> None:
    data = of(RADIOTHERAPY)
    days = [0, 6, 12, 24, 36.5, 46, 47]
    interval, again, other = (bands(data, days, draws=60, seed=seed) for seed in (1, 1, 2))
    assert interval.unproven == 0
    assert (interval.band_low <= interval.low).all()
    assert (interval.low <= interval.high).all()
    assert (interval.high <= interval.band_high).all()
    assert interval.band_low.tolist() == again.band_low.tolist()
    assert interval.band_low.tolist() != other.band_low.tolist()
    assert (interval.band_low[0], interval.band_high[0]) == (1, 1)
    assert interval.low[-1] < interval.high[-1]


def test_bands_of_follow_ups_seen_on_the_same_days_are_those_of_a_proportion() -> None:
    """All seen on days 92 and 184: the share at day 92 is a plain proportion, whose error is known."""
    result = bands(intervals([0, 92, 184], [92, 184, inf], [300, 300, 400]), [92, 184], draws=2000, seed=1)
    for low, high, share in zip(result.band_low, result.band_high, (0.7, 0.4), strict=True):
        error = (share * (1 - share) / 1000) ** 0.5
        assert low == pytest.approx(share - 1.96 * error, abs=0.2 * error)
        assert high == pytest.approx(share + 1.96 * error, abs=0.2 * error)


def test_where_all_lies_on_one_side_the_band_is_as_wide_as_the_few_who_are_known_make_it() -> None:
    """Drawing anew from twenty who were all in relief on day 42 never shows anything else."""
    all_in = bands(intervals([42] * 20, [inf] * 20), [0, 0.5, 1, 42, 43], draws=20, seed=1)
    few = wilson(20, 20)[0]
    assert all_in.band_low.tolist() == pytest.approx([1, few, few, few, 0])  # after day 42 nothing is known
    assert all_in.band_high.tolist() == [1] * 5
    all_out = bands(intervals([0] * 20, [14] * 20), [0, 14, 20], draws=20, seed=1)
    assert all_out.band_low.tolist() == [1, 0, 0]
    assert all_out.band_high.tolist() == pytest.approx([1, *[wilson(0, 20)[1]] * 2])


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_band_of_those_who_are_known_is_the_interval_of_a_rate(pair: tuple[int, int]) -> None:
    count, known = pair
    share = np.array([count / known])
    low, high = bootstrap.wilson(share, share, np.array([known]), 0.95)
    assert (low[0], high[0]) == pytest.approx(wilson(count, known), abs=1e-9)
    wider = bootstrap.wilson(share, share, np.array([known]), 0.99)
    assert wider[0] <= low
    assert wider[1] >= high
    assert [bound[0] for bound in bootstrap.wilson(share, share, np.array([0]), 0.95)] == pytest.approx(
        [0, 1]
    )


def test_bands_hold_what_drawing_the_patients_anew_shows() -> None:
    """Drawn here patient by patient: at most 2.5 % lie below a band and 2.5 % above it, but for chance."""
    days = [12, 24, 36.5, 40, 46]
    result = bands(of(WITH_CHEMOTHERAPY), days, draws=300, seed=1)
    dice, patients = Random(2), 300
    below, above = np.zeros(len(days)), np.zeros(len(days))
    for _ in range(patients):
        low, high = turnbull(of(dice.choices(WITH_CHEMOTHERAPY, k=len(WITH_CHEMOTHERAPY)))).shares(days)
        below += low < result.band_low - 1e-9
        above += high > result.band_high + 1e-9
    assert (below / patients).max() < 0.06
    assert (above / patients).max() < 0.06


def test_draws_that_missed_the_maximum_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outcomes.survival.bootstrap.turnbull", lambda data: turnbull(data, most_steps=0))
    assert bands(of(RADIOTHERAPY), [6], draws=5, seed=1).unproven == 5


def test_two_draws_are_enough_to_have_a_band() -> None:
    assert bands(of(RADIOTHERAPY), [6], draws=2, seed=1).draws == 2


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"draws": 1}, "draws"),
        ({"level": 0}, "not_a_share"),
        ({"level": 1}, "not_a_share"),
        ({"days": [-1]}, "negative"),
    ],
)
def test_bands_refuse(more: dict[str, object], code: str) -> None:
    with pytest.raises(UnusableData) as refused:
        bands(of(RADIOTHERAPY), **({"days": [6], "seed": 1} | more))  # type: ignore[arg-type]
    assert refused.value.code == code


# Another program


def test_lifelines_agrees_when_its_closed_intervals_are_opened() -> None:
    lifelines = pytest.importorskip(
        "lifelines",
        reason="pip install lifelines, to compare with another program (it is large, so no lock has it)",
    )
    fitter = lifelines.KaplanMeierFitter()
    for seen in (RADIOTHERAPY, WITH_CHEMOTHERAPY, current_status(["conventional", "germ-free"])):
        after, until = (np.array(ends) for ends in zip(*seen, strict=True))
        fitter.fit_interval_censoring(after + 1e-6, until, tol=1e-10)
        curve = turnbull(of(seen))
        theirs = fitter.survival_function_
        for day in curve.until[np.isfinite(curve.until)]:
            lower = theirs["NPMLE_estimate_lower"][theirs.index <= day + 1e-9].iloc[-1]
            assert curve.share(day).low == pytest.approx(lower, abs=1e-3)


def agrees_with_kaplan_meier(times: list[float], lost: list[bool]) -> None:
    """Lost on day t is (t − 1, t], watched up to and including day t is (t, infinity)."""
    after = [time - 1 if gone else time for time, gone in zip(times, lost, strict=True)]
    until = [time if gone else inf for time, gone in zip(times, lost, strict=True)]
    curve, exact = turnbull(intervals(after, until)), kaplan_meier(times, lost)
    for when, share in zip(exact.times.tolist(), exact.share.tolist(), strict=True):
        assert curve.share(when).high == pytest.approx(share, abs=1e-8)
    assert curve.median.until == exact.median


def isotonic(events: list[int], looks: list[int]) -> list[float]:
    """The rising proportions nearest to events/looks: neighbours that fall are pooled until none does."""
    blocks: list[list[int]] = []
    for event, look in zip(events, looks, strict=True):
        blocks.append([event, look, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [interval + two for interval, two in zip(blocks[-1], last, strict=True)]
    return [event / look for event, look, days in blocks for _ in range(days)]


def same(curve: Curve, two: Curve) -> None:
    """The same curve, but for masses so small that either may leave them out."""
    days: Floats = np.unique(np.concatenate([curve.after, curve.until[np.isfinite(curve.until)]]))
    for mine, other in zip(curve.shares(days), two.shares(days), strict=True):
        assert mine == pytest.approx(other, abs=1e-7)
