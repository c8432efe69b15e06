"""When half have lost their relief: between which days the band holds one half, and how that is said."""

from math import inf

import numpy as np
import pytest

from outcomes.admin.reports.curves import half_words
from outcomes.reports.curves import HalfLost, half_lost
from outcomes.survival import Bands, Span

PLACES = np.array([0.0, 100, 200, 300, 400])
ESTIMATE = Span(200, 300)


def band(low: list[float], high: list[float]) -> Bands:
    """A band with these ends at PLACES; the estimate in between is not looked at."""
    lows, highs = np.array([1, *low]), np.array([1, *high])
    return Bands(PLACES, lows, highs, lows, highs, level=0.95, draws=2, unproven=0)


@pytest.mark.parametrize(
    ("low", "high", "estimate", "expected"),
    [
        ([0.7, 0.45, 0.3, 0.2], [0.9, 0.8, 0.6, 0.45], ESTIMATE, HalfLost(250, 100, 400)),
        ([0.7, 0.6, 0.3, 0.2], [0.9, 0.8, 0.4, 0.3], ESTIMATE, HalfLost(250, 200, 300)),
        ([0.4, 0.4, 0.3, 0.2], [0.9, 0.8, 0.6, 0.45], ESTIMATE, None),  # from the beginning on: open
        ([0.7, 0.45, 0.3, 0.2], [0.9, 0.8, 0.6, 0.5], ESTIMATE, None),  # up to the last place: open
        ([0.7, 0.6, 0.6, 0.6], [0.9, 0.8, 0.8, 0.8], Span(400, inf), None),  # half have not lost it yet
        ([0.3, 0.2, 0.1, 0.0], [0.4, 0.4, 0.3, 0.2], Span(0, 100), None),  # before anything was known
        ([0.7, 0.6, 0.3, 0.2], [0.9, 0.8, 0.4, 0.3], Span(0, 100), HalfLost(200, 200, 300)),
    ],
)
def test_the_band_tells_when_half_have_lost_their_relief(
    low: list[float], high: list[float], estimate: Span, expected: HalfLost | None
) -> None:
    assert half_lost(PLACES, band(low, high), estimate) == expected


@pytest.mark.parametrize(
    ("half", "unit", "words"),
    [
        (HalfLost(274, 190, 390), "day", "about 9 months; between 6 and 13"),  # outwards: nothing is cut off
        (HalfLost(40, 21, 62), "day", "about 40 days; between 21 and 62"),
        (HalfLost(90, 30, 240), "minute", "about 1.5 hours; between 0.5 and 4.0"),
    ],
)
def test_it_is_said_in_words(half: HalfLost, unit: str, words: str) -> None:
    assert half_words(half, unit) == words
    assert half_words(None, unit) not in ("", words)
