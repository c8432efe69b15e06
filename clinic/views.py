"""For machines: whether the service is well, which says nothing about anybody, and what a mail service reports."""

from functools import lru_cache
from typing import Any

from anymail.webhooks.base import AnymailBaseWebhookView
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from clinic import readiness


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, else 503 with what is missing: the database, Redis, or room on the disk.

    Answers within three seconds, however they hang. Whether anything is sent is another question: /health/jobs.
    """
    parts = {
        "database": readiness.database_answers(),
        "redis": readiness.redis_answers(),
        "disk": readiness.disk_has_room(),
    }
    well = all(parts.values())
    return JsonResponse(
        {"status": "ready" if well else "not ready", "parts": parts}, status=200 if well else 503
    )


@csrf_exempt
def email_reports(request: HttpRequest) -> HttpResponse:
    """Take what the mail service of EMAIL_URL reports of e-mails that were sent; each becomes anymail's `tracking`.

    200 when it was taken, also for a message that is not ours, so that the service does not ask again; 400 for a wrong
    sign-in or signature and for what cannot be read; 404 where there is no such service or no EMAIL_WEBHOOK_SECRET.
    """
    if not settings.EMAIL_SERVICE or not settings.ANYMAIL.get("WEBHOOK_SECRET"):
        raise Http404
    view: HttpResponse = webhook(settings.EMAIL_SERVICE).as_view()(request)
    return view


class Readable:
    """Makes a refusal of what would be a fault: a service that sends nonsense should not send it again for days."""

    def parse_events(self, request: HttpRequest) -> list[Any]:
        try:
            events: list[Any] = super().parse_events(request)  # type: ignore[misc]  # of the class beside it
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise SuspiciousOperation("A mail service's report cannot be read.") from exc
        return events


@lru_cache
def webhook(service: str) -> type[AnymailBaseWebhookView]:
    """Anymail's webhook of the service, one of settings.EMAIL_SERVICES."""
    view: Any = resolve(f"/{service}/tracking/", "anymail.urls").func
    return type("Webhook", (Readable, view.view_class), {})
