"""Signing in by token: `Authorization: Token <token>`."""

from typing import TYPE_CHECKING

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

if TYPE_CHECKING:
    from knox.models import AuthToken

    from clinic.models import User


class ByToken(TokenAuthentication):  # type: ignore[misc]
    """Knox's tokens: only their hash is kept, they expire, and each can be revoked."""

    def authenticate_credentials(self, token: bytes) -> "tuple[User, AuthToken]":
        try:
            signed_in: tuple[User, AuthToken] = super().authenticate_credentials(token)
        except ValueError as exc:  # bytes that are no text, or that no database would look for
            raise AuthenticationFailed("Invalid token.") from exc
        return signed_in
