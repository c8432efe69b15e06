"""The steps that close an alert: acknowledge it, take it over, hand it over, snooze it, resolve it with a reason."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from clinic.admin.action_pages import ActionPage, paths
from outcomes import services
from outcomes.admin.alerts.forms import HandOverForm, ResolveForm, SnoozeForm
from outcomes.admin.alerts.model_admin import HANDLE, AlertAdmin
from outcomes.models import Alert


class AlertPage(ActionPage):
    """A step that needs something to be filled in. What is resolved already is shown instead."""

    model = Alert
    permission_required = HANDLE

    def unavailable_reason(self) -> Any:
        return _("This alert is resolved already.") if self.row.resolved_at else ""

    def lead(self) -> str:
        patient = self.row.patient
        return f"{self.row.get_kind_display()} · {patient} · {patient.phone or '–'}"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "alert": self.row}


class Acknowledge(ActionPage):
    """ "I have seen it and take care of it." """

    model = Alert
    permission_required = HANDLE
    name, button, service = "acknowledge", True, staticmethod(services.acknowledge)
    done = _("The alert is yours.")

    def versioned_row(self) -> Alert | None:
        mine = self.row.owner_id == self.by.pk and self.row.acknowledged_at is not None  # a second click
        return None if mine else self.row


class Take(Acknowledge):
    """Become the owner of what somebody else has taken."""

    name, service = "take", staticmethod(services.take_alert)


class HandOver(AlertPage):
    """Make somebody else the owner."""

    name, form_class, service = "hand-over", HandOverForm, staticmethod(services.hand_over)
    title, done = _("Hand over"), _("The alert has its new owner.")


class Snooze(AlertPage):
    """Put it out of sight for some time."""

    name, form_class, service = "snooze", SnoozeForm, staticmethod(services.snooze)
    title, done = _("Snooze"), _("The alert is snoozed.")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "now": self.now}


class Resolve(AlertPage):
    """Close it with a reason."""

    name, form_class, service = "resolve", ResolveForm, staticmethod(services.resolve)
    title, done = _("Resolve"), _("The alert is resolved.")


AlertAdmin.pages += paths(Acknowledge, Take, HandOver, Snooze, Resolve)
