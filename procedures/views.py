"""The patient's page of an appointment, and a clinician's calendar. GET shows and changes nothing; POST acts."""

from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from clinic.pages import gone, language, page, secret
from procedures import services
from procedures.calendar import clinicians_calendar
from procedures.models import Appointment, ProcedureType
from procedures.words import when

#: What the patient can say, by the name of the button.
REPLIES = {"come": services.promise_to_come, "change": services.ask_for_change}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def appointment(request: HttpRequest, token: str) -> HttpResponse:
    """Show one appointment and how to get ready for it, or take what the patient says about it.

    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones.
    """
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request)
    with translation.override(language(request, found.patient.language)):
        if found.status in (Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR):
            return page(request, "procedures/cancelled.html", found.site)
        reply = REPLIES.get(request.POST.get("reply", ""))
        if reply:
            reply(found.pk, now=now)
            return redirect(request.get_full_path())
        status = 422 if request.method == "POST" else 200
        return page(request, "procedures/appointment.html", found.site, status=status, **shown(found, now))


def shown(found: Appointment, now: datetime) -> dict[str, object]:
    """What the page says, in the language that is active; never what is done to whom."""
    return {
        "when": when(found.starts_at, found.site.zone),
        # Templates would show an aware time in UTC.
        "until": found.ends_at.astimezone(found.site.zone).replace(tzinfo=None),
        "advice": advice(found.procedure_type),
        "confirmed": found.status == Appointment.Status.CONFIRMED,
        "wants_change": bool(found.wants_change_at),
        "may_reply": services.may_reply(found, now=now),
    }


def advice(kind: ProcedureType) -> list[str]:
    """What a patient has to do or bring beforehand, in the language that is active, else in English."""
    spanish = translation.get_language() == "es"
    items = kind.readiness_items.exclude(advice="").order_by("code")
    return [(spanish and item.advice_es) or item.advice for item in items]


@never_cache
@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    """The times at which one clinician is taken, for a calendar program; 404 for any address that is not in force."""
    resource = services.open_feed(token)
    if resource is None:
        raise Http404
    text = clinicians_calendar(resource, now=timezone.now())
    return secret(HttpResponse(text, content_type="text/calendar; charset=utf-8"))
