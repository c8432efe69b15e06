"""The Book screen: patient, procedure type, a time that really fits, hold, book. Moving uses the same times.

Everything searched for stands in the address, so that going back and reloading lose nothing; only POST changes
anything. What the service refuses is said above the times, which are looked up afresh.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.action_pages import carried, in_a_line, missed
from clinic.admin.base import staff, tell
from clinic.admin.form_data import shown_by
from clinic.row_versions import column_digests
from patients.models import Patient
from procedures import services
from procedures.admin.appointment_forms import WishForm
from procedures.admin.appointments import AppointmentAdmin
from procedures.admin.descriptions import meant, page_of, span
from procedures.admin.slot_forms import FindForm, MoveForm, chosen_fields, same_again
from procedures.admin.slot_times import SlotSearch, picked, times, with_query
from procedures.admin.workflow_actions import RESCHEDULE
from procedures.models import Appointment
from procedures.workflow import EXPECTED, PRESENT, STEPS

#: So many patients are offered for what was typed, and so many of a patient's earlier appointments to repeat.
MOST_PATIENTS = 20
MOST_AGAIN = 3


def find(request: HttpRequest) -> HttpResponse:
    """The page for a new appointment, or with one of WAYS in its address for a time of one that is there."""
    if not request.user.has_perm("procedures.book_appointment"):
        raise PermissionDenied
    now = timezone.now()
    for name in WAYS.keys() & request.GET.keys():
        return retime(request, name, now=now)
    patient = chosen_patient(request)
    if patient is None:
        return page(request, {"step": "patient", **patients(request)})
    if request.method == "POST" and "held" in request.POST:
        return settle(request, now=now)
    form = FindForm(
        request.GET if "procedure_type" in request.GET else None, request=request, patient=patient, now=now
    )
    context: dict[str, Any] = {
        "step": "time",
        "patient": patient,
        "form": form,
        "again": SimpleLazyObject(lambda: again(request, patient)),
        "typed": f"{reverse('admin:procedures_appointment_add')}?{urlencode(chosen_fields(request))}",
    }
    held = held_now(request, now=now)
    if held and held.status != held.Status.HELD:  # back from its page: it is not to be booked once more
        messages.info(request, _("This time is booked already."))
        return HttpResponseRedirect(page_of(held))
    if held:
        return page(request, context | {"step": "held", "held": held, **about(held)})
    if not form.is_bound or not form.is_valid():
        return page(request, context, status=422 if form.errors else 200)
    wish = SlotSearch(form.wished(now), form.places(), form.cleaned_data["clinician"])
    if request.method == "POST":
        try:
            return hold(request, wish, now=now)
        except ValidationError as refusal:
            tell(request, refusal)
            return page(request, context | times(request, wish, form.cleaned_data["on"], now=now), status=422)
    return page(request, context | times(request, wish, form.cleaned_data["on"], now=now))


def page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """The page as it stands."""
    whole = {
        **admin.site.each_context(request),
        "title": _("Move an appointment") if context.get("way") == "move" else _("Book"),
        "key": secrets.token_urlsafe(16),
        "query": request.GET.urlencode(),
        **context,
    }
    return TemplateResponse(request, "admin/procedures/book.html", whole, status=status)


# Who.


def chosen_patient(request: HttpRequest) -> Patient | None:
    """The patient that the address names, if the user may see them."""
    number = request.GET.get("patient", "")
    rows = Patient.objects.visible_to(staff(request)).select_related("site")
    return rows.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 18 else None


def patients(request: HttpRequest) -> dict[str, Any]:
    """The patients found by any part of a name, birth date or record number."""
    typed = request.GET.get("q", "").strip()
    if not typed:
        return {"q": "", "found": None}
    rows = Patient.objects.visible_to(staff(request)).filter(died_on=None, merged_into=None)
    desk: Any = admin.site.get_model_admin(Patient)
    matching, _twice = desk.get_search_results(request, rows, typed)
    found = list(matching.order_by("family_name", "given_name", "pk")[: MOST_PATIENTS + 1])
    return {
        "q": typed,
        "found": [(row, with_query(request, patient=row.pk, q=None)) for row in found[:MOST_PATIENTS]],
        "more": len(found) > MOST_PATIENTS,
    }


def again(request: HttpRequest, patient: Patient) -> list[tuple[str, str]]:
    """What the patient had before, each with the address that looks for the same once more."""
    rows = (
        Appointment.objects.visible_to(staff(request))
        .filter(patient=patient, procedure_type__active=True)
        .exclude(status=Appointment.Status.ENTERED_IN_ERROR)
        .select_related("procedure_type")
        .order_by("-starts_at")[:20]
    )
    result: dict[tuple[Any, ...], tuple[str, str]] = {}
    for row in rows:
        asked = same_again(row)
        words = " · ".join(part for part in (str(row.procedure_type), meant(row)) if part)
        result.setdefault(tuple(asked.values()), (words, with_query(request, **asked)))
    return list(result.values())[:MOST_AGAIN]


# Done.


def hold(request: HttpRequest, wish: SlotSearch, *, now: datetime) -> HttpResponse:
    """Hold the chosen time while the clerk talks. The same click again shows the same hold."""
    asked = wish.appointment
    slot = request.POST.get("slot", "")
    asked.starts_at, asked.site = picked(request, slot, wish.sites)
    held = services.book(
        asked,
        resources=wish.named(),
        by=staff(request),
        now=now,
        request_key=f"{request.POST.get('key', '')[:50]} {slot}" if request.POST.get("key") else "",
        hold=True,
    )
    return HttpResponseRedirect(with_query(request, held=held.pk))


def held_now(request: HttpRequest, *, now: datetime) -> Appointment | None:
    """The hold that the address names, while it lasts, or what it was booked as; when it is over, that is said."""
    number = request.GET.get("held", "")
    if request.method != "GET" or not number.isdecimal() or len(number) > 18:
        return None
    rows = Appointment.objects.visible_to(staff(request)).select_related("site", "patient", "procedure_type")
    held = rows.prefetch_related("reservations__resource").filter(pk=int(number)).first()
    if held and held.status == held.Status.HELD and held.held_until and held.held_until > now:
        return held
    if held and held.status in EXPECTED | PRESENT:
        return held
    messages.warning(request, _("That time is no longer held. Choose again."))
    return None


def about(held: Appointment) -> dict[str, Any]:
    """What the page says about a hold."""
    until = held.held_until.astimezone(held.site.zone) if held.held_until else None
    return {
        "when": span(held),
        "what": meant(held),
        "names": ", ".join(dict.fromkeys(row.resource.name for row in held.reservations.all())),
        "until": f"{until:%H:%M %Z}" if until else "",
    }


@transaction.atomic
def settle(request: HttpRequest, *, now: datetime) -> HttpResponse:
    """Book what is held, or give it back: never what a colleague has booked meanwhile."""
    rows = Appointment.objects.visible_to(staff(request))
    number = request.POST["held"]
    held = get_object_or_404(rows, pk=int(number) if number.isdecimal() and len(number) < 18 else 0)
    back = with_query(request, held=None, seen=None)
    booked_already = "give_back" not in request.POST and held.status in held.EXPECTED
    if (stale := missed(request, held)) and not booked_already:
        messages.error(request, in_a_line(stale))
        return HttpResponseRedirect(with_query(request, seen=None))
    try:
        if "give_back" in request.POST:
            reason = "The hold was given back."
            services.take_step(held.pk, "cancel", by=staff(request), now=now, reason=reason)
            messages.info(request, _("The time is free again."))
            return HttpResponseRedirect(back)
        services.take_step(held.pk, "book", by=staff(request), now=now)
        messages.success(request, _("The appointment is booked."))
    except ValidationError as refusal:
        held.refresh_from_db()
        if held.status not in held.EXPECTED:  # a second click finds it booked: nothing to complain about
            tell(request, refusal)
            return HttpResponseRedirect(back)
    return HttpResponseRedirect(page_of(held))


class BookingAction(NamedTuple):
    """How an appointment that is there already gets the chosen time, and from which statuses; `step`: its address."""

    step: str
    origins: frozenset[str]
    deed: Callable[..., Appointment]
    done: Promise


#: By the name under which the address gives the appointment.
WAYS = {
    "move": BookingAction(
        RESCHEDULE,
        frozenset(EXPECTED),
        services.reschedule,
        gettext_lazy("The appointment has its new time; the old one is free."),
    ),
    "accept": BookingAction(
        "accept", STEPS["accept"].origins, services.accept, gettext_lazy("The appointment is booked.")
    ),
}


@transaction.atomic
def retime(request: HttpRequest, name: str, *, now: datetime) -> HttpResponse:
    """A time for an appointment that is expected or requested: shown first, taken by a second click."""
    way, number = WAYS[name], request.GET[name]
    rows = (
        Appointment.objects.visible_to(staff(request))
        .select_related("site", "patient__site", "procedure_type", "rescheduled_to")
        .prefetch_related("reservations__resource")
    )
    old = get_object_or_404(rows, pk=int(number) if number.isdecimal() and len(number) < 18 else 0)
    new = getattr(old, "rescheduled_to", None)
    if old.status not in way.origins:
        if new is None and old.status not in old.EXPECTED:  # else a second click, which finds it done
            messages.error(request, _("This appointment is %s.") % old.get_status_display())
        return HttpResponseRedirect(page_of(new or old))
    along = services.kept_resources(old) if name == "move" else []
    form = MoveForm(request.GET, request=request, old=old, along=along)
    form.is_valid()
    insisted = form.insisted()
    stay = services.kept_resources(old, insisted["resources"]) if along and insisted["keep"] else []
    wish = SlotSearch(
        old,
        [old.site],
        form.cleaned_data.get("clinician"),
        replacing=old,
        others=(*insisted["resources"], *stay),
    )
    why = WishForm(request.POST if request.method == "POST" else None, old=old)
    stale = missed(request, old, why) if request.method == "POST" else None
    if name == "accept":
        del insisted["keep"]
    context: dict[str, Any] = {
        "step": "time",
        "patient": old.patient,
        "old": old,
        "way": name,
        "form": form,
        "old_when": span(old),
        "what": meant(old),
        "names": ", ".join(dict.fromkeys(row.resource.name for row in old.reservations.all())),
        "typed": reverse("admin:procedures_appointment_step", args=[old.pk, way.step]),
    }
    try:
        if "slot" in request.GET:
            at, _site = picked(request, request.GET["slot"], wish.sites)
            if request.method == "POST" and stale is None and why.is_valid():
                said = insisted | (why.cleaned_data if name == "move" else {})
                new = way.deed(old.pk, starts_at=at, **said, by=staff(request), now=now)
                messages.success(request, str(way.done))
                return HttpResponseRedirect(page_of(new))
            there = at.astimezone(old.site.zone)
            back = with_query(request, slot=None)
            return page(
                request,
                context
                | {
                    "step": "sure",
                    "new_when": f"{there:%a %-d %b %Y, %H:%M %Z}",
                    "back": back,
                    "why": why if name == "move" else None,
                    "stay": ", ".join(map(str, wish.others)),
                    "stale": stale,
                    **carried(request, old, [shown_by(why), column_digests(old)], again=stale is not None),
                },
                status=409 if stale else 200,
            )
    except ValidationError as refusal:
        tell(request, refusal)
        # What had been chosen is not to be chosen again.
        context["query"] = with_query(request, slot=None)[1:]
        return page(request, context | times(request, wish, form.cleaned_data.get("on"), now=now), status=422)
    return page(request, context | times(request, wish, form.cleaned_data.get("on"), now=now))


AppointmentAdmin.pages.append(path("find/", admin.site.admin_view(find), name="procedures_appointment_find"))
