"""What the service told of made-up patients, beside what is true of them. Pure: plain values in, counts out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from outcomes.rates import Share, share
from outcomes.simulation.people import Group, Patient, Window

#: An early loss is to reach a person within so many days.
IN_TIME = 14
LOST_EARLY, POSSIBLY_EARLY = "lost_early", "possibly_early"
#: The kinds of alert that tell of a loss, or of a patient who says so.
TELLING = ("lost_early", "lost_effect", "pain_back")


@dataclass(frozen=True)
class Raised:
    """An alert: its kind, the day on which it was raised, and that on which it was closed, infinity while it is open."""

    kind: str
    day: float
    until: float


@dataclass(frozen=True)
class Told:
    """What the database says of one patient in the end.

    `verdicts`: all there ever were, the last one last. `answers`: the days of the answers, each as the instant in days
    and as the calendar day. `asked`: how many check-ins there were from the first day on.
    """

    patient: Patient
    verdicts: Sequence[str]
    alerts: Sequence[Raised]
    answers: Sequence[tuple[float, int]]
    asked: int

    @property
    def verdict(self) -> str:
        return self.verdicts[-1]

    def first_bad(self, window: Window) -> float | None:
        """The first answer that was truly out of relief after a judged one in relief; None without such."""
        judged = [day for day, on in self.answers if on >= window.judged_from]
        works = [self.patient.course.works(day) for day in judged]
        if True not in works:
            return None
        after = works.index(True)
        return next((day for day, well in zip(judged[after:], works[after:], strict=True) if not well), None)

    def seen(self, window: Window) -> bool:
        """Whether relief was truly there at a judged answer."""
        return any(self.patient.course.works(day) for day, on in self.answers if on >= window.judged_from)

    def alerted_on(self, kinds: Sequence[str] = (LOST_EARLY,)) -> float | None:
        """The day on which an alert told of the true loss: raised after it, or open when it came; None without one."""
        ended = self.patient.course.lasts
        days = [max(one.day, ended) for one in self.alerts if one.kind in kinds and one.until > ended]
        return min(days, default=None)


@dataclass(frozen=True)
class Count:
    """`count` of `of`."""

    count: int
    of: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.count + other.count, self.of + other.of)

    @property
    def share(self) -> Share | None:
        return share(self.count, self.of)


@dataclass(frozen=True)
class Counts:
    """Each figure of docs/simulation.md, which says what they are."""

    early: Count  #: true early losses, of all patients
    answered: Count  #: check-ins that were answered, of all
    seen: Count  #: early losses in relief at a judged answer, of all early losses
    by_first_bad: Count  #: alerted as losing relief early by the first bad answer, of those seen that gave one
    none_lost_early: Count  #: ever judged lost early, of those without relief on the first judged day or after
    later_lost_early: Count  #: ever judged lost early, of later losses and lasting relief
    later_possibly: Count  #: possibly early in the end, of later losses that ended before the last check-in
    alerted: Count  #: alerted as losing relief early, of early losses
    told: Count  #: alerted by any alert that tells of a loss, of early losses
    in_time: Count  #: the same within IN_TIME days of the true loss, of early losses
    firm: Count  #: judged lost early in the end, of the early losses alerted
    true_early: Count  #: early losses, of those judged lost early in the end
    true_possibly: Count  #: early losses, of those judged possibly early in the end
    true_alerts: Count  #: early losses, of those who ever had an alert that relief is being lost early

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def count(told: Iterable[Told], window: Window) -> Counts:
    """Count what was told of the patients of one procedure type."""
    everybody = list(told)
    groups = {group: [one for one in everybody if one.patient.group(window) == group] for group in Group}
    early, later = groups[Group.EARLY], groups[Group.LATER]
    seen = [one for one in early if one.seen(window)]
    alerted = [one for one in early if one.alerted_on() is not None]

    def of(some: Sequence[Told], holds: Callable[[Told], object]) -> Count:
        return Count(sum(bool(holds(one)) for one in some), len(some))

    def is_early(one: Told) -> bool:
        return one.patient.group(window) == Group.EARLY

    def ever_lost_early(one: Told) -> bool:
        return LOST_EARLY in one.verdicts

    def in_time(one: Told) -> bool:
        day = one.alerted_on(TELLING)
        return day is not None and day - one.patient.course.lasts <= IN_TIME

    return Counts(
        early=Count(len(early), len(everybody)),
        answered=Count(sum(len(one.answers) for one in everybody), sum(one.asked for one in everybody)),
        seen=of(early, lambda one: one.seen(window)),
        by_first_bad=of(
            [one for one in seen if one.first_bad(window) is not None],
            lambda one: (day := one.alerted_on()) is not None and day <= one.first_bad(window),
        ),
        none_lost_early=of(groups[Group.NONE], ever_lost_early),
        later_lost_early=of(later, ever_lost_early),
        later_possibly=of(
            [one for one in later if one.patient.course.lasts <= max(window.days)],
            lambda one: one.verdict == POSSIBLY_EARLY,
        ),
        alerted=Count(len(alerted), len(early)),
        told=of(early, lambda one: one.alerted_on(TELLING) is not None),
        in_time=of(early, in_time),
        firm=of(alerted, lambda one: one.verdict == LOST_EARLY),
        true_early=of([one for one in everybody if one.verdict == LOST_EARLY], is_early),
        true_possibly=of([one for one in everybody if one.verdict == POSSIBLY_EARLY], is_early),
        true_alerts=of(
            [one for one in everybody if any(alert.kind == LOST_EARLY for alert in one.alerts)], is_early
        ),
    )
