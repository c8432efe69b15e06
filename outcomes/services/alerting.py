"""Alerts: what a named person must look at by a certain time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from clinic import audit
from outcomes.models import Alert, CheckIn
from procedures.models import RedFlag


@transaction.atomic
def raise_red_flags(check_in: CheckIn, codes: Sequence[str], *, now: datetime) -> Alert | None:
    """Raise the alert of the red flags that a patient said yes to; None for none.

    While the follow-up's red-flag alert is open the codes are added to it, and it is due at the sooner of both times.
    """
    if not codes:
        return None
    follow_up = check_in.follow_up
    site = follow_up.procedure.site
    urgencies = set(RedFlag.objects.filter(code__in=codes).values_list("urgency", flat=True))
    emergency = Alert.Urgency.EMERGENCY in urgencies
    minutes = site.emergency_alert_minutes if emergency else site.same_day_alert_minutes
    alert, new = Alert.objects.select_for_update().get_or_create(
        follow_up=follow_up,
        kind=Alert.Kind.RED_FLAG,
        resolved_at=None,
        defaults={
            "patient": follow_up.patient,
            "site": site,
            "check_in": check_in,
            "urgency": Alert.Urgency.EMERGENCY if emergency else Alert.Urgency.SAME_DAY,
            "codes": sorted(codes),
            "raised_at": now,
            "due_at": now + timedelta(minutes=minutes),
        },
    )
    if not new and not set(codes) <= set(alert.codes):
        alert.codes = sorted({*alert.codes, *codes})
        alert.due_at = min(alert.due_at, max(alert.raised_at, now + timedelta(minutes=minutes)))
        if emergency:
            alert.urgency = Alert.Urgency.EMERGENCY
        alert.save()
        new = True
    if new:
        audit.record("alert.raised", alert, by=None, at=now, site=site, actor="patient")
    return alert
