"""What the patients' pages share. No account, no JavaScript, nothing from elsewhere; their addresses are secret."""

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.html import format_html

from clinic.models import Site

R = TypeVar("R", bound=HttpResponseBase)

#: What the addresses of such pages begin with; and of the page at which a tablet is given its digits.
SECRET = ("/a/", "/c/", "/p/", "/u/", "/tablet/")


class OriginMiddleware:
    """Tells the check against forged forms where a form of a page under a secret address comes from.

    Such pages send no referrer, and browsers then hide the origin of their forms as well: "Origin: null", no Referer.
    What remains of the check is that the form and the cookie hold the same token, and that an origin that is named is
    ours; and nobody can forge a form to an address that he does not know (docs/decisions/0007).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        meta = request.META
        hidden = meta.get("HTTP_ORIGIN", "null") == "null" and not meta.get("HTTP_REFERER")
        if hidden and request.path.startswith(SECRET):
            meta["HTTP_ORIGIN"] = f"{request.scheme}://{request.get_host()}"
        return self.get_response(request)


def language(request: HttpRequest, preferred: str) -> str:
    """The language that the reader chose on the page, else `preferred`, the patient's."""
    chosen = request.GET.get("lang", "")
    return chosen if speaks(chosen) else preferred


def speaks(code: str | None) -> bool:
    """Whether the pages know that language: one of settings.LANGUAGES. A third is a line there and its files."""
    return code in dict(settings.LANGUAGES)


def page(
    request: HttpRequest, template: str, site: Site | None, *, status: int = 200, **context: object
) -> HttpResponse:
    """One of the patient's pages, in the language that is active. `site` None: it is no site's yet.

    `phone` is the site's number within a sentence: from right to left its groups would change places.
    """
    phone = format_html('<bdi dir="ltr">{}</bdi>', site.phone) if site else ""
    context |= {"site": site, "phone": phone, "language": translation.get_language()}
    return secret(render(request, template, context, status=status))


def gone(request: HttpRequest, *, stop: str = "") -> HttpResponse:
    """The one page, with status 410, the emergency number and the clinics' phones, for every link that does not open.

    It tells a stranger nothing, not even what the link was for. `stop`: the token with which whoever got the link
    stops e-mail to their address; "" for a link that nobody got.
    """
    sites = Site.objects.all()
    emergency = list(dict.fromkeys(site.emergency_phone for site in sites if site.emergency_phone))
    context = {"sites": sites, "emergency": emergency, "stop": stop}
    return to_anybody(request, "clinic/gone.html", status=410, **context)


def wait(request: HttpRequest) -> HttpResponse:
    """The page, with status 429, for who sends too often within a minute. What was typed stays in the browser."""
    response = to_anybody(request, "clinic/wait.html", status=429, sites=Site.objects.all())
    response["Retry-After"] = "60"
    return response


def to_anybody(request: HttpRequest, template: str, *, status: int, **context: object) -> HttpResponse:
    """A page for a reader who is not known, in every language: first the one chosen, else the browser's."""
    first = language(request, translation.get_language_from_request(request))
    known = sorted(dict(settings.LANGUAGES), key=lambda code: code != first)
    with translation.override(known[0]):
        context |= {"languages": known, "language": known[0]}
        return secret(render(request, template, context, status=status))


def secret(response: R) -> R:
    """Keep the page's address, which is a secret, out of caches, referrers and search engines."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    return response
