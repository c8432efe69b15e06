"""Relief and verdicts of treatments. Pure: plain values in, plain values out, integers compared, never floats.

Pain is a whole number from 0 (none) to 10 (worst imaginable), baseline B and follow-up F on the same item. Percent
relief is 100·(B − F)/B. With B missing or 0 it cannot be computed; it is then None, never 0 or 100. Negative relief is
worse pain and is kept. A percentage that the patient names ("I am 70 % better") is something else and never read here.

The usual threshold of 50 % counts exactly half the baseline as relief, as coverage rules do: F ≤ B/2 is in relief and
F > B/2 is out of it (Lord et al., N Engl J Med 1996, already calls exactly half a return of pain; unconfirmed choice).

The definition. START and END are the first and the last day of the relief window.

1. **Judged** are answers from `evaluate_after` on, the pain before a treatment that ended the course, and a report "my
   pain is back" that names a day. What lies before is no success and no failure.
2. **Responder**: in relief at a judged answer, before two bad judged answers in a row. After two such the verdict is no
   relief, or partial by the last answer out of relief; relief after them is a remark (late relief), never a response, a
   loss or outlasting. Relief only before the first judged day is a remark as well.
3. **Bad**, after relief: out of relief and at least two points above the last good score (one point with a baseline
   below 4). What is out of relief and less than that is partial, and changes nothing else.
4. **Loss** of a responder: the interval (L, R]. L is the last good judged answer, R the first bad one, or the day that
   the patient named, if it lies in (L, R]. It is established by a second bad score with no relief in between, by the
   patient's word with the bad score, when the first bad score is the pain before a repeat or another treatment of the
   region, or when the device was taken out for lack of effect.
5. **Against the window**: lost early, R ≤ START. Possibly early, L < START < R and at least half of the days of (L, R]
   lie on or before START; a named day after START is never early. Date unknown, L < START < R otherwise. Within,
   START ≤ L < END and at least half of the days of (L, R] lie on or before END; reached the end, if fewer. Outlasting,
   L ≥ END, or without a loss when relief was known at the first judged answer and is known on or after END.
6. **Ongoing** windows (stimulators, pumps), whose END is nominal, know no within, end or outlasting: a loss after START
   is lost.
7. **Unconfirmed**: one bad score after relief, as the last judged answer, which nothing confirms, is lost, unconfirmed;
   it goes before unknown. Two such that relief followed, each time: fluctuating, which goes before outlasting. Bad
   answers before the first relief do not count for it.
8. **Unknown**: two silent judged check-ins in a row since the last answer. An ended course is never too early; without
   a judged answer it is unknown. A course that another treatment ended is confounded only without a judged answer
   before it. Two bad answers in a row settle no relief and partial, also against silence.
9. **Remarks**: relief before the first judged day, late relief, relief that returned after a loss, partial relief that
   remains or came before, the word "worn off" without a bad score, and how often it was worse than before.

docs/decisions/0019 says why. Tests, trials and the upkeep of devices are judged otherwise: docs/decisions/0023.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import takewhile
from typing import Literal, NamedTuple

#: The version of the definition above. What was judged by an earlier one is judged again by `judge_follow_ups`.
DEFINITION = 3
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
#: So many bad judged answers in a row tell that there is no relief, or that it is lost.
BAD_IN_A_ROW = 2
#: So many days are named one by one in a reason, which has to fit: patients can say every day that the pain is back.
MOST_NAMED = 6
#: So many points above the last good score are bad, from a baseline of LOW_BASELINE on; one point below it. A change of
#: one point is within the noise of the scale, two are a change that matters (Farrar et al., Pain 2001; unconfirmed
#: as a rule for losses).
POINTS_WORSE = 2
#: So often a bad score, each time followed by relief, is fluctuating pain; so many good answers in a row after a loss
#: are relief that has returned (choices; unconfirmed).
FLUCTUATING_AFTER, BACK_AFTER = 2, 2


class Verdict(StrEnum):
    """What a follow-up shows against its procedure's expected relief window."""

    TOO_EARLY = "too_early"
    IN_RELIEF = "in_relief"
    PARTIAL = "partial"
    NO_RELIEF = "no_relief"
    LOST_EARLY = "lost_early"
    POSSIBLY_EARLY = "possibly_early"
    DATE_UNKNOWN = "lost_date_unknown"
    LOST_WITHIN = "lost_within_window"
    REACHED_END = "reached_end"
    OUTLASTING = "outlasting_window"
    LOST = "lost"
    LOST_UNCONFIRMED = "lost_unconfirmed"
    FLUCTUATING = "fluctuating"
    CONFOUNDED = "confounded"
    NO_BASELINE = "no_baseline"
    UNKNOWN = "unknown"
    #: Of tests (`outcomes.diary_result`), of trials (`outcomes.trial_result`) and of the upkeep of a device.
    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"
    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"


#: Relief that was there and is over, by an established loss.
LOST_VERDICTS = frozenset(
    {
        Verdict.LOST_EARLY,
        Verdict.POSSIBLY_EARLY,
        Verdict.DATE_UNKNOWN,
        Verdict.LOST_WITHIN,
        Verdict.REACHED_END,
        Verdict.LOST,
    }
)


class Note(StrEnum):
    """What is worth saying beside a verdict."""

    EARLY_RELIEF = "early_relief"
    LATE_RELIEF = "late_relief"
    PARTIAL_BEFORE = "partial_before"
    RELIEF_RETURNED = "relief_returned"
    PARTIAL_REMAINS = "partial_remains"
    WORN_OFF_SAID = "worn_off_said"
    WORSE = "worse"
    LONG_RELIEF = "long_relief"


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

    Only the pain now is ever compared with the pain now before: `outcomes.services.courses.PAIN_NOW`.
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


@dataclass(frozen=True)
class Reading:
    """One score: `at`, in the course's unit after the procedure, and the pain then, 0–10.

    `worn_off`: the patient said in the same answer that the relief has worn off. `reported`: nobody asked, the patient
    said of their own accord that the pain is back. `ended_on`: the day after the procedure since which, they said, the
    pain has been back; None when they named none. `before_treatment`: no answer to a question, but the pain before the
    same treatment was given again, or before another one of the same region, which ended the course. `answered`: beside
    that pain, that a question was answered on the same day, and agrees.
    """

    at: int
    score: int
    worn_off: bool = False
    before_treatment: bool = False
    reported: bool = False
    ended_on: int | None = None
    answered: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the patient answered, and not only said how it was before a treatment."""
        return self.answered or not self.before_treatment


@dataclass(frozen=True)
class Course:
    """What is known of one follow-up. Every position counts from the procedure in `unit`.

    Days are calendar days on the site's wall clock; diagnostic blocks, whose relief ends within hours, are counted
    in minutes. `readings` in order of time; `silent` are the positions of planned check-ins that closed without an
    answer. `window_from` is START, the first day of the relief window, `window_until` END, its last. `ongoing`: the
    effect has no expected end, END is nominal.

    `ended`: the course is over, for whatever reason. `repeated_at`: where the same treatment was given again;
    `useless_at`: where a device was taken out because it did not help enough; both None otherwise. `other_treatment`:
    another treatment of the same region ended it. `confounded`: another treatment of the region, not known to be lost,
    still worked when this one began.

    `half_is_loss`: Lord's rule. A score exactly at the threshold, with 50 % half the baseline, is then pain that has
    returned already, where it is still relief without it (Lord et al., N Engl J Med 1996). No verdict uses it; beside
    the curve stands what it would change (`outcomes.relief_end.lasting_by_lord`).
    """

    baseline: int | None
    readings: Sequence[Reading]
    silent: Sequence[int]
    evaluate_after: int
    window_from: int
    window_until: int
    success_percent: int = 50
    unit: Literal["day", "minute"] = "day"
    ongoing: bool = False
    ended: bool = False
    confounded: bool = False
    other_treatment: bool = False
    half_is_loss: bool = False
    repeated_at: int | None = None
    useless_at: int | None = None

    @property
    def last_answer(self) -> int | None:
        """Where the last answer lies, whether it counts or not; None without any. The pain before a treatment is no
        answer."""
        return next((reading.at for reading in reversed(self.readings) if not reading.before_treatment), None)

    @cached_property
    def most_in_relief(self) -> int:
        """The highest score that is in relief, `meets` turned round; below 0 when none is."""
        left = (100 - self.success_percent) * (self.baseline or 0)
        exactly = self.half_is_loss and left % 100 == 0
        return left // 100 - exactly

    def words(self, at: int) -> str:
        """`at` as a reader says it: "day 92", "hour 3.5"."""
        return f"day {at}" if self.unit == "day" else f"hour {round(at / 60, 1):g}"

    def list_words(self, ats: Sequence[int]) -> str:
        """Several of them: "day 92", "days 7, 14 and 28"; of many the first, how many more, and the last."""
        if len(ats) > MOST_NAMED:
            first = ", ".join(self.words(at) for at in ats[:MOST_NAMED])
            return f"{first} and {len(ats) - MOST_NAMED} times more up to {self.words(ats[-1])}"
        if len(ats) == 1 or self.unit == "minute":
            return ", ".join(self.words(at) for at in ats)
        return f"days {', '.join(map(str, ats[:-1]))} and {ats[-1]}"


class Loss(NamedTuple):
    """Relief ended after `after` and not later than `until`: (L, R].

    `named`: the patient named the day `until`. `seen_at`: where the first bad score lies. `kind`: the loss against the
    window, as a verdict. `evidence` says in words how it is known.
    """

    after: int
    until: int
    named: bool
    seen_at: int
    kind: Verdict
    evidence: str


class Remark(NamedTuple):
    """Something worth saying beside a verdict: what, and the positions that it is about, in order."""

    note: Note
    at: tuple[int, ...]


class Judgement(NamedTuple):
    """A verdict with its reason in words, and what it rests on.

    `responded`: in relief at a judged answer, before two bad ones in a row. `loss`: established; `suspected`: a first
    bad score after relief, as the last thing known, that nothing confirms yet; None otherwise. `last_good`: the last
    judged answer in relief of a responder, None of others; `first_judged`: the first judged answer, None without any.
    `back_since`: where relief that had been lost was back by two judged answers in a row which are the last ones;
    None when it was not. `covered_percent`: of a test, the share of its window that entries cover.
    """

    verdict: Verdict
    reason: str
    responded: bool = False
    loss: Loss | None = None
    suspected: Loss | None = None
    last_good: int | None = None
    first_judged: int | None = None
    back_since: int | None = None
    remarks: tuple[Remark, ...] = ()
    covered_percent: int | None = None

    @property
    def lost_between(self) -> tuple[int, int] | None:
        """(L, R] of the established loss; None without one."""
        return (self.loss.after, self.loss.until) if self.loss else None

    @property
    def loss_kind(self) -> str:
        """The loss, established or suspected, against the window, as the code of its verdict; "" without one."""
        loss = self.loss or self.suspected
        return loss.kind.value if loss else ""


def judge(course: Course) -> Judgement:
    """What the course shows, by the definition in this module's docstring. Depends on nothing but its argument."""
    if not course.baseline:
        why = "is missing" if course.baseline is None else "is 0"
        return Judgement(
            Verdict.NO_BASELINE, f"The pain score before the procedure {why}: relief cannot be computed."
        )
    known = judged(course)
    answers = [reading for reading in known if reading.is_answer]
    if course.confounded or (course.other_treatment and not answers):
        return Judgement(
            Verdict.CONFOUNDED,
            "Another treatment of the same region falls into this follow-up: the answers cannot be told apart.",
            first_judged=answers[0].at if answers else None,
        )
    found = read_course(course, known)
    verdict, reason = decide(course, found)
    remarks = remarks_on(course, found, verdict)
    said = " ".join([reason, *(remark_words(course, remark) for remark in remarks)])
    return Judgement(
        verdict,
        said,
        responded=found.responded,
        loss=found.loss,
        suspected=found.suspected if not found.loss else None,
        last_good=found.before.at if found.before else None,
        first_judged=answers[0].at if answers else None,
        back_since=back_since(course, found),
        remarks=remarks,
    )


def good(course: Course, reading: Reading) -> bool:
    """Whether the reading is in relief. The course must have a baseline above 0."""
    return reading.score <= course.most_in_relief


def bad_after(course: Course, before: Reading, reading: Reading) -> bool:
    """Whether relief, last known at `before`, is gone at the reading: out of relief, and enough points above it.

    By Lord's rule whatever is out of relief is pain that has returned.
    """
    points = 1 if course.half_is_loss or (course.baseline or 0) < LOW_BASELINE else POINTS_WORSE
    return not good(course, reading) and reading.score >= before.score + points


def judged(course: Course) -> list[Reading]:
    """The readings that are judged, in order of time: those from `evaluate_after` on, the pain before a treatment that
    ended the course, and a report that the pain is back with a day.

    Of several at one position, such as two check-ins answered on one day, the last score counts: two scores of one day
    are no two answers in a row. What was said beside any of them stays, and so does that one was the pain before a
    treatment. An answer that says otherwise than that pain, named after it, is none.
    """
    by_position: dict[int, Reading] = {}
    for reading in course.readings:
        dated = reading.reported and reading.ended_on is not None
        if reading.at < course.evaluate_after and not reading.before_treatment and not dated:
            continue
        same = by_position.get(reading.at)
        if same:
            before = reading.before_treatment or same.before_treatment
            agrees = same.is_answer and good(course, same) == good(course, reading)
            reading = replace(
                reading,
                before_treatment=before,
                answered=before and (reading.is_answer or agrees),
                worn_off=reading.worn_off or same.worn_off,
                reported=reading.reported or same.reported,
                ended_on=same.ended_on if reading.ended_on is None else reading.ended_on,
            )
        by_position[reading.at] = reading
    return list(by_position.values())


class JudgedScores(NamedTuple):
    """What reading the judged scores in order has found.

    `before`: the last good one, of a responder up to the loss; None of who has not responded. `flickers`: how often one
    bad score, unconfirmed, was followed by relief. `settled`: two bad ones in a row came before any relief. `after`:
    what was judged after the loss, or after those two.
    """

    judged: Sequence[Reading]
    before: Reading | None = None
    loss: Loss | None = None
    suspected: Loss | None = None
    flickers: int = 0
    settled: bool = False
    after: Sequence[Reading] = ()

    @property
    def responded(self) -> bool:
        return self.before is not None


def read_course(course: Course, known: Sequence[Reading]) -> JudgedScores:
    """Read the judged scores in order: is there relief, does it end, and is that sure?"""
    most = course.most_in_relief
    begins = next(
        (place for place, reading in enumerate(known[:BAD_IN_A_ROW]) if reading.score <= most), None
    )
    if begins is None:
        return JudgedScores(known, settled=len(known) >= BAD_IN_A_ROW, after=known[BAD_IN_A_ROW:])
    before, flickers = known[begins], 0
    first: Reading | None = None
    for place, reading in enumerate(known[begins + 1 :], start=begins + 1):
        if reading.score <= most:
            flickers += first is not None
            before, first = reading, None
        elif bad_after(course, before, reading):
            found = score_words(course, first or reading)
            if first is not None:
                by = before_words(reading) or "the next score"
                evidence = f"{found}, confirmed by {by} on {course.words(reading.at)}"
            elif reading.before_treatment:
                evidence = found
            elif reading.worn_off or reading.reported:
                evidence = f"{found}, confirmed by the patient on {course.words(reading.at)}"
            else:
                first = reading
                continue
            loss = loss_of(course, before, first or reading, reading, evidence)
            return JudgedScores(known, before, loss, flickers=flickers, after=known[place + 1 :])
    suspected = None
    if first is not None and known[-1] is first:
        suspected = loss_of(course, before, first, first, score_words(course, first))
    if course.useless_at is not None:
        until = first.at if first else max(course.useless_at, before.at + 1)
        evidence = (
            f"{score_words(course, first or before)}, and the device was taken out on "
            f"{course.words(course.useless_at)}: it did not help enough"
        )
        kind = against_window(course, before.at, until, named=False)
        return JudgedScores(
            known, before, Loss(before.at, until, False, until, kind, evidence), flickers=flickers
        )
    return JudgedScores(known, before, None, suspected, flickers)


def loss_of(course: Course, before: Reading, first: Reading, last: Reading, evidence: str) -> Loss:
    """The interval: after the last good score, by the first bad one, or by the day in between that the patient named
    in either of the bad answers."""
    days = [reading.ended_on for reading in (first, last) if reading.ended_on is not None]
    day = next((day for day in days if before.at < day <= first.at), None)
    until = first.at if day is None else day
    named = day is not None
    kind = against_window(course, before.at, until, named=named)
    return Loss(before.at, until, named, first.at, kind, evidence)


def against_window(course: Course, after: int, until: int, *, named: bool) -> Verdict:
    """What relief that ended in (after, until] is against the window. `named`: the patient named the day `until`."""
    start, end = course.window_from, course.window_until
    if until <= start:
        return Verdict.LOST_EARLY
    if after < start:
        mostly_early = 2 * (start - after) >= until - after
        return Verdict.POSSIBLY_EARLY if mostly_early and not named else Verdict.DATE_UNKNOWN
    if course.ongoing:
        return Verdict.LOST
    if after >= end:
        return Verdict.OUTLASTING
    return Verdict.LOST_WITHIN if 2 * (end - after) >= until - after else Verdict.REACHED_END


def decide(course: Course, found: JudgedScores) -> tuple[Verdict, str]:
    """The verdict on what was found, with its reason; the first rule that applies."""
    if not found.judged:
        return unjudged(course)
    if not found.before:
        return never_in_relief(course, found)
    before, last = found.before, found.judged[-1]
    if found.loss:
        return found.loss.kind, f"{loss_words(course, found.loss)} {found.loss.evidence}."
    if found.flickers >= FLUCTUATING_AFTER and not found.suspected:
        return (
            Verdict.FLUCTUATING,
            f"{score_words(course, last)}; {found.flickers} times a bad score was followed by relief.",
        )
    if not course.ongoing and before.at >= course.window_until and good(course, found.judged[0]):
        reason = f"{score_words(course, before)}; relief was expected to end by {course.words(course.window_until)}."
        if last != before:
            reason += f" {score_words(course, last)}: one bad score may be noise."
        return Verdict.OUTLASTING, reason
    if found.suspected:
        return (
            Verdict.LOST_UNCONFIRMED,
            f"{loss_words(course, found.suspected)} {found.suspected.evidence}. Not confirmed: one bad score may be "
            "noise; a second one, or the patient's word, would be a loss.",
        )
    silence = silence_since(course)
    if len(silence) >= SILENT_AFTER:
        return (
            Verdict.UNKNOWN,
            f"No answer to {len(silence)} check-ins in a row since {course.words(last.at)}. Last known: "
            f"{score_words(course, last)}.",
        )
    if good(course, last):
        until = "" if course.ongoing else f" and {course.words(course.window_until)}"
        expected = f"It is expected to end between {course.words(course.window_from)}{until}."
        if course.ongoing:
            expected = f"It is expected to last beyond {course.words(course.window_from)}."
        return (
            Verdict.IN_RELIEF,
            f"{score_words(course, last)}; at least {course.success_percent} % counts as relief. {expected}",
        )
    return (
        Verdict.PARTIAL,
        f"{score_words(course, last)}: less than the {course.success_percent} % that count as relief, but too close to "
        f"the {before.score} of {course.words(before.at)} to be a loss.",
    )


def never_in_relief(course: Course, found: JudgedScores) -> tuple[Verdict, str]:
    """The verdict by the last answer out of relief, where no relief counts.

    Who comes for a repeat comes because the pain is back: a bad score before it does not tell that relief never was.
    """
    answers = [reading for reading in found.judged if reading.is_answer]
    if not answers:
        return (
            Verdict.UNKNOWN,
            f"{score_words(course, found.judged[-1])}. No answer since {course.words(course.evaluate_after)} tells "
            "whether there was relief before. Silence is not failure.",
        )
    last = next(answer for answer in reversed(answers) if not good(course, answer))
    partial = meets(course.baseline or 0, last.score, PARTIAL_PERCENT)
    silence = silence_since(course)
    if partial and not found.settled and len(silence) >= SILENT_AFTER:
        return (
            Verdict.UNKNOWN,
            f"No answer to {len(silence)} check-ins in a row since {course.words(last.at)}. Last known: "
            f"{score_words(course, last)}.",
        )
    if partial:
        return (
            Verdict.PARTIAL,
            f"{score_words(course, last)}: at least {PARTIAL_PERCENT} % but less than the {course.success_percent} % "
            "that count as relief.",
        )
    return (
        Verdict.NO_RELIEF,
        f"{score_words(course, last)}; relief was expected by {course.words(course.evaluate_after)}.",
    )


def unjudged(course: Course) -> tuple[Verdict, str]:
    """The verdict while no answer can be judged."""
    if course.useless_at is not None:
        return (
            Verdict.NO_RELIEF,
            f"The device was taken out on {course.words(course.useless_at)} because it did not help enough, and no "
            "answer tells of relief.",
        )
    silence = silence_since(course)
    if course.ended or len(silence) >= SILENT_AFTER or (silence and not course.readings):
        return (
            Verdict.UNKNOWN,
            f"No answer since {course.words(course.evaluate_after)}. Silence is not failure.",
        )
    return (
        Verdict.TOO_EARLY,
        f"A result is judged from {course.words(course.evaluate_after)} on, not before.",
    )


def silence_since(course: Course) -> list[int]:
    """Where judged check-ins closed without an answer since anything was last known."""
    last_known = course.readings[-1].at if course.readings else -1
    return [at for at in course.silent if at > last_known and at >= course.evaluate_after]


def back_since(course: Course, found: JudgedScores) -> int | None:
    """Where lost relief was back, when the latest judged answers, two or more in a row, are in relief."""
    back = list(takewhile(lambda reading: good(course, reading), reversed(found.after)))
    return back[-BACK_AFTER].at if found.loss and len(back) >= BACK_AFTER else None


def remarks_on(course: Course, found: JudgedScores, verdict: Verdict) -> tuple[Remark, ...]:
    """What is worth saying beside the verdict."""
    baseline = course.baseline or 0
    if not found.judged and not course.readings:
        return ()
    loss, last = found.loss or found.suspected, found.judged[-1] if found.judged else None
    said: list[Remark] = []

    def say(note: Note, readings: Iterable[Reading]) -> None:
        if at := tuple([reading.at for reading in readings]):
            said.append(Remark(note, at))

    def partial(reading: Reading) -> bool:
        return not good(course, reading) and meets(baseline, reading.score, PARTIAL_PERCENT)

    if not found.responded and verdict in (Verdict.NO_RELIEF, Verdict.PARTIAL):
        first_judged = found.judged[0].at if found.judged else course.evaluate_after
        early = [
            reading for reading in course.readings if reading.at < min(first_judged, course.evaluate_after)
        ]
        say(Note.EARLY_RELIEF, {reading.at: reading for reading in early if good(course, reading)}.values())
        say(Note.LATE_RELIEF, [reading for reading in found.after if good(course, reading)])
        if verdict == Verdict.NO_RELIEF:
            say(
                Note.PARTIAL_BEFORE,
                [reading for reading in found.judged if partial(reading) and reading.is_answer],
            )
    if found.loss and found.after:
        say(Note.RELIEF_RETURNED, [reading for reading in found.after if good(course, reading)])
    if loss and last and partial(last):
        say(Note.PARTIAL_REMAINS, [last])
    if found.responded:
        word = [reading for reading in found.judged if reading.worn_off or reading.reported]
        say(Note.WORN_OFF_SAID, [reading for reading in word if good(course, reading) or not loss])
    say(Note.WORSE, [reading for reading in found.judged if reading.score > baseline])
    return tuple(said)


#: A remark as a sentence, by its note: `when` are its days, `times` how many.
REMARK_WORDS = {
    Note.EARLY_RELIEF: "Relief before the first judged day, on {when}.",
    Note.LATE_RELIEF: "Late relief, on {when}.",
    Note.PARTIAL_BEFORE: "Partial relief on {when}.",
    Note.RELIEF_RETURNED: "Relief returned, on {when}.",
    Note.PARTIAL_REMAINS: "Partial relief remains on {when}.",
    Note.WORN_OFF_SAID: "The patient said on {when} that relief has worn off; the score does not show it.",
    Note.LONG_RELIEF: "Long relief: still seen at {when}, beyond the anesthetic's hours.",
    Note.WORSE: "Worse than before in {times}, on {when}.",
}
#: A loss against the window, by its verdict: START is `opens`, END `ends`.
LOSS_WORDS = {
    Verdict.LOST_EARLY: "it was expected to last until {opens} at least",
    Verdict.POSSIBLY_EARLY: "it was expected to last until {opens} at least, and most of this time lies before",
    Verdict.DATE_UNKNOWN: "whether before or after {opens}, until which it was expected to last, is not known",
    Verdict.LOST_WITHIN: "it was expected to end between {opens} and {ends}",
    Verdict.REACHED_END: "it was expected to end by {ends}, and most of this time lies after",
    Verdict.OUTLASTING: "it was expected to end by {ends}",
    Verdict.LOST: "it was expected to last beyond {opens}, without an end",
}


def remark_words(course: Course, remark: Remark) -> str:
    """A remark as a sentence."""
    number = len(remark.at)
    times = "1 answer" if number == 1 else f"{number} answers"
    return REMARK_WORDS[remark.note].format(when=course.list_words(remark.at), times=times)


def loss_words(course: Course, loss: Loss) -> str:
    """The interval and the window in one sentence."""
    between = f"Relief ended after {course.words(loss.after)} and by {course.words(loss.until)}"
    if loss.named:
        between += " (the day that the patient named)"
    opens, ends = course.words(course.window_from), course.words(course.window_until)
    return f"{between}; {LOSS_WORDS[loss.kind].format(opens=opens, ends=ends)}."


def before_words(reading: Reading) -> str:
    """What the pain before a treatment is called as evidence; "" for an answer."""
    return "the pain before the next treatment" if reading.before_treatment else ""


def score_words(course: Course, reading: Reading) -> str:
    """How a reader says it: Pain 8 before, 3 on day 92 (62 % less). After a low baseline with the points beside it:
    Pain 3 before, 1 on day 92 (66 % less: 2 points). The pain before a next treatment is told as such."""
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
    if reading.before_treatment:
        when += ", before the next treatment"
    return f"Pain {baseline} before, {reading.score} on {when} ({change})"
