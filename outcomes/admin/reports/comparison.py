"""Comparing two groups: which two, both curves in one chart, and the tests in plain words."""

from datetime import date
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.datetime_widgets import DateInput
from outcomes import services
from outcomes.admin.reports.base import (
    RowLinks,
    drawing,
    made,
    of_words,
    page,
    require,
    share_words,
    shares,
    site_of,
)
from outcomes.admin.reports.curves import bar, curve_context, labels, population_words
from outcomes.admin.selection_form import SelectionForm
from outcomes.charts import duration
from outcomes.rates import Share, share
from outcomes.reports import ComparisonReport, Group, Selection, compare_groups
from outcomes.reports.comparison import DIMENSIONS, ScoreTest, split

#: By what groups may be told apart, in words.
BY = (
    ("performer", gettext_lazy("clinician")),
    ("site", gettext_lazy("site")),
    ("intent", gettext_lazy("intent")),
    ("indication", gettext_lazy("indication")),
    ("procedure_type", gettext_lazy("procedure type")),
    ("period", gettext_lazy("period")),
)
#: p below which a difference is spoken of. A convention, and no measure of how much it matters; unconfirmed.
NOTEWORTHY = 0.05
SCORES = {
    "sun": gettext_lazy("Sun (log-rank type)"),
    "finkelstein": gettext_lazy("Finkelstein (proportional hazards)"),
    "wilcoxon": gettext_lazy("Wilcoxon type (early differences)"),
}


class CompareForm(SelectionForm):
    """What both groups have in common, by what they differ, and the two values. These are asked in a second step."""

    population = forms.ChoiceField(
        label=gettext_lazy("Of"),
        required=False,
        choices=[
            ("all_treated", gettext_lazy("all treated")),
            ("responders", gettext_lazy("responders only")),
        ],
    )
    dimension = forms.ChoiceField(label=gettext_lazy("Compare by"), choices=BY, initial="performer")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = self.data.get("dimension", "") if self.is_bound else ""
        self.ready = False
        if asked in DIMENSIONS:
            for name, label in (("one", _("First group")), ("other", _("Second group"))):
                self.add_value(name, label, asked)

    def add_value(self, name: str, label: str, dimension: str) -> None:
        """Fields for the value of one group."""
        if dimension == "period":
            for end, words in (("from", _("from")), ("until", _("until"))):
                self.fields[f"{name}_{end}"] = forms.DateField(
                    label=f"{label}, {words}", required=False, widget=DateInput(format="%Y-%m-%d")
                )
            return
        base = self.fields[dimension]
        if dimension == "indication":
            self.fields[name] = forms.CharField(label=label, required=False, max_length=8, widget=base.widget)
            return
        offered: Any = cast(forms.ChoiceField, base).choices
        choices = [("", _("choose …")), *[choice for choice in offered if choice[0]]]
        self.fields[name] = forms.ChoiceField(label=label, required=False, choices=choices)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            names = (
                ("one_from", "one_until", "other_from", "other_until")
                if cleaned["dimension"] == "period"
                else ("one", "other")
            )
            given = [name for name in names if cleaned.get(name)]
            if given and len(given) < len(names):
                for name in set(names) - set(given):
                    self.add_error(name, ValidationError(_("Say this as well."), code="required"))
            self.ready = len(given) == len(names)
        return cleaned

    def values(self) -> tuple[Any, Any]:
        """The two values, as the selection wants them."""
        given, dimension = self.cleaned_data, self.cleaned_data["dimension"]
        if dimension == "period":
            return (
                (given["one_from"], given["one_until"]),
                (given["other_from"], given["other_until"]),
            )
        if dimension in ("performer", "site"):
            return int(given["one"]), int(given["other"])
        return given["one"], given["other"]

    def names(self) -> tuple[str, str]:
        """The groups as readers call them."""
        first, other = self.values()
        dimension = self.cleaned_data["dimension"]
        if dimension == "period":
            return period(*first), period(*other)
        if dimension == "indication":
            return str(first).upper(), str(other).upper()
        offered: Any = cast(forms.ChoiceField, self.fields["one"]).choices
        known = {str(value): str(label) for value, label in offered}
        return known[str(first)], known[str(other)]


def period(start: date, end: date) -> str:
    return f"{start:%-d %b %Y} – {end:%-d %b %Y}"


def compare_page(request: HttpRequest) -> HttpResponse:
    """First what is to be compared, then both groups side by side."""
    user, now = require(request), timezone.now()
    form = CompareForm(request.GET if request.GET else None, user=user)
    context: dict[str, Any] = {"form": form, "submit": _("Continue")}
    if form.is_valid() and form.ready:
        base: Selection = form.selection()
        report = form.refuse_with(compared, form, base, user=user, now=now)
        if report is not None:
            services.view_report("compare", site=site_of(base), by=user, now=now)
            context |= drawn(report, request) | {
                "words": form.words(),
                "made": made(now),
                "submit": _("Show"),
            }
    status = 422 if form.is_bound and form.errors else 200
    return page(request, "compare", _("Compare"), context, status=status)


def compared(form: CompareForm, base: Selection, **who: Any) -> ComparisonReport:
    given = form.cleaned_data
    first, other = split(base, given["dimension"], *form.values())
    return compare_groups(
        first, other, names=form.names(), population=given["population"] or "all_treated", **who
    )


def drawn(report: ComparisonReport, request: HttpRequest) -> dict[str, Any]:
    """What the template shows of a comparison."""
    curves = [
        next((curve for curve in group.report.curves if curve.population == report.population), None)
        for group in report.groups
    ]
    rows = [RowLinks(request, group.report.selection) for group in report.groups]
    sides = [
        curve_context(
            curve,
            rows[number],
            window=report.groups[number].report.window,
            name=f"side-{number}",
            confirmed=report.groups[number].report.window_confirmed,
        )
        if curve
        else None
        for number, curve in enumerate(curves)
    ]
    both = [curve for curve in curves if curve and not curve.hidden and curve.places]
    names = [group.name for group in report.groups]
    words = [sentence(report), response(report)]
    chart = ""
    if len(both) == 2 and both[0].unit == both[1].unit:
        chart = duration.draw(
            [
                duration.Curve(name, curve.total, curve.pieces, curve.places, bar(curve))
                for name, curve in zip(names, both, strict=True)
            ],
            labels(
                _("How long relief lasts: %(first)s and %(other)s") % {"first": names[0], "other": names[1]},
                " ".join([*words, _("The figures stand in the table below.")]),
            ),
            name="compare",
            unit=both[0].unit,
            window=report.groups[0].report.window
            if report.groups[0].report.window == report.groups[1].report.window
            else None,
            until=max(duration_curve.until for duration_curve in both),
            confirmed=all(group.report.window_confirmed for group in report.groups),
        )
    return {
        "report": report,
        "population": population_words(report.population),
        "sentence": words[0],
        "chart": drawing(chart),
        "sides": [
            {
                "group": group,
                "shown": side,
                "response": shares(each, response_of(group), "answered", "due"),
                "response_share": share_words(response_of(group)),
                **{
                    cell: each.link(getattr(group.report.funnel, cell), cell)
                    for cell in ("treated", "no_baseline", "confounded")
                },
            }
            for group, side, each in zip(report.groups, sides, rows, strict=True)
        ],
        "tests": [test_line(test) for test in report.tests],
        "noteworthy": NOTEWORTHY,
        "windows_differ": report.groups[0].report.window != report.groups[1].report.window,
        "windows_mixed": any(group.report.windows > 1 for group in report.groups),
    }


def response_of(group: Group) -> Share | None:
    """Follow-ups that answered of those of whom something fell due."""
    return share(group.report.funnel.answered, group.report.funnel.due)


def response(report: ComparisonReport) -> str:
    return " ".join(
        _("%(group)s: %(response)s answered.")
        % {"group": group.name, "response": of_words(response_of(group))}
        for group in report.groups
    )


def p_of(test: ScoreTest) -> float:
    """The p that is to be read: from arrangements where groups are small."""
    return test.p if test.p_permuted is None else test.p_permuted


def sentence(report: ComparisonReport) -> str:
    """What the first test says, in plain words."""
    why_not = {
        "nothing_known": _("Nothing can be judged yet in one of the groups."),
        "hidden": _("One of the groups is so small that its figures are hidden."),
        "units_differ": _(
            "One group is counted in days and the other in hours: their curves cannot be compared."
        ),
        "not_proven": _("The best curve was not quite reached, so that no test can be trusted."),
    }
    if report.why_not or not report.tests:
        return why_not.get(report.why_not, _("No test could be made."))
    test = report.tests[0]
    p = p_of(test)
    chance = (
        _("fewer than 1 of 1,000")
        if p < 0.001
        else _("about %d of 1,000") % round(1000 * p)
        if p < 0.01
        else _("about %d of 100") % round(100 * p)
    )
    if p >= NOTEWORTHY:
        return (
            _(
                "No difference was shown: one as large as this or larger would come up by chance in %s such "
                "comparisons of groups that are alike. That does not show that there is none."
            )
            % chance
        )
    # A group whose relief ended sooner than in both together has an excess above 0.
    longer = report.groups[0 if test.excess[0] < test.excess[1] else 1].name
    return _(
        "Relief lasted longer in “%(longer)s”; a difference this large would come up by chance in %(chance)s such "
        "comparisons of groups that are alike."
    ) % {"longer": longer, "chance": chance}


def test_line(test: ScoreTest) -> dict[str, str]:
    def p_words(p: float) -> str:
        return "< 0.001" if p < 0.001 else f"{p:.3f}"

    return {
        "name": str(SCORES[test.score]),
        "statistic": f"{test.statistic:.2f}",
        "p": p_words(test.p),
        "permuted": "–" if test.p_permuted is None else p_words(test.p_permuted),
    }
