"""Verdicts and alerts of made-up patients whose relief is known, at a size that the suite can afford.

docs/simulation.md has the figures of many more. What is true comes from the made-up patient, what was said of them from
the database, as in `outcomes.simulation`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from clinic.tests.factories import MONDAY
from clinic.timezones import on_wall
from outcomes import services
from outcomes.demo import relief_courses
from outcomes.demo.clinic import Place, build
from outcomes.models import Alert, FollowUp
from outcomes.relief import Verdict
from outcomes.simulation.counts import PatientRecord, RaisedAlert, count
from outcomes.simulation.runs import BEFORE, followed
from outcomes.simulation.simulated_patients import Group, Habits, Patient, Window, invent
from outcomes.simulation.tables import Cell, figures
from procedures import catalogue
from procedures.models import ReliefProfile
from procedures.services.catalogue_loader import load
from procedures.tests.factories import World

#: Check-ins on START and shortly before it.
DAYS = {
    "rfa_facet": (14, 42, 92, 166, 180, 184, 275),
    "esi_transforaminal": (7, 14, 18, 21, 28, 60, 92),
    "scs_implant": (42, 90, 166, 180, 270, 365),
}
ABLATION = Window(judged_from=42, start=180)
#: The page of all figures.
PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.fixture
def place(db: None, settings: Any) -> Place:
    """The site at which the made-up patients are treated."""
    load(catalogue.read_catalogue(), by=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    return build().places["desert"]


@pytest.mark.parametrize("code", DAYS)
def test_exact_answers_give_true_verdicts_and_alerts_at_once(place: Place, code: str) -> None:
    told = followed(code, place, days=DAYS[code], seed="suite", number=20, habits=Habits(exact=True))
    found = count(told)
    early = found["early"].number
    assert 0 < early < 20
    assert found["answered"].number == found["answered"].of or code == "scs_implant"
    assert found["seen"] == found["by_first_bad"] == found["firm"] == (early, early)
    assert found["true_early"] == found["true_alerts"] == (early, early), "nobody else"
    assert found["none_lost_early"].number == found["later_lost_early"].number == 0
    assert found["later_possibly"].number == found["true_possibly"].of == 0
    assert not FollowUp.objects.exists(), "nothing of it stays"


def test_without_a_check_in_on_the_first_day_of_the_window_fewer_are_alerted_in_time(place: Place) -> None:
    habits = Habits(exact=True)
    before, today = (
        count(followed("rfa_facet", place, days=days, seed="suite", number=16, habits=habits))
        for days in ((42, 92, 184), (42, 92, 166, 180))
    )
    assert before["early"] == today["early"], "the same patients"
    assert before["in_time"].number < today["in_time"].number


def test_who_answers_as_in_the_demo_is_not_alerted_on_nothing(place: Place) -> None:
    code = "esi_transforaminal"
    habits = Habits(exact=False, calls=True)
    told = followed(code, place, days=DAYS[code], seed="suite", number=12, habits=habits)
    assert (
        0.2
        < sum(len(patient_record.answers) for patient_record in told)
        / sum(patient_record.asked for patient_record in told)
        < 0.9
    )
    assert any(day % 1 for patient_record in told for day, _ in patient_record.answers), "some answer late"
    for patient_record in told:
        if any(alert.kind == Alert.Kind.LOST_EARLY for alert in patient_record.alerts):
            assert len(patient_record.judged) >= 2, "relief and its end were both seen"
            assert (
                min(alert.day for alert in patient_record.alerts if alert.kind == Alert.Kind.LOST_EARLY) > 14
            )


@pytest.mark.parametrize(
    ("judged_from", "start", "good_on", "bad_on", "then", "ongoing"),
    [(14, 21, 14, 28, 60, False), (28, 60, 28, 92, 180, False), (90, 180, 90, 270, 365, True)],
)
@pytest.mark.parametrize("late", [0, 1], ids=["on the day", "one day late"])
def test_one_day_late_flips_at_the_half(
    world: World,
    judged_from: int,
    start: int,
    good_on: int,
    bad_on: int,
    then: int,
    ongoing: bool,
    late: int,
) -> None:
    profile = ReliefProfile.objects.get()
    profile.pk, profile._state.adding, profile.version = None, True, 2
    profile.check_in_days, profile.evaluate_after_days = [good_on, bad_on, then], judged_from
    profile.onset_from_days, profile.onset_until_days = 2, 7
    profile.window_from_days, profile.window_until_days, profile.ongoing = start, 1825, ongoing
    profile.save()
    follow_up = world.performed().follow_up
    for day, score, delay in ((good_on, 2, 0), (bad_on, 8, late), (then, 8, 0)):
        check_in = follow_up.check_ins.get(kind="planned", offset_minutes=day * 1440)
        now = on_wall(MONDAY + timedelta(days=day + delay), time(11), world.site.zone)
        services.store_answer(
            check_in.pk, values={"nrs.now": score}, channel="email", language="en", by=None, now=now
        )
    follow_up.refresh_from_db()
    assert follow_up.verdict == (Verdict.DATE_UNKNOWN if late else Verdict.POSSIBLY_EARLY)
    kinds = set(Alert.objects.filter(follow_up=follow_up).values_list("kind", flat=True))
    assert (Alert.Kind.LOST_EARLY in kinds) is not bool(late)
    assert (Alert.Kind.LOST_EFFECT in kinds) is bool(late and ongoing)


# The made-up patients


def test_a_fifth_of_the_courses_ends_early() -> None:
    rng = Random("early")
    shape = relief_courses.with_early_losses(lambda _: ever, judged_from=42, start=180)
    ever = relief_courses.SimulatedCourse((relief_courses.ReliefPeriod(10, inf, 0.8),))
    courses = [shape(rng) for _ in range(2000)]
    early = [course for course in courses if course != ever]
    assert 0.17 < len(early) / 2000 < 0.23
    assert all(43 <= course.lasts <= 180 and course.works(42) for course in early)
    assert not any(course.works(course.lasts) for course in early)


@pytest.mark.parametrize("code", BEFORE)
def test_every_type_has_early_losses_and_the_same_people_each_time(code: str) -> None:
    kind = next(
        procedure_type
        for procedure_type in catalogue.read_catalogue().procedure_types
        if procedure_type.code == code
    )
    window = Window(kind.evaluate_after.days, kind.relief_window.from_days)
    people, again = (
        invent(code, window, seed="a", number=number, habits=Habits(exact=True)) for number in (300, 310)
    )
    assert people == again[:300]
    assert 0.15 < sum(person.group(window) == Group.EARLY for person in people) / 300 < 0.45
    scores = {person.pain(day, Random(0), exact=True) for person in people for day in (1, 42, 181)}
    assert scores <= {2, 5, 8, 9}


# Counting


def lost_on(day: float) -> PatientRecord:
    course = relief_courses.SimulatedCourse((relief_courses.ReliefPeriod(10, day, 0.8),))
    answers = [(float(on), on) for on in (1, 42, 92, 180)]
    return PatientRecord(Patient("x", course, 8, 0.5), ABLATION, ["too_early", "in_relief"], [], answers, 5)


def test_what_is_true_comes_from_the_patient_alone() -> None:
    assert [lost_on(day).group for day in (42, 42.1, 180, 180.1)] == ["none", "early", "early", "later"]
    assert (lost_on(100).seen, lost_on(100).first_bad) == (42, 180)
    assert (lost_on(42).seen, lost_on(181).first_bad) == (None, None)


@pytest.mark.parametrize(
    ("alerts", "on"),
    [
        ([], None),
        ([RaisedAlert("lost_early", 92, 95)], None),  # settled before relief ended
        ([RaisedAlert("lost_early", 92, 110)], 100),  # a false alarm that had become true
        ([RaisedAlert("lost_early", 92, 95), RaisedAlert("lost_early", 180, inf)], 180),
        ([RaisedAlert("silent", 120, inf)], None),
    ],
)
def test_an_alert_tells_of_a_loss_that_has_happened(alerts: Sequence[RaisedAlert], on: float | None) -> None:
    record = replace(lost_on(100), alerts=alerts)
    assert record.alerted_on("lost_early") == on
    assert count([record])["alerted"] == (int(on is not None), 1)


def test_the_page_says_how_many_of_how_many() -> None:
    cell = Cell("habits", "rfa_facet", 4, "s", count([lost_on(100), lost_on(41), lost_on(300), lost_on(400)]))
    text = figures([cell])
    assert "| rfa_facet (4, seed s) | 16/20: 80 % (58–92) | 1/4: 25 % (5–70) | 0/0 |" in text
    both = figures([cell, cell._replace(seed="t")])
    assert "| rfa_facet (8, seed s, t) | 32/40: 80 % (65–90) | 2/8: 25 % (7–59) | 0/0 |" in both
    assert "<!-- figures" in PAGE.read_text()


def test_it_runs_nowhere_where_patients_are(world: World, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("simulate_verdicts", tmp_path / "results")
