"""The clinic overview: what waits today, who answers, and whose relief was lost early this month."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q

from clinic.models import Site, User
from clinic.timezones import day_span
from outcomes.models import Alert, CheckIn, FollowUp, VerdictChange
from outcomes.rates import Share, share
from outcomes.relief import Verdict
from outcomes.reports.alert_load import LOOKS_BACK, AlertLoad, alert_loads, answered_lately

#: Relief that is lost early, for sure or possibly.
EARLY = (Verdict.LOST_EARLY, Verdict.POSSIBLY_EARLY)
#: What a month's numbers count, by name.
MONTH = {"lost_early": EARLY, "no_relief": (Verdict.NO_RELIEF,)}


@dataclass(frozen=True)
class SiteOverview:
    """One site today. Counts; shares None where nothing fell due.

    `open_alerts` by kind, `overdue` of them. `response`: of the check-ins whose time ended in the last 30 days, or that
    were answered in them. `lost_early` (for sure or possibly) and `no_relief`: follow-ups that got such a verdict since
    the first of the month, on the site's wall clock, and still have one. `procedures`: performed since then. `load`:
    that of the alerts.
    """

    site: Site
    month: date
    open_alerts: dict[str, int]
    overdue: int
    response: Share | None
    lost_early: int
    no_relief: int
    procedures: int
    load: AlertLoad


@dataclass(frozen=True)
class OverviewReport:
    """All sites of the one who asks, by name."""

    made_at: datetime
    sites: Sequence[SiteOverview]


def month_of(site: Site, now: datetime) -> date:
    """The first of the month on the site's wall clock."""
    return now.astimezone(site.zone).date().replace(day=1)


def since_month(sites: Iterable[Site], verdicts: Sequence[Verdict], now: datetime) -> Q:
    """Follow-ups of these sites, not ended, with one of the verdicts, which they got since the first of the month. Who
    only went from one of them to another had it before."""
    wanted = Q(pk__in=[])
    for site in sites:
        start = day_span(month_of(site, now), site.zone)[0]
        changes = VerdictChange.objects.filter(follow_up=OuterRef("pk"), verdict__in=verdicts, at__gte=start)
        wanted |= Q(Exists(changes.exclude(previous__in=verdicts)), procedure__site=site)
    return wanted & Q(closed_reason="", verdict__in=verdicts)


def asked_lately(now: datetime) -> Q:
    """Check-ins of a plan whose time ended in the last 30 days, or that were answered in them."""
    missed = Q(status=CheckIn.Status.MISSED, closes_at__gt=now - LOOKS_BACK, closes_at__lte=now)
    return Q(kind=CheckIn.Kind.PLANNED) & (missed | answered_lately(now))


def overview_report(*, user: User, now: datetime) -> OverviewReport:
    """The overview of the sites at which `user` works; the number of queries does not depend on how many."""
    sites = list(Site.objects.visible_to(user))
    numbers = [site.pk for site in sites]
    alerts: dict[int, dict[str, int]] = {pk: {} for pk in numbers}
    overdue = dict.fromkeys(numbers, 0)
    for row in (
        Alert.objects.filter(site__in=numbers)
        .waiting(now)
        .order_by()
        .values("site", "kind")
        .annotate(number=Count("pk"), late=Count("pk", filter=Q(due_at__lte=now)))
    ):
        alerts[row["site"]][row["kind"]] = row["number"]
        overdue[row["site"]] += row["late"]
    came: dict[int, Any] = {
        row["follow_up__procedure__site"]: row
        for row in CheckIn.objects.filter(follow_up__procedure__site__in=numbers)
        .filter(asked_lately(now))
        .order_by()
        .values("follow_up__procedure__site")
        .annotate(due=Count("pk"), answered=Count("pk", filter=Q(status=CheckIn.Status.ANSWERED)))
    }
    loads = alert_loads(numbers, now=now)
    months = {site.pk: month_of(site, now) for site in sites}
    performed = Q(pk__in=[])
    for site in sites:
        start = day_span(months[site.pk], site.zone)[0]
        performed |= Q(procedure__site=site, procedure__performed_at__gte=start)
    found = Q(pk__in=[])
    for verdicts in MONTH.values():
        found |= since_month(sites, verdicts, now)
    losses = {
        (row["procedure__site"], row["verdict"]): row["number"]
        for row in FollowUp.objects.filter(found)
        .order_by()
        .values("procedure__site", "verdict")
        .annotate(number=Count("pk"))
    }
    procedures = dict(
        FollowUp.objects.filter(performed)
        .exclude(closed_reason=FollowUp.Closed.VOIDED)
        .order_by()
        .values_list("procedure__site")
        .annotate(Count("pk"))
    )
    return OverviewReport(
        now,
        [
            SiteOverview(
                site=site,
                month=months[site.pk],
                open_alerts=alerts[site.pk],
                overdue=overdue[site.pk],
                response=share(came.get(site.pk, {}).get("answered", 0), came.get(site.pk, {}).get("due", 0)),
                **{
                    name: sum(losses.get((site.pk, verdict), 0) for verdict in verdicts)
                    for name, verdicts in MONTH.items()
                },
                procedures=procedures.get(site.pk, 0),
                load=loads.get(site.pk, AlertLoad()),
            )
            for site in sites
        ],
    )
