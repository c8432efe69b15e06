"""When the relief of one follow-up ended, as far as its check-ins tell. Pure: plain values in, plain values out.

The end of relief is seen by no one: it lies after the last check-in in relief and not later than the first one out of
relief, in (L, R]. These intervals are what curves of duration are estimated from (`outcomes.survival`).
"""

from dataclasses import dataclass, replace

from outcomes.relief import Course, Judgement, Verdict, good, judge


@dataclass(frozen=True)
class ReliefEndInterval:
    """When relief ended: later than `after` and not later than `until`, in the course's unit after the procedure.

    `until` None: it was not seen to end, and the course is censored at `after`. `responded`: it was seen in relief at a
    judged answer, see `outcomes.relief`. `suspected_until`: the end by a first bad score that nothing confirms; None
    without one. A verdict waits for the confirmation, a curve must not (`ended_by`). `last_answer`: where the last
    answer lies, whether it counts or not; None without any.
    """

    after: int
    until: int | None
    responded: bool
    suspected_until: int | None
    last_answer: int | None

    @property
    def ended_by(self) -> int | None:
        """The end of the interval for a curve: `until`, or the bad score that nothing has confirmed.

        Whoever has lost relief and is not heard again would otherwise count as in relief ever after, and the last
        check-in of a plan, which none can confirm, could never show a loss (docs/decisions/0014).
        """
        return self.suspected_until if self.until is None else self.until


def lasting(course: Course, judgement: Judgement) -> ReliefEndInterval | None:
    """The interval in which relief ended; None when nothing can be told: no baseline above 0, confounded, no judged
    reading yet.

    `judgement` is what `outcomes.relief.judge` says of the same course, and all that is read here.

    - never in relief at a judged answer that counts: (0, first judged answer], or (0, the day on which a device was
      taken out that did not help enough]. Where the pain before a next treatment is all that is known, bad as it is:
      (0, that day] when no judged check-in had gone unanswered yet, for nobody else is known then either; None for
      silent patients: only those whose pain is back return, which would bias the curve toward losses;
    - in relief and not lost: (last good score, None], also while a bad score after it is not confirmed; it is the
      suspicion then;
    - lost: the interval of the judgement. What comes after an established loss does not move it.

    A bad score at the very moment of the procedure, position 0, is taken for position 1: (0, 0] holds nothing.
    """
    if judgement.verdict in (Verdict.NO_BASELINE, Verdict.CONFOUNDED):
        return None
    last = course.last_answer
    if judgement.loss:
        return ReliefEndInterval(judgement.loss.after, judgement.loss.until, True, None, last)
    if judgement.last_good is not None:
        suspected = judgement.suspected
        return ReliefEndInterval(
            judgement.last_good, None, True, suspected.until if suspected else None, last
        )
    first = judgement.first_judged
    if first is None:
        first = treated_unasked(course) if course.useless_at is None else course.useless_at
    return None if first is None else ReliefEndInterval(0, max(first, 1), False, None, last)


def treated_unasked(course: Course) -> int | None:
    """Where the next treatment was given, with its pain before, before a judged check-in could go unanswered; None
    otherwise."""
    if any(at >= course.evaluate_after for at in course.silent):
        return None
    return next((reading.at for reading in course.readings if reading.before_treatment), None)


def lasting_by_lord(course: Course, judgement: Judgement) -> ReliefEndInterval | None:
    """The interval of the same course by Lord's rule: a score exactly at the limit is pain that has returned.

    `course` is judged by the house's rule, to which exactly half is relief, and `judgement` with it. To see how much
    that choice matters: where no score is exactly at the limit both rules say the same.
    """
    strict = replace(course, half_is_loss=True)
    if not course.baseline or all(
        good(course, reading) == good(strict, reading) for reading in course.readings
    ):
        return lasting(course, judgement)
    return lasting(strict, judge(strict))
