"""Two groups side by side."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from clinic.refusals import Refusal
from outcomes.admin.reports.comparison import sentence
from outcomes.models import CourseSummary
from outcomes.reports import Selection, compare_groups
from outcomes.survival import Curve, Intervals, turnbull
from outcomes.tests.factories import two_groups
from procedures.tests.factories import World

NAMES = ("one", "other")


def test_relief_that_lasts_longer_is_found(unmasked_world: World) -> None:
    lasting, brief = two_groups(unmasked_world, 5)
    report = compare_groups(
        lasting, brief, names=NAMES, user=unmasked_world.physician, now=unmasked_world.now
    )
    sun = report.tests[0]
    assert (report.dimension, sun.score, len(report.tests)) == ("performer", "sun", 3)
    assert sun.excess[0] < 0 < sun.excess[1]
    # Of the 252 ways to deal ten follow-ups into two groups of five, two are as far apart.
    assert sun.p_permuted == pytest.approx(2 / 252)
    assert sun.p < 0.05


def test_both_groups_have_figures_at_the_same_places(unmasked_world: World) -> None:
    lasting, brief = two_groups(unmasked_world, 3)
    CourseSummary.objects.filter(lost_until=None).update(lost_after=731)
    report = compare_groups(
        lasting, brief, names=NAMES, user=unmasked_world.physician, now=unmasked_world.now
    )
    places = [[place.at for place in group.report.curves[0].places] for group in report.groups]
    assert places[0] == places[1]
    assert places[0][-1] == 731


def test_swapping_the_groups_changes_no_p(unmasked_world: World) -> None:
    lasting, brief = two_groups(unmasked_world, 3)
    there = compare_groups(lasting, brief, names=NAMES, user=unmasked_world.physician, now=unmasked_world.now)
    back = compare_groups(brief, lasting, names=NAMES, user=unmasked_world.physician, now=unmasked_world.now)
    assert [test.p for test in there.tests] == pytest.approx([test.p for test in back.tests])


@pytest.mark.parametrize("population", ["all_treated", "responders"])
def test_one_patient_is_no_group(world: World, population: str) -> None:
    lasting, brief = two_groups(world, 1)
    report = compare_groups(
        lasting, brief, names=NAMES, population=population, user=world.physician, now=world.now
    )
    assert (report.why_not, list(report.tests)) == ("hidden", [])


def test_where_nothing_is_known_nothing_is_tested(unmasked_world: World) -> None:
    lasting, _ = two_groups(unmasked_world, 1)
    report = compare_groups(
        lasting,
        Selection(performer=unmasked_world.clerk.pk),
        names=NAMES,
        user=unmasked_world.physician,
        now=unmasked_world.now,
    )
    assert (report.why_not, list(report.tests)) == ("nothing_known", [])


def test_a_fit_that_is_not_proven_is_told_and_tests_nothing(
    unmasked_world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(data: Intervals) -> Curve:
        curve = turnbull(data)
        return replace(curve, proof=replace(curve.proof, converged=False))

    for module in ("survival.group_tests", "reports.curves"):
        monkeypatch.setattr(f"outcomes.{module}.turnbull", stopped)
    lasting, brief = two_groups(unmasked_world, 6)
    report = compare_groups(
        lasting, brief, names=NAMES, user=unmasked_world.physician, now=unmasked_world.now
    )
    assert (report.why_not, list(report.tests)) == ("not_proven", [])
    assert "no test can be trusted" in sentence(report)
    assert not any(curve.proven for group in report.groups for curve in group.report.curves)


@pytest.mark.parametrize(
    ("first", "other", "code"),
    [
        ({}, {}, "same_group"),
        ({"intent": "diagnostic", "indication": "M54"}, {"intent": "trial"}, "too_many_differences"),
        ({"indication": "M5"}, {"indication": "m54.5"}, "groups_overlap"),
        ({"intent": "trial"}, {}, "groups_overlap"),
        ({"performed_until": date(2027, 3, 1)}, {"performed_from": date(2027, 3, 1)}, "groups_overlap"),
    ],
)
def test_groups_that_share_a_follow_up_are_refused(
    world: World, first: dict[str, Any], other: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        compare_groups(
            Selection(**first), Selection(**other), names=NAMES, user=world.physician, now=world.now
        )
    assert refused.value.code == code


def test_two_periods_are_two_groups(world: World) -> None:
    early, late = Selection(performed_until=date(2027, 2, 28)), Selection(performed_from=date(2027, 3, 1))
    report = compare_groups(early, late, names=NAMES, user=world.physician, now=world.now)
    assert (report.dimension, report.why_not) == ("period", "nothing_known")
