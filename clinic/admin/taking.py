"""A page with one form that does one thing: most steps of the front desk are taken on such a page."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    BASE_INPUT_CLASSES,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from clinic.admin.base import show_refusal, tell
from clinic.admin.datetime_widgets import DateInput
from clinic.admin.form_data import shown_by
from clinic.admin.stale_forms import SHOWN, StalePage, overtaken_step, seal
from clinic.versions import columns, one_at_a_time


def take(
    request: HttpRequest,
    form: forms.Form,
    act: Callable[[], str],
    *,
    done: Any,
    back: str,
    context: Mapping[str, Any],
    row: models.Model | None = None,
) -> HttpResponse:
    """A page with one form. Only POST acts; what is refused is shown with everything typed still there.

    `row`: what the page is about, as read for this request; nothing is done to it that the reader has not seen as it
    stands. None: something new is made.

    `act` raises the service's refusals and returns the address to go to. Where nothing that could be typed would
    help (it was clicked twice, somebody else was faster, or there is nothing to type) the reader is taken to the
    page `back`, which shows how things stand.
    """
    if request.method != "POST":
        return form_page(request, form, back=back, context=context, row=row)
    with transaction.atomic():
        if row is not None and (stale := missed(request, row, form)):
            return told_of(request, form, stale, back=back, context=context, row=row)
        if form.is_valid():
            try:
                goal = act()
            except ValidationError as refusal:
                code = getattr(refusal, "code", None)
                if not form.fields or code in ("not_allowed_now", "resolved_already"):
                    tell(request, refusal)
                    return HttpResponseRedirect(back)
                show_refusal(form, refusal, getattr(form, "names", {}))
            else:
                messages.success(request, str(done))
                return HttpResponseRedirect(goal)
    return form_page(request, form, back=back, context=context, row=row)


def missed(request: HttpRequest, row: models.Model, form: forms.Form | None = None) -> StalePage | None:
    """What the page or the button that `request` sends has missed of `row`; the form then holds what to show instead.

    None: nothing, and until the transaction ends nobody changes the row by a door that carries a version.
    """
    one_at_a_time(type(row), row.pk)
    return overtaken_step(request, row, form or forms.Form(), of=shown_of(request, row))


def carried(
    request: HttpRequest, row: models.Model, form: forms.Form | None = None, *, again: bool = False
) -> dict[str, str]:
    """For the context of a page about `row`: what it shows of it. `again`: as it stands by now."""
    sent = "" if again else request.POST.get(SHOWN, "")
    shown = [shown_by(form) if form else {}, columns(row)]
    return {
        "shown": sent or seal(shown, shown_of(request, row), at=timezone.now()),
        "shown_name": SHOWN,
    }


def in_a_line(stale: StalePage) -> str:
    """What was missed, for a message, where no form stands that could show it."""
    said = [
        f"{change.label}: {change.before} → {change.now}"
        + (f" ({change.by}, {change.at})" if change.by else "")
        for change in stale.changes
    ]
    words = _("Nothing was done: this was changed while you had it open. Look, then press the button again.")
    return " ".join([str(words), *(said or stale.who)])


def told_of(
    request: HttpRequest,
    form: forms.Form,
    stale: StalePage,
    *,
    back: str,
    context: Mapping[str, Any],
    row: models.Model,
) -> HttpResponse:
    """The page once more with what it missed; where there is nothing to type, the page that shows how things stand."""
    if form.fields:
        return form_page(request, form, back=back, context={**context, "stale": stale}, row=row, status=409)
    messages.error(request, in_a_line(stale))
    return HttpResponseRedirect(back)


def shown_of(request: HttpRequest, row: models.Model) -> str:
    """Names the page of one step with a row."""
    return f"{row._meta.label_lower}:{row.pk}:{request.path}"


def take_for(
    request: HttpRequest,
    form: forms.Form,
    act: Callable[[], object],
    *,
    needs: str,
    opts: Any,
    back: str,
    lead: str,
    title: Any,
    done: Any,
    danger: bool = False,
    row: models.Model | None = None,
) -> HttpResponse:
    """`take`, for those who hold the permission `needs`; afterwards the reader is on the page `back`.

    Raises PermissionDenied for the others.
    """
    if not request.user.has_perm(needs):
        raise PermissionDenied

    def do() -> str:
        act()
        return back

    context = {"title": title, "opts": opts, "submit": title, "danger": danger, "lead": lead}
    return take(request, form, do, done=done, back=back, context=context, row=row)


def form_page(
    request: HttpRequest,
    form: forms.Form,
    *,
    back: str,
    context: Mapping[str, Any],
    row: models.Model | None = None,
    status: int | None = None,
) -> HttpResponse:
    """The page with one form, with its faults if it has any. A form without fields is a question to confirm."""
    page = {**admin.site.each_context(request), "form": form, "media": form.media, "back": back, **context}
    if row is not None:
        page |= carried(request, row, form, again=status is not None)
    return TemplateResponse(
        request, "admin/clinic/step.html", page, status=status or (422 if form.errors else 200)
    )


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
