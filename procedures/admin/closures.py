"""Leave and closures: whom they displace is shown before they are saved, with the way to another time for each."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from clinic.admin.base import DeskAdmin, DeskForm, DeskInline, SeenFilter, staff
from clinic.admin.datetime_widgets import WallClockField, site_time_text, to_instant
from clinic.admin.sites import PlaceAdmin, ResourceAdmin
from clinic.models import Closure, Resource, Site
from procedures import services
from procedures.admin.descriptions import STATUS_LABELS, marks, page_of, span
from procedures.models import Appointment, Privilege, ProcedureType

#: How many displaced appointments are listed; how many there are is always said.
MOST = 50


class ClosureForm(DeskForm):
    """A closure's span, on the wall clock of its site, or of its resource's home site.

    One that displaces appointments is saved only by somebody who has been shown them: `seen` carries which ones the
    page listed, and when others have come since, they are shown first.
    """

    starts = WallClockField(label=_("From"))
    ends = WallClockField(label=_("Until"))
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    names = {"starts_at": "starts", "ends_at": "ends"}
    #: What saving would displace, once that is known.
    displaced: list[Appointment]

    class Meta:
        model = Closure
        fields = ("site", "resource", "reason", "deputy", "yearly")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.displaced = []
        closure = self.instance
        if closure.pk:
            zone = closure.place.zone
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
        if self.errors:
            return
        if self.instance.ends_at <= self.instance.starts_at:
            raise ValidationError(
                {"ends": ValidationError(_("A closure must end after it starts."), code="ends_before_start")}
            )
        whose = {name: cleaned.get(name) for name in ("site", "resource", "deputy")}
        services.check_deputy(Closure(**whose))
        services.refuse_twice(
            Closure(
                pk=self.instance.pk,
                site=cleaned.get("site"),
                resource=cleaned.get("resource"),
                starts_at=self.instance.starts_at,
                ends_at=self.instance.ends_at,
            )
        )
        self.preview(cleaned)

    def preview(self, cleaned: dict[str, Any]) -> None:
        """Refuse, code "displaces", as long as the clerk has not been shown all that would be displaced."""
        asked = Closure(
            site=cleaned.get("site"),
            resource=cleaned.get("resource"),
            starts_at=self.instance.starts_at,
            ends_at=self.instance.ends_at,
            yearly=cleaned.get("yearly", False),
        )
        self.displaced = list(services.displaced_by(asked, now=timezone.now()))
        now_seen = ",".join(str(appointment.pk) for appointment in self.displaced)
        known = set(cleaned.get("seen", "").split(","))
        if {str(appointment.pk) for appointment in self.displaced} - known:
            self.data = {**self.data.dict(), "seen": now_seen}  # type: ignore[attr-defined]  # a QueryDict
            raise ValidationError(displaces_words(len(self.displaced)), code="displaces")


def displaces_words(count: int) -> str:
    """What a clerk is told whose change would displace so many appointments."""
    words = ngettext(
        "This displaces %d appointment, listed above. Nothing is saved yet: save again to do it all the same.",
        "This displaces %d appointments, listed above. Nothing is saved yet: save again to do it all the same.",
        count,
    )
    return words % count


def closes_others(request: HttpRequest) -> bool:
    """Whether the user may close more than their own time."""
    return request.user.has_perm("clinic.close_others")


def own(request: HttpRequest) -> QuerySet[Resource]:
    """The resource that the user is, or none."""
    return Resource.objects.filter(user=staff(request).pk)


def displaced_rows(request: HttpRequest, found: list[Appointment]) -> dict[str, Any]:
    """What the page says about displaced appointments: those at the user's sites by name, the others as a number."""
    rows = list(
        Appointment.objects.visible_to(staff(request))
        .filter(pk__in=[row.pk for row in found])
        .select_related("patient", "procedure_type", "site", "procedure")
        .order_by("starts_at", "pk")
    )
    return {
        "displaced": [
            {
                "appointment": row,
                "when": span(row),
                "page": page_of(row),
                "label": STATUS_LABELS[row.status],
                "marks": marks(row),
                "movable": row.status in row.EXPECTED,
            }
            for row in rows[:MOST]
        ],
        "displaced_count": len(found),
        "displaced_more": len(found) - min(len(rows), MOST),
        "may_move": request.user.has_perm("procedures.book_appointment"),
    }


class ComingFilter(admin.SimpleListFilter):
    """Closures that are not over yet, unless all are asked for."""

    title = _("time")
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("all", _("past ones too")),)

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        yield {**first, "display": _("coming")}
        yield from rest

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() == "all" else queryset.filter(ends_at__gt=timezone.now())


@admin.register(Closure)
class ClosureAdmin(DeskAdmin):
    form = ClosureForm
    fieldsets = (
        (_("What is closed"), {"fields": (("resource", "site"),)}),
        (_("When, on the wall clock there"), {"fields": ("starts", "ends", "yearly")}),
        (_("Why"), {"fields": ("reason", "seen")}),
        (_("Who stands in"), {"fields": ("deputy",)}),
    )
    list_display = ("what", "begins", "finishes", "reason", "deputy", "repeats_yearly")
    list_filter = (ComingFilter, ("site", SeenFilter))
    list_select_related = ("site", "resource__site", "deputy")
    search_fields = ("reason", "site__name", "resource__name")
    autocomplete_fields = ("site", "resource")
    ordering = ("starts_at", "pk")
    change_list_template = "admin/procedures/closure/change_list.html"
    change_form_template = "admin/procedures/closure/change_form.html"
    delete_confirmation_template = "admin/procedures/closure/reopen.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Closure]:
        rows = super().get_queryset(request).select_related("site", "resource__site", "deputy")
        user = staff(request)
        if not user.sees_all_sites:
            rows = rows.filter(
                Q(site__in=user.sites.values("pk"))
                | Q(resource__in=Resource.objects.visible_to(user).values("pk"))
            )
        return cast(QuerySet[Closure], rows)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form's own fields are no fields of the model: Django is told of the model's only.
        kwargs["fields"] = ClosureForm.Meta.fields
        return super().get_form(request, obj, change=change, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Who enters their own leave only must be somebody whose time is booked.
        return super().has_add_permission(request) and (closes_others(request) or own(request).exists())

    def get_autocomplete_fields(self, request: HttpRequest) -> Any:
        return super().get_autocomplete_fields(request) if closes_others(request) else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "deputy":
            kwargs["queryset"] = services.deputies(*Site.objects.visible_to(staff(request)))
            if not closes_others(request):
                kwargs["queryset"] = kwargs["queryset"].exclude(pk=staff(request).pk)
            return super().formfield_for_foreignkey(db_field, request, **kwargs)
        if not closes_others(request):
            kwargs["queryset"] = own(request) if db_field.name == "resource" else Site.objects.none()
            kwargs["initial"] = own(request).first() if db_field.name == "resource" else None
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj):
            what, *others = super().get_fieldsets(request, obj)
            return (
                what if closes_others(request) else (_("Who is away"), {"fields": ("resource",)}),
                *others,
            )
        # Who may only look is shown instants, not fields to type them in.
        return (
            (
                None,
                {"fields": (("resource", "site"), ("begins", "finishes"), ("reason", "yearly"), "deputy")},
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("begins", "finishes") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and not (closes_others(request) or own(request).filter(closures=obj).exists()):
            return False
        # A later year of a yearly closure is changed where the closure was made.
        return super().has_change_permission(request, obj) and not getattr(obj, "repeats_id", None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Who may close may open again: the front desk what it closed, anybody their own leave.
        if not request.user.has_perm("clinic.add_closure"):
            return False
        return obj is None or closes_others(request) or own(request).filter(closures=obj).exists()

    def save_model(self, request: HttpRequest, obj: Closure, form: Any, change: bool) -> None:
        services.close(obj, by=staff(request), now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Closure) -> None:
        services.reopen(obj, by=staff(request), now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Closure]) -> None:
        # A yearly closure takes its later years with it: they may be among those that were chosen, too.
        for pk in list(queryset.order_by(F("repeats").asc(nulls_first=True)).values_list("pk", flat=True)):
            if closure := self.get_queryset(request).filter(pk=pk).first():
                self.delete_model(request, closure)

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "",
        obj: Any = None,
    ) -> Any:  # fmt: skip
        form = context["adminform"].form
        found = getattr(form, "displaced", [])
        if obj is not None and not form.is_bound:
            found = list(services.displaced_by(obj, now=timezone.now()))
        context |= displaced_rows(request, found)
        context["saved"] = obj is not None and not form.is_bound
        new = _("Close a room, a person or a site") if closes_others(request) else _("Enter leave")
        context["title"] = _("Leave or closure") if obj else new
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description=_("closed"))
    def what(self, closure: Closure) -> str:
        return str(closure.site or closure.resource)

    @display(description=_("from"), ordering="starts_at")
    def begins(self, closure: Closure) -> str:
        return site_time_text(closure.starts_at, closure.place)

    @display(description=_("until"), ordering="ends_at")
    def finishes(self, closure: Closure) -> str:
        return site_time_text(closure.ends_at, closure.place)

    @display(description=_("every year"))
    def repeats_yearly(self, closure: Closure) -> str:
        return str(_("every year")) if closure.yearly or closure.repeats_id else ""


def look_whom_it_displaces(request: HttpRequest, row: Site | Resource) -> None:
    """Mark what a changed site or resource displaces; ValidationError "displaces" until the clerk has been shown it."""
    whose: dict[str, Any] = {"site": row} if isinstance(row, Site) else {"resource": row}
    found = services.mark_displaced(**whose, now=timezone.now())
    numbers = [str(appointment.pk) for appointment in found]
    if not set(numbers) - set(request.POST.get("seen", "").split(",")):
        return
    context = {**displaced_rows(request, found), "saved": False, "seen": ",".join(numbers)}
    page: Any = request
    page.consequences = SafeString(
        render_to_string("admin/procedures/displaces.html", context, request=request)
    )
    raise ValidationError(displaces_words(len(found)), code="displaces")


PlaceAdmin.consequences.append(look_whom_it_displaces)


class PrivilegeForm(forms.ModelForm):  # type: ignore[type-arg]
    """Which family of procedures a clinician may perform: one of those that the catalogue knows."""

    class Meta:
        model = Privilege
        fields = ("family", "valid_until_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = ProcedureType.objects.order_by("family").values_list("family", flat=True).distinct()
        names = sorted({*known, *filter(None, [self.instance.family])})
        self.fields["family"] = forms.ChoiceField(
            label=_("Family"),
            choices=[("", "–"), *((name, name.replace("_", " ")) for name in names)],
            widget=UnfoldAdminSelectWidget,
        )


class PrivilegeInline(DeskInline):
    """What a clinician may perform; asked for where a category needs a privilege."""

    model = Privilege
    form: Any = PrivilegeForm
    verbose_name_plural = _("privileges")


ResourceAdmin.inlines.append(PrivilegeInline)
