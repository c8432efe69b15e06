"""The week: a calendar to drag appointments in, and beside it a list that can do the same without a mouse.

Dragging asks the service first and shows its refusal, or its words, in a question; only answering that moves. What the
calendar shows are wall times of the site: the browser's own zone plays no part.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from clinic.admin.action_pages import in_a_line, missed
from clinic.admin.base import staff, tell
from clinic.admin.datetime_widgets import to_instant
from clinic.admin.session_expired import by_button
from clinic.models import Closure, Resource, Site, WorkingHours
from clinic.row_versions import seen
from clinic.timezones import day_span
from procedures import services
from procedures.admin.appointment_forms import WishForm
from procedures.admin.appointments import AppointmentAdmin
from procedures.admin.board import GONE, working_at
from procedures.admin.day_filters import day_in
from procedures.admin.descriptions import (
    STATUS_LABELS,
    closed_words,
    displaced_words,
    marks,
    meant,
    page_of,
    span,
    touches,
)
from procedures.admin.slot_forms import clinicians
from procedures.models import Appointment, Reservation

#: What the calendar shows of a day where nobody's hours say otherwise.
OPENS, CLOSES = time(8), time(18)


@dataclass(frozen=True)
class WeekRow:
    """One appointment of the list."""

    appointment: Appointment
    when: str
    what: str
    who: str
    kind: str
    marks: list[tuple[str, str]]
    page: str
    move: str


@dataclass(frozen=True)
class Day:
    """One day of the list: what is closed, what is booked, and where to book more ("" where the day is over)."""

    day: date
    closed: list[str]
    rows: list[WeekRow]
    book: str


def week(request: HttpRequest) -> HttpResponse:
    """The page. Its address says what it is about: `site`, `day` (any of the week, YYYY-MM-DD) and `resource`."""
    if not request.user.has_perm("procedures.view_appointment"):
        raise PermissionDenied
    now = timezone.now()
    sites = list(Site.objects.visible_to(staff(request)))
    site = next(
        (site for site in sites if str(site.pk) == request.GET.get("site")), sites[0] if sites else None
    )
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Week"),
        "sites": sites,
        "site": site,
    }
    if site is not None:
        resources = list(working_at(site).order_by("name"))
        resource = next(
            (resource for resource in resources if str(resource.pk) == request.GET.get("resource")), None
        )
        context |= {"resources": resources, "resource": resource, "why": WishForm()}
        context |= week_context(
            request, site, resource, day_in(request.GET.get("day", ""), site, now=now), now=now
        )
    return TemplateResponse(request, "admin/procedures/week.html", context)


def week_context(
    request: HttpRequest, site: Site, resource: Resource | None, on: date, *, now: datetime
) -> dict[str, Any]:
    """What the page shows of the week of `on`, in a fixed number of queries."""
    monday = on - timedelta(days=on.weekday())
    days = [monday + timedelta(days=number) for number in range(7)]
    start, end = day_span(days[0], site.zone)[0], day_span(days[-1], site.zone)[1]
    appointments = (
        Appointment.objects.visible_to(staff(request))
        .filter(site=site, starts_at__gte=start, starts_at__lt=end)
        .exclude(status__in=GONE)
        .select_related("patient", "procedure_type", "procedure__site", "site")
        .prefetch_related("reservations__resource")
        .order_by("starts_at", "pk")
    )
    if resource:
        appointments = appointments.filter(
            pk__in=Reservation.objects.filter(resource=resource).values("appointment")
        )
    rows = list(appointments)
    closures = list(
        Closure.objects.filter(Q(site=site) | Q(resource=resource) & Q(resource__isnull=False))
        .filter(starts_at__lt=end, ends_at__gt=start)
        .select_related("resource")
        .order_by("starts_at")
    )
    hours = list(
        WorkingHours.objects.filter(site=site, **({"resource": resource} if resource else {}))
        .exclude(valid_until_on__lt=days[0])
        .exclude(valid_from_on__gt=days[-1])
        .values_list("weekday", "opens", "closes")
    )
    used = {row.starts_at.astimezone(site.zone).date() for row in rows}
    worked = {weekday for weekday, _opens, _closes in hours}
    open_days = [day for day in days if day.weekday() < 5 or day in used or day.weekday() in worked]
    can_book = request.user.has_perm("procedures.book_appointment")
    said = {"site": site.pk, "day": monday.isoformat()} | ({"resource": resource.pk} if resource else {})

    def address(day: date) -> str:
        return "?" + urlencode(said | {"day": day.isoformat()})

    today = now.astimezone(site.zone).date()
    opens, closes = limits(rows, [(opens, closes) for _day, opens, closes in hours], site)
    book = reverse("admin:procedures_appointment_find") + "?" + urlencode(booking(request, site, resource))
    return {
        "week": [
            Day(
                day,
                [closed_words(closure, day, site) for closure in closures if touches(closure, day, site)],
                [
                    appointment_row(row, can_book)
                    for row in rows
                    if row.starts_at.astimezone(site.zone).date() == day
                ],
                f"{book}&on={day.isoformat()}" if can_book and day >= today else "",
            )
            for day in open_days
        ],
        "monday": monday,
        "last": open_days[-1],
        "count": len(rows),
        "can_book": can_book,
        "query": urlencode(said),
        "previous": address(monday - timedelta(days=7)),
        "next": address(monday + timedelta(days=7)),
        "today": address(today),
        "this_week": monday <= today <= days[-1],
        "calendar": {
            "date": monday.isoformat(),
            "hiddenDays": [(day.weekday() + 1) % 7 for day in days if day not in open_days],
            "slotMinTime": opens,
            "slotMaxTime": closes,
            "snapDuration": f"00:{site.grid_minutes:02}",
            "events": [event_of(row, site, can_book) for row in rows]
            + [closed_event(closure, site) for closure in closures],
            "book": book if can_book else "",
            "today": today.isoformat(),
        },
    }


def booking(request: HttpRequest, site: Site, resource: Resource | None) -> dict[str, Any]:
    """Where the Book screen begins when it is opened from here."""
    clinician = resource and clinicians(request).filter(pk=resource.pk).exists()
    return {"site": site.pk} | ({"clinician": resource.pk} if resource and clinician else {})


def limits(rows: list[Appointment], hours: list[tuple[time, time]], site: Site) -> tuple[str, str]:
    """The full hours of the day between which everything lies, as HH:MM."""
    first = min((opens for opens, _closes in hours), default=OPENS).hour
    last = max((closes for _opens, closes in hours), default=CLOSES)
    until = last.hour + (last.minute > 0)
    for row in rows:
        start, end = row.starts_at.astimezone(site.zone), row.ends_at.astimezone(site.zone)
        first = min(first, start.hour)
        until = max(until, end.hour + 1 if end.date() == start.date() else 24)
    return f"{first:02}:00", f"{min(until, 24):02}:00"


def appointment_row(appointment: Appointment, can_book: bool) -> WeekRow:
    """One appointment as the list shows it."""
    zone = appointment.site.zone
    start, end = appointment.starts_at.astimezone(zone), appointment.ends_at.astimezone(zone)
    find = reverse("admin:procedures_appointment_find")
    return WeekRow(
        appointment=appointment,
        when=f"{start:%H:%M}–{end:%H:%M}",
        what=meant(appointment),
        who=names(appointment),
        kind=STATUS_LABELS[appointment.status],
        marks=marks(appointment),
        page=page_of(appointment),
        move=f"{find}?move={appointment.pk}&on={start:%Y-%m-%d}" if movable(appointment, can_book) else "",
    )


def movable(appointment: Appointment, can_book: bool) -> bool:
    """Whether it may be moved at all; to where, says the service."""
    return can_book and appointment.status in appointment.EXPECTED


def names(appointment: Appointment) -> str:
    return " · ".join(dict.fromkeys(held.resource.name for held in appointment.reservations.all()))


def wall(moment: datetime, site: Site) -> str:
    """What the clock at the site shows then, without a zone."""
    return f"{moment.astimezone(site.zone):%Y-%m-%dT%H:%M:%S}"


def event_of(appointment: Appointment, site: Site, can_book: bool) -> dict[str, Any]:
    """One appointment as the calendar takes it."""
    lost = displaced_words(appointment, now=timezone.now())
    return {
        "id": str(appointment.pk),
        "start": wall(appointment.starts_at, site),
        "end": wall(appointment.ends_at, site),
        "title": str(appointment.patient),
        "startEditable": movable(appointment, can_book),
        "classNames": ["desk-event", f"desk-event-{'danger' if lost else STATUS_LABELS[appointment.status]}"],
        "extendedProps": {
            "version": seen(appointment),
            "status": " · ".join([appointment.get_status_display(), *([lost] if lost else [])]),
            "what": str(appointment.procedure_type),
            "who": names(appointment),
            "page": page_of(appointment),
        },
    }


def closed_event(closure: Closure, site: Site) -> dict[str, Any]:
    """A closure as the calendar takes it: a shade behind the day."""
    return {
        "id": f"closed {closure.pk}",
        "display": "background",
        "start": wall(closure.starts_at, site),
        "end": wall(closure.ends_at, site),
        "title": closure.reason,
        "classNames": ["desk-closed"],
    }


@transaction.atomic
def move(request: HttpRequest) -> HttpResponse:
    """Move `appointment` to the wall time `starts`; with `check`, only say whether that would do.

    What `services.kept_resources` names goes along, and so does the resource that the calendar is narrowed to. A check
    is answered with JSON: `words` to show, `ended_by` to begin with, 422 with the refusal's `code` when it would not
    do, 409 and "stale" when the calendar does not show the appointment as it stands. `seen` in the address: which
    version it shows. Of what is over already the service says so, or answers the same key again.
    """
    if not request.user.has_perm("procedures.book_appointment"):
        raise PermissionDenied
    now = timezone.now()
    number = request.POST.get("appointment", "")
    old = get_object_or_404(
        Appointment.objects.visible_to(staff(request))
        .select_related("site", "patient", "procedure_type")
        .prefetch_related("reservations__resource"),
        pk=int(number) if number.isdecimal() and len(number) < 18 else 0,
    )
    back = f"{reverse('admin:procedures_appointment_week')}?{request.POST.get('query', '')}"
    if old.status in old.EXPECTED and (stale := missed(request, old)):
        words = in_a_line(stale)
        if "check" in request.POST:
            words = f"{words} · {_('Load the page again first.')}"
            return JsonResponse({"words": words, "code": "stale"}, status=409)
        messages.error(request, words)
        return HttpResponseRedirect(back)
    try:
        where: dict[str, Any] = {
            "starts_at": dropped_at(request.POST.get("starts", ""), old.site),
            "resources": narrowed(request, old),
            "by": staff(request),
            "now": now,
        }
        if "check" in request.POST:
            words = question(old, services.check_reschedule(old.pk, **where))
            return JsonResponse({"words": words, "ended_by": WishForm(old=old).initial["ended_by"]})
        why = WishForm(request.POST, old=old)
        if not why.is_valid():
            raise ValidationError([fault for faults in why.errors.as_data().values() for fault in faults])
        new = services.reschedule(
            old.pk, **where, **why.cleaned_data, request_key=request.POST.get("key", "")[:50]
        )
    except ValidationError as refusal:
        if "check" in request.POST:
            code = str(getattr(refusal, "code", "invalid"))
            return JsonResponse({"words": " ".join(refusal.messages), "code": code}, status=422)
        tell(request, refusal)
        return HttpResponseRedirect(back)
    messages.success(request, _("Moved to %s; the old time is free.") % span(new))
    return HttpResponseRedirect(back)


def dropped_at(typed: str, site: Site) -> datetime:
    """The instant of the wall time at which something was dropped; ValidationError "invalid" for what is none."""
    try:
        at = datetime.fromisoformat(typed)
        if at.tzinfo:
            raise ValueError("a wall time has no zone of its own")
    except ValueError:
        raise ValidationError(_("That is no time of the calendar."), code="invalid") from None
    return to_instant(at, site.zone)


def narrowed(request: HttpRequest, old: Appointment) -> list[Resource]:
    """The resource that the calendar is narrowed to, if the appointment holds it."""
    chosen = request.POST.get("resource", "")
    held = {row.resource_id: row.resource for row in old.reservations.all() if row.released_at is None}
    return [appointment for pk, appointment in held.items() if str(pk) == chosen]


def question(old: Appointment, new: Appointment) -> str:
    """What is asked before anything moves."""
    return _("Move %(patient)s from %(old)s to %(new)s? Held then: %(names)s.") % {
        "patient": old.patient,
        "old": span(old),
        "new": span(new),
        "names": names(new),
    }


AppointmentAdmin.pages += [
    path("week/", admin.site.admin_view(week), name="procedures_appointment_week"),
    path("week/move/", admin.site.admin_view(by_button(move)), name="procedures_appointment_week_move"),
]
