"""The patient's pages: who may open one, and the birth date, where a site asks for it before it shows its questions.

GET shows and changes nothing; POST acts. No account, no JavaScript, nothing from elsewhere.
"""

from collections.abc import Callable
from datetime import date
from functools import partial

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from clinic.links import token_hash
from clinic.models import Site
from clinic.patient_pages import gone, language, page, patients_page, secret, speaks, wait
from clinic.refusals import Refusal
from clinic.throttling import sent_too_often
from outcomes import services
from outcomes.views import baselines, check_in_steps, diary, pain_reports
from outcomes.views.health import jobs as jobs
from outcomes.views.question_forms import redirect_here
from patients.models import Caregiver
from patients.views import unsubscribe
from procedures import services as procedures

#: The browser that gave the right date is asked again after so long; no check-in is open for longer.
REMEMBERED = 30 * 24 * 3600
COOKIE = "known"
#: Between a token and the proof behind it. No token has it, nor what is signed.
SEP = "~"
PARTS = ("month", "day", "year")


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check_in(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what a check-in asks, step by step, and take it; or the diary that it belongs to; or the thanks.

    The link of an e-mail that asks several together leads to the first that is not answered.
    Unknown, altered, revoked and past links all get the same page, with status 410 and the clinics' phones. Whoever
    sends more than 60 times a minute, by link or by address, gets status 429.
    """
    token, proof = token_and_proof(token)
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
        if asks_birth_date(request, site, token, proof):
            prove = partial(services.prove_birth_date, found, now=now)
            return birth_date_page(request, site, token, prove, stoppable=True, caregiver=caregiver)
        entries = services.diary_of(found)
        if entries:
            return diary.show(request, found, entries, token, now)
        return check_in_steps.show(request, found, token, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def pain_report_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Ask the patient of a course that runs whether the pain is back, at any time, and take what they say.

    Links that do not open, also because the course has ended, and whoever sends too often get what `check_in` gives.
    """
    token, proof = token_and_proof(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    found = services.open_report_link(token)
    if found is None:
        return gone(request, stop=services.stop_token(token))
    caregiver = found.opened_by
    with translation.override(language(request, (caregiver or found.patient).language)):
        site = found.procedure.site
        if asks_birth_date(request, site, token, proof):
            prove = partial(services.prove_birth_date, found, now=now)
            return birth_date_page(request, site, token, prove, caregiver=caregiver)
        return pain_reports.show(request, found, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def baseline_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Ask how the patient is before an appointment's procedure, and take it, until the procedure begins.

    The link is the appointment's, or one for the clinic's tablet, which ends when it was sent. Unknown, altered and
    past links get the page with status 410; what is sent too late, status 409; who sends too often, 429 as above.
    """
    token, proof = token_and_proof(token)
    if request.method == "POST" and sent_too_often(request, token):
        return wait(request)
    now = timezone.now()
    link = procedures.open_baseline_link(token, now=now)
    if link is None:
        return gone(request, stop=procedures.stop_token(token))
    found = link.appointment
    with translation.override(language(request, found.patient.language)):
        if link.revoked_at:
            return baselines.give_back()
        if asks_birth_date(request, found.site, token, proof):
            return birth_date_page(
                request, found.site, token, partial(services.prove_birth_date, found, now=now)
            )
        return baselines.show(request, link, token, now)


@patients_page
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop_emails_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what would be stopped and one button, or stop all e-mails to the patient, or the caregiver, whose link this
    is.

    Of a link that opens nothing any more, those to the address that it was sent to (`patients.views.unsubscribe`).
    Pressing it twice shows the same page. No birth date is asked for: who wants no e-mail need not prove anything.
    """
    token, _ = token_and_proof(token)
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


def salt(token: str) -> str:
    """Binds the cookie to one link: it opens no other."""
    return f"birth date {token_hash(token)}"


def token_and_proof(token: str) -> tuple[str, str]:
    """The token of an address and the proof behind it that the birth date was given, "" for none.

    A browser without cookies goes on at an address that carries the proof; it is no other secret than the cookie.
    """
    token, _, proof = token.partition(SEP)
    return token, proof


def proof_for(token: str) -> str:
    """What is put behind the token after the right date: when that was, signed."""
    return TimestampSigner(salt=salt(token), sep=SEP).sign("").removeprefix(SEP)


def with_proof(location: str, token: str) -> str:
    """An address of the link with a proof behind its token, in the place of an older one."""
    proved = f"{token}{SEP}{proof_for(token)}"
    return "/".join(proved if token_and_proof(part)[0] == token else part for part in location.split("/"))


def proves(token: str, proof: str) -> bool:
    """Whether a proof is of this link, ours, and not older than REMEMBERED."""
    try:
        TimestampSigner(salt=salt(token), sep=SEP).unsign(SEP + proof, max_age=REMEMBERED)
    except BadSignature:
        return False
    return True


def asks_birth_date(request: HttpRequest, site: Site, token: str, proof: str) -> bool:
    """Whether the birth date has to be given first: the site asks for it, and this browser has not given it yet."""
    if not site.asks_birth_date or proves(token, proof):
        return False
    return request.get_signed_cookie(COOKIE, default=None, salt=salt(token), max_age=REMEMBERED) is None


def birth_date_page(
    request: HttpRequest,
    site: Site,
    token: str,
    prove: Callable[[date | None], None],
    *,
    stoppable: bool = False,
    caregiver: Caregiver | None = None,
) -> HttpResponseBase:
    """The page that asks for it. A wrong date and one try too many look the same.

    `prove` is given the date, None for what is none, and raises a Refusal unless it is the right one. `stoppable`:
    whether the link is one at which e-mails can be stopped. `caregiver`: whose link it is, if not the patient's.
    """
    wrong = False
    tongue = request.POST.get("lang", "")
    if speaks(tongue):  # nothing is looked at yet: what was typed goes along
        translation.activate(tongue)
    elif request.method == "POST" and "year" in request.POST:
        try:
            prove(sent_date(request))
        except Refusal:
            wrong = True
        else:
            response = redirect_here(request)
            response["Location"] = with_proof(response["Location"], token)  # for a browser without cookies
            response.set_signed_cookie(
                COOKIE,
                "yes",
                salt=salt(token),
                max_age=REMEMBERED,
                path=request.path,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
            return response
    return page(
        request,
        "outcomes/birth_date.html",
        site,
        status=422 if wrong else 200,
        token=token,
        wrong=wrong,
        typed={part: request.POST.get(part, "")[:4] for part in PARTS},
        stoppable=stoppable,
        caregiver=caregiver,
    )


def sent_date(request: HttpRequest) -> date | None:
    """The date that was sent; None when it is none."""
    texts = [request.POST.get(part, "").strip() for part in PARTS]
    if not all(text.isascii() and text.isdecimal() and len(text) <= 4 for text in texts):
        return None
    month, day, year = map(int, texts)
    try:
        return date(year, month, day)
    except ValueError:
        return None
