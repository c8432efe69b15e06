"""A diagnostic block's diary: what is late, and how much of the expected time brought relief. Pure: no database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes.diary import Entry, Result, Share, late_after, result

HOURS = [30, 60, 120, 180, 240, 300, 360, 480, 720]


def block(scores: dict[int, int], **changes: object) -> Result:
    """A block with 80 % as the relief that counts and 2 to 12 hours of expected time, from a baseline of 10."""
    values: dict[str, object] = {
        "hours": HOURS,
        "baseline": 10,
        "percent": 80,
        "window_from": 120,
        "window_until": 720,
    }
    found = result({hour: Entry(score) for hour, score in scores.items()}, **values | changes)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_relief_all_the_time_is_all_of_it() -> None:
    found = block(dict.fromkeys(HOURS, 2))
    assert found.shares == (Share(120, 120, 0), Share(720, 720, 0))
    assert [share.percent for share in found.shares] == [100, 100]
    assert found.consistent
    assert (found.ended, found.positive) == (None, None)  # it was not seen to end


def test_relief_that_ends_after_three_hours() -> None:
    found = block({30: 1, 60: 1, 120: 2, 180: 2, 240: 3, 300: 8, 360: 9, 480: 9, 720: 9})
    assert [(share.relief_minutes, share.percent) for share in found.shares] == [(120, 100), (180, 25)]


def test_silence_is_told_and_is_neither_relief_nor_pain() -> None:
    found = block({30: 1, 120: 1})  # nothing was written at the first hour, nor after the second
    assert found.shares == (Share(120, 90, 30), Share(720, 90, 630))
    assert found.consistent is found.positive is None  # the hour between is not known
    assert (found.entries, found.late) == (2, 0)


@pytest.mark.parametrize(
    ("scores", "consistent", "ended", "positive"),
    [
        ({30: 1, 60: 1, 120: 2, 180: 2, 240: 3}, True, "with", True),
        ({30: 1, 60: 1, 120: 5}, True, "with", True),  # gone at the first hour at which it may be
        ({30: 1, 60: 1, 90: 5}, True, "before", False),
        ({30: 1, 60: 1}, True, None, None),  # not seen to end
        ({30: 1, 60: 1, 720: 1}, True, None, None),
        ({30: 1, 60: 1, 720: 1, 1440: 8}, True, "with", True),  # it may have ended at once after hour 12
        ({30: 1, 60: 1, 1440: 1}, True, "after", False),
        ({30: 1, 60: 1, 1440: 1, 10080: 9}, True, "after", False),
        ({30: 1, 60: 8, 90: 1, 120: 8, 180: 1, 240: 8, 300: 1, 360: 8, 480: 1, 720: 8}, False, None, False),
        ({30: 1, 60: 8, 120: 1}, None, None, None),  # what was not written may have been relief
        ({30: 8, 60: 8, 120: 1, 180: 1, 240: 9}, True, "with", True),  # it began late
        (dict.fromkeys([30, 60, 90, 120, 180, 240, 300, 360, 480, 720], 8), False, None, False),
        ({720: 1, 1440: 1}, None, None, None),  # the second of them is outside the expected time
        ({480: 1, 720: 1, 1440: 8}, True, "with", True),  # the last hour of the expected time is one of them
        (
            dict.fromkeys([30, 60, 90, 120, 180, 240, 300, 360], 8),
            None,
            None,
            None,
        ),  # two hours are open still
        (dict.fromkeys([30, 60, 90, 120, 180, 240, 300, 360, 480], 8), False, None, False),  # only one is
    ],
)
def test_a_block_is_positive_when_relief_is_consistent_and_ends_with_the_agent(
    scores: dict[int, int], consistent: bool | None, ended: str | None, positive: bool | None
) -> None:
    found = block(scores, hours=[30, 60, 90, *HOURS[2:], 1440, 10080])
    assert (found.consistent, found.ended, found.positive) == (consistent, ended, positive)


def test_how_many_hours_in_a_row_is_a_setting() -> None:
    scores = {30: 1, 60: 1, 120: 9, 180: 9, 240: 9, 300: 9, 360: 9, 480: 9, 720: 9}
    assert block(scores, in_a_row=2).positive
    assert block(scores, in_a_row=3).positive is False
    assert block({30: 1}, hours=[30], in_a_row=2).positive is None  # it cannot be told at all
    assert block({30: 9, 60: 9}, hours=[30, 60], in_a_row=2).positive is False


def test_the_threshold_is_compared_in_integers_and_the_share_is_cut() -> None:
    assert block({30: 2}).shares[0].relief_minutes == 30  # exactly 80 %
    assert block({30: 3}).shares[0].relief_minutes == 0
    assert Share(720, 719, 0).percent == 99


def test_time_beyond_the_last_planned_hour_is_unknown() -> None:
    found = block({30: 1, 60: 1}, hours=[30, 60], window_until=100, window_from=0)
    assert found.shares == (Share(100, 60, 40),)


def test_the_shorter_expected_time_is_told_first() -> None:
    assert [one.of_minutes for one in block({30: 1}, window_from=60).shares] == [60, 720]
    assert [one.of_minutes for one in block({30: 1}, window_from=720).shares] == [720]  # once


def test_medicine_and_late_entries_are_told() -> None:
    entries = {
        30: Entry(1, took_medicine=False),
        60: Entry(1, took_medicine=True, late=True),
        120: Entry(1, took_medicine=True),
    }
    found = result(entries, hours=HOURS, baseline=8, percent=80, window_from=120, window_until=720)
    assert found is not None
    assert (found.medicine_by, found.late, found.entries) == (60, 1, 3)


@pytest.mark.parametrize("baseline", [None, 0])
def test_without_a_baseline_nothing_is_computed(baseline: int | None) -> None:
    assert (
        result({30: Entry(0)}, hours=HOURS, baseline=baseline, percent=80, window_from=0, window_until=60)
        is None
    )


def test_without_an_expected_time_nothing_is_computed() -> None:
    assert result({30: Entry(0)}, hours=HOURS, baseline=8, percent=80, window_from=0, window_until=0) is None


def test_an_entry_is_late_after_half_the_gap_to_the_next() -> None:
    assert [late_after([30, 60, 120, 480], hour) for hour in (30, 60, 120, 480)] == [45, 90, 300, 660]
    assert late_after([60], 60) == 90


@given(
    st.dictionaries(st.sampled_from(HOURS), st.integers(0, 10)),
    st.integers(1, 10),
    st.integers(0, 900),
    st.integers(1, 900),
)
def test_minutes_are_counted_once(scores: dict[int, int], baseline: int, first: int, more: int) -> None:
    found = block(scores, baseline=baseline, window_from=first, window_until=first + more)
    for share in found.shares:
        assert 0 <= share.relief_minutes <= share.of_minutes - share.unknown_minutes
        assert 0 <= share.unknown_minutes <= share.of_minutes
