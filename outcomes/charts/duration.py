"""The chart of how long relief lasts: one curve, or two to compare, with the number known under it. Pure.

Where the data do not say how a curve falls, a box is drawn and no line. Two groups differ in their dashes and hatching;
each has its rows under the axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from outcomes.charts.svg import (
    CHARACTER,
    framed,
    hatch,
    legend,
    line,
    marks,
    shortened,
    text,
    when,
)

#: The drawing's own units; a page scales it. Its height depends on the rows under it.
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 132, 736, 46, 286
ROW = 17


class CurvePiece(Protocol):
    """See `outcomes.reports.curves.CurvePiece`; shares 0–1, `ends` None without end."""

    @property
    def begins(self) -> float: ...
    @property
    def ends(self) -> float | None: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Place(Protocol):
    """See `outcomes.reports.curves.CurveAtDay`."""

    @property
    def at(self) -> float: ...
    @property
    def band_low(self) -> float: ...
    @property
    def band_high(self) -> float: ...
    @property
    def known_in(self) -> int: ...
    @property
    def known_out(self) -> int: ...


@dataclass(frozen=True)
class Curve:
    """One group's curve. `name` is "" where there is but one; `median` (after, until), until None: not reached."""

    name: str
    total: int
    pieces: Sequence[CurvePiece]
    places: Sequence[Place]
    median: tuple[float, float | None] | None


@dataclass(frozen=True)
class Labels:
    """The words on the chart, in the reader's language."""

    title: str
    description: str
    window: str = "relief expected to end"
    unconfirmed: str = "unconfirmed"
    known: str = "share still in relief"
    undefined: str = "it falls somewhere inside"
    band: str = "95 % band, each day by itself"
    median: str = "half have lost it"
    axis: str = "days since the procedure"
    axis_hours: str = "hours since the procedure"
    number: str = "How many are"
    known_in: str = "known in relief"
    known_out: str = "known lost"
    unknown: str = "not known"


@dataclass(frozen=True)
class Style:
    """How a group is told apart: the class for its colour, dashes of its line and its band, degrees of its hatching."""

    kind: str
    dashes: str
    band: str
    degrees: int


STYLES = (
    Style("chart-first", "", "", 45),
    Style("chart-second", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 3"', -45),
)


@dataclass(frozen=True)
class Scale:
    """Where a time and a share lie. `until`: the last time that is drawn."""

    until: float

    def x(self, at: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * min(max(at, 0), self.until) / self.until, 1)

    def y(self, share: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * share, 1)


def draw(
    curves: Sequence[Curve],
    labels: Labels,
    *,
    name: str,
    unit: str,
    window: tuple[int, int] | None,
    until: float,
    confirmed: bool = False,
) -> str:
    """An SVG element of one or two curves in `unit`, up to `until`, with the expected window where there is one.

    `confirmed`: a physician stands by the window.
    """
    scale = Scale(max(until, 1.0))
    parts = [hatch(f"{name}-window", opacity=0.16)]
    parts += [
        hatch(f"{name}-box-{number}", degrees=style.degrees, gap=5, opacity=0.35)
        for number, style in enumerate(STYLES[: len(curves)])
    ]
    if window:
        parts.append(window_of(window, labels, scale, name, unit, confirmed=confirmed))
    parts.append(grid(labels, scale, unit))
    for number, (curve, style) in enumerate(zip(curves, STYLES, strict=False)):
        # Two surfaces on each other could not be told apart: of two curves only the bands' edges are drawn.
        drawn = band(curve, scale, style, filled=len(curves) == 1)
        drawn += curve_of(curve, scale, style, f"{name}-box-{number}")
        parts.append(f'<g class="{style.kind}">{drawn}</g>')
    for number, (curve, style) in enumerate(zip(curves, STYLES, strict=False)):
        parts.append(f'<g class="{style.kind}">{median(curve, scale, number)}</g>')
    rows, foot = table(curves, labels, scale, unit)
    parts.append(rows)
    signs, lines = legend(entries(curves, labels, name), x=8, y=foot + 26, until=WIDTH - 8)
    parts.append(signs)
    return framed(
        parts,
        name=name,
        kind="duration-chart",
        title=labels.title,
        description=labels.description,
        width=WIDTH,
        height=foot + 18 + 18 * lines,
    )


def window_of(
    window: tuple[int, int], labels: Labels, scale: Scale, name: str, unit: str, *, confirmed: bool
) -> str:
    """The expected window, hatched and named; it is open where it goes on beyond the edge."""
    left, right = scale.x(window[0]), scale.x(window[1])
    cut = window[1] > scale.until
    words = f"{labels.window}: {when(window[0], unit)}–{when(window[1], unit)}{' →' if cut else ''}"
    words += "" if confirmed else f" ({labels.unconfirmed})"
    half = len(words) * CHARACTER / 2
    middle = min(max((left + right) / 2, LEFT + half), WIDTH - 8 - half)
    edges = [left] if cut else [left, right]
    return (
        f'<rect x="{left}" y="{TOP}" width="{max(round(right - left, 1), 2)}" height="{BOTTOM - TOP}" '
        f'fill="url(#{name}-window)"/>'
        + "".join(line(x, TOP - 6, x, BOTTOM, 'stroke-opacity=".55" stroke-dasharray="2 3"') for x in edges)
        + text(round(middle, 1), TOP - 16, words, anchor="middle")
    )


def grid(labels: Labels, scale: Scale, unit: str) -> str:
    """The shares at the left, the time at the foot."""
    parts = [
        line(LEFT, scale.y(share / 100), RIGHT, scale.y(share / 100), 'stroke-opacity=".14"')
        + text(LEFT - 8, scale.y(share / 100) + 4, f"{share} %", anchor="end")
        for share in range(0, 101, 25)
    ]
    parts.append(line(LEFT, scale.y(0.5), RIGHT, scale.y(0.5), 'stroke-opacity=".5" stroke-dasharray="1 4"'))
    parts += [
        line(scale.x(at), BOTTOM, scale.x(at), BOTTOM + 5, 'stroke-opacity=".6"')
        + text(scale.x(at), BOTTOM + 20, when(at, unit), anchor="middle")
        for at in marks(scale.until, unit)
    ]
    axis = labels.axis_hours if unit == "minute" else labels.axis
    return (
        line(LEFT, BOTTOM, RIGHT, BOTTOM, 'stroke-opacity=".6"')
        + "".join(parts)
        + text((LEFT + RIGHT) / 2, BOTTOM + 38, axis, anchor="middle")
    )


def band(curve: Curve, scale: Scale, style: Style, *, filled: bool) -> str:
    """The pointwise band: two thin lines, `filled` with a light surface between them."""
    places = [place for place in curve.places if place.at <= scale.until]
    if len(places) < 2:
        return ""
    upper = [f"{scale.x(place.at)},{scale.y(place.band_high)}" for place in places]
    lower = [f"{scale.x(place.at)},{scale.y(place.band_low)}" for place in places]
    edges = "".join(
        f'<polyline points="{" ".join(edge)}" fill="none" stroke="currentColor" stroke-opacity=".45" '
        f'stroke-width="1"{style.band}/>'
        for edge in (upper, lower)
    )
    if not filled:
        return edges
    return f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill-opacity=".09"/>{edges}'


def curve_of(curve: Curve, scale: Scale, style: Style, fill: str) -> str:
    """The known pieces as lines, the undefined ones as boxes between their bounds."""
    parts = []
    for piece in curve.pieces:
        if piece.begins >= scale.until:
            continue
        left, right = scale.x(piece.begins), scale.x(scale.until if piece.ends is None else piece.ends)
        top, bottom = scale.y(piece.high), scale.y(piece.low)
        if piece.high - piece.low < 1e-9:
            parts.append(
                f'<path class="chart-known" d="M{left} {top}H{max(right, left + 0.1)}" fill="none" '
                f'stroke="currentColor" stroke-width="2.5"{style.dashes}/>'
            )
        else:
            parts.append(
                f'<rect class="chart-undefined" x="{left}" y="{top}" width="{max(round(right - left, 1), 1)}" '
                f'height="{max(round(bottom - top, 1), 1)}" fill="url(#{fill})" stroke="currentColor" '
                f'stroke-width="1"{style.dashes}/>'
            )
    return "".join(parts)


def median(curve: Curve, scale: Scale, number: int) -> str:
    """The span of the median as a bar with ends, on the line of 50 %; an arrow where it goes on beyond the edge.

    A span that begins at the edge or beyond it is an arrow outside.
    """
    if curve.median is None:
        return ""
    after, until = curve.median
    y = scale.y(0.5) + 5 * number
    left, right = scale.x(after), scale.x(scale.until if until is None else until)
    goes_on = until is None or until > scale.until
    if after >= scale.until:
        left, right = RIGHT + 2.0, WIDTH - 4.0
    end = (
        f'<path d="M{right - 8} {y - 5}L{right} {y}L{right - 8} {y + 5}" fill="none" stroke="currentColor" '
        'stroke-width="2"/>'
        if goes_on
        else line(right, y - 6, right, y + 6, 'stroke-width="2"')
    )
    return (
        f'<g class="chart-median">{line(left, y, right, y, HALO_LINE)}'
        f"{line(left, y, right, y, THICK)}{line(left, y - 6, left, y + 6, ENDS)}{end}</g>"
    )


THICK, ENDS = 'stroke-width="3.5"', 'stroke-width="2"'
#: Under the bar of the median, so that it stands out from boxes and bands.
HALO_LINE = 'stroke-width="7" style="stroke: var(--chart-paper, #fff)"'


def table(curves: Sequence[Curve], labels: Labels, scale: Scale, unit: str) -> tuple[str, float]:
    """Under each mark of the axis, how many are known; and where the last row stands."""
    y = BOTTOM + 62.0
    parts = [text(8, y, labels.number, more=' font-weight="600"')]
    for curve in curves:
        at = {place.at: place for place in curve.places}
        shown = [at[mark] for mark in marks(scale.until, unit) if mark in at]
        if curve.name:
            y += ROW
            parts.append(text(8, y, shortened(curve.name, 90), more=' font-weight="600"'))
        for words, numbers in (
            (labels.known_in, [place.known_in for place in shown]),
            (labels.known_out, [place.known_out for place in shown]),
            (labels.unknown, [curve.total - place.known_in - place.known_out for place in shown]),
        ):
            y += ROW
            parts.append(text(8, y, words))
            parts += [
                text(scale.x(place.at), y, str(number), anchor="middle")
                for place, number in zip(shown, numbers, strict=True)
            ]
    return "".join(parts), y


def entries(curves: Sequence[Curve], labels: Labels, name: str) -> list[tuple[str, str]]:
    """What the lines and boxes mean."""
    found = []
    for number, (curve, style) in enumerate(zip(curves, STYLES, strict=False)):
        sign = (
            f'<g class="{style.kind}"><path d="M-12 -4H12" fill="none" stroke="currentColor" stroke-width="2.5"'
            f"{style.dashes}/></g>"
        )
        found.append((sign, shortened(curve.name, 60) or labels.known))
        if number == len(curves) - 1:
            box = (
                f'<g class="{STYLES[0].kind}"><rect x="-10" y="-10" width="20" height="12" fill="url(#{name}-box-0)" '
                'stroke="currentColor"/></g>'
            )
            found.append((box, labels.undefined))
    surface = '<rect x="-10" y="-10" width="20" height="12" fill-opacity=".09"/>' if len(curves) == 1 else ""
    strip = (
        f'{surface}<path d="M-10 -10H10M-10 2H10" stroke="currentColor" stroke-opacity=".45" fill="none"/>'
    )
    bar = '<path d="M-10 -4H10M-10 -10V2M10 -10V2" stroke="currentColor" stroke-width="2.5" fill="none"/>'
    return [*found, (strip, labels.band), (bar, labels.median)]
