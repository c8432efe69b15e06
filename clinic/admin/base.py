"""What every page of the front desk shares: who may see it, how a refusal is shown, what is written down."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.filters import RelatedFieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from pghistory.models import Events
from unfold.admin import ModelAdmin, TabularInline

from clinic import audit
from clinic.models import Site, User
from clinic.refusals import Refusal


def staff(request: HttpRequest) -> User:
    """Who is asking. Every page of the admin is behind its sign-in."""
    return cast(User, request.user)


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


class DeskForm(forms.ModelForm):  # type: ignore[type-arg]
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
            if rival := getattr(self.request, "refused_when_saving", None):
                raise rival
            if not self.errors:
                self.ask(self.cleaned_data)
        except ValidationError as refusal:
            show_refusal(self, refusal, self.names)
        return self.cleaned_data

    def ask(self, cleaned: dict[str, Any]) -> None:
        """Raise the ValidationError that saving would meet."""

    def add_error(self, field: str | None, error: Any) -> None:
        """What both the service and Django refuse is said once."""
        super().add_error(field, error)
        for faults in self.errors.values():
            once = {(fault.code, tuple(fault.messages)): fault for fault in reversed(faults.as_data())}
            faults.data = list(reversed(once.values()))


class DeskAdmin(ModelAdmin):
    """Rows of the user's sites only; nothing is ever deleted; refusals are shown, never hidden."""

    form: Any = DeskForm
    change_list_template: Any = "admin/clinic/change_list.html"
    show_full_result_count = False
    list_filter_sheet = True
    list_per_page = 50
    #: Where a model without `visible_to` names its site; "" when it belongs to none.
    site_path: ClassVar[str] = ""

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
        if object_id and self.get_object(request, unquote(object_id)) is None:
            raise Http404  # the same for what does not exist and for what is another site's
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as refusal:
            # Somebody was faster after the form had been checked. Nothing was saved: show the form again, filled in.
            request.refused_when_saving = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

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


def changes_of(obj: models.Model, limit: int = 100) -> list[dict[str, Any]]:
    """What history says about a row: when, by whom, what was done, and each field's value before and after."""
    every: Any = Events.objects
    events: list[dict[str, Any]] = list(
        every.tracks(obj)
        .values("pgh_created_at", "pgh_label", "pgh_diff", "pgh_context")
        .order_by("-pgh_created_at", "-pgh_slug")[:limit]
    )
    site = obj if isinstance(obj, Site) else getattr(obj, "site", None)
    return told(
        events,
        lambda event: [
            {"name": field_label(obj, name), "before": before, "after": after}
            for name, (before, after) in (event["pgh_diff"] or {}).items()
        ],
        site.zone if site else UTC,
    )


def told(
    events: list[dict[str, Any]], fields: Callable[[dict[str, Any]], list[dict[str, Any]]], zone: tzinfo
) -> list[dict[str, Any]]:
    """Rows of pghistory's Events as the page of a history shows them; `fields` reads what an event changed."""
    numbers: set[Any] = {(event["pgh_context"] or {}).get("user") for event in events} - {None}
    names: dict[Any, str] = {user.pk: str(user) for user in User.objects.filter(pk__in=numbers)}
    return [
        {
            "at": event["pgh_created_at"].astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
            "by": names.get((event["pgh_context"] or {}).get("user"), ""),
            "what": event["pgh_label"],
            "fields": fields(event),
        }
        for event in events
    ]


def field_label(obj: models.Model, column: str) -> str:
    """A column as staff know it."""
    return next((str(f.verbose_name) for f in obj._meta.fields if column in (f.name, f.attname)), column)


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
