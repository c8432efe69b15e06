"""How often one address may try to sign in."""

import structlog
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle
from rest_framework.views import APIView

logger = structlog.get_logger(__name__)

#: Where this process counts on its own while Redis does not answer.
OWN: BaseCache = LocMemCache("sign_in", {})


class SignInThrottle(AnonRateThrottle):
    """So many attempts to sign in by address, right or wrong; DEFAULT_THROTTLE_RATES["sign_in"] says how many.

    Counted in Redis for all processes together. While Redis is down each process counts for itself: nobody is locked
    out by its fault, and guessing does not become free.
    """

    scope = "sign_in"

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except (RedisError, OSError) as exc:
            logger.warning("cache_unreachable", exception=type(exc).__name__)
            self.cache = OWN
            return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle_sign_in_{self.get_ident(request)}"
