"""Which alerts a course calls for. Pure: plain values in, plain values out.

Silence and a bad score are different things: nothing here reads a missing answer as pain.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from outcomes.relief import PARTIAL_PERCENT, SILENT_AFTER, Course, Judgement, Reading, Verdict, judged, meets

#: So many readings in a row above the baseline are worse pain; a single one may be noise (a choice; unconfirmed).
WORSE_AFTER = 2


class Kind(StrEnum):
    """What a course can call for. Red flags are no matter of courses: a yes raises their alert at once."""

    LOST_EARLY = "lost_early"
    LOST_EFFECT = "lost_effect"
    NO_RELIEF = "no_relief"
    WORSE = "worse"
    SILENT = "silent"


#: Which alert a loss calls for, by what it is against the window. A loss within or after the window is what was
#: expected.
LOSSES = {Verdict.LOST_EARLY: Kind.LOST_EARLY, Verdict.POSSIBLY_EARLY: Kind.LOST_EARLY}
#: The same where the effect has no expected end.
LOSSES_OF_EFFECT = LOSSES | {Verdict.LOST: Kind.LOST_EFFECT, Verdict.DATE_UNKNOWN: Kind.LOST_EFFECT}


class AlertCondition(NamedTuple):
    """Since which position an alert is called for, and whether what calls for it is confirmed."""

    since: int
    confirmed: bool = True


def called_for(
    course: Course, judgement: Judgement, *, seeks_relief: bool = True
) -> dict[Kind, AlertCondition]:
    """The kinds of alert that hold for a course as it stands. Positions count from the procedure in days.

    `judgement` is what `outcomes.relief.judge` says of the same course.

    - lost early: relief lost early or possibly early, since the first bad score, also while nothing confirms it; not
      while the latest two judged answers show that it is back;
    - loss of effect: the same where the effect has no expected end, and it was lost later;
    - no relief: the verdict, since the first of the latest scores in a row that are less than partial relief;
    - worse: the latest two scores or more, from the first day of judgement on, are above the baseline, since the
      second of them. Needs a baseline, but no verdict: it also holds where two treatments cannot be told apart;
    - silent: two check-ins or more in a row since the last answer are unanswered, since the second of them.

    A course counted in minutes calls for none: a diagnostic block is judged once and is over in hours. `seeks_relief`
    False: a test, whose result it is that relief is over or never came, or the upkeep of a device, before which the
    implant's relief holds already. What is about relief is then not called for.
    """
    if course.unit == "minute":
        return {}
    kinds = {}
    answers = judged(course)
    loss = judgement.loss or judgement.suspected
    losses = LOSSES_OF_EFFECT if course.ongoing else LOSSES
    if loss and loss.kind in losses and judgement.back_since is None and seeks_relief:
        kinds[losses[loss.kind]] = AlertCondition(loss.seen_at, confirmed=judgement.loss is not None)
    if course.baseline is not None:
        useless = latest(answers, lambda score: not meets(course.baseline or 0, score, PARTIAL_PERCENT))
        if judgement.verdict == Verdict.NO_RELIEF and useless and seeks_relief:
            kinds[Kind.NO_RELIEF] = AlertCondition(useless[0].at)
        worse = latest(answers, lambda score: score > (course.baseline or 0))
        if len(worse) >= WORSE_AFTER:
            kinds[Kind.WORSE] = AlertCondition(worse[WORSE_AFTER - 1].at)
    answered = course.readings[-1].at if course.readings else -1
    silence = [at for at in course.silent if at > answered]
    if len(silence) >= SILENT_AFTER:
        kinds[Kind.SILENT] = AlertCondition(silence[SILENT_AFTER - 1])
    return kinds


def latest(readings: Sequence[Reading], holds: Callable[[int], bool]) -> list[Reading]:
    """The last readings in a row whose scores it holds for, in order of time."""
    return list(takewhile(lambda reading: holds(reading.score), reversed(readings)))[::-1]
