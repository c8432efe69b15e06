"""Adverse events: the list, a section on their follow-up's page, and the pages that record and correct them."""

from functools import cached_property
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.record_forms import ReasonForm, RecordForm, dressed, reason_field
from outcomes import services
from outcomes.admin.drill_down import CellFilter, ShowsBehind
from outcomes.models import AdverseEvent, FollowUp
from outcomes.services.adverse_events import FIELDS
from patients import services as patients
from patients.admin import searched
from procedures.admin.descriptions import label

RECORD = "outcomes.record_adverseevent"
#: Colour of each severity; its word always stands beside it.
SEVERITY_LABELS = {"mild": "info", "moderate": "warning", "severe": "danger"}


class AdverseEventForm(RecordForm):
    """What happened."""

    class Meta:
        model = AdverseEvent
        formfield_callback = dressed
        fields = FIELDS
        labels: ClassVar[dict[str, Any]] = {
            "suspect": _("Suspected cause"),
            "relation": _("How likely it is the cause"),
        }


class CorrectEventForm(AdverseEventForm):
    """The same, and why it is said otherwise than before."""

    reason = reason_field()


class StandingFilter(admin.SimpleListFilter):
    """Those that count, unless the mistakes are asked for."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("error", _("entered in error")), ("all", _("all"))]

    def choices(self, changelist: Any) -> Any:
        every = list(super().choices(changelist))
        return [{**every[0], "display": _("recorded")}, *every[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(entered_in_error_at__isnull=self.value() != "error")


@admin.register(AdverseEvent)
class AdverseEventAdmin(ShowsBehind):
    list_display = ("what", "who", "after", "began", "how_it_is", "outcome", "why")
    list_display_links = ("what",)
    list_filter = (
        *(StandingFilter, "serious", "severity", "term", "outcome", "relation"),
        ("follow_up__procedure__site", SeenFilter),
        "follow_up__procedure__procedure_type__family",
        CellFilter,
    )
    change_list_template = "admin/outcomes/behind.html"
    list_fullwidth = True
    search_fields = searched("follow_up__patient__")
    search_help_text = _("Patient")
    ordering = ("-onset_on", "-pk")
    date_hierarchy = "onset_on"
    change_form_template = "admin/outcomes/adverseevent/change_form.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("term", "began"),
                    "description",
                    ("severity", "serious"),
                    ("outcome", "grade"),
                    ("relation", "suspect"),
                    "follow_up",
                )
            },
        ),
        (
            _("How it came about"),
            {"fields": (("recorded", "recorded_by"), ("corrected_reason", "mistake"))},
        ),
    )
    readonly_fields = ("began", "recorded", "mistake", "corrected_reason")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AdverseEvent]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "follow_up__patient",
                "follow_up__procedure__procedure_type",
                "follow_up__procedure__site",
                "recorded_by",
            )
        )
        return cast(QuerySet[AdverseEvent], rows)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None and self.has_view_permission(request, found):
            patients.record_page_view(found.follow_up.patient, by=staff(request), now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "can_record": request.user.has_perm(RECORD) and not found.entered_in_error_at,
                "subtitle": str(found.follow_up.patient),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("what happened"), ordering="term")
    def what(self, event: AdverseEvent) -> SafeString:
        return format_html(
            "{}<span class='desk-sub'>{}</span>", event.get_term_display(), brief(event.description)
        )

    @display(description=_("patient"), ordering="follow_up__patient__family_name")
    def who(self, event: AdverseEvent) -> SafeString:
        patient = event.follow_up.patient
        return format_html("{}<span class='desk-sub'>{}</span>", patient, patient.record_number)

    @display(description=_("after"), ordering="follow_up__procedure__procedure_type__name")
    def after(self, event: AdverseEvent) -> SafeString:
        procedure = event.follow_up.procedure
        day = procedure.performed_at.astimezone(procedure.site.zone).date()
        return format_html(
            "{}<span class='desk-sub'>{} · {}</span>",
            procedure.procedure_type,
            day.isoformat(),
            procedure.site,
        )

    @display(description=_("began"), ordering="onset_on")
    def began(self, event: AdverseEvent) -> str:
        return event.onset_on.isoformat()

    @display(description=_("severity"), ordering="severity")
    def how_it_is(self, event: AdverseEvent) -> SafeString:
        return how_it_is(event)

    @display(description=_("relation"), ordering="relation")
    def why(self, event: AdverseEvent) -> SafeString:
        return format_html(
            "{}<span class='desk-sub'>{}</span>", event.get_relation_display(), event.get_suspect_display()
        )

    @display(description=_("recorded"))
    def recorded(self, event: AdverseEvent) -> str:
        return site_time_text(event.recorded_at, event.follow_up.procedure.site)

    @display(description=_("entered in error"))
    def mistake(self, event: AdverseEvent) -> str:
        if not event.entered_in_error_at:
            return "–"
        at = site_time_text(event.entered_in_error_at, event.follow_up.procedure.site)
        return f"{at}: {event.entered_in_error_reason}"


class EventPage(ActionPage):
    """A page about an adverse event."""

    model = AdverseEvent
    permission_required = RECORD

    def course(self) -> FollowUp:
        """The follow-up to which the event belongs."""
        follow_up: FollowUp = self.row.follow_up
        return follow_up

    def lead(self) -> str:
        return f"{self.course().patient} · {self.course().procedure}"


class RecordEvent(EventPage):
    """Something bad happened after a procedure."""

    name, address = "record", "record/<int:follow_up>/"
    form_class = AdverseEventForm
    title, done = _("Record an adverse event"), _("The adverse event is recorded.")

    @cached_property
    def row(self) -> FollowUp:
        rows = FollowUp.objects.visible_to(self.by).select_related(
            "patient", "procedure__site", "procedure__procedure_type"
        )
        return get_object_or_404(rows, pk=self.kwargs["follow_up"])

    def course(self) -> FollowUp:
        return self.row

    def versioned_row(self) -> None:
        return None

    def home(self) -> str:
        return reverse("admin:outcomes_followup_change", args=[self.row.pk])

    def act(self, form: AdverseEventForm) -> AdverseEvent:
        event = AdverseEvent(follow_up=self.row, **form.said())
        return services.record_adverse_event(event, by=self.by, now=self.now)


class CorrectEvent(EventPage):
    """Say better what happened, or how it went on."""

    name, form_class, service = "correct", CorrectEventForm, staticmethod(services.correct_adverse_event)
    title, done = _("Correct"), _("The adverse event is corrected; what stood before is in its history.")

    def get_initial(self) -> dict[str, Any]:
        return {name: getattr(self.row, name) for name in FIELDS}

    def values(self, form: CorrectEventForm) -> dict[str, Any]:
        return {"changes": form.said(), "reason": form.cleaned_data["reason"]}


class EventInError(EventPage):
    """It never happened, or not to this patient."""

    name, form_class, service = "error", ReasonForm, staticmethod(services.void_adverse_event)
    title, done = _("Entered in error"), _("It is marked as entered in error; it counts nowhere.")
    danger = True


AdverseEventAdmin.pages += paths(RecordEvent, CorrectEvent, EventInError)


def page_of(event: AdverseEvent) -> str:
    return reverse("admin:outcomes_adverseevent_change", args=[event.pk])


def brief(text: str) -> str:
    """The beginning of a description, as much as a line of a list holds."""
    return text if len(text) <= 80 else f"{text[:79]}…"


def how_it_is(event: AdverseEvent) -> SafeString:
    """The severity, marked when it is serious."""
    marks = [(_("serious"), "danger")] if event.serious else []
    return label(event.get_severity_display(), SEVERITY_LABELS[event.severity], marks)


def relation_words(event: AdverseEvent) -> str:
    """How likely the procedure or the device caused it: "probable, the device"."""
    return f"{event.get_relation_display()}, {event.get_suspect_display()}"


def events_fragment(request: HttpRequest, follow_up: FollowUp) -> SafeString:
    """The adverse events of a follow-up, as its page shows them."""
    if not request.user.has_perm("outcomes.view_adverseevent"):
        return SafeString("")
    context = {
        "follow_up": follow_up,
        "can_record": request.user.has_perm(RECORD) and follow_up.closed_reason != FollowUp.Closed.VOIDED,
        "rows": [
            {
                "event": event,
                "page": page_of(event),
                "how": how_it_is(event),
                "relation": relation_words(event),
                "brief": brief(event.description),
            }
            for event in follow_up.adverse_events.filter(entered_in_error_at=None)
        ],
    }
    return SafeString(render_to_string("admin/outcomes/adverse_events.html", context, request=request))
