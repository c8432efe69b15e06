"""Curves of duration in words and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outcomes.admin.reports.base import RowLinks, drawing, share_words, shares
from outcomes.charts import duration
from outcomes.charts.svg import marks, percent, when
from outcomes.reports.curves import CurveAtDay, DurationCurve, HalfLost

#: By name: the choice, and what it does to the figures.
RUNS = {
    "repeat_is_loss": (
        gettext_lazy("A repeat is a loss, also while relief was still there"),
        gettext_lazy("In the chart such a course is only followed until its repeat."),
    ),
    "confirmed_only": (
        gettext_lazy("A bad score is a loss only once something confirms it"),
        gettext_lazy(
            "In the chart it ends relief at once, also when the patient is silent afterwards. Shows too much relief."
        ),
    ),
    "half_is_loss": (
        gettext_lazy("Pain exactly at the limit is a loss (Lord’s rule)"),
        gettext_lazy("In the chart exactly half of the pain before, or what else counts, is still relief."),
    ),
    "lost_when_found": (
        gettext_lazy("Relief ended on the day on which a check-in found it gone"),
        gettext_lazy("As registries count. Shows relief that lasts too long."),
    ),
}


def population_words(population: str) -> str:
    return {
        "all_treated": _("all treated"),
        "responders": _("responders only"),
    }[population]


def unit_words(unit: str) -> str:
    return _("hour") if unit == "minute" else _("day")


#: Days in a month, and up to which day of its earlier end a span is told in days.
MONTH, IN_DAYS = 365.25 / 12, 60


def half_words(half: HalfLost | None, unit: str) -> str:
    """When half have lost their relief: "about 9 months; between 6 and 13"; rounded so that nothing is cut off."""
    if half is None:
        return _("cannot be said: the 95 % band does not tell")
    times = (half.about, half.low, half.high)
    if unit == "minute":
        about, low, high = (f"{time / 60:.1f}" for time in times)
        words = _("about %(about)s hours; between %(low)s and %(high)s")
    elif half.low < IN_DAYS:
        about, low, high = (f"{time:.0f}" for time in times)
        words = _("about %(about)s days; between %(low)s and %(high)s")
    else:
        about, low, high = (
            str(number)
            for number in (round(half.about / MONTH), floor(half.low / MONTH), ceil(half.high / MONTH))
        )
        words = _("about %(about)s months; between %(low)s and %(high)s")
    return words % {"about": about, "low": low, "high": high}


def between(low: float, high: float) -> str:
    """A share, or the span in which it lies."""
    if round(100 * low) == round(100 * high):
        return percent(high)
    return f"{100 * low:.0f}–{percent(high)}"


def at_words(at: CurveAtDay | None) -> str:
    """The share at a day with its band."""
    if at is None:
        return not_told()
    return f"{between(at.low, at.high)} ({_('band')} {between(at.band_low, at.band_high)})"


def not_told() -> str:
    """What stands for a share on a day after the last planned check-in."""
    return _("not told: after the last planned check-in")


@dataclass(frozen=True)
class RunShown:
    """The chart's own line, or a run under another assumption, in a table. The shares are "" where they are hidden."""

    choice: str
    note: str
    total: SafeString
    first: str
    last: str
    hidden: bool = False


@dataclass(frozen=True)
class CurveSection:
    """One population's curve on the page."""

    curve: DurationCurve
    title: str
    chart: SafeString
    answered: SafeString
    facts: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, ...]]
    runs: Sequence[RunShown]
    window_words: Sequence[str] = ()


def curve_context(
    curve: DurationCurve, rows: RowLinks, *, window: tuple[int, int] | None, name: str, confirmed: bool
) -> CurveSection:
    """A curve with its chart, its figures and its runs under other assumptions in words. `window`: of its report."""
    title = population_words(curve.population)
    if curve.hidden or not curve.places or curve.window is None or window is None:
        return CurveSection(curve, title, SafeString(""), SafeString(""), (), (), ())
    unit = unit_words(curve.unit)
    whole = f"curve:{curve.population}:0{'m' if curve.unit == 'minute' else ''}:all"
    facts = [
        (_("Follow-ups"), rows.link(curve.total, whole)),
        (_("Half have lost their relief"), half_words(curve.half_lost, curve.unit)),
    ]
    window_words = [
        _("Still in relief at %(unit)s %(at)s") % {"unit": unit, "at": when(day, curve.unit)}
        for day in window
    ]
    facts += [(words, at_words(at)) for words, at in zip(window_words, curve.window, strict=True)]
    if curve.told_until is not None:
        facts.append(
            (_("Told up to the last planned check-in"), f"{unit} {when(curve.told_until, curve.unit)}")
        )
    return CurveSection(
        curve,
        title,
        drawing(
            duration.draw(
                [duration.Curve("", curve.total, curve.pieces, curve.places, bar(curve))],
                labels(
                    _("How long relief lasts, %s") % title,
                    "; ".join(f"{words}: {strip_tags(figure)}" for words, figure in facts)
                    + ". "
                    + _("The figures stand in the table below."),
                ),
                name=name,
                unit=curve.unit,
                window=window,
                until=curve.until,
                confirmed=confirmed,
            )
        ),
        format_html("{}: {}", shares(rows, curve.response, "answered", "due"), share_words(curve.response)),
        facts,
        table(curve, window, rows),
        choices(curve, rows),
        window_words,
    )


def bar(curve: DurationCurve) -> tuple[float, float] | None:
    """The bar on the line of 50 %."""
    return (curve.half_lost.low, curve.half_lost.high) if curve.half_lost else None


def labels(title: str, description: str) -> duration.Labels:
    return duration.Labels(
        title=title,
        description=description,
        window=_("relief expected to end"),
        unconfirmed=_("unconfirmed"),
        known=_("share still in relief"),
        undefined=_("it falls somewhere inside"),
        band=_("95 % band, each day by itself"),
        median=_("half have lost it: where the band holds 50 %"),
        axis=_("days since the procedure"),
        axis_hours=_("hours since the procedure"),
        number=_("How many are"),
        known_in=_("known in relief"),
        known_out=_("known lost"),
        unknown=_("not known"),
    )


def table(curve: DurationCurve, window: tuple[int, int], rows: RowLinks) -> list[tuple[str, ...]]:
    """The figures at the marks of the axis and at both ends of the window, each number with its follow-ups."""
    cell, minutes = f"curve:{curve.population}", "m" if curve.unit == "minute" else ""
    wanted = {*map(float, marks(curve.until, curve.unit)), *map(float, window)}
    return [
        (
            f"{unit_words(curve.unit)} {when(at.at, curve.unit)}",
            between(at.low, at.high),
            between(at.band_low, at.band_high),
            *(
                rows.link(number, f"{cell}:{at.at:.0f}{minutes}:{name}")
                for name, number in known_at(curve, at)
            ),
        )
        for at in curve.places
        if at.at in wanted
    ]


def known_at(curve: DurationCurve, at: CurveAtDay) -> list[tuple[str, int]]:
    """How many stand behind the curve at one time, by the names of their cells."""
    return [
        ("known_in", at.known_in),
        ("known_out", at.known_out),
        ("unknown", curve.total - at.known_in - at.known_out),
    ]


def choices(curve: DurationCurve, rows: RowLinks) -> list[RunShown]:
    """The chart's figures, and below them those of each run."""
    assert curve.window is not None
    cell = f"curve:{curve.population}:0{'m' if curve.unit == 'minute' else ''}"
    shares = [between(at.low, at.high) if at else not_told() for at in curve.window]
    lines = [
        RunShown(
            _("As in the chart"),
            "",
            rows.link(curve.total, f"{cell}:all"),
            shares[0],
            shares[1],
        )
    ]
    for run in curve.runs:
        choice, note = map(str, RUNS[run.name])
        total = rows.link(run.total, f"{cell}:{'half_is_loss' if run.name == 'half_is_loss' else 'all'}")
        if run.at_window is None:
            lines.append(RunShown(choice, note, total, "", "", hidden=True))
            continue
        first, last = (between(*share) if share else not_told() for share in run.at_window)
        lines.append(RunShown(choice, note, total, first, last))
    return lines
