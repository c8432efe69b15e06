"""What the clinic can do, and what each procedure type is expected to achieve. Filled from `procedures/catalogue/`."""

from __future__ import annotations

from datetime import datetime

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q, Value
from django.utils.translation import gettext_lazy as _

from clinic.models import ResourceCategory, User, keep_history
from procedures.models.catalogue_items import ReadinessItem, RedFlag

#: The form of an ICD-10-CM code: M54.16, G90.511, E11.40, S83.206A. That it exists is the release's business.
ICD_10_CM = RegexValidator(
    r"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?\Z", _("This is no ICD-10-CM code."), "icd_10_cm"
)


#: An appointment ends within a day of its start, see `Appointment`.
LONGEST_MINUTES = 24 * 60
#: Set-up before and turnover after; whoever looks for working hours looks so far beyond an appointment.
LONGEST_BUFFER_MINUTES = 4 * 60


@keep_history
class ProcedureType(models.Model):
    """A catalogue entry, such as "radiofrequency ablation of facet nerves".

    `restarts`, of maintenance: families of the implants whose course it starts anew, as the revision of a stimulator
    does. Maintenance without it, such as a refill, only keeps up what the implant gives.

    `catalogue_values` holds, field by field, what the catalogue's file said when it was last loaded: a field that
    differs from it was edited here, and loading leaves it alone. Its "asked" says of each risk, by name, which red
    flags ask about it or why none does.
    """

    class Purpose(models.TextChoices):
        DIAGNOSTIC = "diagnostic", _("diagnostic")
        THERAPEUTIC = "therapeutic", _("therapeutic")
        BOTH = "diagnostic_and_therapeutic", _("diagnostic and therapeutic")
        TRIAL = "device_trial", _("device trial")
        IMPLANT = "device_implant", _("device implant")
        MAINTENANCE = "device_maintenance", _("device maintenance")

    class Sided(models.TextChoices):
        REQUIRED = "required", _("a side must be named")
        OPTIONAL = "optional", _("a side may be named")
        NOT_APPLICABLE = "not_applicable", _("has no side")

    code = models.SlugField(_("code"), unique=True)
    name = models.CharField(_("name"), max_length=120)
    family = models.SlugField(_("family"), max_length=60)
    purpose = models.CharField(_("purpose"), max_length=30, choices=Purpose.choices)
    description = models.TextField(_("description"))
    imaging = ArrayField(models.SlugField(), verbose_name=_("imaging"), default=list, blank=True)
    imaging_required = models.BooleanField(_("imaging required"), default=False)
    sedation = models.SlugField(_("usual sedation"))
    sedation_options = ArrayField(
        models.SlugField(), verbose_name=_("sedation options"), default=list, blank=True
    )
    laterality = models.CharField(_("side"), max_length=20, choices=Sided.choices)
    laterality_options = ArrayField(models.SlugField(), verbose_name=_("sides"), default=list, blank=True)
    regions = ArrayField(models.SlugField(), verbose_name=_("regions"), default=list, blank=True)
    indications = ArrayField(
        models.CharField(max_length=8, validators=[ICD_10_CM]),
        verbose_name=_("indications (ICD-10-CM)"),
        default=list,
        blank=True,
    )
    restarts = ArrayField(
        models.SlugField(max_length=60),
        verbose_name=_("starts the course anew of"),
        default=list,
        blank=True,
        help_text=_("Families of implants. Relief is then counted from this procedure on."),
    )
    after_care = ArrayField(models.TextField(), verbose_name=_("after-care"), default=list, blank=True)
    procedure_minutes = models.PositiveSmallIntegerField(_("procedure, minutes"))
    recovery_minutes = models.PositiveSmallIntegerField(_("recovery, minutes"))
    duration_source = models.CharField(_("source of the durations"), max_length=500)
    red_flags = models.ManyToManyField(RedFlag, verbose_name=_("red flags"), related_name="procedure_types")
    readiness_items = models.ManyToManyField(
        ReadinessItem, verbose_name=_("readiness items"), related_name="procedure_types", blank=True
    )
    active = models.BooleanField(_("active"), default=True, help_text=_("Can be booked."))
    catalogue_values = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("procedure type")
        verbose_name_plural = _("procedure types")
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                name="procedure_type_lasts",
                condition=Q(procedure_minutes__gt=0),
                violation_error_code="lasts_nothing",
                violation_error_message=_("A procedure lasts at least a minute."),
            ),
            models.CheckConstraint(
                name="procedure_type_within_a_day",
                condition=Q(procedure_minutes__lte=Value(LONGEST_MINUTES) - F("recovery_minutes")),
                violation_error_code="longer_than_a_day",
                violation_error_message=_("Procedure and recovery last a day at most."),
            ),
            models.CheckConstraint(
                name="procedure_type_duration_has_source", condition=~Q(duration_source="")
            ),
            models.CheckConstraint(
                name="procedure_type_only_maintenance_restarts",
                condition=Q(restarts=[]) | Q(purpose="device_maintenance"),
                violation_error_code="no_maintenance",
                violation_error_message=_("Only device maintenance starts the course of an implant anew."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def total_minutes(self) -> int:
        """Minutes from the start of the procedure to the end of recovery."""
        return self.procedure_minutes + self.recovery_minutes

    def profile_on(self, moment: datetime) -> ReliefProfile:
        """The relief profile in force at the instant `moment`; the oldest one for a moment before all of them.

        Raises ReliefProfile.DoesNotExist when the type has none.
        """
        profiles = sorted(self.relief_profiles.all(), key=lambda profile: profile.version)
        if not profiles:
            raise ReliefProfile.DoesNotExist(self.code)
        return next((p for p in reversed(profiles) if p.in_force_from <= moment), profiles[0])


class ResourceRequirement(models.Model):
    """One resource of `category` that the type needs, from minute `starts_after_minutes` of the appointment on."""

    procedure_type = models.ForeignKey(
        ProcedureType, models.CASCADE, verbose_name=_("procedure type"), related_name="requirements"
    )
    category = models.ForeignKey(
        ResourceCategory, models.PROTECT, verbose_name=_("category"), related_name="requirements"
    )
    starts_after_minutes = models.PositiveSmallIntegerField(_("starts after, minutes"), default=0)
    lasts_minutes = models.PositiveSmallIntegerField(_("lasts, minutes"))
    setup_minutes = models.PositiveSmallIntegerField(
        _("set-up before, minutes"), default=0, help_text=_("Held for it, before the patient needs it.")
    )
    turnover_minutes = models.PositiveSmallIntegerField(
        _("turnover after, minutes"), default=0, help_text=_("Held for it, after the patient has left it.")
    )

    class Meta:
        verbose_name = _("resource requirement")
        verbose_name_plural = _("resource requirements")
        ordering = ("starts_after_minutes", "id")
        constraints = [
            models.CheckConstraint(
                name="requirement_lasts",
                condition=Q(lasts_minutes__gt=0),
                violation_error_code="lasts_nothing",
                violation_error_message=_("A resource is needed for at least a minute."),
            ),
            models.CheckConstraint(
                name="requirement_buffers",
                condition=Q(setup_minutes__lte=LONGEST_BUFFER_MINUTES)
                & Q(turnover_minutes__lte=LONGEST_BUFFER_MINUTES),
                violation_error_code="buffer_too_long",
                violation_error_message=_("Set-up and turnover take four hours at most."),
            ),
            models.UniqueConstraint(
                name="requirement_once", fields=["procedure_type", "category", "starts_after_minutes"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.starts_after_minutes}–{self.starts_after_minutes + self.lasts_minutes} min"


class Risk(models.Model):
    """Something that may go wrong with a procedure type."""

    class Severity(models.TextChoices):
        MILD = "mild", _("mild")
        MODERATE = "moderate", _("moderate")
        SERIOUS = "serious", _("serious")
        LIFE_THREATENING = "life_threatening", _("life-threatening")

    procedure_type = models.ForeignKey(
        ProcedureType, models.CASCADE, verbose_name=_("procedure type"), related_name="risks"
    )
    name = models.CharField(_("name"), max_length=120)
    severity = models.CharField(_("severity"), max_length=20, choices=Severity.choices)
    transient = models.BooleanField(_("passes by itself"))

    class Meta:
        verbose_name = _("risk")
        verbose_name_plural = _("risks")
        ordering = ("id",)
        constraints = [models.UniqueConstraint(name="risk_once", fields=["procedure_type", "name"])]

    def __str__(self) -> str:
        return self.name


class ReliefProfile(models.Model):
    """One version of what a procedure type is expected to do. Never changed: a new version replaces it.

    Days and minutes count from the procedure. `window_from_days` and `window_until_days` are the earliest and latest
    day on which relief is expected to end; `window_*_minutes` say so for diagnostic blocks, whose anaesthetic wears
    off within hours (None for all others). `ongoing`: the effect has no expected end and `window_until_days` is how
    far ahead is looked. Every figure has its source; whether a physician has confirmed it is in FigureConfirmation.
    """

    class Origin(models.TextChoices):
        CATALOGUE = "catalogue", _("the project's catalogue")
        CLINIC = "clinic", _("this clinic")

    procedure_type = models.ForeignKey(
        ProcedureType, models.PROTECT, verbose_name=_("procedure type"), related_name="relief_profiles"
    )
    version = models.PositiveSmallIntegerField(_("version"))
    origin = models.CharField(_("made by"), max_length=10, choices=Origin.choices)
    in_force_from = models.DateTimeField(_("in force from"))

    onset_from_days = models.PositiveSmallIntegerField(_("works after, days"))
    onset_until_days = models.PositiveSmallIntegerField(_("works at the latest after, days"))
    onset_source = models.CharField(_("source of the onset"), max_length=500)

    window_from_days = models.PositiveSmallIntegerField(_("relief window from, days"))
    window_until_days = models.PositiveSmallIntegerField(_("relief window until, days"))
    window_from_minutes = models.PositiveIntegerField(_("relief window from, minutes"), null=True, blank=True)
    window_until_minutes = models.PositiveIntegerField(
        _("relief window until, minutes"), null=True, blank=True
    )
    ongoing = models.BooleanField(_("ongoing effect"), default=False)
    window_source = models.CharField(_("source of the relief window"), max_length=500)

    check_in_days = ArrayField(models.PositiveSmallIntegerField(), verbose_name=_("check-ins, days"))
    check_in_minutes = ArrayField(
        models.PositiveIntegerField(),
        verbose_name=_("check-ins on the day, minutes"),
        default=list,
        blank=True,
    )
    check_in_every_days = models.PositiveSmallIntegerField(
        _("then every, days"), null=True, blank=True, help_text=_("For implants: repeated without end.")
    )
    check_in_source = models.CharField(_("source of the check-in plan"), max_length=500)

    evaluate_after_days = models.PositiveSmallIntegerField(
        _("judged from day"), help_text=_("Before this day a bad score is a flare, not a failure.")
    )
    evaluate_after_source = models.CharField(_("source of the first day of judgement"), max_length=500)

    success_percent = models.PositiveSmallIntegerField(_("relief that counts, percent"))
    diagnostic_percent = models.PositiveSmallIntegerField(
        _("relief that counts as a test, percent"),
        null=True,
        blank=True,
        help_text=_("For procedures that are done both as a test and as a treatment; empty: the same."),
    )
    trial_days_percent = models.PositiveSmallIntegerField(
        _("days with enough less pain that pass a trial, percent"),
        default=50,
        help_text=_("Of the days of a trial; half of them is a choice, unconfirmed."),
    )
    success_source = models.CharField(_("source of the relief that counts"), max_length=500)

    class Meta:
        verbose_name = _("relief profile")
        verbose_name_plural = _("relief profiles")
        ordering = ("procedure_type", "-version")
        constraints = [
            models.UniqueConstraint(name="relief_profile_version_once", fields=["procedure_type", "version"]),
            models.CheckConstraint(
                name="relief_profile_figures_have_sources",
                condition=~Q(onset_source="")
                & ~Q(window_source="")
                & ~Q(check_in_source="")
                & ~Q(evaluate_after_source="")
                & ~Q(success_source=""),
                violation_error_code="source_missing",
                violation_error_message=_("Every figure needs its source."),
            ),
            models.CheckConstraint(
                name="relief_profile_in_order",
                condition=Q(onset_from_days__lte=F("onset_until_days"))
                & Q(onset_from_days__lte=F("window_from_days"))
                & Q(window_from_days__lte=F("window_until_days")),
                violation_error_code="window_order",
                violation_error_message=_("Onset, window start and window end must follow each other."),
            ),
            models.CheckConstraint(
                name="relief_profile_minutes_in_order",
                condition=Q(window_from_minutes=None, window_until_minutes=None)
                | Q(window_from_minutes__lte=F("window_until_minutes")),
            ),
            models.CheckConstraint(
                name="relief_profile_success_is_percent",
                condition=Q(success_percent__gte=1, success_percent__lte=100)
                & (Q(diagnostic_percent=None) | Q(diagnostic_percent__gte=1, diagnostic_percent__lte=100)),
            ),
            models.CheckConstraint(
                name="relief_profile_trial_days_is_percent",
                condition=Q(trial_days_percent__gte=1, trial_days_percent__lte=100),
            ),
            models.CheckConstraint(name="relief_profile_asks", condition=~Q(check_in_days=[])),
        ]
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.procedure_type} v{self.version}"

    def percent_for(self, intent: str) -> int:
        """The relief that counts, in percent, for a procedure done with this intent."""
        diagnostic = self.diagnostic_percent if intent == "diagnostic" else None
        return diagnostic or self.success_percent


class FigureConfirmation(models.Model):
    """A physician has looked at one clinical figure and stands by it. A figure without one shows as unconfirmed."""

    class Figure(models.TextChoices):
        DURATION = "duration", _("durations")
        ONSET = "onset", _("onset")
        WINDOW = "relief_window", _("relief window")
        CHECK_INS = "check_ins", _("check-in plan")
        EVALUATE_AFTER = "evaluate_after", _("first day of judgement")
        SUCCESS = "success", _("relief that counts")

    procedure_type = models.ForeignKey(
        ProcedureType, models.CASCADE, verbose_name=_("procedure type"), related_name="confirmations"
    )
    relief_profile = models.ForeignKey(
        ReliefProfile,
        models.PROTECT,
        verbose_name=_("relief profile"),
        null=True,
        blank=True,
        related_name="confirmations",
        help_text=_("None for the durations, which belong to the procedure type."),
    )
    figure = models.CharField(_("figure"), max_length=20, choices=Figure.choices)
    confirmed_by = models.CharField(_("confirmed by"), max_length=120)
    confirmed_on = models.DateField(_("confirmed on"))
    user = models.ForeignKey(User, models.PROTECT, null=True, blank=True, editable=False, related_name="+")

    class Meta:
        verbose_name = _("confirmation of a figure")
        verbose_name_plural = _("confirmations of figures")
        constraints = [
            models.UniqueConstraint(
                name="figure_confirmed_once",
                fields=["procedure_type", "relief_profile", "figure"],
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="confirmation_names_its_profile",
                condition=Q(figure="duration", relief_profile=None)
                | (~Q(figure="duration") & Q(relief_profile__isnull=False)),
            ),
            models.CheckConstraint(name="confirmation_has_a_name", condition=~Q(confirmed_by="")),
        ]

    def __str__(self) -> str:
        return f"{self.get_figure_display()}: {self.confirmed_by}, {self.confirmed_on}"
