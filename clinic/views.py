"""For machines: whether the service is well, which says nothing about anybody, and what a mail service reports."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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

from clinic import health_checks

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, else 503 with what is missing: the database, Redis, or room on a disk, this
    process's or the database's.

    Answers within three seconds, however they hang. Whether anything is sent is another question: /health/jobs.
    """
    answers, has_room = health_checks.ask_database()
    parts = {
        "database": answers,
        "redis": health_checks.redis_answers(),
        "disk": has_room and health_checks.disk_has_room(),
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
    """Makes a refusal of what would be a fault: a service that sends nonsense should not send it again for days.

    Of several reports in one request those that can be read are taken.
    """

    def run_validators(self, request: HttpRequest) -> None:
        with refusing("signature"):
            super().run_validators(request)  # type: ignore[misc]  # of the class beside it

    def parse_events(self, request: HttpRequest) -> list[Any]:
        self.unreadable = 0
        with refusing("report"):
            found: list[Any] = super().parse_events(request)  # type: ignore[misc]
            events = [event for event in found if event is not None]
            if self.unreadable and not events:
                raise ValueError
        if self.unreadable:
            logger.warning("%s reports of a mail service cannot be read", self.unreadable)
        return events

    def esp_to_anymail_event(self, said: Any) -> Any:
        """One report; None for one that cannot be read."""
        try:
            return super().esp_to_anymail_event(said)  # type: ignore[misc]
        except Exception:
            self.unreadable += 1
            return None


@contextmanager
def refusing(part: str) -> Iterator[None]:
    """Whatever goes wrong over what somebody posted, it was what they posted: 400. Its words stay out of the log."""
    try:
        yield
    except SuspiciousOperation:
        raise
    except Exception as exc:
        raise SuspiciousOperation(f"A mail service's {part} cannot be read: {type(exc).__name__}.") from None


@lru_cache
def webhook(service: str) -> type[AnymailBaseWebhookView]:
    """Anymail's webhook of the service, settings.EMAIL_SERVICE."""
    view: Any = resolve(f"/{service}/tracking/", "anymail.urls").func
    return type("Webhook", (Readable, view.view_class), {})
