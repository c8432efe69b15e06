"""The birth date, where a site asks for it before a patient's page shows its questions."""

from datetime import date, datetime

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clinic.links import token_hash
from clinic.pages import page
from clinic.refusals import Refusal
from outcomes import services
from outcomes.models import CheckIn, FollowUp
from outcomes.views.showing import lead

#: The browser that gave the right date is asked again after so long; no check-in is open for longer.
REMEMBERED = 30 * 24 * 3600
COOKIE = "known"
PARTS = ("month", "day", "year")


def salt(token: str) -> str:
    """Binds the cookie to one link: it opens no other."""
    return f"birth date {token_hash(token)}"


def wanted(request: HttpRequest, follow_up: FollowUp, token: str) -> bool:
    """Whether the birth date has to be given first: the site asks for it, and this browser has not given it yet."""
    if not follow_up.procedure.site.asks_birth_date:
        return False
    return request.get_signed_cookie(COOKIE, default=None, salt=salt(token), max_age=REMEMBERED) is None


def ask(request: HttpRequest, found: CheckIn | FollowUp, token: str, now: datetime) -> HttpResponseBase:
    """The page that asks for it, before what was `found`. A wrong date and one try too many look the same."""
    follow_up = found if isinstance(found, FollowUp) else found.follow_up
    wrong = False
    if request.method == "POST" and "year" in request.POST:
        try:
            services.prove_birth_date(found, given(request), now=now)
        except Refusal:
            wrong = True
        else:
            response = lead(request)
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
        follow_up.procedure.site,
        status=422 if wrong else 200,
        token="" if found is follow_up else token,
        wrong=wrong,
    )


def given(request: HttpRequest) -> date | None:
    """The date that was sent; None when it is none."""
    texts = [request.POST.get(part, "").strip() for part in PARTS]
    if not all(text.isascii() and text.isdecimal() and len(text) <= 4 for text in texts):
        return None
    month, day, year = map(int, texts)
    try:
        return date(year, month, day)
    except ValueError:
        return None
