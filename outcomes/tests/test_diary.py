"""A test's diary: what is late, and whether the test was positive. Pure: no database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.diary_result import DiaryEntry, Result, late_after, result

HOURS = [30, 60, 120, 180, 240, 300, 360, 480, 720, 1440]


def block(scores: dict[float, int], **changes: object) -> Result:
    """A test with 80 % as the relief that counts and a window of hours 2 to 12, from a baseline of 10; by hours."""
    values: dict[str, object] = {
        "hours": HOURS,
        "baseline": 10,
        "percent": 80,
        "window_from": 120,
        "window_until": 720,
    }
    entries = {int(hour * 60): DiaryEntry(score) for hour, score in scores.items()}
    found = result(entries, **values | changes)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("scores", "outcome", "why", "decided"),
    [
        ({0.5: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 7, 6: 9}, "positive", "", 120),
        ({0.5: 0, 1: 0, 2: 5, 3: 8}, "negative", "", 120),  # relief at half an hour and one hour only
        ({0.5: 0, 1: 0, 2: 0, 3: 8}, "positive", "", 120),
        ({0.5: 8, 1: 9, 2: 9}, "negative", "", 120),
        ({0.5: 8}, "indeterminate", "not_covered", None),  # it may go on otherwise, and nobody wrote it down
        ({0.5: 8, 1: 8, 2: 8, 3: 0, 4: 0}, "negative", "", 120),  # pain came before
        ({0.5: 0, 1: 0}, "indeterminate", "open", None),
        (
            {0.5: 0, 1: 0, 3: 0, 4: 0},
            "positive",
            "",
            240,
        ),  # hour 2 is missing: 180 of 240 minutes are covered
        ({3: 0, 4: 0}, "indeterminate", "open", None),  # 120 of 240
        ({12: 0}, "indeterminate", "open", None),  # 660 of 720 minutes are not known
        ({8: 0, 12: 0}, "indeterminate", "open", None),
        (dict.fromkeys([0.5, 1, 2, 3, 4, 5, 6, 8, 12, 24], 0), "positive", "", 120),  # through 24 hours
        ({2: 8}, "indeterminate", "not_covered", None),  # half of the time up to it
        ({1: 0, 2: 8}, "negative", "", 120),  # 90 of 120 minutes: exactly enough
        ({1: 0, 3: 8}, "indeterminate", "not_covered", None),  # 90 of 180
        ({0.5: 0, 2: 8}, "negative", "", 120),
        ({0.5: 0, 1: 9, 2: 0, 3: 0}, "negative", "", 120),
        ({}, "indeterminate", "open", None),
    ],
)
def test_what_a_diary_shows(scores: dict[float, int], outcome: str, why: str, decided: int | None) -> None:
    found = block(scores)
    assert (found.outcome, found.why, found.decided_at) == (outcome, why, decided)


def test_pain_medicine_within_the_window_leaves_it_open() -> None:
    good = {30: DiaryEntry(0), 60: DiaryEntry(0), 120: DiaryEntry(0), 180: DiaryEntry(0, took_medicine=True)}
    rules = {"hours": HOURS, "baseline": 10, "percent": 80, "window_from": 120, "window_until": 720}
    found = result(good, **rules)  # type: ignore[arg-type]
    assert found is not None
    assert (found.outcome, found.why, found.medicine_by) == ("indeterminate", "medicine", 180)
    late = {hour: DiaryEntry(0, took_medicine=hour == 1440) for hour in HOURS}
    found = result(late, **rules)  # type: ignore[arg-type]
    assert found is not None
    assert (found.outcome, found.medicine_by) == ("positive", 1440)


def test_long_relief_is_a_remark() -> None:
    assert block(dict.fromkeys([0.5, 1, 2, 3, 4, 5, 6, 8, 12, 24], 0)).long_relief
    assert not block(dict.fromkeys([0.5, 1, 2, 3, 4, 5, 6, 8, 12], 0)).long_relief
    assert not block({0.5: 0, 1: 0, 2: 0, 3: 8, 24: 0}).long_relief  # it was gone in between


def test_the_share_of_the_window_that_entries_cover() -> None:
    found = block({0.5: 0, 2: 0})  # 30 minutes, and the hour before hour 2
    assert (found.covered_minutes, found.relief_minutes, found.covered_percent) == (90, 90, 12)
    found = block({0.5: 0, 1: 8})
    assert (found.covered_minutes, found.relief_minutes) == (60, 30)


def test_the_order_in_which_entries_came_changes_nothing() -> None:
    entries = {60: DiaryEntry(0), 30: DiaryEntry(0), 180: DiaryEntry(9), 120: DiaryEntry(0)}
    rules = {"hours": HOURS, "baseline": 10, "percent": 80, "window_from": 120, "window_until": 720}
    assert result(entries, **rules) == result(dict(sorted(entries.items())), **rules)  # type: ignore[arg-type]


def test_the_threshold_is_compared_in_integers_and_shares_are_cut() -> None:
    assert block({0.5: 2, 1: 2, 2: 2}).outcome == "positive"  # exactly 80 %
    assert block({0.5: 2, 1: 2, 2: 3}).outcome == "negative"


def test_how_many_hours_in_a_row_is_a_setting() -> None:
    scores: dict[float, int] = {0.5: 0, 1: 0, 2: 0, 3: 8}
    assert block(scores, in_a_row=3).outcome == "positive"
    assert block(scores, in_a_row=4).outcome == "negative"


@pytest.mark.parametrize("baseline", [None, 0])
def test_without_a_baseline_nothing_is_computed(baseline: int | None) -> None:
    rules = {"hours": HOURS, "percent": 80, "window_from": 0, "window_until": 60}
    assert result({30: DiaryEntry(0)}, baseline=baseline, **rules) is None  # type: ignore[arg-type]


def test_without_a_window_nothing_is_computed() -> None:
    assert (
        result({30: DiaryEntry(0)}, hours=HOURS, baseline=8, percent=80, window_from=0, window_until=0)
        is None
    )


def test_an_entry_is_late_after_half_the_gap_to_the_next() -> None:
    assert [late_after([30, 60, 120, 480], hour) for hour in (30, 60, 120, 480)] == [45, 90, 300, 660]
    assert late_after([60], 60) == 90


@given(
    st.dictionaries(st.sampled_from(HOURS), st.integers(0, 10)),
    st.integers(1, 10),
    st.integers(0, 900),
    st.integers(1, 900),
    st.sampled_from(HOURS),
    st.integers(0, 10),
)
def test_minutes_are_counted_once_and_a_result_stands(
    scores: dict[int, int], baseline: int, first: int, more: int, hour: int, score: int
) -> None:
    rules = {"hours": HOURS, "baseline": baseline, "percent": 80}
    window = {"window_from": first, "window_until": first + more}
    found = result({at: DiaryEntry(score) for at, score in scores.items()}, **rules, **window)  # type: ignore[arg-type]
    assert found is not None
    assert 0 <= found.relief_minutes <= found.covered_minutes <= found.window_minutes
    if found.outcome != "indeterminate" and hour > max([*scores, found.decided_at or 0]):
        more_entries = {at: DiaryEntry(first) for at, first in {**scores, hour: score}.items()}
        assert result(more_entries, **rules, **window).outcome == found.outcome  # type: ignore[arg-type, union-attr]
