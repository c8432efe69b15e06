"""When relief ended, in words, from what reports count of a course. Pure: plain values in, plain values out."""

from dataclasses import dataclass
from typing import Protocol


class SummaryColumns(Protocol):
    """The columns of `outcomes.models.CourseSummary` that are read here, with the meaning that they have there."""

    unit: str
    window_from: int
    lost_after: int | None
    lost_until: int | None
    suspected_until: int | None
    loss_kind: str


@dataclass(frozen=True)
class ReliefEnded:
    """Relief ended later than `after` and not later than `until`, in `unit` ("day" or "minute") after the procedure.

    `confirmed` False: one bad score says so, and nothing confirms it yet. `expected`: START, until which relief was
    expected to last at least.
    """

    after: int
    until: int
    unit: str
    confirmed: bool
    expected: int

    def __str__(self) -> str:
        """As staff read it: "Relief ended after day 92 and by day 166; it was expected to last until day 180 at
        least."."""
        after, until, expected = (self.words(at) for at in (self.after, self.until, self.expected))
        return (
            f"Relief ended after {after} and by {until}; it was expected to last until {expected} at least."
        )

    def words(self, at: int) -> str:
        return f"day {at}" if self.unit == "day" else f"hour {round(at / 60, 1):g}"


def relief_ended(counted: SummaryColumns | None) -> ReliefEnded | None:
    """When the relief of a course ended, confirmed or not; None while it has not, or never was."""
    if counted is None or counted.lost_after is None or not counted.loss_kind:
        return None
    until = counted.suspected_until if counted.lost_until is None else counted.lost_until
    if until is None:
        return None
    return ReliefEnded(
        counted.lost_after, until, counted.unit, counted.lost_until is not None, counted.window_from
    )
