"""The Celery application. Messages carry ids or nothing; what is due is found in the database."""

import os

from celery import Celery
from celery.signals import setup_logging, worker_ready
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")

app = Celery("clinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def keep_djangos_logging(**_: object) -> None:
    """Celery would put handlers of its own in place; Django's, which scrub, stay."""


@worker_ready.connect
def tick_at_once(**_: object) -> None:
    """After a start nobody has to wait for beat's next minute to learn that the worker works."""
    app.send_task("outcomes.tasks.tick", expires=55)
