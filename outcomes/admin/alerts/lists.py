"""What narrows the list of alerts, what stands above it, and the load that alerts are."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.models import User
from outcomes.models import Alert, Answer
from outcomes.models.alerts import AlertQuerySet
from outcomes.reports.overview import ACTED, LOOKS_BACK, RESOLVED, raised_lately


class StateFilter(admin.SimpleListFilter):
    """Which alerts wait: the open ones that nobody has snoozed, unless others are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("overdue", _("overdue")),
            ("snoozed", _("snoozed")),
            ("resolved", _("resolved")),
            ("all", _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        every = list(super().choices(changelist))
        return [{**every[0], "display": _("open")}, *every[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        alerts, now = cast(AlertQuerySet, queryset), timezone.now()
        match self.value():
            case "all":
                return alerts
            case "resolved":
                return alerts.filter(resolved_at__isnull=False)
            case "snoozed":
                return alerts.snoozed(now)
            case "overdue":
                return alerts.overdue(now)
        return alerts.waiting(now)


class OwnerFilter(admin.SimpleListFilter):
    """Whose they are."""

    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("mine")), ("nobody", _("nobody's"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        owners: dict[str | None, User | None] = {"me": staff(request), "nobody": None}
        return queryset.filter(owner=owners[self.value()]) if self.value() in owners else queryset


def tabs(waiting: QuerySet[Alert], kind: str) -> list[dict[str, Any]]:
    """The worklists: all that wait, and those of each kind, with how many they hold. One query."""
    counts = dict(waiting.order_by().values_list("kind").annotate(Count("pk")))
    lists = [("", _("all"), sum(counts.values()))]
    lists += [(value, text, counts.get(value, 0)) for value, text in Alert.Kind.choices]
    return [
        {
            "label": text,
            "count": count,
            "link": f"?kind__exact={value}" if value else "?",
            "active": value == kind,
        }
        for value, text, count in lists
    ]


def load(seen: QuerySet[Alert], user: User, *, now: datetime) -> dict[str, Any]:
    """How much the alerts ask of people: those of the last 30 days for 100 answers, and how many were acted on.

    Two queries. `rate` None without an answer, `share` (percent) None while none of them is resolved. What was settled
    because its reason was gone counts as an alert nobody acted on.
    """
    counts = seen.filter(raised_lately(now)).aggregate(
        raised=Count("pk"), resolved=Count("pk", filter=RESOLVED), acted=Count("pk", filter=ACTED)
    )
    answers = Answer.objects.filter(answered_at__gt=now - LOOKS_BACK, answered_at__lte=now)
    if not user.sees_all_sites:
        answers = answers.filter(check_in__follow_up__procedure__site__in=user.sites.values("pk"))
    answered = answers.count()
    return {
        **counts,
        "answered": answered,
        "days": LOOKS_BACK.days,
        "rate": round(100 * counts["raised"] / answered, 1) if answered else None,
        "share": round(100 * counts["acted"] / counts["resolved"]) if counts["resolved"] else None,
    }
