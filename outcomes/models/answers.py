"""What came back."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from outcomes.models.check_ins import CheckIn
from patients.models import AnsweredBy, Caregiver


@keep_history
class Answer(models.Model):
    """What came back for a check-in: through which channel, when, and who said it. Its figures are its measurements.

    `answered_by`: the patient, or a caregiver in the patient's place. `caregiver`: which one, where one was on record.

    `late`: an entry of a diary that was written down well after its hour. `version` counts from 1; each correction
    makes one more, and the figures that it replaced stay as superseded measurements.
    """

    class Channel(models.TextChoices):
        EMAIL = "email", _("e-mail link")
        PHONE = "phone", _("telephone")
        CLINIC = "clinic", _("in the clinic")
        PAPER = "paper", _("on paper")

    check_in = models.OneToOneField(
        CheckIn, models.PROTECT, verbose_name=_("check-in"), related_name="answer"
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    language = models.CharField(_("language"), max_length=5)
    answered_at = models.DateTimeField(_("answered"))
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, blank=True, related_name="+"
    )
    answered_by = models.CharField(
        _("answered by"), max_length=10, choices=AnsweredBy.choices, db_default=AnsweredBy.PATIENT
    )
    caregiver = models.ForeignKey(
        Caregiver, models.PROTECT, verbose_name=_("caregiver"), null=True, blank=True, related_name="answers"
    )
    remark = models.TextField(_("remark"), max_length=2000, blank=True)
    late = models.BooleanField(_("late"), default=False)
    version = models.PositiveSmallIntegerField(_("version"), default=1)

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering = ("-answered_at",)
        constraints = [
            models.CheckConstraint(
                name="caregivers_answer_is_marked",
                condition=Q(caregiver=None) | Q(answered_by=AnsweredBy.CAREGIVER),
            )
        ]
        permissions = [
            ("record_answer", "Can record an answer on a patient's behalf"),
            ("correct_answer", "Can correct an answer"),
        ]

    def __str__(self) -> str:
        return f"{self.check_in}"

    @property
    def how(self) -> str:
        """How it came, in words, and that somebody answered in the patient's place where that is so."""
        words = str(self.get_channel_display())
        return gettext("%s, by a caregiver") % words if self.by_caregiver else words

    @property
    def by_caregiver(self) -> bool:
        """Whether somebody answered in the patient's place."""
        return self.answered_by == AnsweredBy.CAREGIVER


class AnswerCorrection(models.Model):
    """An answer was corrected: which version came of it, when, by whom and why. Never changed.

    `by` None: the patient did, on the page.
    """

    answer = models.ForeignKey(Answer, models.CASCADE, verbose_name=_("answer"), related_name="corrections")
    version = models.PositiveSmallIntegerField(_("version"))
    at = models.DateTimeField(_("at"))
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by"), null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        ordering = ("answer", "version")
        constraints = [
            models.UniqueConstraint(name="answer_version_once", fields=["answer", "version"]),
            models.CheckConstraint(
                name="correction_makes_a_later_version", condition=Q(version__gt=1) & ~Q(reason="")
            ),
        ]
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.answer} v{self.version}"


class CurrentMeasurements(models.Manager["Measurement"]):
    """What counts: without the figures that a correction has replaced."""

    def get_queryset(self) -> models.QuerySet[Measurement]:
        return super().get_queryset().filter(superseded_at=None)


@keep_history
class Measurement(models.Model):
    """One figure of an answer: an item of an instrument's version, as a whole number on the item's own scale.

    The pain score now is instrument "nrs", version "1", item "now", from 0 (none) to 10 (worst imaginable). A red
    flag's answer is instrument "red_flag", version "1", item its code: 0 no, 1 yes; a diary's "did you take pain
    medicine?" is "diary", "1", "took_medicine"; "has the relief worn off?" is "relief", "1", "worn_off": 0 no, 1 yes,
    2 not sure, and the day since which the pain is back "relief", "1", "ended_on", in days after the procedure on the
    site's calendar. `superseded_at`: since when a correction stands in its place; None for what counts.
    """

    answer = models.ForeignKey(Answer, models.CASCADE, verbose_name=_("answer"), related_name="measurements")
    instrument = models.SlugField(_("instrument"))
    version = models.CharField(_("version"), max_length=20)
    item = models.SlugField(_("item"))
    value = models.SmallIntegerField(_("value"))
    superseded_at = models.DateTimeField(_("superseded"), null=True, blank=True)

    objects = CurrentMeasurements()
    #: With those that were corrected.
    every = models.Manager["Measurement"]()

    class Meta:
        verbose_name = _("measurement")
        verbose_name_plural = _("measurements")
        constraints = [
            models.UniqueConstraint(
                name="measured_once",
                fields=["answer", "instrument", "item"],
                condition=Q(superseded_at=None),
            ),
            models.CheckConstraint(
                name="nrs_0_to_10",
                condition=~Q(instrument="nrs") | Q(value__gte=0, value__lte=10),
                violation_error_code="score_out_of_range",
                violation_error_message=_("A pain score is a whole number from 0 to 10."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument}.{self.item} {self.value}"
