"""Appointments: the day's list, booking, and the steps of each."""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, next_page, paths
from clinic.admin.base import DeskAdmin, SeenFilter, staff
from clinic.admin.datetime_widgets import site_time_text
from clinic.models import Site
from clinic.timezones import occurs_twice
from patients.admin import searched
from procedures import services
from procedures.admin.appointment_forms import BookingForm, StepForm
from procedures.admin.csv_import import ImportsAppointments
from procedures.admin.day_filters import (
    ChangeFilter,
    DeceasedFilter,
    DisplacedFilter,
    StatusFilter,
    WhenFilter,
    chosen_days,
    day_words,
)
from procedures.admin.descriptions import (
    PAINS,
    STATUS_LABELS,
    age,
    baseline_words,
    marks,
    meant,
    now_at,
    page_of,
    pain_noted,
    span,
    tallies,
)
from procedures.admin.inlines import BaselineInline, ReservationInline, StepInline
from procedures.admin.workflow_actions import ASKS, STEPS, buttons, steps_for
from procedures.baselines import days_before
from procedures.models import Appointment

#: Categories whose resource the day's list names; the rest is on the appointment's page.
WHERE = ("physician", "procedure_room")


@admin.register(Appointment)
class AppointmentAdmin(ImportsAppointments, DeskAdmin):
    form = BookingForm
    list_filter = (
        WhenFilter,
        ChangeFilter,
        DeceasedFilter,
        DisplacedFilter,
        StatusFilter,
        ("site", SeenFilter),
        "procedure_type__family",
    )
    list_fullwidth = True
    search_fields = (
        *searched("patient__"),
        *("procedure_type__name", "reservations__resource__name"),
    )
    search_help_text = _("Patient, procedure type or resource")
    date_hierarchy = "starts_at"
    autocomplete_fields = ("site", "patient", "procedure_type")
    inlines = (BaselineInline, ReservationInline, StepInline)
    change_list_template = "admin/procedures/appointment/change_list.html"
    change_form_template = "admin/procedures/appointment/change_form.html"
    add_fieldsets = (
        (_("Who and what"), {"fields": ("patient", "procedure_type", ("region", "laterality"), "levels")}),
        (_("Where and when"), {"fields": ("site", "starts", "only_request", "resources")}),
        (_("Why"), {"fields": ("intent", "indication", "note", "key")}),
    )
    overbooking_fieldset = (_("If it is taken"), {"fields": ("overbooked_reason",)})
    fieldsets = (
        (None, {"fields": (("when", "standing"), ("patient", "procedure_type"), ("site", "intent"))}),
        (_("What is meant"), {"fields": (("region", "laterality"), ("levels", "indication"), "note")}),
        (_("How it came about"), {"fields": (("booked", "who_booked"), ("rescheduled_from", "moved_to"))}),
        (_("What is unusual"), {"fields": ("held", "overbooked_reason", "ended")}),
    )
    readonly_fields = ("when", "standing", "booked", "who_booked", "moved_to", "ended", "held")

    # Who may do what: the roles' own permissions, not Django's four verbs.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("procedures.book_appointment")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # Booking.

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None and request.user.has_perm("procedures.overbook_appointment"):
            return (*self.add_fieldsets, self.overbooking_fieldset)
        return super().get_fieldsets(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            # The form's own fields are no fields of the model: Django is told of the model's only.
            kwargs["fields"] = BookingForm.Meta.fields
        return super().get_form(request, obj, change=change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        sites = list(staff(request).sites.all()[:2])
        return {
            **({"site": sites[0].pk} if len(sites) == 1 else {}),
            **super().get_changeform_initial_data(request),
        }

    def save_model(self, request: HttpRequest, obj: Appointment, form: Any, change: bool) -> None:
        asked = {"resources": form.cleaned_data["resources"], "request": form.cleaned_data["only_request"]}
        key = form.request_key()
        obj.pk = services.book(obj, **asked, by=staff(request), now=form.now, request_key=key).pk
        wall = form.cleaned_data["starts"]
        if occurs_twice(wall, obj.site.zone):
            messages.warning(
                request,
                _(
                    "The clocks go back that night and show %(time)s twice: the first of the two, %(zone)s, is booked."
                )
                % {"time": f"{wall:%H:%M}", "zone": f"{obj.starts_at.astimezone(obj.site.zone):%Z}"},
            )

    # An appointment's page.

    def get_queryset(self, request: HttpRequest) -> QuerySet[Appointment]:
        rows = (
            super()
            .get_queryset(request)
            .select_related("site", "patient", "procedure_type", "procedure__site", "rescheduled_to__site")
        )
        return cast(QuerySet[Appointment], rows.prefetch_related("reservations__resource__categories", PAINS))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is not None:
            steps = steps_for(request, found, now=timezone.now())
            extra_context = {
                **(extra_context or {}),
                "steps": buttons(steps, found) if steps else "",
                "marks": marks(found),
                "now_at": now_at(found),
                "movable": found.status in found.EXPECTED and self.has_add_permission(request),
                "requested": found.status == found.Status.REQUESTED and self.has_add_permission(request),
                "asked_for": f"{found.starts_at.astimezone(found.site.zone):%Y-%m-%d}",
                "status_label": STATUS_LABELS[found.status],
                "procedure": getattr(found, "procedure", None),
                "title": _("Appointment"),
                "subtitle": f"{found.patient}, {site_time_text(found.starts_at, found.site)}",
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("when"))
    def when(self, appointment: Appointment) -> str:
        return span(appointment)

    @display(description=_("status"))
    def standing(self, appointment: Appointment) -> str:
        return appointment.get_status_display()

    @display(description=_("booked"))
    def booked(self, appointment: Appointment) -> str:
        requested = appointment.status == appointment.Status.REQUESTED
        return "–" if requested else site_time_text(appointment.created_at, appointment.site)

    @display(description=_("booked by"))
    def who_booked(self, appointment: Appointment) -> str:
        """Who accepted it where it had been requested; who requested it, the steps say."""
        if appointment.status == appointment.Status.REQUESTED:
            return "–"
        accepted = appointment.steps.filter(step="accept").select_related("by").first()
        return str((accepted.by if accepted else appointment.booked_by) or "–")

    @display(description=_("held until"))
    def held(self, appointment: Appointment) -> str:
        return site_time_text(appointment.held_until, appointment.site) or "–"

    @display(description=_("cancelled or moved by"))
    def ended(self, appointment: Appointment) -> str:
        who = str(appointment.get_ended_by_display()) if appointment.ended_by else ""
        return ": ".join(part for part in (who, appointment.ended_reason) if part) or "–"

    @display(description=_("rescheduled to"))
    def moved_to(self, appointment: Appointment) -> str | SafeString:
        if not appointment.moved:
            return "–"
        new = appointment.rescheduled_to
        return format_html(
            '<a class="desk-link" href="{}">{}</a>', page_of(new), site_time_text(new.starts_at, new.site)
        )

    # The day's list.

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """A day from its morning on, and what is to be settled, too; all of them from the latest back."""
        tasks = {ChangeFilter.parameter_name, DisplacedFilter.parameter_name}
        soonest = chosen_days(request) != "all" or bool(tasks & request.GET.keys())
        return ("starts_at", "pk") if soonest else ("-starts_at", "-pk")

    def get_list_display(self, request: HttpRequest) -> Any:
        def steps(appointment: Appointment) -> SafeString:
            possible = steps_for(request, appointment, now=timezone.now())
            known = pain_noted(appointment, on_the_day=True)
            possible = [
                step
                for step in possible
                if appointment.status in step.listed and not (known and step.name in ASKS)
            ]
            return buttons(possible, appointment, back=request.get_full_path())

        steps.short_description = _("next step")  # type: ignore[attr-defined]
        return ("time", "patient_link", "what", "where", "state", "baseline", steps)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        sites = list(Site.objects.visible_to(staff(request)))
        chosen = request.GET.get("site__id__exact", "")
        site = next((site for site in sites if str(site.pk) == chosen), sites[0] if sites else None)
        # The months and days to leaf through are those of the wall clock, not of UTC.
        with timezone.override(site.zone if site else None):
            response = super().changelist_view(request, extra_context)
            if cl := getattr(response, "context_data", {}).get("cl"):
                response.context_data |= self.day(request, cl, sites)
                response.render()
        return response

    def day(self, request: HttpRequest, cl: Any, sites: list[Site]) -> dict[str, Any]:
        """What stands above the list: the tabs, the date, and how many there are of each status."""
        when = next(spec for spec in cl.filter_specs if isinstance(spec, WhenFilter))
        query = request.GET.copy()
        query.pop("p", None)
        tabs = []
        for value, label in WhenFilter.tabs:
            query["when"] = value
            tabs.append({"label": label, "link": f"?{query.urlencode()}", "active": value == when.value()})
        return {
            "tabs": tabs,
            "days": day_words(when, sites, timezone.now()),
            "tallies": tallies(cl.queryset),
            "when": when.value(),
        }

    @display(description=_("time"), ordering="starts_at")
    def time(self, appointment: Appointment) -> SafeString:
        zone = appointment.site.zone
        start, end = appointment.starts_at.astimezone(zone), appointment.ends_at.astimezone(zone)
        return format_html(
            '<span class="desk-time">{}–{}</span> <span class="desk-muted">{}</span>'
            '<span class="desk-date desk-muted">{}</span>',
            f"{start:%H:%M}",
            f"{end:%H:%M}",
            f"{start:%Z}",
            f"{start:%a %-d %b %Y}",
        )

    @display(description=_("patient"), ordering="patient__family_name")
    def patient_link(self, appointment: Appointment) -> SafeString:
        return format_html(
            '<a class="desk-link" href="{}">{}</a><span class="desk-sub">{}</span>',
            reverse("admin:patients_patient_change", args=[appointment.patient_id]),
            appointment.patient,
            appointment.patient.record_number,
        )

    @display(description=_("procedure type"), ordering="procedure_type__name")
    def what(self, appointment: Appointment) -> SafeString:
        return format_html(
            '{}<span class="desk-sub">{}</span>', appointment.procedure_type, meant(appointment)
        )

    @display(description=_("who and where"))
    def where(self, appointment: Appointment) -> SafeString:
        names = [
            reservation.resource.name.replace(" ", "\N{NO-BREAK SPACE}")
            for reservation in appointment.reservations.all()
            if {category.code for category in reservation.resource.categories.all()} & {*WHERE}
        ]
        return format_html(
            '{}<span class="desk-sub">{}</span>',
            " · ".join(dict.fromkeys(names)) or "–",
            appointment.site.name,
        )

    @display(description=_("status"), ordering="status")
    def state(self, appointment: Appointment) -> SafeString:
        return SafeString(
            render_to_string(
                "admin/procedures/state.html",
                {
                    "status": appointment.get_status_display(),
                    "kind": STATUS_LABELS[appointment.status],
                    "marks": marks(appointment, baseline=False),
                },
            )
            + now_at(appointment)
        )

    @display(description=_("pain before"))
    def baseline(self, appointment: Appointment) -> SafeString | str:
        procedure = getattr(appointment, "procedure", None)
        if procedure is None and appointment.live and (noted := pain_noted(appointment)):
            days = days_before(noted.taken_at, appointment.starts_at, zone=appointment.site.zone)
            when = _("%s before") % age(days) if days else age(days)
            return format_html('{} / 10<span class="desk-sub">{}, {}</span>', noted.value, noted.how, when)
        if procedure is None or procedure.status not in procedure.FOLLOWED:
            return ""
        if procedure.baseline_pain is None:
            return format_html('<strong class="desk-missing">{}</strong>', _("missing"))
        return baseline_words(procedure)

    # Steps.

    def get_urls(self) -> Any:
        # A step's address stands behind Django's own of a row, which have the same shape.
        urls = super().get_urls()
        return [*urls[:-1], *paths(StepPage), urls[-1]]


class StepPage(ActionPage):
    """The page of one step of an appointment."""

    model = Appointment
    name, address = "step", "<int:pk>/<str:step>/"

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if self.kwargs["step"] not in STEPS:
            raise Http404
        self.step = STEPS[self.kwargs["step"]]
        self.form_class, self.permission_required = self.step.form, self.step.permission
        self.title, self.done, self.danger = self.step.title, self.step.done, self.step.danger
        # "Cancel" alone would be taken for the way out of the page.
        self.submit = self.step.title if self.step.danger else self.step.label

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().prefetch_related("reservations__resource__user")

    def unavailable_reason(self) -> Any:
        how = self.row.get_status_display()
        return "" if self.step.possible(self.row, now=self.now) else _("This appointment is %s.") % how

    def lead(self) -> str:
        return f"{self.row.patient} · {self.row.procedure_type} · {span(self.row)}"

    def get_form_kwargs(self) -> dict[str, Any]:
        own = {"request": self.request, "appointment": self.row, "step": self.step.step}
        return {**super().get_form_kwargs(), **own}

    def act(self, form: StepForm) -> str:
        shown_next = form.act(by=self.by, now=self.now)
        return form.leads_to() or next_page(self.request) or page_of(shown_next)

    def url_after(self, result: str) -> str:
        return result
