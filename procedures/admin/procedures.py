"""Procedures: what was performed, to look at; one that was entered in error is marked so."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import ReadOnlyAdmin, SeenFilter, staff
from clinic.admin.datetime_widgets import shown
from patients.admin import searched
from procedures import services
from procedures.admin.appointment_forms import NOT_ASKED, TimeForm, VoidForm, to_instant_of
from procedures.admin.descriptions import baseline_words
from procedures.admin.device_descriptions import devices_fragment
from procedures.admin.procedure_forms import PainForm
from procedures.admin.workflow_actions import take
from procedures.models import Procedure

STATUS_LABELS = {
    "completed": "success",
    "partial": "warning",
    "aborted": "danger",
    "entered_in_error": "default",
}


class BaselineFilter(admin.SimpleListFilter):
    """Procedures whose relief can never be computed."""

    title = _("pain before")
    parameter_name = "baseline"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("missing", _("missing")), ("known", _("known")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(baseline_pain__isnull=self.value() == "missing", status__in=Procedure.FOLLOWED)


@admin.register(Procedure)
class ProcedureAdmin(ReadOnlyAdmin):
    list_display = ("performed", "patient", "procedure_type", "performer", "state", "baseline", "site")
    list_filter = ("status", BaselineFilter, ("site", SeenFilter), "procedure_type__family")
    search_fields = searched("patient__")
    search_help_text = _("Patient")
    ordering = ("-performed_at", "-pk")
    date_hierarchy = "performed_at"
    change_form_template = "admin/procedures/procedure/change_form.html"
    fieldsets = (
        (None, {"fields": (("performed", "status"), ("patient", "procedure_type"), ("site", "performer"))}),
        (
            _("What was done"),
            {"fields": (("region", "laterality"), ("levels", "agent"), ("steroid_given", "complications"))},
        ),
        (_("How it is judged"), {"fields": (("baseline", "intent"), ("relief_profile", "indication"))}),
        (_("How it came about"), {"fields": (("appointment", "recorded"),)}),
    )
    readonly_fields = ("performed", "baseline", "recorded")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Procedure]:
        rows = (
            super()
            .get_queryset(request)
            .select_related(
                "site", "patient", "procedure_type", "performer", "relief_profile__procedure_type"
            )
        )
        return cast(
            QuerySet[Procedure], rows.select_related("appointment__site", "appointment__procedure_type")
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_object(request, unquote(object_id))
        extra_context = {
            **(extra_context or {}),
            "devices": devices_fragment(request, found) if found else "",
            "can_void": request.user.has_perm("procedures.void_procedure"),
            "can_correct": request.user.has_perm("procedures.perform_procedure"),
        }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("performed"), ordering="performed_at")
    def performed(self, procedure: Procedure) -> str:
        return shown(procedure.performed_at, procedure.site)

    @display(description=_("recorded"))
    def recorded(self, procedure: Procedure) -> str:
        return shown(procedure.recorded_at, procedure.site)

    @display(description=_("status"), ordering="status", label=STATUS_LABELS)
    def state(self, procedure: Procedure) -> tuple[str, str]:
        return procedure.status, str(procedure.get_status_display())

    @display(description=_("pain before"), ordering="baseline_pain")
    def baseline(self, procedure: Procedure) -> SafeString | str:
        if procedure.baseline_pain is None:
            return format_html('<strong class="desk-missing">{}</strong>', _("missing"))
        return baseline_words(procedure)

    def get_urls(self) -> Any:
        void = path(
            "<int:pk>/void/", self.admin_site.admin_view(self.void_view), name="procedures_procedure_void"
        )
        time = path(
            "<int:pk>/time/", self.admin_site.admin_view(self.time_view), name="procedures_procedure_time"
        )
        pain = path(
            "<int:pk>/pain/", self.admin_site.admin_view(self.pain_view), name="procedures_procedure_pain"
        )
        return [void, time, pain, *super().get_urls()]

    def pain_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Correct the pain before a procedure; its follow-up is judged again."""
        procedure = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("procedures.perform_procedure"):
            raise PermissionDenied
        zone = procedure.site.zone
        stands = procedure.baseline_pain
        taken_at = procedure.baseline_taken_at or procedure.performed_at
        form = PainForm(
            request.POST if request.method == "POST" else None,
            initial={
                "pain": NOT_ASKED if stands is None else stands,
                "taken": taken_at.astimezone(zone).replace(tzinfo=None),
            },
        )

        def act() -> str:
            said = form.cleaned_data
            # Shown to the minute: left as it was, it means the very instant that stands.
            same = said["taken"] == form.shown_taken()
            services.correct_baseline(
                pk,
                pain=said["pain"],
                taken_at=None if same else to_instant_of("taken", said["taken"], zone),
                reason=said["reason"],
                by=staff(request),
                now=timezone.now(),
            )
            return reverse("admin:procedures_procedure_change", args=[pk])

        return take(
            request,
            form,
            act,
            done=_("The pain before is corrected, and the follow-up judged again."),
            back=reverse("admin:procedures_procedure_change", args=[pk]),
            row=procedure,
            context={
                "title": _("Correct the pain before"),
                "opts": self.opts,
                "submit": _("Correct"),
                "danger": False,
                "lead": f"{procedure.patient} · {procedure.procedure_type} · "
                f"{shown(procedure.performed_at, procedure.site)}",
            },
        )

    def time_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Correct when a procedure was performed; what was not asked yet is planned again."""
        procedure = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("procedures.perform_procedure"):
            raise PermissionDenied
        zone = procedure.site.zone
        form = TimeForm(
            request.POST if request.method == "POST" else None,
            initial={"performed": procedure.performed_at.astimezone(zone).replace(tzinfo=None)},
        )

        def act() -> str:
            services.correct_time(
                pk,
                performed_at=to_instant_of("performed", form.cleaned_data["performed"], zone),
                reason=form.cleaned_data["reason"],
                by=staff(request),
                now=timezone.now(),
            )
            return reverse("admin:procedures_procedure_change", args=[pk])

        return take(
            request,
            form,
            act,
            done=_("The time is corrected; what was not asked yet is planned again."),
            back=reverse("admin:procedures_procedure_change", args=[pk]),
            row=procedure,
            context={
                "title": _("Correct the time"),
                "opts": self.opts,
                "submit": _("Correct"),
                "danger": False,
                "lead": f"{procedure.patient} · {procedure.procedure_type} · "
                f"{shown(procedure.performed_at, procedure.site)}",
            },
        )

    def void_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Mark a procedure as entered in error."""
        procedure = get_object_or_404(self.get_queryset(request), pk=pk)
        if not request.user.has_perm("procedures.void_procedure"):
            raise PermissionDenied
        here = reverse("admin:procedures_procedure_change", args=[pk])
        if request.method == "GET" and procedure.status == Procedure.Status.ENTERED_IN_ERROR:
            messages.error(request, _("This procedure is marked as entered in error already."))
            return HttpResponseRedirect(here)
        form = VoidForm(request.POST if request.method == "POST" else None)

        def act() -> str:
            services.void(pk, reason=form.cleaned_data["reason"], by=staff(request), now=timezone.now())
            return here

        return take(
            request,
            form,
            act,
            done=_("The procedure is marked as entered in error; nothing more is asked about it."),
            back=here,
            row=procedure,
            context={
                "title": _("Entered in error"),
                "opts": self.opts,
                "submit": _("Mark as entered in error"),
                "danger": True,
                "lead": f"{procedure.patient} · {procedure.procedure_type} · "
                f"{shown(procedure.performed_at, procedure.site)}",
            },
        )
