"""Signing in by token: `Authorization: Token <token>`."""

import re
from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

#: Tokens are written in hexadecimal digits; knox and the database would stumble over what is no text at all.
TOKEN = re.compile(rb"[0-9a-fA-F]+")


class ByToken(TokenAuthentication):  # type: ignore[misc]
    """Knox's tokens: only their hash is kept, they expire, and each can be revoked."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not TOKEN.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)
