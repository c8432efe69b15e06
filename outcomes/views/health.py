"""For machines: whether what is due is being done. Says nothing about anybody."""

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from clinic import health_checks
from outcomes.troubles import Trouble, troubles


@require_safe
@never_cache
def jobs(request: HttpRequest) -> JsonResponse:
    """200 when nothing stands still, else 503 with `troubles`: a code each, since when, what it means, what to do.

    Codes are those of `outcomes.troubles`, and "database_unreachable". Answers within three seconds while the database
    hangs.
    """
    try:
        broker = health_checks.redis_answers()
        found = troubles(broker=broker, now=timezone.now()) if health_checks.database_answers() else [AWAY]
    except DatabaseError:
        found = [AWAY]
    described = [
        {
            "code": trouble.code,
            "since": trouble.since.isoformat() if trouble.since else None,
            "what": trouble.what,
            "do": trouble.do,
            "detail": trouble.detail,
        }
        for trouble in found
    ]
    return JsonResponse(
        {"status": "stalled" if described else "well", "troubles": described},
        status=503 if described else 200,
    )


AWAY = Trouble(
    "database_unreachable",
    None,
    "The database does not answer.",
    "See that it runs, that it is reached from here, and that it has connections left.",
)
