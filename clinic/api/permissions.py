"""Who is asking, and who may use which address of the API: nobody, unless the view says so in as many words."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    from rest_framework.views import APIView

#: Tokens are written in hexadecimal digits; knox and the database would stumble over what is no text at all.
TOKEN = re.compile(rb"[0-9a-fA-F]+")
#: Instead of a permission's name: whoever is signed in.
SIGNED_IN = "signed_in"
#: Instead of a permission's name: everybody. A test holds the short list of such addresses, each with its reason.
ANYONE = "anyone"
#: What a view may demand: a permission's name, several names that must all be held, or one of the two above.
Needed = str | tuple[str, ...]


class ByToken(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Knox's tokens: only their hash is kept, they expire, and each can be revoked."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not TOKEN.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)


class HasNamedPermission(BasePermission):
    """Lets those through who hold the permission that the view names for the request's action.

    A view declares `permissions_needed = {"list": "procedures.view_appointment", "cancel": …}`, a view without
    actions the methods, `{"get": SIGNED_IN}`; several names in a tuple are all needed. What is not named there is
    nobody's. Which rows are seen is not said here but by `visible_to`.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        needed = permission_needed(view, request.method or "")
        if needed == ANYONE:
            return True
        user = request.user
        if not (user.is_authenticated and user.is_active):
            return False
        if not served(view, request.method or ""):
            return True  # on to the 405
        names = (needed,) if isinstance(needed, str) else needed
        return needed == SIGNED_IN or bool(names and user.has_perms(names))


def permission_needed(view: "APIView", method: str) -> Needed | None:
    """What the view demands for a request with `method`; None: nobody may."""
    table: Mapping[str, Needed] = getattr(view, "permissions_needed", {})
    action: str = getattr(view, "action", None) or ("get" if method == "HEAD" else method.lower())
    return table.get(action)


def served(view: Any, method: str) -> bool:
    """Whether the view has an answer to `method` at this address."""
    if method == "OPTIONS":
        return False
    if hasattr(view, "action_map"):
        return view.action is not None
    return hasattr(view, method.lower())
