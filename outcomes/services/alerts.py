"""Raising alerts, and settling those whose reason is gone. What people do with them: `alert_actions`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from clinic import audit
from clinic.database import for_each_row
from clinic.models import Site
from clinic.timezones import day_span
from outcomes.alert_rules import AlertCondition, Kind
from outcomes.models import Alert, CheckIn, ContactAttempt, FollowUp
from outcomes.relief import SILENT_AFTER
from outcomes.relief_end_text import ReliefEnded, relief_ended
from outcomes.services.alert_emails import RAISED, announce
from outcomes.services.assignments import first_owner
from procedures.models import RedFlag

#: Kinds that no course calls for: a yes raises the first, a date the second (`outcomes.services.devices`), and the
#: patient’s word that no score bears out the third.
NOT_OF_THE_COURSE = (Alert.Kind.RED_FLAG, Alert.Kind.DEVICE_DUE, Alert.Kind.PAIN_BACK)
#: Kinds that stay open when the follow-up ends, because the problem does not end with it.
OUTLIVE = (Alert.Kind.RED_FLAG, Alert.Kind.DEVICE_DUE)
#: Kinds that are about relief which has ended, or may have.
TELLS_THE_END = (Alert.Kind.LOST_EARLY, Alert.Kind.LOST_EFFECT, Alert.Kind.PAIN_BACK)
#: Contact attempts by which nobody was asked.
NOT_ASKED = (ContactAttempt.Outcome.SKIPPED, ContactAttempt.Outcome.WRONG_NUMBER)


def response_time(site: Site, urgency: str) -> timedelta:
    """How long an alert of that urgency may wait at the site: first for somebody's look, then for its resolution."""
    if urgency == Alert.Urgency.EMERGENCY:
        return timedelta(minutes=site.emergency_alert_minutes)
    if urgency == Alert.Urgency.SAME_DAY:
        return timedelta(minutes=site.same_day_alert_minutes)
    return timedelta(days=site.routine_alert_days)


@transaction.atomic
def raise_red_flags(of: CheckIn | FollowUp, codes: Sequence[str], *, now: datetime) -> Alert | None:
    """Raise the alert of the red flags that a patient said yes to, and announce it; None for no codes.

    `of`: the check-in at which it was said, or the follow-up, of which it was said unasked.

    While the follow-up's red-flag alert is open, new codes are added to it. Somebody must then look again: whoever
    owns it keeps it, but it is neither acknowledged nor snoozed any more. One that nobody had acknowledged is due at
    the sooner of both times.
    """
    if not codes:
        return None
    check_in, follow_up = (of, of.follow_up) if isinstance(of, CheckIn) else (None, of)
    site = follow_up.procedure.site
    urgencies = set(RedFlag.objects.filter(code__in=codes).values_list("urgency", flat=True))
    emergency = Alert.Urgency.EMERGENCY in urgencies
    urgency = Alert.Urgency.EMERGENCY if emergency else Alert.Urgency.SAME_DAY
    due_at = now + response_time(site, urgency)
    alert, raised = open_alert(
        follow_up, Alert.Kind.RED_FLAG, urgency, codes=sorted(set(codes)), check_in=check_in, now=now
    )
    if not raised and not set(codes) <= set(alert.codes):
        alert.codes = sorted({*alert.codes, *codes})
        alert.due_at = due_at if alert.acknowledged_at else min(alert.due_at, due_at)
        alert.acknowledged_at = alert.snoozed_until = None
        alert.check_in = check_in or alert.check_in
        if emergency:
            alert.urgency = Alert.Urgency.EMERGENCY
        alert.save()
        raised = True
    if raised:
        audit.record("alert.raised", alert, by=None, at=now, site=site, actor="patient")
        announce(alert, RAISED, now=now)
    return alert


@transaction.atomic
def raise_alert(
    follow_up: FollowUp, kind: str, *, confirmed: bool = True, since: int | None = None, now: datetime
) -> Alert | None:
    """Raise a routine alert about a course; None when the site does not want this kind.

    The follow-up's open alert of that kind is returned as it is. Nobody is told by e-mail before it is overdue: it
    waits in the list. Wants `procedure__site` selected.
    """
    site = follow_up.procedure.site
    if kind in site.alert_kinds_off:
        return None
    alert, raised = open_alert(
        follow_up, kind, Alert.Urgency.ROUTINE, confirmed=confirmed, since=since, now=now
    )
    if raised:
        audit.record("alert.raised", alert, by=None, at=now, site=site)
    return alert


def open_alert(
    follow_up: FollowUp,
    kind: str,
    urgency: str,
    *,
    now: datetime,
    codes: Sequence[str] = (),
    check_in: CheckIn | None = None,
    confirmed: bool = True,
    since: int | None = None,
) -> tuple[Alert, bool]:
    """The follow-up's open alert of a kind, locked, and whether it was made just now: then it is `first_owner`'s."""
    site = follow_up.procedure.site
    wanted: dict[str, Any] = {
        "patient": follow_up.patient,
        "site": site,
        "check_in": check_in,
        "urgency": urgency,
        "codes": codes,
        "confirmed": confirmed,
        "since": since,
        "owner": lambda: first_owner(follow_up.procedure, kind, site, now=now),  # asked only if it is made
        "raised_at": now,
        "due_at": now + response_time(site, urgency),
    }
    alert, made = Alert.objects.select_for_update(of=("self",)).get_or_create(
        follow_up=follow_up, kind=kind, resolved_at=None, defaults=wanted
    )
    alert.site = site
    return alert, made


def review_alerts(follow_up: FollowUp, called: Mapping[Kind, AlertCondition], *, now: datetime) -> None:
    """Bring the alerts of a course in line with what it calls for; in the transaction that judged it.

    `called`: from `outcomes.alert_rules.called_for`. A kind is raised once each time it begins to hold: what a person
    has resolved is not raised again for the same reason. That reason is the first bad score, also while nothing
    confirms it: whoever resolved the alert then has spoken with the patient or decided to wait, and the same loss,
    confirmed, would only ask them again; the verdict and the follow-up say that it is confirmed now. Relief in between
    and another bad score are a new reason. An open alert is told whether its reason is confirmed, whoever owns it.

    When the reason of an open alert is gone, and nobody has acknowledged it, it is settled. An ended course calls for
    nothing, nor does that of a patient who has died. Wants the follow-up locked, and `procedure__site` and `patient`
    selected.
    """
    if follow_up.closed_at or follow_up.patient.died_on:
        called = {}
    alerts = list(follow_up.alerts.exclude(kind__in=NOT_OF_THE_COURSE).order_by("pk"))
    for alert in alerts:
        if not alert.resolved_at and alert.kind not in called:
            settle_alert(alert.pk, now=now)
    for kind, call in called.items():
        known = [
            alert
            for alert in alerts
            if alert.kind == kind and (alert.resolved_at is None or covers(alert, follow_up, call.since))
        ]
        if not known and not (kind == Kind.SILENT and never_asked(follow_up)):
            raise_alert(follow_up, kind, confirmed=call.confirmed, since=call.since, now=now)
        for alert in known:
            if alert.resolved_at is None and (alert.confirmed, alert.since) != (call.confirmed, call.since):
                alert.confirmed, alert.since = call.confirmed, call.since
                alert.save(update_fields=["confirmed", "since"])


def ended_of(alert: Alert) -> ReliefEnded | None:
    """When the relief ended that the alert is about, as far as its course tells now; None for other kinds, and where
    relief has not ended. Of many, wants `follow_up__summary` selected."""
    summary = getattr(alert.follow_up, "summary", None) if alert.kind in TELLS_THE_END else None
    return relief_ended(summary)


def covers(alert: Alert, follow_up: FollowUp, since: int) -> bool:
    """Whether a person has resolved the alert, and it stood for what holds since the day `since` of the course: it was
    raised for it, or still open for an earlier reason when this one began."""
    if alert.resolution == Alert.Resolution.SETTLED:
        return False
    if alert.since is not None and alert.since >= since:
        return True
    zone = follow_up.procedure.site.zone
    day = follow_up.procedure.performed_at.astimezone(zone).date() + timedelta(days=since)
    return alert.raised_at >= day_span(day, zone)[0]


def never_asked(follow_up: FollowUp) -> bool:
    """Whether one of the latest missed check-ins was never asked: that is the clinic's silence, not the patient's."""
    planned = follow_up.check_ins.filter(kind=CheckIn.Kind.PLANNED)
    planned = planned.exclude(offset_minutes__in=follow_up.short_check_ins)
    missed = planned.filter(status=CheckIn.Status.MISSED).order_by("-offset_minutes")
    asked = ContactAttempt.objects.exclude(outcome__in=NOT_ASKED).values("check_in")
    latest = missed.values("pk")[:SILENT_AFTER]
    return (
        follow_up.check_ins.filter(Q(invited_at__isnull=False) | Q(pk__in=asked), pk__in=latest).count()
        < SILENT_AFTER
    )


@transaction.atomic
def settle_alert(alert_id: int, *, now: datetime) -> int:
    """Resolve an open alert that nobody has acknowledged, because its reason is gone; how many, 0 or 1."""
    alert = (
        Alert.objects.open()
        .filter(pk=alert_id, acknowledged_at=None)
        .select_for_update(of=("self",))
        .select_related("site")
        .first()
    )
    if alert is None:
        return 0
    alert.resolved_at, alert.resolution = now, Alert.Resolution.SETTLED
    alert.snoozed_until = None
    alert.save()
    audit.record("alert.settled", alert, by=None, at=now, site=alert.site)
    return 1


def raise_settled(follow_up: FollowUp, *, now: datetime) -> None:
    """Raise again that the patient said that the pain is back, where nobody had looked before the course seemed to be
    over: it goes on after all. What the course itself calls for comes with the next judgement (`review_alerts`)."""
    last = follow_up.alerts.filter(kind=Alert.Kind.PAIN_BACK).order_by("-pk").first()
    if last and last.resolution == Alert.Resolution.SETTLED:
        raise_alert(follow_up, Alert.Kind.PAIN_BACK, now=now)


def settle_ended(*, now: datetime, limit: int = 1000) -> int:
    """Settle what nobody has acknowledged of courses that have ended and of patients who have died; how many.

    What is of no course stays (OUTLIVE).
    """
    ended = (
        Alert.objects.open()
        .filter(
            Q(follow_up__closed_at__isnull=False) | Q(patient__died_on__isnull=False), acknowledged_at=None
        )
        .exclude(kind__in=OUTLIVE)
        .order_by("pk")
        .values_list("pk", flat=True)[:limit]
    )
    return for_each_row(list(ended), lambda pk: settle_alert(pk, now=now))
