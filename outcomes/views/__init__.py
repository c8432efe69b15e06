"""The patient's page. GET shows and changes nothing; POST acts. No account, no JavaScript, nothing from elsewhere."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from clinic.pages import gone, language, page, secret, wait
from clinic.throttling import sent_too_often
from outcomes import services
from outcomes.views import birth_date, diary, steps


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check_in(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what a check-in asks, step by step, and take it; or the diary that it belongs to; or the thanks.

    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones. Whoever
    sends more than 60 times a minute, by link or by address, gets status 429.
    """
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request)
    with translation.override(language(request, found.follow_up.patient.language)):
        if birth_date.wanted(request, found, token):
            return birth_date.ask(request, found, token, now)
        entries = services.diary_of(found)
        if entries:
            return diary.show(request, found, entries, token, now)
        return steps.show(request, found, token, now)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponseBase:
    """Stop all e-mails to the patient whose link this is; pressing it twice shows the same page.

    Who only looks, having come back later or scanned the page, is led to the questions, and nothing is stopped.
    """
    if request.method != "POST":
        return secret(redirect("check_in", token))
    if sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_link(token, now=now)
    if found is None:
        return gone(request)
    services.stop_emails(found, now=now)
    with translation.override(language(request, found.follow_up.patient.language)):
        return page(request, "outcomes/stopped.html", found.follow_up.procedure.site, token=token)
