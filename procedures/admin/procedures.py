"""Procedures: what was performed, to look at; one that was entered in error is marked so."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyAdmin, SeenFilter
from clinic.admin.datetime_widgets import site_time_text
from patients.admin import searched
from procedures import services
from procedures.admin.appointment_forms import NOT_ASKED, TimeForm, VoidForm, to_instant_of
from procedures.admin.descriptions import baseline_words
from procedures.admin.device_descriptions import devices_fragment
from procedures.admin.procedure_forms import PainForm
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
        return site_time_text(procedure.performed_at, procedure.site)

    @display(description=_("recorded"))
    def recorded(self, procedure: Procedure) -> str:
        return site_time_text(procedure.recorded_at, procedure.site)

    @display(description=_("status"), ordering="status", label=STATUS_LABELS)
    def state(self, procedure: Procedure) -> tuple[str, str]:
        return procedure.status, str(procedure.get_status_display())

    @display(description=_("pain before"), ordering="baseline_pain")
    def baseline(self, procedure: Procedure) -> SafeString | str:
        if procedure.baseline_pain is None:
            return format_html('<strong class="desk-missing">{}</strong>', _("missing"))
        return baseline_words(procedure)


class ProcedurePage(ActionPage):
    """A page that corrects what was performed."""

    model = Procedure
    permission_required = "procedures.perform_procedure"
    submit = _("Correct")

    def lead(self) -> str:
        row = self.row
        return f"{row.patient} · {row.procedure_type} · {site_time_text(row.performed_at, row.site)}"


class CorrectPain(ProcedurePage):
    """The pain before a procedure; its follow-up is judged again."""

    name, form_class, service = "pain", PainForm, staticmethod(services.correct_baseline)
    title = _("Correct the pain before")
    done = _("The pain before is corrected, and the follow-up judged again.")

    def get_initial(self) -> dict[str, Any]:
        taken_at = self.row.baseline_taken_at or self.row.performed_at
        return {
            "pain": NOT_ASKED if self.row.baseline_pain is None else self.row.baseline_pain,
            "taken": taken_at.astimezone(self.row.site.zone).replace(tzinfo=None),
        }

    def values(self, form: PainForm) -> dict[str, Any]:
        said = form.cleaned_data
        # Shown to the minute: left as it was, it means the very instant that stands.
        same = said["taken"] == form.shown_taken()
        taken_at = None if same else to_instant_of("taken", said["taken"], self.row.site.zone)
        return {"pain": said["pain"], "taken_at": taken_at, "reason": said["reason"]}


class CorrectTime(ProcedurePage):
    """When a procedure was performed; what was not asked yet is planned again."""

    name, form_class, service = "time", TimeForm, staticmethod(services.correct_time)
    title = _("Correct the time")
    done = _("The time is corrected; what was not asked yet is planned again.")

    def get_initial(self) -> dict[str, Any]:
        return {"performed": self.row.performed_at.astimezone(self.row.site.zone).replace(tzinfo=None)}

    def values(self, form: TimeForm) -> dict[str, Any]:
        at = to_instant_of("performed", form.cleaned_data["performed"], self.row.site.zone)
        return {"performed_at": at, "reason": form.cleaned_data["reason"]}


class ProcedureInError(ProcedurePage):
    """A procedure was entered in error."""

    name, form_class, service = "void", VoidForm, staticmethod(services.void)
    permission_required = "procedures.void_procedure"
    title, submit = _("Entered in error"), _("Mark as entered in error")
    done = _("The procedure is marked as entered in error; nothing more is asked about it.")
    danger = True

    def unavailable_reason(self) -> Any:
        marked = self.row.status == Procedure.Status.ENTERED_IN_ERROR
        return _("This procedure is marked as entered in error already.") if marked else ""


ProcedureAdmin.pages += paths(ProcedureInError, CorrectTime, CorrectPain)
