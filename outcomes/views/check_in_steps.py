"""A check-in's questions on the patient's page, step by step; each step that is sent is drafted."""

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
from outcomes.services.answers import MOST_REMARK, said_yes
from outcomes.views import answered_check_ins
from outcomes.views.question_forms import (
    CLOSED_CODES,
    advice_of_steps,
    flag_groups,
    flags_by_urgency,
    group_key,
    nothing_ticked,
    question_field,
    read_step,
    redirect_here,
    too_long,
    wrong,
)


def show(request: HttpRequest, check_in: CheckIn, token: str, now: datetime) -> HttpResponseBase:
    """The step at which the patient is, or the one that was asked for; what is sent is taken; after all, thanks."""
    if check_in.status == CheckIn.Status.ANSWERED:
        return answered_check_ins.show(request, check_in, token, now)
    steps = services.steps_of(check_in)
    if request.method == "POST":
        try:
            return save_posted_step(request, check_in, steps, token, now)
        except Refusal as refusal:
            if refusal.code not in CLOSED_CODES:
                raise
            return gone(request)
    draft: Draft | None = getattr(check_in, "draft", None)
    drafted = draft.values if draft else {}
    done = min(draft.step if draft else 0, len(steps) - 1)
    advice = advice_of_steps(steps, drafted)
    place = step_number(request.GET.get("step"), done + 1)
    asks_again = "again" in request.GET
    if advice and request.GET.get("show") == "help":
        return page(
            request,
            "outcomes/help.html",
            check_in.site,
            advice=advice,
            token=token,
            step=place,
            asks_again=asks_again,
            safety=place_called(steps, "safety"),
            here=f"show=help&step={place}" + ("&again=1" if asks_again else ""),
            caregiver=check_in.opened_by,
        )
    if draft and request.GET.get("show") == "kept" and PAIN_NOW not in drafted:
        until = date_format(check_in.closes_at.astimezone(check_in.site.zone), "DATE_FORMAT")
        return page(
            request,
            "outcomes/kept.html",
            check_in.site,
            advice=advice,
            token=token,
            until=until,
            here="show=kept",
            caregiver=check_in.opened_by,
        )
    faults = missing(steps[place - 1], drafted) if asks_again else None
    return step_page(request, check_in, steps, place, token, faults=faults)


def save_posted_step(
    request: HttpRequest, check_in: CheckIn, steps: list[CheckInStep], token: str, now: datetime
) -> HttpResponseBase:
    """Keep one step and go on, or back, or to the other language; with the last one, send the answer.

    A yes to a red flag leads to the help page first, whatever else was pressed or left out; what is missing is asked
    after it.
    """
    place = step_number(request.POST.get("step"), len(steps), default=1)
    step = steps[place - 1]
    values, faults = read_step(step, request.POST, today=now.astimezone(check_in.site.zone).date())
    draft: Draft | None = getattr(check_in, "draft", None)
    yes = said_yes(values)
    news = yes - said_yes(draft.values if draft else {})
    help_first = bool(news or (yes and "asked" not in request.POST))  # a double click leads there, too
    remark = request.POST.get("remark", "") if step.remark else None
    short = None if remark is None else remark[:MOST_REMARK]
    keep = partial(
        services.save_step,
        check_in.pk,
        values=values,
        asked=keys_of(step),
        caregiver=check_in.opened_by,
        now=now,
    )
    tongue = request.POST.get("lang")
    back = "back" in request.POST
    if back or speaks(tongue):
        keep(remark=short, step=None)
        to = max(1, place - 1) if back else place
        other = {} if back else {"lang": tongue}
        return redirect_here(request, **other, **({"show": "help"} if news else {}), step=to)
    if faults:  # what is right is kept all the same
        keep(remark=short, step=None)
        if yes:
            return redirect_here(request, show="help", step=place, again=1)
        return step_page(request, check_in, steps, place, token, values=values, faults=faults, remark=remark)
    if remark is not None and too_long(remark):
        keep(remark=short if news else None, step=None)
        if news:
            return redirect_here(request, show="help", step=place)
        faults = {"remark": _("Your remark is too long. At most 2,000 characters can be sent.")}
        return step_page(request, check_in, steps, place, token, values=values, faults=faults, remark=remark)
    if place < len(steps):
        keep(remark=None, step=place)
        return redirect_here(request, **({"show": "help"} if help_first else {}), step=place + 1)
    if PAIN_NOW in values and len(services.steps_of(check_in, pain=values[PAIN_NOW])) > place:
        # One question was asked, and what was answered calls for more.
        keep(remark=remark, step=place)
        return redirect_here(request, step=place + 1)
    return send(request, check_in, steps, values, remark or "", now)


def send(
    request: HttpRequest,
    check_in: CheckIn,
    steps: list[CheckInStep],
    values: dict[str, int],
    remark: str,
    now: datetime,
) -> HttpResponseBase:
    """Send the answer: what was kept of the earlier steps, with the last one as it was sent; back to a step that was
    never sent. Without the pain now there is no answer: all else is drafted, and the page says so."""
    draft: Draft | None = getattr(check_in, "draft", None)
    drafted = {key: value for key, value in (draft.values if draft else {}).items() if key not in steps[-1]}
    given = {
        question.key: value
        for step in steps
        for question in step.questions
        if (value := values.get(question.key, drafted.get(question.key))) is not None
    }
    done = draft.step if draft else 0
    keep = partial(
        services.save_step,
        check_in.pk,
        values=values,
        remark=remark,
        asked=keys_of(steps[-1]),
        caregiver=check_in.opened_by,
        now=now,
    )
    if done < len(steps) - 1:
        keep(step=None)
        return redirect_here(request, step=done + 1)
    if PAIN_NOW not in given:
        keep(step=len(steps))
        return redirect_here(request, show="kept")
    services.store_answer(
        check_in.pk,
        values=given,
        remark=remark,
        channel=Answer.Channel.EMAIL,
        language=translation.get_language() or "en",
        caregiver=check_in.opened_by,
        by=None,
        now=now,
    )
    return redirect_here(request)


def missing(step: CheckInStep, drafted: Mapping[str, int]) -> dict[str, str]:
    """What a step has no value of yet, as it is said when it is asked once more."""
    flags = [question for question in step.questions if question.urgency]
    return {
        question.key: wrong(question)
        for question in step.questions
        if question.kind != "date" and not question.urgency and question.key not in drafted
    } | {
        group_key(urgency): nothing_ticked()
        for urgency, some in flags_by_urgency(flags)
        if any(flag.key not in drafted for flag in some)
    }


def keys_of(step: CheckInStep) -> list[str]:
    """The keys of its questions."""
    return [question.key for question in step.questions]


def step_page(
    request: HttpRequest,
    check_in: CheckIn,
    steps: list[CheckInStep],
    place: int,
    token: str,
    *,
    values: dict[str, int] | None = None,
    faults: dict[str, str] | None = None,
    remark: str | None = None,
) -> HttpResponse:
    """The page of step `at`. `values`, `faults`, `remark`: what was sent just now and cannot be taken like this."""
    draft: Draft | None = getattr(check_in, "draft", None)
    step, faults = steps[place - 1], faults or {}
    before = draft.values if draft else {}
    if values is not None:  # the whole step was sent
        before = {key: value for key, value in before.items() if key not in step} | values
    return page(
        request,
        "outcomes/check_in.html",
        check_in.site,
        status=422 if request.method == "POST" else 200,
        token=token,
        step=step,
        at=place,
        of=len(steps),
        questions=[
            question_field(question, before.get(question.key), faults.get(question.key, ""))
            for question in step.questions
            if not question.urgency
        ],
        groups=flag_groups([question for question in step.questions if question.urgency], before, faults),
        remark=remark if remark is not None else draft.remark if draft else "",
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        advice=advice_of_steps(steps, before),
        caregiver=check_in.opened_by,
    )


def place_called(steps: list[CheckInStep], name: str) -> int:
    """Which step has that name, from 1 on; 1 when none has."""
    return next((place for place, step in enumerate(steps, start=1) if step.name == name), 1)


def step_number(text: str | None, most: int, default: int | None = None) -> int:
    """A step's number as it stands in an address or a form, from 1 to `most`; else the default, or `most`."""
    plain = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 3 else 0
    return plain if 1 <= plain <= most else (default or most)
