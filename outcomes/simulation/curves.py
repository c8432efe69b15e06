"""Whether curves show what is true: made-up patients whose relief is known, asked and judged as the service does it.

No database is used, so that thousands of clinics can be played; `outcomes.tests.test_true_curves` plays one in the
database and finds the same rows. Those who have lost relief, or never had any, are treated again by chance.

The true share still in relief, S(t), is that of all who were treated: of a shape's courses, those whose relief of at
least half ends for good later than day t (`outcomes.demo.relief_courses.SimulatedCourse.lasts`). Relief that begins
after two bad answers is no response (`outcomes.relief`); whether two were given before it began hangs on who answers.
So the truth is a span: without those whose relief begins after the second planned day of judgement, and with them. Days
before the first of judgement are left out: a curve says nothing there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache
from math import inf
from random import Random
from typing import Any, NamedTuple

import numpy as np

from outcomes import schedule
from outcomes.demo import check_ins, made_up_patients, relief_courses
from outcomes.relief import Course, Reading, judge
from outcomes.relief_end import ReliefEndInterval, lasting
from outcomes.reports.curves import DRAWS, SEED, half_lost, spread
from outcomes.survival import Floats, Intervals, bands, intervals, turnbull
from procedures import catalogue

#: The types of which curves are measured.
CODES = ("rfa_facet", "rfa_sacroiliac", "esi_transforaminal", "esi_interlaminar", "joint_injection")
#: The hour of every procedure, and that at which check-ins go out, in days after midnight.
MORNING, SENT_AT = 9 / 24, 10 / 24
#: The same from the procedure on.
SENT = SENT_AT - MORNING
#: Who has lost relief and is treated again, is so many days later, evenly (working values).
AGAIN_AFTER = (10, 90)
#: Chance that a silent patient is reached by telephone: called, and answering one of two calls.
REACHED = check_ins.CALLED * (1 - (1 - check_ins.CALLS["reached"]) ** 2)
TYPES = {procedure_type.code: procedure_type for procedure_type in catalogue.read_catalogue().procedure_types}
#: So many courses tell the truth of a shape to within half a point.
MANY = 40_000


@dataclass(frozen=True)
class Habits:
    """How patients answer and are treated. `truthful`: no score is off by chance; `forgetful`: who is well answers less
    often; `repeated`: who has lost relief comes again some weeks later, as in the demo; `again`: the share of those
    without relief, or whose relief is lost, who are treated again; `entered`: days over which patients came, the last
    of them today; None: everybody's plan is over.
    """

    truthful: bool = True
    forgetful: bool = False
    repeated: bool = False
    again: float = 0
    entered: int | None = None


#: By the name of a run.
HABITS = {"exact": Habits(), "habits": Habits(truthful=False, forgetful=True)}


class Given(NamedTuple):
    """One answer: to the check-in of which planned day, and when it came, in days after the procedure; the pain."""

    planned: int
    came: float
    pain: int


@dataclass(frozen=True)
class Played:
    """One patient: the day on which relief truly ends, what was answered, and when the treatment was repeated, with the
    pain before that (None: it was not); and what the service knows and can tell of it."""

    lasts: float
    answers: Sequence[Given]
    again: tuple[float, int] | None
    known: Course
    told: ReliefEndInterval | None


def planned(code: str) -> list[int]:
    """The days of the plan from the first day of judgement on."""
    kind = TYPES[code]
    return [day for day in kind.check_ins.days if day >= kind.evaluate_after.days]


@cache
def stays_open(code: str) -> dict[int, float]:
    """For how many days each check-in of the plan waits for its answer."""
    begin = datetime(2027, 1, 4, 9, tzinfo=UTC)
    days = TYPES[code].check_ins.days
    plan = schedule.plan(begin, days=days, minutes=(), every_days=None, at=time(10), zone=UTC)  # type: ignore[arg-type]
    return {
        planned.offset_minutes // schedule.DAY: (planned.closes_at - planned.due_at).total_seconds() / 86_400
        for planned in plan
    }


def on_calendar(day: float) -> int:
    """The calendar day of an instant in days after the procedure."""
    return int(day + MORNING)


def play(code: str, rng: Random, habits: Habits) -> Played:
    """One patient of that procedure, from the procedure to the end of the plan or to today."""
    kind = TYPES[code]
    course = relief_courses.SHAPES[code](rng)
    usual = rng.gauss(7, 1.1)
    baseline = min(10, max(4, round(rng.gauss(usual, 1))))
    answers = made_up_patients.willingness(round(rng.triangular(24, 93, 64)), rng)
    today = rng.uniform(0, habits.entered) if habits.entered else inf
    again = inf
    if habits.repeated and course.lasts > 30:
        again = max(200 if code == "rfa_facet" else 92, course.lasts + rng.uniform(5, 60))
    if habits.again and rng.random() < habits.again:
        again = course.lasts + rng.uniform(*AGAIN_AFTER)
    over = min(again, today)

    def pain(day: float) -> int:
        if habits.truthful:
            return 0 if course.works(day) else baseline
        return relief_courses.score(course, day, baseline=baseline, rng=rng)

    given: list[Given] = []
    silent: list[int] = []
    for day, waits in stays_open(code).items():
        asked = day + SENT
        if asked > over:
            break
        well = habits.forgetful and course.works(asked)
        chance = made_up_patients.willing(answers, day=asked, works=well, diary=False)
        lots = [rng.random() for _ in range(3)]
        answered = inf
        if lots[0] < chance:
            answered = asked + made_up_patients.delay(lots[1], diary=False).total_seconds() / 86_400
        elif lots[2] < REACHED:
            answered = asked + schedule.RUNGS[-1] * waits + lots[1] * 3
        if answered < min(asked + waits, over):
            given.append(Given(day, answered, pain(answered)))
        elif asked + waits <= over:
            silent.append(day)
    readings = [Reading(on_calendar(answer.came), answer.pain) for answer in given]
    before = None
    if over == again < inf:
        before = min(10, max(4, round(rng.gauss(usual, 1))))
        readings.append(Reading(on_calendar(again), before, before_treatment=True))
    known = Course(
        baseline,
        readings,
        silent,
        evaluate_after=kind.evaluate_after.days,
        window_from=kind.relief_window.from_days,
        window_until=kind.relief_window.until_days,
        success_percent=50,
        ended=before is not None,
        repeated_at=on_calendar(again) if before is not None else None,
    )
    return Played(
        course.lasts,
        given,
        None if before is None else (again, before),
        known,
        lasting(known, judge(known)),
    )


def clinic(code: str, seed: str, number: int, habits: Habits) -> list[Played]:
    """So many patients of that procedure; the same ones for the same seed."""
    rng = Random(f"{code}:{seed}")
    return [play(code, rng, habits) for _ in range(number)]


def counted_interval(told: ReliefEndInterval, code: str) -> tuple[int, float]:
    """The interval as a curve counts it: `outcomes.reports.counts.planned_day` says how."""
    days, end = planned(code), told.ended_by
    after = max((day for day in days if day <= told.after), default=0)
    if end is None:
        return after, inf
    answered = [day for day in days if told.after < day <= end <= day + schedule.MOST_TOLERANCE.days]
    return after, max(answered, default=min((day for day in days if day > end), default=inf))


def as_reported(played: Sequence[Played], code: str) -> Intervals:
    """The intervals of all treated, as reports take them."""
    after, until = zip(
        *(counted_interval(course.told, code) for course in played if course.told), strict=True
    )
    return intervals(after, until)


def as_known(
    played: Sequence[Played], until: Callable[[ReliefEndInterval], int | None] = lambda told: told.ended_by
) -> Intervals:
    """The same to the day, from whatever is known: what reports do not do."""
    told = [course.told for course in played if course.told]
    ends = [until(interval) for interval in told]
    return intervals([interval.after for interval in told], [inf if end is None else end for end in ends])


@cache
def courses(code: str) -> tuple[Floats, Floats]:
    """Of many courses, when relief truly ends, and whether it begins early enough to be a response for certain."""
    rng = Random(f"{code}:truth")
    first, second = planned(code)[:2]
    many = [relief_courses.SHAPES[code](rng) for _ in range(MANY)]
    early = [float(course.works(first + SENT) or course.works(second + SENT)) for course in many]
    return np.array([course.lasts for course in many]), np.array(early)


def truth(code: str, days: Sequence[float]) -> tuple[Floats, Floats]:
    """The true share still in relief at these days, without and with those whose relief begins late."""
    lasts, early = courses(code)
    least = [((lasts > day) * early).mean() for day in days]
    return np.array(least), np.array([(lasts > day).mean() for day in days])


def true_half(code: str) -> tuple[float, float]:
    """The days at which half have truly lost relief, without and with those whose relief begins late."""
    lasts, early = courses(code)
    ends = [float(np.median(lasts * early)), float(np.median(lasts))]
    return ends[0], ends[1]


class DayResult(NamedTuple):
    """At one day: in how many of the clinics the band held the true share, and the mean error of the curve with half of
    its 95 % interval, in points of 100, above 0 where too much relief is shown; 0 within the span of the truth."""

    day: int
    held: int
    error: float
    give: float


class Measured(NamedTuple):
    """What so many clinics of that many patients with those habits found.

    `window`: START and END of the type. `told`: in so many the answers told when half have lost relief; `held`: in so
    many of these the true day lies between.
    """

    habits: str
    code: str
    patients: int
    clinics: int
    again: float
    window: tuple[int, int]
    at: Sequence[DayResult]
    told: int
    held: int


def looked_at(code: str) -> list[int]:
    """START, END, one year and day 548, as far as the plan of the type goes."""
    window = TYPES[code].relief_window
    last = planned(code)[-1]
    return sorted({day for day in (window.from_days, window.until_days, 366, 548) if day <= last})


def measure(
    code: str, habits: Habits, name: str, *, patients: int, clinics: int, draws: int = DRAWS
) -> Measured:
    """Play the clinics and hold their curves against the truth. The same numbers make the same clinics."""
    days, expected = looked_at(code), TYPES[code].relief_window
    window = expected.from_days, expected.until_days
    least, most = truth(code, days)
    first_half, last_half = true_half(code)
    last = float(planned(code)[-1])
    places = spread(last, window, "day", last)
    places = np.unique(np.append(places, np.array(days, dtype=float)))
    at = np.searchsorted(places, days)
    inside: list[Any] = []
    errors: list[Floats] = []
    told = held = 0
    for number in range(clinics):
        played = clinic(code, f"one {habits.again} {number}", patients, habits)
        known = as_reported(played, code)
        band = bands(known, places, draws=draws, seed=SEED)
        low, high = band.low[at], band.high[at]
        inside.append((band.band_low[at] <= most) & (least <= band.band_high[at]))
        errors.append(np.maximum(low - most, 0) - np.maximum(least - high, 0))
        if half := half_lost(places, band, turnbull(known).median):
            told += 1
            held += half.low <= last_half and first_half <= half.high
    off = 100 * np.array(errors)
    give = 1.96 * off.std(axis=0, ddof=1) / clinics**0.5 if clinics > 1 else np.zeros(len(days))
    found = zip(days, np.sum(inside, axis=0), off.mean(axis=0), give, strict=True)
    return Measured(
        name,
        code,
        patients,
        clinics,
        habits.again,
        window,
        [DayResult(day, int(count), float(error), float(wide)) for day, count, error, wide in found],
        told,
        held,
    )
