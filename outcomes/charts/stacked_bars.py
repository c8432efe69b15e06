"""Shares of a whole side by side, one row a check-in: what patients chose of a few ordered answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from outcomes.charts.svg import framed, hatch, legend, text

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 120, 744, 8, 28


@dataclass(frozen=True)
class Stack:
    """One row: how many chose each answer, in order; None: hidden."""

    label: str
    counts: Sequence[int] | None


def draw(
    stacks: Sequence[Stack], answers: Sequence[str], *, title: str, description: str, hidden: str, name: str
) -> str:
    """An SVG element; the answers keep their order from left to right, and each piece bears its number."""
    parts = [hatch(f"{name}-middle", opacity=0.4)]
    for place, stack in enumerate(stacks):
        y = TOP + ROW * place
        parts.append(text(LEFT - 10, y + 16, stack.label, anchor="end"))
        if stack.counts is None:
            parts.append(text(LEFT, y + 16, hidden, more=' font-style="italic"'))
            continue
        parts.append(bar_row(stack.counts, y, name))
    foot = TOP + ROW * len(stacks) + 22
    signs, lines = legend(
        [(piece(-10, -12, 20, 14, at, len(answers), name), words) for at, words in enumerate(answers)],
        x=8,
        y=foot,
        until=WIDTH - 8,
    )
    return framed(
        [*parts, signs],
        name=name,
        kind="stack-chart",
        title=title,
        description=description,
        width=WIDTH,
        height=foot + 18 * lines - 6,
    )


def bar_row(counts: Sequence[int], y: float, name: str) -> str:
    """One row, filled from left to right."""
    total, x, parts = sum(counts), float(LEFT), []
    for place, count in enumerate(counts):
        if not count:
            continue
        wide = (RIGHT - LEFT) * count / total
        parts.append(piece(round(x, 1), y, round(wide, 1), 22, place, len(counts), name))
        if wide >= 8 * len(str(count)) + 4:
            parts.append(
                text(
                    round(x + wide / 2, 1),
                    y + 15,
                    str(count),
                    anchor="middle",
                    more=' class="chart-on-piece"' + HALO,
                )
            )
        x += wide
    return "".join(parts)


HALO = ' paint-order="stroke" stroke="var(--chart-paper, #fff)" stroke-width="3" stroke-linejoin="round"'


def piece(x: float, y: float, wide: float, high: float, place: int, number: int, name: str) -> str:
    """One answer's piece: the best is full, the middle hatched, the worst empty; each has an edge."""
    middle = number // 2
    if place == middle:
        fill = f'fill="url(#{name}-middle)"'
    elif place < middle:
        fill = f'fill-opacity="{0.75 - 0.2 * place:.2f}"'
    else:
        fill = f'fill-opacity="{0.12 * (number - 1 - place):.2f}"'
    return f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" {fill} stroke="currentColor" stroke-width="1"/>'
