"""A check-in that is answered: the thanks, what was answered when another tab sends something else, and changing it."""

from datetime import date, datetime

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from clinic.models import Site
from clinic.patient_pages import page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import CheckIn
from outcomes.questions import PAIN_NOW, CheckInStep, Question
from outcomes.services.measurements import said_yes
from outcomes.services.staff_answers import values_of
from outcomes.views import red_flags
from outcomes.views.page_context import (
    SHUT,
    WhatToDo,
    answer_text,
    following,
    lead,
    own_curve,
    question_field,
    read_questions,
    too_long,
    what_to_do,
)


def show(request: HttpRequest, found: CheckIn, token: str, now: datetime) -> HttpResponseBase:
    """The thanks; or the form with which the answer is changed, or what it sends is taken; or, for what another tab
    sends and the answer does not say, that it was not taken, with what was answered."""
    stands = values_of(found.answer)
    whole = request.method == "POST" or "change" in request.GET  # a look needs not read the course once more
    steps = services.steps_of(found, pain=stands.get(PAIN_NOW) if whole else None)
    changeable = not services.why_not_to_change(found, now=now)
    if request.method == "POST":
        if changeable and "change" in request.POST:
            return change(request, found, steps, stands, token, now)
        return late(request, found, steps, stands, token, now)
    if changeable and "change" in request.GET:
        return change_form_page(request, found, steps, stands, token, remark=found.answer.remark)
    return page(
        request,
        "outcomes/thanks.html",
        site(found),
        token=token,
        told=advice(steps, stands),
        curve=own_curve(found, now),
        changeable=changeable,
        takes_reports=services.takes_reports(found.follow_up),
        following=following(token, now),
        caregiver=found.opened_by,
    )


def late(
    request: HttpRequest,
    found: CheckIn,
    steps: list[CheckInStep],
    stands: dict[str, int],
    token: str,
    now: datetime,
) -> HttpResponseBase:
    """What an older page sends once more: the same leads to the thanks, as of a second click; anything else is refused,
    with status 409 and what was answered. A yes to a red flag is heard all the same."""
    sent, _faults = read_all(steps, request.POST, today=today(found, now))
    news = {key: value for key, value in sent.items() if stands.get(key) != value}
    if not news:
        return lead(request)
    yes = said_yes(news)
    if yes:
        services.save_step(
            found.pk,
            values={f"red_flag.{code}": 1 for code in yes},
            remark=None,
            step=None,
            caregiver=found.opened_by,
            now=now,
        )
    return page(
        request,
        "outcomes/answered.html",
        site(found),
        status=409,
        token=token,
        told=advice(steps, {**stands, **{f"red_flag.{code}": 1 for code in yes}}),
        answered_at=moment(found.answer.answered_at, site(found)),
        rows=answer_rows(steps, stands),
        changeable=not services.why_not_to_change(found, now=now),
        caregiver=found.opened_by,
    )


def change(
    request: HttpRequest,
    found: CheckIn,
    steps: list[CheckInStep],
    stands: dict[str, int],
    token: str,
    now: datetime,
) -> HttpResponseBase:
    """Take what the answer shall say from now on. What is not said any more is not answered; the pain stays."""
    values, faults = read_all(steps, request.POST, today=today(found, now))
    values.setdefault(PAIN_NOW, stands[PAIN_NOW])
    remark, tongue = request.POST.get("remark", ""), request.POST.get("lang", "")
    yes = said_yes(values) - said_yes(stands)
    if speaks(tongue) and not yes:  # nothing is kept yet: what was typed goes along
        with translation.override(tongue):
            return change_form_page(request, found, steps, values, token, remark=remark)
    if too_long(remark):
        faults["remark"] = _("Your remark is too long. At most 2,000 characters can be sent.")
    if faults and not yes:
        return change_form_page(request, found, steps, values, token, remark=remark, faults=faults)
    asked = {question.key for step in steps for question in step.questions}
    others = {key: value for key, value in stands.items() if key not in asked}
    try:
        services.change_own_answer(
            found.pk,
            values=others | values,
            remark=None if "remark" in faults else remark,
            caregiver=found.opened_by,
            now=now,
        )
    except Refusal as refusal:
        if refusal.code not in SHUT:
            raise
    return lead(request)  # with a yes, the thanks begin with what to do


def change_form_page(
    request: HttpRequest,
    found: CheckIn,
    steps: list[CheckInStep],
    values: dict[str, int],
    token: str,
    *,
    remark: str,
    faults: dict[str, str] | None = None,
) -> HttpResponse:
    """All that was asked on one page, with what is chosen."""
    faults = faults or {}
    flags, others = parted(steps)
    return page(
        request,
        "outcomes/change.html",
        site(found),
        status=422 if faults else 200,
        token=token,
        questions=[
            question_field(other, values.get(other.key), faults.get(other.key, "")) for other in others
        ],
        groups=red_flags.groups(flags, values, faults),
        remark=remark,
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        caregiver=found.opened_by,
    )


def answer_rows(steps: list[CheckInStep], values: dict[str, int]) -> list[tuple[str, str]]:
    """Each question that was answered, and the answer in words; of the red flags those with a yes, else one row."""
    flags, others = parted(steps)
    rows = [
        (question_field(other, None).text, answer_text(other, values[other.key]))
        for other in others
        if other.key in values
    ]
    answered = [flag for flag in flags if flag.key in values]
    yes = [(question_field(flag, None).text, _("Yes")) for flag in answered if values[flag.key] == 1]
    none = [(_("Is everything all right?"), _("None of these"))] if answered else []
    return rows + (yes or none)


def parted(steps: list[CheckInStep]) -> tuple[list[Question], list[Question]]:
    """The red flags of all steps, and the other questions."""
    every = [question for step in steps for question in step.questions]
    return [question for question in every if question.urgency], [
        question for question in every if not question.urgency
    ]


def read_step(step: CheckInStep, sent: QueryDict, *, today: date) -> tuple[dict[str, int], dict[str, str]]:
    """What a form holds of a step: the values, and what is missing or wrong, in sentences."""
    asked = sent.getlist("asked")
    flags, others = parted([step])
    values, faults = read_questions(others, sent, asked=asked, today=today)
    said, unsaid = red_flags.read_red_flags(flags, sent, asked)
    return values | said, faults | unsaid


def read_all(
    steps: list[CheckInStep], sent: QueryDict, *, today: date
) -> tuple[dict[str, int], dict[str, str]]:
    """What a form holds of all steps, and what is wrong; what it does not hold is not missed."""
    flags, others = parted(steps)
    keys = [other.key for other in others] + [red_flags.key_of(flag.urgency) for flag in flags]
    values, faults = read_questions(others, sent, asked=keys, today=today)
    said, wrong = red_flags.read_red_flags(flags, sent, keys)
    return values | said, faults | wrong


def advice(steps: list[CheckInStep], values: dict[str, int]) -> WhatToDo | None:
    """What to do after what was said to the red flags; None when all is well."""
    asked = [question for step in steps if step.name == "safety" for question in step.questions]
    return what_to_do(asked, said_yes(values))


def today(found: CheckIn, now: datetime) -> date:
    """The day at the site."""
    return now.astimezone(site(found).zone).date()


def moment(at: datetime, where: Site) -> str:
    """An instant on the wall clock of the site, as the reader's language writes it."""
    local = at.astimezone(where.zone)
    return f"{date_format(local, 'DATE_FORMAT')}, {time_format(local.time(), 'TIME_FORMAT')}"


def site(found: CheckIn) -> Site:
    """Where the procedure was performed: whose page it is."""
    return found.follow_up.procedure.site
