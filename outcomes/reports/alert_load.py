"""How much the alerts ask of people: counted once, for the list of alerts, the overview and the API."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from outcomes.models import Alert, CheckIn
from outcomes.rates import Share, share

#: The load is counted over so many days, and who answers with it.
LOOKS_BACK = timedelta(days=30)
#: Alerts that nobody has to look at any more, and those of them upon which a person did something for the patient.
RESOLVED = Q(resolved_at__isnull=False)
ACTED = RESOLVED & Q(
    resolution__in=[Alert.Resolution.SPOKEN, Alert.Resolution.SEEN, Alert.Resolution.EMERGENCY]
)


def raised_lately(now: datetime) -> Q:
    """Alerts that were raised in the last 30 days."""
    return Q(raised_at__gt=now - LOOKS_BACK, raised_at__lte=now)


def answered_lately(now: datetime) -> Q:
    """Check-ins that were answered in the last 30 days."""
    return Q(
        status=CheckIn.Status.ANSWERED,
        answer__answered_at__gt=now - LOOKS_BACK,
        answer__answered_at__lte=now,
    )


@dataclass(frozen=True)
class AlertLoad:
    """Of the last 30 days: alerts that were raised, how many of them are resolved and were acted on, and answers.

    Acted on: somebody spoke with the patient, saw them or sent them to the emergency department. What was settled
    because its reason was gone is an alert that nobody acted on.
    """

    raised: int = 0
    resolved: int = 0
    acted: int = 0
    answers: int = 0

    def __add__(self, other: AlertLoad) -> AlertLoad:
        return AlertLoad(
            self.raised + other.raised,
            self.resolved + other.resolved,
            self.acted + other.acted,
            self.answers + other.answers,
        )

    @property
    def per_100(self) -> float | None:
        """Alerts for 100 answers; None without an answer."""
        return 100 * self.raised / self.answers if self.answers else None

    @property
    def acted_on(self) -> Share | None:
        """Acted on, of resolved; None while none is."""
        return share(self.acted, self.resolved)


def alert_loads(sites: Collection[int], *, now: datetime) -> dict[int, AlertLoad]:
    """The load of each of these sites, by number; a site with neither alerts nor answers is absent. Two queries."""
    raised = (
        Alert.objects.filter(raised_lately(now), site__in=sites)
        .order_by()
        .values_list("site")
        .annotate(raised=Count("pk"), resolved=Count("pk", filter=RESOLVED), acted=Count("pk", filter=ACTED))
    )
    answers = (
        CheckIn.objects.filter(answered_lately(now), follow_up__procedure__site__in=sites)
        .order_by()
        .values_list("follow_up__procedure__site")
        .annotate(answers=Count("pk"))
    )
    loads = {site: AlertLoad(*numbers) for site, *numbers in raised}
    for site, number in answers:
        loads[site] = loads.get(site, AlertLoad()) + AlertLoad(answers=number)
    return loads
