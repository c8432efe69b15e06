"""From a number of a report to the follow-ups behind it.

A cell is the name of a number: "treated", "verdict:lost_early", "at:92:answered". Times are those of the planned
check-ins, in days; of diagnostic blocks in minutes, with an m behind: "at:60m:answered".
"""

import re
from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import EmptyResultSet
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from clinic.models import Site, User
from clinic.refusals import Refusal
from outcomes.adverse import Term
from outcomes.models import AdverseEvent, CourseSummary, FollowUp
from outcomes.relief import Verdict
from outcomes.reports.counting import AT, COLUMNS, EVALUABLE_SQL, WHOLE
from outcomes.reports.overview import LOST_EARLY, NO_RELIEF, since_month
from outcomes.reports.selection import Selection

#: Cells of one planned check-in of every follow-up, as the response report counts them.
RESPONSE: Mapping[str, str] = {name: AT[name] for name in ("due", "answered", "silent")}
#: What was chosen last, from 1 to 5.
LAST_SATISFIED = (
    "(SELECT value FROM UNNEST(satisfied) WITH ORDINALITY AS one (value, place) "
    "WHERE value IS NOT NULL ORDER BY place DESC LIMIT 1)"
)
AT_CELL = re.compile(r"(at|response):(\d{1,6})(m?):(\w+)\Z", re.ASCII)


def rows_behind(selection: Selection, cell: str, user: User, *, now: datetime) -> QuerySet[FollowUp]:
    """The follow-ups that `cell` of a report of `selection` counts, as far as `user` may see them.

    "month:lost_early" are those of the overview, which got the verdict this month; of it the selection's site counts.

    Raises Refusal as `Selection.check` does, and "unknown_cell", field "cell".
    """
    selection.check(user)
    rows = selection.summaries(user)
    kind, _, value = cell.partition(":")
    if kind == "month" and value in (LOST_EARLY, NO_RELIEF):
        sites = Site.objects.visible_to(user)
        chosen = sites.filter(pk=selection.site) if selection.site else sites
        wanted = Q(summary__in=rows.order_by().values("pk"), verdict=value) & since_month(chosen, now)
    else:
        wanted = narrowed(rows, cell)
    return FollowUp.objects.visible_to(user).filter(wanted)


def narrowed(rows: QuerySet[CourseSummary], cell: str) -> Q:
    """Which follow-ups of these summaries a cell counts."""
    kind, _, value = cell.partition(":")
    chosen = Q(summary__in=rows.order_by().values("pk"))
    if cell in WHOLE:
        return within(rows, WHOLE[cell])
    if found := AT_CELL.match(cell):
        return at(rows, *found.groups())
    if kind == "satisfied" and value in ("1", "2", "3", "4", "5"):
        return within(rows, f"{LAST_SATISFIED} = {int(value)}")
    if kind == "verdict" and value in set(Verdict):
        return chosen & Q(summary__verdict=value)
    if kind == "adverse":
        return chosen & adverse(value)
    raise unknown()


def unknown() -> Refusal:
    return Refusal("No report has such a number.", code="unknown_cell", field="cell")


def adverse(value: str) -> Q:
    """Follow-ups with an adverse event: any, a serious one, or one of a term. Raises Refusal "unknown_cell"."""
    events = AdverseEvent.objects.standing()
    if value == "serious":
        events = events.filter(serious=True)
    elif value in set(Term):
        events = events.filter(term=value)
    elif value != "any":
        raise unknown()
    return Q(pk__in=events.order_by().values("follow_up"))


def at(rows: QuerySet[CourseSummary], kind: str, place: str, minutes: str, name: str) -> Q:
    """Follow-ups by what came of one planned check-in."""
    conditions = AT if kind == "at" else RESPONSE
    if name not in conditions:
        raise unknown()
    unit = "minute" if minutes else "day"
    of = EVALUABLE_SQL if kind == "at" else "TRUE"
    return within(
        rows,
        f"unit = '{unit}' AND {of} AND EXISTS (SELECT FROM UNNEST(days, scores, channels, pegs, changes) "
        f"AS one (day, score, channel, peg, change) WHERE day = {int(place)} AND {conditions[name]})",
    )


def within(rows: QuerySet[CourseSummary], condition: str) -> Q:
    """The follow-ups of those summaries for which a condition in SQL holds. It holds no value of a user but numbers."""
    columns = ("follow_up_id", *dict.fromkeys((*COLUMNS, "responded", "satisfied")))
    try:
        sql, params = rows.order_by().values_list(*columns).query.sql_with_params()
    except EmptyResultSet:
        return Q(pk__in=[])
    names = ", ".join(f'"{column}"' for column in columns)
    statement = f"WITH chosen ({names}) AS ({sql}) SELECT follow_up_id FROM chosen WHERE {condition}"  # noqa: S608
    return Q(pk__in=RawSQL(statement, params))  # noqa: S611
