"""The list of what somebody must look at, and a page for each alert."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.models import Site, User
from clinic.row_versions import beside
from outcomes import services
from outcomes.admin.adverse_events import RECORD
from outcomes.admin.alerts.descriptions import devices_due, due_label, ending, questions
from outcomes.admin.alerts.filters import OwnerFilter, StateFilter, tabs
from outcomes.admin.courses import course_fragment, with_answers
from outcomes.admin.drill_down import CellFilter, ShowsBehind
from outcomes.admin.providers import AlertProviders
from outcomes.charts.svg import percent
from outcomes.models import Alert, FollowUp
from outcomes.models.alerts import AlertQuerySet, weight_of_urgency
from outcomes.reports.alert_load import LOOKS_BACK, AlertLoad, alert_loads
from patients import services as patients
from patients.admin import searched
from procedures.admin.descriptions import label

HANDLE = "outcomes.handle_alert"
#: Colour of each urgency; its word always stands beside it.
URGENCY_LABELS = {"emergency": "danger", "same_day": "warning", "routine": "info"}


@admin.register(Alert)
class AlertAdmin(ShowsBehind):
    list_display = ("what", "who", "after", "due", "whose")
    list_display_links = ("what",)
    list_filter = (
        StateFilter,
        OwnerFilter,
        AlertProviders,
        "kind",
        "urgency",
        ("site", SeenFilter),
        CellFilter,
    )
    list_fullwidth = True
    search_fields = searched("patient__")
    search_help_text = _("Patient")
    change_list_template = "admin/outcomes/alert/change_list.html"
    change_form_template = "admin/outcomes/alert/change_form.html"
    fieldsets = (
        (None, {"fields": (("raised", "due_by"), ("acknowledged", "whose"), ("told_again", "site"))}),
    )
    fieldsets_at_the_end = (
        (_("How it ended"), {"fields": (("ended", "resolved_by"), ("resolution", "resolution_note"))}),
    )
    readonly_fields = ("raised", "due_by", "acknowledged", "whose", "told_again", "ended")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        rows = (
            super()
            .get_queryset(request)
            .select_related("patient", "site", "owner", "resolved_by")
            .select_related("follow_up__procedure__procedure_type", "follow_up__summary")
        )
        return cast(AlertQuerySet, rows).weighed()

    def get_ordering(self, request: HttpRequest) -> Any:
        """Open ones first, the most urgent at the top, then by when they are due; then what was closed last."""
        return (F("resolved_at").desc(nulls_first=True), weight_of_urgency(), "due_at", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fieldsets_at_the_end, *self.fieldsets) if obj and obj.resolved_at else self.fieldsets

    # The list.

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        seen = Alert.objects.visible_to(staff(request))
        now = timezone.now()
        sites = list(Site.objects.visible_to(staff(request)).values_list("pk", flat=True))
        load = sum(alert_loads(sites, now=now).values(), AlertLoad())
        extra_context = {
            **(extra_context or {}),
            "tabs": tabs(seen.waiting(now), request.GET.get("kind__exact", "")),
            "days": LOOKS_BACK.days,
            "load": load,
            "acted_on": percent(load.acted_on.value) if load.acted_on else "",
            "title": _("Alerts"),
        }
        return super().changelist_view(request, extra_context)

    @display(description=_("alert"), ordering="weight")
    def what(self, alert: Alert) -> SafeString:
        marks: list[tuple[Any, str]] = []
        if alert.urgency == Alert.Urgency.EMERGENCY:
            marks.append((alert.get_urgency_display(), "danger"))
        if not alert.confirmed:
            marks.append((_("not confirmed"), "default"))
        return label(alert.get_kind_display(), URGENCY_LABELS[alert.urgency], marks)

    @display(description=_("patient"), ordering="patient__family_name")
    def who(self, alert: Alert) -> SafeString:
        patient = alert.patient
        return format_html(
            '{}<span class="desk-sub">{}</span>', patient, f"{patient.record_number} · {patient.phone or '–'}"
        )

    @display(description=_("after"))
    def after(self, alert: Alert) -> SafeString:
        lines = [str(alert.site), *map(str, filter(None, [services.ended_of(alert)]))]
        told = format_html_join("", '<span class="desk-sub">{}</span>', ((line,) for line in lines))
        return format_html("{}{}", alert.follow_up.procedure.procedure_type, told)

    @display(description=_("due"), ordering="due_at")
    def due(self, alert: Alert) -> SafeString:
        return due_label(alert, now=timezone.now())

    @display(description=_("owner"), ordering="owner__last_name")
    def whose(self, alert: Alert) -> str:
        if alert.owner is None or alert.acknowledged_at or alert.resolved_at:
            return str(alert.owner or "–")
        return format_html('{}<span class="desk-sub">{}</span>', alert.owner, _("has not looked yet"))

    @display(description=_("raised"))
    def raised(self, alert: Alert) -> str:
        return site_time_text(alert.raised_at, alert.site)

    @display(description=_("due by"))
    def due_by(self, alert: Alert) -> str:
        return site_time_text(alert.due_at, alert.site)

    @display(description=_("acknowledged"))
    def acknowledged(self, alert: Alert) -> str:
        return site_time_text(alert.acknowledged_at, alert.site)

    @display(description=_("the site was told again"))
    def told_again(self, alert: Alert) -> str:
        return site_time_text(alert.escalated_at, alert.site)

    @display(description=_("resolved"))
    def ended(self, alert: Alert) -> str:
        return site_time_text(alert.resolved_at, alert.site)

    # An alert's page.

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None and self.has_view_permission(request, found):
            now = timezone.now()
            patients.record_page_view(found.patient, by=staff(request), now=now)
            follow_up = (
                with_answers(FollowUp.objects.visible_to(staff(request))).get(pk=found.follow_up_id)
                if request.user.has_perm("outcomes.view_followup")
                else None
            )
            extra_context = {
                **(extra_context or {}),
                "what": self.what(found),
                "due": due_label(found, now=now),
                "ending": "" if follow_up else ending(found),  # the course says the same
                "questions": questions(found),
                "devices": devices_due(found, staff(request), now=now),
                "adverse_event": (
                    reverse("admin:outcomes_adverseevent_record", args=[found.follow_up_id])
                    if found.kind == Alert.Kind.RED_FLAG and request.user.has_perm(RECORD)
                    else ""
                ),
                "steps": available_actions(found, staff(request)),
                "course": follow_up and course_fragment(request, follow_up, now=now, linked=True),
                "title": _("Alert"),
                "subtitle": str(found.patient),
            }
        return super().change_view(request, object_id, form_url, extra_context)


def available_actions(alert: Alert, user: User) -> list[dict[str, Any]]:
    """What `user` can do with the alert now; `post`: with one click, nothing to fill in."""
    if alert.resolved_at or not user.has_perm(HANDLE):
        return []
    mine, seen = alert.owner_id == user.pk, alert.acknowledged_at is not None
    possible = [
        ("acknowledge", _("Acknowledge and take"), not seen),
        ("take", _("Take over"), seen and not mine),
        ("resolve", _("Resolve"), True),
        ("hand-over", _("Hand over"), True),
        ("snooze", _("Snooze"), alert.urgency != Alert.Urgency.EMERGENCY),
    ]
    at_once = ("acknowledge", "take")
    return [
        {
            "label": text,
            "url": reverse(f"admin:outcomes_alert_{name}", args=[alert.pk])
            + (f"?{beside(alert)}" if name in at_once else ""),
            "post": name in at_once,
        }
        for name, text, can in possible
        if can
    ]
