"""The response report: who answers, by day, channel, language and age."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from outcomes import services
from outcomes.admin.reports.base import RowLinks, made, page, require, share_words, site_of
from outcomes.admin.selection_form import SelectionForm
from outcomes.models import Answer
from outcomes.reports import response_report
from outcomes.reports.response_rates import Answered
from patients.models import Patient


def response_page(request: HttpRequest) -> HttpResponse:
    """The form, and who answers among what it selects; without a selection, all."""
    user, now = require(request), timezone.now()
    form = SelectionForm(request.GET, user=user)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        selection = form.selection()
        services.view_report("response", site=site_of(selection), by=user, now=now)
        report = response_report(selection, user=user, now=now)
        rows = RowLinks(request, selection)
        channels = {value: str(label) for value, label in Answer.Channel.choices}
        languages = {value: str(label) for value, label in Patient.Language.choices}
        context |= {
            "words": form.words(),
            "report": report,
            "made": made(report.made_at),
            "whole": table_rows([report.whole], rows, "")[0],
            "groups": [
                (
                    _("By check-in"),
                    _("Check-in"),
                    table_rows(report.days, rows, "day"),
                    _("Of those due."),
                    _("Response"),
                ),
                (
                    _("By language"),
                    _("Language"),
                    table_rows(report.languages, rows, "language", languages),
                    _("Of those due."),
                    _("Response"),
                ),
                (
                    _("By age at the procedure"),
                    _("Years"),
                    table_rows(report.ages, rows, "age"),
                    _("Of those due. The bands are a choice; unconfirmed."),
                    _("Response"),
                ),
                (
                    _("By channel"),
                    _("Channel"),
                    table_rows(report.channels, rows, "channel", channels),
                    _("How the answers came, of all answers: nobody was due by one channel alone."),
                    _("Share"),
                ),
            ],
        }
    return page(request, "response", _("Who answers"), context, status=422 if form.errors else 200)


def table_rows(
    lines: Sequence[Answered], rows: RowLinks, by: str, names: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """The lines of a table, each number with its check-ins. `by`: what the lines are told apart by; "" for all."""
    return [
        {
            "name": (names or {}).get(line.label) or with_day(line.label),
            # Nobody was due by one channel alone: what stands there are all answers.
            "due": linked(
                rows, "asked:all:answered" if by == "channel" else cell_of(line, by, "due"), line.due
            ),
            "answered": linked(rows, cell_of(line, by, "answered"), line.answered),
            "follow_ups": line.follow_ups
            if line.follow_ups is None
            else rows.link(line.follow_ups, "procedures"),
            "share": _("hidden") if line.hidden else share_words(line.response),
            "bar": f"{100 * line.response.value:.1f}" if line.response else "0",
            "hidden": line.hidden,
        }
        for line in lines
    ]


def with_day(label: str) -> str:
    """A check-in by the hour that is days away, with its day: "hour 168 (day 7)"."""
    unit, _space, at = label.partition(" ")
    if unit != "hour" or float(at) < 48 or float(at) % 24:
        return label
    return _("%(label)s (day %(day)d)") % {"label": label, "day": float(at) // 24}


def cell_of(line: Answered, by: str, name: str) -> str:
    """The cell of one number of a line."""
    unit, _space, at = line.label.partition(" ")
    if by == "day":
        return f"asked:minute:{round(float(at) * 60)}:{name}" if unit == "hour" else f"asked:day:{at}:{name}"
    return f"asked:{by}:{line.label}:{name}" if by else f"asked:all:{name}"


def linked(rows: RowLinks, cell: str, number: int | None) -> Any:
    return "" if number is None else rows.link(number, cell)
