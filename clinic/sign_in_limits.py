"""How often signing in may be tried: by account and by address, at the admin and by API alike.

Only wrong passwords count. Ten for an account, thirty from a network address, then nothing more for ten minutes, right
or wrong, whether or not there is such an account. So that nobody can keep somebody out for ever by sending wrong
passwords, whoever has signed in to an account before counts apart: a browser by a signed cookie, a program by its
address. Strangers spend neither their tries nor those of anybody else at their own address.
"""

from dataclasses import dataclass
from hashlib import sha256

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from clinic.refusals import Refusal
from clinic.throttling import count_shared, forget_tries, give_back, one_more_try, sender

logger = structlog.get_logger(__name__)

#: Wrong passwords within SECONDS, for one account and from one network address.
MOST_OF_ACCOUNT, MOST_OF_ADDRESS, SECONDS = 10, 30, 600
#: For so long a browser and an address are known to an account after signing in.
KNOWN_FOR = 180 * 24 * 3600
SALT = "clinic.known_browser"


class TooManyTries(Refusal):
    """Signing in must wait, code "throttled"; for `wait` seconds at most."""

    wait = SECONDS

    def __init__(self) -> None:
        super().__init__(_("Too many attempts. Please try again in ten minutes."), code="throttled")


@dataclass(frozen=True)
class SignInAttempt:
    """One try to sign in that has been counted: at the account, and at the address where the sender is a stranger."""

    account: str
    address: str | None

    def was_right(self) -> None:
        """It does not count after all."""
        forget_tries(self.account)
        if self.address:
            give_back(self.address)


def count_attempt(request: HttpRequest | None, email: str) -> SignInAttempt:
    """Count one try to sign in to the account. Raises TooManyTries where there is none left.

    `request` None: no address is known, and only the account counts.
    """
    account = mark(email)
    if request is not None and (known := known_by(request, account)):
        mine = SignInAttempt(f"sign_in_{account}_{known}", None)
    else:
        mine = SignInAttempt(f"sign_in_{account}", f"sign_in_at_{mark(sender(request))}" if request else None)
    free = one_more_try(mine.account, most=MOST_OF_ACCOUNT, seconds=SECONDS)
    if mine.address:
        free &= one_more_try(mine.address, most=MOST_OF_ADDRESS, seconds=SECONDS)
    if not free:
        logger.warning("sign_in_throttled")
        raise TooManyTries
    return mine


def known_by(request: HttpRequest, account: str) -> str:
    """By what the sender is known to have signed in to the account: its browser's mark or its address; "" unknown."""
    browser = request.get_signed_cookie(cookie(account), "", salt=SALT + account, max_age=KNOWN_FOR)
    if browser:
        return browser
    here = mark(sender(request))
    return here if count_shared(lambda where: where.get(f"signed_in_{account}_{here}")) else ""


def remember_address(request: HttpRequest, email: str) -> None:
    """Somebody has signed in to the account from there."""
    name = f"signed_in_{mark(email)}_{mark(sender(request))}"
    count_shared(lambda where: where.set(name, True, KNOWN_FOR))


def remember_browser(response: HttpResponseBase, email: str, *, path: str) -> None:
    """Give the browser in which somebody has just signed in a mark of its own, which only `path` is told."""
    account = mark(email)
    response.set_signed_cookie(
        cookie(account),
        get_random_string(16),
        salt=SALT + account,
        max_age=KNOWN_FOR,
        path=path,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Strict",
    )


def cookie(account: str) -> str:
    return f"known_{account}"


def mark(text: str) -> str:
    """Stands for an e-mail address or a network address, which are kept nowhere."""
    return sha256(f"{settings.SECRET_KEY}{text.strip().lower()}".encode()).hexdigest()[:24]
