"""Comparing two groups: does relief last equally long, and do as many have it?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count

from clinic.models import User
from clinic.refusals import Refusal
from outcomes.reports.counts import ENDED_AFTER, ENDED_BY, EVALUABLE
from outcomes.reports.procedure import ProcedureReport, procedure_report
from outcomes.reports.selection import Selection, smallest_cell
from outcomes.survival import Comparison, Intervals, Score, compare, intervals, permute

#: Groups may differ in one of these.
DIMENSIONS = ("procedure_type", "intent", "indication", "performer", "site", "period")
#: Below so many follow-ups in a group the p of the chi-square is not trusted, and that of the arrangements is given.
FEW = 50
SEED, DRAWS = 20_261_127, 9_999


@dataclass(frozen=True)
class Group:
    """One of the two groups: its name for readers, and its report."""

    name: str
    report: ProcedureReport


@dataclass(frozen=True)
class ScoreTest:
    """A score test of equal duration: sun (the log-rank type), finkelstein or wilcoxon.

    `excess` of each group: above 0 where relief ended sooner than in both together. `p` by chi-square; `p_permuted`
    from arrangements of the follow-ups into the groups, None where both groups are large.
    """

    score: str
    statistic: float
    p: float
    p_permuted: float | None
    excess: tuple[float, float]


@dataclass(frozen=True)
class ComparisonReport:
    """Two groups side by side. `tests` is empty where `why_not` says why: "nothing_known", "hidden", "units_differ",
    or "not_proven", when the curve of both together missed the conditions for the maximum."""

    dimension: str
    population: str
    groups: tuple[Group, Group]
    tests: Sequence[ScoreTest]
    why_not: str = ""


def compare_groups(
    first: Selection,
    other: Selection,
    *,
    names: tuple[str, str],
    population: str = "all_treated",
    user: User,
    now: datetime,
) -> ComparisonReport:
    """Compare the follow-ups of two selections that differ in one thing alone and share none.

    Raises Refusal as `Selection.check` does; "same_group" when they do not differ, "too_many_differences" (field
    "dimension") when in more than one thing, "groups_overlap" when a follow-up could be in both, "unknown_population".
    """
    if population not in ("all_treated", "responders"):
        raise Refusal("All treated, or responders.", code="unknown_population", field="population")
    dimension = difference(first, other)
    reports = [procedure_report(selection, user=user, now=now) for selection in (first, other)]
    # Both curves are drawn on one axis, with the figures of both groups at each of its marks.
    until = max((curve.until for report in reports for curve in report.curves), default=0.0)
    reports = [
        report
        if all(curve.until == until for curve in report.curves)
        else procedure_report(report.selection, user=user, now=now, until=until)
        for report in reports
    ]
    groups = (Group(names[0], reports[0]), Group(names[1], reports[1]))
    known = [known_of(selection, user, population, groups[0].report.unit) for selection in (first, other)]
    if groups[0].report.unit != groups[1].report.unit:
        return ComparisonReport(dimension, population, groups, (), "units_differ")
    if not all(known):
        return ComparisonReport(dimension, population, groups, (), "nothing_known")
    data = [intervals for intervals in known if intervals is not None]
    smallest = max(smallest_cell(user, first), smallest_cell(user, other))
    if min(intervals.total for intervals in data) < smallest:
        return ComparisonReport(dimension, population, groups, (), "hidden")
    results = [compare(data, score=score) for score in Score]
    if not all(result.proof.converged for result in results):
        return ComparisonReport(dimension, population, groups, (), "not_proven")
    return ComparisonReport(dimension, population, groups, [tested(data, result) for result in results])


def difference(selection: Selection, other: Selection) -> str:
    """The one thing in which they differ. Raises Refusal as `compare_groups`."""
    differing = [
        name
        for name in DIMENSIONS
        if (
            (selection.performed_from, selection.performed_until)
            != (other.performed_from, other.performed_until)
            if name == "period"
            else getattr(selection, name) != getattr(other, name)
        )
    ]
    if not differing:
        raise Refusal("Both groups are the same.", code="same_group", field="dimension")
    if len(differing) > 1:
        raise Refusal(
            "The groups differ in more than one thing.", code="too_many_differences", field="dimension"
        )
    (name,) = differing
    if overlap(selection, other, name):
        raise Refusal("A follow-up could be in both groups.", code="groups_overlap", field=name)
    return name


def overlap(selection: Selection, other: Selection, name: str) -> bool:
    """Whether a follow-up could be in both groups."""
    if name == "period":
        early, late = sorted(
            (selection, other), key=lambda each: (each.performed_from is not None, each.performed_from)
        )
        return (
            early.performed_until is None
            or late.performed_from is None
            or late.performed_from <= early.performed_until
        )
    mine, theirs = getattr(selection, name), getattr(other, name)
    if name == "indication":
        mine, theirs = mine.upper(), theirs.upper()
        return bool(mine.startswith(theirs) or theirs.startswith(mine))
    return mine in ("", None) or theirs in ("", None)


def known_of(selection: Selection, user: User, population: str, unit: str) -> Intervals | None:
    """The intervals of a group; None when nothing of it is known."""
    rows: Any = (
        selection.summaries(user)
        .annotate(ended_after=ENDED_AFTER, ended_by=ENDED_BY)
        .filter(EVALUABLE, unit=unit, lost_after__isnull=False)
    )
    if population == "responders":
        rows = rows.filter(responded=True)
    found = list(rows.order_by().values_list("ended_after", "ended_by").annotate(Count("pk")))
    if not found:
        return None
    after, until, counts = zip(*found, strict=True)
    return intervals(after, [np.inf if end is None else end for end in until], counts)


def tested(data: Sequence[Intervals], result: Comparison) -> ScoreTest:
    """One score test of both groups, with the p of arrangements where they are few."""
    few = min(intervals.total for intervals in data) < FEW
    first, second = result.excess
    return ScoreTest(
        result.score.value,
        result.statistic,
        result.p,
        permute(data, score=result.score, draws=DRAWS, seed=SEED).p if few else None,
        (first, second),
    )


def split(selection: Selection, dimension: str, first: object, other: object) -> tuple[Selection, Selection]:
    """The selection cut in two by a dimension that it leaves open. For "period" the values are (from, until)."""
    if dimension == "period":
        names = ("performed_from", "performed_until")
        spans = [dict(zip(names, span, strict=True)) for span in (first, other)]  # type: ignore[call-overload]
        return replace(selection, **spans[0]), replace(selection, **spans[1])
    if dimension not in DIMENSIONS:
        raise Refusal("Groups cannot be told apart by this.", code="unknown_dimension", field="dimension")
    return replace(selection, **{dimension: first}), replace(selection, **{dimension: other})  # type: ignore[arg-type]
