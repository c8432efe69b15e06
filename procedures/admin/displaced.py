"""Displaced appointments: each with another time that would do, moved together by one click."""

import secrets
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from clinic.admin.base import staff
from clinic.models import Closure
from procedures import services
from procedures.admin.appointments import AppointmentAdmin
from procedures.admin.descriptions import STATUS_LABELS, marks, page_of, span
from procedures.models import Appointment
from procedures.models.appointments import AppointmentQuerySet


def displaced(request: HttpRequest) -> HttpResponse:
    """The page: the next AT_ONCE displaced appointments, or those of `closure`, with what is proposed for each."""
    if not request.user.has_perm("procedures.book_appointment"):
        raise PermissionDenied
    now = timezone.now()
    if request.method == "POST":
        return move_them(request, now=now)
    rows = lost(request, now=now).select_related("site", "patient", "procedure_type")
    found = list(
        rows.prefetch_related("reservations__resource", "procedure_type__requirements").order_by(
            "starts_at", "pk"
        )
    )
    context = {
        **admin.site.each_context(request),
        "title": _("Displaced appointments"),
        "key": secrets.token_urlsafe(16),
        "query": request.GET.urlencode(),
        "rows": [proposal_row(proposal) for proposal in services.propose(found, now=now)],
        "more": max(len(found) - services.AT_ONCE, 0),
    }
    return TemplateResponse(request, "admin/procedures/displaced.html", context)


def lost(request: HttpRequest, *, now: datetime) -> AppointmentQuerySet:
    """The displaced appointments at the user's sites that can be moved; with `closure` in the address those of one."""
    seen = Appointment.objects.visible_to(staff(request)).displaced(now)
    rows = seen.filter(status__in=Appointment.EXPECTED)
    number = request.GET.get("closure", "")
    if number.isdecimal() and len(number) < 18:
        closure = Closure.objects.select_related("site", "resource").filter(pk=int(number)).first()
        if closure is None:
            return rows.none()
        rows = rows.filter(pk__in=services.displaced_by(closure, now=now).order_by().values("pk"))
    return rows


def proposal_row(proposal: services.Proposal) -> dict[str, Any]:
    """One appointment as the page shows it; `value` is what its box sends, "" where there is no time for it."""
    old, slot = proposal.appointment, proposal.slot
    find = f"{reverse('admin:procedures_appointment_find')}?move={old.pk}"
    shown: dict[str, Any] = {
        "appointment": old,
        "when": span(old),
        "page": page_of(old),
        "label": STATUS_LABELS[old.status],
        "marks": marks(old),
        "names": ", ".join(dict.fromkeys(held.resource.name for held in old.reservations.all())),
        "other": find,
        "value": "",
    }
    if slot:
        shown |= {
            "value": f"{old.pk} {slot.starts_at.astimezone(UTC):%Y-%m-%dT%H:%MZ} {'keep' if proposal.keep else 'any'}",
            "new_when": f"{slot.wall:%a %-d %b %Y, %H:%M %Z}",
            "new_names": ", ".join(dict.fromkeys(held.name for held in slot.resources)),
            "without": ", ".join(map(str, proposal.along)) if not proposal.keep else "",
        }
    return shown


def move_them(request: HttpRequest, *, now: datetime) -> HttpResponse:
    """Move selected appointments, each by itself: one that is refused stays, and is said."""
    key, moved = request.POST.get("key", "")[:50], 0
    for typed in request.POST.getlist("move")[: services.AT_ONCE]:
        number, at, how = [*typed.split(" "), "", ""][:3]
        rows = Appointment.objects.visible_to(staff(request)).select_related("patient", "site")
        old = rows.filter(pk=int(number) if number.isdecimal() and len(number) < 18 else 0).first()
        if old is None:
            continue
        try:
            starts_at = datetime.strptime(at, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        except ValueError:
            continue
        try:
            services.rebook(
                old.pk,
                starts_at=starts_at,
                keep=how != "any",
                by=staff(request),
                now=now,
                request_key=f"{key} {old.pk}" if key else "",
            )
        except ValidationError as refusal:
            messages.error(request, f"{old.patient}, {span(old)}: {' '.join(refusal.messages)}")
        else:
            moved += 1
    if moved:
        words = ngettext(
            "%d appointment has its new time; its patient is told by e-mail, if they agreed to e-mail.",
            "%d appointments have their new times; the patients are told by e-mail, if they agreed to e-mail.",
            moved,
        )
        messages.success(request, words % moved)
    return HttpResponseRedirect(request.get_full_path())


AppointmentAdmin.pages.append(
    path("displaced/", admin.site.admin_view(displaced), name="procedures_appointment_displaced")
)
