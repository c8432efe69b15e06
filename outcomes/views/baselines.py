"""How the patient is before a procedure: the pain now, and the PEG where its check-ins ask it too."""

from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import translation

from clinic.patient_pages import page, secret, speaks
from clinic.refusals import Refusal
from outcomes.instruments import latest
from outcomes.questions import Question, before
from outcomes.views.question_forms import question_field, read_questions, redirect_here
from procedures import services
from procedures.models import Appointment, AppointmentLink, Intent, ReliefProfile
from procedures.views import new_time

#: Nobody comes for these any more; the page is the appointment's own.
GONE = (Appointment.Status.CANCELLED, Appointment.Status.ENTERED_IN_ERROR)


def show(request: HttpRequest, link: AppointmentLink, token: str, now: datetime) -> HttpResponse:
    """The questions, with what was said today; or what is sent is taken; or that the time for it is over."""
    found = link.appointment
    on_tablet = link.tablet_until is not None
    if found.status in GONE:
        return page(request, "procedures/cancelled.html", found.site, new_time=new_time(found, now=now))
    if services.why_not_to_say(link, now=now):
        return over(request, found)
    asked = questions(found)
    values, faults = services.said_today(found, now=now), dict[str, str]()
    again, nothing = bool(values), False
    if request.method == "POST":
        values, faults = read_questions(asked, request.POST, asked=request.POST.getlist("asked"))
        tongue = request.POST.get("lang")
        if speaks(tongue):  # nothing is taken: what is chosen so far goes on into the other language
            translation.activate(str(tongue))
            faults = {}
        elif not faults and not values:  # everything was left empty twice: there is nothing to note
            nothing = True
        elif not faults:
            try:
                services.record_own_baseline(link, values=values, now=now)
            except Refusal as refusal:  # it has begun meanwhile
                if refusal.code not in ("performed_already", "not_allowed_now"):
                    raise
                return over(request, found)
            return give_back() if on_tablet else redirect_here(request, saved=1)
    return page(
        request,
        "outcomes/before.html",
        found.site,
        status=422 if faults or nothing else 200,
        token=token,
        questions=[
            question_field(question, values.get(question.key), faults.get(question.key, ""))
            for question in asked
        ],
        faulty=bool(faults),
        again=again,
        nothing=nothing,
        saved=again and "saved" in request.GET and request.method != "POST",
        on_tablet=on_tablet,
    )


def questions(appointment: Appointment) -> tuple[Question, ...]:
    """What is asked before this appointment's procedure; of a type without a relief profile the pain alone."""
    try:
        profile = appointment.procedure_type.profile_on(appointment.starts_at)
    except ReliefProfile.DoesNotExist:
        days, repeated = [], False
    else:
        days, repeated = profile.check_in_days, profile.check_in_every_days is not None
    trial = appointment.intent == Intent.TRIAL
    return before(
        days, repeated=repeated, trial=trial, instruments={key: latest(key) for key in ("nrs", "peg")}
    )


def over(request: HttpRequest, appointment: Appointment) -> HttpResponse:
    """That the time for these questions is over, and whom to call."""
    status = 409 if request.method == "POST" else 200
    return page(request, "outcomes/before_over.html", appointment.site, status=status)


def give_back() -> HttpResponseRedirect:
    """From a tablet's page to the thanks, which know nobody."""
    query = urlencode({"lang": translation.get_language() or "en", "show": "thanks"})
    return secret(HttpResponseRedirect(f"{reverse('tablet')}?{query}"))
