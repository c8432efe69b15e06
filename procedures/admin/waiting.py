"""The waitlist at the front desk, and the times that came free with those whom they would suit."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import BASE_INPUT_CLASSES, UnfoldAdminSelectWidget

from clinic.admin.base import DeskAdmin, DeskForm, ReadOnlyAdmin, SeenFilter, staff, tell
from clinic.admin.wall import DateInput, WallClockField, shown
from clinic.models import Site, User
from procedures import services
from procedures.admin.forms import regions, resource_field, to_instant_of
from procedures.admin.steps import take
from procedures.admin.words import page_of, span
from procedures.models import Appointment, FreedTime, Intent, Reservation, WaitlistEntry
from procedures.services.freeing import MANAGE
from procedures.services.waiting import ASK_AGAIN_DAYS, CLINICIANS, is_stale, rank, stale_when
from procedures.steps import BOOK

#: Colour of each priority; its word always stands beside it.
PRIORITY_LABELS = {
    WaitlistEntry.Priority.URGENT: "danger",
    WaitlistEntry.Priority.SOON: "warning",
    WaitlistEntry.Priority.ROUTINE: "info",
}
#: Categories whose resource says what came free.
WHAT = CLINICIANS | {"procedure_room"}


def label(text: Any, kind: str, marks: list[tuple[Any, str]]) -> SafeString:
    """A coloured word with the marks beside it, as in the list of appointments."""
    html = render_to_string("admin/procedures/state.html", {"status": text, "kind": kind, "marks": marks})
    return SafeString(html)


class WaitlistForm(DeskForm):
    """A patient joins the waitlist. What is refused, the service says, beside the field that it is about."""

    intent = forms.ChoiceField(
        label=_("Intent"),
        required=False,
        choices=[("", _("as the procedure type says")), *Intent.choices],
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = WaitlistEntry
        fields = (
            *("patient", "procedure_type", "region", "laterality", "intent", "priority", "note"),
            *("earliest_on", "notice_hours", "stale_on", "sites", "clinicians"),
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            name: DateInput({"class": " ".join(BASE_INPUT_CLASSES)}, "%Y-%m-%d")
            for name in ("earliest_on", "stale_on")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            return  # an entry's page is only looked at, without inputs
        self.fields["region"] = forms.ChoiceField(
            label=_("Region"), required=False, choices=regions(), widget=UnfoldAdminSelectWidget
        )
        self.fields["stale_on"].required = False
        self.fields["stale_on"].help_text = _("Empty: in %d days.") % ASK_AGAIN_DAYS
        self.fields["notice_hours"].help_text = _("How long before a time the patient must be told.")

    def ask(self, cleaned: dict[str, Any]) -> None:
        many = ("sites", "clinicians")
        asked = WaitlistEntry(**{name: cleaned[name] for name in self.Meta.fields if name not in many})
        services.check_waiting(asked, sites=cleaned["sites"], clinicians=cleaned["clinicians"], now=self.now)

    def _get_validation_exclusions(self) -> set[str]:
        # The service has checked everything, with what it fills in itself.
        return {field.name for field in WaitlistEntry._meta.fields}


class ChosenTimeForm(forms.Form):
    """Where and when a waiting patient is booked, when it is no freed time."""

    names: ClassVar[dict[str, str]] = {"starts_at": "starts", "ends_at": "starts"}
    site = forms.ModelChoiceField(Site.objects.none(), label=_("Site"), widget=UnfoldAdminSelectWidget)
    starts = WallClockField(label=_("Starts"), help_text=_("On the wall clock of the site."))

    def __init__(self, *args: Any, request: HttpRequest, entry: WaitlistEntry, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entry = entry
        site = cast(forms.ModelChoiceField, self.fields["site"])  # type: ignore[type-arg]
        site.queryset = Site.objects.visible_to(staff(request))
        accepted = [one.pk for one in entry.sites.all()]
        self.initial.setdefault("site", accepted[0] if accepted else entry.patient.site_id)
        self.fields["resources"] = resource_field(request)

    def act(self, *, by: User, now: datetime) -> Appointment:
        """Book it. Raises what the service raises."""
        site = self.cleaned_data["site"]
        return services.book_from_waitlist(
            self.entry.pk,
            starts_at=to_instant_of("starts", self.cleaned_data["starts"], site.zone),
            site=site,
            resources=self.cleaned_data["resources"],
            by=by,
            now=now,
        )


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
            return queryset.filter(closed_because=self.value())
        queryset = queryset.filter(closed_at=None)
        return queryset.filter(stale_when(timezone.now())) if self.value() == "ask" else queryset


@admin.register(WaitlistEntry)
class WaitlistAdmin(DeskAdmin):
    form = WaitlistForm
    list_display = ("who", "what", "where", "since", "urgency", "conditions", "state")
    list_display_links = ("who",)
    list_filter = (WaitingFilter, "priority", "procedure_type__family", ("sites", SeenFilter))
    list_fullwidth = True
    search_fields = (
        *("patient__family_name", "patient__given_name", "patient__record_number"),
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

    def get_urls(self) -> Any:
        urls = super().get_urls()
        one = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"procedures_waitlistentry_{name}",
            )
            for name, view in (("asked", self.asked_view), ("withdrawn", self.withdrawn_view))
        ]
        one.append(
            path(
                "<int:pk>/book/",
                self.admin_site.admin_view(self.book_view),
                name="procedures_waitlistentry_book",
            )
        )
        # Before Django's own addresses of a row, the last of which takes everything.
        return [*one, *urls]

    def book_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Book a waiting patient at a time of the clerk's choice."""
        entry = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perms([MANAGE, BOOK]):
            raise PermissionDenied
        back = reverse("admin:procedures_waitlistentry_change", args=[pk])
        if entry.closed_at:
            how = entry.get_closed_because_display()
            messages.error(request, _("This patient is not waiting any more: %s.") % how)
            return HttpResponseRedirect(back)
        said = request.POST if request.method == "POST" else None
        form = ChosenTimeForm(said, request=request, entry=entry)
        return take(
            request,
            form,
            lambda: page_of(form.act(by=staff(request), now=timezone.now())),
            done=_("The appointment is booked; the patient is off the waitlist."),
            back=back,
            context={
                "title": _("Book from the waitlist"),
                "opts": self.opts,
                "submit": _("Book"),
                "lead": f"{entry.patient} · {entry.procedure_type}",
            },
        )

    def asked_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The patient still waits."""
        return self.one(request, pk, services.still_waiting, _("The patient still waits."))

    def withdrawn_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The patient waits no more."""
        return self.one(request, pk, services.withdraw, _("The patient is taken off the waitlist."))

    def one(
        self, request: HttpRequest, pk: int, act: Callable[..., WaitlistEntry], done: Any
    ) -> HttpResponse:
        """Do it with one entry and show its page."""
        entry = get_object_or_404(self.get_queryset(request), pk=pk)
        try:
            act(entry.pk, by=staff(request), now=timezone.now())
        except ValidationError as refusal:
            tell(request, refusal)
        else:
            messages.success(request, str(done))
        return HttpResponseRedirect(reverse("admin:procedures_waitlistentry_change", args=[pk]))

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
            " · ".join(part for part in (entry.patient.record_number, entry.patient.phone) if part),
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
            ", ".join(one.name for one in entry.clinicians.all()) or _("any clinician"),
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
        kind = PRIORITY_LABELS[WaitlistEntry.Priority(entry.priority)]
        return label(entry.get_priority_display(), kind, [])

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
            kind = "success" if entry.closed_because == WaitlistEntry.Closed.BOOKED else "default"
            word = label(entry.get_closed_because_display(), kind, [])
            if entry.appointment is None:
                return word
            return format_html(
                '{} <a class="desk-link" href="{}">{}</a>',
                word,
                page_of(entry.appointment),
                shown(entry.appointment.starts_at, entry.appointment.site),
            )
        stale = is_stale(entry, now=timezone.now())
        marks = [(_("ask again since %s") % entry.stale_on.isoformat(), "warning")] if stale else []
        return label(_("waiting"), "info", marks)

    @display(description=_("since"))
    def joined(self, entry: WaitlistEntry) -> str:
        return shown(entry.created_at, entry.patient.site)

    @display(description=_("closed"))
    def ended(self, entry: WaitlistEntry) -> str:
        if entry.closed_at is None:
            return "–"
        return f"{entry.get_closed_because_display()}: {shown(entry.closed_at, entry.patient.site)}"


class FreedFilter(admin.SimpleListFilter):
    """Which freed times are still to be given to somebody."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("open")), *((value, text) for value, text in FreedTime.Closed.choices if value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "open":
            return queryset.filter(closed_at=None)
        return queryset.filter(closed_because=self.value()) if self.value() else queryset


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
            rows.annotate(taken_again=Exists(taken_again())).prefetch_related(
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
                "still_free": still_free,
                "can_book": still_free and may_manage and request.user.has_perm(BOOK),
                "can_dismiss": still_free and may_manage,
                "taken_again": still_free and vars(found)["taken_again"],
                "title": _("Freed time"),
                "subtitle": f"{self.when(found)}, {found.site}",
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:pk>/book/<int:entry>/",
                wrap(require_POST(self.book_view)),
                name="procedures_freedtime_book",
            ),
            path(
                "<int:pk>/dismiss/",
                wrap(require_POST(self.dismiss_view)),
                name="procedures_freedtime_dismiss",
            ),
            *super().get_urls(),
        ]

    def book_view(self, request: HttpRequest, pk: int, entry: int) -> HttpResponse:
        """Book a waiting patient into the freed time; what stands in the way is said on the time's page."""
        freed = get_object_or_404(self.get_queryset(request), pk=pk)
        waiting = get_object_or_404(WaitlistEntry.objects.visible_to(staff(request)), pk=entry)
        try:
            appointment = services.book_from_waitlist(
                waiting.pk, freed_id=freed.pk, by=staff(request), now=timezone.now()
            )
        except ValidationError as refusal:
            tell(request, refusal)
            return HttpResponseRedirect(page_of_freed(freed))
        messages.success(
            request,
            _("%(patient)s is booked: %(when)s.")
            % {"patient": appointment.patient, "when": span(appointment)},
        )
        return HttpResponseRedirect(page_of(appointment))

    def dismiss_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Nobody shall be offered the freed time."""
        freed = get_object_or_404(self.get_queryset(request), pk=pk)
        try:
            services.dismiss_freed(freed.pk, by=staff(request), now=timezone.now())
        except ValidationError as refusal:
            tell(request, refusal)
            return HttpResponseRedirect(page_of_freed(freed))
        messages.success(request, _("The freed time is dismissed."))
        return HttpResponseRedirect(f"{reverse('admin:procedures_freedtime_changelist')}?state=open")

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
        return shown(freed.created_at, freed.site)

    @display(description=_("state"))
    def state(self, freed: FreedTime) -> SafeString:
        if freed.closed_at:
            kind = "success" if freed.closed_because == FreedTime.Closed.FILLED else "default"
            return label(freed.get_closed_because_display(), kind, [])
        if freed.starts_at <= timezone.now():  # the tick closes it within the minute
            return label(FreedTime.Closed.PASSED.label, "default", [])
        marks = [(_("partly taken again"), "warning")] if vars(freed)["taken_again"] else []
        return label(_("open"), "info", marks)

    @display(description=_("closed"))
    def ended(self, freed: FreedTime) -> str:
        if freed.closed_at is None:
            return "–"
        return f"{freed.get_closed_because_display()}: {shown(freed.closed_at, freed.site)}"


def taken_again() -> QuerySet[Reservation]:
    """What the freed appointment had held and somebody else holds by now; for the rows of a query of freed times."""
    again = Reservation.objects.filter(
        resource=OuterRef("resource"),
        released_at=None,
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    )
    return Reservation.objects.filter(Exists(again), appointment=OuterRef("appointment"))


def clash(appointment: Appointment | None) -> dict[str, str] | None:
    """What the patient has for the same procedure already: when, and its page."""
    if appointment is None:
        return None
    return {"when": shown(appointment.starts_at, appointment.site), "page": page_of(appointment)}


def page_of_freed(freed: FreedTime) -> str:
    return reverse("admin:procedures_freedtime_change", args=[freed.pk])
