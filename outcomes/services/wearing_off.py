"""Asking whether relief has worn off: the patient's own word can make a loss of one bad score."""

from dataclasses import replace

from django.utils import translation
from django.utils.translation import gettext

from outcomes.instruments import Text
from outcomes.instruments.definitions import Choice
from outcomes.models import Answer, CheckIn
from outcomes.questions import WORN_OFF, Question
from outcomes.relief import Reading, bad_after, good, judge
from outcomes.schedule import DAY
from outcomes.services.judging import course_of, position


def least_bad(check_in: CheckIn) -> int | None:
    """From which score of pain now on the check-in asks whether relief has worn off; None when it does not ask.

    It asks from the first day of judgement on, after relief at an earlier check-in that is not lost yet. Wants
    `follow_up__procedure__site` and `follow_up__relief_profile` selected.
    """
    follow_up = check_in.follow_up
    if check_in.offset_minutes // DAY < follow_up.relief_profile.evaluate_after_days:
        return None
    course = course_of(follow_up)
    if not course.baseline or course.confounded or course.unit == "minute":
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

    def in_both(words: str) -> Text:
        with translation.override("es"):
            spanish = gettext(words)
        values = {} if least is None else {"score": least}
        return Text(words % values, spanish % values)

    asked = in_both(
        "Has the relief from your procedure worn off?"
        if least is None
        else "If your pain now is %(score)d or more: has the relief from your procedure worn off?"
    )
    answers = tuple(Choice(code, in_both(words)) for code, words in enumerate(("No", "Yes", "Not sure")))
    return Question(WORN_OFF, asked, "list", (0, 1, 2), answers)
