"""Members of staff and their groups. Nobody gives away what they do not hold themselves."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from clinic.admin.base import AuditedAdmin, DeskForm, SeenFilter, staff
from clinic.models import Site, User


def not_held(user: User) -> QuerySet[Permission]:
    """The permissions that `user` does not hold; none for a superuser."""
    if user.is_superuser:
        return Permission.objects.none()
    return Permission.objects.exclude(Q(user=user) | Q(group__user=user))


def grantable(user: User) -> QuerySet[Group]:
    """The groups that `user` may put somebody into: those that hold nothing that `user` does not hold."""
    beyond = not_held(user).filter(group=OuterRef("pk"))
    return Group.objects.filter(~Exists(beyond)).order_by("name")


def outranks(one: User, other: User) -> bool:
    """Whether `one` holds everything that `other` holds, so that taking over the account gains nothing."""
    if one.is_superuser or one.pk == other.pk:
        return True
    beyond = not_held(one).filter(Q(user=other) | Q(group__user=other))
    return not other.is_superuser and not beyond.exists()


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
    if "groups" in form.fields:
        form.fields["groups"].queryset = grantable(user)  # type: ignore[attr-defined]
    if "sites" in form.fields:
        form.fields["sites"].queryset = Site.objects.visible_to(user)  # type: ignore[attr-defined]
        form.fields["sites"].required = not user.is_superuser  # else the new account could not be seen


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    form = StaffForm
    add_form = NewStaffForm
    change_password_form = AdminPasswordChangeForm
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
        return (
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

    @display(description=_("roles"))
    def roles(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all())

    @display(description=_("works at"))
    def places(self, user: User) -> str:
        return ", ".join(site.name for site in user.sites.all())


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):  # type: ignore[misc]  # one more argument, by keyword
    """For superusers: the five roles are given their permissions again after every migration."""

    search_fields = ("name",)
    filter_horizontal = ("permissions",)
