"""The forms on which rows are recorded, corrected and marked as mistakes on pages of their own."""

from typing import Any, ClassVar

from django import forms
from django.db import models
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    BASE_INPUT_CLASSES,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from clinic.admin.datetime_widgets import DateInput


def day_input() -> DateInput:
    """The browser's own date field, looking as everything else."""
    return DateInput({"class": " ".join(BASE_INPUT_CLASSES)}, "%Y-%m-%d")


def dressed(field: "models.Field[Any, Any]", **kwargs: Any) -> forms.Field | None:
    """The form's field of a model's field, looking as everything else at the front desk."""
    widget: forms.Widget
    if field.choices:
        widget = UnfoldAdminSelectWidget()
    elif isinstance(field, models.BooleanField):
        widget = UnfoldBooleanSwitchWidget()
    elif isinstance(field, models.DateField):
        widget = day_input()
    elif isinstance(field, models.TextField):
        widget = UnfoldAdminTextareaWidget({"rows": 3})
    elif isinstance(field, models.DecimalField):
        widget = UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"})
        kwargs["localize"] = False
    else:
        widget = UnfoldAdminTextInputWidget({"autocomplete": "off"})
    return field.formfield(**{"widget": widget, **kwargs})


class RecordForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """What is filled in about a row on a page of its own. Subclasses name `formfield_callback = dressed` in their Meta.

    What is refused, the service says, beside the field that it is about; here only the form of each value is read.
    """

    names: ClassVar[dict[str, str]] = {}

    def _get_validation_exclusions(self) -> set[str]:
        return {field.name for field in self.instance._meta.fields}

    def said(self) -> dict[str, Any]:
        """The values of the row's own fields."""
        return {name: self.cleaned_data[name] for name in self._meta.fields or ()}


def reason_field() -> forms.CharField:
    """Why something that was recorded is changed."""
    return forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,  # the service refuses an empty one, with its own words
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text=_("Kept with the record."),
    )


class ReasonForm(forms.Form):
    """Why something that was recorded is a mistake."""

    names: ClassVar[dict[str, str]] = {}
    reason = reason_field()
