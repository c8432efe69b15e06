"""What the patients' pages share. No account, no JavaScript, nothing from elsewhere; their addresses are secret."""

from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import translation

from clinic.models import Site

R = TypeVar("R", bound=HttpResponseBase)


def language(request: HttpRequest, preferred: str) -> str:
    """The language that the reader chose on the page, else `preferred`, the patient's."""
    chosen = request.GET.get("lang", "")
    return chosen if chosen in ("en", "es") else preferred


def page(
    request: HttpRequest, template: str, site: Site, *, status: int = 200, **context: object
) -> HttpResponse:
    """One of the patient's pages, in the language that is active."""
    context |= {"site": site, "language": translation.get_language()}
    return secret(render(request, template, context, status=status))


def gone(request: HttpRequest) -> HttpResponse:
    """The one page, with status 410 and the clinics' phones, for every link that does not open.

    It tells a stranger nothing, not even what the link was for.
    """
    return secret(render(request, "clinic/gone.html", {"sites": Site.objects.all()}, status=410))


def secret(response: R) -> R:
    """Keep the page's address, which is a secret, out of caches, referrers and search engines."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store, private"
    return response
