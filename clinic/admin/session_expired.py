"""Whoever presses a button when the sign-in has run out is led back to where it stood, and told to press it again.

Django would send them on to the button's own address by GET: a plain 405 page, or a form that they had filled in,
empty and without a word.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from clinic.admin import kept_forms, sign_in

View = Callable[..., HttpResponseBase]


def by_button(view: View) -> View:
    """A page of the admin that only POST reaches. By any other way nothing is done, and the page above it is shown."""

    @wraps(view)
    def pressed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if request.method == "POST" else not_pressed(request)

    return pressed


def not_pressed(request: HttpRequest) -> HttpResponse:
    """The page above a button's address, for who comes to that by any way but the button."""
    messages.warning(request, _("Nothing was done. Please press the button for it."))
    return HttpResponseRedirect(page_above(request.path))


def signed_in_first(admin_view: Callable[..., View]) -> Callable[..., View]:
    """The admin site's `admin_view`, in which a POST of somebody signed out leads, by the sign-in, to `again`.

    What was typed into a page that can show it again waits on the sign-in page (`clinic.admin.kept_forms`).
    """

    @wraps(admin_view)
    def guard(view: View, cacheable: bool = False) -> View:
        guarded = admin_view(view, cacheable)

        @wraps(guarded)
        def ask_first(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path:
                raise BadRequest("No text of the database holds NUL.")
            signing_out = request.path == reverse("admin:logout")
            if request.method != "POST" or signing_out or admin.site.has_permission(request):
                return guarded(request, *args, **kwargs)
            back = f"{reverse('admin:again')}?{urlencode({'page': came_from(request)})}"
            kept = kept_forms.keep(request) if kept_forms.keeps_typed(view) else ""
            return (
                sign_in.sign_in_page(request, back, kept)
                if kept
                else redirect_to_login(back, reverse("admin:login"))
            )

        return ask_first

    return guard


def again(request: HttpRequest) -> HttpResponse:
    """Where the sign-in leads: on to `page`, with what must be said there."""
    page = request.GET.get("page", "")
    messages.warning(request, kept_forms.resumed_message())
    return HttpResponseRedirect(page if safe(page) else reverse("admin:index"))


def safe(page: str) -> bool:
    """Whether an address that somebody sent is one of this service."""
    return page.startswith("/") and url_has_allowed_host_and_scheme(page, allowed_hosts=None)


def came_from(request: HttpRequest) -> str:
    """The page on which the button stood, as the browser names it; else the button's own address."""
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, allowed_hosts={request.get_host()}):
        return request.get_full_path()
    page = urlsplit(referer)
    return page.path + (f"?{page.query}" if page.query else "")


def page_above(address: str) -> str:
    """The page of the row that the address is about; else the address above it."""
    row = re.match(r"/.*?/\d+/", address)
    return row[0] if row else address.rstrip("/").rpartition("/")[0] + "/"


def pages() -> list[Any]:
    """What the admin site has besides its models. Django's "r/" leads nowhere: no row has a page on another site."""
    return [
        path("again/", admin.site.admin_view(again), name="again"),
        path("r/<path:rest>", admin.site.admin_view(nowhere)),
    ]


def nowhere(request: HttpRequest, rest: str) -> HttpResponse:
    raise Http404
