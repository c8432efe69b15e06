"""Who the patients are and how they may be reached."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from clinic.models import Site, User, keep_history


class PatientQuerySet(models.QuerySet["Patient"]):
    def visible_to(self, user: User) -> Self:
        """Patients of the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))


@keep_history
class Patient(models.Model):
    """A person who is treated. Has no account; answers through links in e-mails.

    The e-mail address is not unique: a couple may share one. A merged patient's row stays and names the row that
    counts.
    """

    class Language(models.TextChoices):
        ENGLISH = "en", _("English")
        SPANISH = "es", _("Spanish")

    record_number = models.CharField(
        _("record number"),
        max_length=20,
        unique=True,
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9-]*\Z", _("Letters, digits and hyphens only."), "record_number"
            )
        ],
    )
    given_name = models.CharField(_("given name"), max_length=100)
    family_name = models.CharField(_("family name"), max_length=100)
    born_on = models.DateField(_("born on"))
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("home site"), related_name="patients")
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    language = models.CharField(
        _("language"), max_length=5, choices=Language.choices, default=Language.ENGLISH
    )
    consented_at = models.DateTimeField(
        _("agreed to e-mail"),
        null=True,
        blank=True,
        help_text=_("When the patient agreed to be asked by e-mail, knowing that e-mail is not secure."),
    )
    consent_version = models.CharField(
        _("consent text"),
        max_length=10,
        blank=True,
        help_text=_(
            "Which version of the consent text they agreed to; empty: none, or one that this service does not know."
        ),
    )
    sms_consented_at = models.DateTimeField(
        _("agreed to text messages"),
        null=True,
        blank=True,
        help_text=_("When the patient agreed to get text messages, knowing that they are not secure."),
    )
    opted_out_at = models.DateTimeField(_("stopped e-mail"), null=True, blank=True)
    bounced_at = models.DateTimeField(_("address bounced"), null=True, blank=True)
    died_on = models.DateField(_("died on"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("merged into"),
        null=True,
        blank=True,
        related_name="merged_from",
    )
    created_at = models.DateTimeField(_("created"), editable=False)
    unsubscribe_key = models.UUIDField(
        db_default=RandomUUID(),
        editable=False,
        help_text="Random; a new one makes the unsubscribe links of earlier e-mails useless.",
    )

    objects = PatientQuerySet.as_manager()

    class Meta:
        verbose_name = _("patient")
        verbose_name_plural = _("patients")
        ordering = ("family_name", "given_name", "id")
        indexes = [
            # Any part of a name, of the record number or the address is found in a hundred thousand patients.
            GinIndex(OpClass(Upper("family_name"), name="gin_trgm_ops"), name="patient_family_name_part"),
            GinIndex(OpClass(Upper("given_name"), name="gin_trgm_ops"), name="patient_given_name_part"),
            GinIndex(OpClass(Upper("record_number"), name="gin_trgm_ops"), name="patient_record_number_part"),
            models.Index(name="patient_birth_date", fields=["born_on"]),
            models.Index(Upper("email"), name="patient_email"),
            models.Index(name="patient_unsubscribe_key", fields=["unsubscribe_key"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="patient_consent_version_with_consent",
                condition=Q(consent_version="") | Q(consented_at__isnull=False),
            ),
            models.CheckConstraint(name="patient_not_merged_into_self", condition=~Q(merged_into=F("pk"))),
            models.CheckConstraint(
                name="patient_died_after_birth",
                condition=Q(died_on=None) | Q(died_on__gte=F("born_on")),
                violation_error_code="died_before_birth",
                violation_error_message=_("The date of death is before the date of birth."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.family_name}, {self.given_name}"

    def age_on(self, day: date) -> int:
        """Full years of age on `day`; somebody born on 29 February turns a year older on 1 March."""
        return day.year - self.born_on.year - ((day.month, day.day) < (self.born_on.month, self.born_on.day))

    @property
    def why_no_email(self) -> str:
        """The code of the reason why this patient must not be sent an e-mail; "" when one may be sent."""
        if self.died_on:
            return "deceased"
        if self.merged_into_id:
            return "merged"
        if not self.email:
            return "no_address"
        if not self.consented_at:
            return "no_consent"
        if self.opted_out_at:
            return "opted_out"
        if self.bounced_at:
            return "bounced"
        return ""

    @property
    def why_no_text(self) -> str:
        """The code of the reason why this patient must not be sent a text message; "" when one may be sent."""
        if self.died_on:
            return "deceased"
        if self.merged_into_id:
            return "merged"
        if not self.phone:
            return "no_phone"
        if not self.sms_consented_at:
            return "no_consent"
        return "opted_out" if self.opted_out_at else ""
