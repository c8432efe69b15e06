"""The patient's page. GET shows and changes nothing; POST acts. No account, no JavaScript, nothing from elsewhere."""

from functools import partial

from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from clinic.patient_pages import gone, language, page, patients_page, secret, wait
from clinic.throttling import sent_too_often
from outcomes import services
from outcomes.views import baselines, birth_date, check_in_steps, diary, pain_reports
from outcomes.views.health import jobs as jobs
from patients.views import unsubscribe
from procedures import services as procedures


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check_in(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what a check-in asks, step by step, and take it; or the diary that it belongs to; or the thanks.

    The link of an e-mail that asks several together leads to the first that is not answered.
    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones. Whoever
    sends more than 60 times a minute, by link or by address, gets status 429.
    """
    token, proof = birth_date.parted(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        several = services.next_of_several(token, now=now) if request.method != "POST" else None
        if several:
            query = f"?{request.GET.urlencode()}" if request.GET else ""
            return secret(HttpResponseRedirect(reverse("check_in", args=[several[0]]) + query))
        return gone(request, stop=services.stop_token(token))
    caregiver = found.opened_by
    with translation.override(language(request, (caregiver or found.follow_up.patient).language)):
        site = found.follow_up.procedure.site
        if birth_date.wanted(request, site, token, proof):
            prove = partial(services.prove_birth_date, found, now=now)
            return birth_date.birth_date_page(
                request, site, token, prove, stoppable=True, caregiver=caregiver
            )
        entries = services.diary_of(found)
        if entries:
            return diary.show(request, found, entries, token, now)
        return check_in_steps.show(request, found, token, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def pain_back(request: HttpRequest, token: str) -> HttpResponseBase:
    """Ask the patient of a course that runs whether the pain is back, at any time, and take what they say.

    Links that do not open, also because the course has ended, and whoever sends too often get what `check_in` gives.
    """
    token, proof = birth_date.parted(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_report_link(token)
    if found is None:
        return gone(request, stop=services.stop_token(token))
    caregiver = found.opened_by
    with translation.override(language(request, (caregiver or found.patient).language)):
        site = found.procedure.site
        if birth_date.wanted(request, site, token, proof):
            prove = partial(services.prove_birth_date, found, now=now)
            return birth_date.birth_date_page(request, site, token, prove, caregiver=caregiver)
        return pain_reports.show(request, found, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def before(request: HttpRequest, token: str) -> HttpResponseBase:
    """Ask how the patient is before an appointment's procedure, and take it, until the procedure begins.

    The link is the appointment's, or one for the clinic's tablet, which ends when it was sent. Unknown, altered and
    past links get the page with status 410; what is sent too late, status 409; who sends too often, 429 as above.
    """
    token, proof = birth_date.parted(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    link = procedures.open_before(token, now=now)
    if link is None:
        return gone(request, stop=procedures.stop_token(token))
    found = link.appointment
    with translation.override(language(request, found.patient.language)):
        if link.revoked_at:
            return baselines.give_back()
        if birth_date.wanted(request, found.site, token, proof):
            return birth_date.birth_date_page(
                request, found.site, token, partial(services.prove_birth_date, found, now=now)
            )
        return baselines.show(request, link, token, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what would be stopped and one button, or stop all e-mails to the patient, or the caregiver, whose link this
    is.

    Of a link that opens nothing any more, those to the address that it was sent to (`patients.views.unsubscribe`).
    Pressing it twice shows the same page. No birth date is asked for: who wants no e-mail need not prove anything.
    """
    token, _ = birth_date.parted(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    found = services.open_link(token, now=timezone.now())
    if found is None or request.method == "POST":
        own = services.stop_token(token)
        return unsubscribe(request, own) if own else gone(request)
    caregiver = found.opened_by
    reader = caregiver or found.follow_up.patient
    with translation.override(language(request, reader.language)):
        return page(
            request,
            "outcomes/stop.html",
            found.follow_up.procedure.site,
            token=token,
            stopped=reader.opted_out_at is not None,
            caregiver=caregiver,
        )
