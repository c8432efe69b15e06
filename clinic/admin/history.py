"""What history says about a row, as its page *History* shows it."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any

from django.db import models
from pghistory.models import Events

from clinic.models import Site, User

#: What a row without a site of its own belongs to, by the name of the relation.
BELONGS_TO = ("procedure", "follow_up", "check_in", "patient", "resource")


def site_of(row: Any) -> Site | None:
    """The site on whose wall clock a row's times are shown: its own, or that of what it belongs to; None: of none."""
    for _step in range(4):
        if isinstance(row, Site):
            return row
        if isinstance(site := getattr(row, "site", None), Site):
            return site
        row = next((above for name in BELONGS_TO if (above := getattr(row, name, None))), None)
    return None


def changes_of(obj: models.Model, limit: int = 100) -> list[dict[str, Any]]:
    """What history says about a row: when, by whom, what was done, and each field's value before and after."""
    every: Any = Events.objects
    events: list[dict[str, Any]] = list(
        every.tracks(obj)
        .values("pgh_created_at", "pgh_label", "pgh_diff", "pgh_context")
        .order_by("-pgh_created_at", "-pgh_slug")[:limit]
    )
    site = site_of(obj)
    return history_rows(
        events,
        lambda event: [
            {"name": field_label(obj, name), "before": before, "after": after}
            for name, (before, after) in (event["pgh_diff"] or {}).items()
        ],
        site.zone if site else UTC,
    )


def history_rows(
    events: list[dict[str, Any]], fields: Callable[[dict[str, Any]], list[dict[str, Any]]], zone: tzinfo
) -> list[dict[str, Any]]:
    """Rows of pghistory's Events as the page of a history shows them; `fields` reads what an event changed."""
    numbers: set[Any] = {(event["pgh_context"] or {}).get("user") for event in events} - {None}
    names: dict[Any, str] = {user.pk: str(user) for user in User.objects.filter(pk__in=numbers)}
    return [
        {
            "at": event["pgh_created_at"].astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
            "by": names.get((event["pgh_context"] or {}).get("user"), ""),
            "what": event["pgh_label"],
            "fields": fields(event),
        }
        for event in events
    ]


def field_label(obj: models.Model, column: str) -> str:
    """A column as staff know it."""
    return next((str(f.verbose_name) for f in obj._meta.fields if column in (f.name, f.attname)), column)
