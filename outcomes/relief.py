"""Relief and verdicts. Pure: plain values in, plain values out, integers compared, never floats.

Pain is a whole number from 0 (none) to 10 (worst imaginable), baseline B and follow-up F on the same item. Percent
relief is 100·(B − F)/B. With B missing or 0 it cannot be computed; it is then None, never 0 or 100. Negative relief is
worse pain and is kept. A percentage that the patient names ("I am 70 % better") is something else and never read here.

The usual threshold of 50 % counts exactly half the baseline as relief, as coverage rules do: F ≤ B/2 is in relief and
F > B/2 is lost (Lord et al., N Engl J Med 1996, already calls exactly half a return of pain; unconfirmed choice).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Literal

#: At least this much, though less than the profile's threshold, is partial relief: moderate benefit in IMMPACT's terms
#: (Dworkin et al., J Pain 2008).
PARTIAL_PERCENT = 30
#: A baseline below this is low: one point is 25 % of it or more, so the change in points is shown too (a choice;
#: unconfirmed).
LOW_BASELINE = 4
#: Who has so many points less, or says so of the change (1 very much, 2 much improved), has responded: IMMPACT's
#: further definitions (Dworkin et al., J Pain 2008), which advises to use two or more.
POINTS = 2
BETTER = (1, 2)
#: After so many unanswered check-ins in a row nothing is known any more. Silence is never failure.
SILENT_AFTER = 2


class Verdict(StrEnum):
    """What a follow-up shows against its procedure's expected relief window."""

    TOO_EARLY = "too_early"
    IN_RELIEF = "in_relief"
    PARTIAL = "partial"
    NO_RELIEF = "no_relief"
    LOST_EARLY = "lost_early"
    LOST_WITHIN = "lost_within_window"
    OUTLASTING = "outlasting_window"
    CONFOUNDED = "confounded"
    NO_BASELINE = "no_baseline"
    UNKNOWN = "unknown"


def percent_relief(baseline: int | None, score: int) -> int | None:
    """Percent relief for display, cut towards zero so that 79.9 never shows as 80; None without a baseline above 0."""
    if not baseline:
        return None
    percent = 100 * abs(baseline - score) // baseline
    return percent if score <= baseline else -percent


def meets(baseline: int, score: int, percent: int) -> bool:
    """Whether relief is at least `percent`: 100·(B − F) ≥ percent·B, in integers. `baseline` must be above 0."""
    return 100 * (baseline - score) >= percent * baseline


class Status(StrEnum):
    """Whether relief can be computed, and if not, why not."""

    COMPUTED = "computed"
    BASELINE_MISSING = "baseline_missing"
    BASELINE_ZERO = "baseline_zero"
    SCORE_MISSING = "score_missing"


@dataclass(frozen=True)
class Relief:
    """The relief that two scores show.

    `percent` is None unless `status` is computed; negative for worse pain. `points`: how much less, baseline minus
    score, None without both. `low_baseline`: show the points beside the percentage.
    """

    status: Status
    percent: int | None
    points: int | None
    low_baseline: bool


def relief_of(baseline: int | None, score: int | None) -> Relief:
    """What two scores of one item and scale show; None for one that is missing, never taken for 0 or from the other.

    Only the pain now is ever compared with the pain now before: `outcomes.services.judging.PAIN_NOW`.
    """
    low = baseline is not None and baseline < LOW_BASELINE
    points = None if baseline is None or score is None else baseline - score
    if baseline is None:
        return Relief(Status.BASELINE_MISSING, None, points, low)
    if score is None:
        return Relief(Status.SCORE_MISSING, None, points, low)
    if baseline == 0:
        return Relief(Status.BASELINE_ZERO, None, points, low)
    return Relief(Status.COMPUTED, percent_relief(baseline, score), points, low)


@dataclass(frozen=True)
class Responder:
    """Whether one patient has responded, by each definition side by side. What cannot be computed is None, never False.

    `percent_30` and `percent_50`: at least so much less pain. `points_2`: at least two points less. `pgic_1_2`: says
    "very much" or "much improved". `profile`: at least as much less as the relief profile asks for, 80 % of a
    diagnostic block of facet nerves and 75 % of a sacroiliac one; None also where no such figure was given.
    """

    percent_30: bool | None
    percent_50: bool | None
    points_2: bool | None
    pgic_1_2: bool | None
    profile: bool | None = None


def responders(
    baseline: int | None, score: int | None, pgic: int | None = None, *, percent: int | None = None
) -> Responder:
    """Whether a patient has responded, by each definition.

    `baseline` and `score`: pain 0–10 on the same item, `pgic`: the patient's global impression of change, 1 to 7; None
    for what is missing. `percent`: the relief that the profile asks for, `ReliefProfile.percent_for`.

    Without pain before, baseline 0, there is nothing to respond to: all that compares scores is None, the points too.
    """
    better = None if pgic is None else pgic in BETTER
    if not baseline or score is None:
        return Responder(None, None, None, better)
    return Responder(
        percent_30=meets(baseline, score, 30),
        percent_50=meets(baseline, score, 50),
        points_2=baseline - score >= POINTS,
        pgic_1_2=better,
        profile=None if percent is None else meets(baseline, score, percent),
    )


@dataclass(frozen=True, order=True)
class Reading:
    """One answered check-in: `at`, in the course's unit after the procedure, and the pain then, 0–10.

    `worn_off`: the patient said in the same answer that the relief has worn off. Of a good score it means nothing.
    `before_repeat`: no check-in, but the pain before the same treatment was given again, which ended the course.
    """

    at: int
    score: int
    worn_off: bool = False
    before_repeat: bool = False


@dataclass(frozen=True)
class Course:
    """What is known of one follow-up. Every position counts from the procedure in `unit`.

    Days are calendar days on the site's wall clock; diagnostic blocks, whose relief ends within hours, are counted
    in minutes. `readings` in order of time; `silent` are the positions of check-ins that closed without an answer.

    `repeated_at`: where the same treatment was given again; `useless_at`: where a device was taken out because it did
    not help enough. Both end the course; None otherwise.

    `half_is_loss`: Lord's rule. A score exactly at the threshold, with 50 % half the baseline, is then pain that has
    returned already, where it is still relief without it (Lord et al., N Engl J Med 1996). No verdict uses it; beside
    the curve stands what it would change (`outcomes.lasting.lasting_by_lord`).
    """

    baseline: int | None
    readings: Sequence[Reading]
    silent: Sequence[int]
    evaluate_after: int
    window_from: int
    window_until: int
    success_percent: int = 50
    unit: Literal["day", "minute"] = "day"
    confounded: bool = False
    half_is_loss: bool = False
    repeated_at: int | None = None
    useless_at: int | None = None

    @property
    def last_answer(self) -> int | None:
        """Where the last answer lies, whether it counts or not; None without any. A repeat is no answer."""
        return next((one.at for one in reversed(self.readings) if not one.before_repeat), None)

    def words(self, at: int) -> str:
        """`at` as a reader says it: "day 92", "hour 3.5"."""
        return f"day {at}" if self.unit == "day" else f"hour {round(at / 60, 1):g}"


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reason in words. `lost_between` (L, R]: relief ended after L and not later than R."""

    verdict: Verdict
    reason: str
    lost_between: tuple[int, int] | None = None


def judge(course: Course) -> Judgement:
    """What the course shows. Depends on nothing but its argument.

    A bad score before `evaluate_after` is a flare and is passed over; a good one counts (`counted`). A loss needs two
    bad scores in a row, or one that something else confirms (`established_loss`). It is known only to lie between the
    last good and the first bad score, and stands once it is established.
    """
    if not course.baseline:
        why = "is missing" if course.baseline is None else "is 0"
        return Judgement(
            Verdict.NO_BASELINE, f"The pain score before the procedure {why}: relief cannot be computed."
        )
    if course.confounded:
        return Judgement(
            Verdict.CONFOUNDED,
            "Another procedure on the same region falls into this follow-up: the answers cannot be told apart.",
        )
    known = counted(course)
    loss = established_loss(course, known)
    if loss:
        return lost(course, loss)
    judged = [r for r in known if r.at >= course.evaluate_after]
    last_known = course.readings[-1].at if course.readings else -1
    silence = [at for at in course.silent if at > last_known and at >= course.evaluate_after]
    if not judged:
        return unjudged(course, silence)
    last = judged[-1]
    last_good = next((reading for reading in reversed(known) if good(course, reading)), None)
    if last_good and last_good.at > course.window_until:
        return outlasting(course, last_good, last)
    had_relief = last_good is not None
    if len(silence) >= SILENT_AFTER and (had_relief or meets(course.baseline, last.score, PARTIAL_PERCENT)):
        return Judgement(
            Verdict.UNKNOWN,
            f"No answer to {len(silence)} check-ins in a row since {course.words(last.at)}. Last known: "
            f"{score_words(course, last)}.",
        )
    if good(course, last):
        return Judgement(
            Verdict.IN_RELIEF,
            f"{score_words(course, last)}; at least {course.success_percent} % counts as relief. It is expected to end "
            f"between {course.words(course.window_from)} and {course.words(course.window_until)}.",
        )
    if had_relief:
        was_judged = any(good(course, r) for r in judged)
        return Judgement(
            Verdict.IN_RELIEF if was_judged else Verdict.TOO_EARLY,
            f"{score_words(course, last)}, after relief before. One bad score may be noise: a second one in a row, or "
            "the patient's word that relief has worn off, would be a loss.",
        )
    return never_in_relief(course, judged)


def outlasting(course: Course, last_good: Reading, last: Reading) -> Judgement:
    """Relief was known after the window. No bad score or silence since then takes that back: nor would a loss."""
    reason = f"{score_words(course, last_good)}; relief was expected to end by {course.words(course.window_until)}."
    if last != last_good:
        reason += f" {score_words(course, last)}: one bad score may be noise."
    return Judgement(Verdict.OUTLASTING, reason)


def never_in_relief(course: Course, judged: Sequence[Reading]) -> Judgement:
    """The verdict by the last answer, where none was in relief.

    Who comes for a repeat comes because the pain is back: a bad score before it does not tell that relief never was.
    """
    answers = [reading for reading in judged if not reading.before_repeat]
    if not answers:
        return Judgement(
            Verdict.UNKNOWN,
            f"{score_words(course, judged[-1])}. No answer since {course.words(course.evaluate_after)} tells whether "
            "there was relief before. Silence is not failure.",
        )
    last = answers[-1]
    if meets(course.baseline or 0, last.score, PARTIAL_PERCENT):
        return Judgement(
            Verdict.PARTIAL,
            f"{score_words(course, last)}: at least {PARTIAL_PERCENT} % but less than the {course.success_percent} % "
            "that count as relief.",
        )
    return Judgement(
        Verdict.NO_RELIEF,
        f"{score_words(course, last)}; relief was expected by {course.words(course.evaluate_after)}.",
    )


def good(course: Course, reading: Reading) -> bool:
    """Whether the reading is in relief. The course must have a baseline above 0."""
    baseline = course.baseline or 0
    exactly = 100 * (baseline - reading.score) == course.success_percent * baseline
    if course.half_is_loss and exactly:
        return False
    return meets(baseline, reading.score, course.success_percent)


def counted(course: Course) -> list[Reading]:
    """The readings that count, in order of time: good ones, and bad ones from `evaluate_after` on.

    Of several at one position, such as two check-ins answered on one day, the last one counts: two scores of one day
    are no two check-ins in a row. The course must have a baseline above 0.
    """
    known = [r for r in course.readings if good(course, r) or r.at >= course.evaluate_after]
    return list({r.at: r for r in known}.values())


@dataclass(frozen=True)
class Loss:
    """Relief ended after `after` and not later than `until`; `evidence` says in words how that is known."""

    after: int
    until: int
    evidence: str


def established_loss(course: Course, known: Sequence[Reading]) -> Loss | None:
    """The first loss among the readings that count; None without one.

    The first bad score after a good one is a loss when something confirms it:

    - the next score is bad as well;
    - the patient says in the same answer that relief has worn off;
    - it is the pain before the same treatment was given again: nobody is treated again for a bad night;
    - the device was taken out because it did not help enough. It had lost its effect by that day, also without a score.
    """
    for place, (before, first) in enumerate(pairwise(known)):
        if not good(course, before) or good(course, first):
            continue
        found = score_words(course, first)
        if first.before_repeat:
            return Loss(before.at, first.at, found)
        if first.worn_off:
            by = f"the patient on {course.words(first.at)}"
            return Loss(before.at, first.at, f"{found}, confirmed by {by}")
        second = known[place + 2] if place + 2 < len(known) else None
        if second and not good(course, second):
            by = "the pain before the repeat" if second.before_repeat else "the next score"
            by += f" on {course.words(second.at)}"
            return Loss(before.at, first.at, f"{found}, confirmed by {by}")
    good_ones = [reading for reading in known if good(course, reading)]
    if course.useless_at is None or not good_ones:
        return None
    before, last = good_ones[-1], known[-1]
    until = max(course.useless_at, before.at + 1) if last == before else last.at
    taken_out = f"the device was taken out on {course.words(course.useless_at)}: it did not help enough"
    return Loss(before.at, until, f"{score_words(course, last)}, and {taken_out}")


def lost(course: Course, loss: Loss) -> Judgement:
    """The verdict on an established loss against the window.

    It is early when it was found before the window opens, and outlasting when relief was still known at the window's
    end. In between it is lost within the window: to date a loss at the check-in that found it would make relief longer
    than anybody knows.
    """
    between = f"Relief ended after {course.words(loss.after)} and by {course.words(loss.until)}"
    opens, ends = course.words(course.window_from), course.words(course.window_until)
    if loss.until < course.window_from:
        verdict, against = Verdict.LOST_EARLY, f"it was expected to last until {opens} at least"
    elif loss.after >= course.window_until:
        verdict, against = Verdict.OUTLASTING, f"it was expected to end by {ends}"
    else:
        verdict, against = Verdict.LOST_WITHIN, f"it was expected to end between {opens} and {ends}"
    return Judgement(verdict, f"{between}; {against}. {loss.evidence}.", (loss.after, loss.until))


def unjudged(course: Course, silence: Sequence[int]) -> Judgement:
    """The verdict while no answer can be judged yet."""
    if course.useless_at is not None:
        return Judgement(
            Verdict.NO_RELIEF,
            f"The device was taken out on {course.words(course.useless_at)} because it did not help enough, and no "
            "answer tells of relief.",
        )
    if len(silence) >= SILENT_AFTER or (silence and not course.readings):
        return Judgement(
            Verdict.UNKNOWN, f"No answer since {course.words(course.evaluate_after)}. Silence is not failure."
        )
    return Judgement(
        Verdict.TOO_EARLY, f"A result is judged from {course.words(course.evaluate_after)} on, not before."
    )


def score_words(course: Course, reading: Reading) -> str:
    """How a reader says it: Pain 8 before, 3 on day 92 (62 % less). After a low baseline with the points beside it:
    Pain 3 before, 1 on day 92 (66 % less: 2 points). The pain before a repeat is told as such."""
    baseline = course.baseline or 0
    percent = percent_relief(baseline, reading.score) or 0
    if reading.score == baseline:
        change = "unchanged"
    else:
        change = f"{abs(percent)} % {'less' if reading.score < baseline else 'more'}"
        points = abs(baseline - reading.score)
        if baseline < LOW_BASELINE:
            change += f": {points} point{'s' if points > 1 else ''}"
    when = course.words(reading.at)
    if reading.before_repeat:
        when += ", before the treatment was given again"
    return f"Pain {baseline} before, {reading.score} on {when} ({change})"
