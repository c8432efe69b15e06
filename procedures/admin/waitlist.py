"""The waitlist at the front desk: who waits, whom to ask again, and booking them at a chosen time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import DeskAdmin, SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.admin.stale_forms import StalePage
from patients.admin import searched
from procedures import services
from procedures.admin.appointment_forms import ChosenTimeForm, WaitlistForm, to_instant_of
from procedures.admin.descriptions import label, page_of
from procedures.models import Appointment, WaitlistEntry
from procedures.services.openings import MANAGE
from procedures.services.waitlist import ASK_AGAIN_DAYS, is_stale, rank, stale_when
from procedures.workflow import BOOK

#: Colour of each priority; its word always stands beside it.
PRIORITY_LABELS = {
    WaitlistEntry.Priority.URGENT: "danger",
    WaitlistEntry.Priority.SOON: "warning",
    WaitlistEntry.Priority.ROUTINE: "info",
}


def asked_again(entry: WaitlistEntry) -> list[tuple[Any, str]]:
    """The mark of who has waited so long that somebody should ask again."""
    stale = is_stale(entry, now=timezone.now())
    return [(_("ask again since %s") % entry.stale_on.isoformat(), "warning")] if stale else []


class WaitingFilter(admin.SimpleListFilter):
    """Who waits; whom to ask whether they still do; who does no more."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("ask", _("ask again")),
            ("booked", _("booked")),
            ("withdrawn", _("withdrawn")),
            ("all", _("all")),
        ]

    def choices(self, changelist: Any) -> Any:
        every = list(super().choices(changelist))
        return [{**every[0], "display": _("waiting")}, *every[1:]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        if self.value() in ("booked", "withdrawn"):
            return queryset.filter(closed_reason=self.value())
        queryset = queryset.filter(closed_at=None)
        return queryset.filter(stale_when(timezone.now())) if self.value() == "ask" else queryset


@admin.register(WaitlistEntry)
class WaitlistAdmin(DeskAdmin):
    form = WaitlistForm
    list_display = ("who", "what", "where", "since", "conditions", "urgency")
    list_display_links = ("who",)
    list_filter = (WaitingFilter, "priority", "procedure_type__family", ("sites", SeenFilter))
    list_fullwidth = True
    search_fields = (
        *searched("patient__"),
        *("procedure_type__name", "note"),
    )
    search_help_text = _("Patient, procedure type or note")
    autocomplete_fields = ("patient", "procedure_type", "sites", "clinicians")
    actions = ("still_waiting", "withdraw")
    change_list_template = "admin/procedures/waitlistentry/change_list.html"
    change_form_template = "admin/procedures/waitlistentry/change_form.html"
    add_fieldsets = (
        (_("Who and what"), {"fields": ("patient", "procedure_type", ("region", "laterality"), "intent")}),
        (_("How soon"), {"fields": (("priority", "notice_hours"), ("earliest_on", "stale_on"))}),
        (_("Where and by whom"), {"fields": ("sites", "clinicians", "note")}),
    )
    fieldsets = (
        (None, {"fields": (("patient", "procedure_type"), ("region", "laterality"), "intent")}),
        (_("How soon"), {"fields": (("priority", "notice_hours"), ("earliest_on", "stale_on"))}),
        (_("Where and by whom"), {"fields": ("sites", "clinicians", "note")}),
        (_("How it came about"), {"fields": (("joined", "created_by"), ("ended", "appointment"))}),
    )
    readonly_fields = ("joined", "ended", "created_by", "appointment")

    # Who may do what: the role's own permission, not Django's four verbs.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MANAGE)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Django's name for who is offered an action that asks for "manage"."""
        return request.user.has_perm(MANAGE)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistEntry]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "patient__site",
                "procedure_type",
                "created_by",
                "appointment__site",
                "appointment__procedure_type",
            )
        )
        return cast(QuerySet[WaitlistEntry], rows.prefetch_related("sites", "clinicians"))

    def get_ordering(self, request: HttpRequest) -> Any:
        return rank(timezone.now())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else self.add_fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        sites = list(staff(request).sites.all()[:2])
        today = timezone.now().astimezone(sites[0].zone if sites else None).date()
        return {
            "earliest_on": today,
            "stale_on": today + timedelta(days=ASK_AGAIN_DAYS),
            **super().get_changeform_initial_data(request),
        }

    def save_model(self, request: HttpRequest, obj: WaitlistEntry, form: Any, change: bool) -> None:
        services.join_waitlist(
            obj,
            sites=form.cleaned_data["sites"],
            clinicians=form.cleaned_data["clinicians"],
            by=staff(request),
            now=form.now,
        )

    # An entry's page.

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None:
            extra_context = {
                **(extra_context or {}),
                "state": self.state(found),
                "bookable": found.closed_at is None and request.user.has_perms([MANAGE, BOOK]),
                "manageable": found.closed_at is None and self.has_manage_permission(request),
                "title": _("Waitlist"),
                "subtitle": f"{found.patient}, {found.procedure_type}",
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description=_("They still wait"), permissions=["manage"])
    def still_waiting(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """Each was asked."""
        count = self.each(request, chosen, services.still_waiting)
        words = ngettext("%d patient still waits.", "%d patients still wait.", count) % count
        messages.info(request, words)

    @admin.action(description=_("Take off the waitlist"), permissions=["manage"])
    def withdraw(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        """None of them waits any more."""
        count = self.each(request, chosen, services.withdraw)
        words = ngettext("%d patient waits no more.", "%d patients wait no more.", count) % count
        messages.info(request, words)

    def each(self, request: HttpRequest, chosen: QuerySet[Any], act: Callable[..., WaitlistEntry]) -> int:
        """Do it with each of the chosen; with how many it could be done. What is refused is said by name."""
        done = 0
        for entry in chosen:
            try:
                act(entry.pk, by=staff(request), now=timezone.now())
            except ValidationError as refusal:
                messages.error(request, f"{entry}: {' '.join(refusal.messages)}")
            else:
                done += 1
        return done

    # The list.

    @display(description=_("patient"), ordering="patient__family_name")
    def who(self, entry: WaitlistEntry) -> SafeString:
        return format_html(
            '{}<span class="desk-sub">{}</span>',
            entry.patient,
            " · ".join(
                part.replace(" ", "\N{NO-BREAK SPACE}")
                for part in (entry.patient.record_number, entry.patient.phone)
                if part
            ),
        )

    @display(description=_("procedure type"), ordering="procedure_type__name")
    def what(self, entry: WaitlistEntry) -> SafeString:
        side = str(entry.get_laterality_display()) if entry.laterality else ""
        meant = " · ".join(part for part in (entry.region.replace("_", " "), side, entry.note) if part)
        return format_html('{}<span class="desk-sub">{}</span>', entry.procedure_type, meant)

    @display(description=_("where and by whom"))
    def where(self, entry: WaitlistEntry) -> SafeString:
        return format_html(
            '{}<span class="desk-sub">{}</span>',
            ", ".join(site.name for site in entry.sites.all()) or _("any site"),
            ", ".join(clinician.name for clinician in entry.clinicians.all()) or _("any clinician"),
        )

    @display(description=_("since"), ordering="created_at")
    def since(self, entry: WaitlistEntry) -> SafeString:
        zone = entry.patient.site.zone
        since = entry.created_at.astimezone(zone).date()
        until = (entry.closed_at or timezone.now()).astimezone(zone).date()
        days = (until - since).days
        return format_html(
            '{}<span class="desk-sub">{}</span>',
            since.isoformat(),
            ngettext("%d day", "%d days", days) % days,
        )

    @display(description=_("priority"), ordering="priority")
    def urgency(self, entry: WaitlistEntry) -> SafeString:
        """How urgent it is while it waits; then what became of it."""
        if entry.closed_at:
            return SafeString(self.state(entry))
        kind = PRIORITY_LABELS[WaitlistEntry.Priority(entry.priority)]
        return label(entry.get_priority_display(), kind, asked_again(entry))

    @display(description=_("notice and first day"))
    def conditions(self, entry: WaitlistEntry) -> SafeString:
        return format_html(
            '{}<span class="desk-sub">{}</span>',
            _("%d h notice") % entry.notice_hours,
            _("not before %s") % entry.earliest_on.isoformat(),
        )

    @display(description=_("state"))
    def state(self, entry: WaitlistEntry) -> SafeString:
        if entry.closed_at:
            kind = "success" if entry.closed_reason == WaitlistEntry.Closed.BOOKED else "default"
            word = label(entry.get_closed_reason_display(), kind, [])
            if entry.appointment is None:
                return word
            return format_html(
                '{} <a class="desk-link" href="{}">{}</a>',
                word,
                page_of(entry.appointment),
                site_time_text(entry.appointment.starts_at, entry.appointment.site),
            )
        return label(_("waiting"), "info", asked_again(entry))

    @display(description=_("since"))
    def joined(self, entry: WaitlistEntry) -> str:
        return site_time_text(entry.created_at, entry.patient.site)

    @display(description=_("closed"))
    def ended(self, entry: WaitlistEntry) -> str:
        if entry.closed_at is None:
            return "–"
        return f"{entry.get_closed_reason_display()}: {site_time_text(entry.closed_at, entry.patient.site)}"


class EntryPage(ActionPage):
    """A page about an entry of the waitlist."""

    model = WaitlistEntry
    permission_required: Any = MANAGE


class BookEntry(EntryPage):
    """Book a waiting patient at a time of the clerk's choice."""

    name, form_class, service = "book", ChosenTimeForm, staticmethod(services.book_from_waitlist)
    permission_required = (MANAGE, BOOK)
    title, submit = _("Book from the waitlist"), _("Book")
    done = _("The appointment is booked; the patient is off the waitlist.")

    def unavailable_reason(self) -> Any:
        how = self.row.get_closed_reason_display()
        return _("This patient is not waiting any more: %s.") % how if self.row.closed_at else ""

    def lead(self) -> str:
        return f"{self.row.patient} · {self.row.procedure_type}"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request, "entry": self.row}

    def values(self, form: ChosenTimeForm) -> dict[str, Any]:
        said = form.cleaned_data
        at = to_instant_of("starts", said["starts"], said["site"].zone)
        return {"starts_at": at, "site": said["site"], "resources": said["resources"]}

    def url_after(self, result: Appointment) -> str:
        return page_of(result)

    def overtaken(self, form: Any, stale: StalePage) -> HttpResponse:
        why_not = self.unavailable_reason()
        return self.leave(why_not) if why_not else super().overtaken(form, stale)


class Asked(EntryPage):
    """The patient still waits. That an entry is closed already, the service says."""

    name, button, service = "asked", True, staticmethod(services.still_waiting)
    done = _("The patient still waits.")

    def versioned_row(self) -> WaitlistEntry | None:
        return self.row if self.row.closed_at is None else None


class Withdrawn(Asked):
    """The patient waits no more."""

    name, service = "withdrawn", staticmethod(services.withdraw)
    done = _("The patient is taken off the waitlist.")


WaitlistAdmin.pages += paths(BookEntry, Asked, Withdrawn)
