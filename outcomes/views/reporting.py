"""The page at which a patient says, without being asked, that the pain is back."""

from datetime import datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _

from clinic.pages import gone, page, speaks
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import Answer, FollowUp
from outcomes.questions import ENDED_ON, PAIN_NOW
from outcomes.services.pain_reports import questions_about
from outcomes.views.showing import lead, read, shown


def show(request: HttpRequest, follow_up: FollowUp, now: datetime) -> HttpResponseBase:
    """The questions, or what is sent of them is taken; after that, thanks."""
    site = follow_up.procedure.site
    if request.method != "POST":
        if "sent" in request.GET:
            return page(request, "outcomes/pain_told.html", site, here="sent=1")
        return ask(request, follow_up)
    asked = questions_about(follow_up)
    values, faults = read(asked, request.POST, today=now.astimezone(site.zone).date())
    remark, tongue = request.POST.get("remark", ""), request.POST.get("lang", "")
    if speaks(tongue):  # nothing is kept yet: what was typed goes along
        with translation.override(tongue):
            return ask(request, follow_up, values=values, remark=remark)
    if not faults:
        try:
            services.report_pain(
                follow_up.pk,
                pain=values[PAIN_NOW],
                ended_on=values.get(ENDED_ON),
                remark=remark,
                channel=Answer.Channel.EMAIL,
                language=translation.get_language() or "en",
                by=None,
                now=now,
            )
        except Refusal as refusal:
            if refusal.code == "closed":
                return gone(request)
            if refusal.code != "remark_too_long":
                raise
            faults["remark"] = _("Your remark is too long. At most 2,000 characters can be sent.")
        else:
            return lead(request, sent=1)
    return ask(request, follow_up, values=values, remark=remark, faults=faults)


def ask(
    request: HttpRequest,
    follow_up: FollowUp,
    *,
    values: dict[str, int] | None = None,
    remark: str = "",
    faults: dict[str, str] | None = None,
) -> HttpResponseBase:
    """The page of the questions. `values`, `remark`, `faults`: what was sent just now and is not taken like this."""
    given, faults = values or {}, faults or {}
    return page(
        request,
        "outcomes/pain_back.html",
        follow_up.procedure.site,
        status=422 if faults else 200,
        questions=[
            shown(one, given.get(one.key), faults.get(one.key, "")) for one in questions_about(follow_up)
        ],
        remark=remark,
        remark_fault=faults.get("remark", ""),
        faulty=bool(faults),
    )
