"""The procedure report: what one selection of procedures achieved."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outcomes import services
from outcomes.admin.courses import VERDICT_LABELS
from outcomes.admin.reports.base import (
    RowLinks,
    bounds_words,
    drawing,
    made,
    page,
    rate_words,
    require,
    share_words,
    site_of,
)
from outcomes.admin.reports.curves import curve_context, unit_words
from outcomes.admin.selection_form import SelectionForm
from outcomes.charts import column_charts, stacked_bars
from outcomes.charts.svg import when
from outcomes.models.adverse_events import TERMS
from outcomes.models.follow_ups import VERDICTS
from outcomes.rates import share
from outcomes.relief import Verdict
from outcomes.reports import ProcedureReport, procedure_report
from outcomes.reports.counts import CheckInCounts
from outcomes.reports.diagnostic_results import TestCounts, TrialCounts
from outcomes.reports.safety import whole_harm

#: The levels of the global impression of change, 1 to 7, and of the satisfaction, 1 to 5.
CHANGES = (
    "very much improved",
    "much improved",
    "minimally improved",
    "no change",
    "minimally worse",
    "much worse",
    "very much worse",
)
#: What tests and trials can show; no treatment can.
RESULTS = {
    "tests": (Verdict.POSITIVE, Verdict.NEGATIVE, Verdict.INDETERMINATE),
    "trials": (Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE),
}
SATISFIED = ("very dissatisfied", "dissatisfied", "neither", "satisfied", "very satisfied")
#: Those who were treated again before a check-in, by the pain before that; and whose course had ended otherwise.
AGAIN_WORDS = {
    "again_in_relief": gettext_lazy("in relief before"),
    "again_out_of_relief": gettext_lazy("out of relief before"),
    "again_not_asked": gettext_lazy("pain before not known"),
}
LEFT_WORDS = {
    "explanted": gettext_lazy("device taken out"),
    "transferred": gettext_lazy("treated elsewhere"),
    "other_care": gettext_lazy("other care"),
    "died": gettext_lazy("died"),
}


def report_page(request: HttpRequest) -> HttpResponse:
    """The form, and the report of what it selects. Everything stands in the address."""
    user, now = require(request), timezone.now()
    form = SelectionForm(request.GET if request.GET else None, user=user)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        selection = form.selection()
        services.view_report("procedure", site=site_of(selection), by=user, now=now)
        report = procedure_report(selection, user=user, now=now)
        context |= {"words": form.words(), "report": report, **drawn(report, RowLinks(request, selection))}
    status = 422 if form.is_bound and form.errors else 200
    return page(request, "procedure", _("Procedure report"), context, status=status)


def drawn(report: ProcedureReport, rows: RowLinks) -> dict[str, Any]:
    """What the template shows of a report."""
    units = sorted({point.unit for point in report.points}, key=lambda unit: unit != report.unit)
    return {
        "made": made(report.made_at),
        "tests": results(report, rows, "tests"),
        "trials": results(report, rows, "trials"),
        "funnel": funnel(report, rows),
        "verdicts": [
            (
                label,
                VERDICT_LABELS[verdict.value],
                rows.link(report.verdicts[verdict.value], f"verdict:{verdict.value}"),
                bar(report.verdicts[verdict.value], report.procedures),
            )
            for verdict, label in VERDICTS
            if not any(verdict in shown for shown in RESULTS.values())
        ],
        "courses": [
            points_of([point for point in report.points if point.unit == unit], report, rows)
            for unit in units
        ],
        "window": window_words(report),
        "curves": [
            {
                "shown": curve_context(
                    curve,
                    rows,
                    window=report.window,
                    name=f"curve-{curve.population}",
                    confirmed=report.window_confirmed,
                ),
                "population": curve.population,
            }
            for curve in report.curves
        ],
        "satisfied": satisfied(report, rows),
        "change_words": [_(words) for words in CHANGES],
        "harm": harm(report, rows),
        "mme": {
            "took": rows.link(report.mme.took, "opioids:took"),
            "countable": rows.link(report.mme.countable, "opioids:countable"),
            "halved": rows.share(report.mme.halved, "opioids:halved"),
            "stopped": rows.share(report.mme.stopped, "opioids:stopped"),
        },
    }


def results(report: ProcedureReport, rows: RowLinks, group: str) -> dict[str, Any]:
    """What tests or trials show: each result with its share of all that have one."""
    found: TestCounts | TrialCounts = report.tests if group == "tests" else report.trials
    total = getattr(found, group)
    hidden = found.judged < max(report.smallest, 1)
    lines = []
    for verdict, label in VERDICTS:
        if total and verdict in RESULTS[group]:
            count = getattr(found, verdict.value)
            words = "" if hidden else share_words(share(count, found.judged))
            number = rows.link(count, f"{group}_{verdict.value}")
            lines.append((label, number, words, bar(count, found.judged)))
    return {
        "all": rows.link(total, group),
        "judged": found.judged,
        "undecided": found.undecided,
        "lines": lines,
    }


def bar(count: int, of: int) -> str:
    """How long a bar is, in percent of the whole."""
    return f"{100 * count / of:.1f}" if of else "0"


def funnel(report: ProcedureReport, rows: RowLinks) -> list[dict[str, Any]]:
    """From treated to counted; what is left out stands where it leaves."""
    lines = (
        ("treated", _("Treated"), "", False),
        ("no_baseline", _("No baseline"), _("no pain score above 0 before the procedure"), True),
        ("confounded", _("Confounded"), _("another treatment of the same region"), True),
        ("evaluable", _("Evaluable"), _("neither of the two"), False),
        ("due", _("Due"), _("a check-in from the first day of judgement on fell due"), False),
        ("answered", _("Answered"), _("something was answered from that day on"), False),
        ("in_curve", _("Judged"), _("something is known of how long relief lasted"), False),
    )
    return [
        {
            "name": name,
            "note": note,
            "out": out,
            "number": rows.link(getattr(report.funnel, cell), cell),
            "bar": bar(getattr(report.funnel, cell), report.funnel.treated),
        }
        for cell, name, note, out in lines
    ]


def window_words(report: ProcedureReport) -> str:
    if report.window is None:
        return ""
    first, last = (when(at, report.unit) for at in report.window)
    return f"{unit_words(report.unit)} {first}–{last}"


def points_of(points: list[CheckInCounts], report: ProcedureReport, rows: RowLinks) -> dict[str, Any]:
    """Relief, means and changes by planned check-in of one unit."""
    unit = points[0].unit
    minutes = unit == "minute"
    axis = _("hours since the procedure") if minutes else _("days since the procedure")
    known = [point for point in points if point.changes is not None or point.improved.answered > 0]
    description = _("The figures stand in the table below.")
    return {
        "unit": unit,
        "unit_words": _("by the hour") if minutes else "",
        "relief": drawing(
            column_charts.draw_shares(
                [column(point) for point in points],
                column_charts.Labels(
                    _("Share with at least 50 % less pain"), description, axis, **legend_words()
                ),
                name=f"relief-{unit}",
            )
        ),
        "rows": [row(point, rows) for point in points],
        "pain": drawing(
            column_charts.draw_means(
                [means(point, point.pain_before, point.pain) for point in points],
                column_charts.Labels(
                    _("Mean pain before and at each check-in"), description, axis, score=_("mean pain, 0–10")
                ),
                name=f"pain-{unit}",
            )
        ),
        "peg": drawing(
            column_charts.draw_means(
                [means(point, point.peg_before, point.peg) for point in points if point.peg_known],
                column_charts.Labels(
                    _("Mean PEG before and at each check-in"), description, axis, score=_("mean PEG, 0–10")
                ),
                name=f"peg-{unit}",
            )
        )
        if any(point.peg_known for point in points)
        else SafeString(""),
        "changes": drawing(
            stacked_bars.draw(
                [
                    stacked_bars.Stack(f"{unit_words(unit)} {when(point.at, unit)}", point.changes)
                    for point in known
                ],
                [_(words) for words in CHANGES],
                title=_("Impression of change by check-in"),
                description=description,
                hidden=_("too few answers: hidden"),
                name=f"changes-{unit}",
            )
        )
        if known
        else SafeString(""),
        "change_rows": [
            (
                f"{unit_words(unit)} {when(point.at, unit)}",
                rows.link(point.improved.answered, f"{cell_at(point)}:told"),
                None
                if point.changes is None
                else [
                    rows.link(count, f"{cell_at(point)}:change_{level}")
                    for level, count in enumerate(point.changes, 1)
                ],
            )
            for point in known
        ],
    }


def legend_words() -> dict[str, str]:
    return {
        "value": _("of those who answered, with its 95 % interval"),
        "bounds": _("of all of that age: worst to best case of who did not answer"),
        "hidden": _("too few answers: hidden"),
        "response": _("answered, of those asked"),
    }


def column(point: CheckInCounts) -> column_charts.Column:
    fifty = point.fifty
    label = when(point.at, point.unit)
    if fifty.complete is None or fifty.worst is None or fifty.best is None:
        return column_charts.Column(label, fifty.asked, fifty.answered, hidden=fifty.hidden)
    share = fifty.complete
    return column_charts.Column(
        label,
        fifty.asked,
        fifty.answered,
        share.value,
        share.low,
        share.high,
        fifty.worst.value,
        fifty.best.value,
    )


def means(point: CheckInCounts, before: float | None, after: float | None) -> column_charts.MeanScores:
    return column_charts.MeanScores(when(point.at, point.unit), before, after)


def cell_at(point: CheckInCounts) -> str:
    """What the cells of a check-in begin with."""
    return f"at:{point.at}{'m' if point.unit == 'minute' else ''}"


def row(point: CheckInCounts, rows: RowLinks) -> dict[str, Any]:
    """A check-in's line in the table, each count with its rows."""
    cell = cell_at(point)
    rates = (
        ("fifty", point.fifty),
        ("thirty", point.thirty),
        ("two_points", point.two_points),
        ("success", point.success),
        ("improved", point.improved),
    )
    return {
        "when": f"{unit_words(point.unit)} {when(point.at, point.unit)}",
        "due": rows.link(point.fifty.due, f"{cell}:due"),
        "answered": rows.link(point.fifty.answered, f"{cell}:answered"),
        "silent": rows.link(point.fifty.asked - point.fifty.answered, f"{cell}:silent"),
        "again": rows.link(sum(point.groups[name] for name in AGAIN_WORDS), f"{cell}:again"),
        "again_by": [
            (words, rows.link(point.groups[name], f"{cell}:{name}"))
            for name, words in AGAIN_WORDS.items()
            if point.groups[name]
        ],
        "left": [
            (words, rows.link(point.groups[name], f"{cell}:{name}"))
            for name, words in LEFT_WORDS.items()
            if point.groups[name]
        ],
        "response": share_words(point.fifty.response),
        "rates": [
            {
                "share": rate_words(rate),
                "count": None if rate.hidden else rows.link(rate.count, f"{cell}:{name}"),
                "of": rate.answered,
                "bounds": bounds_words(rate),
            }
            for name, rate in rates
        ],
        "pain": score_words(point.pain_before, point.pain),
        "peg": score_words(point.peg_before, point.peg),
        "peg_known": rows.link(point.peg_known, f"{cell}:peg"),
    }


def score_words(before: float | None, after: float | None) -> str:
    """Two means and their difference: "7.4 → 3.1 (−4.3)"."""
    if before is None or after is None:
        return "–"
    return f"{before:.1f} → {after:.1f} ({after - before:+.1f})".replace("-", "−")


def satisfied(report: ProcedureReport, rows: RowLinks) -> dict[str, Any]:
    """The last answer of each follow-up to how satisfied the patient is."""
    counts = report.satisfied.counts
    return {
        "answered": rows.link(report.satisfied.answered, "satisfied"),
        "none": not report.satisfied.answered,
        "hidden": counts is None,
        "lines": []
        if counts is None
        else [
            (
                _(words),
                rows.link(counts.get(value, 0), f"satisfied:{value}"),
                bar(counts.get(value, 0), report.satisfied.answered),
            )
            for value, words in reversed(list(enumerate(SATISFIED, 1)))
        ],
    }


def harm(report: ProcedureReport, rows: RowLinks) -> dict[str, Any]:
    """Adverse events by term and severity. They are never hidden."""
    names = {term.value: words for term, words in TERMS}
    return {
        "any": rows.share(report.adverse.any, "adverse:any"),
        "serious": rows.share(report.adverse.serious, "adverse:serious"),
        "related": rows.link(report.adverse.related, "events:related"),
        "events": rows.link(report.adverse.events, "events:all"),
        "lines": [
            {
                "term": names.get(line.term, line.term),
                **{
                    how: rows.link(getattr(line, how), f"events:{line.term}:{how}")
                    for how in ("mild", "moderate", "severe", "serious")
                },
                "follow_ups": rows.link(line.follow_ups, f"adverse:{line.term}"),
            }
            for line in report.adverse.lines
        ],
        "types": by_type(report, rows),
    }


def by_type(report: ProcedureReport, rows: RowLinks) -> list[dict[str, Any]]:
    """Procedures by their worst event, a line each type, and below several lines their sum."""
    types = list(report.adverse.types)
    if len(types) > 1:
        types.append(whole_harm(types, smallest=report.smallest))
    lines = []
    for harm_of_type in types:
        own = (
            RowLinks(rows.request, replace(rows.selection, procedure_type=harm_of_type.code))
            if harm_of_type.code
            else rows
        )
        cells = (
            ("adverse:any", harm_of_type.any),
            ("adverse:worst:mild", harm_of_type.mild),
            ("adverse:worst:moderate", harm_of_type.moderate),
            ("adverse:worst:severe", harm_of_type.severe),
            ("adverse:serious", harm_of_type.serious),
        )
        lines.append(
            {
                "name": harm_of_type.name or _("All"),
                "whole": not harm_of_type.code,
                "procedures": own.link(harm_of_type.procedures, "procedures"),
                "numbers": [
                    (own.link(harmed.count, cell), share_words(harmed.share) if harmed.share else "")
                    for cell, harmed in cells
                ],
            }
        )
    return lines
