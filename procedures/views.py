"""The patient's page of an appointment, the clinic's tablet, a clinician's calendar. GET changes nothing; POST acts."""

from datetime import datetime, timedelta

from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from clinic.patient_pages import gone, language, page, patients_page, secret, wait
from clinic.refusals import Refusal
from clinic.throttling import forget_tries, one_more_try, sender, sent_too_often
from procedures import services
from procedures.calendar import clinicians_calendar
from procedures.models import Appointment, ProcedureType
from procedures.spoken_times import when

#: What the patient can say, by the name of the button.
REPLIES = {"come": services.confirm_by_patient, "change": services.ask_for_change}
#: Wrong digits that a tablet's network address may send in so long.
MOST_TRIES, TRIES_SECONDS = 10, 600


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def appointment(request: HttpRequest, token: str) -> HttpResponse:
    """Show one appointment and how to get ready for it, or take what the patient says about it.

    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones. Whoever
    sends more than 60 times a minute, by link or by address, gets status 429.
    """
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request, stop=services.stop_token(token))
    with translation.override(language(request, found.patient.language)):
        if found.status in (Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR):
            return page(request, "procedures/cancelled.html", found.site, new_time=new_time(found, now=now))
        reply = REPLIES.get(request.POST.get("reply", ""))
        if reply:
            reply(found.pk, now=now)
            return redirect(request.get_full_path())
        status = 422 if request.method == "POST" else 200
        return page(
            request,
            "procedures/appointment.html",
            found.site,
            status=status,
            **reply_context(found, now),
            token=token,
        )


def new_time(gone: Appointment, *, now: datetime) -> str:
    """When the appointment that took the place of `gone` begins, in words; "" when none did, or that is over too."""
    last = services.latest(gone)
    ahead = last.status in (*Appointment.EXPECTED, *Appointment.PRESENT) and last.ends_at > now
    return when(last.starts_at, last.site.zone) if last != gone and ahead else ""


def reply_context(found: Appointment, now: datetime) -> dict[str, object]:
    """What the page says, in the language that is active; never what is done to whom."""
    return {
        "when": when(found.starts_at, found.site.zone),
        # Templates would show an aware time in UTC.
        "until": found.ends_at.astimezone(found.site.zone).replace(tzinfo=None),
        "advice": advice(found.procedure_type),
        "confirmed": found.status == Appointment.Status.CONFIRMED,
        "wants_change": bool(found.wants_change_at),
        "may_reply": services.may_reply(found, now=now),
        "may_say": is_near(found, now) and not services.why_too_late(found, now=now),
    }


def is_near(found: Appointment, now: datetime) -> bool:
    """Whether it is the day of the appointment at its site, or the day before: earlier scores are of little use."""
    day, today = (moment.astimezone(found.site.zone).date() for moment in (found.starts_at, now))
    return day - today <= timedelta(days=1)


def advice(kind: ProcedureType) -> list[str]:
    """What a patient has to do or bring beforehand, in the language that is active, else in English."""
    spanish = translation.get_language() == "es"
    items = kind.readiness_items.exclude(advice="").order_by("code")
    return [(spanish and item.advice_es) or item.advice for item in items]


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tablet(request: HttpRequest) -> HttpResponseBase:
    """Where the clinic's tablet is given the digits that open a patient's questions, and where it thanks afterwards.

    Whoever is signed in in this browser is signed out before the patient gets it. Wrong digits get status 422; too many
    of them, or too much at once, status 429.
    """
    with translation.override(language(request, "en")):
        if request.method != "POST":
            return page(request, "procedures/tablet.html", None, thanks=request.GET.get("show") == "thanks")
        tries = f"tablet_{sender(request)}"
        if sent_too_often(request, "tablet") or not one_more_try(
            tries, most=MOST_TRIES, seconds=TRIES_SECONDS
        ):
            return wait(request)
        code = "".join(request.POST.get("code", "").split())
        try:
            token = services.open_on_tablet(code, now=timezone.now())
        except Refusal:
            return page(request, "procedures/tablet.html", None, status=422, wrong=True)
        forget_tries(tries)
        if request.user.is_authenticated:
            logout(request)
        return secret(redirect("before", token))


@never_cache
@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    """The times at which one clinician is taken, for a calendar program; 404 for any address that is not in force."""
    resource = services.open_feed(token)
    if resource is None:
        raise Http404
    text = clinicians_calendar(resource, now=timezone.now())
    return secret(HttpResponse(text, content_type="text/calendar; charset=utf-8"))
