"""What the charts share: words and lines, marks along the time, the element around it all. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

DAY_STEPS = (1, 2, 5, 7, 14, 30, 60, 90, 180, 365, 730)
MINUTE_STEPS = (15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880)
#: Keeps words readable where they stand on lines.
HALO = ' paint-order="stroke" stroke="var(--chart-paper, #fff)" stroke-width="4" stroke-linejoin="round"'
#: How wide a character of 12 units is, about.
CHARACTER = 6.2


def text(x: float, y: float, words: str, *, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor" {more}/>'


def marks(until: float, unit: str, most: int = 9) -> list[int]:
    """Where along the time marks stand, from 0 on, in steps that a reader counts in; `until` and they in `unit`."""
    steps = MINUTE_STEPS if unit == "minute" else DAY_STEPS
    step = next((step for step in steps if until / step <= most), steps[-1])
    return list(range(0, int(until) + 1, step))


def when(at: float, unit: str) -> str:
    """A time without its unit as readers count it: days as they are, minutes as hours."""
    return f"{round(at / 60, 2):g}" if unit == "minute" else f"{at:g}"


def percent(share: float) -> str:
    """A share of 0–1 in whole percent."""
    return f"{100 * share:.0f} %"


def hatch(name: str, *, degrees: int = 45, gap: int = 7, opacity: float = 0.22) -> str:
    """A pattern to fill with; its id is `name`."""
    return (
        f'<defs><pattern id="{name}" width="{gap}" height="{gap}" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate({degrees})"><line x1="0" y1="0" x2="0" y2="{gap}" stroke="currentColor" '
        f'stroke-opacity="{opacity}" stroke-width="2"/></pattern></defs>'
    )


def framed(
    parts: Sequence[str], *, name: str, kind: str, title: str, description: str, width: float, height: float
) -> str:
    """The SVG element. `name`: a word that no other chart on the page has, for the ids within."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" font-size="12" fill="currentColor" stroke="none">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def legend(entries: Iterable[tuple[str, str]], *, x: float, y: float, until: float) -> tuple[str, int]:
    """Signs with their words side by side, in as many lines as they need; and how many these are.

    A sign is drawn around 0, 4 units above the foot of its words.
    """
    parts, lines, left = [], 1, x
    for sign, words in entries:
        wide = 40 + len(words) * CHARACTER
        if left > x and left + wide > until + 24:
            lines, left = lines + 1, x
        place = f"translate({round(left + 10, 1)} {y + 18 * (lines - 1)})"
        parts.append(f'<g transform="{place}">{sign}{text(17, 0, words)}</g>')
        left += wide
    return "".join(parts), lines


def shortened(words: str, most: int) -> str:
    """Words that do not fit, cut; whole words stand in the table."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"
