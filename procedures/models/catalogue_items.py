"""What many procedure types share: questions whose yes never waits, and what to make sure of first."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models import keep_history


class Urgency(models.TextChoices):
    """How soon somebody must look at a red flag."""

    EMERGENCY = "emergency", _("emergency")
    SAME_DAY = "same_day", _("same day")
    NEXT_WORKING_DAY = "next_working_day", _("next working day")


@keep_history
class RedFlag(models.Model):
    """A question whose yes must never wait. The wording is the project's own, in each of its languages. Its history
    tells in which words an old answer was asked (`procedures.services.red_flag_wordings`)."""

    code = models.SlugField(_("code"), unique=True)
    question = models.CharField(_("question"), max_length=300)
    question_es = models.CharField(_("question in Spanish"), max_length=300)
    urgency = models.CharField(_("urgency"), max_length=20, choices=Urgency.choices)
    source = models.CharField(_("source"), max_length=300)
    confirmed = models.CharField(
        _("confirmed"), max_length=140, blank=True, help_text=_("By whom and when; empty while unconfirmed.")
    )
    catalogue_values = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("red flag")
        verbose_name_plural = _("red flags")
        ordering = ("code",)
        constraints = [models.CheckConstraint(name="red_flag_has_source", condition=~Q(source=""))]

    def __str__(self) -> str:
        return self.code


class ReadinessItem(models.Model):
    """Something to make sure of before a procedure starts. `blocking`: without it the procedure must not start."""

    code = models.SlugField(_("code"), unique=True)
    label = models.CharField(_("label"), max_length=200)
    note = models.CharField(_("note"), max_length=300, blank=True)
    blocking = models.BooleanField(_("blocks the start"))
    advice = models.CharField(
        _("what the patient is told"),
        max_length=300,
        blank=True,
        help_text=_("Empty: nothing to do beforehand."),
    )
    advice_es = models.CharField(_("what the patient is told, in Spanish"), max_length=300, blank=True)
    source = models.CharField(_("source"), max_length=300)
    catalogue_values = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("readiness item")
        verbose_name_plural = _("readiness items")
        ordering = ("code",)
        constraints = [models.CheckConstraint(name="readiness_item_has_source", condition=~Q(source=""))]

    def __str__(self) -> str:
        return self.label
