"""The rows behind a number of a report, in the lists of follow-ups, check-ins, alerts and adverse events."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.base import ReadOnlyAdmin, staff, tell
from outcomes.admin.selection_form import SelectionForm
from outcomes.reports.drill_down import cell_words, rows_behind


class CellFilter(admin.ListFilter):
    """Narrows the list to the rows behind one number: `cell` and the selection stand in the address.

    `sentence`: what the list shows then.
    """

    title = gettext_lazy("number of a report")
    parameter_name = "cell"
    template = "admin/outcomes/reports/cell_filter.html"
    sentence = ""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.given: dict[str, str] = {}
        if "cell" in params:
            for name in ("cell", *SelectionForm.base_fields):
                if name in params:
                    value = params.pop(name)
                    self.given[name] = value[-1] if isinstance(value, list) else value

    def has_output(self) -> bool:
        return bool(self.given)

    def expected_parameters(self) -> list[str | None]:
        return list(self.given)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        address = changelist.get_query_string(remove=list(self.given))
        yield {"selected": True, "query_string": address, "display": _("All")}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.given:
            return queryset
        form = SelectionForm(self.given, user=staff(request))
        try:
            if not form.is_valid():
                raise ValidationError(form.errors.as_data())
            rows = rows_behind(form.selection(), self.given["cell"], staff(request), now=timezone.now())
            what = {"what": cell_words(self.given["cell"], queryset.model), "selected": form.words()}
        except ValidationError as refusal:
            tell(request, refusal)
            return queryset.none()
        self.sentence = _("%(what)s. %(selected)s.") % what
        return queryset.filter(pk__in=rows.order_by().values("pk"))


class ShowsBehind(ReadOnlyAdmin):
    """A list that says which number of a report it stands behind."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response = super().changelist_view(request, extra_context)
        for spec in getattr(getattr(response, "context_data", {}).get("cl"), "filter_specs", ()):
            if isinstance(spec, CellFilter):
                response.context_data["behind"] = spec.sentence
        return response
