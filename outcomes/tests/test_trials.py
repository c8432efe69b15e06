"""Whether a trial passed: plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.trials import Outcome, result


@pytest.mark.parametrize(
    ("scores", "ended", "outcome", "known", "relief"),
    [
        ({1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2}, True, "passed", 7, 7),
        ({1: 2, 2: 2, 3: 2, 4: 2}, False, "passed", 4, 4),  # four of seven days, whatever comes
        ({1: 2, 2: 2, 3: 2}, True, "indeterminate", 3, 3),  # four days are not known
        ({1: 2, 2: 2, 3: 2}, False, "too_early", 3, 3),
        ({1: 8, 2: 8, 3: 8, 4: 8}, False, "failed", 4, 0),  # three days are left
        ({1: 8, 2: 8, 3: 8}, False, "too_early", 3, 0),
        ({7: 2}, True, "indeterminate", 1, 1),
        ({}, True, "indeterminate", 0, 0),
        ({}, False, "too_early", 0, 0),
        (
            {0: 2, 1: 2, 2: 2, 3: 2, 8: 2, 9: 2},
            True,
            "indeterminate",
            3,
            3,
        ),  # the day itself and after it do not count
        ({1: 4, 2: 4, 3: 4, 4: 4}, True, "passed", 4, 4),  # exactly half is relief
    ],
)
def test_a_trial_by_its_days(
    scores: dict[int, int], ended: bool, outcome: str, known: int, relief: int
) -> None:
    found = result(scores, baseline=8, percent=50, days_percent=50, until=7, ended=ended)
    assert (found.outcome, found.days, found.known, found.relief) == (outcome, 7, known, relief)


@given(
    st.dictionaries(st.integers(0, 12), st.integers(0, 10)), st.integers(1, 100), st.integers(1, 10),
    st.integers(1, 10), st.integers(0, 10),
)  # fmt: skip
def test_what_is_certain_stands(scores: dict[int, int], share: int, until: int, day: int, score: int) -> None:
    rules = {"baseline": 8, "percent": 50, "days_percent": share, "until": until}
    before = result(scores, ended=False, **rules)
    after = result({day: score, **scores}, ended=True, **rules)
    if before.outcome in (Outcome.PASSED, Outcome.FAILED):
        assert after.outcome == before.outcome
    assert after.outcome != Outcome.TOO_EARLY
