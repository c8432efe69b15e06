"""Counting follow-ups and their answers in SQL: what was treated, due, answered and reached."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Least

from outcomes.models import CHANNELS, CourseSummary
from outcomes.rates import Rate, rate
from outcomes.relief import Verdict

#: Levels of the global impression of change, 1 "very much improved" to 7 "very much worse".
LEVELS = range(1, 8)


@dataclass(frozen=True)
class Funnel:
    """From treated to counted; numbers of follow-ups, each group within the one before but for the two left out.

    Of treatments and trials: tests, whose course is counted in minutes, are counted by `TestCounts` alone, and the
    upkeep of devices has no verdict to count.
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
class Point:
    """What is known of one planned check-in: `at` in `unit` after the procedure. Of evaluable follow-ups.

    Rates: less pain by 30 %, by 50 %, by what counts for the procedure, by 2 points at least; the impression of change
    at 1 or 2, of those who were asked it. `pain` is the mean of those who answered, 0–10, beside the mean of their
    baselines; None of nobody. `peg_*` likewise, 0–10, of those whose PEG is known before and now; `peg_known` how many.
    `channels`: answers by channel. `changes`: answers by level of the impression of change, from 1 to 7.
    Means and distributions of fewer answers than the smallest cell are None.
    """

    at: int
    unit: str
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


#: What sought relief: no test, whose course is counted in minutes, and no upkeep.
TREATED_SQL = "unit = 'day' AND verdict <> 'not_judged'"
#: A follow-up is evaluable when it sought relief, and its pain can be compared and told apart.
EVALUABLE = Q(unit=CourseSummary.Unit.DAY, baseline__gt=0) & ~Q(
    verdict__in=(Verdict.CONFOUNDED, Verdict.NOT_JUDGED)
)
#: The same in SQL, over the columns of a summary.
EVALUABLE_SQL = f"{TREATED_SQL} AND baseline > 0 AND verdict <> 'confounded'"
DUE_SQL = f"{EVALUABLE_SQL} AND days[CARDINALITY(days)] >= evaluate_after"
#: Groups of follow-ups as a whole, by the names of their numbers, in SQL over a summary's columns. What counts them
#: and what lists them (`drilling`) read the same words.
WHOLE: Mapping[str, str] = {
    "procedures": "TRUE",
    "tests": "unit = 'minute'",
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
#: The same of one planned check-in of evaluable follow-ups, in SQL over its place in the arrays.
AT: Mapping[str, str] = {
    "due": "TRUE",
    "answered": "score IS NOT NULL",
    "silent": "score IS NULL",
    "thirty": "100 * (baseline - score) >= 30 * baseline",
    "fifty": "100 * (baseline - score) >= 50 * baseline",
    "success": "100 * (baseline - score) >= success_percent * baseline",
    "two_points": "baseline - score >= 2",
    "told": "change IS NOT NULL",
    "improved": "change IN (1, 2)",
    "peg": "peg IS NOT NULL AND baseline_peg IS NOT NULL",
    **{f"change_{level}": f"change = {level}" for level in LEVELS},
}


def counts(conditions: Iterable[str]) -> str:
    """How many rows each of the conditions holds for, as columns of a SELECT."""
    return ", ".join(f"COUNT(*) FILTER (WHERE {condition})" for condition in conditions)


#: The end of the interval for a curve (`outcomes.lasting.Lasting.ended_by`): the one of both that is known, or NULL.
ENDED_BY = Least("lost_until", "suspected_until")
ENDED_BY_SQL = "LEAST(lost_until, suspected_until)"

FUNNEL = f"SELECT {counts(WHOLE[field.name] for field in fields(Funnel))} FROM chosen"  # noqa: S608 (no user's value)

#: What POINTS counts first, in this order.
COUNTED = ("due", "answered", "thirty", "fifty", "success", "two_points")
#: One row a planned check-in. Day 0 is the anesthetic's diary, which no treatment is judged by.
POINTS = f"""
SELECT unit, day, {counts(AT[name] for name in COUNTED)},
       SUM(score), SUM(baseline) FILTER (WHERE score IS NOT NULL),
       {counts([AT["peg"]])},
       SUM(peg) FILTER (WHERE baseline_peg IS NOT NULL), SUM(baseline_peg) FILTER (WHERE peg IS NOT NULL),
       {counts(f"channel = {place}" for place in range(1, len(CHANNELS)))},
       {counts(AT[f"change_{level}"] for level in LEVELS)}
  FROM chosen
 CROSS JOIN UNNEST(days, scores, channels, pegs, changes) AS one (day, score, channel, peg, change)
 WHERE {EVALUABLE_SQL} AND day > 0
 GROUP BY unit, day
 ORDER BY unit, day
"""  # noqa: S608

#: The columns that these statements read.
COLUMNS = (
    *("unit", "verdict", "evaluate_after", "success_percent", "baseline", "baseline_peg", "lost_after"),
    *("last_answer", "days", "scores", "channels", "pegs", "changes"),
)


@dataclass(frozen=True)
class TestCounts:
    """What the tests of a selection show: follow-ups with the intent diagnostic.

    `judged`: those with one of the three results, of which shares are; `undecided`: too early, or without a pain score
    above 0 before.
    """

    __test__ = False  # no test of pytest's

    tests: int
    positive: int
    negative: int
    indeterminate: int

    @property
    def judged(self) -> int:
        return self.positive + self.negative + self.indeterminate

    @property
    def undecided(self) -> int:
        return self.tests - self.judged


def counts_of_tests(rows: QuerySet[CourseSummary]) -> TestCounts:
    """What the tests among these follow-ups show; one query."""
    found = (
        rows.order_by().filter(unit=CourseSummary.Unit.MINUTE).values_list("verdict").annotate(Count("pk"))
    )
    by_verdict = dict(found)
    shown = (Verdict.POSITIVE, Verdict.NEGATIVE, Verdict.INDETERMINATE)
    return TestCounts(sum(by_verdict.values()), *(by_verdict.get(one.value, 0) for one in shown))


def point_of(row: tuple[int | None, ...], *, unit: str, treated: int, smallest: int) -> Point:
    """One row of POINTS, without its unit."""
    at, due, answered, thirty, fifty, success, two, pain, before, pegs, peg, peg_before, *rest = (
        value or 0 for value in row
    )
    by_channel, by_level = rest[: len(CHANNELS) - 1], rest[len(CHANNELS) - 1 :]

    def reached(count: int, of: int = answered) -> Rate:
        return rate(treated=treated, due=due, answered=of, count=count, smallest=smallest)

    enough = answered >= max(smallest, 1)
    enough_peg = pegs >= max(smallest, 1)
    told = sum(by_level)
    return Point(
        at=at,
        unit=unit,
        thirty=reached(thirty),
        fifty=reached(fifty),
        success=reached(success),
        two_points=reached(two),
        improved=reached(by_level[0] + by_level[1], told),
        pain=pain / answered if enough else None,
        pain_before=before / answered if enough else None,
        peg=peg / pegs / 3 if enough_peg else None,
        peg_before=peg_before / pegs / 3 if enough_peg else None,
        peg_known=pegs,
        channels=dict(zip(CHANNELS[1:], by_channel, strict=True)),
        changes=by_level if told >= max(smallest, 1) else None,
    )


def verdicts(rows: QuerySet[CourseSummary]) -> dict[str, int]:
    """How many follow-ups have each verdict, all of them, in their order."""
    found = dict(rows.order_by().values_list("verdict").annotate(Count("pk")))
    return {verdict.value: found.get(verdict.value, 0) for verdict in Verdict}
