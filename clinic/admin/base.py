"""What every page of the front desk shares: who may see it, how a refusal is shown, what is written down."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.filters import RelatedFieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext as _
from unfold.admin import TabularInline

from clinic import audit
from clinic.admin.changelists import VersionedModelAdmin
from clinic.admin.history import changes_of
from clinic.admin.stale_forms import SHOWN, StalePage, overtaken, refusal, seal, snapshot
from clinic.models import Site, User
from clinic.refusals import Refusal
from clinic.row_versions import one_at_a_time


def staff(request: HttpRequest) -> User:
    """Who is asking. Every page of the admin is behind its sign-in."""
    return cast(User, request.user)


class DeskRequest(HttpRequest):
    """What DeskAdmin writes down on a request, for the forms that it builds."""

    #: What the posted form has missed.
    stale: StalePage | None
    #: What only saving refused: somebody was faster.
    refused_when_saving: ValidationError


def visible(model: type[models.Model], user: User) -> models.QuerySet[Any]:
    """The rows of `model` that `user` may see; all of them for models that belong to no site."""
    rows = model._default_manager.all()
    return rows.visible_to(user) if hasattr(rows, "visible_to") else rows


def show_refusal(form: forms.BaseForm, refusal: ValidationError, names: Mapping[str, str]) -> None:
    """Put a refusal beside the input that it is about; `names`: the form's field for a model's field."""
    if isinstance(refusal, Refusal):
        by_field: dict[str | None, Any] = {refusal.field: refusal}
    elif hasattr(refusal, "error_dict"):
        by_field = dict(refusal.error_dict.items())
    else:
        by_field = {None: refusal}
    for field, fault in by_field.items():
        name = names.get(field or "", field)
        form.add_error(name if name in form.fields and name != NON_FIELD_ERRORS else None, fault)


class DeskForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form that asks the service, before anything is saved, whether it would refuse.

    Subclasses say how in `ask`. A refusal that only came when saving (somebody was faster) is shown the same way,
    with everything typed still there: the page is then built a second time, see DeskAdmin.
    """

    #: Set by DeskAdmin.get_form.
    request: ClassVar[HttpRequest]
    #: Field of the model → field of this form, where they differ.
    names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = timezone.now()

    def clean(self) -> dict[str, Any]:
        super().clean()
        try:
            if getattr(self.request, "stale", None):
                raise refusal()
            if rival := getattr(self.request, "refused_when_saving", None):
                raise rival
            if not self.errors:
                self.ask(self.cleaned_data)
        except ValidationError as refused:
            show_refusal(self, refused, self.names)
        return self.cleaned_data

    def ask(self, cleaned: dict[str, Any]) -> None:
        """Raise the ValidationError that saving would meet."""

    def add_error(self, field: str | None, error: Any) -> None:
        """What both the service and Django refuse is said once."""
        super().add_error(field, error)
        for faults in self.errors.values():
            once = {(fault.code, tuple(fault.messages)): fault for fault in reversed(faults.as_data())}
            faults.data = list(reversed(once.values()))


class DeskAdmin(VersionedModelAdmin):
    """Rows of the user's sites only; nothing is ever deleted; refusals are shown, never hidden.

    A form carries what it showed, and saves nothing when that is not what stands any more (`clinic.admin.stale_forms`).
    """

    form: Any = DeskForm
    change_form_before_template: Any = "admin/clinic/shown.html"
    show_full_result_count = False
    list_filter_sheet = True
    list_per_page = 50
    #: Pages besides Django's own: modules of this app and of those above add theirs.
    pages: ClassVar[list[URLPattern]] = []
    #: Where a model without `visible_to` names its site; "" when it belongs to none.
    site_path: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.pages = []

    def get_urls(self) -> Any:
        return [*self.pages, *super().get_urls()]

    def choice(self, obj: Any) -> str:
        """A row as it is offered while typing; more than its name where names are shared."""
        return str(obj)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        user = staff(request)
        if hasattr(rows, "visible_to"):
            rows = rows.visible_to(user)
        elif self.site_path and not user.sees_all_sites:
            rows = rows.filter(**{f"{self.site_path}__in": user.sites.values("pk")})
        return cast(models.QuerySet[Any], rows)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list as it was asked for. What the database cannot be asked leads back to the whole list."""
        try:
            return super().get_changelist_instance(request)
        except (ValueError, OverflowError, DataError) as exc:
            if not request.GET:
                raise
            raise IncorrectLookupParameters(exc) from exc

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """What the address fills in; a row whose number is no number is left out."""
        said = super().get_changeform_initial_data(request)
        return {name: value for name, value in said.items() if self.can_be(name, value)}

    def can_be(self, name: str, value: Any) -> bool:
        """Whether `value` can be the number of a row, where the field called `name` holds such numbers."""
        fields = {field.name: field for field in (*self.opts.fields, *self.opts.many_to_many)}
        related = getattr(fields.get(name), "remote_field", None)
        numbers = value if isinstance(value, list) else [value]
        return not related or all(re.fullmatch(r"[0-9]{1,18}", str(number), re.ASCII) for number in numbers)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **seen(db_field, request, kwargs))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **seen(db_field, request, kwargs))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.request = request  # a class of its own for each request
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        pk = unquote(object_id) if object_id else None
        if pk and self.get_object(request, pk) is None:
            raise Http404  # the same for what does not exist and for what is another site's
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic():
            self.look_again(request, pk)
            try:
                return super().changeform_view(request, object_id, form_url, extra_context)
            except ValidationError as refused:
                # Somebody was faster after the form had been checked. Nothing was saved: show it again, filled in.
                cast(DeskRequest, request).refused_when_saving = refused
                return super().changeform_view(request, object_id, form_url, extra_context)

    # What the form showed.

    def begins_with(self, request: HttpRequest) -> Any:
        """The row that a new one takes over from, so that the page of the new one is as old as that; None: none."""
        return None

    def look_again(self, request: HttpRequest, pk: str | None) -> None:
        """Put what the posted form has missed into `request.stale`, and what to show instead into its data."""
        if pk:
            one_at_a_time(self.model, pk)
            obj = self.get_object(request, pk)
            if obj is None or not self.has_change_permission(request, obj):
                return  # Django refuses it
            form, formsets = self.untouched(request, obj)
        else:
            obj = self.begins_with(request)
            if obj is None or not self.has_add_permission(request):
                return
            one_at_a_time(type(obj), obj.pk)
            obj = self.begins_with(request)
            form = self.get_form(request)(initial=self.get_changeform_initial_data(request))
            formsets = []
        cast(DeskRequest, request).stale = overtaken(
            request, obj, form, formsets, of=self.shown_of(pk), now=timezone.now()
        )

    def untouched(self, request: HttpRequest, obj: Any) -> tuple[Any, list[Any]]:
        """The form and the tables as a page would show them now that nobody has filled in yet."""
        form = self.get_form(request, obj, change=True)(instance=obj)
        formsets, prefixes = [], dict[str, int]()
        for shape, inline in self.get_formsets_with_inlines(request, obj):
            prefix = shape.get_default_prefix()
            prefixes[prefix] = prefixes.get(prefix, 0) + 1
            if prefixes[prefix] != 1 or not prefix:
                prefix = f"{prefix}-{prefixes[prefix]}"
            if inline.has_change_permission(request, obj):
                formsets.append(shape(instance=obj, prefix=prefix, queryset=inline.get_queryset(request)))
        return form, formsets

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "",
        obj: Any = None,
    ) -> Any:  # fmt: skip
        form = context["adminform"].form
        if form.is_bound:
            context["shown"] = request.POST.get(SHOWN, "")
        elif self.begins_with(request) if obj is None else self.has_change_permission(request, obj):
            formsets = [
                inline.formset for inline in context["inline_admin_formsets"] if inline.has_change_permission
            ]
            context["shown"] = seal(
                snapshot(form, formsets), self.shown_of(obj.pk if obj else None), at=timezone.now()
            )
        context |= {"shown_name": SHOWN, "stale": getattr(request, "stale", None)}
        response = super().render_change_form(request, context, add, change, form_url, obj)
        if context["stale"]:
            response.status_code = 409
            messages.error(
                request, _("Not saved: somebody changed this while you had it open. Look above the form.")
            )
        return response

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Written to the audit trail instead, without names."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Written to the audit trail instead, without names."""

    def log_deletions(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        """Written to the audit trail instead, without names."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Every change that the database saw, field by field, oldest last."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": _("History: %s") % obj,
            "opts": self.opts,
            "object": obj,
            "changes": changes_of(obj),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/clinic/history.html", context)


class SeenFilter(RelatedFieldListFilter):
    """A filter by related rows that offers only those which the user may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        rows = visible(field.remote_field.model, staff(request))
        return [(str(row.pk), str(row)) for row in rows]


class Offers(AutocompleteJsonView):
    """What is offered while typing, in the words of the row's own page."""

    def serialize_result(self, obj: models.Model, to_field_name: str) -> dict[str, str]:
        page = cast(DeskAdmin, self.model_admin)
        return {**super().serialize_result(obj, to_field_name), "text": page.choice(obj)}


def seen(db_field: Any, request: HttpRequest, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`kwargs` with the choices of a relation narrowed to what the user may see."""
    if "queryset" not in kwargs:
        kwargs["queryset"] = visible(db_field.remote_field.model, staff(request))
    return kwargs


class AuditedAdmin(DeskAdmin):
    """For what has no service of its own: the row is checked in full, saved, and the saving is written down."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.full_clean()
        super().save_model(request, obj, form, change)
        audit.record(
            f"{obj._meta.model_name}.{'changed' if change else 'added'}",
            obj,
            by=staff(request),
            at=timezone.now(),
            site=obj if isinstance(obj, Site) else getattr(obj, "site", None),
            reason=", ".join(sorted(form.changed_data))[:500] if change else "",
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record(
            f"{obj._meta.model_name}.deleted",
            obj,
            by=staff(request),
            at=timezone.now(),
            site=getattr(obj, "site", None),
        )
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


class ReadOnlyAdmin(DeskAdmin):
    """Rows to look at: what they tell has happened, or is changed by actions with a name of their own."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DeskInline(TabularInline):
    """Rows of another model on a page, narrowed like everything else."""

    extra = 0
    hide_title = True

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **seen(db_field, request, kwargs))


class ReadOnlyInline(DeskInline):
    """Rows of another model to look at."""

    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def tell(request: HttpRequest, refusal: ValidationError) -> None:
    """Show a refusal as a message, where no form stands that could show it."""
    messages.error(request, " ".join(refusal.messages))


def now_at(site: Site) -> datetime:
    """The instant now, with the site's wall clock on it."""
    return timezone.now().astimezone(site.zone)
