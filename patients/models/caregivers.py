"""Who answers for a patient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import pgtrigger
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from clinic.validators import likely_date, person_name
from patients.models.patients import Patient


class AnsweredBy(models.TextChoices):
    """Who said it: a caregiver's answers are proxy answers, and marked as such wherever they are shown."""

    PATIENT = "patient", _("the patient")
    CAREGIVER = "caregiver", _("a caregiver")


class CaregiverQuerySet(models.QuerySet["Caregiver"]):
    def visible_to(self, user: User) -> Self:
        """Those of the patients that `user` may see."""
        return self if user.sees_all_sites else self.filter(patient__site__in=user.sites.values("pk"))

    def standing(self) -> Self:
        """Those who were not revoked."""
        return self.filter(revoked_at=None)

    def asked(self) -> Self:
        """Those who stand and whose e-mail goes out: they are asked in their patients' place, as long as these live."""
        return self.standing().filter(consented_at__isnull=False, opted_out_at=None, bounced_at=None)

    def asked_for(self, patients: Iterable[Patient]) -> dict[int, Caregiver]:
        """Who is asked in the place of which of these patients, by the patient's number; one query."""
        known = {patient.pk: patient for patient in patients}
        found = {caregiver.patient_id: caregiver for caregiver in self.asked().filter(patient__in=known)}
        for number, caregiver in found.items():
            caregiver.patient = known[number]
        return found


@keep_history
class Caregiver(models.Model):
    """A person who answers a patient's check-ins in the patient's place, by e-mail. Has no account. Never deleted.

    `name`: what staff call them. `consented_at`: when they agreed themselves to e-mail that is not secure; None: not
    yet, and then they are sent none. `permitted_by`, `permitted_on`: whose permission it is that they answer, and since
    which day it is there. `revoked_at`: since when they answer no longer; None while they do.
    """

    class Relation(models.TextChoices):
        SPOUSE = "spouse", _("spouse or partner")
        PARENT = "parent", _("parent")
        CHILD = "child", _("child")
        FAMILY = "family", _("other family")
        GUARDIAN = "guardian", _("guardian")
        PAID = "paid", _("paid caregiver")
        FRIEND = "friend", _("friend")

    class PermittedBy(models.TextChoices):
        PATIENT = "patient", _("the patient")
        LAW = "law", _("law: guardian, or representative for health care")

    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="caregivers")
    name = models.CharField(_("name"), max_length=200, validators=[person_name])
    relation = models.CharField(_("relation"), max_length=10, choices=Relation.choices)
    email = models.EmailField(_("e-mail"))
    language = models.CharField(
        _("language"), max_length=5, choices=Patient.Language.choices, default=Patient.Language.ENGLISH
    )
    consented_at = models.DateTimeField(
        _("agreed to e-mail"),
        null=True,
        blank=True,
        help_text=_("When the caregiver agreed to be asked by e-mail, knowing that e-mail is not secure."),
    )
    consent_version = models.CharField(_("consent text"), max_length=10, blank=True)
    permitted_by = models.CharField(_("permitted by"), max_length=10, choices=PermittedBy.choices)
    permitted_on = models.DateField(_("permitted on"), validators=[likely_date])
    opted_out_at = models.DateTimeField(_("stopped e-mail"), null=True, blank=True)
    bounced_at = models.DateTimeField(_("address bounced"), null=True, blank=True)
    unsubscribe_key = models.UUIDField(
        db_default=RandomUUID(),
        editable=False,
        help_text="Random; as a patient's: a new one with every new address.",
    )
    recorded_by = models.ForeignKey(User, models.PROTECT, null=True, editable=False, related_name="+")
    recorded_at = models.DateTimeField(_("recorded"), editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)
    revoked_by = models.ForeignKey(User, models.PROTECT, null=True, editable=False, related_name="+")
    revoked_reason = models.CharField(_("why revoked"), max_length=500, blank=True, editable=False)

    objects = CaregiverQuerySet.as_manager()

    class Meta:
        verbose_name = _("caregiver")
        verbose_name_plural = _("caregivers")
        ordering = ("-recorded_at", "-id")
        default_permissions = ()  # who may see and change the patient may see and change this
        triggers = [pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete)]
        indexes = [
            models.Index(Upper("email"), name="caregiver_email", condition=Q(revoked_at=None)),
            models.Index(name="caregiver_unsubscribe_key", fields=["unsubscribe_key"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_caregiver_stands", fields=["patient"], condition=Q(revoked_at=None)
            ),
            models.CheckConstraint(name="caregiver_has_address", condition=~Q(email="")),
            models.CheckConstraint(
                name="caregiver_consent_version_with_consent",
                condition=Q(consent_version="") | Q(consented_at__isnull=False),
            ),
            models.CheckConstraint(
                name="caregiver_revoked_with_reason",
                condition=Q(revoked_at=None, revoked_reason="")
                | Q(revoked_at__isnull=False) & ~Q(revoked_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"Caregiver {self.pk}"

    @property
    def is_asked(self) -> bool:
        """Whether they are asked in their patient's place, as long as that one lives: one of `asked`."""
        stopped = self.revoked_at or self.opted_out_at or self.bounced_at
        return self.consented_at is not None and stopped is None

    @property
    def why_no_email(self) -> str:
        """The code of the reason why the caregiver must not be sent an e-mail; "" when one may be sent.

        "revoked", "no_consent", "opted_out", "bounced"; "deceased" and "merged" of the patient.
        """
        if self.patient.died_on:
            return "deceased"
        if self.patient.merged_into_id:
            return "merged"
        if self.revoked_at:
            return "revoked"
        if not self.consented_at:
            return "no_consent"
        if self.opted_out_at:
            return "opted_out"
        return "bounced" if self.bounced_at else ""


def with_caregivers(patient: str) -> models.Prefetch:  # type: ignore[type-arg]
    """For `prefetch_related`, with the way to the patients: who answers for them, for `answering`; one query."""
    return models.Prefetch(
        f"{patient}__caregivers" if patient else "caregivers",
        Caregiver.objects.standing(),
        to_attr="standing_caregivers",
    )


def answering(patient: Patient) -> Caregiver | None:
    """Who answers for the patient; None for nobody. Asks the database unless `with_caregivers` has."""
    found: list[Caregiver] | None = vars(patient).get("standing_caregivers")
    if found is None:
        return patient.caregivers.standing().first()
    return found[0] if found else None


#: Who reads what is e-mailed about check-ins: both have an address, a language, and a key that stops e-mail to it.
Reader = Patient | Caregiver
