"""What the service told of made-up patients, beside what is true of them. Pure: plain values in, counts out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from outcomes.simulation.simulated_patients import Group, Patient, Window

#: An early loss is to reach a person within so many days.
IN_TIME = 14
LOST_EARLY, POSSIBLY_EARLY = "lost_early", "possibly_early"
#: The kinds of alert that tell of a loss, or of a patient who says so.
TELLING = ("lost_early", "lost_effect", "pain_back")


class RaisedAlert(NamedTuple):
    """An alert: the days on which it was raised and closed; `until` is infinity while it is open."""

    kind: str
    day: float
    until: float


@dataclass(frozen=True)
class PatientRecord:
    """What the database says of one patient in the end.

    `verdicts`: all there ever were, the last one last. `answers`: the days of the answers, each as the instant in days
    and as the calendar day. `asked`: how many check-ins there were from the first day on.
    """

    patient: Patient
    window: Window
    verdicts: Sequence[str]
    alerts: Sequence[RaisedAlert]
    answers: Sequence[tuple[float, int]]
    asked: int

    @property
    def group(self) -> Group:
        return self.patient.group(self.window)

    @property
    def judged(self) -> list[float]:
        """The days of the judged answers."""
        return [day for day, on in self.answers if on >= self.window.judged_from]

    @property
    def seen(self) -> float | None:
        """The first judged answer that was truly in relief; None without one."""
        return next((day for day in self.judged if self.patient.course.works(day)), None)

    @property
    def first_bad(self) -> float | None:
        """The first answer after that one that was truly out of relief; None without one."""
        if self.seen is None:
            return None
        later = [day for day in self.judged if day > self.seen]
        return next((day for day in later if not self.patient.course.works(day)), None)

    def alerted_on(self, *kinds: str) -> float | None:
        """The day on which an alert told of the true loss: raised after it, or open when it came; None without one."""
        ended = self.patient.course.lasts
        days = [max(alert.day, ended) for alert in self.alerts if alert.kind in kinds and alert.until > ended]
        return min(days, default=None)

    def alerted_by(self, day: float, *kinds: str) -> bool:
        """Whether that was so by `day`."""
        alerted_on = self.alerted_on(*kinds)
        return alerted_on is not None and alerted_on <= day


class Figure(NamedTuple):
    """One figure of docs/simulation.md: its words, whom it counts, and of whom."""

    words: str
    holds: Callable[[PatientRecord], object]
    among: Callable[[PatientRecord], object]


class Proportion(NamedTuple):
    """`number` of `of`."""

    number: int
    of: int


def early(patient_record: PatientRecord) -> bool:
    return patient_record.group == Group.EARLY


def alerted(patient_record: PatientRecord) -> bool:
    return early(patient_record) and patient_record.alerted_on(LOST_EARLY) is not None


FIGURES = {
    "early": Figure("early losses, of all", early, lambda record: True),
    "seen": Figure(
        "seen in relief, of early losses", lambda patient_record: patient_record.seen is not None, early
    ),
    "by_first_bad": Figure(
        "alerted by the first bad score, of those seen in relief",
        lambda patient_record: (
            patient_record.first_bad is not None
            and patient_record.alerted_by(patient_record.first_bad, LOST_EARLY)
        ),
        lambda patient_record: early(patient_record) and patient_record.first_bad is not None,
    ),
    "none_lost_early": Figure(
        "ever lost early, of those without relief",
        lambda patient_record: LOST_EARLY in patient_record.verdicts,
        lambda patient_record: patient_record.group == Group.NONE,
    ),
    "later_lost_early": Figure(
        "ever lost early, of later losses and lasting relief",
        lambda patient_record: LOST_EARLY in patient_record.verdicts,
        lambda patient_record: patient_record.group == Group.LATER,
    ),
    "later_possibly": Figure(
        "possibly early, of later losses",
        lambda patient_record: patient_record.verdicts[-1] == POSSIBLY_EARLY,
        lambda patient_record: (
            patient_record.group == Group.LATER and isfinite(patient_record.patient.course.lasts)
        ),
    ),
    "true_early": Figure(
        "early losses, of verdicts lost early",
        early,
        lambda patient_record: patient_record.verdicts[-1] == LOST_EARLY,
    ),
    "true_possibly": Figure(
        "early losses, of verdicts possibly early",
        early,
        lambda patient_record: patient_record.verdicts[-1] == POSSIBLY_EARLY,
    ),
    "true_alerts": Figure(
        "early losses, of alerts",
        early,
        lambda patient_record: any(alert.kind == LOST_EARLY for alert in patient_record.alerts),
    ),
    "firm": Figure(
        "firm: verdict lost early, of early losses alerted",
        lambda patient_record: patient_record.verdicts[-1] == LOST_EARLY,
        alerted,
    ),
    "alerted": Figure("alerted as losing relief early, of early losses", alerted, early),
    "told": Figure(
        "any alert of a loss, of early losses",
        lambda patient_record: patient_record.alerted_on(*TELLING) is not None,
        early,
    ),
    "in_time": Figure(
        f"the same within {IN_TIME} days of the true loss, of early losses",
        lambda patient_record: patient_record.alerted_by(
            patient_record.patient.course.lasts + IN_TIME, *TELLING
        ),
        early,
    ),
}


def count(told: Iterable[PatientRecord]) -> dict[str, Proportion]:
    """All figures, by name; and "answered", answers of check-ins."""
    everybody = list(told)
    counts = {
        "answered": Proportion(
            sum(len(patient_record.answers) for patient_record in everybody),
            sum(patient_record.asked for patient_record in everybody),
        )
    }
    for name, figure in FIGURES.items():
        among = [patient_record for patient_record in everybody if figure.among(patient_record)]
        counts[name] = Proportion(
            sum(bool(figure.holds(patient_record)) for patient_record in among), len(among)
        )
    return counts
