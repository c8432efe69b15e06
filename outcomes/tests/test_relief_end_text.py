"""When relief ended, in words."""

from types import SimpleNamespace
from typing import Any

import pytest

from outcomes.relief_end_text import ReliefEnded, relief_ended

LOST = {
    "unit": "day",
    "window_from": 180,
    "lost_after": 92,
    "lost_until": 166,
    "suspected_until": None,
    "loss_kind": "lost_early",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ReliefEnded(92, 166, "day", True, 180)),
        ({"lost_until": None, "suspected_until": 166}, ReliefEnded(92, 166, "day", False, 180)),
        ({"lost_until": None}, None),
        ({"lost_after": None}, None),  # no baseline, or confounded
        ({"lost_after": 0, "lost_until": 42, "loss_kind": ""}, None),  # never in relief: nothing ended
    ],
)
def test_what_is_counted_tells_when_relief_ended(
    changes: dict[str, Any], expected: ReliefEnded | None
) -> None:
    assert relief_ended(SimpleNamespace(**LOST | changes)) == expected
    assert relief_ended(None) is None


def test_the_interval_and_the_window_are_said_in_days_or_hours() -> None:
    days, hours = ReliefEnded(92, 166, "day", True, 180), ReliefEnded(90, 120, "minute", True, 240)
    assert str(days) == (
        "Relief ended after day 92 and by day 166; it was expected to last until day 180 at least."
    )
    assert str(hours) == (
        "Relief ended after hour 1.5 and by hour 2; it was expected to last until hour 4 at least."
    )
