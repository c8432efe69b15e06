"""The birth date, where a site asks for it before a patient's page shows its questions."""

from collections.abc import Callable
from datetime import date

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from clinic.links import token_hash
from clinic.models import Site
from clinic.patient_pages import page, speaks
from clinic.refusals import Refusal
from outcomes.views.page_context import lead
from patients.models import Caregiver

#: The browser that gave the right date is asked again after so long; no check-in is open for longer.
REMEMBERED = 30 * 24 * 3600
COOKIE = "known"
#: Between a token and the proof behind it. No token has it, nor what is signed.
SEP = "~"
PARTS = ("month", "day", "year")


def salt(token: str) -> str:
    """Binds the cookie to one link: it opens no other."""
    return f"birth date {token_hash(token)}"


def parted(token: str) -> tuple[str, str]:
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
    return "/".join(proved if parted(part)[0] == token else part for part in location.split("/"))


def proves(token: str, proof: str) -> bool:
    """Whether a proof is of this link, ours, and not older than REMEMBERED."""
    try:
        TimestampSigner(salt=salt(token), sep=SEP).unsign(SEP + proof, max_age=REMEMBERED)
    except BadSignature:
        return False
    return True


def wanted(request: HttpRequest, site: Site, token: str, proof: str) -> bool:
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
            prove(given(request))
        except Refusal:
            wrong = True
        else:
            response = lead(request)
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
