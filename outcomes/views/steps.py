"""A check-in's questions on the patient's page, step by step; each step that is sent is kept."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _

from clinic.models import Site
from clinic.pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, CheckIn, Draft
from outcomes.questions import PAIN_NOW, Step
from outcomes.services.figures import said_yes
from outcomes.views.showing import WhatToDo, following, lead, own_curve, read, shown, what_to_do


def show(request: HttpRequest, found: CheckIn, token: str, now: datetime) -> HttpResponseBase:
    """The step at which the patient is, or the one that was asked for; what is sent is taken; after all, thanks."""
    steps = services.steps_of(found)
    if found.status == CheckIn.Status.ANSWERED:
        return lead(request) if request.method == "POST" else thanks(request, found, steps, token, now)
    if request.method == "POST":
        try:
            return take(request, found, steps, token, now)
        except Refusal as refusal:
            if refusal.code != "closed":
                raise
            return gone(request)
    draft: Draft | None = getattr(found, "draft", None)
    done = min(draft.step if draft else 0, len(steps) - 1)
    told = advice(steps, draft.values if draft else {})
    at = number(request.GET.get("step"), done + 1)
    if told and request.GET.get("show") == "help":
        return page(
            request,
            "outcomes/help.html",
            site(found),
            told=told,
            token=token,
            step=at,
            safety=place(steps, "safety"),
            here=f"show=help&step={at}",
        )
    return ask(request, found, steps, at, token)


def take(
    request: HttpRequest, found: CheckIn, steps: list[Step], token: str, now: datetime
) -> HttpResponseBase:
    """Keep one step and go on, or back, or to the other language; with the last one, send the answer."""
    at = number(request.POST.get("step"), len(steps), default=1)
    step = steps[at - 1]
    values, faults = read(step.questions, request.POST, today=now.astimezone(site(found).zone).date())
    remark = request.POST.get("remark", "") if step.remark else None
    tongue = request.POST.get("lang")
    back = "back" in request.POST
    if back or speaks(tongue):
        services.save_step(found.pk, values=values, remark=remark and remark[:2000], step=None, now=now)
        to = max(1, at - 1) if back else at
        return lead(request, step=to) if back else lead(request, lang=tongue, step=to)
    if faults:  # what is right is kept all the same, and a yes to a red flag does not wait
        services.save_step(found.pk, values=values, remark=None, step=None, now=now)
        return ask(request, found, steps, at, token, values=values, faults=faults, remark=remark)
    try:
        if at < len(steps):
            services.save_step(found.pk, values=values, remark=None, step=at, now=now)
            if step.name == "safety" and said_yes(values):
                return lead(request, show="help", step=at + 1)
            return lead(request, step=at + 1)
        if PAIN_NOW in step and len(services.steps_of(found, pain=values[PAIN_NOW])) > at:
            # One question was asked, and what was answered calls for more.
            services.save_step(found.pk, values=values, remark=remark, step=at, now=now)
            return lead(request, step=at + 1)
        return send(request, found, steps, values, remark or "", now)
    except ValidationError as refusal:
        if refusal.code != "remark_too_long":
            raise
        services.save_step(found.pk, values=values, remark=None, step=None, now=now)
        faults = {"remark": _("Your remark is too long. At most 2,000 characters can be sent.")}
        return ask(request, found, steps, at, token, values=values, faults=faults, remark=remark)


def send(
    request: HttpRequest,
    found: CheckIn,
    steps: list[Step],
    values: dict[str, int],
    remark: str,
    now: datetime,
) -> HttpResponseBase:
    """Send the answer: what was kept of the earlier steps, with the last one as it was sent; back to what is still
    missing."""
    draft: Draft | None = getattr(found, "draft", None)
    kept = {key: value for key, value in (draft.values if draft else {}).items() if key not in steps[-1]}
    given = {
        question.key: value
        for step in steps
        for question in step.questions
        if (value := values.get(question.key, kept.get(question.key))) is not None
    }
    for place_of, step in enumerate(steps, start=1):
        if any(question.required and question.key not in given for question in step.questions):
            services.save_step(found.pk, values=values, remark=remark, step=None, now=now)
            return lead(request, step=place_of)
    services.answer(
        found.pk,
        values=given,
        remark=remark,
        channel=Answer.Channel.EMAIL,
        language=translation.get_language() or "en",
        by=None,
        now=now,
    )
    return lead(request)


def ask(
    request: HttpRequest,
    found: CheckIn,
    steps: list[Step],
    at: int,
    token: str,
    *,
    values: dict[str, int] | None = None,
    faults: dict[str, str] | None = None,
    remark: str | None = None,
) -> HttpResponse:
    """The page of step `at`. `values`, `faults`, `remark`: what was sent just now and cannot be taken like this."""
    draft: Draft | None = getattr(found, "draft", None)
    kept = {**(draft.values if draft else {}), **(values or {})}
    step, faults = steps[at - 1], faults or {}
    return page(
        request,
        "outcomes/check_in.html",
        site(found),
        status=422 if faults else 200,
        token=token,
        step=step,
        at=at,
        of=len(steps),
        questions=[
            shown(question, kept.get(question.key), faults.get(question.key, ""))
            for question in step.questions
        ],
        remark=remark if remark is not None else draft.remark if draft else "",
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        told=advice(steps, kept),
    )


def thanks(
    request: HttpRequest, found: CheckIn, steps: list[Step], token: str, now: datetime
) -> HttpResponse:
    """The thanks, the same for every look, with the patient's own curve, and what to do after a yes to a red flag."""
    given = found.answer.measurements.filter(instrument="red_flag", value=1).values_list("item", flat=True)
    return page(
        request,
        "outcomes/thanks.html",
        site(found),
        token=token,
        told=advice(steps, {f"red_flag.{code}": 1 for code in given}),
        curve=own_curve(found, now),
        takes_reports=services.takes_reports(found.follow_up),
        following=following(token, now),
    )


def advice(steps: list[Step], values: dict[str, int]) -> WhatToDo | None:
    """What to do after what was said to the red flags; None when all is well."""
    asked = [question for step in steps if step.name == "safety" for question in step.questions]
    return what_to_do(asked, said_yes(values))


def place(steps: list[Step], name: str) -> int:
    """Which step has that name, from 1 on; 1 when none has."""
    return next((at for at, step in enumerate(steps, start=1) if step.name == name), 1)


def number(text: str | None, most: int, default: int | None = None) -> int:
    """A step's number as it stands in an address or a form, from 1 to `most`; else the default, or `most`."""
    plain = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 3 else 0
    return plain if 1 <= plain <= most else (default or most)


def site(found: CheckIn) -> Site:
    """Where the procedure was performed: whose page it is."""
    return found.follow_up.procedure.site
