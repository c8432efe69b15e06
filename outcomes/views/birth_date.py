"""The birth date, where a site asks for it before a patient's page shows its questions."""

from collections.abc import Callable
from datetime import date

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from clinic.links import token_hash
from clinic.models import Site
from clinic.pages import page
from clinic.refusals import Refusal
from outcomes.views.showing import lead

#: The browser that gave the right date is asked again after so long; no check-in is open for longer.
REMEMBERED = 30 * 24 * 3600
COOKIE = "known"
PARTS = ("month", "day", "year")


def salt(token: str) -> str:
    """Binds the cookie to one link: it opens no other."""
    return f"birth date {token_hash(token)}"


def wanted(request: HttpRequest, site: Site, token: str) -> bool:
    """Whether the birth date has to be given first: the site asks for it, and this browser has not given it yet."""
    if not site.asks_birth_date:
        return False
    return request.get_signed_cookie(COOKIE, default=None, salt=salt(token), max_age=REMEMBERED) is None


def ask(
    request: HttpRequest,
    site: Site,
    token: str,
    prove: Callable[[date | None], None],
    *,
    stoppable: bool = False,
) -> HttpResponseBase:
    """The page that asks for it. A wrong date and one try too many look the same.

    `prove` is given the date, None for what is none, and raises a Refusal unless it is the right one. `stoppable`:
    whether the link is one at which e-mails can be stopped.
    """
    wrong = False
    if request.method == "POST" and "year" in request.POST:
        try:
            prove(given(request))
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
        site,
        status=422 if wrong else 200,
        token=token,
        wrong=wrong,
        stoppable=stoppable,
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
