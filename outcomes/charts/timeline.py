"""The chart of one patient: every follow-up on one time line over the calendar. Pure: values in, SVG out.

From top to bottom: the procedures' numbers, pain from 0 to 10, opioids, adverse events, one row for each follow-up. No
meaning hangs on colour: baselines are diamonds, answers round, what was not answered is hollow, windows are hatched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from outcomes.charts.svg import CHARACTER, HALO, framed, hatch, legend, line, shortened, text

#: The drawing's own units; a page scales it. Its height depends on what there is to show.
WIDTH, LEFT, RIGHT = 760, 66, 742
TOP, PAIN = 34, 150
OPIOIDS, EVENTS = 74, 40
#: A follow-up's row: how far it reaches down, where its bar begins, how far above the bar's foot its words stand. With
#: more follow-ups the rows are closer, and of very many the words stand beside the bar.
ROW, CLOSE_ROW, SIDE_ROW = (34, 20, 14), (27, 15, 12), (17, 5, 0)
MANY, VERY_MANY = 4, 8
#: At least so many days are drawn, and marks of months stand in these steps.
SHORTEST, MONTHS, MOST = 92, (1, 2, 3, 6, 12, 24, 60, 120), 9
#: What must lie between two things that are written side by side.
APART = 16


@dataclass(frozen=True)
class Band:
    """One follow-up. Days are proleptic ordinals (`date.toordinal`) with the time of the day as their fraction.

    `number` stands beside everything of it. `baseline`: when and how much, 0–10; None: unknown. `proxies`: those of
    `scores` that a caregiver named. `window`: when relief is expected to end; None of what is no treatment.
    `relief_until`: up to where relief was seen; None: it was not. `lost_until`: by when it was found gone; None: not.
    `until`: where the course ended, or today.
    """

    number: int
    name: str
    verdict: str
    performed: float
    until: float
    window: tuple[float, float] | None
    baseline: tuple[float, int] | None = None
    scores: Sequence[tuple[float, int]] = ()
    proxies: Sequence[tuple[float, int]] = ()
    missed: Sequence[float] = ()
    relief_until: float | None = None
    lost_until: float | None = None


@dataclass(frozen=True)
class Dose:
    """Opioids from a day until another, the end of it included. `mme` None: cannot be counted; `least`: not all is."""

    begins: float
    ends: float | None
    mme: float | None
    least: bool = False


@dataclass(frozen=True)
class EventMark:
    """An adverse event: a letter, as in the table, and whether it is serious."""

    at: float
    letter: str
    serious: bool


@dataclass(frozen=True)
class Labels:
    """The words on the chart, in the reader's language."""

    title: str
    description: str
    today: str = "today"
    pain: tuple[str, str] = ("pain", "0–10")
    opioids: tuple[str, str] = ("opioids", "MME/day")
    opioids_note: str = "estimate; never use it to switch drugs"
    not_counted: str = "not counted"
    events: tuple[str, str] = ("adverse", "events")
    baseline: str = "before the procedure"
    answered: str = "answered"
    proxy: str = "answered by a caregiver"
    missed: str = "not answered"
    procedure: str = "procedure, by number"
    event: str = "adverse event, by letter"
    serious: str = "serious one"
    relief: str = "relief was seen"
    ended: str = "relief ended in here"
    window: str = "relief expected to end"


@dataclass(frozen=True)
class Scale:
    """Where a day, as an ordinal, lies between the first and the last that are drawn."""

    first: float
    last: float

    def x(self, day: float) -> float:
        inside = min(max(day, self.first), self.last)
        return round(LEFT + (RIGHT - LEFT) * (inside - self.first) / (self.last - self.first), 1)


@dataclass
class Canvas:
    """What was drawn so far, and how far down it reaches."""

    y: float
    parts: list[str] = field(default_factory=list)


def draw(
    bands: Sequence[Band],
    doses: Sequence[Dose],
    marks: Sequence[EventMark],
    labels: Labels,
    *,
    name: str,
    today: float,
) -> str:
    """An SVG element of at least one follow-up. `name`: a word that no other chart on the page has; `today`: now."""
    scale = extent(bands, marks, today)
    sheet = Canvas(TOP)
    pain(sheet, bands, labels, scale)
    sheet.y = TOP + PAIN
    if doses:
        opioids(sheet, doses, labels, scale, today)
    if marks:
        events(sheet, marks, labels, scale)
    rows(sheet, bands, scale, name)
    behind = [hatch(f"{name}-window", opacity=0.5, gap=5), *uprights(bands, labels, scale, sheet.y, today)]
    axis(sheet, scale)
    signs, lines = legend(entries(bands, marks, labels, name), x=LEFT - 58, y=sheet.y + 22, until=WIDTH - 16)
    return framed(
        [*behind, *sheet.parts, signs],
        name=name,
        kind="timeline-chart",
        title=labels.title,
        description=labels.description,
        width=WIDTH,
        height=sheet.y + 12 + 18 * lines,
    )


def extent(bands: Sequence[Band], marks: Sequence[EventMark], today: float) -> Scale:
    """From the first thing that is known to the last; of windows ahead as much as does not squeeze what is known."""
    known = [day for band in bands for day in (band.performed, band.until, *(at for at, _ in band.scores))]
    known += [band.baseline[0] for band in bands if band.baseline]
    known += [mark.at for mark in marks] + [today]
    first, last = min(known), max(known)
    ahead = max((band.window[1] for band in bands if band.window), default=last)
    last = max(last, min(ahead, last + max(0.35 * (last - first), SHORTEST)), first + SHORTEST)
    edge = (last - first) * 0.02
    return Scale(first - edge, last + edge)


def uprights(bands: Sequence[Band], labels: Labels, scale: Scale, foot: float, today: float) -> Iterator[str]:
    """A line through everything for each procedure, with its number at the top, and one for today."""
    taken = -100.0
    for band in bands:
        x = scale.x(band.performed)
        at = max(x, taken + 2 * 10)
        taken = at
        yield line(x, TOP - 6, x, foot, 'stroke-width="1" stroke-opacity="0.5"')
        yield f'<circle cx="{at}" cy="{TOP - 16}" r="9" class="chart-number"/>'
        yield text(
            at,
            TOP - 12,
            str(band.number),
            anchor="middle",
            more=' class="chart-on-number" fill="var(--chart-paper, #fff)"',
        )
    x = scale.x(today)
    yield line(x, TOP, x, foot, 'stroke-dasharray="2 3"')
    if x - taken > 40 or x - taken < -40:
        yield text(x, TOP - 6, labels.today, anchor="end" if x > RIGHT - 24 else "middle", more=HALO)


def side(sheet: Canvas, words: tuple[str, str], y: float) -> None:
    """The two lines at the left that say what a part shows."""
    sheet.parts += [text(2, y, words[0], more=' font-weight="600"'), text(2, y + 14, words[1])]


def pain(sheet: Canvas, bands: Sequence[Band], labels: Labels, scale: Scale) -> None:
    """Every score, each follow-up's on a line of its own."""

    def y(score: float) -> float:
        return round(TOP + PAIN - 14 - (PAIN - 22) * score / 10, 1)

    side(sheet, labels.pain, TOP + 12)
    for score in (0, 5, 10):
        sheet.parts.append(line(LEFT, y(score), RIGHT, y(score), 'stroke-opacity="0.2"'))
        sheet.parts.append(text(LEFT - 6, y(score) + 4, str(score), anchor="end"))
    for band in bands:
        points = [(scale.x(at), y(score)) for at, score in sorted(band.scores)]
        begins = [(scale.x(band.baseline[0]), y(band.baseline[1]))] if band.baseline else []
        for (x1, y1), (x2, y2) in pairwise([*begins, *points]):
            sheet.parts.append(line(x1, y1, x2, y2, 'stroke-width="1.2" stroke-opacity="0.65"'))
        sheet.parts += [diamond(x, at) for x, at in begins]
        sheet.parts += [f'<circle cx="{x}" cy="{at}" r="3.6" class="chart-answer"/>' for x, at in points]
        sheet.parts += [ring(scale.x(at), y(score)) for at, score in band.proxies]
        sheet.parts += [hollow(scale.x(at), y(0) + 8) for at in band.missed]
        if points:
            x, at = points[-1]
            sheet.parts.append(text(round(x + 6, 1), at - 5, str(band.number), more=HALO + ' font-size="11"'))


def diamond(x: float, y: float) -> str:
    return f'<path d="M{x} {y - 5.5} l5.5 5.5 l-5.5 5.5 l-5.5 -5.5 z"/>'


def hollow(x: float, y: float) -> str:
    return (
        f'<circle cx="{x}" cy="{y}" r="3.2" fill="var(--chart-paper, #fff)" stroke="currentColor" '
        'stroke-width="1.3"/>'
    )


def triangle(x: float, y: float, *, filled: bool) -> str:
    fill = "" if filled else ' fill="var(--chart-paper, #fff)"'
    return f'<path d="M{x} {y - 6} l6.5 11 h-13 z"{fill} stroke="currentColor" stroke-width="1.3"/>'


def opioids(sheet: Canvas, doses: Sequence[Dose], labels: Labels, scale: Scale, today: float) -> None:
    """The total of each day as steps with their figures; dashed where not all that is taken is counted."""
    top, foot = sheet.y + 34, sheet.y + OPIOIDS - 6
    most = max((dose.mme for dose in doses if dose.mme is not None), default=0) or 1

    def y(mme: float) -> float:
        return round(foot - (foot - top) * mme / most, 1)

    side(sheet, labels.opioids, sheet.y + 18)
    sheet.parts.append(
        text(LEFT, sheet.y + 9, labels.opioids_note, more=' font-style="italic" font-size="10"' + HALO)
    )
    sheet.parts.append(line(LEFT, foot, RIGHT, foot, 'stroke-opacity="0.3"'))
    written, before = -100.0, None
    for dose in doses:
        ends = min(today, today if dose.ends is None else dose.ends)
        if ends < scale.first or dose.begins > ends:
            before = None if dose.mme is None else y(dose.mme)
            continue
        x1, x2 = scale.x(dose.begins), scale.x(ends)
        if dose.mme is None:
            said, at = labels.not_counted, foot - 4
            before = None
        else:
            said, at = ("≥ " if dose.least else "") + f"{dose.mme:g}", y(dose.mme)
            dashes = ' stroke-dasharray="5 3"' if dose.least else ""
            if before is not None:
                sheet.parts.append(line(x1, before, x1, at, 'stroke-width="1.8"'))
            sheet.parts.append(line(x1, at, x2, at, f'stroke-width="1.8"{dashes}'))
            before = at
        if x1 - written > APART and (x2 - x1 > APART or dose is doses[-1]):
            sheet.parts.append(text(round(x1 + 3, 1), at - 4, said, more=' font-size="11"' + HALO))
            written = x1 + len(said) * CHARACTER - APART / 2
    sheet.y += OPIOIDS


def events(sheet: Canvas, marks: Sequence[EventMark], labels: Labels, scale: Scale) -> None:
    """Adverse events, each with its letter; a serious one is filled."""
    y, taken = sheet.y + 22, -100.0
    side(sheet, labels.events, sheet.y + 16)
    sheet.parts.append(line(LEFT, sheet.y + 2, RIGHT, sheet.y + 2, 'stroke-opacity="0.2"'))
    for mark in marks:
        x = scale.x(mark.at)
        sheet.parts.append(triangle(x, y, filled=mark.serious))
        at = max(x + 9, taken)
        sheet.parts.append(text(round(at, 1), y + 5, mark.letter, more=HALO))
        taken = at + 9
    sheet.y += EVENTS


def rows(sheet: Canvas, bands: Sequence[Band], scale: Scale, name: str) -> None:
    """One row for each follow-up: its verdict in words, and under it the time it covers, with its window."""
    sheet.parts.append(line(LEFT, sheet.y + 2, RIGHT, sheet.y + 2, 'stroke-opacity="0.2"'))
    down, bar, above = ROW if len(bands) <= MANY else CLOSE_ROW if len(bands) <= VERY_MANY else SIDE_ROW
    for band in bands:
        begins, top = scale.x(band.performed), sheet.y + bar
        ends = max(scale.x(band.until), scale.x(band.window[1]) if band.window else 0)
        room = RIGHT - LEFT if above else max(RIGHT - ends, begins - LEFT) - 6
        words = shortened(f"{band.number}  {band.name}: {band.verdict}", int(room / CHARACTER))
        wide = len(words) * CHARACTER
        if above:
            x = max(LEFT, min(begins + 4, RIGHT - wide))
        else:
            x = ends + 6 if ends + 6 + wide <= RIGHT else max(LEFT, begins - 6 - wide)
        sheet.parts.append(text(round(x, 1), top + 9 - above, words, more=HALO))
        left, right = (scale.x(at) for at in band.window or (band.performed, band.performed))
        if right > left:
            sheet.parts.append(box(left, top, right, f'fill="url(#{name}-window)" stroke-dasharray="3 2"'))
        sheet.parts.append(box(begins, top, scale.x(band.until), 'fill="none"'))
        if band.relief_until is not None and band.relief_until > band.performed:
            sheet.parts.append(box(begins, top, scale.x(band.relief_until), 'class="chart-relief-seen"'))
        if band.lost_until is not None:
            x1, x2 = scale.x(band.relief_until or band.performed), scale.x(band.lost_until)
            sheet.parts.append(bracket(x1, x2, top))
        sheet.y += down
    sheet.y += 4


def box(x1: float, y: float, x2: float, more: str) -> str:
    wide = round(max(x2 - x1, 1.5), 1)
    return f'<rect x="{x1}" y="{y}" width="{wide}" height="9" stroke="currentColor" stroke-width="1" {more}/>'


def bracket(x1: float, x2: float, y: float) -> str:
    """From where relief was seen last to where it was found gone."""
    middle, weight = y + 4.5, 'stroke-width="2"'
    return line(x1, middle, x2, middle, weight) + line(x2, y - 2, x2, y + 11, weight)


def axis(sheet: Canvas, scale: Scale) -> None:
    """Months under everything, in steps that a reader counts in."""
    first, last = date.fromordinal(int(scale.first)), date.fromordinal(int(scale.last))
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((step for step in MONTHS if months / step <= MOST), MONTHS[-1])
    sheet.parts.append(line(LEFT, sheet.y, RIGHT, sheet.y, 'stroke-opacity="0.6"'))
    count = first.year * 12 + first.month - 1
    count += -count % step
    while count <= last.year * 12 + last.month - 1:
        day = date(count // 12, count % 12 + 1, 1)
        if day.toordinal() >= scale.first:
            x = scale.x(day.toordinal())
            sheet.parts.append(line(x, sheet.y, x, sheet.y + 5, ""))
            anchor = "end" if x > RIGHT - 24 else "middle"
            sheet.parts.append(text(x, sheet.y + 18, f"{day:%b %Y}", anchor=anchor))
        count += step
    sheet.y += 22


def ring(x: float, y: float) -> str:
    """Around an answer that a caregiver gave."""
    return f'<circle cx="{x}" cy="{y}" r="6.6" fill="none" stroke="currentColor" stroke-width="1.2"/>'


def entries(
    bands: Sequence[Band], marks: Sequence[EventMark], labels: Labels, name: str
) -> Iterator[tuple[str, str]]:
    """The legend: only what is on the chart."""
    number = '<circle cx="0" cy="-4" r="8" class="chart-number"/>'
    yield number, labels.procedure
    if any(band.baseline for band in bands):
        yield diamond(0, -4), labels.baseline
    if any(band.scores for band in bands):
        yield '<circle cx="0" cy="-4" r="3.6" class="chart-answer"/>', labels.answered
    if any(band.proxies for band in bands):
        yield f'<circle cx="0" cy="-4" r="3.6" class="chart-answer"/>{ring(0, -4)}', labels.proxy
    if any(band.missed for band in bands):
        yield hollow(0, -4), labels.missed
    if any(not mark.serious for mark in marks):
        yield triangle(0, -4, filled=False), labels.event
    if any(mark.serious for mark in marks):
        yield triangle(0, -4, filled=True), labels.serious
    if any(band.relief_until is not None for band in bands):
        yield box(-10, -9, 10, 'class="chart-relief-seen"'), labels.relief
    if any(band.lost_until is not None for band in bands):
        yield bracket(-10, 10, -9), labels.ended
    if any(band.window for band in bands):
        yield box(-10, -9, 10, f'fill="url(#{name}-window)" stroke-dasharray="3 2"'), labels.window
