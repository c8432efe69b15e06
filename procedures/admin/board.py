"""The day board: one site's day, with its rooms or its clinicians as columns, and each patient's next steps."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from clinic.admin.base import staff
from clinic.models import Closure, Resource, Site, WorkingHours
from clinic.timezones import day_span
from procedures.admin.appointments import AppointmentAdmin
from procedures.admin.day_filters import day_in
from procedures.admin.descriptions import (
    PAINS,
    STATUS_LABELS,
    closed_words,
    marks,
    meant,
    page_of,
    pain_noted,
    tallies,
)
from procedures.admin.workflow_actions import ASKS, buttons, steps_for
from procedures.models import Appointment, Baseline, Reservation
from procedures.services.patient_baselines import WAITING

#: What the columns may be, by the code of their category. Where nothing else is chosen, the first.
COLUMNS = {"rooms": "procedure_room", "clinicians": "physician"}

Status = Appointment.Status
#: What is not on the board: nobody comes for it.
GONE = (Status.CANCELLED, Status.ENTERED_IN_ERROR, Status.REQUESTED)


@dataclass
class AppointmentCard:
    """One appointment on the board."""

    appointment: Appointment
    when: str
    what: str
    others: str
    kind: str
    marks: list[tuple[str, str]]
    steps: SafeString
    page: str
    #: Whether it is the first of an appointment's, when that stands in several columns.
    first: bool


@dataclass
class Column:
    """A room or a clinician, with the day's appointments in order of time.

    `closed`: when it is closed, or somebody away, and why; `works`: whether it has hours on that day.
    """

    name: str
    closed: list[str] = field(default_factory=list)
    works: bool = True
    cards: list[AppointmentCard] = field(default_factory=list)


def board(request: HttpRequest) -> HttpResponse:
    """The page. What it is about stands in its address: `site`, `day` (YYYY-MM-DD) and `by`."""
    if not request.user.has_perm("procedures.view_appointment"):
        raise PermissionDenied
    now = timezone.now()
    sites = list(Site.objects.visible_to(staff(request)))
    site = next(
        (site for site in sites if str(site.pk) == request.GET.get("site")), sites[0] if sites else None
    )
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Day board"),
        "sites": sites,
        "site": site,
        "can_book": request.user.has_perm("procedures.book_appointment"),
    }
    if site is not None:
        by = request.GET.get("by", "")
        by = by if by in COLUMNS else next(iter(COLUMNS))
        context |= day(request, site, day_in(request.GET.get("day", ""), site, now=now), by, now=now)
    return TemplateResponse(request, "admin/procedures/board.html", context)


def day(request: HttpRequest, site: Site, on: date, by: str, *, now: datetime) -> dict[str, Any]:
    """What the page shows of one day at one site, in a fixed number of queries."""
    start, end = day_span(on, site.zone)
    every = Appointment.objects.visible_to(staff(request)).filter(
        site=site, starts_at__gte=start, starts_at__lt=end
    )
    held = Reservation.objects.select_related("resource")
    rows = list(
        every.exclude(status__in=GONE)
        .select_related("patient", "procedure_type", "procedure__site", "site")
        .prefetch_related(Prefetch("reservations", held), PAINS)
        .order_by("starts_at", "pk")
    )
    query = request.GET.urlencode() or f"site={site.pk}"
    closures = list(
        Closure.objects.filter(starts_at__lt=end, ends_at__gt=start)
        .filter(Q(site=site) | Q(resource__in=working_at(site)))
        .select_related("resource")
        .order_by("starts_at")
    )

    shown = columns(request, site, on, rows, closures, by, query, now=now)
    works = any(column.works for column in shown)
    shut = any(
        closure.site_id and closure.starts_at <= start and closure.ends_at >= end for closure in closures
    )

    def address(**changes: Any) -> str:
        said = {"site": site.pk, "day": on.isoformat(), "by": by} | changes
        return "?" + "&".join(f"{name}={value}" for name, value in said.items())

    return {
        "day": on,
        "by": by,
        "now": f"{now.astimezone(site.zone):%H:%M %Z}" if start <= now < end else "",
        "closed": [closed_words(closure, on, site) for closure in closures if closure.site_id],
        "columns": shown,
        "works": works,
        "open": works and end > now and not shut,
        "count": len(rows),
        "tallies": tallies(every),
        "previous": address(day=(on - timedelta(days=1)).isoformat()),
        "next": address(day=(on + timedelta(days=1)).isoformat()),
        "today": address(day=now.astimezone(site.zone).date().isoformat()),
        "switches": [
            (_("Rooms"), address(by="rooms"), by == "rooms"),
            (_("Clinicians"), address(by="clinicians"), by == "clinicians"),
        ],
    }


def working_at(site: Site) -> QuerySet[Resource]:
    """The resources that are at home at the site or work there."""
    return Resource.objects.filter(
        Q(site=site) | Q(pk__in=WorkingHours.objects.filter(site=site).values("resource")), active=True
    )


def columns(
    request: HttpRequest,
    site: Site,
    on: date,
    rows: list[Appointment],
    closures: list[Closure],
    by: str,
    query: str,
    *,
    now: datetime,
) -> list[Column]:
    """Every room or clinician that works there, filled; at the end, one for what needs none of them."""
    hours = WorkingHours.objects.filter(resource=OuterRef("pk"), site=site)
    that_day = hours.filter(weekday=on.weekday()).exclude(valid_from_on__gt=on).exclude(valid_until_on__lt=on)
    used = {held.resource_id for row in rows for held in row.reservations.all()}
    named = (
        Resource.objects.filter(Q(Exists(hours), active=True) | Q(pk__in=used), categories__code=COLUMNS[by])
        .annotate(works=Exists(that_day))
        .distinct()
    )
    result = {
        resource.pk: Column(
            resource.name,
            [closed_words(closure, on, site) for closure in closures if closure.resource_id == resource.pk],
            resource.works,  # type: ignore[attr-defined]
        )
        for resource in named
    }
    rest = Column(_("Without a room") if by == "rooms" else _("Without a clinician"))
    for row in rows:
        mine = list(dict.fromkeys(held.resource_id for held in row.reservations.all()))
        homes = [result[pk] for pk in mine if pk in result] or [rest]
        for column in homes:
            column.cards.append(card(request, row, column, query, first=column is homes[0], now=now))
    return [*result.values(), *([rest] if rest.cards else [])]


def card(
    request: HttpRequest, row: Appointment, column: Column, query: str, *, first: bool, now: datetime
) -> AppointmentCard:
    """One appointment as the board shows it; the steps come back to the same board."""
    zone = row.site.zone
    start, end = row.starts_at.astimezone(zone), row.ends_at.astimezone(zone)
    names = dict.fromkeys(held.resource.name for held in row.reservations.all())
    board = reverse("admin:procedures_appointment_board")
    known = pain_noted(row, on_the_day=True)
    possible = [
        step
        for step in steps_for(request, row, now=now)
        if row.status in step.listed and not (known and step.name in ASKS)
    ]
    return AppointmentCard(
        appointment=row,
        when=f"{start:%H:%M}–{end:%H:%M}",
        what=meant(row),
        others=" · ".join(name for name in names if name != column.name),
        kind=STATUS_LABELS[row.status],
        marks=[*marks(row), *([pain_mark(known)] if row.status in WAITING else [])],
        steps=buttons(possible, row, back=f"{board}?{query}#appointment-{row.pk}"),
        page=page_of(row),
        first=first,
    )


def pain_mark(known: Baseline | None) -> tuple[str, str]:
    """What stands beside who waits: the pain of the day and who noted it, or that nobody has asked."""
    if known is None:
        return _("pain before not noted"), "warning"
    return _("pain before %(score)d / 10: %(who)s") % {
        "score": known.value,
        "who": known.how,
    }, "info"


AppointmentAdmin.pages.append(
    path("board/", admin.site.admin_view(board), name="procedures_appointment_board")
)
