"""The catalogue: what can be booked, and every clinical figure with its source and whether it is confirmed."""

from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet, model_to_dict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from clinic.admin.again import by_button
from clinic.admin.base import AuditedAdmin, DeskAdmin, DeskForm, DeskInline, staff
from clinic.admin.taking import take
from procedures import services
from procedures.check_in_plan import told
from procedures.models import (
    FigureConfirmation,
    ProcedureType,
    ReadinessItem,
    RedFlag,
    ReliefProfile,
    ResourceRequirement,
    Risk,
)
from procedures.services.profiling import add_profile, check_profile, check_purpose, plan_figures

Figure = FigureConfirmation.Figure
DURATION = {"procedure_minutes", "recovery_minutes", "duration_source"}


@dataclass(frozen=True)
class Shown:
    """One clinical figure as the page shows it: what it says, where from, and who stands by it."""

    figure: str
    label: Any
    value: str
    source: str
    confirmed: FigureConfirmation | None


def days(first: int, last: int) -> str:
    return f"day {first}" if first == last else f"days {first}–{last}"


def minutes(value: int) -> str:
    return f"{value / 60:g} h"


def figures(kind: ProcedureType, profile: ReliefProfile, said: dict[str, FigureConfirmation]) -> list[Shown]:
    """The figures of a type's relief profile; `said`: its confirmations by figure."""
    window = days(profile.window_from_days, profile.window_until_days)
    if profile.window_until_minutes is not None:
        first, last = profile.window_from_minutes or 0, profile.window_until_minutes
        window += f"; as a diagnostic block {minutes(first)}–{minutes(last)}"
    if profile.ongoing:
        window += ", no expected end"
    plan = ", ".join(
        [*map(minutes, profile.check_in_minutes), *(f"day {day}" for day in profile.check_in_days)]
    )
    if profile.check_in_every_days:
        plan += f", then every {profile.check_in_every_days} days"
    plan += f". {told(plan_figures(kind, profile))}"
    success = f"{profile.success_percent} % less pain"
    if profile.diagnostic_percent is not None:
        success += f"; as a diagnostic block {profile.diagnostic_percent} %"
    if kind.purpose == ProcedureType.Purpose.TRIAL:
        success += f"; on {profile.trial_days_percent} % of the days of a trial"
    rows = (
        (Figure.ONSET, days(profile.onset_from_days, profile.onset_until_days), profile.onset_source),
        (Figure.WINDOW, window, profile.window_source),
        (Figure.CHECK_INS, plan, profile.check_in_source),
        (Figure.EVALUATE_AFTER, f"day {profile.evaluate_after_days}", profile.evaluate_after_source),
        (Figure.SUCCESS, success, profile.success_source),
    )
    return [Shown(f.value, f.label, value, source, said.get(f.value)) for f, value, source in rows]


def duration(kind: ProcedureType, said: FigureConfirmation | None) -> Shown:
    """The durations, which belong to the type itself."""
    value = f"{kind.procedure_minutes} min, then {kind.recovery_minutes} min of recovery"
    return Shown(Figure.DURATION.value, Figure.DURATION.label, value, kind.duration_source, said)


@dataclass(frozen=True)
class RiskShown:
    """One risk as the page shows it. `asked_by`: the questions that ask about it; `reason`: why none does, or ""."""

    risk: Risk
    asked_by: list[RedFlag]
    reason: str


def risks(kind: ProcedureType) -> list[RiskShown]:
    """The risks of a type, each with what its patients are asked about it. A red flag that was taken off is gone."""
    flags = {flag.code: flag for flag in kind.red_flags.all()}
    asked = kind.catalogue_values.get("asked", {})
    shown = []
    for risk in kind.risks.all():
        said = asked.get(risk.name, [])
        codes = [] if isinstance(said, str) else said
        reason = said if isinstance(said, str) else ""
        shown.append(RiskShown(risk, [flags[code] for code in codes if code in flags], reason))
    return shown


class Lines(SimpleArrayField):
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
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"after_care": Lines}
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
            for one in kind.confirmations.all():
                said.setdefault(one.relief_profile_id, {})[one.figure] = one
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
        said = {one.figure for one in kind.confirmations.all() if one.relief_profile_id in mine}
        left = len(Figure) - len(said)
        return ("some", str(_("%d unconfirmed") % left)) if left else ("none", str(_("all confirmed")))

    def get_urls(self) -> Any:
        confirm = path(
            "<int:pk>/confirm/<str:figure>/",
            self.admin_site.admin_view(by_button(self.confirm_view)),
            name="procedures_proceduretype_confirm",
        )
        return [confirm, *super().get_urls()]

    def confirm_view(self, request: HttpRequest, pk: int, figure: str) -> HttpResponse:
        """A physician stands by one figure; `profile` in the body names the version, none the durations."""
        if not request.user.has_perm("procedures.add_figureconfirmation"):
            raise PermissionDenied
        kind = get_object_or_404(self.get_queryset(request), pk=pk)
        version = request.POST.get("profile", "")
        profile = None
        if version:
            wanted = int(version) if version.isdecimal() else None
            profile = get_object_or_404(kind.relief_profiles, pk=wanted)
        back = reverse("admin:procedures_proceduretype_change", args=[pk])

        def act() -> str:
            services.confirm_figure(kind, figure, profile=profile, by=staff(request), now=timezone.now())
            return back

        named = dict(Figure.choices).get(figure, "")
        return take(
            request,
            forms.Form(request.POST),
            act,
            done=_("Confirmed: %s.") % named,
            back=back,
            context={},
            row=kind,
        )


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
