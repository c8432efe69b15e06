"""The rows behind a number of a report, in the list of follow-ups."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import DateField, IntegerField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.base import staff, tell
from outcomes.models import FollowUp
from outcomes.models.adverse_events import TERMS
from outcomes.models.follow_ups import VERDICTS
from outcomes.reports import Selection
from outcomes.reports.drilling import AT_CELL, rows_behind
from procedures.models import Intent, ProcedureType

NUMBERS, DATES = ("performer", "site"), ("performed_from", "performed_until")
NAMES = ("procedure_type", "intent", "indication", *NUMBERS, *DATES)


def selection_of(given: dict[str, str]) -> Selection:
    """The selection that stands in an address. Raises ValidationError for what is no number and no date."""
    values: dict[str, Any] = {name: given[name] for name in NAMES if given.get(name)}
    for name in values:
        if name in NUMBERS:
            values[name] = IntegerField(min_value=1, max_value=2**31).clean(values[name])
        elif name in DATES:
            values[name] = DateField(input_formats=["%Y-%m-%d"]).clean(values[name])
    return Selection(**values)


class CellFilter(admin.ListFilter):
    """Narrows the list to the rows behind one number: `cell` and the selection stand in the address."""

    title = gettext_lazy("number of a report")
    parameter_name = "cell"
    template = "admin/outcomes/reports/cell_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.given: dict[str, str] = {}
        if "cell" in params:
            for name in ("cell", *NAMES):
                if name in params:
                    value = params.pop(name)
                    self.given[name] = value[-1] if isinstance(value, list) else value

    def has_output(self) -> bool:
        return bool(self.given)

    def expected_parameters(self) -> list[str | None]:
        return list(self.given)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {
            "selected": True,
            "query_string": changelist.get_query_string(remove=list(self.given)),
            "display": _("All follow-ups"),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[FollowUp]) -> QuerySet[FollowUp]:
        if not self.given:
            return queryset
        try:
            rows = rows_behind(
                selection_of(self.given), self.given["cell"], staff(request), now=timezone.now()
            )
        except ValidationError as refusal:
            tell(request, refusal)
            return queryset.none()
        return queryset.filter(pk__in=rows.order_by().values("pk"))


#: What a whole group is, as the end of "Follow-ups …".
GROUPS = {
    "treated": gettext_lazy("of all that were treated"),
    "no_baseline": gettext_lazy("without a pain score above 0 before the procedure"),
    "confounded": gettext_lazy("of which another treatment of the same region cannot be told apart"),
    "evaluable": gettext_lazy("with a baseline and not confounded"),
    "due": gettext_lazy("of which a check-in from the first day of judgement on fell due"),
    "answered": gettext_lazy("that answered something from the first day of judgement on"),
    "in_curve": gettext_lazy("that stand in the curve of all treated"),
    "responders": gettext_lazy("that stand in the curve of responders"),
    "satisfied": gettext_lazy("that said how satisfied they are"),
    "adverse:any": gettext_lazy("with an adverse event"),
    "adverse:serious": gettext_lazy("with a serious adverse event"),
    "month:lost_early": gettext_lazy("whose relief was found lost early this month, and still is"),
    "month:no_relief": gettext_lazy("found without relief this month, and still so"),
}
#: What came of a check-in.
CAME = {
    "due": gettext_lazy("it fell due"),
    "answered": gettext_lazy("it was answered"),
    "silent": gettext_lazy("nobody answered"),
    "thirty": gettext_lazy("at least 30 % less pain"),
    "fifty": gettext_lazy("at least 50 % less pain"),
    "success": gettext_lazy("as much less pain as counts for the procedure"),
    "two_points": gettext_lazy("at least 2 points less"),
    "told": gettext_lazy("the impression of change was told"),
    "improved": gettext_lazy("much or very much improved"),
    "peg": gettext_lazy("PEG known before and then"),
}


def sentence(given: dict[str, str]) -> str:
    """What the list shows, in a sentence."""
    cell = given.get("cell", "")
    kind, _colon, value = cell.partition(":")
    if found := AT_CELL.match(cell):
        where, at, minutes, name = found.groups()
        when = _("hour %s") % f"{int(at) / 60:g}" if minutes else _("day %s") % at
        what = _("at the check-in of %(when)s: %(what)s") % {"when": when, "what": CAME.get(name, name)}
        if where == "at":
            what += _(" (with a baseline and not confounded)")
    elif kind == "verdict":
        what = _("with the verdict “%s”") % {one.value: label for one, label in VERDICTS}.get(value, value)
    elif kind == "adverse" and cell not in GROUPS:
        what = _("with the adverse event “%s”") % {one.value: label for one, label in TERMS}.get(value, value)
    elif kind == "satisfied" and value:
        what = _("that answered %s of 5 when asked how satisfied they are") % value
    else:
        what = str(GROUPS.get(cell, cell))
    return _("Follow-ups %(what)s; %(selected)s.") % {"what": what, "selected": selected(given)}


def selected(given: dict[str, str]) -> str:
    """The selection in words; sites and people have their names in the rows."""
    said = []
    if given.get("procedure_type"):
        found = ProcedureType.objects.filter(code=given["procedure_type"]).first()
        said.append(found.name if found else given["procedure_type"])
    if given.get("intent"):
        said.append(str(dict(Intent.choices).get(given["intent"], given["intent"])))
    if given.get("indication"):
        said.append(_("indication %s") % given["indication"].upper())
    if given.get("performer"):
        said.append(_("one clinician"))
    if given.get("site"):
        said.append(_("one site"))
    for name, words in (
        ("performed_from", _("performed from %s")),
        ("performed_until", _("performed until %s")),
    ):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", given.get(name, "")):
            said.append(words % given[name])
    return ", ".join(said) or _("all procedures")
