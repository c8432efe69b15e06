"""Telling a site by e-mail that there is an alert, without a word about anybody's health."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from kombu import Connection

from clinic import outbox
from clinic.celery import app
from clinic.models import Job, Site
from clinic.outbox import sender_health
from clinic.restores import why_paused
from outcomes.models import Alert

#: Why an alert is announced. What was raised needs no announcing once somebody has looked at it; what is overdue does.
RAISED, OVERDUE = "raised", "overdue"
#: The task that sends what is due, by its name: services know no edge.
SENDING = "outcomes.tasks.send_due"
#: So long a broker that does not answer may hold up the patient, in seconds.
PATIENCE = 1
#: A worker that runs has ended a tick within this time: there is one a minute. Without one nobody sends.
WORKER_SEEN = timedelta(minutes=2)

logger = logging.getLogger(__name__)


def announce(alert: Alert, occasion: str, *, now: datetime) -> None:
    """Put the announcement into the outbox, once an occasion; nothing when the site named nobody to tell. What was
    raised just now is sent as soon as it is stored; for all else, and without a broker, the tick is soon enough.

    An occasion is RAISED, and once more whenever red flags were added, or OVERDUE, once each time the alert falls due.
    """
    if not alert.site.alert_email:
        return
    if occasion == RAISED:
        transaction.on_commit(send_soon, robust=True)
    times = len(alert.codes) if occasion == RAISED else int(alert.due_at.timestamp())
    outbox.queue(
        f"alert {alert.pk} {occasion} {times}",
        template="outcomes.emails.alert",
        context={"alert_id": alert.pk, "occasion": occasion},
        to=alert.site.alert_email,
        site=alert.site,
        now=now,
        due_at=alert.due_at if occasion == OVERDUE else now,
    )


def reaches_staff(site: Site, *, now: datetime) -> bool:
    """Whether an e-mail about an alert reaches somebody at this site, as far as is known: it names an address, sending
    is not paused, a worker sends (its last tick has ended within WORKER_SEEN), and the mail server takes this clinic's
    mail. Two queries, none for a site without an address."""
    if not site.alert_email or why_paused():
        return False
    known = {job.name: job for job in Job.objects.filter(name__in=[Job.Name.TICK, Job.Name.MAIL])}
    tick, post = known.get(Job.Name.TICK), known.get(Job.Name.MAIL)
    if tick is None or tick.ended_at is None or now - tick.ended_at > WORKER_SEEN:
        return False
    return post is None or not (sender_health.refused(post) or sender_health.unreachable(post))


def why_not_to_announce(alert: Alert, occasion: str, *, now: datetime) -> str:
    """The code of the reason why an announcement that is queued must not go out any more; "" when it may.

    Looked at when the e-mail is sent, because minutes may lie between.
    """
    if alert.resolved_at:
        return "resolved"
    if alert.state(now) == "snoozed":
        return "snoozed"
    if alert.acknowledged_at and occasion == RAISED:
        return "acknowledged"
    if alert.due_at > now and occasion == OVERDUE:
        return "acknowledged"  # with its time counted anew
    return ""


def send_soon() -> None:
    """Ask a worker to send what is due now. Without a broker nothing is lost: the next tick sends it."""
    options = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE, "retry_on_timeout": False}
    try:
        with Connection(
            app.conf.broker_write_url, connect_timeout=PATIENCE, transport_options=options
        ) as broker:
            app.send_task(
                SENDING, producer=app.amqp.Producer(broker, auto_declare=False), retry=False, expires=55
            )
    except Exception as exc:
        logger.warning("no worker could be asked to send an alert's e-mail: %s", type(exc).__name__)
