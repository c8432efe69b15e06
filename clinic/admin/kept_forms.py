"""What was typed into a form when the sign-in had run out: it waits on the sign-in page, and comes back after it.

It waits in the browser, encrypted, and nowhere else: no session, cache or table keeps what somebody typed about a
patient. Whoever looks at the abandoned sign-in page, or signs in there as somebody else, does not get it.
"""

import base64
import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve
from django.utils.encoding import force_bytes
from django.utils.translation import gettext as _

#: The hidden input of the sign-in page.
NAME = "kept"
#: It comes back for so long, in seconds.
KEPT_FOR = 12 * 3600
#: What the browser sends with every form, and nobody typed.
TOKEN = "csrfmiddlewaretoken"  # noqa: S105


def resumed_message() -> str:
    """What is told after signing in again."""
    return _("You were signed out, so nothing was done or saved. Please press the button again.")


def cipher() -> MultiFernet:
    """Encrypts with the service's own key; reads what was encrypted with one before it, too."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [sha256(force_bytes(f"{NAME}:") + force_bytes(key)).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def keeps_typed(view: Any) -> bool:
    """Whether a view can show what was typed into its form before (`ActionPage`)."""
    return bool(getattr(getattr(view, "view_class", None), "keeps_typed", False))


def keep(request: HttpRequest) -> str:
    """What a signed-out browser has sent, for the sign-in page; "" where nothing was typed."""
    data = request.POST.copy()
    data.pop(TOKEN, None)
    if not data:
        return ""
    return cipher().encrypt(json.dumps([request.get_full_path(), data.urlencode()]).encode()).decode()


def show(request: HttpRequest, kept: str) -> HttpResponseBase | None:
    """The page on which it was typed, filled in; nothing is done.

    None for what is not ours or too old, and for a page or a row that is not open to who has signed in.
    """
    try:
        address, typed = json.loads(cipher().decrypt(kept.encode(), ttl=KEPT_FOR))
        page = urlsplit(address)
        match = resolve(page.path)
    except (InvalidToken, Resolver404):
        return None
    if not keeps_typed(match.func):
        return None
    request.method = "GET"  # it shows, and acts no more than any GET
    request.path = request.path_info = page.path
    request.META["QUERY_STRING"] = page.query
    request.GET, request.POST = QueryDict(page.query), QueryDict(typed)
    request.resolver_match = match
    vars(request)["typed_before"] = True
    try:
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    except (PermissionDenied, Http404):
        return None
    return response.render() if isinstance(response, TemplateResponse) else response


def typed_before(request: HttpRequest) -> bool:
    """Whether `request` only shows what was typed before signing in again."""
    return bool(getattr(request, "typed_before", False))


def forget(request: HttpRequest) -> None:
    """Show the page as it is opened, without what was typed: that was somebody else."""
    request.POST = QueryDict()
    vars(request)["typed_before"] = False
