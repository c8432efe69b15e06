"""What Celery runs. An edge: it asks what time it is and calls a service."""

from celery import shared_task
from django.utils import timezone

from clinic import mail
from outcomes import services


@shared_task
def tick() -> None:
    """Once a minute, by beat: what is due in the database, then what is due in the outbox."""
    services.tick(now=timezone.now())
    send_due.delay()


@shared_task
def send_due() -> None:
    """Send what is due in the outbox. Several at once share the work."""
    mail.send_due(now=timezone.now())
