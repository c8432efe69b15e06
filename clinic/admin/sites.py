"""Sites, resources with their hours, and categories. Closures displace appointments: procedures.admin.closures."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldBooleanSwitchWidget,
)

from clinic.admin.base import AuditedAdmin, DeskForm, DeskInline, SeenFilter, staff
from clinic.models import OPTIONAL_ALERTS, Resource, ResourceCategory, Site, SiteLogo, WorkingHours
from clinic.validators import LARGEST_PICTURE, small_picture

#: Builds a part of a resource's page: takes the request and the resource, returns HTML.
Panel = Callable[[HttpRequest, Resource], SafeString]


#: Looks at what saving a site or a resource with its hours has done, before it is kept. Raises ValidationError to take
#: it back, and may leave words about it in `request.consequences`.
Consequence = Callable[[HttpRequest, "Site | Resource"], None]


class PlaceAdmin(AuditedAdmin):
    """Rows whose change may displace what is planned: the apps above look before it is kept."""

    change_form_template = "admin/clinic/place_form.html"
    consequences: ClassVar[list[Consequence]] = []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if change:
            for look in self.consequences:
                look(request, form.instance)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["consequences"] = getattr(request, "consequences", "")
        return super().render_change_form(request, context, *args, **kwargs)


class SiteForm(DeskForm):
    """A site with the picture at the head of its e-mails."""

    logo = forms.FileField(
        label=_("logo in e-mails"),
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_(
            "PNG, JPEG or GIF, at most 40 kB, shown 48 pixels high. Empty: the one that is there stays."
        ),
    )
    no_logo = forms.BooleanField(
        label=_("take the logo away"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    def clean_logo(self) -> bytes:
        """What was uploaded; empty for nothing."""
        file = self.cleaned_data["logo"]
        data: bytes = file.read(LARGEST_PICTURE + 1) if file else b""
        if data:
            small_picture(data)
        return data


@admin.register(Site)
class SiteAdmin(PlaceAdmin):
    form = SiteForm
    list_display = ("name", "time_zone", "phone", "check_in_at", "grid_minutes", "emails_paused")
    search_fields = ("name",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "time_zone"),
                    ("phone", "emergency_phone"),
                    "address",
                    ("grid_minutes", "record_number_scheme"),
                )
            },
        ),
        (
            _("Questions to patients"),
            {
                "fields": (
                    ("check_in_at", "emails_a_week"),
                    ("quiet_from", "quiet_until"),
                    ("sender_name", "reply_to"),
                    ("logo", "no_logo"),
                    ("greets_by_first_name", "asks_birth_date"),
                    "emails_paused",
                )
            },
        ),
        (
            _("Alerts"),
            {
                "fields": (
                    ("alert_email", "routine_alert_days"),
                    ("emergency_alert_minutes", "same_day_alert_minutes"),
                    "alert_kinds_off",
                )
            },
        ),
        (_("Reports"), {"fields": ("smallest_cell",)}),
    )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data["no_logo"]:
            SiteLogo.objects.filter(site=obj).delete()
        elif form.cleaned_data["logo"]:
            SiteLogo.objects.update_or_create(site=obj, defaults={"image": form.cleaned_data["logo"]})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "alert_kinds_off":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.MultipleChoiceField(
            label=db_field.verbose_name,
            help_text=db_field.help_text,
            choices=OPTIONAL_ALERTS,
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
        )


@admin.register(ResourceCategory)
class ResourceCategoryAdmin(AuditedAdmin):
    list_display = ("name", "code", "needs_privilege")
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
class ResourceAdmin(PlaceAdmin):
    list_display = ("name", "site", "kinds", "user", "overbooking", "active")
    list_filter = ("active", ("site", SeenFilter), "categories")
    list_select_related = ("site", "user")
    search_fields = ("name", "user__last_name", "user__first_name")
    autocomplete_fields = ("site", "categories", "user")
    #: The apps above add theirs.
    inlines: ClassVar[list[Any]] = [WorkingHoursInline]
    #: What the apps above put on a resource's page, in order; they register it with `ResourceAdmin.panel`.
    panels: ClassVar[list[Panel]] = []

    @classmethod
    def panel(cls, build: Panel) -> Panel:
        """Decorator: put what `build` returns on every resource's page."""
        cls.panels.append(build)
        return build

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        resource = self.get_object(request, unquote(object_id))
        if resource is not None and self.has_view_or_change_permission(request, resource):
            panels = [build(request, resource) for build in self.panels]
            extra_context = {**(extra_context or {}), "panels": panels}
        return super().change_view(request, object_id, form_url, extra_context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Resource]:
        return super().get_queryset(request).prefetch_related("categories")

    @display(description=_("categories"))
    def kinds(self, resource: Resource) -> str:
        return ", ".join(category.name for category in resource.categories.all())
