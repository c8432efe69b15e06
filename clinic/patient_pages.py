"""What the patients' pages share. No account, no JavaScript, nothing from elsewhere; their addresses are secret."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_exempt

from clinic.models import Site

R = TypeVar("R", bound=HttpResponseBase)

P = ParamSpec("P")


def patients_page(view: Callable[Concatenate[HttpRequest, P], R]) -> Callable[..., R | HttpResponse]:
    """A page that is used without an account and without cookies: its secret address stands in for Django's check
    against forged forms (docs/decisions/0031). A form that a browser says comes from another site gets status 403 and
    the clinics' phones."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R | HttpResponse:
        if request.method == "POST" and from_elsewhere(request):
            return elsewhere(request)
        return view(request, *args, **kwargs)

    return guarded


def from_elsewhere(request: HttpRequest) -> bool:
    """Whether the browser says that a form comes from another site's page. Old browsers say nothing, and pages that
    send no referrer let others hide the origin: neither is held against anybody."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin", "null")
    return origin != "null" and urlsplit(origin).netloc != request.get_host()


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
    return to_anybody(request, "clinic/gone.html", status=410, stop=stop)


def wait(request: HttpRequest) -> HttpResponse:
    """The page, with status 429, for who sends too often within a minute. What was typed stays in the browser."""
    response = to_anybody(request, "clinic/wait.html", status=429)
    response["Retry-After"] = "60"
    return response


def elsewhere(request: HttpRequest) -> HttpResponse:
    """The page, with status 403, for a form that comes from another site's page. Nothing of it was taken."""
    return to_anybody(request, "clinic/elsewhere.html", status=403)


def to_anybody(request: HttpRequest, template: str, *, status: int, **context: object) -> HttpResponse:
    """A page for a reader who is not known, with the emergency numbers and the clinics' phones, in every language:
    first the one chosen, else the browser's."""
    sites = list(Site.objects.all())
    emergency = list(dict.fromkeys(site.emergency_phone for site in sites if site.emergency_phone))
    first = language(request, translation.get_language_from_request(request))
    known = sorted(dict(settings.LANGUAGES), key=lambda code: code != first)
    with translation.override(known[0]):
        context |= {"languages": known, "language": known[0], "sites": sites, "emergency": emergency}
        return secret(render(request, template, context, status=status))


def secret(response: R) -> R:
    """Keep the page's address, which is a secret, out of caches, referrers and search engines."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    return response
