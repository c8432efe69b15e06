"""The catalogue: what can be booked, and every clinical figure with its source and whether it is confirmed."""

from copy import copy
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet, model_to_dict
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from clinic.admin.action_pages import ActionPage, paths
from clinic.admin.base import AuditedAdmin, DeskAdmin, DeskForm, DeskInline, staff
from procedures import services
from procedures.admin.clinical_figures import duration, figures, risks
from procedures.models import (
    FigureConfirmation,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.services.relief_profiles import add_profile, check_profile, check_purpose

Figure = FigureConfirmation.Figure
DURATION = {"procedure_minutes", "recovery_minutes", "duration_source"}


class LinesField(SimpleArrayField):
    """Sentences, one a line: they have commas of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, delimiter="\n", **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = "\n".join(line for line in value.splitlines() if line.strip())
        return super().to_python(value)


class ProcedureTypeForm(DeskForm):
    """A procedure type; its lists of codes are typed with commas between them."""

    class Meta:
        model = ProcedureType
        exclude = ("catalogue_values",)
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"after_care": LinesField}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            name: UnfoldAdminTextInputWidget()
            for name in (
                "imaging",
                "sedation_options",
                "laterality_options",
                "regions",
                "indications",
                "restarts",
            )
        } | {
            "description": UnfoldAdminTextareaWidget({"rows": 4}),
            "after_care": UnfoldAdminTextareaWidget({"rows": 6}),
            "duration_source": UnfoldAdminTextareaWidget({"rows": 2}),
        }

    def ask(self, cleaned: dict[str, Any]) -> None:
        if self.instance.pk and {"purpose", "restarts"} & set(self.changed_data):
            kind = copy(self.instance)
            kind.purpose, kind.restarts = cleaned["purpose"], cleaned["restarts"]
            check_purpose(kind)


class RequirementFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """What a procedure type needs, all of it while its appointment lasts."""

    def clean(self) -> None:
        super().clean()
        kind = self.instance
        if None in (kind.procedure_minutes, kind.recovery_minutes):
            return  # the type's own form says so
        for form in self.forms:
            said = form.cleaned_data if form.is_valid() else {}
            starts, lasts = said.get("starts_after_minutes"), said.get("lasts_minutes")
            if (
                not said.get("DELETE")
                and starts is not None
                and lasts
                and starts + lasts > kind.total_minutes
            ):
                words = _("This is needed after the end, minute %d.") % kind.total_minutes
                form.add_error("lasts_minutes", ValidationError(words, code="after_the_end"))


class RequirementInline(DeskInline):
    model = ResourceRequirement
    formset = RequirementFormSet
    autocomplete_fields = ("category",)


class RiskInline(DeskInline):
    model = Risk


@admin.register(ProcedureType)
class ProcedureTypeAdmin(AuditedAdmin):
    form = ProcedureTypeForm
    list_display = ("name", "family_words", "purpose", "lasts", "unconfirmed", "active")
    list_filter = ("active", "purpose", "family")
    search_fields = ("name", "code", "family")
    search_help_text = _("Name, code or family")
    ordering = ("name",)
    inlines = (RequirementInline, RiskInline)
    filter_horizontal = ("red_flags", "readiness_items")
    change_form_template = "admin/procedures/proceduretype/change_form.html"
    readonly_fields = ("code",)
    fieldsets = (
        (None, {"fields": (("name", "code"), ("family", "purpose"), "description", "active")}),
        (
            _("How long it lasts"),
            {"fields": (("procedure_minutes", "recovery_minutes"), "duration_source")},
        ),
        (
            _("How it is done"),
            {
                "fields": (
                    ("imaging", "imaging_required"),
                    ("sedation", "sedation_options"),
                    ("laterality", "laterality_options"),
                    ("regions", "indications"),
                    "restarts",
                ),
                "classes": ("collapse",),
            },
        ),
        (
            _("What to look out for"),
            {"fields": ("after_care", "red_flags", "readiness_items"), "classes": ("collapse",)},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProcedureType]:
        rows: QuerySet[ProcedureType] = super().get_queryset(request)
        if (
            request.resolver_match
            and request.resolver_match.url_name == "procedures_proceduretype_changelist"
        ):
            rows = rows.prefetch_related("relief_profiles", "confirmations")
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What is offered to a booking is only what can be booked."""
        if request.GET.get("model_name") == "appointment":
            queryset = queryset.filter(active=True)
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a new type comes as a file of the catalogue, with its sources

    def save_model(self, request: HttpRequest, obj: ProcedureType, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if DURATION & set(form.changed_data):
            obj.confirmations.filter(figure=Figure.DURATION).delete()  # it was said of the old durations

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        kind = ProcedureType.objects.filter(pk=object_id if object_id.isdecimal() else 0).first()
        if kind is not None:
            said: dict[int | None, dict[str, FigureConfirmation]] = {}
            for confirmation in kind.confirmations.all():
                said.setdefault(confirmation.relief_profile_id, {})[confirmation.figure] = confirmation
            profiles = [
                {"profile": profile, "figures": figures(kind, profile, said.get(profile.pk, {}))}
                for profile in kind.relief_profiles.order_by("-version")
            ]
            extra_context = {
                **(extra_context or {}),
                "durations": [duration(kind, said.get(None, {}).get(Figure.DURATION.value))],
                "profiles": profiles,
                "risks": risks(kind),
                "can_confirm": request.user.has_perm("procedures.add_figureconfirmation"),
                "can_add_profile": request.user.has_perm("procedures.add_reliefprofile"),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("family"), ordering="family")
    def family_words(self, kind: ProcedureType) -> str:
        return kind.family.replace("_", " ")

    @display(description=_("lasts"))
    def lasts(self, kind: ProcedureType) -> str:
        return f"{kind.procedure_minutes} + {kind.recovery_minutes} min"

    @display(description=_("figures"), label={"none": "success", "some": "warning"})
    def unconfirmed(self, kind: ProcedureType) -> tuple[str, str]:
        """How many of the figures in force nobody has confirmed."""
        newest = max(kind.relief_profiles.all(), key=lambda profile: profile.version, default=None)
        mine = {None, newest.pk if newest else None}
        said = {
            confirmation.figure
            for confirmation in kind.confirmations.all()
            if confirmation.relief_profile_id in mine
        }
        left = len(Figure) - len(said)
        return ("some", str(_("%d unconfirmed") % left)) if left else ("none", str(_("all confirmed")))


class ConfirmFigure(ActionPage):
    """A physician stands by one figure; `profile` in the body names the version, none the durations."""

    model = ProcedureType
    name, address, button = "confirm", "<int:pk>/confirm/<str:figure>/", True
    permission_required = "procedures.add_figureconfirmation"

    @cached_property
    def profile(self) -> ReliefProfile | None:
        """The version whose figure it is; None for the durations."""
        version = self.request.POST.get("profile", "")
        wanted = int(version) if version.isdecimal() else None
        return get_object_or_404(self.row.relief_profiles, pk=wanted) if version else None

    def versioned_row(self) -> ProcedureType | None:
        return self.row if self.profile is None else self.profile.procedure_type

    def act(self, form: Any) -> FigureConfirmation:
        figure = self.kwargs["figure"]
        return services.confirm_figure(self.row, figure, profile=self.profile, by=self.by, now=self.now)

    def tell_done(self, form: Any) -> None:
        self.done = _("Confirmed: %s.") % dict(Figure.choices).get(self.kwargs["figure"], "")
        super().tell_done(form)


ProcedureTypeAdmin.pages += paths(ConfirmFigure)


class ReliefProfileForm(DeskForm):
    """A new version of a relief profile, beginning with what the last one says."""

    class Meta:
        model = ReliefProfile
        exclude = ("version", "origin", "in_force_from")
        widgets: ClassVar[dict[str, forms.Widget]] = {
            f"{figure}_source": UnfoldAdminTextareaWidget({"rows": 2})
            for figure in ("onset", "window", "check_in", "evaluate_after", "success")
        } | {name: UnfoldAdminTextInputWidget() for name in ("check_in_days", "check_in_minutes")}

    def ask(self, cleaned: dict[str, Any]) -> None:
        profile = copy(self.instance)
        for name, value in cleaned.items():
            setattr(profile, name, value)
        check_profile(profile, now=self.now)


@admin.register(ReliefProfile)
class ReliefProfileAdmin(DeskAdmin):
    """Versions are added, never changed."""

    form = ReliefProfileForm
    list_display = ("procedure_type", "version", "origin", "in_force_from")
    list_select_related = ("procedure_type",)
    search_fields = ("procedure_type__name",)
    autocomplete_fields = ("procedure_type",)
    fieldsets = (
        (None, {"fields": ("procedure_type",)}),
        (_("Onset"), {"fields": (("onset_from_days", "onset_until_days"), "onset_source")}),
        (
            _("Relief window"),
            {
                "fields": (
                    ("window_from_days", "window_until_days"),
                    ("window_from_minutes", "window_until_minutes"),
                    "ongoing",
                    "window_source",
                )
            },
        ),
        (
            _("Check-in plan"),
            {"fields": ("check_in_days", ("check_in_minutes", "check_in_every_days"), "check_in_source")},
        ),
        (
            _("How it is judged"),
            {
                "fields": (
                    ("evaluate_after_days", "evaluate_after_source"),
                    ("success_percent", "diagnostic_percent", "trial_days_percent"),
                    "success_source",
                )
            },
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        last = self.begins_with(request)
        return model_to_dict(last) if last else super().get_changeform_initial_data(request)

    def begins_with(self, request: HttpRequest) -> ReliefProfile | None:
        """The version in force: a new one that began with an older would undo what came between."""
        asked = request.GET.get("procedure_type", "")
        profiles = ReliefProfile.objects.filter(procedure_type=int(asked) if asked.isdecimal() else 0)
        return profiles.order_by("-version").first()

    def save_model(self, request: HttpRequest, obj: ReliefProfile, form: Any, change: bool) -> None:
        add_profile(obj, by=staff(request), now=form.now)

    def response_add(self, request: HttpRequest, obj: ReliefProfile, post_url_continue: Any = None) -> Any:
        response = super().response_add(request, obj, post_url_continue)
        page = reverse("admin:procedures_proceduretype_change", args=[obj.procedure_type_id])
        return HttpResponseRedirect(page) if response.status_code == 302 else response


@admin.register(RedFlag)
class RedFlagAdmin(AuditedAdmin):
    list_display = ("code", "question", "urgency")
    list_filter = ("urgency",)
    search_fields = ("code", "question")
    readonly_fields = ("code",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(ReadinessItem)
class ReadinessItemAdmin(AuditedAdmin):
    list_display = ("label", "blocking", "code")
    list_filter = ("blocking",)
    search_fields = ("code", "label")
    readonly_fields = ("code",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
