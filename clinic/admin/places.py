"""Sites, resources with their hours, and closures."""

from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from clinic.admin.base import AuditedAdmin, DeskForm, DeskInline, SeenFilter, staff
from clinic.admin.wall import WallClockField, shown, to_instant
from clinic.models import Closure, Resource, ResourceCategory, Site, WorkingHours


@admin.register(Site)
class SiteAdmin(AuditedAdmin):
    list_display = ("name", "time_zone", "phone", "check_in_at")
    search_fields = ("name",)


@admin.register(ResourceCategory)
class ResourceCategoryAdmin(AuditedAdmin):
    list_display = ("name", "code")
    search_fields = ("name", "code")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()  # the catalogue's files know a category by its code


class WorkingHoursInline(DeskInline):
    model = WorkingHours
    fields = ("site", "weekday", "opens", "closes", "valid_from_on", "valid_until_on")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkingHours]:
        rows = super().get_queryset(request).select_related("site", "resource")
        user = staff(request)
        if not user.sees_all_sites:
            rows = rows.filter(site__in=user.sites.values("pk"))
        return cast(QuerySet[WorkingHours], rows)


@admin.register(Resource)
class ResourceAdmin(AuditedAdmin):
    list_display = ("name", "site", "kinds", "user", "active")
    list_filter = ("active", ("site", SeenFilter), "categories")
    list_select_related = ("site", "user")
    search_fields = ("name", "user__last_name", "user__first_name")
    autocomplete_fields = ("site", "categories", "user")
    inlines = (WorkingHoursInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Resource]:
        return super().get_queryset(request).prefetch_related("categories")

    @display(description=_("categories"))
    def kinds(self, resource: Resource) -> str:
        return ", ".join(category.name for category in resource.categories.all())


class ClosureForm(DeskForm):
    """A closure's span, on the wall clock of its site, or of its resource's home site."""

    starts = WallClockField(label=_("From"))
    ends = WallClockField(label=_("Until"))
    names = {"starts_at": "starts", "ends_at": "ends"}

    class Meta:
        model = Closure
        fields = ("site", "resource", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        closure = self.instance
        if closure.pk:
            zone = place(closure).zone
            self.initial["starts"] = closure.starts_at.astimezone(zone).replace(tzinfo=None)
            self.initial["ends"] = closure.ends_at.astimezone(zone).replace(tzinfo=None)

    def ask(self, cleaned: dict[str, Any]) -> None:
        where = cleaned.get("site") or getattr(cleaned.get("resource"), "site", None)
        if where is None or (cleaned.get("site") and cleaned.get("resource")):
            raise ValidationError(_("Name either a site or a resource."), code="site_or_resource")
        for name in ("starts", "ends"):
            try:
                setattr(self.instance, f"{name}_at", to_instant(cleaned[name], where.zone))
            except ValidationError as refusal:
                self.add_error(name, refusal)
        if not self.errors and self.instance.ends_at <= self.instance.starts_at:
            raise ValidationError(
                {"ends": ValidationError(_("A closure must end after it starts."), code="ends_before_start")}
            )


def place(closure: Closure) -> Site:
    """The site on whose wall clock a closure is written."""
    return closure.site or cast(Resource, closure.resource).site


@admin.register(Closure)
class ClosureAdmin(AuditedAdmin):
    form = ClosureForm
    fields = ("site", "resource", "starts", "ends", "reason")
    list_display = ("what", "begins", "finishes", "reason")
    list_filter = (("site", SeenFilter),)
    list_select_related = ("site", "resource__site")
    search_fields = ("reason", "site__name", "resource__name")
    autocomplete_fields = ("site", "resource")
    date_hierarchy = "starts_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Closure]:
        rows = super().get_queryset(request)
        user = staff(request)
        if not user.sees_all_sites:
            rows = rows.filter(
                Q(site__in=user.sites.values("pk"))
                | Q(resource__in=Resource.objects.visible_to(user).values("pk"))
            )
        return cast(QuerySet[Closure], rows)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("clinic.delete_closure")

    @display(description=_("closed"))
    def what(self, closure: Closure) -> str:
        return str(closure.site or closure.resource)

    @display(description=_("from"), ordering="starts_at")
    def begins(self, closure: Closure) -> str:
        return shown(closure.starts_at, place(closure))

    @display(description=_("until"), ordering="ends_at")
    def finishes(self, closure: Closure) -> str:
        return shown(closure.ends_at, place(closure))
