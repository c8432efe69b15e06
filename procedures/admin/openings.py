"""Times that came free at the front desk, each with those whom it would suit."""

from functools import cached_property
from typing import Any, cast

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyAdmin, SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from procedures import services
from procedures.admin.descriptions import label, page_of, span
from procedures.models import Appointment, FreedTime, WaitlistEntry
from procedures.services.openings import MANAGE, partly_taken
from procedures.services.waitlist_matching import CLINICIANS
from procedures.workflow import BOOK

#: Categories whose resource says what came free.
WHAT = CLINICIANS | {"procedure_room"}


class FreedFilter(admin.SimpleListFilter):
    """Which freed times are still to be given to somebody."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("open")), *((value, text) for value, text in FreedTime.Closed.choices if value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "open":
            return queryset.filter(closed_at=None)
        return queryset.filter(closed_reason=self.value()) if self.value() else queryset


@admin.register(FreedTime)
class FreedTimeAdmin(ReadOnlyAdmin):
    list_display = ("when", "site", "what", "since", "state")
    list_display_links = ("when",)
    list_filter = (FreedFilter, ("site", SeenFilter))
    search_fields = ("site__name", "appointment__reservations__resource__name")
    search_help_text = _("Site or resource")
    change_list_template = "admin/procedures/freedtime/change_list.html"
    change_form_template = "admin/procedures/freedtime/change_form.html"
    fieldsets = ((None, {"fields": (("when", "site"), ("what", "since"), ("ended", "closed_by"))}),)
    readonly_fields = ("when", "what", "since", "ended")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FreedTime]:
        rows = super().get_queryset(request).select_related("site", "appointment", "closed_by")
        return cast(
            QuerySet[FreedTime],
            rows.annotate(taken_again=partly_taken()).prefetch_related(
                "appointment__reservations__resource__categories"
            ),
        )

    def get_ordering(self, request: HttpRequest) -> Any:
        """Open ones first, the soonest at the top; then what was closed last."""
        return (F("closed_at").desc(nulls_first=True), "starts_at", "pk")

    # A freed time's page.

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None:
            now = timezone.now()
            may_manage = request.user.has_perm(MANAGE)
            may_see = request.user.has_perm("procedures.view_waitlistentry")
            still_free = found.closed_at is None and found.starts_at > now
            extra_context = {
                **(extra_context or {}),
                "matches": [
                    {"match": match, "clash": clash(match.booked_already)}
                    for match in (services.matches(found, by=staff(request), now=now) if may_see else ())
                ],
                "state": self.state(found),
                "when": self.when(found),
                "what": self.what(found),
                "still_free": still_free,
                "can_book": still_free and may_manage and request.user.has_perm(BOOK),
                "can_dismiss": still_free and may_manage,
                "taken_again": still_free and vars(found)["taken_again"],
                "title": _("Freed time"),
                "subtitle": f"{self.when(found)}, {found.site}",
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """It has none: it is opened once and closed once, and says itself when and by whom."""
        raise Http404

    # The list.

    @display(description=_("when"), ordering="starts_at")
    def when(self, freed: FreedTime) -> str:
        return span(Appointment(site=freed.site, starts_at=freed.starts_at, ends_at=freed.ends_at))

    @display(description=_("what came free"))
    def what(self, freed: FreedTime) -> str:
        names = [
            reservation.resource.name
            for reservation in freed.appointment.reservations.all()
            if {category.code for category in reservation.resource.categories.all()} & WHAT
        ]
        minutes = int((freed.ends_at - freed.starts_at).total_seconds() // 60)
        return " · ".join([*dict.fromkeys(names), str(_("%d min") % minutes)])

    @display(description=_("free since"), ordering="created_at")
    def since(self, freed: FreedTime) -> str:
        return site_time_text(freed.created_at, freed.site)

    @display(description=_("state"))
    def state(self, freed: FreedTime) -> SafeString:
        if freed.closed_at:
            kind = "success" if freed.closed_reason == FreedTime.Closed.FILLED else "default"
            return label(freed.get_closed_reason_display(), kind, [])
        if freed.starts_at <= timezone.now():  # the tick closes it within the minute
            return label(FreedTime.Closed.PASSED.label, "default", [])
        marks = [(_("partly taken again"), "warning")] if vars(freed)["taken_again"] else []
        return label(_("open"), "info", marks)

    @display(description=_("closed"))
    def ended(self, freed: FreedTime) -> str:
        if freed.closed_at is None:
            return "–"
        return f"{freed.get_closed_reason_display()}: {site_time_text(freed.closed_at, freed.site)}"


def clash(appointment: Appointment | None) -> dict[str, str] | None:
    """What the patient has for the same procedure already: when, and its page."""
    if appointment is None:
        return None
    return {"when": site_time_text(appointment.starts_at, appointment.site), "page": page_of(appointment)}


class BookFreed(ActionPage):
    """Book a waiting patient into the freed time; what stands in the way is said on the time's page.

    The button carries what the patient waits for. What is closed, or no longer free, the service refuses.
    """

    model = FreedTime
    name, address, button = "book", "<int:pk>/book/<int:entry>/", True
    permission_required = (MANAGE, BOOK)
    done = _("The appointment is booked; the patient is off the waitlist.")

    @cached_property
    def waiting(self) -> WaitlistEntry:
        """Who is booked."""
        return get_object_or_404(WaitlistEntry.objects.visible_to(self.by), pk=self.kwargs["entry"])

    def versioned_row(self) -> WaitlistEntry | None:
        closed = self.row.closed_at or self.waiting.closed_at
        return None if closed else self.waiting

    def act(self, form: Any) -> Appointment:
        return services.book_from_waitlist(self.waiting.pk, freed_id=self.row.pk, by=self.by, now=self.now)

    def url_after(self, result: Appointment) -> str:
        return page_of(result)


class DismissFreed(ActionPage):
    """Nobody shall be offered the freed time."""

    model = FreedTime
    name, button, service = "dismiss", True, staticmethod(services.dismiss_freed)
    permission_required = MANAGE
    done = _("The freed time is dismissed.")

    def versioned_row(self) -> FreedTime | None:
        return self.row if self.row.closed_at is None else None

    def url_after(self, result: FreedTime) -> str:
        return f"{reverse('admin:procedures_freedtime_changelist')}?state=open"


FreedTimeAdmin.pages += paths(BookFreed, DismissFreed)
