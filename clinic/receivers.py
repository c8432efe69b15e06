"""What the ground floor writes down of others' news: who signed in, who was turned away, what bounced."""

from typing import Any

from anymail.signals import AnymailTrackingEvent, tracking
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from clinic import audit
from clinic.models import User
from clinic.outbox import delivery_reports


@receiver(user_logged_in)
def signed_in(user: User, **_: Any) -> None:
    audit.record("signed_in", user, by=user, at=timezone.now(), reason="admin")


@receiver(user_logged_out)
def signed_out(user: User | None, **_: Any) -> None:
    if user is not None:
        audit.record("signed_out", user, by=user, at=timezone.now(), reason="admin")


@receiver(user_login_failed)
def turned_away(credentials: dict[str, Any], request: HttpRequest | None, **_: Any) -> None:
    """Through the admin and the API alike. The address that was tried is not kept, only whose account it is, if any."""
    account = User.objects.filter(email=str(credentials.get("username", "")).lower()).first()
    audit.record("sign_in_refused", account, by=None, at=timezone.now(), actor="staff")


@receiver(tracking)
def reported(event: AnymailTrackingEvent, esp_name: str, **_: Any) -> None:
    """What a mail service says of an e-mail, at /webhooks/email/."""
    delivery_reports.record_report(event, esp_name, now=timezone.now())
