"""Patients who wait for an earlier time, times that came free, and secret addresses around appointments."""

from __future__ import annotations

from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import Resource, Site, User, keep_history
from patients.models import Patient
from procedures.models.appointments import Appointment, Intent, Laterality
from procedures.models.catalogue import ProcedureType


class WaitlistQuerySet(models.QuerySet["WaitlistEntry"]):
    def visible_to(self, user: User) -> Self:
        """Entries of patients of the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(patient__site__in=user.sites.values("pk"))


@keep_history
class WaitlistEntry(models.Model):
    """A patient who would come at short notice. Nothing is ever booked by itself: a clerk is shown who fits.

    Open while `closed_at` is None. `notice_hours`: how long before a time the patient must be told. No `sites` or no
    `clinicians`: any will do. `stale_on`: from that day on it needs to be asked again whether it still holds.
    """

    class Priority(models.IntegerChoices):
        URGENT = 1, _("urgent")
        SOON = 2, _("soon")
        ROUTINE = 3, _("routine")

    class Closed(models.TextChoices):
        NOT = "", _("open")
        BOOKED = "booked", _("booked")
        WITHDRAWN = "withdrawn", _("withdrawn")

    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="waiting")
    procedure_type = models.ForeignKey(
        ProcedureType, models.PROTECT, verbose_name=_("procedure type"), related_name="waiting"
    )
    intent = models.CharField(_("intent"), max_length=12, choices=Intent.choices, blank=True)
    region = models.SlugField(_("region"), blank=True)
    laterality = models.CharField(_("side"), max_length=10, choices=Laterality.choices, blank=True)
    sites: models.ManyToManyField[Site, Any] = models.ManyToManyField(
        Site, verbose_name=_("sites"), blank=True, help_text=_("None: any site.")
    )
    clinicians: models.ManyToManyField[Resource, Any] = models.ManyToManyField(
        Resource, verbose_name=_("clinicians"), blank=True, help_text=_("None: any clinician.")
    )
    earliest_on = models.DateField(_("not before"))
    notice_hours = models.PositiveSmallIntegerField(_("notice needed, hours"), default=24)
    priority = models.PositiveSmallIntegerField(
        _("priority"), choices=Priority.choices, default=Priority.ROUTINE
    )
    note = models.CharField(_("note"), max_length=300, blank=True)
    stale_on = models.DateField(_("ask again from"))
    created_at = models.DateTimeField(_("since"), editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, editable=False, related_name="+")
    closed_at = models.DateTimeField(_("closed"), null=True, editable=False)
    closed_reason = models.CharField(
        _("closed because"), max_length=10, choices=Closed.choices, blank=True, editable=False
    )
    appointment = models.OneToOneField(
        Appointment,
        models.PROTECT,
        verbose_name=_("appointment"),
        null=True,
        editable=False,
        related_name="waitlist_entry",
    )

    objects = WaitlistQuerySet.as_manager()

    class Meta:
        verbose_name = _("waitlist entry")
        verbose_name_plural = _("waitlist")
        ordering = ("priority", "created_at")
        permissions = [("manage_waitlistentry", "Can put patients on the waitlist and take them off")]
        constraints = [
            models.UniqueConstraint(
                name="waits_once",
                fields=["patient", "procedure_type", "region", "laterality"],
                condition=Q(closed_at=None),
            ),
            models.CheckConstraint(
                name="waiting_closed_with_reason",
                condition=Q(closed_at=None, closed_reason="")
                | Q(closed_at__isnull=False) & ~Q(closed_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.patient}: {self.procedure_type}"


class FreedTimeQuerySet(models.QuerySet["FreedTime"]):
    def visible_to(self, user: User) -> Self:
        """Times at the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))


class FreedTime(models.Model):
    """A time that an appointment gave back before it began: one task for the front desk, with ranked matches.

    Open while `closed_at` is None. One a cancelled appointment, however often anybody looks.
    """

    class Closed(models.TextChoices):
        NOT = "", _("open")
        FILLED = "filled", _("filled")
        DISMISSED = "dismissed", _("dismissed")
        PASSED = "passed", _("passed")

    appointment = models.OneToOneField(
        Appointment, models.CASCADE, verbose_name=_("appointment"), related_name="freed_time"
    )
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    created_at = models.DateTimeField(_("since"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_reason = models.CharField(_("closed because"), max_length=10, choices=Closed.choices, blank=True)
    closed_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")

    objects = FreedTimeQuerySet.as_manager()

    class Meta:
        verbose_name = _("freed time")
        verbose_name_plural = _("freed times")
        ordering = ("starts_at",)
        constraints = [
            models.CheckConstraint(
                name="freed_time_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="freed_time_closed_with_reason",
                condition=Q(closed_at=None, closed_reason="")
                | Q(closed_at__isnull=False) & ~Q(closed_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at.astimezone(self.site.zone):%Y-%m-%d %H:%M}"


class AppointmentLink(models.Model):
    """A secret address at which a patient sees one appointment. Only the SHA-256 of its token is kept.

    `tablet_until`: of one for the clinic's tablet, which shows nothing but the questions before the procedure, when it
    ends; None of those that are e-mailed. `code`: the six digits that open it there, "" once they have. `stop_key`: the
    patient's `unsubscribe_key` when it was e-mailed; None of others, and of those made before it was kept.
    """

    appointment = models.ForeignKey(Appointment, models.CASCADE, related_name="links")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    tablet_until = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=6, blank=True, default="", db_default="")
    stop_key = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"AppointmentLink {self.pk}"


class CalendarFeed(models.Model):
    """A secret, revocable address of one clinician's calendar. Only the SHA-256 of its token is kept."""

    resource = models.ForeignKey(
        Resource, models.CASCADE, verbose_name=_("clinician"), related_name="calendar_feeds"
    )
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("since"), editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, editable=False, related_name="+")
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("calendar feed")
        verbose_name_plural = _("calendar feeds")
        permissions = [("publish_others", "Can hand out and revoke calendars that are not their own")]

    def __str__(self) -> str:
        return f"{self.resource}"
