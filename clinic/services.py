"""Every write of the ground floor that staff make through an edge: signing in and out by token."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from knox.models import AuthToken
from knox.settings import knox_settings

from clinic import audit
from clinic.models import User


@dataclass(frozen=True)
class SignedIn:
    """A member of staff with a new token, which is kept nowhere, and the instant at which it expires."""

    user: User
    token: str
    expires_at: datetime


def sign_in(email: str, password: str, *, request: HttpRequest | None, now: datetime) -> SignedIn | None:
    """Make a token for who knows the password of an active account; None for everybody else.

    Unknown address, wrong password and closed account are one answer and the same work (Django's backend hashes
    the password in each case); clinic.receivers writes the refusal down.
    """
    user = authenticate(request, username=email, password=password)
    if not isinstance(user, User):
        return None
    with transaction.atomic():
        make_room(user, now=now)
        row, token = AuthToken.objects.create(user=user)
        user.last_login = now
        user.save(update_fields=["last_login"])
        audit.record("signed_in", user, by=user, at=now)
    return SignedIn(user, token, row.expiry)


def make_room(user: User, *, now: datetime) -> None:
    """Drop the user's expired tokens, and the oldest of the others where one more would be too many."""
    User.objects.select_for_update(no_key=True).get(
        pk=user.pk
    )  # two sign-ins at once count one after the other
    tokens = AuthToken.objects.filter(user=user)
    tokens.filter(expiry__lte=now).delete()
    kept = tokens.order_by("-created").values("pk")[: knox_settings.TOKEN_LIMIT_PER_USER - 1]
    tokens.exclude(pk__in=kept).delete()


@transaction.atomic
def sign_out(token: AuthToken, *, by: User, now: datetime) -> None:
    """End one token; the user's others go on."""
    token.delete()
    audit.record("signed_out", by, by=by, at=now)
