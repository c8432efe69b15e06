"""Which questions a check-in asks, and in which steps. Pure: plain values in, plain values out.

The words of instruments come from their files, those of red flags from their rows; here stands when each is asked. Days
count from the procedure, on the site's wall clock. Where no source is named the rule is a choice, unconfirmed.

- Pain now: at every check-in. Baseline and verdict are about it, so an answer without it is refused.
- Average of 7 days and worst of 24 hours: from day 7 on. Earlier, a look back reaches behind the procedure.
- Red flags of the procedure type: at every check-in up to day 14, and at every one after a procedure on a device.
- Change since the procedure, and pain medicine: from the profile's first day of judgement on.
- Whether relief has worn off, and since when: from that day on, after a pain now that is out of relief and relief
  before. A check-in that only confirms a bad score asks the pain now and these, and nothing else.
- PEG: at the first check-in from day 28 on, then at those at least 60 days after the last that asked it; of a trial,
  whose plan ends before, at its last day from day 7 on. Its first question stands for the average of 7 days, which
  asks almost the same.
- Before the procedure: the pain now, and the PEG where the check-in plan asks it at all.
- Satisfaction: once, at the first check-in from the relief window's first day on, but not before the first day of
  judgement.
- Pain now and nothing else: at a **short** check-in, after the first day of judgement, that the plan's next one follows
  within a week, or within two weeks where that is the relief window's first day. It is there to tell when relief ended;
  all the rest is asked a few days before or after, and a question asked twice in a fortnight is answered less. PEG and
  satisfaction pass over it. Whoever is out of relief is asked as at any other check-in whether relief has worn off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

from outcomes.instruments.definitions import BilingualText, Instrument, ItemChoice

#: The one question that every answer holds.
PAIN_NOW = "nrs.now"
PAIN_AVERAGE, PAIN_WORST = "nrs.average_7_days", "nrs.worst_24_hours"
PEG = ("peg.pain", "peg.enjoyment", "peg.activity")
CHANGE, MEDICINE = "pgic.change", "pain_medicine.any"
SATISFACTION = ("satisfaction.satisfied", "satisfaction.again")
#: Whether pain medicine was taken since the last entry of a diary: 0 no, 1 yes.
TOOK_MEDICINE = "diary.took_medicine"
#: Whether the relief from the procedure has worn off: 0 no, 1 yes, 2 not sure.
WORN_OFF = "relief.worn_off"
#: Since which day the pain has been back, as the patient remembers it: a whole number of days after the procedure.
ENDED_ON = "relief.ended_on"

LOOKS_BACK_FROM_DAY = 7
PEG_FROM_DAY, PEG_EVERY_DAYS = 28, 60
RED_FLAGS_UNTIL_DAY = 14
#: A check-in that the next one follows within so many days is short; within so many, before the window's first day.
SHORT_BEFORE_NEXT, SHORT_BEFORE_WINDOW = 7, 14
#: How soon a yes wants somebody, the most urgent first.
URGENCIES = ("emergency", "same_day", "next_working_day")


@dataclass(frozen=True)
class Question:
    """One question as the page asks it.

    `key` is "instrument.item". `codes`: every value that an answer can have, rising. `anchors`: the values that have
    words. `kind`: "scale" has words at its ends, "list" words for each value, "yes_no" the values 0 and 1; a "date" has
    no codes, its value is the number of days since `day_zero`. `urgency`: of a red flag, else "".
    """

    key: str
    text: BilingualText
    kind: Literal["scale", "list", "yes_no", "date"]
    codes: tuple[int, ...] = (0, 1)
    anchors: tuple[ItemChoice, ...] = ()
    required: bool = False
    urgency: str = ""
    day_zero: date = date.min


@dataclass(frozen=True)
class CheckInStep:
    """What one screen asks. `remark`: whether it ends with room for a remark; the last one does."""

    name: Literal["pain", "safety", "change"]
    questions: tuple[Question, ...]
    remark: bool = False

    def __contains__(self, key: str) -> bool:
        return any(question.key == key for question in self.questions)


def red_flag(code: str, text: BilingualText, urgency: str) -> Question:
    """The question of a red flag. It wants a yes or a no: silence must not pass for a no."""
    return Question(f"red_flag.{code}", text, "yes_no", required=True, urgency=urgency)


def from_instrument(key: str, instruments: Mapping[str, Instrument]) -> Question:
    """The question "instrument.item". Raises Refusal, code "unknown_item", for an item that there is not."""
    name, _, item_key = key.partition(".")
    item = instruments[name].item(item_key)
    kind: Literal["scale", "list"] = "list" if item.is_list else "scale"
    return Question(key, item.wording, kind, item.codes, item.anchors, required=key == PAIN_NOW)


def short_days(plan: Iterable[int], *, evaluate_after: int, window_from: int) -> set[int]:
    """Of the days of a plan, those that ask for the pain now and nothing else. What repeats after it is never short.

    Up to RED_FLAGS_UNTIL_DAY only the one before the window's first day is: the others are asked for safety's sake.
    """
    days = sorted(set(plan))
    return {
        day
        for day, following in pairwise(days)
        if day > evaluate_after
        and (
            (following == window_from and following - day <= SHORT_BEFORE_WINDOW)
            or (day > RED_FLAGS_UNTIL_DAY and following - day <= SHORT_BEFORE_NEXT)
        )
    }


def peg_days(days: Iterable[int], *, trial: bool = False) -> set[int]:
    """Of all days on which a follow-up checks in, those that ask the PEG. A later day never changes an earlier one, but
    for a trial, whose days are all known: it asks on the last of them, if they end before PEG_FROM_DAY and the PEG,
    which looks back on a week, does not reach behind the procedure."""
    rising = sorted(days)
    if trial and rising and LOOKS_BACK_FROM_DAY <= rising[-1] < PEG_FROM_DAY:
        return {rising[-1]}
    chosen: list[int] = []
    for day in rising:
        if day >= PEG_FROM_DAY and (not chosen or day - chosen[-1] >= PEG_EVERY_DAYS):
            chosen.append(day)
    return set(chosen)


def before(
    days: Iterable[int], *, repeated: bool, trial: bool, instruments: Mapping[str, Instrument]
) -> tuple[Question, ...]:
    """What is asked before a procedure whose follow-up checks in on these days. `repeated`: and on without end.
    `trial`: it is one of a device."""
    peg = repeated or peg_days(days, trial=trial)
    return tuple(from_instrument(key, instruments) for key in (PAIN_NOW, *(PEG if peg else ())))


def asks_red_flags(day: int, *, device: bool) -> bool:
    """Whether a check-in of that day asks for red flags. `device`: a stimulator or a pump is involved."""
    return device or day <= RED_FLAGS_UNTIL_DAY


def satisfaction_day(days: Iterable[int], *, evaluate_after: int, window_from: int) -> int | None:
    """The one day, of all on which a follow-up checks in, that asks about satisfaction; None when none does."""
    return min((day for day in days if day >= max(evaluate_after, window_from)), default=None)


def check_in_steps(
    day: int,
    *,
    days: Iterable[int],
    plan: Iterable[int],
    evaluate_after: int,
    window_from: int,
    device: bool,
    flags: Sequence[Question],
    instruments: Mapping[str, Instrument],
    worn_off: Sequence[Question] = (),
    trial: bool = False,
) -> list[CheckInStep]:
    """The steps of the check-in of `day`, at least one.

    `days`: all days on which its follow-up checks in; `plan`: those of its plan, without what repeats after them.
    `evaluate_after`: the first day of judgement. `window_from`: the
    first day of the relief window. `flags`: the red flags of the procedure type. `instruments` by key: nrs, peg, pgic,
    pain_medicine, satisfaction. `worn_off`: the questions whether relief has worn off and since when, first in the last
    step; none when they are not asked.
    """
    short = short_days(plan, evaluate_after=evaluate_after, window_from=window_from)
    pain, change = [PAIN_NOW], list[str]()
    if day not in short:
        days = [day for day in days if day not in short]
        peg = day in peg_days(days, trial=trial)
        if day >= LOOKS_BACK_FROM_DAY:
            pain += [PAIN_WORST] if peg else [PAIN_AVERAGE, PAIN_WORST]
        change += PEG if peg else ()
        change += (CHANGE, MEDICINE) if day >= evaluate_after else ()
        if day == satisfaction_day(days, evaluate_after=evaluate_after, window_from=window_from):
            change += SATISFACTION
    asked = [CheckInStep("pain", tuple(from_instrument(key, instruments) for key in pain))]
    if flags and day not in short and asks_red_flags(day, device=device):
        order = sorted(flags, key=lambda flag: (URGENCIES.index(flag.urgency), flag.key))
        asked.append(CheckInStep("safety", tuple(order)))
    last = [from_instrument(key, instruments) for key in change]
    last[:0] = worn_off
    if last:
        asked.append(CheckInStep("change", tuple(last)))
    asked[-1] = CheckInStep(asked[-1].name, asked[-1].questions, remark=True)
    return asked


def confirming(nrs: Instrument, worn_off: Sequence[Question]) -> list[CheckInStep]:
    """The steps of a check-in that asks once more after a bad score: the pain now, and what follows from it."""
    asked = [CheckInStep("pain", (from_instrument(PAIN_NOW, {"nrs": nrs}),))]
    if worn_off:
        asked.append(CheckInStep("change", tuple(worn_off)))
    asked[-1] = CheckInStep(asked[-1].name, asked[-1].questions, remark=True)
    return asked


def most_urgent(urgencies: Iterable[str]) -> str:
    """The most urgent of several; "" of none."""
    given = set(urgencies)
    return next((urgency for urgency in URGENCIES if urgency in given), "")
