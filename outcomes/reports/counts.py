"""Counting follow-ups and their answers in SQL: what was treated, due, answered and reached.

A rate at a planned day is about every evaluable follow-up for which that day has come, also where the course had ended
before it: who is treated again is no longer asked, and who is treated again has failed more often than not. Each of
them stands in a group with a name: answered; silent (asked or not, no answer came); treated again, by the pain before
the second treatment; ended otherwise, by how. After a second treatment nobody can tell any more what the first one
does: worst case takes them as not reached, best case by the pain before the second treatment, and where nobody asked
for that pain as reached, unless relief was known to be lost. Who is out of sight otherwise, best case takes as reached.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import Case, Count, F, Func, IntegerField, Q, QuerySet, When
from django.db.models.functions import Coalesce, Least
from django.db.models.lookups import IsNull

from outcomes.models import CHANNELS, CourseSummary
from outcomes.rates import Rate, rate
from outcomes.relief import Verdict
from outcomes.schedule import MOST_TOLERANCE
from procedures.models import Intent

#: Levels of the global impression of change, 1 "very much improved" to 7 "very much worse".
LEVELS = range(1, 8)


@dataclass(frozen=True)
class Funnel:
    """From treated to counted; numbers of follow-ups, each group within the one before but for the two left out.

    Of treatments: tests are counted by `TestCounts` alone, trials by `TrialCounts`, and the upkeep of devices has no
    verdict to count.
    `no_baseline`: no pain score above 0 before the procedure. `confounded`: another treatment of the same region.
    `evaluable`: neither. `due`: evaluable, and a check-in from the first day of judgement on has fallen due.
    `answered`: due, and the patient answered something from that day on. `in_curve`: evaluable, and something could be
    judged.
    """

    treated: int
    no_baseline: int
    confounded: int
    evaluable: int
    due: int
    answered: int
    in_curve: int


@dataclass(frozen=True)
class CheckInCounts:
    """What is known of one planned check-in: `at` in `unit` after the procedure. Of evaluable follow-ups.

    `groups` counts those who are due and were not asked, because their course had ended: by the names of ENDED.
    Rates: less pain by 30 %, by 50 %, by what counts for the procedure, by 2 points at least; the impression of change
    at 1 or 2, of those who were asked it. `pain` is the mean of those who answered, 0–10, beside the mean of their
    baselines; None of nobody. `peg_*` likewise, 0–10, of those whose PEG is known before and now; `peg_known` how many.
    `channels`: answers by channel. `changes`: answers by level of the impression of change, from 1 to 7.
    Means and distributions of fewer answers than the smallest cell are None.
    """

    at: int
    unit: str
    groups: dict[str, int]
    thirty: Rate
    fifty: Rate
    success: Rate
    two_points: Rate
    improved: Rate
    pain: float | None
    pain_before: float | None
    peg: float | None
    peg_before: float | None
    peg_known: int
    channels: dict[str, int]
    changes: list[int] | None


@dataclass(frozen=True)
class Distribution:
    """How many chose each value of an item, of so many that were treated and that answered.

    `counts` is None when fewer answered than the smallest cell.
    """

    treated: int
    answered: int
    counts: dict[int, int] | None


#: Treatments: no test, no trial, no upkeep. The same in SQL, over the columns of a summary.
TREATED = ~Q(intent__in=(Intent.DIAGNOSTIC, Intent.TRIAL)) & ~Q(verdict=Verdict.NOT_JUDGED)
TREATED_SQL = "intent NOT IN ('diagnostic', 'trial') AND verdict <> 'not_judged'"
#: A follow-up is evaluable when it is a treatment, and its pain can be compared and told apart.
EVALUABLE = TREATED & Q(baseline__gt=0) & ~Q(verdict=Verdict.CONFOUNDED)
#: The same in SQL, over the columns of a summary.
EVALUABLE_SQL = f"{TREATED_SQL} AND baseline > 0 AND verdict <> 'confounded'"
DUE_SQL = f"{EVALUABLE_SQL} AND days[CARDINALITY(days)] >= evaluate_after"
#: Groups of follow-ups as a whole, by the names of their numbers, in SQL over a summary's columns. What counts them
#: and what lists them (`drill_down`) read the same words.
WHOLE: Mapping[str, str] = {
    "procedures": "TRUE",
    "tests": "intent = 'diagnostic'",
    "trials": "intent = 'trial'",
    **{
        f"{group}_{verdict}": f"intent = '{intent}' AND verdict = '{verdict}'"
        for group, intent, verdicts in (
            ("tests", "diagnostic", ("positive", "negative", "indeterminate")),
            ("trials", "trial", ("passed", "failed", "indeterminate")),
        )
        for verdict in verdicts
    },
    "treated": TREATED_SQL,
    "no_baseline": f"{TREATED_SQL} AND (baseline IS NULL OR baseline = 0)",
    "confounded": f"{TREATED_SQL} AND baseline > 0 AND verdict = 'confounded'",
    "evaluable": EVALUABLE_SQL,
    "due": DUE_SQL,
    "answered": f"{DUE_SQL} AND last_answer >= evaluate_after",
    "in_curve": f"{EVALUABLE_SQL} AND lost_after IS NOT NULL",
    "responders": f"{EVALUABLE_SQL} AND lost_after IS NOT NULL AND responded",
    "satisfied": f"{TREATED_SQL} AND CARDINALITY(ARRAY_REMOVE(satisfied, NULL)) > 0",
}


def counts(conditions: Iterable[str]) -> str:
    """How many rows each of the conditions holds for, as columns of a SELECT."""
    return ", ".join(f"COUNT(*) FILTER (WHERE {condition})" for condition in conditions)


#: The plan by which a follow-up asks now.
PLAN = Coalesce("follow_up__check_in_profile__check_in_days", "follow_up__relief_profile__check_in_days")
#: After so many days it goes on, by the same profile; NULL where it ends.
EVERY = Case(
    When(
        follow_up__check_in_profile__isnull=False,
        then="follow_up__check_in_profile__check_in_every_days",
    ),
    default="follow_up__relief_profile__check_in_every_days",
)
#: The last planned day; NULL of a plan that goes on without end, and of what counts in minutes, whose courses no repeat
#: ends.
LAST_PLANNED = Case(
    When(
        IsNull(EVERY, True),
        unit="day",
        then=Func(
            PLAN,
            template="(%(expressions)s)[CARDINALITY(%(expressions)s)]",
            output_field=IntegerField(),
        ),
    )
)
#: An interval with the judged days of its plan and of the one that it began with, in SQL, as a table of one row.
WITH_DAYS = """
(SELECT after, until, ARRAY(
   SELECT day
     FROM UNNEST(plan::int[] || first_plan::int[]
                 || ARRAY(SELECT GENERATE_SERIES(plan[CARDINALITY(plan)] + every,
                                                 GREATEST(after, until) + every, every))) AS planned (day)
    WHERE day >= judged_from) AS days
   FROM (VALUES (%(expressions)s)) AS given (after, until, plan, first_plan, every, judged_from)) AS one
"""
ENDS = f"""
(SELECT CASE WHEN days = '{{}}' THEN until ELSE COALESCE(
          (SELECT MAX(day) FROM UNNEST(days) AS planned (day)
            WHERE day > after AND until BETWEEN day AND day + {MOST_TOLERANCE.days}),
          (SELECT MIN(day) FROM UNNEST(days) AS planned (day) WHERE day > until)) END
   FROM {WITH_DAYS})
"""  # noqa: S608
BEGINS = f"""
(SELECT CASE WHEN days = '{{}}' THEN after ELSE COALESCE(
          (SELECT MAX(day) FROM UNNEST(days) AS planned (day) WHERE day <= after), 0 * after) END
   FROM {WITH_DAYS})
"""  # noqa: S608


def planned_day(template: str, after: Any, until: Any) -> Case:
    """One end of an interval as a curve counts it, in SQL.

    An answer counts on the day for which it was planned, whenever it came in the time of its check-in. What is known of
    a day in between, such as the pain before a repeat or a day that the patient named, counts on the next planned one:
    the others are not heard of before that, and a curve that fell on such days would fall too far there, as only those
    who have lost relief tell of them. For the same reason nothing counts after the close of the last check-in. What
    counts in minutes stays as it is.
    """
    first = "follow_up__relief_profile__check_in_days"
    given = Func(
        after, until, PLAN, first, EVERY, "evaluate_after", template=template, output_field=IntegerField()
    )
    as_it_is = after if template == BEGINS else until
    return Case(When(unit="day", then=given), default=as_it_is, output_field=IntegerField())


def interval(after: str, until: Any) -> tuple[Case, Case]:
    """Both ends of an interval as a curve counts them: later than the first, not later than the second or NULL."""
    return planned_day(BEGINS, F(after), F(after)), planned_day(ENDS, F(after), until)


#: The interval for a curve (`outcomes.relief_end.ReliefEndInterval.ended_by`); its end is the one of both that is
#: known, or NULL.
KNOWN_END = Least("lost_until", "suspected_until")
KNOWN_END_SQL = "LEAST(lost_until, suspected_until)"
ENDED_AFTER, ENDED_BY = interval("lost_after", KNOWN_END)

#: Where a course that counts in days had ended, and until when its plan is over by the calendar, both in SQL. The day
#: of an explant ends at midnight, which is the next day's. The placeholder is the instant of the report.
COURSE = f"""
(SELECT CASE WHEN unit = 'day' THEN ((follow_up__closed_at - INTERVAL '1 microsecond')
                                     AT TIME ZONE site__time_zone)::date - performed_on END AS ended,
        (%s AT TIME ZONE site__time_zone)::date - performed_on - {MOST_TOLERANCE.days} AS past,
        follow_up__relief_profile__check_in_days AS first_plan,
        COALESCE(follow_up__check_in_profile__check_in_days, follow_up__relief_profile__check_in_days) AS plan,
        CASE WHEN follow_up__check_in_profile__check_in_days IS NULL
             THEN follow_up__relief_profile__check_in_every_days
             ELSE follow_up__check_in_profile__check_in_every_days END AS every) AS course
"""
#: The planned check-ins of one row of `chosen` for which the day has come, in SQL, with what came back; `over`: the
#: course had ended before, or on that day and nothing was asked. Those that were asked stand in the arrays. The others
#: are in the plan, and their time is over by the calendar: those after the end of a course, and those that were left
#: out because a newer one was due. What a later plan has brought counts from the end of a course on, as nobody could
#: have been asked before. Of a diagnostic block the hours of its diary count, and no calendar.
#: Day 0 of a course in days is the anaesthetic's diary, which is read by the hour.
PLANNED = f"""
LATERAL {COURSE} CROSS JOIN LATERAL (
  SELECT day, over, CASE WHEN NOT over THEN score END AS score, CASE WHEN NOT over THEN channel END AS channel,
         CASE WHEN NOT over THEN peg END AS peg, CASE WHEN NOT over THEN change END AS change
    FROM (SELECT *, COALESCE(day > ended, FALSE) AS over
            FROM UNNEST(days, scores, channels, pegs, changes) AS given (day, score, channel, peg, change)) AS given
   WHERE unit = 'minute' OR day > 0
   UNION ALL
  SELECT day, COALESCE(day >= ended, FALSE), NULL, NULL, NULL, NULL
    FROM (SELECT UNNEST(plan) AS day
           UNION
          SELECT GENERATE_SERIES(plan[CARDINALITY(plan)] + every, past, every) WHERE every > 0 AND ended >= 0
         ) AS calendar
   WHERE unit = 'day' AND day > 0 AND day <= past AND NOT day = ANY(days)
         AND (COALESCE(day >= ended, FALSE) OR day = ANY(first_plan))
) AS one
"""  # noqa: S608
#: The columns that these read, besides COLUMNS.
PLANNED_COLUMNS = (
    *("performed_on", "lost_until", "suspected_until", "site__time_zone"),
    *("follow_up__closed_at", "follow_up__closed_reason", "follow_up__ended_by__procedure__baseline_pain"),
    *("follow_up__relief_profile__check_in_days", "follow_up__relief_profile__check_in_every_days"),
    *("follow_up__check_in_profile__check_in_days", "follow_up__check_in_profile__check_in_every_days"),
)
PAIN_BEFORE = "follow_up__ended_by__procedure__baseline_pain"
AGAIN = "over AND follow_up__closed_reason IN ('repeated', 'other_treatment')"
#: Whether relief was known to be lost when the course ended.
KNOWN_LOST = f"COALESCE({KNOWN_END_SQL} <= ended, FALSE)"
#: What a score is to have reached, by name: as a condition in SQL.
REACHED: Mapping[str, str] = {
    "thirty": "100 * (baseline - {score}) >= 30 * baseline",
    "fifty": "100 * (baseline - {score}) >= 50 * baseline",
    "success": "100 * (baseline - {score}) >= success_percent * baseline",
    "two_points": "baseline - {score} >= 2",
}
#: Of which of these a known loss says that they are not reached any more: where at least as much is asked.
LOSS_TELLS = {"thirty": "success_percent <= 30", "fifty": "success_percent <= 50", "success": "TRUE"}
#: How else than by another treatment a course ends, each a group of its own.
OTHERWISE = ("explanted", "transferred", "other_care", "died")
#: Who is due but was not asked, because the course had ended, in SQL: treated again, by the pain before the second
#: treatment (where nobody asked, and relief was known to be lost, it was out of relief), or ended otherwise.
ENDED: Mapping[str, str] = {
    "again_in_relief": f"{AGAIN} AND {PAIN_BEFORE} IS NOT NULL AND {REACHED['success'].format(score=PAIN_BEFORE)}",
    "again_out_of_relief": f"{AGAIN} AND CASE WHEN {PAIN_BEFORE} IS NULL THEN {KNOWN_LOST} "
    f"ELSE NOT {REACHED['success'].format(score=PAIN_BEFORE)} END",
    "again_not_asked": f"{AGAIN} AND {PAIN_BEFORE} IS NULL AND NOT {KNOWN_LOST}",
    **{name: f"over AND follow_up__closed_reason = '{name}'" for name in OTHERWISE},
}


def perhaps(name: str) -> str:
    """Whose course had ended and who may have reached it all the same, in SQL: for the best case."""
    again = f"{REACHED[name].format(score=PAIN_BEFORE)}" if name in REACHED else "TRUE"
    unasked = f"NOT ({KNOWN_LOST} AND {LOSS_TELLS[name]})" if name in LOSS_TELLS else "TRUE"
    return f"over AND CASE WHEN NOT ({AGAIN}) THEN TRUE WHEN {PAIN_BEFORE} IS NULL THEN {unasked} ELSE {again} END"


#: Planned check-ins of evaluable follow-ups by what came of them, in SQL over a row of PLANNED.
AT: Mapping[str, str] = {
    "due": "TRUE",
    "asked": "NOT over",
    "answered": "score IS NOT NULL",
    "silent": "NOT over AND score IS NULL",
    "again": AGAIN,
    **ENDED,
    **{name: condition.format(score="score") for name, condition in REACHED.items()},
    "told": "change IS NOT NULL",
    "improved": "change IN (1, 2)",
    "peg": "peg IS NOT NULL AND baseline_peg IS NOT NULL",
    **{f"change_{level}": f"change = {level}" for level in LEVELS},
}

FUNNEL = f"SELECT {counts(WHOLE[field.name] for field in fields(Funnel))} FROM chosen"  # noqa: S608 (no user's value)

#: What POINTS counts first, in this order.
COUNTED = ("due", "answered", *REACHED, *ENDED)
#: One row a planned check-in. Day 0 is the anesthetic's diary, which no treatment is judged by.
POINTS = f"""
SELECT unit, day, {counts(AT[name] for name in COUNTED)},
       {counts(perhaps(name) for name in (*REACHED, "improved"))},
       SUM(score), SUM(baseline) FILTER (WHERE score IS NOT NULL),
       {counts([AT["peg"]])},
       SUM(peg) FILTER (WHERE baseline_peg IS NOT NULL), SUM(baseline_peg) FILTER (WHERE peg IS NOT NULL),
       {counts(f"channel = {place}" for place in range(1, len(CHANNELS)))},
       {counts(AT[f"change_{level}"] for level in LEVELS)}
  FROM chosen
 CROSS JOIN {PLANNED}
 WHERE {EVALUABLE_SQL}
 GROUP BY unit, day
 ORDER BY unit, day
"""  # noqa: S608

#: The columns that these statements read; POINTS reads PLANNED_COLUMNS as well.
COLUMNS = (
    *(
        "unit",
        "intent",
        "verdict",
        "evaluate_after",
        "success_percent",
        "baseline",
        "baseline_peg",
        "lost_after",
    ),
    *("last_answer", "days", "scores", "channels", "pegs", "changes"),
)


def point_of(row: tuple[int | None, ...], *, unit: str, treated: int, smallest: int) -> CheckInCounts:
    """One row of POINTS, without its unit."""
    numbers = iter(value or 0 for value in row)
    at = next(numbers)
    counted = {name: next(numbers) for name in COUNTED}
    may = {name: next(numbers) for name in (*REACHED, "improved")}
    pain, before, pegs, peg, peg_before = (next(numbers) for _ in range(5))
    channels = {name: next(numbers) for name in CHANNELS[1:]}
    by_level = list(numbers)
    due, answered, told = counted["due"], counted["answered"], sum(by_level)
    groups = {name: counted[name] for name in ENDED}

    def reached(name: str, count: int, of: int = answered) -> Rate:
        return rate(
            treated=treated,
            due=due,
            answered=of,
            count=count,
            ended=sum(groups.values()),
            perhaps=may[name],
            smallest=smallest,
        )

    enough = answered >= max(smallest, 1)
    enough_peg = pegs >= max(smallest, 1)
    return CheckInCounts(
        at=at,
        unit=unit,
        groups=groups,
        **{name: reached(name, counted[name]) for name in REACHED},
        improved=reached("improved", by_level[0] + by_level[1], told),
        pain=pain / answered if enough else None,
        pain_before=before / answered if enough else None,
        peg=peg / pegs / 3 if enough_peg else None,
        peg_before=peg_before / pegs / 3 if enough_peg else None,
        peg_known=pegs,
        channels=channels,
        changes=by_level if told >= max(smallest, 1) else None,
    )


def verdicts(rows: QuerySet[CourseSummary]) -> dict[str, int]:
    """How many follow-ups have each verdict, all of them, in their order."""
    found = dict(rows.order_by().values_list("verdict").annotate(Count("pk")))
    return {verdict.value: found.get(verdict.value, 0) for verdict in Verdict}
