"""Exports: ask for a table, see how far it is, and take it."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import BASE_INPUT_CLASSES, SELECT_CLASSES

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import ReadOnlyAdmin, staff, tell
from clinic.patient_pages import secret
from outcomes import services
from outcomes.admin.selection_form import SelectionForm
from outcomes.exports import ENTRY, entries
from outcomes.exports.columns import MARK, cell, lines
from outcomes.models import Export
from outcomes.services.exports import EXPORT

STATES = {
    Export.Status.QUEUED.value: "info",
    Export.Status.RUNNING.value: "info",
    Export.Status.DONE.value: "success",
    Export.Status.FAILED.value: "danger",
    Export.Status.EXPIRED.value: "default",
}

#: The list comes again after so many seconds while a file is being made.
AGAIN_SECONDS = 5


class ExportForm(SelectionForm):
    """Which table, of which follow-ups, and whether patients may be recognised in it."""

    kind = forms.ChoiceField(label=_("Table"), choices=Export.Kind.choices)
    #: No checkbox: one that is not sent would say that patients may be named.
    deidentified = forms.TypedChoiceField(
        label=_("De-identified"),
        choices=[("true", _("de-identified")), ("false", _("with patients' numbers"))],
        coerce=lambda said: said == "true",
        initial="true",
        widget=forms.RadioSelect,
        help_text=_("For research: no names and numbers, days moved, ages in bands, rare groups left out."),
    )
    field_order = ("kind", "deidentified")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if not isinstance(field.widget, forms.RadioSelect):
                chosen = isinstance(field, forms.ChoiceField)
                field.widget.attrs["class"] = " ".join(SELECT_CLASSES if chosen else BASE_INPUT_CLASSES)


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    list_display = ("what", "asked", "by", "state", "progress", "kept", "taking")
    list_display_links = None
    list_filter = ("status", "kind")
    actions_list = ("ask_for", "dictionary")

    def has_export_outcomes_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm(EXPORT))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("requested_by")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, which comes again by itself while a file is being made: no script shows its progress."""
        response = super().changelist_view(request, extra_context)
        waiting = (Export.Status.QUEUED, Export.Status.RUNNING)
        if self.get_queryset(request).filter(status__in=waiting).exists():
            response["Refresh"] = str(AGAIN_SECONDS)
        return response

    @action(description=_("Ask for an export"), url_path="ask", permissions=["export_outcomes"], icon="add")
    def ask_for(self, request: HttpRequest) -> HttpResponseBase:
        """The button above the list; `AskForExport` answers."""
        return AskForExport.as_view()(request)

    @action(
        description=_("Data dictionary"),
        url_path="dictionary",
        permissions=["export_outcomes"],
        icon="dictionary",
    )
    def dictionary(self, request: HttpRequest) -> HttpResponse:
        """What each column means, as a CSV file."""
        rows = [list(ENTRY), *([cell(value) for value in entry] for entry in entries())]
        response = HttpResponse(MARK + lines(rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="data-dictionary.csv"'
        return response

    @display(description=_("table"), ordering="kind")
    def what(self, export: Export) -> SafeString:
        manner = _("de-identified") if export.deidentified else _("with patients' numbers")
        return format_html("{}<span class='desk-sub'>{}</span>", export.get_kind_display(), manner)

    @display(description=_("asked for"), ordering="requested_at")
    def asked(self, export: Export) -> str:
        return f"{export.requested_at:%-d %b %Y, %H:%M} UTC"

    @display(description=_("by"))
    def by(self, export: Export) -> str:
        return str(export.requested_by)

    @display(description=_("status"), ordering="status", label=STATES)
    def state(self, export: Export) -> tuple[str, str]:
        return export.status, str(export.get_status_display())

    @display(description=_("rows"))
    def progress(self, export: Export) -> SafeString | str:
        if export.status == Export.Status.RUNNING:
            return format_html(
                "<progress max='{}' value='{}' aria-label='{}'></progress><span class='desk-sub'>{}</span>",
                max(export.rows_total, 1),
                export.rows_done,
                _("how far it is"),
                _("%(done)d of %(total)d") % {"done": export.rows_done, "total": export.rows_total},
            )
        if export.status == Export.Status.FAILED:
            return str(PROBLEMS.get(export.problem, export.problem))
        words = str(export.rows_total if export.status == Export.Status.QUEUED else export.rows_done)
        if not export.rows_suppressed:
            return words
        left_out = _("%d left out: too few patients like them") % export.rows_suppressed
        return format_html("{}<span class='desk-sub'>{}</span>", words, left_out)

    @display(description=_("kept until"), ordering="expires_at")
    def kept(self, export: Export) -> str:
        return f"{export.expires_at:%-d %b %Y, %H:%M} UTC"

    @display(description=_("file"))
    def taking(self, export: Export) -> SafeString | str:
        if export.status != Export.Status.DONE:
            return "–"
        page = reverse("admin:outcomes_export_file", args=[export.key])
        return format_html('<a class="desk-button" href="{}">{}</a>', page, _("Download"))


PROBLEMS = {
    "not_allowed": _("Whoever asked for it may not export any more."),
    "abandoned": _("It could not be finished, three times. Ask for it again, or tell the operator."),
}


def file_view(request: HttpRequest, key: Any) -> HttpResponseBase:
    """The file, piece by piece; what is refused is said on the list."""
    if not request.user.has_perm(EXPORT):
        raise PermissionDenied
    export = get_object_or_404(admin.site.get_model_admin(Export).get_queryset(request), key=key)
    try:
        return file_of(export, request, now=timezone.now())
    except ValidationError as refusal:
        tell(request, refusal)
        return HttpResponseRedirect(reverse("admin:outcomes_export_changelist"))


def file_of(export: Export, request: HttpRequest, *, now: datetime) -> HttpResponseBase:
    """The download. Raises as `services.download` does."""
    pieces = services.download(export, by=staff(request), now=now)
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    name = f"{export.kind}-{export.requested_at:%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return secret(response)


class AskForExport(ActionPage):
    """The form; a small table is ready when it comes back, a larger one within some minutes."""

    model = Export
    name, address = "ask_for", "ask/"
    permission_required = EXPORT
    form_class = ExportForm
    title, submit = _("Ask for an export"), _("Ask for it")
    done = _("The export is taken down. A small one is ready at once, a large one in some minutes.")

    def versioned_row(self) -> None:
        return None

    def lead(self) -> Any:
        return _("What you may see, as it is when the file is made. That you took it is written down.")

    def home(self) -> str:
        return reverse("admin:outcomes_export_changelist")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "user": self.by}

    def act(self, form: ExportForm) -> Export:
        anonymous = form.cleaned_data["deidentified"]
        return services.request_export(
            form.cleaned_data["kind"], form.selection(), deidentified=anonymous, by=self.by, now=self.now
        )


ExportAdmin.pages += [
    *paths(AskForExport),
    path("<uuid:key>/file/", admin.site.admin_view(file_view), name="outcomes_export_file"),
]
