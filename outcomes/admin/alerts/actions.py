"""The steps that close an alert: acknowledge it, take it over, hand it over, snooze it, resolve it with a reason."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.admin.session_expired import by_button
from outcomes import services
from outcomes.admin.alerts.forms import HandOverForm, ResolveForm, SnoozeForm
from outcomes.admin.alerts.model_admin import HANDLE, AlertAdmin
from outcomes.models import Alert
from procedures.admin.workflow_actions import take as take_step


def may_handle(request: HttpRequest, pk: int) -> Alert:
    """The alert, if the user may see it and do something about it."""
    seen = Alert.objects.visible_to(staff(request)).select_related("patient", "site")
    alert = get_object_or_404(seen, pk=pk)
    if not request.user.has_perm(HANDLE):
        raise PermissionDenied
    return alert


def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """ "I have seen it and take care of it." """
    return one(request, pk, services.acknowledge)


def take(request: HttpRequest, pk: int) -> HttpResponse:
    """Become the owner of what somebody else has taken."""
    return one(request, pk, services.take)


def one(request: HttpRequest, pk: int, act: Callable[..., Alert]) -> HttpResponse:
    """Do it and show the alert's page."""
    alert = may_handle(request, pk)
    here = page_of(pk)

    def do() -> str:
        act(pk, by=staff(request), now=timezone.now())
        return here

    mine = alert.owner_id == staff(request).pk and alert.acknowledged_at is not None  # a second click
    return take_step(
        request,
        forms.Form(request.POST),
        do,
        done=_("The alert is yours."),
        back=here,
        context={},
        row=None if mine else alert,
    )


def hand_over(request: HttpRequest, pk: int) -> HttpResponse:
    """Make somebody else the owner."""
    alert = may_handle(request, pk)
    form = HandOverForm(request.POST if request.method == "POST" else None, alert=alert)
    return ask(request, alert, form, _("Hand over"), _("The alert has its new owner."))


def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Put it out of sight for some time."""
    alert = may_handle(request, pk)
    form = SnoozeForm(request.POST if request.method == "POST" else None, alert=alert, now=timezone.now())
    return ask(request, alert, form, _("Snooze"), _("The alert is snoozed."))


def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Close it with a reason."""
    alert = may_handle(request, pk)
    form = ResolveForm(request.POST if request.method == "POST" else None, alert=alert)
    return ask(request, alert, form, _("Resolve"), _("The alert is resolved."))


def ask(request: HttpRequest, alert: Alert, form: Any, title: Any, done: Any) -> HttpResponse:
    """A step that needs something to be filled in. What is resolved already is shown instead."""
    here = page_of(alert.pk)
    if request.method == "GET" and alert.resolved_at:
        messages.error(request, _("This alert is resolved already."))
        return HttpResponseRedirect(here)

    def act() -> str:
        form.act(by=staff(request), now=timezone.now())
        return here

    return take_step(
        request,
        form,
        act,
        done=done,
        back=here,
        row=alert,
        context={
            "title": title,
            "opts": Alert._meta,
            "submit": title,
            "lead": f"{alert.get_kind_display()} · {alert.patient} · {alert.patient.phone or '–'}",
        },
    )


def page_of(alert_id: int) -> str:
    return reverse("admin:outcomes_alert_change", args=[alert_id])


AlertAdmin.pages += [
    path(f"<int:pk>/{name}/", admin.site.admin_view(view), name=f"outcomes_alert_{name}")
    for name, view in {
        "acknowledge": by_button(acknowledge),
        "take": by_button(take),
        "hand-over": hand_over,
        "snooze": snooze,
        "resolve": resolve,
    }.items()
]
