"""Whether a trial passed: plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.trial_result import Outcome, Score, result


@pytest.mark.parametrize(
    ("scores", "until", "open_still", "outcome", "known", "relief"),
    [
        ({1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2}, 7, False, "passed", 7, 7),
        ({1: 2, 2: 2, 3: 2, 4: 2}, 7, True, "passed", 4, 4),  # four of seven days, whatever comes
        ({1: 2, 2: 2, 3: 2}, 7, False, "indeterminate", 3, 3),  # four days are not known
        ({1: 2, 2: 2, 3: 2}, 7, True, "too_early", 3, 3),
        ({1: 8, 2: 8, 3: 8, 4: 8}, 7, True, "failed", 4, 0),  # three days are left
        ({1: 8, 2: 8, 3: 8}, 7, True, "too_early", 3, 0),
        ({7: 2}, 7, False, "indeterminate", 1, 1),
        ({}, 7, False, "indeterminate", 0, 0),
        ({}, 7, True, "too_early", 0, 0),
        # The day itself and after it do not count.
        ({0: 2, 1: 2, 2: 2, 3: 2, 8: 2, 9: 2}, 7, False, "indeterminate", 3, 3),
        ({1: 4, 2: 4, 3: 4, 4: 4}, 7, False, "passed", 4, 4),  # exactly half is relief
        ({1: 2, 2: 2}, 2, False, "passed", 2, 2),
        ({0: 2}, 0, False, "passed", 1, 1),  # a single injection: the day itself
        ({}, -1, False, "indeterminate", 0, 0),  # out before it was in
        # Nobody has said when the lead came out.
        ({1: 2, 2: 2, 3: 2}, None, False, "indeterminate", 3, 3),
        ({1: 2, 2: 2, 3: 2}, None, True, "too_early", 3, 3),
        ({}, None, False, "indeterminate", 0, 0),
    ],
)
def test_a_trial_by_its_days(
    scores: dict[int, int], until: int | None, open_still: bool, outcome: str, known: int, relief: int
) -> None:
    found = result(
        [Score(at, score) for at, score in scores.items()],
        baseline=8,
        percent=50,
        days_percent=50,
        until=until,
        open_still=open_still,
    )
    assert (found.outcome, found.known, found.relief) == (outcome, known, relief)


@pytest.mark.parametrize(
    ("scores", "known", "relief"),
    [
        ([Score(1, 8, 0), Score(3, 2, 1), Score(7, 2, 3)], 7, 6),  # planned on days 1, 3 and 7
        ([Score(1, 8, 0), Score(7, 2, 3)], 5, 4),  # day 3 was not answered
        ([Score(3, 2, 1), Score(2, 8)], 2, 1),  # what was said on day 2 speaks for day 2
        ([Score(3, 2, 1), Score(3, 8)], 2, 1),  # of two on one day the last counts
    ],
)
def test_an_answer_speaks_for_the_days_since_the_planned_one_before(
    scores: list[Score], known: int, relief: int
) -> None:
    found = result(scores, baseline=8, percent=50, days_percent=50, until=7, open_still=False)
    assert (found.days, found.known, found.relief) == (7, known, relief)


@given(
    st.dictionaries(st.integers(0, 12), st.integers(0, 10)), st.integers(1, 100), st.integers(0, 10),
    st.integers(1, 10), st.integers(0, 10),
)  # fmt: skip
def test_what_is_certain_stands(scores: dict[int, int], share: int, until: int, day: int, score: int) -> None:
    rules = {"baseline": 8, "percent": 50, "days_percent": share, "until": until}
    kept = [Score(at, value) for at, value in scores.items()]
    before = result(kept, open_still=True, **rules)
    more = kept if day in scores else [*kept, Score(day, score)]
    after = result(more, open_still=False, **rules)
    if before.outcome in (Outcome.PASSED, Outcome.FAILED):
        assert after.outcome == before.outcome
    assert after.outcome != Outcome.TOO_EARLY
