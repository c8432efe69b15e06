"""Lists of follow-ups that want somebody, the most urgent first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import (
    CharField,
    DateField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, NullIf

from clinic.models import User
from outcomes.models import Alert, FollowUp
from outcomes.relief import Verdict
from outcomes.reports.overview import EARLY
from procedures.models import Appointment, Intent, Laterality


@dataclass(frozen=True)
class Worklist:
    """A list of follow-ups, running ones but for trials. `code` is stable; `state(user, now)` are all in the state
    that it is about.

    What they are in order of is `urgency`, on each row: the smallest first, and none is None. `kind`: the alert that
    somebody resolves when there is nothing left to do; None where there is none.
    """

    code: str
    state: Callable[[User, datetime], QuerySet[FollowUp]]
    kind: Alert.Kind | None

    def rows(self, user: User, now: datetime, *, seen_to: bool = False) -> QuerySet[FollowUp]:
        """Those that `user` may see and that still want somebody, in order; or those that somebody has seen to."""
        return self.part(self.state(user, now), seen_to=seen_to)

    def part(self, rows: QuerySet[FollowUp], *, seen_to: bool) -> QuerySet[FollowUp]:
        """Of rows in this state, those that still want somebody, or those that somebody has seen to.

        Seen to is whose alert of the kind was resolved by a person. When the same comes again, its new alert brings
        the row back.
        """
        alerts = Alert.objects.filter(follow_up=OuterRef("pk"), kind=self.kind)
        resolved = alerts.filter(resolved_at__isnull=False).exclude(resolution=Alert.Resolution.SETTLED)
        done = Q(Exists(resolved)) & ~Q(Exists(alerts.open()))
        return rows.filter(done) if seen_to else rows.exclude(done)


#: The end of relief as it is known now: the established one, or a first bad score.
ENDED_BY = Coalesce(F("summary__lost_until"), F("summary__suspected_until"))
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


def without_appointment(rows: QuerySet[FollowUp], now: datetime) -> QuerySet[FollowUp]:
    """Those whose patient has no coming appointment for the same family of procedures in the same place.

    The other side is another place; an appointment that names no region, or no side, may be for this one.
    """
    one_side = (Laterality.LEFT, Laterality.RIGHT)
    side = ExpressionWrapper(OuterRef("procedure__laterality"), output_field=CharField())
    coming = Appointment.objects.annotate(treated_side=side).filter(
        Q(region="") | Q(region=OuterRef("procedure__region")),
        Q(laterality=F("treated_side")) | ~Q(laterality__in=one_side) | ~Q(treated_side__in=one_side),
        patient=OuterRef("patient"),
        procedure_type__family=OuterRef("procedure__procedure_type__family"),
        status__in=[*Appointment.EXPECTED, *Appointment.PRESENT],
        starts_at__gt=now,
    )
    return rows.filter(~Exists(coming))


def unconfirmed(*kinds: Verdict) -> Q:
    """Relief that is lost by one bad score which nothing confirms yet, and what that is against the window."""
    return Q(verdict=Verdict.LOST_UNCONFIRMED, summary__loss_kind__in=kinds)


def lost(rows: QuerySet[FollowUp], losses: Q, kind: Alert.Kind | None = None) -> QuerySet[FollowUp]:
    """Those whose relief is lost like this and is not back, as for alerts; while an alert of the kind is open, somebody
    must look all the same."""
    waiting = Alert.objects.open().filter(follow_up=OuterRef("pk"), kind=kind)
    return rows.filter(losses).filter(Q(summary__back_since=None) | Exists(waiting))


def losing_early(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Relief lost, or possibly lost, before the window opens, confirmed or not; who lost it soonest after the
    procedure, against the window, first."""
    rows = lost(running(user), Q(verdict__in=EARLY) | unconfirmed(*EARLY), Alert.Kind.LOST_EARLY)
    share = ENDED_BY * 1000 / NullIf(F("summary__window_from"), 0)
    return rows.annotate(urgency=Coalesce(share, 1000)).order_by(*ORDER)


def loss_of_effect(user: User, now: datetime) -> QuerySet[FollowUp]:
    """An effect without an expected end (stimulators, pumps) that is lost later than early, confirmed or not; who lost
    it longest ago first."""
    ongoing = Q(relief_profile__ongoing=True)
    later = Q(verdict=Verdict.DATE_UNKNOWN) | unconfirmed(Verdict.DATE_UNKNOWN)
    losses = Q(verdict=Verdict.LOST) | unconfirmed(Verdict.LOST) | ongoing & later
    return by_loss(lost(running(user), losses, Alert.Kind.LOST_EFFECT))


def by_loss(rows: QuerySet[FollowUp]) -> QuerySet[FollowUp]:
    """Whose relief was lost longest ago, first."""
    lost_by = F("summary__performed_on") + ENDED_BY  # PostgreSQL: a day, so many days later
    return rows.annotate(urgency=ExpressionWrapper(lost_by, output_field=DateField())).order_by(*ORDER)


def pain_back(user: User, now: datetime) -> QuerySet[FollowUp]:
    """The patient says that the pain is back, and no score says so: somebody must ask; who said it first, first."""
    said = Alert.objects.open().filter(follow_up=OuterRef("pk"), kind=Alert.Kind.PAIN_BACK)
    since = Subquery(said.values("raised_at")[:1])
    return running(user).filter(Exists(said)).annotate(urgency=since).order_by(*ORDER)


def no_relief(user: User, now: datetime) -> QuerySet[FollowUp]:
    """No relief by the day on which it was expected; who has waited longest first."""
    return longest(running(user).filter(verdict=Verdict.NO_RELIEF))


def silent(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Two check-ins in a row without an answer; who was silent longest first."""
    alert = Alert.objects.open().filter(follow_up=OuterRef("pk"), kind=Alert.Kind.SILENT)
    rows = running(user).filter(Q(verdict=Verdict.UNKNOWN) | Exists(alert))
    return rows.annotate(urgency=Coalesce(F("summary__last_answer"), -1)).order_by(*ORDER)


def due_for_repeat(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Relief was there and is lost, within or after its window, and nothing is booked yet; the longest lost first.

    Not who lost it early: what did not last is not simply done again. Lost on a date that is not known counts, and so
    does the end of the window; an effect without an expected end is not repeated. Whether a repeat is justified is for
    a physician and the payer's rules to say.
    """
    losses = (
        Q(verdict__in=(Verdict.LOST_WITHIN, Verdict.REACHED_END))
        | Q(verdict=Verdict.OUTLASTING, summary__lost_until__isnull=False)
        | Q(verdict=Verdict.DATE_UNKNOWN, relief_profile__ongoing=False)
    )
    return by_loss(without_appointment(lost(running(user), losses), now))


def trials_without_end(user: User, now: datetime) -> QuerySet[FollowUp]:
    """Trials whose longest expected time is over, and nobody has said on which day the lead or catheter came out:
    without that a trial has no result. The longest ago first. A follow-up that has ended counts, one entered in error
    does not.
    """
    over = ExpressionWrapper(
        F("procedure__performed_at") + Value(timedelta(days=1)) * F("relief_profile__window_until_days"),
        output_field=DateTimeField(),
    )
    rows = FollowUp.objects.visible_to(user).filter(
        procedure__intent=Intent.TRIAL, trial_ended_on=None, patient__died_on=None
    )
    return longest(rows.exclude(closed_reason=FollowUp.Closed.VOIDED).alias(over=over).filter(over__lte=now))


WORKLISTS = {
    worklist.code: worklist
    for worklist in (
        Worklist("losing_early", losing_early, Alert.Kind.LOST_EARLY),
        Worklist("loss_of_effect", loss_of_effect, Alert.Kind.LOST_EFFECT),
        Worklist("pain_back", pain_back, Alert.Kind.PAIN_BACK),
        Worklist("no_relief", no_relief, Alert.Kind.NO_RELIEF),
        Worklist("silent", silent, Alert.Kind.SILENT),
        Worklist("due_for_repeat", due_for_repeat, None),
        Worklist("trials_without_end", trials_without_end, None),
    )
}
