"""Which days the list of appointments is about: its tabs, and the words above it."""

from datetime import date, datetime, timedelta
from typing import Any, cast

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clinic.admin.base import staff
from clinic.models import Site
from clinic.timezones import day_span
from procedures.models import Appointment
from procedures.models.appointments import AppointmentQuerySet


class WhenFilter(admin.SimpleListFilter):
    """Today, tomorrow or this week, by each site's own calendar; shown as tabs above the list."""

    title = _("day")
    parameter_name = "when"
    template = "admin/procedures/appointment/when_filter.html"
    tabs = (("today", _("Today")), ("tomorrow", _("Tomorrow")), ("week", _("This week")), ("all", _("All")))

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.chosen = chosen_days(request)
        self.sites = list(Site.objects.visible_to(staff(request)))
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.tabs

    def value(self) -> str:
        return self.chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        spans = Q(pk__in=[])
        for site in self.sites:
            start, end = self.span(site, timezone.now())
            spans |= Q(site=site, starts_at__gte=start, starts_at__lt=end)
        return queryset.filter(spans)

    def span(self, site: Site, now: datetime) -> tuple[datetime, datetime]:
        """The half-open span of UTC instants that the tab means at the site."""
        today = now.astimezone(site.zone).date()
        if self.value() == "week":
            monday = today - timedelta(days=today.weekday())
            return day_span(monday, site.zone)[0], day_span(monday + timedelta(days=6), site.zone)[1]
        return day_span(today + timedelta(days=self.value() == "tomorrow"), site.zone)


class ChangeFilter(admin.SimpleListFilter):
    """Appointments whose patients have asked for another time, on whatever day."""

    title = _("asked for another time")
    parameter_name = "wants_change"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("yes", _("yes")),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return cast(AppointmentQuerySet, queryset).wanting_change() if self.value() == "yes" else queryset


class DeceasedFilter(admin.SimpleListFilter):
    """Appointments to be cancelled because their patients have died, on whatever day."""

    title = _("patient has died")
    parameter_name = "deceased"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("yes", _("yes")),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return cast(AppointmentQuerySet, queryset).of_the_deceased() if self.value() == "yes" else queryset


class DisplacedFilter(admin.SimpleListFilter):
    """Appointments to come that have lost what they hold, on whatever day."""

    title = _("displaced")
    parameter_name = "displaced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("yes", _("yes")),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = cast(AppointmentQuerySet, queryset)
        return rows.displaced(timezone.now()) if self.value() == "yes" else rows


class StatusFilter(admin.SimpleListFilter):
    """By status, where one that was moved is rescheduled and not cancelled."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (*Appointment.Status.choices, ("rescheduled", _("rescheduled")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows, status = cast(AppointmentQuerySet, queryset), self.value()
        if status == "rescheduled":
            return rows.moved()
        if status == Appointment.Status.CANCELLED:
            return rows.called_off()
        return rows.filter(status=status) if status in Appointment.Status.values else rows


def chosen_days(request: HttpRequest) -> str:
    """Which tab is open. Whoever searches, or leafs through the months, means all days, unless they say otherwise."""
    chosen = request.GET.get("when")
    if chosen in dict(WhenFilter.tabs):
        return chosen
    tasks = (ChangeFilter, DeceasedFilter, DisplacedFilter)
    narrowed = ("q", "patient__id__exact", *(task.parameter_name for task in tasks))
    return "all" if any(n in narrowed or n.startswith("starts_at__") for n in request.GET) else "today"


def day_words(when: WhenFilter, sites: list[Site], now: datetime) -> str:
    """The date, or the first and last of the week, that the list is about; by site where they differ."""
    if when.value() == "all":
        return ""
    words: dict[str, list[str]] = {}
    for site in sites:
        start, end = (moment.astimezone(site.zone) for moment in when.span(site, now))
        last = end - timedelta(minutes=1)
        text = f"{start:%A %-d %B %Y}"
        if last.date() != start.date():
            same = start.month == last.month
            text = f"{start:%-d}" if same else f"{start:%-d %B}"
            text += f" – {last:%-d %B %Y}"
        words.setdefault(text, []).append(site.name)
    if len(words) == 1:
        return next(iter(words))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in words.items())


def day_in(typed: str, site: Site, *, now: datetime) -> date:
    """The day that an address names as YYYY-MM-DD; today at the site where it names none, or nonsense."""
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        day = date.min
    # Nothing is planned in other centuries, and the calendar's own ends cannot be reckoned with.
    return day if 1950 <= day.year <= 2150 else now.astimezone(site.zone).date()
