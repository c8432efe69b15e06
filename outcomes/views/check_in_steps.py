"""A check-in's questions on the patient's page, step by step; each step that is sent is kept."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from clinic.patient_pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, CheckIn, Draft
from outcomes.questions import PAIN_NOW, CheckInStep
from outcomes.services.measurements import MOST_REMARK, said_yes
from outcomes.views import answered_check_ins, red_flags
from outcomes.views.answered_check_ins import advice, read_step, site
from outcomes.views.page_context import SHUT, lead, question_field, too_long, wrong


def show(request: HttpRequest, found: CheckIn, token: str, now: datetime) -> HttpResponseBase:
    """The step at which the patient is, or the one that was asked for; what is sent is taken; after all, thanks."""
    if found.status == CheckIn.Status.ANSWERED:
        return answered_check_ins.show(request, found, token, now)
    steps = services.steps_of(found)
    if request.method == "POST":
        try:
            return save_posted_step(request, found, steps, token, now)
        except Refusal as refusal:
            if refusal.code not in SHUT:
                raise
            return gone(request)
    draft: Draft | None = getattr(found, "draft", None)
    kept = draft.values if draft else {}
    done = min(draft.step if draft else 0, len(steps) - 1)
    told = advice(steps, kept)
    at = number(request.GET.get("step"), done + 1)
    asks_again = "again" in request.GET
    if told and request.GET.get("show") == "help":
        return page(
            request,
            "outcomes/help.html",
            site(found),
            told=told,
            token=token,
            step=at,
            asks_again=asks_again,
            safety=place(steps, "safety"),
            here=f"show=help&step={at}" + ("&again=1" if asks_again else ""),
            caregiver=found.opened_by,
        )
    if draft and request.GET.get("show") == "kept" and PAIN_NOW not in kept:
        until = date_format(found.closes_at.astimezone(site(found).zone), "DATE_FORMAT")
        return page(
            request,
            "outcomes/kept.html",
            site(found),
            told=told,
            token=token,
            until=until,
            here="show=kept",
            caregiver=found.opened_by,
        )
    faults = missing(steps[at - 1], kept) if asks_again else None
    return step_page(request, found, steps, at, token, faults=faults)


def save_posted_step(
    request: HttpRequest, found: CheckIn, steps: list[CheckInStep], token: str, now: datetime
) -> HttpResponseBase:
    """Keep one step and go on, or back, or to the other language; with the last one, send the answer.

    A yes to a red flag leads to the help page first, whatever else was pressed or left out; what is missing is asked
    after it.
    """
    at = number(request.POST.get("step"), len(steps), default=1)
    step = steps[at - 1]
    values, faults = read_step(step, request.POST, today=now.astimezone(site(found).zone).date())
    draft: Draft | None = getattr(found, "draft", None)
    yes = said_yes(values)
    news = yes - said_yes(draft.values if draft else {})
    help_first = bool(news or (yes and "asked" not in request.POST))  # a double click leads there, too
    remark = request.POST.get("remark", "") if step.remark else None
    short = None if remark is None else remark[:MOST_REMARK]
    keep = partial(
        services.save_step,
        found.pk,
        values=values,
        asked=keys_of(step),
        caregiver=found.opened_by,
        now=now,
    )
    tongue = request.POST.get("lang")
    back = "back" in request.POST
    if back or speaks(tongue):
        keep(remark=short, step=None)
        to = max(1, at - 1) if back else at
        other = {} if back else {"lang": tongue}
        return lead(request, **other, **({"show": "help"} if news else {}), step=to)
    if faults:  # what is right is kept all the same
        keep(remark=short, step=None)
        if yes:
            return lead(request, show="help", step=at, again=1)
        return step_page(request, found, steps, at, token, values=values, faults=faults, remark=remark)
    if remark is not None and too_long(remark):
        keep(remark=short if news else None, step=None)
        if news:
            return lead(request, show="help", step=at)
        faults = {"remark": _("Your remark is too long. At most 2,000 characters can be sent.")}
        return step_page(request, found, steps, at, token, values=values, faults=faults, remark=remark)
    if at < len(steps):
        keep(remark=None, step=at)
        return lead(request, **({"show": "help"} if help_first else {}), step=at + 1)
    if PAIN_NOW in values and len(services.steps_of(found, pain=values[PAIN_NOW])) > at:
        # One question was asked, and what was answered calls for more.
        keep(remark=remark, step=at)
        return lead(request, step=at + 1)
    return send(request, found, steps, values, remark or "", now)


def send(
    request: HttpRequest,
    found: CheckIn,
    steps: list[CheckInStep],
    values: dict[str, int],
    remark: str,
    now: datetime,
) -> HttpResponseBase:
    """Send the answer: what was kept of the earlier steps, with the last one as it was sent; back to a step that was
    never sent. Without the pain now there is no answer: all else is kept, and the page says so."""
    draft: Draft | None = getattr(found, "draft", None)
    kept = {key: value for key, value in (draft.values if draft else {}).items() if key not in steps[-1]}
    given = {
        question.key: value
        for step in steps
        for question in step.questions
        if (value := values.get(question.key, kept.get(question.key))) is not None
    }
    done = draft.step if draft else 0
    keep = partial(
        services.save_step,
        found.pk,
        values=values,
        remark=remark,
        asked=keys_of(steps[-1]),
        caregiver=found.opened_by,
        now=now,
    )
    if done < len(steps) - 1:
        keep(step=None)
        return lead(request, step=done + 1)
    if PAIN_NOW not in given:
        keep(step=len(steps))
        return lead(request, show="kept")
    services.answer(
        found.pk,
        values=given,
        remark=remark,
        channel=Answer.Channel.EMAIL,
        language=translation.get_language() or "en",
        caregiver=found.opened_by,
        by=None,
        now=now,
    )
    return lead(request)


def missing(step: CheckInStep, kept: Mapping[str, int]) -> dict[str, str]:
    """What a step has no value of yet, as it is said when it is asked once more."""
    flags = [question for question in step.questions if question.urgency]
    return {
        question.key: wrong(question)
        for question in step.questions
        if question.kind != "date" and not question.urgency and question.key not in kept
    } | {
        red_flags.key_of(urgency): red_flags.missing()
        for urgency, some in red_flags.by_urgency(flags)
        if any(flag.key not in kept for flag in some)
    }


def keys_of(step: CheckInStep) -> list[str]:
    """The keys of its questions."""
    return [question.key for question in step.questions]


def step_page(
    request: HttpRequest,
    found: CheckIn,
    steps: list[CheckInStep],
    at: int,
    token: str,
    *,
    values: dict[str, int] | None = None,
    faults: dict[str, str] | None = None,
    remark: str | None = None,
) -> HttpResponse:
    """The page of step `at`. `values`, `faults`, `remark`: what was sent just now and cannot be taken like this."""
    draft: Draft | None = getattr(found, "draft", None)
    step, faults = steps[at - 1], faults or {}
    before = draft.values if draft else {}
    if values is not None:  # the whole step was sent
        before = {key: value for key, value in before.items() if key not in step} | values
    return page(
        request,
        "outcomes/check_in.html",
        site(found),
        status=422 if request.method == "POST" else 200,
        token=token,
        step=step,
        at=at,
        of=len(steps),
        questions=[
            question_field(question, before.get(question.key), faults.get(question.key, ""))
            for question in step.questions
            if not question.urgency
        ],
        groups=red_flags.groups(
            [question for question in step.questions if question.urgency], before, faults
        ),
        remark=remark if remark is not None else draft.remark if draft else "",
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        told=advice(steps, before),
        caregiver=found.opened_by,
    )


def place(steps: list[CheckInStep], name: str) -> int:
    """Which step has that name, from 1 on; 1 when none has."""
    return next((at for at, step in enumerate(steps, start=1) if step.name == name), 1)


def number(text: str | None, most: int, default: int | None = None) -> int:
    """A step's number as it stands in an address or a form, from 1 to `most`; else the default, or `most`."""
    plain = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 3 else 0
    return plain if 1 <= plain <= most else (default or most)
