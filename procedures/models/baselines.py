"""What patients say before a procedure."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from patients.models import AnsweredBy
from procedures.models.appointments import Appointment


@keep_history
class Baseline(models.Model):
    """One score from before a procedure: an item of an instrument's version, as a whole number on its own scale.

    `taken_at` is when the patient named it, `recorded_at` when it was written down; `channel` by whom: staff, whom
    `recorded_by` names, or the patient, by the link of the appointment or on the clinic's tablet, or an import.
    `answered_by`: who named it, the patient or, to staff, a caregiver in the patient's place.
    Several can be noted; which one counts says `procedures.baselines`, and the procedure keeps it.
    """

    class Channel(models.TextChoices):
        STAFF = "staff", _("staff")
        LINK = "link", _("patient, by link")
        TABLET = "tablet", _("patient, on the tablet")
        IMPORT = "import", _("import")

    #: How patients note it themselves.
    OWN = (Channel.LINK, Channel.TABLET)

    appointment = models.ForeignKey(
        Appointment, models.PROTECT, verbose_name=_("appointment"), related_name="baselines"
    )
    instrument = models.SlugField(_("instrument"))
    version = models.CharField(_("version"), max_length=20)
    item = models.SlugField(_("item"))
    value = models.SmallIntegerField(_("value"))
    taken_at = models.DateTimeField(_("taken"))
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, blank=True, related_name="+"
    )
    recorded_at = models.DateTimeField(_("recorded"))
    channel = models.CharField(
        _("noted by"), max_length=10, choices=Channel.choices, db_default=Channel.STAFF
    )
    answered_by = models.CharField(
        _("said by"), max_length=10, choices=AnsweredBy.choices, db_default=AnsweredBy.PATIENT
    )

    class Meta:
        verbose_name = _("score before")
        verbose_name_plural = _("scores before")
        ordering = ("-taken_at", "id")
        permissions = [("record_baseline", "Can note scores before a procedure")]
        constraints = [
            models.UniqueConstraint(
                name="baseline_noted_once", fields=["appointment", "instrument", "item", "taken_at"]
            ),
            models.CheckConstraint(
                name="baseline_nrs_0_to_10",
                condition=~Q(instrument="nrs") | Q(value__gte=0, value__lte=10),
                violation_error_code="score_out_of_range",
                violation_error_message=_("A pain score is a whole number from 0 to 10."),
            ),
            models.CheckConstraint(
                name="baseline_taken_before_recorded", condition=Q(taken_at__lte=models.F("recorded_at"))
            ),
            models.CheckConstraint(
                name="baseline_of_a_patient_has_no_recorder",
                condition=~Q(channel__in=["link", "tablet"]) | Q(recorded_by=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.value}"

    @property
    def by_caregiver(self) -> bool:
        """Whether somebody said it in the patient's place."""
        return self.answered_by == AnsweredBy.CAREGIVER

    @property
    def how(self) -> str:
        """How it came, in words, and that a caregiver said it where that is so."""
        words = str(self.get_channel_display())
        return gettext("%s, by a caregiver") % words if self.by_caregiver else words

    @property
    def key(self) -> str:
        """The item as "instrument.item"."""
        return f"{self.instrument}.{self.item}"
