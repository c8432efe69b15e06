"""What came with the relief: harm, and what became of the opioids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Count, Q, QuerySet

from outcomes.models import AdverseEvent, CourseSummary
from outcomes.rates import Share, share
from outcomes.reports.counts import TREATED_SQL, counts
from outcomes.reports.selection import select_summaries
from procedures.models import ProcedureType

#: The rows of `chosen.patient_id` that count on the day that is put in for {day}: a row that ends on it yields to
#: one of the same drug and route that begins on it, as `patients.mme.holding` says.
TAKEN = """
  FROM patients_opioiduse AS opioid
 WHERE patient_id = chosen.patient_id AND entered_in_error_at IS NULL AND from_on <= {day}
   AND (until_on IS NULL OR until_on > {day}
        OR until_on = {day} AND NOT EXISTS (
           SELECT FROM patients_opioiduse AS begun
            WHERE begun.patient_id = opioid.patient_id AND begun.entered_in_error_at IS NULL
              AND begun.drug = opioid.drug AND begun.intrathecal = opioid.intrathecal
              AND begun.from_on = {day}
              AND (opioid.from_on < {day} OR begun.until_on IS NULL OR begun.until_on > {day})))
"""
TREATED, WINDOW = TAKEN.format(day="performed_on"), TAKEN.format(day="performed_on + window_from::int")
#: Opioids on the day of the procedure and on the first day of the relief window, of all treatments whose patient took
#: one on the first and whose second day is not in the future.
EACH_OPIOID = f"""
SELECT follow_up_id, earlier.mme AS before, COALESCE(later.mme, 0) AS after,
       earlier.uncounted = 0 AND later.uncounted = 0 AS countable
  FROM chosen
 CROSS JOIN LATERAL (SELECT SUM(mme_per_day) AS mme, COUNT(*) AS taken,
                            COUNT(*) FILTER (WHERE mme_per_day IS NULL) AS uncounted
                       {TREATED}) AS earlier
 CROSS JOIN LATERAL (SELECT SUM(mme_per_day) AS mme,
                            COUNT(*) FILTER (WHERE mme_per_day IS NULL) AS uncounted
                       {WINDOW}) AS later
 -- Most patients take none: they are passed over before anything is looked up for them.
 WHERE chosen.patient_id IN (SELECT patient_id FROM patients_opioiduse WHERE entered_in_error_at IS NULL)
   AND {TREATED_SQL} AND performed_on + window_from::int <= %s AND earlier.taken > 0
"""  # noqa: S608 (no value of a user)
#: The columns that it reads.
OPIOID_COLUMNS = ("follow_up_id", "patient_id", "performed_on", "intent", "verdict", "window_from")
#: Groups of these follow-ups, by the names of their numbers.
OPIOID_GROUPS: Mapping[str, str] = {
    "took": "TRUE",
    "countable": "countable",
    "halved": "countable AND after * 2 <= before",
    "stopped": "countable AND after = 0",
}
OPIOIDS = f"""
SELECT {counts(OPIOID_GROUPS.values())},
       SUM(before) FILTER (WHERE countable), SUM(after) FILTER (WHERE countable)
  FROM ({EACH_OPIOID}) AS each
"""  # noqa: S608 (no value of a user)
#: Procedures by type, and how many of them led to an event, by the worst of each: a place among the severities, from 1.
BY_TYPE = f"""
SELECT procedure_type_id, COUNT(*), COUNT(worst), {counts(f"worst = {place}" for place in (1, 2, 3))},
       COUNT(*) FILTER (WHERE serious)
  FROM chosen
  LEFT JOIN (SELECT follow_up_id, BOOL_OR(serious) AS serious,
                    MAX(CASE severity WHEN 'mild' THEN 1 WHEN 'moderate' THEN 2 ELSE 3 END) AS worst
               FROM outcomes_adverseevent
              WHERE entered_in_error_at IS NULL
              GROUP BY follow_up_id) AS harm USING (follow_up_id)
 GROUP BY procedure_type_id
"""  # noqa: S608 (no value of a user)
#: Events that the suspect may have caused.
RELATED = ("possible", "probable", "definite")


@dataclass(frozen=True)
class AdverseLine:
    """One term: events by severity, how many of all are serious, and in how many follow-ups they came."""

    term: str
    mild: int
    moderate: int
    severe: int
    serious: int
    follow_ups: int


@dataclass(frozen=True)
class HarmShare:
    """How many procedures led to something, and their share of all of the type; None where that is hidden."""

    count: int
    share: Share | None


@dataclass(frozen=True)
class HarmOfType:
    """Harm after the procedures of one type, each of which counts once, by its worst event.

    `code` and `name` of the type. `procedures`: those that were performed, wholly or in part. `any` of them led to an
    event; `mild`, `moderate` and `severe` are its parts; `serious` may be of any severity. Counts are never hidden;
    the shares are where there are fewer procedures than the smallest cell (`hidden`).
    """

    code: str
    name: str
    procedures: int
    hidden: bool
    any: HarmShare
    mild: HarmShare
    moderate: HarmShare
    severe: HarmShare
    serious: HarmShare


@dataclass(frozen=True)
class AdverseReport:
    """Harm after the procedures of a report, without what was entered in error.

    Counts are never hidden, however small: a single grave event must be seen. `any` and `serious`: the share of
    follow-ups with at least one, None of nobody. `related`: events whose relation is possible, probable or definite.
    `types` by name of the procedure type. What was not recorded is not here: no event is no proof of no harm.
    """

    follow_ups: int
    events: int
    related: int
    any: Share | None
    serious: Share | None
    lines: Sequence[AdverseLine]
    types: Sequence[HarmOfType]


@dataclass(frozen=True)
class MmeChange:
    """Morphine milligram equivalents a day, by the table `CDC-2022`: estimates, never to be used to switch drugs.

    On the day of the procedure and on the first day of the relief window. `took`: follow-ups whose patient took an
    opioid on the day of the procedure, as far as is written down, and whose second day has come. `countable`: those of
    them all of whose opioids have a factor on both days; the rest is left out. `before`, `after`: means of the
    countable; None of nobody, or of fewer than the smallest cell. `halved`: at least 50 % less; `stopped`: none left.
    """

    took: int
    countable: int
    before: float | None
    after: float | None
    halved: Share | None
    stopped: Share | None


def adverse_report(rows: QuerySet[CourseSummary], *, follow_ups: int, smallest: int) -> AdverseReport:
    """The adverse events of these follow-ups, of which there are `follow_ups`; the most frequent term first."""
    events = AdverseEvent.objects.standing().filter(follow_up__summary__in=rows.order_by().values("pk"))
    by_severity = {
        severity.value: Count("pk", filter=Q(severity=severity)) for severity in AdverseEvent.Severity
    }
    serious = Q(serious=True)
    found: list[Any] = list(
        events.order_by()
        .values("term")
        .annotate(
            **by_severity,
            grave=Count("pk", filter=serious),
            courses=Count("follow_up", distinct=True),
            events=Count("pk"),
        )
    )
    whole = events.aggregate(
        any=Count("follow_up", distinct=True),
        grave=Count("follow_up", filter=serious, distinct=True),
        related=Count("pk", filter=Q(relation__in=RELATED)),
    )
    return AdverseReport(
        follow_ups=follow_ups,
        events=sum(row["events"] for row in found),
        related=whole["related"],
        any=share(whole["any"], follow_ups),
        serious=share(whole["grave"], follow_ups),
        lines=[
            AdverseLine(
                row["term"], row["mild"], row["moderate"], row["severe"], row["grave"], row["courses"]
            )
            for row in sorted(found, key=lambda row: (-row["events"], row["term"]))
        ],
        types=harm_by_type(rows, smallest=smallest),
    )


def harm_by_type(rows: QuerySet[CourseSummary], *, smallest: int) -> list[HarmOfType]:
    """Harm after the procedures of each type among these follow-ups, by the types' names. Two queries."""
    found = select_summaries(rows, BY_TYPE, "follow_up_id", "procedure_type_id")
    types = ProcedureType.objects.in_bulk([row[0] for row in found])
    lines = [harm_of(types[pk].code, types[pk].name, *numbers, smallest=smallest) for pk, *numbers in found]
    return sorted(lines, key=lambda harm_of_type: (harm_of_type.name, harm_of_type.code))


def harm_of(code: str, name: str, procedures: int, *counted: int, smallest: int) -> HarmOfType:
    """A line of so many procedures. `counted`: with any event, by the worst one's severity, with a serious one."""
    hidden = procedures < smallest
    numbers = [HarmShare(count, None if hidden else share(count, procedures)) for count in counted]
    return HarmOfType(code, name, procedures, hidden, *numbers)


def whole_harm(types: Sequence[HarmOfType], *, smallest: int) -> HarmOfType:
    """All types together, without a code and a name."""
    counted = (
        sum(getattr(harm_of_type, name).count for harm_of_type in types)
        for name in ("any", "mild", "moderate", "severe", "serious")
    )
    return harm_of(
        "", "", sum(harm_of_type.procedures for harm_of_type in types), *counted, smallest=smallest
    )


def mme_change(rows: QuerySet[CourseSummary], *, today: date, smallest: int) -> MmeChange:
    """What became of the opioids, as far as `today`, a date of UTC, lets it be known."""
    found = select_summaries(rows, OPIOIDS, *OPIOID_COLUMNS, more=[today])
    took, countable, halved, stopped, before, after = found[0] if found else (0,) * 6
    if countable < max(smallest, 1):
        return MmeChange(took, countable, None, None, None, None)
    return MmeChange(
        took,
        countable,
        float(before / countable),
        float(after / countable),
        share(halved, countable),
        share(stopped, countable),
    )
