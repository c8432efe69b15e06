"""Appointments with their reservations, and the procedures that were performed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import DURING, Resource, Site, User, keep_history
from patients.models import Patient
from procedures.models.catalogue import ICD_10_CM, ProcedureType, ReliefProfile


class Laterality(models.TextChoices):
    """The side of the body."""

    NONE = "", _("no side")
    LEFT = "left", _("left")
    RIGHT = "right", _("right")
    BILATERAL = "bilateral", _("both sides")
    MIDLINE = "midline", _("midline")


class Intent(models.TextChoices):
    """What a procedure is done for; of a type that serves for both, the booking says which."""

    DIAGNOSTIC = "diagnostic", _("diagnostic")
    THERAPEUTIC = "therapeutic", _("therapeutic")
    TRIAL = "trial", _("trial")
    IMPLANT = "implant", _("implant")
    MAINTENANCE = "maintenance", _("maintenance")


class AppointmentQuerySet(models.QuerySet["Appointment"]):
    def visible_to(self, user: User) -> Self:
        """Appointments at the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))

    def wanting_change(self) -> Self:
        """Appointments that are expected and whose patients have asked for another time."""
        return self.filter(wants_change_at__isnull=False, status__in=Appointment.EXPECTED)

    def of_the_deceased(self) -> Self:
        """Appointments that still take time, or are asked for, though their patients have died."""
        status = Appointment.Status
        ahead = (status.REQUESTED, status.HELD, *Appointment.EXPECTED)
        return self.filter(patient__died_on__isnull=False, status__in=ahead)

    def moved(self) -> Self:
        """Those of which another appointment has taken the place: "cancelled" by their code, called off by nobody."""
        return self.filter(status=Appointment.Status.CANCELLED, rescheduled_to__isnull=False)

    def called_off(self) -> Self:
        """Those that were cancelled and do not take place at another time."""
        return self.filter(status=Appointment.Status.CANCELLED, rescheduled_to__isnull=True)

    def displaced(self, now: datetime) -> Self:
        """Appointments to come that have lost at `now` what they hold: they must be moved or cancelled."""
        return self.exclude(displaced_reason="").filter(
            status__in=(Appointment.Status.HELD, *Appointment.EXPECTED), starts_at__gt=now
        )


@keep_history
class Appointment(models.Model):
    """A patient, a procedure type and reserved resources over a span of time, [starts_at, ends_at) in UTC."""

    class Status(models.TextChoices):
        REQUESTED = "requested", _("requested")
        HELD = "held", _("held")
        BOOKED = "booked", _("booked")
        CONFIRMED = "confirmed", _("confirmed")
        ARRIVED = "arrived", _("arrived")
        READY = "ready", _("ready")
        IN_PROCEDURE = "in_procedure", _("in procedure")
        RECOVERING = "recovering", _("recovering")
        COMPLETED = "completed", _("completed")
        NO_SHOW = "no_show", _("no-show")
        CANCELLED = "cancelled", _("cancelled")
        ENTERED_IN_ERROR = "entered_in_error", _("entered in error")

    class Displaced(models.TextChoices):
        NOT = "", _("not displaced")
        CLOSED = "closed", _("closed")
        INACTIVE = "inactive", _("out of use")
        OUTSIDE_HOURS = "outside_hours", _("outside the hours")

    class EndedBy(models.TextChoices):
        PATIENT = "patient", _("the patient")
        CLINIC = "clinic", _("the clinic")

    #: An appointment in one of these takes up the patient's and the resources' time.
    LIVE = (
        Status.HELD,
        Status.BOOKED,
        Status.CONFIRMED,
        Status.ARRIVED,
        Status.READY,
        Status.IN_PROCEDURE,
        Status.RECOVERING,
        Status.COMPLETED,
    )
    #: The patient is expected.
    EXPECTED = (Status.BOOKED, Status.CONFIRMED)
    #: The patient is in the house.
    PRESENT = (Status.ARRIVED, Status.READY, Status.IN_PROCEDURE, Status.RECOVERING)

    patient = models.ForeignKey(
        Patient, models.PROTECT, verbose_name=_("patient"), related_name="appointments"
    )
    procedure_type = models.ForeignKey(
        ProcedureType, models.PROTECT, verbose_name=_("procedure type"), related_name="appointments"
    )
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="appointments")
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"), help_text=_("The end of recovery."))
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.BOOKED)
    intent = models.CharField(_("intent"), max_length=12, choices=Intent.choices)
    region = models.SlugField(_("region"), blank=True)
    laterality = models.CharField(_("side"), max_length=10, choices=Laterality.choices, blank=True)
    levels = models.CharField(_("levels"), max_length=60, blank=True, help_text=_("For example L3–L5."))
    indication = models.CharField(
        _("indication (ICD-10-CM)"), max_length=8, blank=True, validators=[ICD_10_CM]
    )
    note = models.CharField(_("note"), max_length=500, blank=True)
    rescheduled_from = models.OneToOneField(
        "self",
        models.PROTECT,
        verbose_name=_("rescheduled from"),
        null=True,
        blank=True,
        related_name="rescheduled_to",
    )
    held_until = models.DateTimeField(
        _("held until"), null=True, blank=True, help_text=_("A held time frees itself then.")
    )
    ended_by = models.CharField(_("cancelled by"), max_length=10, choices=EndedBy.choices, blank=True)
    ended_reason = models.CharField(_("reason"), max_length=500, blank=True)
    overbooked_reason = models.CharField(
        _("overbooked because"), max_length=500, blank=True, help_text=_("Empty: not overbooked.")
    )
    displaced_reason = models.CharField(
        _("displaced"),
        max_length=16,
        choices=Displaced.choices,
        blank=True,
        editable=False,
        default=Displaced.NOT,
        db_default=Displaced.NOT,
    )
    wants_change_at = models.DateTimeField(_("asked for another time"), null=True, blank=True)
    sequence = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="How often what the patient was told has changed (iCalendar's SEQUENCE).",
    )
    request_key = models.CharField(max_length=100, blank=True, editable=False)
    booked_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("booked by"), null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(_("booked at"), editable=False)

    #: What `services.book` has written with it, for whoever shows it at once; None on one that was read.
    made_with: tuple[list[Reservation], AppointmentStep] | None = None

    objects = AppointmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")
        ordering = ("starts_at",)
        permissions = [
            ("book_appointment", "Can book appointments"),
            ("cancel_appointment", "Can cancel appointments"),
            ("receive_appointment", "Can mark arrivals and no-shows"),
            ("treat_appointment", "Can move a patient through the day"),
            ("overbook_appointment", "Can overbook deliberately"),
        ]
        indexes = [
            models.Index(name="appointment_of_site", fields=["site", "starts_at"]),
            models.Index(name="appointment_of_patient", fields=["patient", "starts_at"]),
            models.Index(name="appointment_held", fields=["held_until"], condition=Q(status="held")),
            # What the first page counts.
            models.Index(name="appointment_requested", fields=["site"], condition=Q(status="requested")),
            models.Index(
                name="appointment_wanting_change",
                fields=["site"],
                condition=Q(wants_change_at__isnull=False),
            ),
            models.Index(name="appointment_displaced", fields=["site"], condition=~Q(displaced_reason="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="appointment_ends_after_start",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_code="ends_before_start",
                violation_error_message=_("An appointment must end after it starts."),
            ),
            models.CheckConstraint(
                name="appointment_within_a_day",
                condition=Q(ends_at__lte=F("starts_at") + timedelta(hours=24)),
            ),
            models.CheckConstraint(
                name="held_appointment_has_an_end",
                condition=Q(status="held", held_until__isnull=False) | ~Q(status="held") & Q(held_until=None),
            ),
            models.CheckConstraint(
                name="cancelled_appointment_has_a_reason",
                condition=~Q(status="cancelled") | ~Q(ended_reason=""),
            ),
            models.UniqueConstraint(
                name="one_appointment_a_request",
                fields=["booked_by", "request_key"],
                condition=~Q(request_key=""),
            ),
            ExclusionConstraint(
                name="patient_is_in_one_place",
                expressions=[(DURING, RangeOperators.OVERLAPS), ("patient", RangeOperators.EQUAL)],
                condition=~Q(status__in=["requested", "no_show", "cancelled", "entered_in_error"]),
                violation_error_code="taken",
                violation_error_message=_("The patient has another appointment at that time."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.procedure_type} {self.starts_at.astimezone(self.site.zone):%Y-%m-%d %H:%M}"

    @property
    def live(self) -> bool:
        """Whether it takes up the patient's and the resources' time."""
        return self.status in self.LIVE

    @property
    def moved(self) -> bool:
        """Whether another appointment has taken its place; a query unless read with `rescheduled_to`."""
        return self.status == self.Status.CANCELLED and getattr(self, "rescheduled_to", None) is not None

    def get_status_display(self) -> str:  # type: ignore[no-redef]  # instead of Django's
        """The status in words. One that was moved was never called off: it reads "rescheduled"."""
        return str(_("rescheduled") if self.moved else self.Status(self.status).label)

    def lies_displaced(self, now: datetime) -> bool:
        """Whether it is to come and has lost what it holds, as `AppointmentQuerySet.displaced`."""
        waits = self.status in (self.Status.HELD, *self.EXPECTED)
        return bool(self.displaced_reason) and waits and self.starts_at > now


@keep_history
class Reservation(models.Model):
    """One resource held for one appointment over [starts_at, ends_at), in UTC.

    `released_at` is the instant at which it stopped holding the resource; None while it holds it. `named`: somebody
    asked for this very resource, so that moving keeps it.
    """

    appointment = models.ForeignKey(
        Appointment, models.CASCADE, verbose_name=_("appointment"), related_name="reservations"
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, verbose_name=_("resource"), related_name="reservations", db_index=False
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    lane = models.PositiveSmallIntegerField(
        _("lane"), default=0, help_text=_("0: the resource itself; above: deliberately overbooked.")
    )
    released_at = models.DateTimeField(_("released"), null=True, blank=True)
    named = models.BooleanField(_("asked for by name"), default=False, editable=False)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        ordering = ("starts_at", "id")
        indexes = [
            # Finding free time reads a month of one resource's reservations from this index alone.
            models.Index(
                name="reservation_of_resource",
                fields=["resource", "ends_at"],
                include=["starts_at", "lane", "released_at", "appointment"],
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="reservation_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
            ExclusionConstraint(
                name="resource_is_held_once",
                expressions=[
                    (DURING, RangeOperators.OVERLAPS),
                    ("resource", RangeOperators.EQUAL),
                    ("lane", RangeOperators.EQUAL),
                ],
                condition=Q(released_at=None),
                violation_error_code="taken",
                violation_error_message=_("The resource is taken at that time."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource}"


class AppointmentStep(models.Model):
    """An appointment went from one status to another: when, who, why. Never changed."""

    appointment = models.ForeignKey(
        Appointment, models.CASCADE, verbose_name=_("appointment"), related_name="steps"
    )
    at = models.DateTimeField(_("at"))
    step = models.SlugField(_("step"))
    status = models.CharField(_("status"), max_length=16, choices=Appointment.Status.choices)
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by"), null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ("id",)
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.step} {self.at:%Y-%m-%d %H:%M}"


@keep_history
class Privilege(models.Model):
    """A clinician may perform the procedures of one family. `valid_until_on` None: until taken away."""

    resource = models.ForeignKey(
        Resource, models.CASCADE, verbose_name=_("clinician"), related_name="privileges"
    )
    family = models.SlugField(_("family"), max_length=60)
    valid_until_on = models.DateField(_("valid until"), null=True, blank=True, help_text=_("Last day."))

    class Meta:
        verbose_name = _("privilege")
        verbose_name_plural = _("privileges")
        ordering = ("resource", "family")
        constraints = [models.UniqueConstraint(name="privilege_once", fields=["resource", "family"])]

    def __str__(self) -> str:
        return self.family.replace("_", " ")


class ProcedureQuerySet(models.QuerySet["Procedure"]):
    def visible_to(self, user: User) -> Self:
        """Procedures performed at the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))


@keep_history
class Procedure(models.Model):
    """What was actually performed; judged by the relief profile that was in force on that day.

    `baseline_pain` is the pain now, from 0 (none) to 10 (worst imaginable), that the patient named before the
    procedure; None when nobody asked, and then relief cannot be computed. Of several scores it is the one that counts
    (`procedures.baselines`), with when it was taken and whether that was on the day; of what was recorded before these
    were kept, None and "", and then it is of the day.
    """

    class BaselineSource(models.TextChoices):
        NONE = "", _("none")
        DAY_OF = "day_of", _("on the day")
        EARLIER = "earlier", _("on an earlier day")

    class Status(models.TextChoices):
        COMPLETED = "completed", _("completed")
        PARTIAL = "partial", _("partly done")
        ABORTED = "aborted", _("aborted")
        ENTERED_IN_ERROR = "entered_in_error", _("entered in error")

    #: Procedures in one of these have a course that is worth following.
    FOLLOWED = (Status.COMPLETED, Status.PARTIAL)

    appointment = models.OneToOneField(
        Appointment, models.PROTECT, verbose_name=_("appointment"), related_name="procedure"
    )
    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="procedures")
    procedure_type = models.ForeignKey(
        ProcedureType, models.PROTECT, verbose_name=_("procedure type"), related_name="procedures"
    )
    relief_profile = models.ForeignKey(
        ReliefProfile, models.PROTECT, verbose_name=_("relief profile"), related_name="procedures"
    )
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="procedures")
    status = models.CharField(_("status"), max_length=20, choices=Status.choices)
    intent = models.CharField(_("intent"), max_length=12, choices=Intent.choices)
    performed_at = models.DateTimeField(_("performed"))
    performer = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("performed by"), null=True, blank=True, related_name="procedures"
    )
    region = models.SlugField(_("region"), blank=True)
    laterality = models.CharField(_("side"), max_length=10, choices=Laterality.choices, blank=True)
    levels = models.CharField(_("levels"), max_length=60, blank=True)
    indication = models.CharField(
        _("indication (ICD-10-CM)"), max_length=8, blank=True, validators=[ICD_10_CM]
    )
    baseline_pain = models.PositiveSmallIntegerField(
        _("pain before, 0–10"),
        null=True,
        blank=True,
        help_text=_("Asked on the day, before the procedure. Without it relief cannot be computed."),
    )
    baseline_taken_at = models.DateTimeField(_("pain before taken"), null=True, blank=True)
    baseline_source = models.CharField(
        _("pain before is from"),
        max_length=10,
        choices=BaselineSource.choices,
        blank=True,
        default=BaselineSource.NONE,
        db_default=BaselineSource.NONE,
    )
    agent = models.CharField(_("agent and dose"), max_length=200, blank=True)
    steroid_given = models.BooleanField(_("a steroid was given"), null=True, blank=True)
    complications = models.CharField(_("complications"), max_length=500, blank=True)
    recorded_at = models.DateTimeField(_("recorded"), editable=False)

    objects = ProcedureQuerySet.as_manager()

    class Meta:
        verbose_name = _("procedure")
        verbose_name_plural = _("procedures")
        ordering = ("-performed_at",)
        permissions = [
            ("perform_procedure", "Can record that a procedure was performed"),
            ("void_procedure", "Can mark a procedure as entered in error"),
        ]
        indexes = [models.Index(name="procedure_of_patient", fields=["patient", "performed_at"])]
        constraints = [
            models.CheckConstraint(
                name="baseline_pain_0_to_10",
                condition=Q(baseline_pain=None) | Q(baseline_pain__gte=0, baseline_pain__lte=10),
                violation_error_code="score_out_of_range",
                violation_error_message=_("A pain score is a whole number from 0 to 10."),
            ),
            models.CheckConstraint(
                name="baseline_source_with_its_score",
                condition=Q(baseline_source="", baseline_taken_at=None)
                | Q(baseline_source__in=["day_of", "earlier"], baseline_pain__isnull=False)
                & Q(baseline_taken_at__isnull=False, baseline_taken_at__lte=F("performed_at")),
            ),
            models.CheckConstraint(
                name="performed_before_recorded",
                condition=Q(performed_at__lte=F("recorded_at")),
                violation_error_code="in_the_future",
                violation_error_message=_("A procedure cannot have been performed in the future."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.procedure_type} {self.performed_at.astimezone(self.site.zone):%Y-%m-%d}"
