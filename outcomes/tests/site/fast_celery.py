"""The project's Celery application, in a hurry: a tick each second, short waits.

Only spans are shorter than in a clinic; their order is the same: an attempt ends long before its claim does.
"""

from datetime import timedelta

import django
from django.conf import settings

from clinic.celery import app

django.setup()

from clinic.outbox import delivery, email_status  # noqa: E402  # models need the set-up

app.conf.beat_schedule = {"tick": {"task": "outcomes.tasks.tick", "schedule": 1.0, "options": {"expires": 5}}}
app.conf.beat_max_loop_interval = 1
settings.EMAIL_TIMEOUT = 3
email_status.CLAIM_LASTS = timedelta(seconds=15)
email_status.PAUSES[:] = [timedelta(seconds=seconds) for seconds in (1, 2, 3, 4)]
delivery.RUN_LASTS = timedelta(seconds=10)
