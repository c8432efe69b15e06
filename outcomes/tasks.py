"""What Celery runs. An edge: it asks what time it is and calls a service."""

from celery import shared_task
from django.utils import timezone

from clinic import outbox, sms
from outcomes import services


@shared_task
def tick() -> None:
    """Once a minute, by beat: what is due in the database, then what is due in the outbox."""
    try:
        services.tick(now=timezone.now())
    finally:
        # expires: the next tick sends for another; a slow mail server must not make a queue of senders.
        send_due.apply_async(expires=55)
        make_exports.apply_async(expires=55)


@shared_task(soft_time_limit=120, time_limit=180)
def send_due() -> None:
    """Send what is due in the outboxes. Several at once share the work."""
    try:
        outbox.send_due(now=timezone.now())
    finally:
        sms.send_due(now=timezone.now())


@shared_task(soft_time_limit=1800, time_limit=1860)
def make_exports() -> None:
    """Make the tables that somebody asked for. A long one keeps one worker busy, and no tick."""
    services.make_exports(now=timezone.now())
