"""Charts of one column a check-in: the share that reached something, and mean scores. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from outcomes.charts.svg import framed, legend, line, text

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 64, 744, 22, 222
#: The second panel, of the responses: its upper edge and its foot.
SECOND, FOOT = 268, 314


@dataclass(frozen=True)
class Column:
    """One check-in. `label`: when, as short as it can be. Shares 0–1, all None when `hidden` or nobody answered.

    `due`: those who were asked. `value` of those who answered, with its interval `low` to `high`; `worst` and `best` of
    all of that age.
    """

    label: str
    due: int
    answered: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    worst: float | None = None
    best: float | None = None
    hidden: bool = False


@dataclass(frozen=True)
class MeanScores:
    """One check-in: mean scores 0–10, before and then, of the same patients; None of too few."""

    label: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Labels:
    """The words on a chart, in the reader's language."""

    title: str
    description: str
    axis: str
    value: str = "of those who answered, with its 95 % interval"
    bounds: str = "of all of that age: worst to best case of who did not answer"
    hidden: str = "too few answers: hidden"
    response: str = "answered, of those asked"
    score: str = "mean, 0–10"
    before: str = "before"
    after: str = "at the check-in"


def x_of(place: int, number: int) -> float:
    """The middle of a column."""
    return round(LEFT + (RIGHT - LEFT) * (place + 0.5) / number, 1)


def y_of(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * share, 1)


def draw_shares(columns: Sequence[Column], labels: Labels, *, name: str) -> str:
    """The share at each check-in, and the response under it."""
    wide = min(26.0, 0.56 * (RIGHT - LEFT) / max(len(columns), 1))
    parts = [scale_of([(share / 100, f"{share} %") for share in range(0, 101, 25)])]
    for place, column in enumerate(columns):
        parts.append(column_of(column, x_of(place, len(columns)), wide))
    parts += [
        text(LEFT - 8, FOOT, "0 %", anchor="end"),
        text(LEFT - 8, SECOND + 8, "100 %", anchor="end"),
        line(LEFT, SECOND, RIGHT, SECOND, 'stroke-opacity=".14"'),
        line(LEFT, FOOT, RIGHT, FOOT, 'stroke-opacity=".6"'),
        text(LEFT, SECOND - 10, labels.response, more=' font-weight="600"'),
        text((LEFT + RIGHT) / 2, FOOT + 38, labels.axis, anchor="middle"),
    ]
    dot = '<circle cx="0" cy="-4" r="4.5"/><path d="M0 -13V5" stroke="currentColor" stroke-width="1.5"/>'
    box = '<rect x="-8" y="-11" width="16" height="14" fill-opacity=".1" stroke="currentColor" stroke-opacity=".6"/>'
    shown = [(dot, labels.value), (box, labels.bounds)]
    if any(column.hidden for column in columns):
        shown.append((cross(0, -4), labels.hidden))
    signs, lines = legend(shown, x=8, y=FOOT + 64, until=WIDTH - 8)
    return framed(
        [*parts, signs],
        name=name,
        kind="column-chart",
        title=labels.title,
        description=labels.description,
        width=WIDTH,
        height=FOOT + 58 + 18 * lines,
    )


def scale_of(rows: Sequence[tuple[float, str]]) -> str:
    """Lines across, each with what it stands for."""
    return "".join(
        line(LEFT, y_of(at), RIGHT, y_of(at), f'stroke-opacity="{".6" if at == 0 else ".14"}"')
        + text(LEFT - 8, y_of(at) + 4, words, anchor="end")
        for at, words in rows
    )


def cross(x: float, y: float) -> str:
    """What is hidden."""
    return f'<path d="M{x - 4} {y - 4}l8 8m0 -8l-8 8" stroke="currentColor" stroke-width="1.5" fill="none"/>'


def column_of(column: Column, x: float, wide: float) -> str:
    """One check-in: the box from worst to best, the interval, the dot; under it the response."""
    parts = []
    if column.worst is not None and column.best is not None:
        top, bottom = y_of(column.best), y_of(column.worst)
        parts.append(
            f'<rect class="chart-bounds" x="{x - wide / 2:.1f}" y="{top}" width="{wide:.1f}" '
            f'height="{max(round(bottom - top, 1), 1)}" fill-opacity=".1" stroke="currentColor" stroke-opacity=".6"/>'
        )
    if column.value is not None and column.low is not None and column.high is not None:
        y = y_of(column.value)
        parts += [
            line(x, y_of(column.low), x, y_of(column.high), 'stroke-width="1.5"'),
            f'<circle class="chart-value" cx="{x}" cy="{y}" r="4.5"/>',
        ]
    elif column.hidden:
        parts.append(cross(x, (TOP + BOTTOM) / 2))
    share = column.answered / column.due if column.due else 0.0
    high = round((FOOT - SECOND) * share, 1)
    parts += [
        f'<rect class="chart-response" x="{x - wide / 2:.1f}" y="{FOOT - high}" width="{wide:.1f}" height="{high}" '
        'fill-opacity=".45"/>',
        text(x, FOOT + 18, column.label, anchor="middle"),
    ]
    return "".join(parts)


def draw_means(columns: Sequence[MeanScores], labels: Labels, *, name: str) -> str:
    """The mean before and at each check-in: a hollow diamond and a dot, joined."""
    parts = [scale_of([(score / 10, str(score)) for score in range(0, 11, 2)])]
    middle = (TOP + BOTTOM) / 2
    parts.append(
        text(18, middle, labels.score, anchor="middle", more=f' transform="rotate(-90 18 {middle})"')
    )
    for place, column in enumerate(columns):
        x = x_of(place, len(columns))
        parts.append(text(x, BOTTOM + 20, column.label, anchor="middle"))
        if column.before is None or column.after is None:
            parts.append(cross(x, middle))
            continue
        before, after = y_of(column.before / 10), y_of(column.after / 10)
        above = after < before
        parts += [
            line(x, before, x, after, 'stroke-opacity=".6"'),
            f'<path d="M{x} {before - 6}l6 6l-6 6l-6 -6z" fill="var(--chart-paper, #fff)" stroke="currentColor"/>',
            f'<circle class="chart-value" cx="{x}" cy="{after}" r="4.5"/>',
            text(
                x,
                after - 10 if above else after + 18,
                f"{column.after:.1f}",
                anchor="middle",
                more=' font-weight="600"',
            ),
        ]
    parts.append(text((LEFT + RIGHT) / 2, BOTTOM + 40, labels.axis, anchor="middle"))
    shown = [
        ('<path d="M0 -10l6 6l-6 6l-6 -6z" fill="none" stroke="currentColor"/>', labels.before),
        ('<circle cx="0" cy="-4" r="4.5"/>', labels.after),
    ]
    if any(column.after is None for column in columns):
        shown.append((cross(0, -4), labels.hidden))
    signs, lines = legend(shown, x=8, y=BOTTOM + 64, until=WIDTH - 8)
    return framed(
        [*parts, signs],
        name=name,
        kind="column-chart",
        title=labels.title,
        description=labels.description,
        width=WIDTH,
        height=BOTTOM + 58 + 18 * lines,
    )
