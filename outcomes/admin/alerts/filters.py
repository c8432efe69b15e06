"""What narrows the list of alerts, and what stands above it."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.models import User
from outcomes.models import Alert
from outcomes.models.alerts import AlertQuerySet


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
