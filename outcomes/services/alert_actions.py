"""What people do with alerts: take them, hand them over, snooze and resolve them; and what time does to overdue ones.

Every action locks the alert, can be repeated without harm, and is written down. Who may act at all is asked at the
edges: the permission "outcomes.handle_alert", and `visible_to`.
"""

from datetime import datetime, timedelta

from django.db import transaction

from clinic import audit
from clinic.database import for_each_row
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.models import Alert
from outcomes.services.alert_emails import OVERDUE, announce
from outcomes.services.alerts import response_time
from outcomes.services.assignments import handlers

#: No alert is out of sight for longer (a choice; unconfirmed).
LONGEST_SNOOZE = timedelta(days=30)
#: What a person may say about how it ended; that the reason is gone is said by nobody.
REASONS = [resolution for resolution in Alert.Resolution if resolution != Alert.Resolution.SETTLED]


def lock_alert(alert_id: int) -> Alert:
    """The alert, for this transaction alone. Raises Refusal "resolved_already" when it is closed."""
    alert = Alert.objects.select_for_update(of=("self",)).select_related("site", "owner").get(pk=alert_id)
    if alert.resolved_at:
        raise Refusal("This alert is resolved already.", code="resolved_already")
    return alert


def looked_at(alert: Alert, *, by: User, now: datetime) -> None:
    """Somebody has looked: from now on as much time again to resolve it. `by` owns what nobody owned."""
    alert.owner = alert.owner or by
    if alert.acknowledged_at is None:
        alert.acknowledged_at = now
        alert.due_at = now + response_time(alert.site, alert.urgency)


@transaction.atomic
def acknowledge(alert_id: int, *, by: User, now: datetime) -> Alert:
    """Say "I have seen it and take care of it": `by` becomes the owner.

    A second click changes nothing. Raises Refusal "taken_already" when somebody else was faster, and
    "resolved_already".
    """
    alert = lock_alert(alert_id)
    if alert.acknowledged_at:
        if alert.owner_id != by.pk:
            raise Refusal(f"{alert.owner} has taken this alert already.", code="taken_already")
        return alert
    alert.owner = by
    looked_at(alert, by=by, now=now)
    alert.save()
    audit.record("alert.acknowledged", alert, by=by, at=now, site=alert.site)
    return alert


@transaction.atomic
def take_alert(alert_id: int, *, by: User, now: datetime) -> Alert:
    """Become the owner, even of what somebody else has taken, and acknowledge it. Raises Refusal "resolved_already"."""
    alert = lock_alert(alert_id)
    if alert.owner_id == by.pk and alert.acknowledged_at:
        return alert
    alert.owner = by
    looked_at(alert, by=by, now=now)
    alert.save()
    audit.record("alert.taken", alert, by=by, at=now, site=alert.site)
    return alert


@transaction.atomic
def hand_over(alert_id: int, *, to: int, by: User, now: datetime) -> Alert:
    """Make the user with the number `to` the owner. What nobody has acknowledged stays so, and stays due.

    Raises Refusal "resolved_already"; "not_allowed", field "to", for who may not handle alerts at this site.
    """
    alert = lock_alert(alert_id)
    if to == by.pk:
        return take_alert(alert_id, by=by, now=now)
    owner = handlers(alert.site).filter(pk=to).first()
    if owner is None:
        raise Refusal("This person may not handle alerts at this site.", code="not_allowed", field="to")
    if alert.owner_id != owner.pk:
        alert.owner = owner
        alert.save()
        audit.record("alert.handed_over", alert, by=by, at=now, site=alert.site)
    return alert


@transaction.atomic
def snooze(alert_id: int, *, until: datetime, by: User, now: datetime) -> Alert:
    """Put it out of sight until the instant `until`; it is then due as if somebody had looked at it at that time.

    Whoever snoozes has looked. Raises Refusal "resolved_already"; "not_allowed" for an emergency; by field "until"
    "in_the_past", and "too_far" for more than LONGEST_SNOOZE.
    """
    alert = lock_alert(alert_id)
    if alert.urgency == Alert.Urgency.EMERGENCY:
        raise Refusal("An emergency cannot be snoozed.", code="not_allowed")
    if until <= now:
        raise Refusal("This time is past.", code="in_the_past", field="until")
    if until > now + LONGEST_SNOOZE:
        days = LONGEST_SNOOZE.days
        raise Refusal(f"An alert can be snoozed for {days} days at most.", code="too_far", field="until")
    if alert.snoozed_until == until:
        return alert
    looked_at(alert, by=by, now=now)
    alert.snoozed_until = until
    alert.due_at = until + response_time(alert.site, alert.urgency)
    alert.save()
    audit.record("alert.snoozed", alert, by=by, at=now, site=alert.site)
    return alert


@transaction.atomic
def resolve(alert_id: int, *, resolution: str, note: str = "", by: User, now: datetime) -> Alert:
    """Close it and say how it ended: one of REASONS. `note`: up to 500 characters.

    The same once more by the same person changes nothing. Raises Refusal "resolved_already"; "reason_required", field
    "resolution"; "too_long", field "note".
    """
    if resolution not in REASONS:
        raise Refusal("Say how the alert ended.", code="reason_required", field="resolution")
    if len(note) > 500:
        raise Refusal("A note has at most 500 characters.", code="too_long", field="note")
    done = Alert.objects.filter(pk=alert_id, resolved_by=by, resolution=resolution, resolution_note=note)
    if again := done.first():
        return again
    alert = lock_alert(alert_id)
    looked_at(alert, by=by, now=now)
    alert.resolved_at, alert.resolved_by = now, by
    alert.resolution, alert.resolution_note = resolution, note
    alert.snoozed_until = None
    alert.save()
    audit.record("alert.resolved", alert, by=by, at=now, site=alert.site, reason=resolution)
    return alert


def escalate_due(*, now: datetime, limit: int = 1000) -> int:
    """Tell the whole site again of every alert that has fallen overdue since it was last told; how many.

    That is once when nobody has acknowledged it in time, and once more when it was acknowledged but not resolved in as
    much time again. What is snoozed waits.
    """
    overdue = Alert.objects.to_escalate(now).order_by("due_at").values_list("pk", flat=True)[:limit]
    return for_each_row(list(overdue), lambda pk: escalate(pk, now=now))


@transaction.atomic
def escalate(alert_id: int, *, now: datetime) -> int:
    """The same for one alert, looked at again under its lock; 0 or 1."""
    rows = Alert.objects.to_escalate(now).filter(pk=alert_id)
    alert = rows.select_for_update(of=("self",), skip_locked=True).select_related("site").first()
    if alert is None:
        return 0
    alert.escalated_at = now
    alert.save(update_fields=["escalated_at"])
    audit.record("alert.escalated", alert, by=None, at=now, site=alert.site)
    announce(alert, OVERDUE, now=now)
    return 1
