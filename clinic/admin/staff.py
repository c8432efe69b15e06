"""Members of staff and their groups. Nobody gives away what they do not hold themselves."""

from collections.abc import Mapping
from copy import copy
from datetime import UTC
from functools import partial
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken
from pghistory.models import Events
from unfold.decorators import display
from unfold.forms import (
    AdminPasswordChangeForm,
    UserChangeForm,
    UserCreationForm,
)

from clinic import services
from clinic.admin.base import AuditedAdmin, DeskAdmin, DeskForm, SeenFilter, staff, visible
from clinic.admin.history import changes_of, history_rows
from clinic.models import MEMBERSHIPS, Site, User
from clinic.permissions import grantable, outranks

#: Said on the page of an account that may only be looked at.
ABOVE_YOU = _(
    "Only somebody who holds all of this person’s permissions and sees all of their sites can change this account."
)


class StaffForm(DeskForm, UserChangeForm):
    """A member of staff; must work somewhere, unless a superuser says otherwise."""

    class Meta(UserChangeForm.Meta):
        model = User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        narrow(self)


class NewStaffForm(DeskForm, UserCreationForm):
    """A new member of staff with a first password."""

    class Meta:
        model = User
        fields = ("email",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        narrow(self)

    def clean_email(self) -> str:
        return cast(str, self.cleaned_data["email"]).lower()


def narrow(form: DeskForm) -> None:
    """Offer only the groups and sites that the person at the form may give."""
    user = staff(form.request)
    groups, sites = (
        cast("ModelMultipleChoiceField[Any] | None", form.fields.get(name)) for name in ("groups", "sites")
    )
    if groups:
        groups.queryset = grantable(user)
    if sites:
        sites.queryset = Site.objects.visible_to(user)
        sites.required = not user.is_superuser  # else the new account could not be seen


class PasswordForm(AdminPasswordChangeForm):
    """A password that an administrator sets, or takes away."""

    request: HttpRequest

    def save(self, commit: bool = True) -> User:
        password = self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        return services.set_password(self.user, password, by=staff(self.request), now=timezone.now())


def memberships(user: User, reader: User) -> list[dict[str, Any]]:
    """What history says about the roles, permissions and sites of `user`, as far as `reader` sees them."""
    rows: list[dict[str, Any]] = []
    every: Any = Events.objects
    for relation, events in MEMBERSHIPS.items():
        field: Any = User._meta.get_field(relation)
        column = f"{field.m2m_reverse_field_name()}_id"
        names = {row.pk: str(row) for row in visible(field.related_model, reader)}
        found = every.across(events).references(user)
        kept = list(found.values("pgh_created_at", "pgh_label", "pgh_data", "pgh_context"))
        rows += history_rows(kept, partial(given_or_taken, field, column, names), UTC)
    return rows


def given_or_taken(
    field: Any, column: str, names: Mapping[int, str], event: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row of a relation that began or ended, as a history shows it."""
    name = names.get(event["pgh_data"][column], _("another"))
    given = event["pgh_label"] == "insert"
    return [{"name": field.verbose_name, "before": None if given else name, "after": name if given else None}]


@admin.register(User)
class UserAdmin(DeskAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    form = StaffForm
    add_form = NewStaffForm
    change_password_form = PasswordForm
    list_display = ("__str__", "email", "roles", "places", "is_active")
    list_filter = ("is_active", "groups", ("sites", SeenFilter))
    search_fields = ("email", "first_name", "last_name")
    ordering = ("last_name", "first_name")
    filter_horizontal = ()
    autocomplete_fields = ()
    readonly_fields = ("last_login", "date_joined")
    add_fieldsets = (
        (None, {"fields": ("email", ("first_name", "last_name"), "password1", "password2")}),
        (_("May do, and where"), {"fields": ("is_staff", "groups", "sites")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        rank = ("is_superuser", "user_permissions") if staff(request).is_superuser else ()
        locked = () if outranks(staff(request), obj) else ((None, {"fields": (), "description": ABOVE_YOU}),)
        return (
            *locked,
            (None, {"fields": ("email", ("first_name", "last_name"), "password")}),
            (_("May do, and where"), {"fields": (("is_active", "is_staff"), "groups", "sites", *rank)}),
            (_("Seen"), {"fields": (("last_login", "date_joined"),)}),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = self.add_form
        return super().get_form(request, obj, change=change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        return {"is_staff": True}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows = super().get_queryset(request).prefetch_related("groups", "sites")
        user = staff(request)
        if not user.is_superuser:
            here = User.sites.through.objects.filter(user=OuterRef("pk"), site__in=user.sites.values("pk"))
            rows = rows.filter(Q(Exists(here)) | Q(pk=user.pk))
        return cast(QuerySet[User], rows)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return bool(may and (obj is None or outranks(staff(request), obj)))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """With everything that belongs to it, in `save_related`."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        said = form.cleaned_data
        services.save_staff(
            form.instance,
            groups=said.get("groups"),
            sites=said.get("sites"),
            permissions=said.get("user_permissions"),
            by=staff(request),
            now=timezone.now(),
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """On a form that knows who sets the password; a class of its own for each request."""
        page: Any = copy(self)
        page.change_password_form = type("RequestsPasswordForm", (PasswordForm,), {"request": request})
        return super(UserAdmin, page).user_change_password(request, id, form_url)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the roles, permissions and sites that were given and taken; a site out of sight has no name."""
        user = self.get_object(request, unquote(object_id))
        changes = [*changes_of(user), *memberships(user, staff(request))] if user else []
        changes.sort(key=lambda change: change["at"], reverse=True)
        return super().history_view(request, object_id, {"changes": changes, **(extra_context or {})})

    @display(description=_("roles"))
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    @display(description=_("works at"))
    def places(self, user: User) -> str:
        return ", ".join(site.name for site in user.sites.all())


admin.site.unregister(Group)
# Tokens are made by signing in and by nothing else; they end by signing out, by their time and with the password.
admin.site.unregister(AuthToken)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):  # type: ignore[misc]  # one more argument, by keyword
    """For superusers: the five roles are given their permissions again after every migration."""

    search_fields = ("name",)
    filter_horizontal = ("permissions",)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        group, now = form.instance, timezone.now()
        permissions = form.cleaned_data.get("permissions", ())
        services.save_group_permissions(group, permissions, by=staff(request), now=now)
