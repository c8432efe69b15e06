"""From a number of a report to the rows behind it.

A cell is the name of a number: "treated", "verdict:lost_early", "at:92:answered", "curve:responders:92:known_in". Times
are those of the planned check-ins, in days; of diagnostic blocks in minutes, with an m behind: "at:60m:answered".

Each function below says of one kind of cell which rows it counts: follow-ups, check-ins, alerts or adverse events. Its
pattern names the values that may stand in it; what the list says then, and most of the values with their words, stands
in cell_words.py.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.models import AdverseEvent, Alert, Answer, CheckIn, CourseSummary, FollowUp, Measurement
from outcomes.models.adverse_events import TERMS
from outcomes.models.follow_ups import VERDICTS
from outcomes.questions import PAIN_NOW
from outcomes.reports import alert_load, counts, overview, response_rates, safety
from outcomes.reports.cell_words import WORDS
from outcomes.reports.selection import Selection
from outcomes.schedule import DAY
from patients.models import Patient

#: What was chosen last, from 1 to 5.
LAST_SATISFIED = (
    "(SELECT value FROM UNNEST(satisfied) WITH ORDINALITY AS one (value, place) "
    "WHERE value IS NOT NULL ORDER BY place DESC LIMIT 1)"
)
BANDS = {response_rates.band_name(band): band for band in range(1, len(response_rates.BANDS) + 1)}
#: What can stand in a cell, by the name of its place, and what that is in words.
VALUES: Mapping[str, Mapping[str, Any]] = {
    **WORDS,
    "verdict": {code.value: words for code, words in VERDICTS},
    "term": {code.value: words for code, words in TERMS},
    "severity": dict(AdverseEvent.Severity.choices),
    "language": dict(Patient.Language.choices),
    "channel": dict(Answer.Channel.choices),
    "age": {band: band for band in BANDS},
    "level": {str(level): str(level) for level in range(1, 6)},
}
ALERTS = {"raised": Q(), "resolved": alert_load.RESOLVED, "acted": alert_load.ACTED}


class Report(NamedTuple):
    """Whose report of what, at what time. `rows`: the summaries that it is about."""

    rows: QuerySet[CourseSummary]
    selection: Selection
    user: User
    now: datetime

    def chosen(self, path: str = "") -> Q:
        """Of follow-ups, or of rows with a `path` to them: they are in the report."""
        return Q(**{f"{path}summary__in": self.rows.order_by().values("pk")})

    def at_site(self, path: str) -> Q:
        return Q(**{path: self.selection.site}) if self.selection.site else Q()


class Cell(NamedTuple):
    """One kind of number: of which rows, how it is written, what it is in words, and which of the rows it counts."""

    model: type[Model]
    pattern: re.Pattern[str]
    words: str
    wanted: Callable[..., Q]


CELLS: list[Cell] = []


def cell(model: type[Model], name: str, **given: Any) -> Callable[..., Callable[..., Q]]:
    """Of a condition: it is that of the cells of this name. "{time}" is a time, any other word in braces one of VALUES.

    `given`: what else the condition is called with.
    """
    parts = {part: "|".join(map(re.escape, values)) for part, values in VALUES.items()} | {
        "time": r"\d{1,6}m?"
    }
    pattern = re.sub(r"\{(\w+)\}", lambda part: f"(?P<{part[1]}>{parts[part[1]]})", name)

    def add(wanted: Callable[..., Q]) -> Callable[..., Q]:
        each = Cell(model, re.compile(pattern, re.ASCII), WORDS["cells"][name], partial(wanted, **given))
        CELLS.append(each)
        return wanted

    return add


def matching(name: str, model: type[Model] | None = None) -> tuple[Cell, dict[str, str]]:
    """The kind of a cell and what stands in it. Raises Refusal "unknown_cell", field "cell"; also where it does not
    count rows of `model`."""
    for each in CELLS:
        found = each.pattern.fullmatch(name)
        if found and model in (None, each.model):
            return each, found.groupdict()
    raise Refusal("No report has such a number.", code="unknown_cell", field="cell")


def cell_words(name: str, model: type[Model]) -> str:
    """What the rows of `model` behind a cell are, in words. Raises as `matching` does."""
    found, values = matching(name, model)
    words = {part: _(str(VALUES[part][value])) for part, value in values.items() if part != "time"}
    if time := values.get("time"):
        minutes = time.endswith("m") or found.pattern.pattern.startswith("asked:minute")
        words["time"] = _("hour %s") % f"{number_of(time) / 60:g}" if minutes else _("day %s") % time
    return _(found.words) % {"days": alert_load.LOOKS_BACK.days, **words}


def rows_behind(selection: Selection, name: str, user: User, *, now: datetime) -> QuerySet[Any]:
    """The rows that the cell `name` of a report of `selection` counts, as far as `user` may see them.

    Of cells of the last days or of this month the selection's site counts alone.

    Raises Refusal as `Selection.check` does, and "unknown_cell", field "cell".
    """
    selection.check(user)
    found, values = matching(name)
    report = Report(selection.summaries(user), selection, user, now)
    seen: QuerySet[Any] = found.model.objects.visible_to(user)  # type: ignore[attr-defined]
    return seen.filter(found.wanted(report, **values))


@cell(FollowUp, "{group}")
def in_group(report: Report, group: str) -> Q:
    return within(report, counts.WHOLE[group])


@cell(FollowUp, "verdict:{verdict}")
def with_verdict(report: Report, verdict: str) -> Q:
    return report.chosen() & Q(summary__verdict=verdict)


@cell(FollowUp, "month:{month}")
def found_this_month(report: Report, month: str) -> Q:
    sites = Site.objects.visible_to(report.user).filter(report.at_site("pk"))
    return report.chosen() & overview.since_month(sites, overview.MONTH[month], report.now)


@cell(
    FollowUp,
    "satisfied:{level}",
)
def how_satisfied(report: Report, level: str) -> Q:
    return within(report, f"{counts.TREATED_SQL} AND {LAST_SATISFIED} = {int(level)}")


@cell(
    FollowUp,
    "at:{time}:{came}",
)
def at_check_in(report: Report, time: str, came: str) -> Q:
    """By what came of one planned check-in."""
    statement = (
        f"SELECT follow_up_id FROM chosen WHERE {unit_is(time)} AND {counts.EVALUABLE_SQL} AND EXISTS "  # noqa: S608
        f"(SELECT FROM {counts.PLANNED} WHERE day = {number_of(time)} AND {counts.AT[came]})"
    )
    return selecting(report, statement, counts.COLUMNS, counts.PLANNED_COLUMNS, values=[report.now])


@cell(FollowUp, "curve:{curve}:{time}:all", known="all")
@cell(FollowUp, "curve:{curve}:{time}:half_is_loss", known="half_is_loss")
@cell(FollowUp, "curve:{curve}:{time}:{known}")
def in_curve(report: Report, curve: str, time: str, known: str) -> Q:
    """By what is known of them at one time of a curve (`outcomes.survival.Intervals.known`)."""
    known_in = f"ended_after >= {number_of(time)}"
    known_out = f"COALESCE(ended_by <= {number_of(time)}, FALSE)"
    wanted = {
        "all": "TRUE",
        "known_in": known_in,
        "known_out": known_out,
        "unknown": f"NOT ({known_in} OR {known_out})",
        "half_is_loss": f"lords_after >= {int(curve == 'responders')}",
    }[known]
    of = counts.WHOLE["in_curve" if curve == "all_treated" else "responders"]
    rows = report.rows.annotate(ended_after=counts.ENDED_AFTER, ended_by=counts.ENDED_BY)
    condition = f"{unit_is(time)} AND {of} AND {wanted}"
    return within(report._replace(rows=rows), condition, "ended_after", "ended_by")


@cell(FollowUp, "opioids:{opioids}")
def by_opioids(report: Report, opioids: str) -> Q:
    """Of whose patient took an opioid on the day of the procedure, by what became of it."""
    group = safety.OPIOID_GROUPS[opioids]
    statement = f"SELECT follow_up_id FROM ({safety.EACH_OPIOID}) AS each WHERE {group}"  # noqa: S608  # ours
    return selecting(report, statement, safety.OPIOID_COLUMNS, values=[report.now.date()])


@cell(FollowUp, "adverse:any")
@cell(FollowUp, "adverse:serious", serious=True)
@cell(FollowUp, "adverse:{term}")
def with_event(report: Report, **given: Any) -> Q:
    events = AdverseEvent.objects.standing().filter(**given)
    return report.chosen() & Q(pk__in=events.order_by().values("follow_up"))


@cell(FollowUp, "adverse:worst:{severity}")
def by_worst_event(report: Report, severity: str) -> Q:
    severities = AdverseEvent.Severity.values
    worse = with_event(report, severity__in=severities[severities.index(severity) + 1 :])
    return with_event(report, severity=severity) & ~worse


@cell(AdverseEvent, "events:all")
@cell(
    AdverseEvent,
    "events:related",
    relation__in=safety.RELATED,
)
@cell(AdverseEvent, "events:{term}:{severity}")
@cell(AdverseEvent, "events:{term}:serious", serious=True)
def events(report: Report, **given: Any) -> Q:
    return report.chosen("follow_up__") & Q(entered_in_error_at=None, **given)


@cell(Alert, "alerts:{alerts}")
def alerts_raised(report: Report, alerts: str) -> Q:
    return alert_load.raised_lately(report.now) & ALERTS[alerts] & report.at_site("site")


@cell(CheckIn, "asked:recent:{lately}")
def asked_lately(report: Report, lately: str) -> Q:
    answered = Q(status=CheckIn.Status.ANSWERED) if lately == "answered" else Q()
    return overview.asked_lately(report.now) & report.at_site("follow_up__procedure__site") & answered


@cell(CheckIn, "asked:all:{asked}")
@cell(CheckIn, "asked:day:{time}:{asked}", unit="day", each=DAY)
@cell(CheckIn, "asked:minute:{time}:{asked}", unit="minute", each=1)
@cell(CheckIn, "asked:language:{language}:{asked}")
@cell(CheckIn, "asked:age:{age}:{asked}")
@cell(CheckIn, "asked:channel:{channel}:{asked}")
def fallen_due(report: Report, asked: str, **group: Any) -> Q:
    """Of one group of the response report: those that fell due, or that were answered with the pain now."""
    wanted = report.chosen("follow_up__") & Q(kind=CheckIn.Kind.PLANNED)
    wanted &= Q(status__in=(CheckIn.Status.ANSWERED, CheckIn.Status.MISSED))
    if asked == "answered" and "channel" not in group:
        instrument, _dot, item = PAIN_NOW.partition(".")
        scores = Measurement.objects.filter(answer__check_in=OuterRef("pk"), instrument=instrument, item=item)
        wanted &= Q(Exists(scores))
    if "time" in group:
        first, each = number_of(group["time"]), group["each"]
        wanted &= Q(offset_minutes__gte=first * each, offset_minutes__lt=(first + 1) * each)
        wanted &= Q(follow_up__summary__unit=group["unit"])
    if "age" in group:
        band = (
            f"(SELECT {response_rates.BAND} FROM patients_patient AS patient WHERE patient.id = patient_id)"  # noqa: S608
        )
        of_age = FollowUp.objects.filter(within(report, f"{band} = {BANDS[group['age']]}"))
        wanted &= Q(follow_up__in=of_age.values("pk"))
    paths = {"language": "follow_up__patient__language", "channel": "answer__channel"}
    return wanted & Q(**{path: group[name] for name, path in paths.items() if name in group})


def number_of(time: str) -> int:
    return int(time.removesuffix("m"))


def unit_is(time: str) -> str:
    """That a summary counts in the unit of a time, in SQL."""
    return f"unit = '{'minute' if time.endswith('m') else 'day'}'"


def within(report: Report, condition: str, *columns: str) -> Q:
    """The follow-ups of the report for which a condition in SQL holds. It holds no value of a user but numbers."""
    more = ("responded", "satisfied", "lords_after", "patient_id", "performed_on", *columns)
    statement = f"SELECT follow_up_id FROM chosen WHERE {condition}"  # noqa: S608
    return selecting(report, statement, counts.COLUMNS, more)


def selecting(report: Report, statement: str, *columns: tuple[str, ...], values: Any = ()) -> Q:
    """The follow-ups whose numbers a statement selects from a table `chosen` with these columns of the summaries."""
    names = tuple(dict.fromkeys(["follow_up_id", *(name for some in columns for name in some)]))
    try:
        sql, params = report.rows.order_by().values_list(*names).query.sql_with_params()
    except EmptyResultSet:
        return Q(pk__in=[])
    table = ", ".join(f'"{name}"' for name in names)
    return Q(pk__in=RawSQL(f"WITH chosen ({table}) AS ({sql}) {statement}", [*params, *values]))  # noqa: S611
