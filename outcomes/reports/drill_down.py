"""From a number of a report to the rows behind it.

A cell is the name of a number: "treated", "verdict:lost_early", "at:92:answered", "curve:responders:92:known_in". Times
are those of the planned check-ins, in days; of diagnostic blocks in minutes, with an m behind: "at:60m:answered".

Most numbers count follow-ups. Those of cells that begin with "asked" count check-ins, with "alerts" alerts, and with
"events" adverse events.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.adverse_event_terms import Term
from outcomes.models import AdverseEvent, Alert, Answer, CheckIn, CourseSummary, FollowUp, Measurement
from outcomes.questions import PAIN_NOW
from outcomes.relief import Verdict
from outcomes.reports.alert_load import ACTED, RESOLVED, raised_lately
from outcomes.reports.counts import (
    AT,
    COLUMNS,
    ENDED_AFTER,
    ENDED_BY,
    EVALUABLE_SQL,
    PLANNED,
    PLANNED_COLUMNS,
    TREATED_SQL,
    WHOLE,
)
from outcomes.reports.overview import MONTH, asked_lately, since_month
from outcomes.reports.response_rates import BAND, BANDS, band_name
from outcomes.reports.safety import EACH_OPIOID, OPIOID_COLUMNS, OPIOID_GROUPS, RELATED
from outcomes.reports.selection import Selection
from outcomes.schedule import DAY
from patients.models import Patient

#: What was chosen last, from 1 to 5.
LAST_SATISFIED = (
    "(SELECT value FROM UNNEST(satisfied) WITH ORDINALITY AS one (value, place) "
    "WHERE value IS NOT NULL ORDER BY place DESC LIMIT 1)"
)
AT_CELL = re.compile(r"at:(\d{1,6})(m?):(\w+)\Z", re.ASCII)
CURVE_CELL = re.compile(
    r"curve:(all_treated|responders):(\d{1,6})(m?):(all|known_in|known_out|unknown|half_is_loss)\Z", re.ASCII
)
ASKED_CELL = re.compile(r"asked:(?:(day|minute|language|age|channel):)?([\w+-]+):(due|answered)\Z", re.ASCII)
#: Alerts of the overview.
ALERTS: Mapping[str, Q] = {"alerts:raised": Q(), "alerts:resolved": RESOLVED, "alerts:acted": ACTED}


def rows_behind(selection: Selection, cell: str, user: User, *, now: datetime) -> QuerySet[FollowUp]:
    """The follow-ups that `cell` of a report of `selection` counts, as far as `user` may see them.

    "month:lost_early" are those of the overview, which got the verdict this month; of it the selection's site counts.

    Raises Refusal as `Selection.check` does, and "unknown_cell", field "cell".
    """
    selection.check(user)
    rows = selection.summaries(user)
    kind, _, value = cell.partition(":")
    if kind == "month" and value in MONTH:
        sites = Site.objects.visible_to(user)
        chosen = sites.filter(pk=selection.site) if selection.site else sites
        wanted = Q(summary__in=rows.order_by().values("pk")) & since_month(chosen, MONTH[value], now)
    else:
        wanted = narrowed(rows, cell, now)
    return FollowUp.objects.visible_to(user).filter(wanted)


def narrowed(rows: QuerySet[CourseSummary], cell: str, now: datetime) -> Q:
    """Which follow-ups of these summaries a cell counts."""
    kind, _, value = cell.partition(":")
    chosen = Q(summary__in=rows.order_by().values("pk"))
    if cell in WHOLE:
        return within(rows, WHOLE[cell])
    if found := AT_CELL.match(cell):
        return at(rows, *found.groups(), now=now)
    if found := CURVE_CELL.match(cell):
        return curve(rows, *found.groups())
    if kind == "satisfied" and value in ("1", "2", "3", "4", "5"):
        return within(rows, f"{TREATED_SQL} AND {LAST_SATISFIED} = {int(value)}")
    if kind == "opioids" and value in OPIOID_GROUPS:
        return taking(rows, OPIOID_GROUPS[value], now)
    if kind == "verdict" and value in set(Verdict):
        return chosen & Q(summary__verdict=value)
    if kind == "adverse":
        return chosen & adverse(value)
    raise unknown()


def unknown() -> Refusal:
    return Refusal("No report has such a number.", code="unknown_cell", field="cell")


def adverse(value: str) -> Q:
    """Follow-ups with an adverse event: any, a serious one, one of a term, or by the severity of the worst.

    Raises Refusal "unknown_cell".
    """
    events = AdverseEvent.objects.standing()
    kind, _, how = value.partition(":")
    severities = AdverseEvent.Severity.values
    if kind == "worst" and how in severities:
        worse = events.filter(severity__in=severities[severities.index(how) + 1 :])
        of = events.filter(severity=how)
        return Q(pk__in=of.order_by().values("follow_up")) & ~Q(pk__in=worse.order_by().values("follow_up"))
    if value == "serious":
        events = events.filter(serious=True)
    elif value in set(Term):
        events = events.filter(term=value)
    elif value != "any":
        raise unknown()
    return Q(pk__in=events.order_by().values("follow_up"))


def at(rows: QuerySet[CourseSummary], place: str, minutes: str, name: str, *, now: datetime) -> Q:
    """Follow-ups by what came of one planned check-in."""
    if name not in AT:
        raise unknown()
    unit = "minute" if minutes else "day"
    statement = (
        f"SELECT follow_up_id FROM chosen WHERE unit = '{unit}' AND {EVALUABLE_SQL} AND EXISTS "  # noqa: S608
        f"(SELECT FROM {PLANNED} WHERE day = {int(place)} AND {AT[name]})"
    )
    return selecting(rows, statement, ("follow_up_id", *COLUMNS, *PLANNED_COLUMNS), now)


def curve(rows: QuerySet[CourseSummary], population: str, place: str, minutes: str, name: str) -> Q:
    """Follow-ups of a curve by what is known of them at one time (`outcomes.survival.Intervals.known`)."""
    known_in, known_out = f"ended_after >= {int(place)}", f"COALESCE(ended_by <= {int(place)}, FALSE)"
    wanted = {
        "all": "TRUE",
        "known_in": known_in,
        "known_out": known_out,
        "unknown": f"NOT ({known_in} OR {known_out})",
        "half_is_loss": f"lords_after >= {int(population == 'responders')}",
    }[name]
    unit = "minute" if minutes else "day"
    of = WHOLE["in_curve" if population == "all_treated" else "responders"]
    rows = rows.annotate(ended_after=ENDED_AFTER, ended_by=ENDED_BY)
    return within(rows, f"unit = '{unit}' AND {of} AND {wanted}", "ended_after", "ended_by")


def taking(rows: QuerySet[CourseSummary], condition: str, now: datetime) -> Q:
    """Follow-ups whose patient took an opioid on the day of the procedure, by what became of it."""
    statement = f"SELECT follow_up_id FROM ({EACH_OPIOID}) AS each WHERE {condition}"  # noqa: S608  # both are ours
    return selecting(rows, statement, OPIOID_COLUMNS, now.date())


def within(rows: QuerySet[CourseSummary], condition: str, *columns: str) -> Q:
    """The follow-ups of those summaries for which a condition in SQL holds. It holds no value of a user but numbers."""
    more = ("responded", "satisfied", "lords_after", "patient_id", "performed_on", *columns)
    statement = f"SELECT follow_up_id FROM chosen WHERE {condition}"  # noqa: S608
    return selecting(rows, statement, ("follow_up_id", *COLUMNS, *more))


def selecting(rows: QuerySet[CourseSummary], statement: str, columns: tuple[str, ...], *values: Any) -> Q:
    """The follow-ups whose numbers a statement selects from a table `chosen` with these columns of the summaries."""
    columns = tuple(dict.fromkeys(columns))
    try:
        sql, params = rows.order_by().values_list(*columns).query.sql_with_params()
    except EmptyResultSet:
        return Q(pk__in=[])
    names = ", ".join(f'"{column}"' for column in columns)
    return Q(pk__in=RawSQL(f"WITH chosen ({names}) AS ({sql}) {statement}", [*params, *values]))  # noqa: S611


def check_ins_behind(selection: Selection, cell: str, user: User, *, now: datetime) -> QuerySet[CheckIn]:
    """The check-ins that `cell` counts: "asked:all:due", "asked:day:92:answered", "asked:language:es:due".

    "asked:recent:due" are those of the overview. Raises Refusal as `rows_behind` does.
    """
    selection.check(user)
    match = ASKED_CELL.match(cell)
    if not match:
        raise unknown()
    group, value, name = match.groups()
    seen = CheckIn.objects.visible_to(user).filter(kind=CheckIn.Kind.PLANNED)
    answered = Q(status=CheckIn.Status.ANSWERED)
    if not group and value == "recent":
        site = Q(follow_up__procedure__site=selection.site) if selection.site else Q()
        return seen.filter(asked_lately(now), site, answered if name == "answered" else Q())
    rows = selection.summaries(user)
    due = seen.filter(answered | Q(status=CheckIn.Status.MISSED))
    due = due.filter(asked_of(rows, group, value), follow_up__summary__in=rows.order_by().values("pk"))
    if name == "due":
        return due
    if group == "channel":
        return due.filter(answered)
    instrument, _, item = PAIN_NOW.partition(".")
    scores = Measurement.objects.filter(answer__check_in=OuterRef("pk"), instrument=instrument, item=item)
    return due.filter(Exists(scores))


def asked_of(rows: QuerySet[CourseSummary], group: str | None, value: str) -> Q:
    """Check-ins of one group of the response report."""
    if not group and value == "all":
        return Q()
    if group in ("day", "minute") and value.isdecimal():
        each = DAY if group == "day" else 1
        span = Q(offset_minutes__gte=int(value) * each, offset_minutes__lt=(int(value) + 1) * each)
        return span & Q(follow_up__summary__unit=group)
    if group == "language" and value in Patient.Language.values:
        return Q(follow_up__patient__language=value)
    if group == "channel" and value in Answer.Channel.values:
        return Q(answer__channel=value)
    bands = {band_name(number): number for number in range(1, len(BANDS) + 1)}
    if group == "age" and value in bands:
        of_age = f"(SELECT {BAND} FROM patients_patient AS patient WHERE patient.id = patient_id)"  # noqa: S608
        return Q(
            follow_up__in=FollowUp.objects.filter(within(rows, f"{of_age} = {bands[value]}")).values("pk")
        )
    raise unknown()


def alerts_behind(selection: Selection, cell: str, user: User, *, now: datetime) -> QuerySet[Alert]:
    """The alerts of the overview that `cell` counts; of the selection its site counts. Raises as `rows_behind`."""
    selection.check(user)
    if cell not in ALERTS:
        raise unknown()
    site = Q(site=selection.site) if selection.site else Q()
    return Alert.objects.visible_to(user).filter(raised_lately(now), ALERTS[cell], site)


def events_behind(selection: Selection, cell: str, user: User, *, now: datetime) -> QuerySet[AdverseEvent]:
    """The adverse events that `cell` counts: "events:all", "events:related", "events:bleeding:severe".

    Raises Refusal as `rows_behind` does.
    """
    selection.check(user)
    _, _, name = cell.partition(":")
    term, _, how = name.partition(":")
    if name == "all":
        wanted = Q()
    elif name == "related":
        wanted = RELATED
    elif term in set(Term) and how in AdverseEvent.Severity.values:
        wanted = Q(term=term, severity=how)
    elif term in set(Term) and how == "serious":
        wanted = Q(term=term, serious=True)
    else:
        raise unknown()
    rows = selection.summaries(user).order_by().values("pk")
    seen = AdverseEvent.objects.visible_to(user) & AdverseEvent.objects.standing()
    return seen.filter(wanted, follow_up__summary__in=rows)
