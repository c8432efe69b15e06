"""The procedure report: what one selection of procedures achieved."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, QuerySet

from clinic.models import User
from outcomes.models import CourseSummary
from outcomes.models.summaries import CourseSummaryQuerySet
from outcomes.rates import Share, share
from outcomes.reports.counts import (
    COLUMNS,
    FUNNEL,
    PLANNED_COLUMNS,
    POINTS,
    TREATED,
    TREATED_SQL,
    CheckInCounts,
    Distribution,
    Funnel,
    point_of,
    verdicts,
)
from outcomes.reports.curves import DurationCurve, duration_curve
from outcomes.reports.diagnostic_results import TestCounts, TrialCounts, counts_of_tests, counts_of_trials
from outcomes.reports.safety import AdverseReport, MmeChange, adverse_report, mme_change
from outcomes.reports.selection import Selection, select_summaries, smallest_cell
from procedures.models import FigureConfirmation, ReliefProfile

#: The last answer to each item, of every follow-up that gave one.
LAST_SATISFIED = f"""
SELECT value, COUNT(*)
  FROM chosen
 CROSS JOIN LATERAL (SELECT value FROM UNNEST(satisfied) WITH ORDINALITY AS one (value, place)
                      WHERE value IS NOT NULL ORDER BY place DESC LIMIT 1) AS last
 WHERE {TREATED_SQL}
 GROUP BY value
 ORDER BY value
"""  # noqa: S608


@dataclass(frozen=True)
class ProcedureReport:
    """What a selection of procedures achieved, at the instant `made_at`.

    `procedures` counts all, `funnel` the treatments. Tests and trials are counted in `tests`, `trials`, `verdicts`
    and harm alone. `unit` is "day" unless there are only tests; `other_unit` counts the tests among others.
    `window`: the relief window of most treatments, in days; `windows` counts how many there are. `window_confirmed`:
    physicians stand by it in every version of a relief profile by which one is judged.
    `points` by planned check-in. `curves`: all treated, then responders; [] when nothing can be judged yet.
    `smallest`: rates from fewer answers are hidden.
    """

    selection: Selection
    made_at: datetime
    smallest: int
    procedures: int
    funnel: Funnel
    tests: TestCounts
    trials: TrialCounts
    verdicts: dict[str, int]
    unit: str
    other_unit: int
    window: tuple[int, int] | None
    windows: int
    window_confirmed: bool
    success_percent: int | None
    points: Sequence[CheckInCounts]
    curves: Sequence[DurationCurve]
    satisfied: Distribution
    adverse: AdverseReport
    mme: MmeChange


def procedure_report(
    selection: Selection, *, user: User, now: datetime, until: float = 0.0
) -> ProcedureReport:
    """The report of the follow-ups in `selection` that `user` may see. Raises as `Selection.check` does.

    Its curves are drawn at least up to `until`. The number of queries does not depend on what is selected.
    """
    selection.check(user)
    rows = selection.summaries(user)
    smallest = smallest_cell(user, selection)
    (counts,) = select_summaries(rows, FUNNEL, *COLUMNS) or [(0,) * 7]
    funnel = Funnel(*counts)
    windows = expected(rows)
    window = (windows[0][0], windows[0][1]) if windows else None
    tests, procedures = counts_of_tests(rows), rows.count()
    only_tests = 0 < tests.tests == procedures
    unit = (CourseSummary.Unit.MINUTE if only_tests else CourseSummary.Unit.DAY).value
    return ProcedureReport(
        selection=selection,
        made_at=now,
        smallest=smallest,
        procedures=procedures,
        funnel=funnel,
        tests=tests,
        trials=counts_of_trials(rows),
        verdicts=verdicts(rows),
        unit=unit,
        other_unit=0 if only_tests else tests.tests,
        window=window,
        windows=len({(first, last) for first, last, *_ in windows}),
        window_confirmed=window is not None and confirmed(rows, window=window),
        success_percent=windows[0][2] if windows else None,
        points=[
            point_of(tuple(numbers), unit=kind, treated=funnel.evaluable, smallest=smallest)
            for kind, *numbers in select_summaries(rows, POINTS, *COLUMNS, *PLANNED_COLUMNS, more=[now])
        ],
        curves=curves(
            rows,
            unit=unit,
            window=window,
            smallest=smallest,
            until=until,
            response=share(funnel.answered, funnel.due),
        ),
        satisfied=distribution(
            select_summaries(rows, LAST_SATISFIED, "satisfied", "intent", "verdict"),
            treated=funnel.treated,
            smallest=smallest,
        ),
        adverse=adverse_report(rows, follow_ups=procedures, smallest=smallest),
        mme=mme_change(rows, today=now.date(), smallest=smallest),
    )


def expected(rows: QuerySet[CourseSummary]) -> list[tuple[int, int, int, int]]:
    """The relief windows of the treatments among the follow-ups, in days, the most frequent first: first, last, what
    counts, how many."""
    found = rows.order_by().filter(TREATED).values_list("window_from", "window_until", "success_percent")
    return sorted(found.annotate(Count("pk")), key=lambda row: (-row[-1], row))


def confirmed(rows: QuerySet[CourseSummary], *, window: tuple[int, int]) -> bool:
    """Whether no treatment with this window is judged by a relief profile whose window nobody has confirmed."""
    judged_by = rows.order_by().filter(
        TREATED,
        follow_up__relief_profile=OuterRef("pk"),
        window_from=window[0],
        window_until=window[1],
    )
    said = FigureConfirmation.objects.filter(
        relief_profile=OuterRef("pk"), figure=FigureConfirmation.Figure.WINDOW
    )
    return not ReliefProfile.objects.filter(~Exists(said), Exists(judged_by)).exists()


def curves(
    rows: CourseSummaryQuerySet,
    *,
    unit: str,
    window: tuple[int, int] | None,
    smallest: int,
    until: float,
    response: Share | None,
) -> list[DurationCurve]:
    """The curves of both populations; [] where nothing can be judged."""
    if window is None or unit != CourseSummary.Unit.DAY:
        return []
    both = [
        duration_curve(rows, population=population, unit=unit, window=window, smallest=smallest, until=until)
        for population in ("all_treated", "responders")
    ]
    return [replace(curve, response=response) for curve in both if curve.total]


def distribution(found: Sequence[tuple[int, int]], *, treated: int, smallest: int) -> Distribution:
    """How often each value was chosen, unless so few answered that it is hidden."""
    answered = sum(count for _, count in found)
    return Distribution(treated, answered, dict(found) if answered >= max(smallest, 1) else None)
