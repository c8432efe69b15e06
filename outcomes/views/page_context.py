"""What the patient's pages say, in the language that is active; where they lead; what came with a form."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.utils import translation
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from clinic.patient_pages import secret
from clinic.refusals import Refusal
from outcomes.models import CheckIn
from outcomes.patient_curve import CurvePoint, sentence, sketch
from outcomes.questions import Question, most_urgent
from outcomes.relief import Reading
from outcomes.services import course_of, next_of_several, token_of_all
from outcomes.services.judgement import position
from outcomes.services.measurements import plain_remark


class ShownQuestion(NamedTuple):
    """One question on a page. `choices`: value, words, whether chosen. `ends`: the words of a scale's two ends.

    Of a date: `day`, as the browser's date field takes it, and the `first` that can be; "" when there is none.
    """

    key: str
    id: str
    text: str
    kind: str
    choices: list[tuple[int, str, bool]]
    ends: tuple[str, str] | None
    fault: str
    day: str = ""
    first: str = ""


class Curve(NamedTuple):
    """The patient's own curve: a drawing, "" for fewer than two scores, and the same in a sentence."""

    drawing: SafeString
    words: str


class WhatToDo(NamedTuple):
    """What a yes to a red flag asks of the patient, by the most urgent one, and to which questions it was said."""

    urgency: str
    questions: list[str]


def question_field(question: Question, chosen: int | None, fault: str = "") -> ShownQuestion:
    """A question with what was chosen so far, None for nothing, and what is wrong with it, "" for nothing."""
    spoken = translation.get_language() or "en"
    words = {anchor.code: anchor.text.in_language(spoken) for anchor in question.anchors}
    ends = None
    if question.kind == "scale":
        least, most = question.codes[0], question.codes[-1]
        ends = (f"{least} = {words.get(least, '')}", f"{most} = {words.get(most, '')}")
        words = {code: str(code) for code in question.codes}
    elif question.kind == "yes_no":
        words = {0: _("No"), 1: _("Yes")}
    choices = [(code, words[code], code == chosen) for code in question.codes]
    day = first = ""
    if question.kind == "date":
        first = question.day_zero.isoformat()
        day = "" if chosen is None else (question.day_zero + timedelta(days=chosen)).isoformat()
    name = question.key.replace(".", "-")
    text = question.text.in_language(spoken)
    return ShownQuestion(question.key, name, text, question.kind, choices, ends, fault, day, first)


def answer_text(question: Question, value: int) -> str:
    """An answer in words: those of its choice, or the date of a day."""
    if question.kind == "date":
        return date_format(question.day_zero + timedelta(days=value), "SHORT_DATE_FORMAT")
    return next(
        (words for code, words, _chosen in question_field(question, value).choices if code == value),
        str(value),
    )


def read_questions(
    questions: Iterable[Question],
    sent: Mapping[str, str],
    *,
    asked: Collection[str] = (),
    today: date = date.max,
) -> tuple[dict[str, int], dict[str, str]]:
    """What a form holds of these questions: the values, and what is missing or wrong by key, in sentences.

    `asked`: keys of those that were asked for once already; left empty again they are not answered, which is no fault.
    A day may always be left empty. `today` at the site: no day lies after it.
    """
    values: dict[str, int] = {}
    faults: dict[str, str] = {}
    for question in questions:
        given = sent.get(question.key)
        if question.kind == "date":
            day, fault = day_of(question, given or "", today)
            values |= {} if day is None else {question.key: day}
            faults |= {question.key: fault} if fault else {}
            continue
        code = next((code for code in question.codes if given == str(code)), None)
        if code is not None:
            values[question.key] = code
        elif given is not None or question.key not in asked:
            faults[question.key] = wrong(question)
    return values, faults


def day_of(question: Question, given: str, today: date) -> tuple[int | None, str]:
    """A day as a number, and what is wrong with it; None for none. Browsers without a date field send what was typed:
    it is read as the language that is active writes dates."""
    try:
        day = forms.DateField(required=False).clean(given)
    except ValidationError:
        example = {"example": date_format(question.day_zero, "SHORT_DATE_FORMAT")}
        return None, _("Please choose a day, or write it like this: %(example)s.") % example
    if day is None:
        return None, ""
    if day > today:
        return None, _("This day is still to come.")
    if day < question.day_zero:
        return None, _("This day lies before your procedure.")
    return (day - question.day_zero).days, ""


def too_long(remark: str) -> bool:
    """Whether a remark cannot be taken as it is."""
    try:
        plain_remark(remark)
    except Refusal:
        return True
    return False


def wrong(question: Question) -> str:
    """What to say when a question was not answered, or not with one of its values."""
    if question.kind == "yes_no":
        return _("Please answer yes or no.")
    if question.kind == "list":
        return _("Please choose one of the answers.")
    return _("Please choose a number from 0 to 10.")


def what_to_do(questions: Sequence[Question], codes: Iterable[str]) -> WhatToDo | None:
    """What the patient is told after a yes to these red flags; None for none of them."""
    said = {f"red_flag.{code}" for code in codes}
    yes = [question for question in questions if question.key in said]
    if not yes:
        return None
    spoken = translation.get_language() or "en"
    return WhatToDo(
        most_urgent(question.urgency for question in yes),
        [question.text.in_language(spoken) for question in yes],
    )


def curve(points: Sequence[CurvePoint]) -> Curve | None:
    """A curve of these points; None for none."""
    if not points:
        return None
    return Curve(mark_safe(sketch(points)), sentence(points))  # noqa: S308 (every word in it is escaped there)


def own_curve(check_in: CheckIn, now: datetime) -> Curve | None:
    """The patient's own pain from before the procedure to this check-in's answer, in days; no word of a verdict."""
    follow_up = check_in.follow_up
    procedure = follow_up.procedure
    zone = procedure.site.zone
    course = course_of(follow_up)
    answered_at = check_in.answer.answered_at
    until = position(answered_at, procedure.performed_at, zone=zone, minutes=course.unit == "minute")
    readings = [reading for reading in course.readings if reading.at <= until]
    points = [] if course.baseline is None else [CurvePoint(_("Before"), _("Before"), course.baseline)]
    today = answered_at.astimezone(zone).date() == now.astimezone(zone).date()
    for number, reading in enumerate(readings, start=1):
        last = today and number == len(readings)
        points.append(point(reading, today=last, minutes=course.unit == "minute"))
    return curve(points)


def point(reading: Reading, *, today: bool, minutes: bool) -> CurvePoint:
    """One answer of the curve, as the patient says when it was."""
    if today:
        return CurvePoint(_("Today"), _("Today"), reading.score)
    if minutes and reading.at < 24 * 60:
        hour = f"{round(reading.at / 30) / 2:g}"  # to the half
        return CurvePoint(
            _("%(hour)s h") % {"hour": hour}, _("Hour %(hour)s") % {"hour": hour}, reading.score
        )
    day = reading.at // (24 * 60) if minutes else reading.at
    return CurvePoint(str(day), _("Day %(day)d") % {"day": day}, reading.score)


def following(token: str, now: datetime) -> tuple[str, date] | None:
    """What the same e-mail asked besides and can still be answered: its token, and the day of its visit."""
    several = next_of_several(token, now=now) if token_of_all(token) != token else None
    if several is None:
        return None
    procedure = several[1].follow_up.procedure
    return several[0], procedure.performed_at.astimezone(procedure.site.zone).date()


#: Codes of what a link is refused that has just ceased to open anything.
SHUT = ("closed", "revoked")


def lead(request: HttpRequest, **query: object) -> HttpResponseRedirect:
    """On to this same address with another query; the language that was chosen stays."""
    chosen = {"lang": request.GET["lang"]} if "lang" in request.GET else {}
    asked = urlencode({**chosen, **query})
    return secret(HttpResponseRedirect(request.path + (f"?{asked}" if asked else "")))
