"""What a browser sends back of a form that nobody has touched, and what was touched.

A field's values stand by the names of its inputs, without the form's prefix: {"starts_0": ["2027-01-11"], …}.
"""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import models
from django.http import QueryDict
from django.utils.translation import gettext as _

Values = dict[str, list[str]]
#: The values of a form, by field.
Said = dict[str, Values]


def untouched(widget: Any, name: str, value: Any) -> Values:
    """What comes back of a widget that shows `value`."""
    if isinstance(widget, RelatedFieldWidgetWrapper):
        return untouched(widget.widget, name, value)
    if isinstance(widget, forms.MultiWidget):
        several: Any = widget
        parts = value if isinstance(value, list | tuple) else several.decompress(value)
        inner = zip(several.widgets, several.widgets_names, parts, strict=True)
        return {
            key: sent
            for subfield, suffix, part in inner
            for key, sent in untouched(subfield, name + suffix, part).items()
        }
    if isinstance(widget, forms.CheckboxInput):
        return {name: ["on"] if widget.check_test(value) else []}
    if isinstance(widget, forms.FileInput):
        return {}
    shown = widget.format_value(value)
    if isinstance(shown, list | tuple):
        return {name: [str(value) for value in shown]}
    return {name: [] if shown is None else [str(shown)]}


def kept_fields(form: forms.BaseForm) -> Iterator[tuple[str, forms.Field]]:
    """The fields that a form can change; not what says which row a line of a table is."""
    key = form.instance._meta.pk.name if isinstance(form, forms.BaseModelForm) and form.prefix else ""
    for name, field in form.fields.items():
        which = isinstance(field, forms.models.InlineForeignKeyField) or name in (key, "DELETE")
        if not field.disabled and not which:
            yield name, field


def shown_by(form: forms.BaseForm) -> Said:
    """What comes back of a form that nobody has touched."""
    return {name: shown_in(form, name) for name, _field in kept_fields(form)}


def shown_in(form: forms.BaseForm, name: str) -> Values:
    """What comes back of one field that nobody has touched."""
    field = form.fields[name]
    value = field.prepare_value(form.get_initial_for_field(field, name))
    return untouched(field.widget, name, value)


def typed_in(data: QueryDict, form: forms.BaseForm, prefix: str = "") -> Said:
    """What came back of a form's fields; `prefix` with its hyphen."""
    return {
        name: {key: data.getlist(prefix + key) for key in shown_in(form, name)}
        for name, _field in kept_fields(form)
    }


def put(data: QueryDict, values: Values, prefix: str = "") -> None:
    """Write values into what a browser has sent."""
    for key, sent in values.items():
        if sent:
            data.setlist(prefix + key, sent)
        else:
            data.pop(prefix + key, None)


def plain(values: Values) -> dict[str, list[str]]:
    """Values without what browsers do to them: line ends, and an empty choice that is sent or not."""
    return {
        key: sorted(text for value in sent if (text := value.replace("\r\n", "\n").strip()))
        for key, sent in values.items()
    }


def same(field: forms.Field, name: str, first: Values, other: Values) -> bool:
    """Whether two values of a field mean the same, as 9:00 and 09:00 do."""
    if plain(first) == plain(other):
        return True
    if isinstance(field, forms.ModelChoiceField):
        return False
    try:
        return bool(field_value(field, name, first) == field_value(field, name, other))
    except (ValidationError, ValueError, TypeError):
        return False


def field_value(field: forms.Field, name: str, values: Values) -> Any:
    """What the field takes the values for. Raises ValidationError for what it cannot read."""
    data = QueryDict(mutable=True)
    put(data, values)
    found = field.widget.value_from_datadict(data, {}, name)
    if isinstance(field, forms.MultiValueField):
        return [inner.to_python(part) for inner, part in zip(field.fields, found, strict=True)]
    return field.to_python(found)


def display_values(field: forms.Field, values: Values) -> str:
    """A field's values as a clerk reads them; "–" for nothing."""
    sent = [value for some in values.values() for value in some if value]
    if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
        rows: models.QuerySet[Any] = field.queryset.filter(
            pk__in=[value for value in sent if value.isdecimal()]
        )
        return ", ".join(str(row) for row in rows) or "–"
    if isinstance(field, forms.BooleanField):
        return _("yes") if sent else _("no")
    if isinstance(field, forms.ChoiceField):
        labels: dict[str, Any] = {}
        choices: Any = field.choices
        for value, label in choices:
            nested = label if isinstance(label, list | tuple) else [(value, label)]
            labels |= {str(key): words for key, words in nested}
        return ", ".join(str(labels.get(value, value)) for value in sent) or "–"
    return " ".join(sent) or "–"
