"""The rows behind a number of a report, in the lists of follow-ups, check-ins, alerts and adverse events."""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import DateField, IntegerField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.base import ReadOnlyAdmin, staff, tell
from outcomes.models import Answer
from outcomes.models.adverse_events import TERMS
from outcomes.models.follow_ups import VERDICTS
from outcomes.reports import Selection
from outcomes.reports.alert_load import LOOKS_BACK
from outcomes.reports.drill_down import (
    ASKED_CELL,
    AT_CELL,
    CURVE_CELL,
    alerts_behind,
    check_ins_behind,
    events_behind,
    rows_behind,
)
from patients.models import Patient
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

    behind: ClassVar[Callable[..., QuerySet[Any]]] = staticmethod(rows_behind)

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
            "display": _("All"),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.given:
            return queryset
        try:
            rows = self.behind(
                selection_of(self.given), self.given["cell"], staff(request), now=timezone.now()
            )
        except ValidationError as refusal:
            tell(request, refusal)
            return queryset.none()
        return queryset.filter(pk__in=rows.order_by().values("pk"))


class CheckInCells(CellFilter):
    behind = staticmethod(check_ins_behind)


class AlertCells(CellFilter):
    behind = staticmethod(alerts_behind)


class EventCells(CellFilter):
    behind = staticmethod(events_behind)


class ShowsBehind(ReadOnlyAdmin):
    """A list that says which number of a report it stands behind."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if "cell" in request.GET:
            given = {name: request.GET.get(name, "") for name in ("cell", *NAMES)}
            extra_context = {**(extra_context or {}), "behind": sentence(given)}
        return super().changelist_view(request, extra_context)


#: What a whole group is, as the end of "Follow-ups …".
GROUPS = {
    "procedures": gettext_lazy("of all procedures"),
    "tests": gettext_lazy("of all tests"),
    "tests_positive": gettext_lazy("of the positive tests"),
    "tests_negative": gettext_lazy("of the negative tests"),
    "tests_indeterminate": gettext_lazy("of the indeterminate tests"),
    "trials": gettext_lazy("of all trials"),
    "trials_passed": gettext_lazy("of the trials that passed"),
    "trials_failed": gettext_lazy("of the trials that failed"),
    "trials_indeterminate": gettext_lazy("of the indeterminate trials"),
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
    "adverse:worst:mild": gettext_lazy("whose worst adverse event is mild"),
    "adverse:worst:moderate": gettext_lazy("whose worst adverse event is moderate"),
    "adverse:worst:severe": gettext_lazy("whose worst adverse event is severe"),
    "month:lost_early": gettext_lazy(
        "whose relief was found lost early this month, or possibly so, and still is"
    ),
    "month:no_relief": gettext_lazy("found without relief this month, and still so"),
}
#: What came of a check-in.
CAME = {
    "due": gettext_lazy("it fell due"),
    "answered": gettext_lazy("it was answered"),
    "asked": gettext_lazy("it fell due before the course ended"),
    "silent": gettext_lazy("nobody answered"),
    "again": gettext_lazy("the patient had been treated again"),
    "again_in_relief": gettext_lazy("treated again, in relief before it"),
    "again_out_of_relief": gettext_lazy("treated again, out of relief before it"),
    "again_not_asked": gettext_lazy("treated again, pain before it not known"),
    "explanted": gettext_lazy("the device had been taken out"),
    "transferred": gettext_lazy("another clinic treated the patient"),
    "other_care": gettext_lazy("the patient had gone another way"),
    "died": gettext_lazy("the patient had died"),
    "thirty": gettext_lazy("at least 30 % less pain"),
    "fifty": gettext_lazy("at least 50 % less pain"),
    "success": gettext_lazy("as much less pain as counts for the procedure"),
    "two_points": gettext_lazy("at least 2 points less"),
    "told": gettext_lazy("the impression of change was told"),
    "improved": gettext_lazy("much or very much improved"),
    "peg": gettext_lazy("PEG known before and then"),
}
#: What is known of a follow-up at one time of a curve.
KNOWN = {
    "known_in": gettext_lazy("known to be in relief"),
    "known_out": gettext_lazy("known to have lost it"),
    "unknown": gettext_lazy("not known"),
}
#: What became of opioids, as the end of "Follow-ups …".
OPIOIDS = {
    "took": gettext_lazy("whose patient took an opioid on the day of the procedure"),
    "countable": gettext_lazy("whose opioids can be compared"),
    "halved": gettext_lazy("with at least half the opioids less"),
    "stopped": gettext_lazy("with no opioid any more"),
}
#: Whole lists of other rows.
OTHERS = {
    "alerts:raised": gettext_lazy("Alerts raised in the last %(days)s days"),
    "alerts:resolved": gettext_lazy("Alerts raised in the last %(days)s days and resolved"),
    "alerts:acted": gettext_lazy("Alerts raised in the last %(days)s days that somebody acted on"),
    "asked:recent:due": gettext_lazy("Check-ins due or answered in the last %(days)s days"),
    "asked:recent:answered": gettext_lazy("Check-ins answered in the last %(days)s days"),
    "asked:all:due": gettext_lazy("Check-ins that fell due"),
    "asked:all:answered": gettext_lazy("Check-ins that were answered"),
    "events:all": gettext_lazy("Adverse events"),
    "events:related": gettext_lazy("Adverse events that were possibly caused by it"),
}


def sentence(given: dict[str, str]) -> str:
    """What the list shows, in a sentence."""
    cell = given.get("cell", "")
    what = about_others(cell) or _("Follow-ups %s") % about_follow_ups(cell)
    return _("%(what)s; %(selected)s.") % {"what": what, "selected": selected(given)}


def about_others(cell: str) -> str:
    """Which check-ins, alerts or adverse events a cell counts; "" for one that counts follow-ups."""
    kind, _colon, value = cell.partition(":")
    if cell in OTHERS:
        return str(OTHERS[cell] % {"days": LOOKS_BACK.days})
    if kind == "events":
        term, _colon, how = value.partition(":")
        names = {"term": {code.value: words for code, words in TERMS}.get(term, term), "how": how}
        return _("Adverse events “%(term)s”, %(how)s") % names
    if found := ASKED_CELL.match(cell):
        group, which, name = found.groups()
        names = {"group": groups().get((group, which)) or which, "what": CAME.get(name, name)}
        if group in ("day", "minute"):
            names["group"] = time_words(which, minutes=group == "minute")
        return _("Check-ins, %(group)s: %(what)s") % names
    return ""


def groups() -> dict[tuple[str, str], str]:
    """The groups of the response report that have words of their own."""
    return {
        **{("language", value): str(words) for value, words in Patient.Language.choices},
        **{("channel", value): str(words) for value, words in Answer.Channel.choices},
    }


def time_words(at: str, *, minutes: bool) -> str:
    return _("hour %s") % f"{int(at) / 60:g}" if minutes else _("day %s") % at


def about_follow_ups(cell: str) -> str:
    """Which follow-ups a cell counts, as the end of "Follow-ups …"."""
    kind, _colon, value = cell.partition(":")
    if found := AT_CELL.match(cell):
        at, minutes, name = found.groups()
        said = CAME.get(name, name)
        if name.startswith("change_"):
            said = _("%s of 7 was chosen as the impression of change") % name.removeprefix("change_")
        when = time_words(at, minutes=bool(minutes))
        return _("at the check-in of %(when)s: %(what)s (with a baseline and not confounded)") % {
            "when": when,
            "what": said,
        }
    if found := CURVE_CELL.match(cell):
        population, at, minutes, name = found.groups()
        when = time_words(at, minutes=bool(minutes))
        whose = _("all treated") if population == "all_treated" else _("responders only")
        if name == "all":
            return _("of the curve of %s") % whose
        if name == "half_is_loss":
            return _("of the curve of %s, were pain exactly at the limit a loss") % whose
        return _("of the curve of %(whose)s, %(what)s on %(when)s") % {
            "whose": whose,
            "what": KNOWN[name],
            "when": when,
        }
    if kind == "verdict":
        return _("with the verdict “%s”") % {code.value: label for code, label in VERDICTS}.get(value, value)
    if kind == "adverse" and cell not in GROUPS:
        return _("with the adverse event “%s”") % {code.value: label for code, label in TERMS}.get(
            value, value
        )
    if kind == "satisfied" and value:
        return _("that answered %s of 5 when asked how satisfied they are") % value
    if kind == "opioids":
        return str(OPIOIDS.get(value, cell))
    return str(GROUPS.get(cell, cell))


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
