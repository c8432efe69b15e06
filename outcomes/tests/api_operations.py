"""Every address of the project and every operation of the API."""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

#: Operations of the API at which nobody has to be signed in, each with its reason.
OPEN_IN_API = {"POST token/": "where staff sign in; throttled by address"}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route of the project with its view."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern).lstrip("^").replace("\\Z", "").rstrip("$")
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        else:
            yield from routes(pattern, route)


def operations() -> Iterator[tuple[str, type[APIView], str]]:
    """Every operation of the API: "GET patients/{pk}/", its view and its action."""
    for route, view in routes():
        if not hasattr(view, "cls"):
            continue
        path = re.sub(r"<\w+:(\w+)>", r"{\1}", route.removeprefix("api/v1/"))
        actions = getattr(view, "actions", None) or {
            method: method for method in view.cls.http_method_names if hasattr(view.cls, method)
        }
        for method, action in actions.items():
            if method not in ("options", "head"):
                yield f"{method.upper()} {path}", view.cls, action
