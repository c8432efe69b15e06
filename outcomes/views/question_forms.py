"""Questions on a patient's page, in the language that is active: how they are shown, what came with a form, and where
the page leads. Red flags are check boxes by urgency, each group with "None of these"."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect, QueryDict
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from clinic.patient_pages import secret
from clinic.refusals import Refusal
from outcomes.questions import URGENCIES, CheckInStep, Question, most_urgent
from outcomes.services.answers import plain_remark, said_yes

#: Codes of what a link is refused that has just ceased to open anything.
CLOSED_CODES = ("closed", "revoked")
#: The name of the boxes "None of these"; their value is the group's urgency.
NONE = "none"


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


class Advice(NamedTuple):
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


def read_step(step: CheckInStep, sent: QueryDict, *, today: date) -> tuple[dict[str, int], dict[str, str]]:
    """What a form holds of a step: the values, and what is missing or wrong, in sentences."""
    asked = sent.getlist("asked")
    flags, others = parted_flags([step])
    values, faults = read_questions(others, sent, asked=asked, today=today)
    said, unsaid = read_red_flags(flags, sent, asked)
    return values | said, faults | unsaid


def read_all(
    steps: list[CheckInStep], sent: QueryDict, *, today: date
) -> tuple[dict[str, int], dict[str, str]]:
    """What a form holds of all steps, and what is wrong; what it does not hold is not missed."""
    flags, others = parted_flags(steps)
    keys = [other.key for other in others] + [group_key(flag.urgency) for flag in flags]
    values, faults = read_questions(others, sent, asked=keys, today=today)
    said, unsaid = read_red_flags(flags, sent, keys)
    return values | said, faults | unsaid


def parted_flags(steps: list[CheckInStep]) -> tuple[list[Question], list[Question]]:
    """The red flags of all steps, and the other questions."""
    every = [question for step in steps for question in step.questions]
    return [question for question in every if question.urgency], [
        question for question in every if not question.urgency
    ]


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


class FlagGroup(NamedTuple):
    """The red flags of one urgency. `none`: whether "None of these" is ticked; None where the page has no such box."""

    key: str
    id: str
    urgency: str
    legend: str
    boxes: list[ShownQuestion]
    none: bool | None
    fault: str


def flags_by_urgency(flags: Sequence[Question]) -> list[tuple[str, list[Question]]]:
    """The red flags of each urgency that there is, the most urgent first."""
    order = sorted(flags, key=lambda flag: (URGENCIES.index(flag.urgency), flag.key))
    return [(urgency, list(some)) for urgency, some in groupby(order, key=lambda flag: flag.urgency)]


def group_key(urgency: str) -> str:
    """By what a group's fault is found, and that it was asked for."""
    return f"red_flags.{urgency}"


def flag_groups(
    flags: Sequence[Question],
    values: Mapping[str, int],
    faults: Mapping[str, str] | None = None,
    *,
    with_none: bool = True,
) -> list[FlagGroup]:
    """The groups as they are shown. `with_none`: whether a page wants to hear that none of them is there."""
    found = []
    for urgency, some in flags_by_urgency(flags):
        none = all(values.get(flag.key) == 0 for flag in some) if with_none else None
        key = group_key(urgency)
        boxes = [question_field(flag, values.get(flag.key)) for flag in some]
        fault = (faults or {}).get(key, "")
        found.append(
            FlagGroup(key, key.replace(".", "-"), urgency, urgency_words(urgency), boxes, none, fault)
        )
    return found


def urgency_words(urgency: str) -> str:
    """What stands above a group: what a yes to it means."""
    return {
        "emergency": _("Do you have any of these now? They need help at once."),
        "same_day": _("Or any of these? We want to hear of them today."),
        "next_working_day": _("Or any of these? They can wait for the next working day."),
    }[urgency]


def read_red_flags(
    flags: Sequence[Question], sent: QueryDict, asked: Collection[str] = ()
) -> tuple[dict[str, int], dict[str, str]]:
    """What a form says of these red flags, and which groups say nothing, in sentences by their keys.

    Beside a ticked box an empty one is a no; with "None of these" all are, unless one of them is ticked: a yes is never
    lost. A group of which nothing is ticked says nothing. `asked`: groups that were asked for once already.
    """
    values: dict[str, int] = {}
    faults: dict[str, str] = {}
    for urgency, some in flags_by_urgency(flags):
        said = {flag.key: int(sent.get(flag.key) == "1") for flag in some if sent.get(flag.key) in ("0", "1")}
        wrong = any(flag.key in sent and flag.key not in said for flag in some)
        if 1 in said.values() or urgency in sent.getlist(NONE):
            said = {flag.key: said.get(flag.key, 0) for flag in some}
        values |= said
        if wrong or (len(said) < len(some) and group_key(urgency) not in asked):
            faults[group_key(urgency)] = nothing_ticked()
    return values, faults


def ticked_flags(flags: Sequence[Question], sent: QueryDict) -> list[str]:
    """The codes of the red flags that are ticked on a page that asks for no "None of these"."""
    named = sent.getlist("red_flag")
    return [flag_code(flag) for flag in flags if sent.get(flag.key) == "1" or flag.key in named]


def flag_code(flag: Question) -> str:
    """The code of a red flag by its question."""
    return flag.key.partition(".")[2]


def nothing_ticked() -> str:
    """What to say of a group of which nothing is ticked."""
    return _("Please choose all that you have, or “None of these”.")


def advice_of_steps(steps: list[CheckInStep], values: dict[str, int]) -> Advice | None:
    """What to do after what was said to the red flags; None when all is well."""
    asked = [question for step in steps if step.name == "safety" for question in step.questions]
    return advice_on(asked, said_yes(values))


def advice_on(questions: Sequence[Question], codes: Iterable[str]) -> Advice | None:
    """What the patient is told after a yes to these red flags; None for none of them."""
    said = {f"red_flag.{code}" for code in codes}
    yes = [question for question in questions if question.key in said]
    if not yes:
        return None
    spoken = translation.get_language() or "en"
    return Advice(
        most_urgent(question.urgency for question in yes),
        [question.text.in_language(spoken) for question in yes],
    )


def redirect_here(request: HttpRequest, **query: object) -> HttpResponseRedirect:
    """On to this same address with another query; the language that was chosen stays."""
    chosen = {"lang": request.GET["lang"]} if "lang" in request.GET else {}
    asked = urlencode({**chosen, **query})
    return secret(HttpResponseRedirect(request.path + (f"?{asked}" if asked else "")))
