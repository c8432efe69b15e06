"""Asking whether relief has worn off, and since when: the patient's own word can make a loss of one bad score, and
date it."""

from dataclasses import replace

from django.utils import translation
from django.utils.translation import gettext

from outcomes.instruments import BilingualText
from outcomes.instruments.definitions import ItemChoice
from outcomes.models import Answer, CheckIn, FollowUp
from outcomes.models.follow_ups import JudgedAs
from outcomes.questions import ENDED_ON, WORN_OFF, Question
from outcomes.relief import Reading, bad_after, good, judge
from outcomes.schedule import DAY
from outcomes.services.judgement import course_of, position


def least_bad(check_in: CheckIn) -> int | None:
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


def question(least: int | None = None) -> Question:
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


def since_when(follow_up: FollowUp, *, by_staff: bool = False) -> Question:
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
