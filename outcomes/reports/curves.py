"""The curve of how long relief lasts, with its bands and with runs under other assumptions, as plain values."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.core.cache import cache
from django.db.models import Case, Count, F, When
from django.db.models.functions import Greatest
from redis.exceptions import RedisError

from outcomes.charts.svg import marks
from outcomes.models.summaries import CourseSummary, CourseSummaryQuerySet
from outcomes.rates import Share
from outcomes.reports.counts import ENDED_AFTER, ENDED_BY, EVALUABLE, LAST_PLANNED, interval
from outcomes.survival import Bands, Floats, Intervals, Span, bands, intervals, turnbull

#: Draws of the bands, and where they begin; the same data always have the same bands.
DRAWS, SEED = 200, 20_261_127
#: So many places of a band, besides both ends of the window and the marks along the time.
PLACES = 60
#: The names of the runs under other assumptions; what each is says `Run`.
OTHERS = ("repeat_is_loss", "confirmed_only", "half_is_loss", "lost_when_found")
HALF = 0.5
#: Bands are kept for so long, in seconds: what they were computed from is their key.
KEPT = 30 * 24 * 3600


#: The lowest and the highest share still in relief.
Bounds = tuple[float, float]


@dataclass(frozen=True)
class CurvePiece:
    """A piece of the curve from `begins` to `ends` (None: without end), with the share still in relief, 0–1.

    Between `low` and `high` nothing is known of how it falls, where they differ.
    """

    begins: float
    ends: float | None
    low: float
    high: float


@dataclass(frozen=True)
class CurveAtDay:
    """The share still in relief at one day, between `low` and `high`, 0–1, with its pointwise band, and how many stand
    behind it: known to be in relief then, known to have lost it by then, and the others, of whom nothing is known."""

    at: float
    low: float
    high: float
    band_low: float
    band_high: float
    known_in: int
    known_out: int


@dataclass(frozen=True)
class HalfLost:
    """When half have lost their relief: `about` then, and between `low` and `high`, the times at which the 95 % band of
    the share still in relief holds one half; in the curve's unit after the procedure."""

    about: float
    low: float
    high: float


@dataclass(frozen=True)
class Run:
    """The same follow-ups under another assumption. `median` (after, until); until None: not reached.

    `name`: "repeat_is_loss": the treatment was repeated because relief had ended, also where the pain before the repeat
    does not say so; "confirmed_only": no bad score is a loss that nothing has confirmed, and silence after one tells
    nothing, which shows too much relief (docs/decisions/0014); "half_is_loss": Lord's rule, a score exactly at the
    limit is pain that has returned, so that fewer respond; "lost_when_found": relief ended on the very day on which a
    check-in found it gone (Kaplan and Meier's curve), which overstates how long it lasts.
    `total`: how many it is about. `at_window`: the lowest and highest share still in relief at the window's first and
    last day, None where that lies after the last planned day. Both figures are None of nobody, or of fewer than the
    smallest cell.
    """

    name: str
    total: int
    median: tuple[float, float | None] | None
    at_window: tuple[Bounds | None, Bounds | None] | None


@dataclass(frozen=True)
class DurationCurve:
    """How long relief lasts in one population: "all_treated" or "responders", which are not the same.

    Times in `unit` after the procedure. `median`: the span in which the estimate reaches one half, its end None when it
    does not; it is far narrower than what is known, and is not shown. `half_lost` is what is known of that time, None
    where it is open on either side. `window`: its first and last day, with the share still in relief at each.
    `violation` of the conditions for the maximum, and whether it is `proven`. `level` is that of each band alone.
    `runs`: under other assumptions. `until`: up to there it is worth drawing. `told_until`: the last planned day of any
    of the follow-ups, after which nothing is told of the curve; a day of the window that lies after it is None. None: a
    plan goes on without end, or it counts in minutes. `hidden`: fewer follow-ups than the smallest cell; then there is
    nothing but `total`. `response`: of the evaluable follow-ups of the whole report that had to answer, those that did;
    None where nothing fell due.
    """

    population: str
    unit: str
    total: int
    hidden: bool = False
    pieces: Sequence[CurvePiece] = ()
    places: Sequence[CurveAtDay] = ()
    median: tuple[float, float | None] | None = None
    half_lost: HalfLost | None = None
    window: tuple[CurveAtDay | None, CurveAtDay | None] | None = None
    violation: float = 0.0
    proven: bool = True
    level: float = 0.95
    runs: Sequence[Run] = ()
    until: float = 0.0
    told_until: float | None = None
    response: Share | None = None


def duration_curve(
    rows: CourseSummaryQuerySet,
    *,
    population: str,
    unit: str,
    window: tuple[int, int],
    smallest: int,
    until: float = 0.0,
) -> DurationCurve:
    """The curve of those of `rows` that count in `unit`, drawn at least up to `until`; one query with all its runs.

    Relief ended by a bad score also where nothing has confirmed it (`outcomes.relief_end.ReliefEndInterval.ended_by`).
    """
    known = rows.filter(EVALUABLE, unit=unit, lost_after__isnull=False)
    if population == "responders":
        known = known.filter(responded=True)
    lords_began, lords_ended = interval("lords_after", F("lords_until"))
    found = list(
        known.order_by()
        .annotate(
            ended_after=ENDED_AFTER,
            ended_by=ENDED_BY,
            # The treatment was repeated while it still worked, so far as is known: perhaps because it no longer did.
            # PostgreSQL's GREATEST passes over NULL: without the condition every censored course would be lost.
            repeat=interval(
                "lost_after",
                Case(When(repeated_at__isnull=False, then=Greatest(F("repeated_at"), F("lost_after") + 1))),
            )[1],
            confirmed=interval("lost_after", F("lost_until"))[1],
            lords_ended_after=lords_began,
            lords_ended_by=lords_ended,
            last_planned=LAST_PLANNED,
        )
        .values_list(
            *("lords_after", "lords_ended_after", "lords_ended_by"),
            *("ended_after", "ended_by", "repeat", "confirmed", "last_planned"),
        )
        .annotate(Count("pk"))
    )
    total = sum(row[-1] for row in found)
    if not total or total < smallest:
        return DurationCurve(population, unit, total, hidden=bool(total))
    table = np.array([[np.inf if cell is None else cell for cell in row] for row in found], dtype=float)
    lords, lords_begins, lords_ends, after, ends, repeat, confirmed, planned, counts = table.T
    told = float(planned.max())
    data = intervals(after, ends, counts)
    curve = turnbull(data)
    until = max(min(extent(data, window, unit), max(told, window[1])), until)
    places = spread(until, window, unit, told)
    band = banded(data, places)
    columns = (places, band.low, band.high, band.band_low, band.band_high, *data.known(places))
    at = {
        place: CurveAtDay(place, *numbers)
        for place, *numbers in zip(*(c.tolist() for c in columns), strict=True)
    }
    never = np.isinf(ends)
    # Nothing can be judged by that rule, or the summary is older than it; who never had relief by it is no responder.
    by_lord = np.isfinite(lords) & ((lords > 0) | (population != "responders"))
    others = (
        (after, np.where(never, repeat, ends), counts),
        (after, confirmed, counts),
        (lords_begins[by_lord], lords_ends[by_lord], counts[by_lord]),
        # The usual habit, which makes relief look longer than it is; the curve is then Kaplan and Meier's.
        (np.where(never, after, ends - 1), ends, counts),
    )
    return DurationCurve(
        population,
        unit,
        total,
        pieces=[
            CurvePiece(stretch.begins, ending(min(stretch.ends, told)), stretch.low, stretch.high)
            for stretch in curve.stretches()
            if stretch.begins < told
        ],
        places=list(at.values()),
        median=(curve.median.after, ending(curve.median.until)),
        half_lost=half_lost(places, band, curve.median),
        window=(at.get(float(window[0])), at.get(float(window[1]))),
        violation=curve.proof.violation,
        proven=curve.proof.converged,
        level=band.level,
        runs=[
            run(name, *these, window=window, told=told, smallest=smallest)
            for name, these in zip(OTHERS, others, strict=True)
        ],
        until=until,
        told_until=ending(told),
    )


def half_lost(places: Floats, band: Bands, median: Span) -> HalfLost | None:
    """Between which of the places, in order, the band holds one half; None when that is open on either side: the band
    holds one half from the first place after the procedure on, or up to the last one.

    The true curve crosses one half later than the last place at which the whole band lies above it, and not later than
    the first one from which on the whole band lies below. `about` is the middle of the span in which the estimate does.
    """
    above, below = band.band_low > HALF, band.band_high < HALF
    begins = int(np.argmin(above)) - 1  # of the places from the first on at which the whole band lies above
    ends = len(places) - int(np.argmin(below[::-1]))  # likewise to the last one
    if begins < 0 or not places[begins] or ends == len(places) or np.isinf(median.until):
        return None
    low, high = float(places[begins]), float(places[ends])
    return HalfLost(min(max((median.after + median.until) / 2, low), high), low, high)


def ending(time: float) -> float | None:
    """A time, or None for what has no end."""
    return None if np.isinf(time) else float(time)


def run(
    name: str,
    after: Floats,
    until: Floats,
    counts: Floats,
    *,
    window: tuple[int, int],
    told: float,
    smallest: int,
) -> Run:
    """The curve under another assumption, in few figures."""
    total = int(counts.sum())
    if total < max(smallest, 1):
        return Run(name, total, None, None)
    curve = turnbull(intervals(after, until, counts))
    first, last = (
        (share.low, share.high) if day <= told else None for day in window for share in [curve.share(day)]
    )
    return Run(name, total, (curve.median.after, ending(curve.median.until)), (first, last))


def extent(data: Intervals, window: tuple[int, int], unit: str) -> float:
    """Up to where something is known, and the whole window, unless that would squeeze what is known.

    A block is over in hours; what a few say of the days after it would squeeze them.
    """
    ends = data.until[np.isfinite(data.until)]
    latest = max(float(data.after.max()), float(ends.max(initial=0)), 1.0)
    if unit == CourseSummary.Unit.MINUTE:
        latest = min(latest, 2.0 * window[1])
    if window[1] <= 3 * max(latest, window[0]):
        return max(latest, float(window[1]))
    return max(latest * 1.25, window[0] * 1.5)


def spread(until: float, window: tuple[int, int], unit: str, told: float) -> Floats:
    """The places at which a band is drawn: even ones, the marks along the time, the window's two ends, and the last
    one of which something is told; none after that."""
    even = np.round(np.linspace(0, until, PLACES))
    last = min(told, until)
    places = np.unique(np.concatenate([even, np.array([*marks(until, unit), *window, last], dtype=float)]))
    return places[places <= told]


def banded(data: Intervals, places: Floats) -> Bands:
    """The bands, computed once for the same data: they take as long as all the rest together."""
    digest = hashlib.sha256(b"2")  # of this way to compute them
    for array in (data.after, data.until, data.counts, places):
        digest.update(np.ascontiguousarray(array).tobytes())
    key = f"outcomes.bands.{DRAWS}.{SEED}.{digest.hexdigest()}"
    try:
        kept: Bands | None = cache.get(key)
    except (RedisError, OSError):
        return bands(data, places, draws=DRAWS, seed=SEED)
    if kept is None:
        kept = bands(data, places, draws=DRAWS, seed=SEED)
        cache.set(key, kept, KEPT)
    return kept
