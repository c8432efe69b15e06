"""How often one address, one secret link or one guess may be tried.

Counted in Redis for all processes together. While Redis is down each process counts for itself: nobody is locked out by
its fault, and guessing does not become free.
"""

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, TypeVar

import structlog
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.throttling import AnonRateThrottle

logger = structlog.get_logger(__name__)

#: Where this process counts on its own while Redis does not answer.
PROCESS_CACHE: BaseCache = LocMemCache("throttling", {})

T = TypeVar("T")


def count_shared(count: Callable[[BaseCache], T]) -> T:
    """`count` with the cache of all processes, or with this process's own while that does not answer."""
    try:
        return count(cache)
    except (RedisError, OSError) as exc:
        logger.warning("cache_unreachable", exception=type(exc).__name__)
        return count(PROCESS_CACHE)


class Throttle(AnonRateThrottle):
    """So many requests a key by DEFAULT_THROTTLE_RATES, whoever has signed in or not."""

    def allow_request(self, request: object, view: object) -> bool:
        def allow(where: BaseCache) -> bool:
            self.cache = where
            return super(Throttle, self).allow_request(request, view)  # type: ignore[arg-type]

        return count_shared(allow)

    def get_ident(self, request: Any) -> str:
        """The sender's address; of IPv6 the network of 2^64 addresses, any of which one sender may use."""
        ident = str(super().get_ident(request))
        with suppress(ValueError):  # a proxy may name its sender in words
            address = ip_address(ident)
            if isinstance(address, IPv6Address):
                return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
        return ident

    def get_cache_key(self, request: object, view: object) -> str:
        return f"throttle_{self.scope}_{self.get_ident(request)}"


class PageThrottle(Throttle):
    """What is sent to the pages under secret addresses, by the token or, without one, by the sender's address."""

    scope = "page"

    def __init__(self, token: str | None = None) -> None:
        super().__init__()
        self.token = token

    def get_cache_key(self, request: object, view: object) -> str:
        if self.token is None:
            return super().get_cache_key(request, view)
        return f"throttle_{self.scope}_{sha256(self.token.encode()).hexdigest()}"


def sent_too_often(request: HttpRequest, token: str) -> bool:
    """Whether this request to a secret address is one too many for its token or for its sender's address."""
    of_token = PageThrottle(token).allow_request(request, None)
    of_address = PageThrottle().allow_request(request, None)  # counted in any case
    return not (of_token and of_address)


def sender(request: HttpRequest) -> str:
    """The network address that a request came from, as the throttles count it."""
    return PageThrottle().get_ident(request)


def one_more_try(key: str, *, most: int, seconds: int) -> bool:
    """Count a try of `key`; whether it is still one of the first `most`.

    After the last of them no more is counted until `seconds` have passed, so that never more than `most` fall into any
    span of `seconds`. Two at once are counted as two.
    """

    def count(where: BaseCache) -> bool:
        name = f"tries_{key}"
        where.add(name, 0, seconds)
        try:
            tries = where.incr(name)
        except ValueError:  # it ran out between the two statements
            where.set(name, 1, seconds)
            tries = 1
        if tries <= most:
            where.touch(name, seconds)
        return tries <= most

    return count_shared(count)


def give_back(key: str) -> None:
    """Take back one try of `key`: it was right, which says nothing of the others."""

    def back(where: BaseCache) -> None:
        with suppress(ValueError):  # they have run out
            where.decr(f"tries_{key}")

    count_shared(back)


def forget_tries(key: str) -> None:
    """Count the tries of `key` from the beginning: one of them was right."""
    count_shared(lambda where: where.delete(f"tries_{key}"))
