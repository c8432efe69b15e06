"""Relief and verdicts. Pure: plain values in, plain values out, integers compared, never floats.

Pain is a whole number from 0 (none) to 10 (worst imaginable), baseline B and follow-up F on the same item. Percent
relief is 100·(B − F)/B. With B missing or 0 it cannot be computed; it is then None, never 0 or 100. Negative relief is
worse pain and is kept.

The usual threshold of 50 % counts exactly half the baseline as relief, as coverage rules do: F ≤ B/2 is in relief and
F > B/2 is lost (Lord et al., N Engl J Med 1996, already calls exactly half a return of pain; unconfirmed choice).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

#: At least this much, though less than the profile's threshold, is partial relief: moderate benefit in IMMPACT's terms
#: (Dworkin et al., J Pain 2008).
PARTIAL_PERCENT = 30
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
    return (
        int(100 * (baseline - score) / baseline) if score > baseline else 100 * (baseline - score) // baseline
    )


def meets(baseline: int, score: int, percent: int) -> bool:
    """Whether relief is at least `percent`: 100·(B − F) ≥ percent·B, in integers. `baseline` must be above 0."""
    return 100 * (baseline - score) >= percent * baseline


@dataclass(frozen=True, order=True)
class Reading:
    """One answered check-in: `at`, in the course's unit after the procedure, and the pain then, 0–10."""

    at: int
    score: int


@dataclass(frozen=True)
class Course:
    """What is known of one follow-up. Every position counts from the procedure in `unit`.

    Days are calendar days on the site's wall clock; diagnostic blocks, whose relief ends within hours, are counted
    in minutes. `readings` in order of time; `silent` are the positions of check-ins that closed without an answer.
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

    A bad score before `evaluate_after` is a flare and is passed over; a good one counts. A loss needs two bad scores
    in a row, is known only to lie between the last good and the first bad one, and stands once it is established.
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
    counted = [r for r in course.readings if good(course, r) or r.at >= course.evaluate_after]
    loss = established_loss(course, counted)
    if loss:
        return lost(course, *loss)
    judged = [r for r in counted if r.at >= course.evaluate_after]
    last_answer = course.readings[-1].at if course.readings else -1
    silence = [at for at in course.silent if at > last_answer and at >= course.evaluate_after]
    if not judged:
        return unjudged(course, silence)
    last = judged[-1]
    if good(course, last) and last.at > course.window_until:
        return Judgement(
            Verdict.OUTLASTING,
            f"{score_words(course, last)}; relief was expected to end by {course.words(course.window_until)}.",
        )
    had_relief = any(good(course, r) for r in counted)
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
            f"{score_words(course, last)}, after relief before. One low score may be noise: a second one in a "
            "row would be a loss.",
        )
    if meets(course.baseline, last.score, PARTIAL_PERCENT):
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
    return meets(course.baseline or 0, reading.score, course.success_percent)


def established_loss(course: Course, counted: Sequence[Reading]) -> tuple[Reading, Reading, Reading] | None:
    """The last good reading, the first bad one after it, and the bad one that confirms it; None without a loss."""
    for before, first, second in zip(counted, counted[1:], counted[2:], strict=False):
        if good(course, before) and not good(course, first) and not good(course, second):
            return before, first, second
    return None


def lost(course: Course, before: Reading, first: Reading, second: Reading) -> Judgement:
    """The verdict on an established loss: when, against the window, relief was found gone."""
    between = f"Relief ended after {course.words(before.at)} and by {course.words(first.at)}"
    confirmed = f"{score_words(course, first)}, confirmed on {course.words(second.at)}"
    interval = (before.at, first.at)
    if first.at < course.window_from:
        return Judgement(
            Verdict.LOST_EARLY,
            f"{between}; it was expected to last until {course.words(course.window_from)} at least. {confirmed}.",
            interval,
        )
    if first.at <= course.window_until:
        return Judgement(
            Verdict.LOST_WITHIN,
            f"{between}, within the expected {course.words(course.window_from)} to "
            f"{course.words(course.window_until)}. {confirmed}.",
            interval,
        )
    return Judgement(
        Verdict.OUTLASTING,
        f"{between}; it was expected to end by {course.words(course.window_until)}. {confirmed}.",
        interval,
    )


def unjudged(course: Course, silence: Sequence[int]) -> Judgement:
    """The verdict while no answer can be judged yet."""
    if len(silence) >= SILENT_AFTER or (silence and not course.readings):
        return Judgement(
            Verdict.UNKNOWN, f"No answer since {course.words(course.evaluate_after)}. Silence is not failure."
        )
    return Judgement(
        Verdict.TOO_EARLY, f"A result is judged from {course.words(course.evaluate_after)} on, not before."
    )


def score_words(course: Course, reading: Reading) -> str:
    """How a reader says it: Pain 8 before, 3 on day 92 (62 % less)."""
    baseline = course.baseline or 0
    percent = percent_relief(baseline, reading.score) or 0
    if reading.score == baseline:
        change = "unchanged"
    else:
        change = f"{abs(percent)} % {'less' if reading.score < baseline else 'more'}"
    return f"Pain {baseline} before, {reading.score} on {course.words(reading.at)} ({change})"
