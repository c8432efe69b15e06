"""The chart of one follow-up: pain since the procedure against the expected relief. Pure: values in, SVG out.

Drawn on the server, so that it works in print, without scripts and in every browser. No meaning hangs on colour: what
counts as relief is round and what does not is square, what was not answered is hollow, the window is hatched and named.
Everything is drawn in the colour of the text around it, light or dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from outcomes.charts.svg import HALO, framed, hatch, line, marks, text, when
from outcomes.relief import Course, Reading, meets

#: The drawing's own units; a page scales it.
WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 44, 646, 52, 252
#: Scores are written beside their points only as close together as this, and so are the marks of the axis.
APART = 32


@dataclass(frozen=True)
class Labels:
    """The words on a chart, in the reader's language. `window` "": neither the window nor the threshold is drawn."""

    title: str
    description: str
    before: str = "before"
    today: str = "today"
    window: str = "relief expected to end"
    threshold: str = "% less pain"
    relief: str = "counts as relief"
    no_relief: str = "does not count"
    answered: str = "answered"
    silent: str = "not answered"
    axis: str = "days since the procedure"
    axis_hours: str = "hours since the procedure"
    pain: str = "pain, 0–10"
    no_baseline: str = "no pain score before the procedure: relief cannot be computed"


@dataclass(frozen=True)
class Scale:
    """Where on the drawing a time and a score lie. `until`: the last time that is drawn, in the course's unit."""

    until: int

    def x(self, at: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * min(max(at, 0), self.until) / self.until, 1)

    def y(self, score: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * score / 10, 1)


def draw(course: Course, labels: Labels, *, name: str, today: int | None = None) -> str:
    """An SVG element of `course`.

    `name`: a word that no other chart on the page has, for the ids within. `today`: where now is on the course's axis,
    in its unit; None when the course is over or now is not to be shown.
    """
    scale = Scale(extent(course, today))
    parts = [
        window(course, scale, name) if labels.window else "",
        grid(labels),
        axis(course, labels, scale),
        now_line(labels, scale, today),
        window_name(course, labels, scale) if labels.window else "",
        threshold(course, labels, scale) if labels.window or not course.baseline else "",
        silence(course, scale),
        curve(course, scale),
        legend(course, labels),
    ]
    return framed(
        parts,
        name=name,
        kind="course-chart",
        title=labels.title,
        description=labels.description,
        width=WIDTH,
        height=HEIGHT,
    )


def extent(course: Course, today: int | None) -> int:
    """The last time to draw: what is known and the whole window, unless the window would squeeze what is known."""
    known = [reading.at for reading in course.readings] + list(course.silent)
    if course.unit == "minute":
        # A block is over in hours; answers of later days would squeeze them. They are in the table.
        hours = max(round(course.window_until * 1.3), 6 * 60)
        return max([hours, *(at for at in known if at <= 2 * hours)])
    latest = max([0, *known, *([] if today is None else [today])])
    if course.window_until <= 3 * max(latest, course.window_from, 90):
        return max(round(course.window_until * 1.06), latest, 14)
    return max(round(latest * 1.25), round(course.window_from * 1.5), 90)


def window(course: Course, scale: Scale, name: str) -> str:
    """The relief window, hatched. It is drawn up to the edge where it goes on beyond it."""
    left, right = scale.x(course.window_from), scale.x(course.window_until)
    cut = course.window_until > scale.until
    edge = "" if cut else line(right, TOP, right, BOTTOM, 'stroke-opacity=".55" stroke-dasharray="2 3"')
    return (
        hatch(f"{name}-hatch")
        + f'<rect class="chart-window" x="{left}" y="{TOP}" width="{max(round(right - left, 1), 2)}" '
        f'height="{BOTTOM - TOP}" fill="url(#{name}-hatch)"/>'
        + line(left, TOP, left, BOTTOM, 'stroke-opacity=".55" stroke-dasharray="2 3"')
        + edge
    )


def window_name(course: Course, labels: Labels, scale: Scale) -> str:
    """The window's first and last day, above it; an arrow where it goes on beyond the edge."""
    left, right = scale.x(course.window_from), scale.x(course.window_until)
    words = f"{labels.window}: {span_words(course)}{' →' if course.window_until > scale.until else ''}"
    # Centred over the window, but never beyond the drawing's edges: about 6.2 units a character.
    half = len(words) * 3.1
    middle = min(max((left + right) / 2, LEFT + half), WIDTH - 8 - half)
    return text(round(middle, 1), TOP - 30, words, anchor="middle")


def span_words(course: Course) -> str:
    """The window as a reader says it: "day 180–365", "hour 2–12"."""
    if course.unit == "minute":
        return f"hour {course.window_from / 60:g}–{course.window_until / 60:g}"
    return f"day {course.window_from}–{course.window_until}"


def grid(labels: Labels) -> str:
    """The scores at the left, 0 to 10, with a faint line for each second one."""
    scale = Scale(1)
    rows = [
        line(LEFT, scale.y(score), RIGHT, scale.y(score), 'stroke-opacity=".14"')
        + text(LEFT - 8, scale.y(score) + 4, str(score), anchor="end")
        for score in range(0, 11, 2)
    ]
    middle = (TOP + BOTTOM) / 2
    return "".join(rows) + text(
        12, middle, labels.pain, anchor="middle", more=f' transform="rotate(-90 12 {middle})"'
    )


def axis(course: Course, labels: Labels, scale: Scale) -> str:
    """Time at the foot, in steps that a reader counts in."""
    ticks = [
        line(scale.x(at), BOTTOM, scale.x(at), BOTTOM + 5, 'stroke-opacity=".6"')
        + text(scale.x(at), BOTTOM + 24, when(at, course.unit), anchor="middle")
        for at in marks(scale.until, course.unit)
    ]
    name = labels.axis_hours if course.unit == "minute" else labels.axis
    return (
        line(LEFT, BOTTOM, RIGHT, BOTTOM, 'stroke-opacity=".6"')
        + "".join(ticks)
        + text((LEFT + RIGHT) / 2, BOTTOM + 42, name, anchor="middle")
    )


def now_line(labels: Labels, scale: Scale, today: int | None) -> str:
    """Where we are now; its word stands under that of the window."""
    if today is None or today > scale.until:
        return ""
    x = scale.x(today)
    return line(x, TOP - 4, x, BOTTOM, 'stroke-dasharray="6 4" stroke-opacity=".8"') + text(
        x, TOP - 9, labels.today, anchor="middle"
    )


def threshold(course: Course, labels: Labels, scale: Scale) -> str:
    """The highest score that still counts as relief, named at the right; without a baseline, why there is none."""
    if not course.baseline:
        return text(WIDTH - 8, HEIGHT - 10, labels.no_baseline, anchor="end", more=' font-style="italic"')
    y = scale.y(course.baseline * (100 - course.success_percent) / 100)
    return line(LEFT, y, RIGHT, y, 'stroke-width="1.5" stroke-dasharray="9 4"') + text(
        RIGHT + 6, y + 4, f"{course.success_percent} {labels.threshold}"
    )


def silence(course: Course, scale: Scale) -> str:
    """Check-ins that nobody answered: hollow marks on the axis."""
    return "".join(
        f'<circle cx="{scale.x(at)}" cy="{BOTTOM}" r="4" class="chart-hollow" fill="var(--chart-paper, #fff)" '
        'stroke="currentColor" stroke-width="1.5"/>'
        for at in course.silent
        if at <= scale.until
    )


def curve(course: Course, scale: Scale) -> str:
    """The baseline and the answers, joined; as many scores written beside them as fit."""
    points = [Reading(0, course.baseline)] if course.baseline is not None else []
    points += [reading for reading in course.readings if reading.at <= scale.until]
    if not points:
        return ""
    path = " ".join(f"{scale.x(point.at)},{scale.y(point.score)}" for point in points)
    joined = f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="1.75"/>'
    drawn = "".join(mark(course, point, scale, first=index == 0) for index, point in enumerate(points))
    return joined + drawn + scores(points, scale)


def mark(course: Course, point: Reading, scale: Scale, *, first: bool) -> str:
    """A point: round when it counts as relief, square when not; the first one, before the procedure, a diamond."""
    x, y = scale.x(point.at), scale.y(point.score)
    if first and course.baseline is not None:
        return f'<path class="chart-before" d="M{x} {y - 6}l6 6l-6 6l-6 -6z"/>'
    if course.baseline and meets(course.baseline, point.score, course.success_percent):
        return f'<circle class="chart-relief" cx="{x}" cy="{y}" r="4.5"/>'
    return f'<rect class="chart-no-relief" x="{round(x - 4, 1)}" y="{round(y - 4, 1)}" width="8" height="8"/>'


def scores(points: Sequence[Reading], scale: Scale) -> str:
    """The scores beside their points, the last and the first before all others."""
    written: list[Reading] = []
    for point in (points[-1], points[0], *reversed(points[1:-1])):
        if all(abs(scale.x(other.at) - scale.x(point.at)) >= APART for other in written):
            written.append(point)
    parts = []
    for point in written:
        x, y = beside(point, points)
        place = scale.x(point.at) + x, scale.y(point.score) + y
        parts.append(text(*place, str(point.score), anchor="middle", more=HALO + ' font-weight="600"'))
    return "".join(parts)


def beside(point: Reading, points: Sequence[Reading]) -> tuple[int, int]:
    """Where a score stands beside its point, right and down, so that the curve does not run through it."""
    falls = any(after is point and before.score > after.score for before, after in pairwise(points))
    rises = any(before is point and after.score > before.score for before, after in pairwise(points))
    if falls and rises and point.score >= 2:
        return 0, 20  # in a dip
    if falls or point is points[0]:
        return 11, -8
    return (-9, -8) if rises else (0, -10)


def legend(course: Course, labels: Labels) -> str:
    """What the marks mean; only those that occur."""
    y = HEIGHT - 10
    entries: list[tuple[str, str]] = []
    if course.baseline is not None:
        entries.append((f'<path d="M0 {y - 10}l6 6l-6 6l-6 -6z"/>', labels.before))
    baseline, percent = course.baseline, course.success_percent
    good = [bool(baseline and meets(baseline, reading.score, percent)) for reading in course.readings]
    if any(good):
        entries.append((f'<circle cx="0" cy="{y - 4}" r="4.5"/>', labels.relief))
    if not all(good):
        name = labels.no_relief if baseline else labels.answered
        entries.append((f'<rect x="-4" y="{y - 8}" width="8" height="8"/>', name))
    if course.silent:
        hollow = f'<circle cx="0" cy="{y - 4}" r="4" fill="none" stroke="currentColor" stroke-width="1.5"/>'
        entries.append((hollow, labels.silent))
    return "".join(placed(entries, y))


def placed(entries: Iterable[tuple[str, str]], y: float) -> Iterable[str]:
    """The legend's entries side by side: about 6.4 units a character."""
    x = LEFT + 6.0
    for sign, words in entries:
        yield f'<g transform="translate({round(x, 1)} 0)">{sign}{text(11, y, words)}</g>'
        x += 36 + len(words) * 6.4
