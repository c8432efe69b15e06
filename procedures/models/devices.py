"""Devices that stay in a patient: stimulators and pumps, what they need and when they came out."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from patients.models import LAST_DAY_OF_RECORDING
from procedures.models.appointments import Procedure


class ImplantedDeviceQuerySet(models.QuerySet["ImplantedDevice"]):
    def visible_to(self, user: User) -> Self:
        """Devices implanted at the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(procedure__site__in=user.sites.values("pk"))

    def standing(self) -> Self:
        """Those that were not entered in error, and whose procedures were not."""
        return self.filter(entered_in_error_at=None).exclude(
            procedure__status=Procedure.Status.ENTERED_IN_ERROR
        )

    def in_place(self) -> Self:
        """Those that are still in a patient."""
        return self.standing().filter(explanted_on=None)

    def due(self, day: date) -> Self:
        """Those in place whose battery or refill is due on `day`, or has been since before."""
        return self.in_place().filter(Q(battery_due_on__lte=day) | Q(refill_due_on__lte=day))


@keep_history
class ImplantedDevice(models.Model):
    """A stimulator's generator or a pump that a procedure put into its patient.

    `battery_due_on`: by when the battery must be looked after; `refill_due_on`, of pumps only: by when the reservoir
    must be filled; None: not known. Both are what the manufacturer's programmer says, written down by staff; nothing
    here computes them. `explanted_on` None: it is still in place.
    """

    class Kind(models.TextChoices):
        SPINAL_CORD_STIMULATOR = "spinal_cord_stimulator", _("spinal cord stimulator")
        PERIPHERAL_NERVE_STIMULATOR = "peripheral_nerve_stimulator", _("peripheral nerve stimulator")
        INTRATHECAL_PUMP = "intrathecal_pump", _("intrathecal pump")

    class Explanted(models.TextChoices):
        NOT = "", _("in place")
        NO_EFFECT = "no_effect", _("it did not help enough")
        INFECTION = "infection", _("infection")
        MALFUNCTION = "malfunction", _("it did not work as it should")
        REPLACED = "replaced", _("it was replaced")
        SCAN = "scan", _("a scan was needed")
        WISH = "wish", _("the patient's wish")
        OTHER = "other", _("another reason")

    procedure = models.ForeignKey(
        Procedure, models.PROTECT, verbose_name=_("implanted in"), related_name="devices"
    )
    kind = models.CharField(_("kind"), max_length=30, choices=Kind.choices)
    manufacturer = models.CharField(_("manufacturer"), max_length=100)
    model = models.CharField(_("model"), max_length=100)
    serial_number = models.CharField(_("serial number"), max_length=60)
    udi = models.CharField(
        _("UDI"),
        max_length=200,
        blank=True,
        help_text=_("The unique device identifier, as it stands on the label."),
    )
    implanted_on = models.DateField(_("implanted"))
    battery_due_on = models.DateField(
        _("battery due"), null=True, blank=True, help_text=_("Empty: not known.")
    )
    refill_due_on = models.DateField(
        _("refill due"), null=True, blank=True, help_text=_("Of a pump. Empty: not known.")
    )
    explanted_on = models.DateField(_("taken out"), null=True, blank=True)
    explanted_reason = models.CharField(
        _("taken out because"), max_length=12, choices=Explanted.choices, blank=True
    )
    explanted_note = models.CharField(_("note"), max_length=500, blank=True)
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, editable=False, related_name="+"
    )
    recorded_at = models.DateTimeField(_("recorded"), editable=False)
    entered_in_error_at = models.DateTimeField(_("entered in error"), null=True, blank=True, editable=False)
    entered_in_error_reason = models.CharField(
        _("reason of the mistake"), max_length=500, blank=True, editable=False
    )

    objects = ImplantedDeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("implanted device")
        verbose_name_plural = _("implanted devices")
        ordering = ("-implanted_on", "-id")
        permissions = [("record_implanteddevice", "Can record implanted devices, refills and explants")]
        indexes = [
            models.Index(
                name="device_battery_due",
                fields=["battery_due_on"],
                condition=Q(explanted_on=None, entered_in_error_at=None),
            ),
            models.Index(
                name="device_refill_due",
                fields=["refill_due_on"],
                condition=Q(explanted_on=None, entered_in_error_at=None),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="device_is_named",
                condition=~Q(manufacturer="") & ~Q(model="") & ~Q(serial_number=""),
            ),
            models.CheckConstraint(
                name="device_implanted_before_recorded",
                condition=Q(implanted_on__lte=LAST_DAY_OF_RECORDING),
                violation_error_code="in_the_future",
                violation_error_message=_("This date is in the future."),
            ),
            models.CheckConstraint(
                name="only_pumps_are_refilled",
                condition=Q(refill_due_on=None) | Q(kind="intrathecal_pump"),
                violation_error_code="not_a_pump",
                violation_error_message=_("Only a pump is refilled."),
            ),
            models.CheckConstraint(
                name="device_due_after_implant",
                condition=(Q(battery_due_on=None) | Q(battery_due_on__gte=F("implanted_on")))
                & (Q(refill_due_on=None) | Q(refill_due_on__gte=F("implanted_on"))),
                violation_error_code="due_before_implant",
                violation_error_message=_("This is due before the device was implanted."),
            ),
            models.CheckConstraint(
                name="device_explanted_after_implant",
                condition=Q(explanted_on=None) | Q(explanted_on__gte=F("implanted_on")),
                violation_error_code="before_implant",
                violation_error_message=_("This is before the device was implanted."),
            ),
            models.CheckConstraint(
                name="device_explanted_with_reason",
                condition=Q(explanted_on=None, explanted_reason="", explanted_note="")
                | Q(explanted_on__isnull=False) & ~Q(explanted_reason=""),
            ),
            models.CheckConstraint(
                name="device_other_explant_says_why",
                condition=~Q(explanted_reason="other") | ~Q(explanted_note=""),
                violation_error_code="reason_required",
                violation_error_message=_("Say why."),
            ),
            models.CheckConstraint(
                name="device_error_with_reason",
                condition=Q(entered_in_error_at=None, entered_in_error_reason="")
                | Q(entered_in_error_at__isnull=False) & ~Q(entered_in_error_reason=""),
            ),
            models.UniqueConstraint(
                Upper("manufacturer"),
                Upper("serial_number"),
                name="device_once",
                condition=Q(entered_in_error_at=None),
                violation_error_code="recorded_already",
                violation_error_message=_(
                    "A device of this manufacturer and serial number is recorded already."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.manufacturer} {self.model}"

    @property
    def in_place(self) -> bool:
        """Whether it is still in the patient."""
        return self.explanted_on is None and self.entered_in_error_at is None

    def due_on(self, day: date) -> list[tuple[str, date]]:
        """What is due on `day`, "battery" or "refill", each with the date since which it is; the earliest first."""
        dates = (("refill", self.refill_due_on), ("battery", self.battery_due_on))
        due = [(what, since) for what, since in dates if since is not None and since <= day]
        return sorted(due, key=lambda service: service[1]) if self.in_place else []
