"""Signing in by token: `Authorization: Token <token>`."""

import binascii
from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING

from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS
from rest_framework.exceptions import AuthenticationFailed

from clinic import prepared

if TYPE_CHECKING:
    from knox.models import AuthToken

    from clinic.models import User


class ByToken(TokenAuthentication):  # type: ignore[misc]
    """Knox's tokens: only their hash is kept, they expire, and each can be revoked.

    Every request asks for one, so this is one prepared statement in knox's place. Signing in sweeps what has expired.
    """

    def authenticate_credentials(self, token: bytes) -> "tuple[User, AuthToken]":
        # Not above: REST framework loads this module before there are models.
        from knox.models import AuthToken

        from clinic.models import User

        try:
            text = token.decode()
            digest = hash_token(text)
        except (ValueError, TypeError, binascii.Error) as exc:  # bytes that are no text, or no token
            raise AuthenticationFailed("Invalid token.") from exc
        key, now = text[: CONSTANTS.TOKEN_KEY_LENGTH], timezone.now()
        for kept, expiry, created, *values in (
            prepared.rows(statement(), {"key": key}) if "\0" not in key else ()
        ):
            if compare_digest(digest, kept) and (expiry is None or expiry >= now):
                user = prepared.made(User, values)
                if not user.is_active:
                    raise AuthenticationFailed("User inactive or deleted.")
                row = AuthToken(digest=kept, token_key=key, user=user, created=created, expiry=expiry)
                row._state.adding = False
                return user, row
        raise AuthenticationFailed("Invalid token.")


@cache
def statement() -> str:
    """The tokens that begin as this one, nearly always one or none, each with its user."""
    from clinic.models import User

    return f"""
        SELECT digest, expiry, created, {prepared.named(User, "owner")}
          FROM knox_authtoken JOIN clinic_user AS owner ON owner.id = user_id
         WHERE token_key = %(key)s::text
    """  # noqa: S608  # names of columns, nothing that anybody typed
