"""The page at which a patient says, without being asked, that the pain is back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _

from clinic.patient_pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Alert, Answer, FollowUp
from outcomes.questions import ENDED_ON, PAIN_NOW, Question
from outcomes.services.check_in_questions import red_flags_of
from outcomes.services.pain_reports import questions_about
from outcomes.views.question_forms import (
    CLOSED_CODES,
    advice_on,
    flag_groups,
    question_field,
    read_questions,
    redirect_here,
    ticked_flags,
    too_long,
)


def show(request: HttpRequest, follow_up: FollowUp, now: datetime) -> HttpResponseBase:
    """The questions, or what is sent of them is taken; after that, thanks."""
    site = follow_up.procedure.site
    flags = red_flags_of(follow_up.procedure.procedure_type)
    if request.method != "POST":
        if "sent" not in request.GET:
            return questions_page(request, follow_up, flags)
        advice = advice_on(flags, alerted(follow_up))
        return page(
            request,
            "outcomes/pain_told.html",
            site,
            advice=advice,
            here="sent=1",
            caregiver=follow_up.opened_by,
        )
    form = request.POST
    asked = form.getlist("asked")
    values, faults = read_questions(
        questions_about(follow_up), form, asked=asked, today=now.astimezone(site.zone).date()
    )
    yes = ticked_flags(flags, form)
    remark, tongue = form.get("remark", ""), form.get("lang", "")
    show_again = partial(questions_page, request, follow_up, flags, values=values, yes=yes, remark=remark)
    if speaks(tongue) and not yes:  # nothing is kept yet: what was typed goes along
        with translation.override(tongue):
            return show_again()
    if "resume" in form:
        nothing = not faults and PAIN_NOW not in values
        return show_again(faults=faults, nothing=nothing)
    if not faults and PAIN_NOW not in values and not yes:  # asked for twice: there is nothing to write down
        return show_again(nothing=True)
    try:
        if faults or PAIN_NOW not in values or too_long(remark):
            services.report_unasked(follow_up.pk, red_flags=yes, caregiver=follow_up.opened_by, now=now)
        else:
            services.report_pain(
                follow_up.pk,
                pain=values[PAIN_NOW],
                ended_on=values.get(ENDED_ON),
                red_flags=yes,
                remark=remark,
                channel=Answer.Channel.EMAIL,
                language=translation.get_language() or "en",
                caregiver=follow_up.opened_by,
                by=None,
                now=now,
            )
            return redirect_here(request, sent=1)
    except Refusal as refusal:
        if refusal.code not in CLOSED_CODES:
            raise
        return gone(request)
    if yes:  # what to do comes first; what was typed waits in the page
        advice = advice_on(flags, yes)
        with translation.override(tongue if speaks(tongue) else translation.get_language()):
            return page(
                request,
                "outcomes/help.html",
                site,
                advice=advice,
                resume=resume(form),
                caregiver=follow_up.opened_by,
            )
    if too_long(remark):
        faults["remark"] = _("Your remark is too long. At most 2,000 characters can be sent.")
    return show_again(faults=faults)


def resume(form: QueryDict) -> list[tuple[str, str]]:
    """What was sent, to be sent once more when the patient goes on."""
    kept = [(name, value) for name in form for value in form.getlist(name)]
    return [(name, value) for name, value in kept if name not in ("lang", "resume")]


def alerted(follow_up: FollowUp) -> list[str]:
    """The codes of the red flags of which the clinic has an open alert."""
    alert = follow_up.alerts.open().filter(kind=Alert.Kind.RED_FLAG).first()
    return alert.codes if alert else []


def questions_page(
    request: HttpRequest,
    follow_up: FollowUp,
    flags: Sequence[Question],
    *,
    values: Mapping[str, int] | None = None,
    yes: Collection[str] = (),
    remark: str = "",
    faults: Mapping[str, str] | None = None,
    nothing: bool = False,
) -> HttpResponseBase:
    """The page of the questions. `values`, `yes`, `remark`, `faults`: what was sent just now and is not taken like
    this; `nothing`: it was sent without the pain now once more, so that there is nothing to take."""
    given, faults = values or {}, faults or {}
    ticked = {f"red_flag.{code}": 1 for code in yes}
    return page(
        request,
        "outcomes/pain_back.html",
        follow_up.procedure.site,
        status=422 if faults or nothing else 200,
        questions=[
            question_field(question, given.get(question.key), faults.get(question.key, ""))
            for question in questions_about(follow_up)
        ],
        groups=flag_groups(flags, ticked, with_none=False),
        ticked=bool(ticked),
        advice=advice_on(flags, yes),
        remark=remark,
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
        nothing=nothing,
        caregiver=follow_up.opened_by,
    )
