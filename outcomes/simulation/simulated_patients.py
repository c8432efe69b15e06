"""Made-up patients whose relief is known. Pure: a seed and a number in, the same patient out, every time.

Days count from the instant of the procedure, in fractions. What is true of relief is
`outcomes.demo.relief_courses.SimulatedCourse`, unrounded; how people answer is `outcomes.demo.made_up_patients`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from outcomes.demo import relief_courses
from outcomes.demo.made_up_patients import willingness

#: The pain before, and on a day with relief, with partial relief, without, and when sore: clearly in or out of relief.
EXACT = {"before": 8, "relief": 2, "partial": 5, "none": 8, "sore": 9}
#: Partial relief, 0–1, as `outcomes.relief.PARTIAL_PERCENT` has it.
PARTIAL = 0.3
#: The chance that who has lost relief says so unasked, and after how many days, evenly (working values).
SAYS_BACK, SAYS_AFTER = 0.3, (2.0, 21.0)
#: How far off, in days, somebody is who names the day on which relief ended: the standard deviation on the day itself,
#: and for each day since then; who cannot say (working values).
OFF_BY, OFF_PER_DAY, CANNOT_SAY = 1.0, 0.1, 0.15


@dataclass(frozen=True)
class Window:
    """The figures of a relief profile that tell early losses from later ones: first judged day and START, in days."""

    judged_from: int
    start: int


class Group(StrEnum):
    """What is true of a patient's relief: over by the first judged day or never there, over by START, or later."""

    NONE = "none"
    EARLY = "early"
    LATER = "later"


@dataclass(frozen=True)
class Habits:
    """How patients answer. `exact`: everybody, on the day, with exact scores. Otherwise as in the demo; `calls`: staff
    telephone the silent; `reports`: some say unasked that the pain is back."""

    exact: bool
    calls: bool = False
    reports: bool = False


@dataclass(frozen=True)
class Patient:
    """`seed` decides every chance of this patient alone. `answers`: the chance, 0–1, that an e-mail is answered."""

    seed: str
    course: relief_courses.SimulatedCourse
    baseline: int
    answers: float

    def chance(self, *what: object) -> Random:
        """A source of chances for one matter alone, so that one e-mail more changes nothing else."""
        return Random(":".join(map(str, (self.seed, *what))))

    def group(self, window: Window) -> Group:
        """What is true."""
        if self.course.lasts <= window.judged_from:
            return Group.NONE
        return Group.EARLY if self.course.lasts <= window.start else Group.LATER

    def pain(self, day: float, rng: Random, *, exact: bool) -> int:
        """The pain now, 0–10, that the patient names on `day`."""
        if not exact:
            return relief_courses.score(self.course, day, baseline=self.baseline, rng=rng)
        relief = self.course.relief(day)
        if relief < 0:
            return EXACT["sore"]
        return EXACT["relief" if relief >= 0.5 else "partial" if relief >= PARTIAL else "none"]

    def names(self, day: float, rng: Random) -> int | None:
        """The day since which the patient says, on `day`, that the pain is back; None when they cannot say, or have
        relief, or never had any."""
        ended = self.course.lasts
        if rng.random() < CANNOT_SAY or not 0 < ended <= day:
            return None
        return min(int(day), max(1, round(rng.gauss(ended, OFF_BY + OFF_PER_DAY * (day - ended)))))

    def says_back_on(self) -> float | None:
        """The day on which the patient says unasked that the pain is back; None when they do not."""
        rng = self.chance("says back")
        willing, after = rng.random() < SAYS_BACK, rng.uniform(*SAYS_AFTER)
        return self.course.lasts + after if willing and 0 < self.course.lasts < float("inf") else None


def invent(code: str, window: Window, *, seed: str, number: int, habits: Habits) -> list[Patient]:
    """The first `number` patients of a procedure type; the same ones whatever is asked and whoever calls."""
    shape = relief_courses.with_early_losses(
        relief_courses.SHAPES[code], judged_from=window.judged_from, start=window.start
    )
    return [simulated_patient(f"{seed}:{code}:{count}", shape, exact=habits.exact) for count in range(number)]


def simulated_patient(
    seed: str, shape: Callable[[Random], relief_courses.SimulatedCourse], *, exact: bool
) -> Patient:
    """One patient; the pain before and the habits are spread as in the demo: `outcomes.demo.made_up_patients`."""
    rng = Random(seed)
    course = shape(rng)
    before = min(10, max(4, round(rng.gauss(rng.gauss(7, 1.1), 1))))
    return Patient(
        seed,
        course,
        EXACT["before"] if exact else before,
        willingness(round(rng.triangular(24, 93, 64)), rng),
    )
