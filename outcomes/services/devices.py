"""Devices that stay in their patients: the alert that one is due, and the end of the course when it is taken out.

A device is in the patient whether or not the course after its implant still runs. So a pump whose implant was followed
by a repeat is still looked after, on the implant's own follow-up. Only what ends our care ends that: another clinic
treats the patient, the patient has died, the procedure or the device was entered in error, the device is out.
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from clinic.database import for_each_row
from clinic.models import User
from clinic.timezones import day_span
from outcomes.models import Alert, FollowUp
from outcomes.services.alerts import raise_alert, settle_alert
from outcomes.services.judgement import update_verdict
from outcomes.services.plans import close_and_judge
from procedures.models import ImplantedDevice, Procedure

KIND = Alert.Kind.DEVICE_DUE
#: Follow-ups in one of these look after their devices; "" is one that still runs. Who chose other care keeps the pump.
LOOKED_AFTER = (
    FollowUp.Closed.NOT,
    FollowUp.Closed.REPEATED,
    FollowUp.Closed.OTHER_TREATMENT,
    FollowUp.Closed.OTHER_CARE,
)


class DueDevice(NamedTuple):
    """A device, what of it is due ("battery" or "refill"), and since which day at its site."""

    device: ImplantedDevice
    what: str
    since: date


def due_of(follow_up: FollowUp, *, now: datetime) -> list[DueDevice]:
    """What of the devices of a follow-up's procedure is due at `now`, the longest first; nothing for who has died.

    Due is what its day has come for on the site's wall clock. Wants `procedure__site` and `patient` selected.
    """
    patient = follow_up.patient
    if follow_up.closed_reason not in LOOKED_AFTER or patient.died_on or patient.merged_into_id:
        return []
    today = now.astimezone(follow_up.procedure.site.zone).date()
    devices = ImplantedDevice.objects.in_place().filter(procedure=follow_up.procedure_id).order_by("pk")
    due = [DueDevice(device, what, since) for device in devices for what, since in device.due_on(today)]
    return sorted(due, key=lambda service: service.since)


def review_devices(*, now: datetime, limit: int = 1000) -> dict[str, int]:
    """Raise the alerts of devices that have fallen due, and settle those whose reason is gone; how many of each.

    The tick runs it. A person's word stands: what they have resolved is raised again only when something more falls
    due. Idempotent.
    """
    raised = for_each_row(to_raise(now=now)[:limit], lambda pk: raise_due(pk, now=now))
    waiting = Alert.objects.open().filter(kind=KIND, acknowledged_at=None).order_by("pk")
    settled = for_each_row(
        list(waiting.values_list("follow_up", flat=True)[:limit]), lambda pk: settle_done(pk, now=now)
    )
    return {"raised": raised, "settled": settled}


def to_raise(*, now: datetime) -> list[int]:
    """The follow-ups for which something has fallen due since their last alert of this kind; in one query."""
    alerts = Alert.objects.filter(follow_up=OuterRef("procedure__follow_up"), kind=KIND)
    spoken = alerts.exclude(resolution=Alert.Resolution.SETTLED).order_by("-raised_at").values("raised_at")
    # A day's margin for sites that are ahead of UTC; each row is then judged on its own wall.
    devices = (
        ImplantedDevice.objects.due(now.date() + timedelta(days=1))
        .filter(
            procedure__follow_up__closed_reason__in=LOOKED_AFTER,
            procedure__patient__died_on=None,
            procedure__patient__merged_into=None,
        )
        .exclude(Exists(alerts.filter(resolved_at=None)))
        .exclude(procedure__site__alert_kinds_off__contains=[KIND.value])
        .annotate(last_raised_at=Subquery(spoken[:1]), follow_up_id=F("procedure__follow_up"))
        .select_related("procedure__site")
        .order_by("pk")
    )
    wanted: dict[int, bool] = defaultdict(bool)
    device: Any
    for device in devices:
        zone = device.procedure.site.zone
        due = device.due_on(now.astimezone(zone).date())
        wanted[device.follow_up_id] |= any(is_new(since, device.last_raised_at, zone) for _, since in due)
    return [pk for pk, wants in wanted.items() if wants]


def is_new(since: date, raised_at: datetime | None, zone: ZoneInfo) -> bool:
    """Whether what is due since that day had not fallen due yet when the last alert was raised."""
    return raised_at is None or raised_at < day_span(since, zone)[0]


@transaction.atomic
def raise_due(follow_up_id: int, *, now: datetime) -> int:
    """Raise the alert of one follow-up, looked at again under its lock; 0 or 1."""
    follow_up = lock_follow_up(FollowUp.objects.filter(pk=follow_up_id))
    if follow_up is None:
        return 0
    alerts = follow_up.alerts.filter(kind=KIND)
    spoken = alerts.exclude(resolution=Alert.Resolution.SETTLED).order_by("-raised_at").first()
    zone = follow_up.procedure.site.zone
    new = any(
        is_new(device.since, spoken.raised_at if spoken else None, zone)
        for device in due_of(follow_up, now=now)
    )
    if not new or alerts.filter(resolved_at=None).exists():
        return 0
    return int(raise_alert(follow_up, KIND, now=now) is not None)


@transaction.atomic
def settle_done(follow_up_id: int, *, now: datetime) -> int:
    """Settle the follow-up's alert when nothing is due any more and nobody has acknowledged it; 0 or 1."""
    follow_up = lock_follow_up(FollowUp.objects.filter(pk=follow_up_id))
    if follow_up is None or due_of(follow_up, now=now):
        return 0
    return sum(settle_alert(alert.pk, now=now) for alert in follow_up.alerts.open().filter(kind=KIND))


@transaction.atomic
def look_after_devices(procedure: Procedure, *, by: User | None, now: datetime) -> None:
    """A device of the procedure has changed: bring the follow-up and its alert in line at once. Idempotent."""
    end_of(procedure.pk, by=by, now=now)
    follow_up = FollowUp.objects.filter(procedure=procedure).first()
    if follow_up is None:
        return
    settle_done(follow_up.pk, now=now)
    if follow_up.closed_reason == FollowUp.Closed.EXPLANTED:
        update_verdict(follow_up.pk, now=now)  # why it was taken out tells of relief


def end_explanted(*, now: datetime, limit: int = 1000) -> int:
    """End the courses whose devices were all taken out, where that was missed; how many. The tick runs it."""
    left = ImplantedDevice.objects.in_place().filter(procedure=OuterRef("procedure"))
    missed = (
        ImplantedDevice.objects.standing()
        .filter(
            ~Exists(left),
            explanted_on__isnull=False,
            procedure__follow_up__isnull=False,
            procedure__follow_up__closed_at=None,
        )
        .order_by("procedure")
        .values_list("procedure", flat=True)
        .distinct()
    )
    return for_each_row(list(missed[:limit]), lambda pk: end_of(pk, by=None, now=now))


@transaction.atomic
def end_of(procedure_id: int, *, by: User | None, now: datetime) -> int:
    """End the course after a procedure when all its devices are out, on the day on which the last one came out; 0 or 1.

    A course that has ended otherwise stays as it is.
    """
    follow_up = lock_follow_up(FollowUp.objects.filter(procedure=procedure_id, closed_at=None))
    devices = list(ImplantedDevice.objects.standing().filter(procedure=procedure_id))
    days = [device.explanted_on for device in devices if device.explanted_on]
    if follow_up is None or not days or len(days) < len(devices):
        return 0
    _begin, end = day_span(max(days), follow_up.procedure.site.zone)
    close_and_judge(follow_up, FollowUp.Closed.EXPLANTED, at=min(end, now), by=by, now=now)
    return 1


def lock_follow_up(rows: QuerySet[FollowUp]) -> FollowUp | None:
    """The follow-up among `rows`, for this transaction alone."""
    return rows.select_for_update(of=("self",)).select_related("procedure__site", "patient").first()
