"""How much the figures of a curve depend on choices: the same follow-ups under other assumptions."""

from dataclasses import replace

import pytest

from outcomes.models import CourseSummary
from outcomes.relief import judge
from outcomes.relief_end import ReliefEndInterval, lasting_by_lord
from outcomes.reports import Selection, procedure_report
from outcomes.reports.curves import OTHERS, DurationCurve, Run
from outcomes.reports.drill_down import rows_behind
from outcomes.tests.factories import answered_course
from outcomes.tests.relief_courses import facet_course
from procedures.tests.factories import World


def curves(world: World) -> tuple[DurationCurve, DurationCurve]:
    report = procedure_report(Selection(), user=world.physician, now=world.now)
    treated, responders = report.curves
    return treated, responders


def run_of(curve: DurationCurve, name: str) -> Run:
    return next(run for run in curve.runs if run.name == name)


def at_window(curve: DurationCurve) -> list[tuple[float, float]]:
    """The share still in relief at both ends of the window."""
    return [(at.low, at.high) for at in curve.window or () if at]


def half_lost(curve: DurationCurve | Run) -> tuple[float, float | None] | None:
    """When half have lost their relief."""
    return curve.median


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (
            [(42, 3), (92, 4), (184, 4)],
            ReliefEndInterval(42, 92, True, None, 184),
        ),  # exactly half, twice: relief is lost
        ([(42, 4)], ReliefEndInterval(0, 42, False, None, 42)),  # exactly half was never relief
        ([(42, 3), (92, 3)], ReliefEndInterval(92, None, True, None, 92)),  # no score at the limit: as ever
        ([(14, 4)], None),  # a bad score before the first day of judgement: nothing can be said
    ],
)
def test_lords_rule_takes_exactly_half_for_pain_that_has_returned(
    readings: list[tuple[int, int]], expected: ReliefEndInterval | None
) -> None:
    known = facet_course(8, *readings)
    assert lasting_by_lord(known, judge(known)) == expected
    assert judge(known) == judge(replace(known, half_is_loss=False)), "the verdict does not follow it"


def test_every_choice_has_its_figures_also_where_it_changes_nothing(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 2, 92: 2, 184: 7, 275: 7})
    for curve in curves(unmasked_world):
        assert [run.name for run in curve.runs] == list(OTHERS)
        for name in ("repeat_is_loss", "confirmed_only", "half_is_loss"):
            run = run_of(curve, name)
            assert (run.median, run.total) == (curve.median, curve.total), name


def test_by_lords_rule_relief_ends_sooner_and_fewer_respond(unmasked_world: World) -> None:
    answered_course(
        unmasked_world, {42: 3, 92: 4, 184: 4, 275: 7}
    )  # lost between 42 and 92 by Lord, between 184 and 275 by us
    answered_course(unmasked_world, {42: 4, 92: 4})  # never in relief by Lord
    treated, responders = curves(unmasked_world)
    assert (treated.total, responders.total) == (2, 2)
    lords = run_of(treated, "half_is_loss")
    assert (lords.total, lords.at_window) == (2, ((0, 0), (0, 0)))
    assert half_lost(lords) == (42, 92) or half_lost(lords) == (0, 42)
    assert at_window(treated)[0][0] == 1
    assert run_of(responders, "half_is_loss").total == 1
    for curve in (treated, responders):
        cell = f"curve:{curve.population}:0:half_is_loss"
        behind = rows_behind(Selection(), cell, unmasked_world.physician, now=unmasked_world.now)
        assert behind.count() == run_of(curve, "half_is_loss").total


def test_a_run_of_fewer_follow_ups_than_the_smallest_cell_has_no_figures(unmasked_world: World) -> None:
    for _ in range(4):
        answered_course(unmasked_world, {42: 4, 92: 4})
    answered_course(unmasked_world, {42: 2, 92: 2})
    unmasked_world.site.smallest_cell = 5
    unmasked_world.site.save()
    _, responders = curves(unmasked_world)
    lords = run_of(responders, "half_is_loss")
    assert (responders.total, lords.total, lords.median, lords.at_window) == (5, 1, None, None)


def test_summaries_that_were_made_before_the_rule_have_no_run_by_it(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 2, 92: 2})
    CourseSummary.objects.update(lords_after=None, lords_until=None)
    treated, _ = curves(unmasked_world)
    assert (run_of(treated, "half_is_loss").total, run_of(treated, "half_is_loss").median) == (0, None)


def test_silence_after_a_bad_score_is_a_loss_unless_only_confirmed_ones_count(unmasked_world: World) -> None:
    answered_course(unmasked_world, {42: 2, 92: 2, 184: 7})
    treated, _ = curves(unmasked_world)
    assert half_lost(treated) == (92, 184)
    assert half_lost(run_of(treated, "confirmed_only")) == (92, None)


def test_a_repeat_while_relief_was_there_is_a_loss_in_a_run_of_its_own(unmasked_world: World) -> None:
    repeated = answered_course(unmasked_world, {42: 2, 92: 2})
    CourseSummary.objects.filter(pk=repeated.pk).update(repeated_at=120)
    treated, _ = curves(unmasked_world)
    assert half_lost(treated) == (92, None)
    assert half_lost(run_of(treated, "repeat_is_loss")) == (92, 184)  # as the next planned check-in shows it


def test_a_mixed_clinic_by_hand(unmasked_world: World) -> None:
    """Four courses, two of them censored and not repeated: those lose nothing because others were repeated."""
    answered_course(unmasked_world, {42: 2, 92: 2, 184: 2})  # in relief on day 184, and then unknown
    answered_course(unmasked_world, {42: 2, 92: 2, 184: 2, 275: 2})  # the same on day 275
    answered_course(unmasked_world, {42: 2, 92: 8, 184: 8})  # lost in (42, 92]
    repeated = answered_course(unmasked_world, {42: 2, 92: 2})  # in relief on day 92, repeated on day 120
    CourseSummary.objects.filter(pk=repeated.pk).update(repeated_at=120)
    treated, _ = curves(unmasked_world)
    # Of four, one is lost by day 92 and one censored there: 3/4 from then on.
    assert at_window(treated)[0] == pytest.approx((0.75, 0.75), abs=1e-6)
    by_repeat = run_of(treated, "repeat_is_loss")
    assert by_repeat.total == 4
    # With the repeat as a loss in (92, 184]: 3/4 · 2/3 = 1/2 from day 184 on, and somewhere down to it on day 180.
    assert by_repeat.at_window is not None
    assert by_repeat.at_window[0] == pytest.approx((0.5, 0.75), abs=1e-6)
    assert by_repeat.at_window[1] == pytest.approx((0, 0.5), abs=1e-6)  # nothing is known after day 275
    confirmed = run_of(treated, "confirmed_only")
    assert confirmed.at_window is not None
    assert confirmed.at_window[0] == pytest.approx((0.75, 0.75), abs=1e-6)
    found = run_of(treated, "lost_when_found")
    assert found.at_window is not None
    assert found.at_window[0] == pytest.approx((0.75, 0.75), abs=1e-6)


def mixed(world: World) -> tuple[DurationCurve, DurationCurve]:
    """Four courses, of which each choice changes another one."""
    answered_course(
        world, {42: 2, 92: 4, 184: 4, 275: 4, 366: 4}
    )  # exactly half: in relief, and lost by Lord's rule
    answered_course(world, {42: 2, 92: 2, 184: 8})  # a bad score that nothing confirms: in (92, 184]
    answered_course(world, {42: 2, 92: 8, 184: 8})  # lost in (42, 92]
    answered_course(world, {42: 2, 92: 2, 184: 2, 275: 8, 366: 8})  # lost in (184, 275]
    return curves(world)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        # Within the window's first day (180) 2 of 4 are known in relief, and one was lost somewhere in (92, 184].
        (
            "confirmed_only",
            (0.75, 0.75),
            (0.375, 0.375),
        ),  # 3/4, and of the two still known at 184 one is lost
        ("half_is_loss", (0.25, 0.5), (0, 0)),  # the first course is lost in (42, 92], as the third one
        ("lost_when_found", (0.75, 0.75), (0.25, 0.25)),  # the second one on day 184 itself
        ("repeat_is_loss", (0.5, 0.75), (0.25, 0.25)),  # nobody was treated again: as in the chart
    ],
)
def test_each_choice_by_hand(
    unmasked_world: World, name: str, first: tuple[float, float], last: tuple[float, float]
) -> None:
    treated, _ = mixed(unmasked_world)
    assert at_window(treated) == [
        pytest.approx((0.5, 0.75), abs=1e-6),
        pytest.approx((0.25, 0.25), abs=1e-6),
    ]
    run = run_of(treated, name)
    assert run.total == 4
    for found, expected in zip(run.at_window or (), (first, last), strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
