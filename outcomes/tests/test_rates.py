"""Shares with their bounds, and what silence could change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.rates import rate, share, wilson


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """How many of how many, at least one."""
    of = draw(st.integers(1, 10**6))
    return draw(st.integers(0, of)), of


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        # Newcombe's four examples (Stat Med 1998;17:857-872, table I), computed with statsmodels 0.15,
        # proportion_confint(count, of, method="wilson").
        (81, 263, 0.255289, 0.366210),
        (15, 148, 0.062386, 0.160487),
        (0, 20, 0.0, 0.161125),
        (1, 29, 0.006113, 0.171755),
    ],
)
def test_bounds_are_those_that_another_program_computes(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=5e-7)


@given(counts())
def test_bounds_solve_wilsons_equation(pair: tuple[int, int]) -> None:
    """Each bound is a share from which the observed one is just 1.96 of its own standard errors away."""
    count, of = pair
    for bound in wilson(count, of):
        error = 1.959964**2 * bound * (1 - bound) / of
        assert (count / of - bound) ** 2 == pytest.approx(error, rel=1e-5, abs=1e-12)


@given(counts())
def test_bounds_hold_the_share_and_lie_between_none_and_all(pair: tuple[int, int]) -> None:
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1
    assert low < high


@given(counts(), st.integers(2, 50))
def test_bounds_are_wider_of_fewer(pair: tuple[int, int], times: int) -> None:
    few, many = wilson(*pair), wilson(pair[0] * times, pair[1] * times)
    assert few[0] <= many[0]
    assert many[1] <= few[1]
    assert many[1] - many[0] < few[1] - few[0]


@given(counts())
def test_bounds_of_a_share_mirror_those_of_its_rest(pair: tuple[int, int]) -> None:
    low, high = wilson(*pair)
    assert wilson(pair[1] - pair[0], pair[1]) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, int]:
    treated = draw(st.integers(0, 5000))
    due = draw(st.integers(0, treated))
    answered = draw(st.integers(0, due))
    return {
        "treated": treated,
        "due": due,
        "answered": answered,
        "count": draw(st.integers(0, answered)),
    }


@given(answers(), st.integers(1, 20))
def test_what_the_silent_could_change_lies_around_what_was_answered(
    numbers: dict[str, int], smallest: int
) -> None:
    found = rate(**numbers, smallest=smallest)
    if found.hidden:
        assert 0 < numbers["answered"] < smallest
        assert (found.count, found.complete, found.worst, found.best) == (None,) * 4
        return
    if found.worst and found.best and found.complete:
        assert found.worst.value <= found.complete.value <= found.best.value
    for shown in (found.response, found.complete, found.worst, found.best):
        assert shown is None or 0 <= shown.low <= shown.value <= shown.high <= 1
    assert (found.complete is None) == (numbers["answered"] == 0)
    assert (found.response is None) == (numbers["due"] == 0)


def test_a_share_of_nobody_is_none() -> None:
    assert share(0, 0) is None


@pytest.mark.parametrize(
    ("answered", "smallest", "hidden"),
    [(0, 5, False), (1, 5, True), (4, 5, True), (5, 5, False), (1, 1, False)],
)
def test_a_rate_of_few_is_hidden_with_what_could_tell_it(answered: int, smallest: int, hidden: bool) -> None:
    """Of nobody there is nothing to hide. How many were due and how many answered is told all the same."""
    found = rate(treated=30, due=20, answered=answered, count=answered, smallest=smallest)
    assert found.hidden is hidden
    assert (found.count, found.worst, found.best) == (None,) * 3 if hidden else found.count == answered
    assert (found.treated, found.due, found.answered) == (30, 20, answered)
    assert found.response
    assert (found.response.count, found.response.of) == (answered, 20)


def test_without_a_smallest_cell_one_answer_is_shown() -> None:
    assert rate(treated=1, due=1, answered=1, count=1).count == 1


def test_nobody_is_counted_twice() -> None:
    """Of 100 treated 80 were due, 50 answered and 20 of them had responded."""
    found = rate(treated=100, due=80, answered=50, count=20)
    pairs = [
        (shown.count, shown.of)
        for shown in (found.response, found.complete, found.worst, found.best)
        if shown
    ]
    assert pairs == [(50, 80), (20, 50), (20, 80), (50, 80)]
