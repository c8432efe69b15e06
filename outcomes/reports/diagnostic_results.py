"""Counting what tests and trials show. They stand in no rate and in no curve."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from outcomes.models import CourseSummary
from outcomes.relief import Verdict
from procedures.models import Intent


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


@dataclass(frozen=True)
class TrialCounts:
    """What the trials of a selection show: follow-ups with the intent trial. As `TestCounts`."""

    trials: int
    passed: int
    failed: int
    indeterminate: int

    @property
    def judged(self) -> int:
        return self.passed + self.failed + self.indeterminate

    @property
    def undecided(self) -> int:
        return self.trials - self.judged


def counts_of_tests(rows: QuerySet[CourseSummary]) -> TestCounts:
    """What the tests among these follow-ups show; one query."""
    found = by_verdict(rows, Intent.DIAGNOSTIC)
    shown = (Verdict.POSITIVE, Verdict.NEGATIVE, Verdict.INDETERMINATE)
    return TestCounts(sum(found.values()), *(found.get(verdict.value, 0) for verdict in shown))


def counts_of_trials(rows: QuerySet[CourseSummary]) -> TrialCounts:
    """What the trials among these follow-ups show; one query."""
    found = by_verdict(rows, Intent.TRIAL)
    shown = (Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE)
    return TrialCounts(sum(found.values()), *(found.get(verdict.value, 0) for verdict in shown))


def by_verdict(rows: QuerySet[CourseSummary], intent: Intent) -> dict[str, int]:
    return dict(rows.order_by().filter(intent=intent).values_list("verdict").annotate(Count("pk")))
