"""What a check-in asks, step by step. The patient's own word, whether relief has worn off and since when, can make a
loss of one bad score, and date it."""

from collections.abc import Sequence
from dataclasses import replace

from django.utils import translation
from django.utils.translation import gettext

from outcomes.instruments import BilingualText, latest
from outcomes.instruments.definitions import ItemChoice
from outcomes.models import Answer, CheckIn, Draft, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import (
    ENDED_ON,
    PAIN_NOW,
    PEG_FROM_DAY,
    WORN_OFF,
    CheckInStep,
    Question,
    check_in_steps,
    confirming,
    red_flag,
)
from outcomes.relief import Reading, bad_after, good, judge
from outcomes.schedule import DAY
from outcomes.services.courses import course_of, position
from procedures.models import ProcedureType

#: Procedures on a device, whose red flags are asked for at every check-in, by purpose; and by family those that treat
#: with a lead which stays in for weeks.
DEVICES = (
    ProcedureType.Purpose.TRIAL,
    ProcedureType.Purpose.IMPLANT,
    ProcedureType.Purpose.MAINTENANCE,
)
LEADS = ("peripheral_nerve_stimulation",)


def steps_of(check_in: CheckIn, *, by_staff: bool = False, pain: int | None = None) -> list[CheckInStep]:
    """What the check-in asks, step by step. Wants procedure type, site, relief profile and its check-ins' selected.

    After a pain that is out of relief it is asked whether relief has worn off, and since when. `pain`: the pain now,
    where it is not in the draft yet. `by_staff`: on a form that holds all questions at once, where the pain is not
    known yet, the questions say so themselves.
    """
    follow_up = check_in.follow_up
    kind = follow_up.procedure.procedure_type
    day = check_in.offset_minutes // DAY
    worn_off = worn_off_questions(check_in, by_staff=by_staff, pain=pain)
    if check_in.kind != CheckIn.Kind.PLANNED:
        return confirming(latest("nrs"), worn_off)
    offsets: Sequence[int] = [check_in.offset_minutes]
    profile = follow_up.relief_profile
    trial = follow_up.judged_as == JudgedAs.TRIAL
    if trial or day >= min(PEG_FROM_DAY, max(profile.evaluate_after_days, profile.window_from_days)):
        planned = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
        offsets = list(planned.values_list("offset_minutes", flat=True))
    return check_in_steps(
        day,
        days=[offset // DAY for offset in offsets],
        plan=follow_up.plan_profile.check_in_days,
        evaluate_after=profile.evaluate_after_days,
        window_from=profile.window_from_days,
        device=kind.purpose in DEVICES or kind.family in LEADS,
        flags=red_flags_of(kind),
        instruments={key: latest(key) for key in ("nrs", "peg", "pgic", "pain_medicine", "satisfaction")},
        worn_off=worn_off,
        trial=trial,
    )


def red_flags_of(kind: ProcedureType) -> list[Question]:
    """The red flags of a procedure type as questions."""
    return [
        red_flag(flag.code, BilingualText(flag.question, flag.question_es or None), flag.urgency)
        for flag in kind.red_flags.all()
    ]


def worn_off_questions(check_in: CheckIn, *, by_staff: bool, pain: int | None) -> tuple[Question, ...]:
    """The questions whether relief has worn off and since when; none when they are not to be asked, or not yet."""
    draft: Draft | None = getattr(check_in, "draft", None)
    if pain is None and draft:
        pain = draft.values.get(PAIN_NOW)
    if pain is None and not by_staff:
        return ()  # most looks at the page need not read the whole course
    least = least_bad_score(check_in)
    if least is None:
        return ()
    if by_staff:
        return worn_off_question(least), since_when_question(check_in.follow_up, by_staff=True)
    asked = pain is not None and pain >= least
    return (worn_off_question(), since_when_question(check_in.follow_up)) if asked else ()


def least_bad_score(check_in: CheckIn) -> int | None:
    """From which score of pain now on the check-in asks whether relief has worn off; None when it does not ask.

    It asks from the first day of judgement on, after relief at an earlier check-in that is not lost yet. Wants
    `follow_up__procedure__site` and `follow_up__relief_profile` selected.
    """
    follow_up = check_in.follow_up
    if check_in.offset_minutes // DAY < follow_up.relief_profile.evaluate_after_days:
        return None
    if follow_up.judged_as != JudgedAs.TREATMENT:
        return None
    course = course_of(follow_up)
    if not course.baseline or course.confounded:
        return None
    given: Answer | None = getattr(check_in, "answer", None)
    if given:  # what it asks does not change with its own answer, nor with what came later
        procedure = follow_up.procedure
        at = position(given.answered_at, procedure.performed_at, zone=procedure.site.zone, minutes=False)
        course = replace(course, readings=[reading for reading in course.readings if reading.at < at])
    judgement = judge(replace(course, useless_at=None))
    if judgement.loss or judgement.last_good is None:
        return None
    before = next(
        reading
        for reading in reversed(course.readings)
        if reading.at == judgement.last_good and good(course, reading)
    )
    return next((score for score in range(11) if bad_after(course, before, Reading(0, score))), None)


def worn_off_question(least: int | None = None) -> Question:
    """The question: 0 no, 1 yes, 2 not sure. `least`: said to staff and on paper, where the pain is not known yet."""

    asked = (
        in_both("Has the relief from your procedure worn off?")
        if least is None
        else in_both(
            "If your pain now is %(score)d or more: has the relief from your procedure worn off?", score=least
        )
    )
    answers = tuple(ItemChoice(code, in_both(words)) for code, words in enumerate(("No", "Yes", "Not sure")))
    return Question(WORN_OFF, asked, "list", (0, 1, 2), answers)


def since_when_question(follow_up: FollowUp, *, by_staff: bool = False) -> Question:
    """The question since which day the pain has been back, which can be passed over.

    Wants `procedure__site` selected. `by_staff`: on a form that holds it whatever is answered to the one before it.
    """
    procedure = follow_up.procedure
    asked = in_both(
        "If the relief has worn off: since which day has the pain been back? (This may be left empty.)"
        if by_staff
        else "Since which day has your pain been back? (You may leave this empty.)"
    )
    day_zero = procedure.performed_at.astimezone(procedure.site.zone).date()
    return Question(ENDED_ON, asked, "date", codes=(), day_zero=day_zero)


def in_both(words: str, **values: int) -> BilingualText:
    """Words in English and in Spanish, with the values put in."""
    with translation.override("es"):
        spanish = gettext(words)
    return BilingualText(words % values, spanish % values)
