"""When the relief of one follow-up ended, as far as its check-ins tell. Pure: plain values in, plain values out.

The end of relief is seen by no one: it lies after the last check-in in relief and not later than the first one out of
relief, in (L, R]. These intervals are what curves of duration are estimated from (`outcomes.duration`).
"""

from dataclasses import dataclass, replace

from outcomes.relief import Course, Judgement, counted, good, judge


@dataclass(frozen=True)
class Lasting:
    """When relief ended: later than `after` and not later than `until`, in the course's unit after the procedure.

    `until` None: it was not seen to end, and the course is censored at `after`. `responded`: it was seen in relief at
    some check-in that counts. `suspected_until`: the first bad score after the last good one while nothing confirms it;
    None without one. A verdict waits for the confirmation, a curve must not (`ended_by`). `last_answer`: where the last
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


def lasting(course: Course, judgement: Judgement) -> Lasting | None:
    """The interval in which relief ended; None when nothing can be told: no baseline above 0, confounded, no reading
    that counts yet.

    `judgement` is what `outcomes.relief.judge` says of the same course. A good score counts from the procedure on, a
    bad one from `evaluate_after` on, and so does the pain before a repeat, which is a reading like any other.

    - never in relief: (0, first bad score that counts], or (0, the day on which a device was taken out that did not
      help enough]; None when the pain before a repeat is all that is known: who still had relief did not come for a
      repeat, so that counting those who came would count losses alone;
    - in relief and not lost: (last good score, None], also while a bad score after it is not confirmed; it is the
      suspicion then;
    - lost: the interval of the judgement. What comes after an established loss does not move it.

    A bad score at the very moment of the procedure, position 0, is taken for position 1: (0, 0] holds nothing.
    """
    if not course.baseline or course.confounded:
        return None
    known = counted(course)
    if judgement.lost_between:
        after, until = judgement.lost_between
        return Lasting(after, until, True, None, course.last_answer)
    in_relief = [reading for reading in known if good(course, reading)]
    if not in_relief:
        answered = [reading for reading in known if not reading.before_repeat]
        first = known[0].at if answered else course.useless_at
        return None if first is None else Lasting(0, max(first, 1), False, None, course.last_answer)
    after = in_relief[-1].at
    suspected = next((reading.at for reading in known if reading.at > after), None)
    return Lasting(after, None, True, suspected, course.last_answer)


def lasting_by_lord(course: Course, judgement: Judgement) -> Lasting | None:
    """The interval of the same course by Lord's rule: a score exactly at the limit is pain that has returned.

    `course` is judged by the house's rule, to which exactly half is relief, and `judgement` with it. To see how much
    that choice matters: where no score is exactly at the limit both rules say the same.
    """
    strict = replace(course, half_is_loss=True)
    if all(good(course, one) == good(strict, one) for one in course.readings):
        return lasting(course, judgement)
    return lasting(strict, judge(strict))
