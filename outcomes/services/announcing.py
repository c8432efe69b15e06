"""Telling a site by e-mail that there is an alert, without a word about anybody's health."""

from datetime import datetime

from clinic import mail
from outcomes.models import Alert

#: Why an alert is announced. What was raised needs no announcing once somebody has looked at it; what is overdue does.
RAISED, OVERDUE = "raised", "overdue"


def announce(alert: Alert, occasion: str, *, now: datetime) -> None:
    """Put the announcement into the outbox, once an occasion; nothing when the site named nobody to tell.

    An occasion is RAISED, and once more whenever red flags were added, or OVERDUE, once each time the alert falls due.
    """
    if not alert.site.alert_email:
        return
    times = len(alert.codes) if occasion == RAISED else int(alert.due_at.timestamp())
    mail.queue(
        f"alert {alert.pk} {occasion} {times}",
        template="outcomes.emails.alert",
        context={"alert_id": alert.pk, "occasion": occasion},
        to=alert.site.alert_email,
        site=alert.site,
        now=now,
        due_at=alert.due_at if occasion == OVERDUE else now,
    )


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
