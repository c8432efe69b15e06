"""The form that selects what a report is about."""

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.admin.base import show_refusal
from clinic.admin.datetime_widgets import DateInput
from clinic.models import Site, User
from outcomes.models import CourseSummary
from outcomes.reports import Selection
from procedures.models import Intent, ProcedureType


class SelectionForm(forms.Form):
    """Which follow-ups a report is about. What is left empty stays open."""

    procedure_type = forms.ChoiceField(label=gettext_lazy("Procedure type"), required=False)
    intent = forms.ChoiceField(
        label=gettext_lazy("Intent"), required=False, choices=[("", gettext_lazy("any")), *Intent.choices]
    )
    indication = forms.CharField(
        label=gettext_lazy("Indication (ICD-10-CM)"),
        required=False,
        max_length=8,
        widget=forms.TextInput({"placeholder": "M54", "autocomplete": "off"}),
        help_text=gettext_lazy("The beginning is enough."),
    )
    performer = forms.TypedChoiceField(
        label=gettext_lazy("Clinician"), required=False, coerce=int, empty_value=None
    )
    site = forms.TypedChoiceField(label=gettext_lazy("Site"), required=False, coerce=int, empty_value=None)
    performed_from = forms.DateField(
        label=gettext_lazy("Performed from"), required=False, widget=DateInput(format="%Y-%m-%d")
    )
    performed_until = forms.DateField(
        label=gettext_lazy("Performed until"), required=False, widget=DateInput(format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        seen = CourseSummary.objects.visible_to(user).counted()
        types = ProcedureType.objects.filter(pk__in=seen.order_by().values("procedure_type")).order_by("name")
        people = User.objects.filter(pk__in=seen.order_by().values("performer")).order_by("last_name")
        offered: dict[str, list[tuple[Any, str]]] = {
            "procedure_type": [(procedure_type.code, procedure_type.name) for procedure_type in types],
            "performer": [(person.pk, str(person)) for person in people],
            "site": [(site.pk, site.name) for site in Site.objects.visible_to(user)],
        }
        for name, choices in offered.items():
            field = cast(forms.ChoiceField, self.fields[name])
            field.choices = [("", _("any")), *choices]
            field.error_messages["invalid_choice"] = _("There is no such choice among yours.")

    def clean(self) -> dict[str, Any]:
        super().clean()
        if not self.errors:
            self.refuse_with(self.selection().check, self.user)
        return self.cleaned_data

    def refuse_with(self, act: Any, *args: Any, **kwargs: Any) -> Any:
        """What `act` returns; a refusal of it is shown beside the field that it is about, and the answer is None."""
        try:
            return act(*args, **kwargs)
        except ValidationError as refusal:
            show_refusal(self, refusal, {})
            return None

    def selection(self) -> Selection:
        """What is asked for, once the form is valid."""
        given = self.cleaned_data
        return Selection(**{name: given[name] for name in SelectionForm.base_fields})

    def words(self) -> str:
        """The selection as readers say it."""
        given = self.cleaned_data
        said = [
            str(dict(cast(forms.ChoiceField, self.fields[name]).choices)[given[name]])  # type: ignore[arg-type]
            for name in ("procedure_type", "intent", "performer", "site")
            if given[name] not in ("", None)
        ]
        if given["indication"]:
            said.append(_("indication %s") % given["indication"].upper())
        if given["performed_from"]:
            said.append(_("performed from %s") % f"{given['performed_from']:%-d %b %Y}")
        if given["performed_until"]:
            said.append(_("performed until %s") % f"{given['performed_until']:%-d %b %Y}")
        return " · ".join(said) or _("All procedures")
