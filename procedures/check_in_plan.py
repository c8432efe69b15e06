"""Where a plan must ask, so that its answers tell whether relief ended early. Pure: plain values in, plain values out.

START and END are the first and the last day of the relief window, days count from the procedure. Relief is lost at some
time between the last good answer and the first bad one, in (L, R]; it was lost early when R ≤ START. A plan that asks
nothing around START finds every early loss too late to say so. So, for a profile that is used to treat:

- **on START**, where START lies after the first day of judgement: who is in relief then has not lost it early.
- **before START**, where START is day 60 or later: a judged day at most `lead` days before it. A loss between the two
  is seen within that time, and it is certainly early. Nearer to START the days of judgement are close together anyway.
- **on or after END**, unless the effect goes on without an expected end or the plan repeats without end: else no
  course could ever be seen to reach the end of its window.
- some judged day lies **before START**, or early cannot be told from late at all.

Where START is the day of the procedure or the next (a block whose anesthetic wears off), nothing is lost early, and
only END counts: stellate and lumbar sympathetic, peripheral nerve and selective root blocks need that, which are judged
from day 1 or 7.

Tests, trials and upkeep of a device are exempt: their window is not a promise of relief that lasts. But what may be
done as a test needs a window in hours, in which the anesthetic is expected to wear off, and a diary that asks up to it
(`untested`). All figures here are choices, unconfirmed.
"""

from collections.abc import Collection
from dataclasses import dataclass

#: What a profile is used for when it is to bring relief, whatever else it is used for.
TREATING = frozenset({"therapeutic", "diagnostic_and_therapeutic", "device_implant"})
#: What may be done as a test, whatever else it is done for.
TESTING = frozenset({"diagnostic", "diagnostic_and_therapeutic"})
#: With a window from this day on or earlier no loss is early.
NO_LOSS_IS_EARLY_UNTIL = 1
#: A window from this day on or later wants a check-in before its first day as well.
LONG_FROM_DAY = 60
#: How long before the first day of the window, in days: two weeks, in which an early loss is to reach a person, ...
MOST_LEAD = 14
#: ... but not more than a quarter of the time from the first day of judgement, in whole weeks, and one week at least:
#: nearer to the judged day before it, it would tell little that is new.
WEEK, LEAD_PART = 7, 4
#: What each rule asks for, in few words.
MEANT = {
    "cannot_tell_early": "judged before its first day",
    "no_check_in_on_start": "on its first day",
    "no_check_in_before_start": "shortly before its first day",
    "no_check_in_after_end": "on or after its last day",
}
#: What is said of a plan to which no rule applies.
EXEMPT = {
    "test": "A test: no rule of the relief window applies.",
    "trial": "A trial: no rule of the relief window applies.",
    "upkeep": "Upkeep of a device: no rule of the relief window applies.",
}


@dataclass(frozen=True)
class Figures:
    """What of a procedure type and its relief profile says where to ask; days after the procedure.

    `restarts`: whether it is maintenance that starts the course of an implant anew. `repeats`: after the last of `days`
    it is asked again and again without end.
    """

    purpose: str
    restarts: bool
    window_from: int
    window_until: int
    ongoing: bool
    evaluate_after: int
    days: Collection[int]
    repeats: bool

    @property
    def treats(self) -> bool:
        """Whether it is to bring relief that lasts; a test, a trial and upkeep are not."""
        return self.purpose in TREATING or (self.purpose == "device_maintenance" and self.restarts)


@dataclass(frozen=True)
class Rule:
    """One rule that applies to a plan. `first` and `last`: the days of which one must be asked, `last` None: or later.

    `code`: what it is refused with. `field`: which figure, of a relief profile, to change. `met_by`: the first of the
    plan's days that satisfies it, None when none does. `why`: the rule, and what is missing, as a sentence.
    """

    code: str
    field: str
    first: int
    last: int | None
    met_by: int | None
    why: str


def lead(*, evaluate_after: int, window_from: int) -> int:
    """How many days before the first day of the window a check-in must lie at most: 7 or 14."""
    weeks = (window_from - evaluate_after) // LEAD_PART // WEEK
    return min(MOST_LEAD, max(WEEK, weeks * WEEK))


def exempt(figures: Figures) -> str:
    """Why no rule applies: "test", "trial" or "upkeep"; "" when the rules apply."""
    if figures.treats:
        return ""
    return {"diagnostic": "test", "device_trial": "trial"}.get(figures.purpose, "upkeep")


def rules(figures: Figures) -> list[Rule]:
    """The rules that apply to a plan, each with the day that meets it."""
    if exempt(figures):
        return []
    start, end, judged = figures.window_from, figures.window_until, figures.evaluate_after

    def rule(code: str, first: int, last: int | None, why: str, field: str = "check_in_days") -> Rule:
        found = [day for day in figures.days if day >= first and (last is None or day <= last)]
        if last is None and figures.repeats:
            found.append(first)
        return Rule(code, field, first, last, min(found, default=None), why)

    asked: list[Rule] = []
    if start > NO_LOSS_IS_EARLY_UNTIL:
        early = rule(
            "cannot_tell_early",
            judged,
            start - 1,
            f"Relief may end from day {start} on and is judged from day {judged} on: without a judged check-in before "
            f"day {start} an early loss cannot be told from a later one.",
            field="check_in_days" if judged < start else "evaluate_after_days",
        )
        asked.append(early)
        if judged < start:
            asked.append(
                rule(
                    "no_check_in_on_start",
                    start,
                    start,
                    f"A check-in on day {start} is missing: it is the first day of the relief window, and it tells a "
                    "loss before it from one after it.",
                )
            )
            if start >= LONG_FROM_DAY and early.met_by is not None:
                days = lead(evaluate_after=judged, window_from=start)
                asked.append(
                    rule(
                        "no_check_in_before_start",
                        max(judged, start - days),
                        start - 1,
                        f"A check-in at most {days} days before day {start} is missing, such as day {start - days}: "
                        f"where the relief window begins on day {LONG_FROM_DAY} or later, an early loss is looked for "
                        "shortly before it.",
                    )
                )
    if not figures.ongoing:
        asked.append(
            rule(
                "no_check_in_after_end",
                end,
                None,
                f"A check-in on or after day {end} is missing: it is the last day of the relief window, and without it "
                "no course is ever seen to outlast it.",
            )
        )
    return asked


def missing(figures: Figures) -> list[Rule]:
    """The rules that a plan breaks."""
    return [rule for rule in rules(figures) if rule.met_by is None]


def rule_sentences(figures: Figures) -> str:
    """Which rules apply to a plan and what meets them, or is missing, in sentences for staff."""
    if reason := exempt(figures):
        return EXEMPT[reason]
    applied = rules(figures)
    broken = [rule.why for rule in applied if rule.met_by is None]
    met = [f"{MEANT[rule.code]}: day {rule.met_by}" for rule in applied if rule.met_by is not None]
    said = [f"Rules of the relief window: {', '.join(met)}."] if met else []
    return " ".join(said + broken)


def untested(purpose: str, *, window: tuple[float | None, float | None], asked: Collection[float]) -> str:
    """Why nothing could be said of a test by this profile, as a sentence; "" when it could, or no test is done by it.

    `window`: its first and last hour; `asked`: the hours of the diary, all in one unit. A test is positive by two
    entries in a row, the second of them within the window.
    """
    if purpose not in TESTING:
        return ""
    first, last = window
    if first is None or not last:
        return "It may be done as a test: say within which hours the anesthetic is expected to wear off."
    if len([hour for hour in asked if hour <= last]) < 2 or not any(first <= hour <= last for hour in asked):
        return "It may be done as a test: its diary must ask at two hours up to the window's last, one of them in it."
    return ""
