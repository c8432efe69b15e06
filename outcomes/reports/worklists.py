"""Lists of follow-ups that want somebody, the most urgent first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, NullIf

from clinic.models import User
from outcomes.models import Alert, FollowUp
from outcomes.relief import Verdict
from procedures.models import Appointment


@dataclass(frozen=True)
class Worklist:
    """A list of running follow-ups. `code` is stable; `rows(user, now)` are those that `user` may see, in order.

    What they are in order of is `urgency`, on each row: the smallest first, and none is None.
    """

    code: str
    rows: Callable[[User, datetime], QuerySet[FollowUp]]


#: Of equally urgent ones the longest ago first.
ORDER = ("urgency", "procedure__performed_at", "pk")


def longest(rows: QuerySet[FollowUp]) -> QuerySet[FollowUp]:
    """Whose procedure was longest ago, first."""
    return rows.annotate(urgency=F("procedure__performed_at")).order_by(*ORDER)


def running(user: User) -> QuerySet[FollowUp]:
    """Follow-ups that have not ended, of patients who live.

    None of a test, whose result it is that relief is over or never came, nor of the upkeep of a device.
    """
    return FollowUp.objects.visible_to(user).seeking_relief().filter(closed_at=None, patient__died_on=None)


def unhandled(rows: QuerySet[FollowUp], kind: Alert.Kind) -> QuerySet[FollowUp]:
    """Without those whose alert of this kind somebody has resolved: what there was to do is done.

    When the same comes again, its new alert brings the row back.
    """
    alerts = Alert.objects.filter(follow_up=OuterRef("pk"), kind=kind)
    by_somebody = alerts.filter(resolved_at__isnull=False).exclude(resolution=Alert.Resolution.SETTLED)
    return rows.exclude(Exists(by_somebody) & ~Exists(alerts.open()))


def without_appointment(rows: QuerySet[FollowUp], now: datetime) -> QuerySet[FollowUp]:
    """Those whose patient has no coming appointment for the same family of procedures."""
    coming = Appointment.objects.filter(
        patient=OuterRef("patient"),
        procedure_type__family=OuterRef("procedure__procedure_type__family"),
        status__in=[*Appointment.EXPECTED, *Appointment.PRESENT],
        starts_at__gt=now,
    )
    return rows.filter(~Exists(coming))


def losing_early(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Relief lost before the window opens; who lost it soonest after the procedure, against the window, first."""
    rows = unhandled(running(user).filter(verdict=Verdict.LOST_EARLY), Alert.Kind.LOST_EARLY)
    share = F("summary__lost_until") * 1000 / NullIf(F("summary__window_from"), 0)
    return rows.annotate(urgency=Coalesce(share, 1000)).order_by(*ORDER)


def no_relief(user: User, now: datetime) -> QuerySet[FollowUp]:
    """No relief by the day on which it was expected; who has waited longest first."""
    return longest(unhandled(running(user).filter(verdict=Verdict.NO_RELIEF), Alert.Kind.NO_RELIEF))


def silent(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Two check-ins in a row without an answer; who was silent longest first."""
    alert = Alert.objects.open().filter(follow_up=OuterRef("pk"), kind=Alert.Kind.SILENT)
    rows = unhandled(running(user).filter(Q(verdict=Verdict.UNKNOWN) | Exists(alert)), Alert.Kind.SILENT)
    return rows.annotate(urgency=Coalesce(F("summary__last_answer"), -1)).order_by(*ORDER)


def due_for_repeat(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Relief was there and is lost, within or after its window, and nothing is booked yet; the longest lost first.

    Whether a repeat is justified is for a physician and the payer's rules to say.
    """
    rows = running(user).filter(
        verdict__in=(Verdict.LOST_WITHIN, Verdict.OUTLASTING), summary__lost_until__isnull=False
    )
    return longest(without_appointment(rows, now))


WORKLISTS = {
    worklist.code: worklist
    for worklist in (
        Worklist("losing_early", losing_early),
        Worklist("no_relief", no_relief),
        Worklist("silent", silent),
        Worklist("due_for_repeat", due_for_repeat),
    )
}
