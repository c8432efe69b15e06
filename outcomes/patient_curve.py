"""The patient's own pain as a small drawing: values in, SVG out. Pure.

It says what the sentence beside it says and nothing more: no window, no threshold, no verdict. The sentence is the text
alternative, so the drawing itself is hidden from screen readers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil

#: The drawing's own units; a page scales it. Scores from 0 at the foot to 10 at the top.
WIDTH, HEIGHT, SIDE, TOP, FOOT = 320, 170, 30, 30, 130
#: More points than this do not fit on a telephone: the first and the latest are kept.
MOST = 11
#: So much room a label wants; where points are nearer to each other, some stand without. The last one never does.
LABEL = 44


@dataclass(frozen=True)
class CurvePoint:
    """A score, 0–10. `label` stands under it, as short as it can be; `words` say when it was, in the sentence."""

    label: str
    words: str
    score: int


def sentence(points: Sequence[CurvePoint]) -> str:
    """The points in plain words: "Before: 8. Day 1: 5. Today: 3." """
    return " ".join(f"{point.words}: {point.score}." for point in points)


def sketch(points: Sequence[CurvePoint]) -> str:
    """An SVG element with the first and the latest points, evenly spaced; "" for fewer than two.

    What lies between "before" and now must be seen: relief that came and went within a day is the whole story.
    """
    shown = [points[0], *points[1:][-(MOST - 1) :]] if points else []
    if len(shown) < 2:
        return ""
    step = (WIDTH - 2 * SIDE) / (len(shown) - 1)
    places = [
        (round(SIDE + step * number, 1), round(FOOT - (FOOT - TOP) * point.score / 10, 1))
        for number, point in enumerate(shown)
    ]
    marks = "".join(
        f'<circle cx="{x}" cy="{y}" r="5"/><text x="{x}" y="{y - 11}" font-weight="700">{point.score}</text>'
        for point, (x, y) in zip(shown, places, strict=True)
    )
    every, last = ceil(LABEL / step), len(shown) - 1
    marks += "".join(
        f'<text x="{places[at][0]}" y="{HEIGHT - 16}" font-size="13">{escape(shown[at].label)}</text>'
        for at in [*range(0, last - every + 1, every), last]
    )
    path = " ".join(f"{x},{y}" for x, y in places)
    return (
        f'<svg class="own-curve" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" fill="currentColor" '
        f'font-size="16" text-anchor="middle"><path d="M{SIDE - 14} {FOOT}H{WIDTH - SIDE + 14}" '
        'stroke="currentColor" stroke-opacity=".4"/>'
        f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="2"/>{marks}</svg>'
    )
