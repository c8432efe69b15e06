"""What a page may load. `settings.CONTENT_SECURITY_POLICY` is for all of them; what differs, differs here."""

from typing import Any

from csp.constants import SELF, UNSAFE_EVAL
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

#: unfold is built on Alpine, which compiles the expressions in its attributes.
ADMIN = {"script-src": [SELF, UNSAFE_EVAL]}


class PolicyMiddleware(CSPMiddleware):
    """Allows the admin's pages, and no others, to evaluate code of their own."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, *args, **kwargs)
        if request.path.startswith("/admin/"):
            parts.update = {**(parts.update or {}), **ADMIN}
        return parts
