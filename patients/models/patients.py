"""Who the patients are and how they may be reached."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Self

import pgtrigger
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q, Sum
from django.db.models.functions import Coalesce, Upper
from django.utils.translation import gettext_lazy as _

from clinic.models import Site, User, keep_history
from clinic.validators import likely_date, person_name, phone
from patients import mme, search
from patients.normalize import Digits, NumberKey, PlainWords
from patients.record_numbers import number_key


def full_years(born_on: date, day: date) -> int:
    """The age on `day`; somebody born on 29 February turns a year older on 1 March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))


class PatientQuerySet(models.QuerySet["Patient"]):
    def visible_to(self, user: User) -> Self:
        """Patients of the sites that `user` works at; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.site_ids)

    def found_by(self, typed: str) -> Self:
        """Those whom `typed` may mean: each of its words is a part of a name or of the record number, or is the birth
        date or a part of it, or the phone number or the e-mail address, as `patients.search` reads it. Capitals,
        accents and apostrophes do not matter.
        """
        terms = search.terms(typed)
        if not terms:
            return self
        found = Patient.objects.all()
        for term in terms:
            found = found.filter(meant_by(term))
        # By the number and the names of a record that was merged, the kept one is found.
        return self.filter(
            merged_into=None, pk__in=found.order_by().values(counts=Coalesce("merged_into", "pk"))
        )

    def numbered(self, numbers: Iterable[str]) -> dict[str, Patient]:
        """The patients with these record numbers, by the number as it was given; of a record that was merged, the one
        that counts. Case, spaces and leading noughts do not matter."""
        keys = {number: number_key(number) for number in numbers}
        keyed = self.annotate(key=NumberKey("record_number"))
        found = {
            number_key(patient.record_number): patient
            for patient in keyed.filter(key__in=set(keys.values()))
            if not patient.merged_into_id
        }
        if missing := set(keys.values()) - found.keys():
            rows = Patient.objects.annotate(key=NumberKey("record_number")).order_by()
            merged = rows.filter(key__in=missing, merged_into__isnull=False)
            into = dict(merged.values_list("key", "merged_into"))
            kept = {patient.pk: patient for patient in self.filter(pk__in=set(into.values()))}
            found |= {key: kept[pk] for key, pk in into.items() if pk in kept}
        return {number: found[key] for number, key in keys.items() if key in found}

    def mme_at_least(self, limit: Decimal | int, day: date) -> Self:
        """Those whose opioids of `day` come to `limit` MME or more, of what can be counted: a filter, no advice."""
        sums = OpioidUse.objects.on(day).order_by().values("patient").annotate(total=Sum("mme_per_day"))
        return self.filter(pk__in=sums.filter(total__gte=limit).values("patient"))


def meant_by(term: search.Term) -> Q:
    """The patients whom one term of a search may mean."""
    meant = Q(pk__in=[])
    if term.word:
        for name in ("family_name", "given_name", "record_number"):
            meant |= Q(**{f"{name}__plainly": term.word})
        if "@" in term.word:
            meant |= Q(email__plainly=term.word)
    if term.digits:
        meant |= Q(**{f"phone__{'ends_in' if len(term.digits) == 4 else 'has'}_digits": term.digits})
    for born in term.births:
        if born.year and born.month and born.day:
            meant |= Q(born_on=date(born.year, born.month, born.day))
        else:
            said = {"year": born.year, "month": born.month, "day": born.day}
            meant |= Q(**{f"born_on__{part}": number for part, number in said.items() if number})
    return meant


#: What a record was merged into counts itself: so there are no chains and no circles. The record that it names is
#: locked, so that of two merges at once the second sees the first.
MERGED_INTO_WHAT_COUNTS = pgtrigger.Trigger(
    name="merged_into_what_counts",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("merged_into_id"),  # type: ignore[no-untyped-call]
    func="""
        IF NEW.merged_into_id IS NOT NULL THEN
            PERFORM FROM patients_patient WHERE id = NEW.merged_into_id AND merged_into_id IS NULL FOR SHARE;
            IF NOT FOUND OR EXISTS (SELECT FROM patients_patient WHERE merged_into_id = NEW.id) THEN
                RAISE EXCEPTION 'a record is merged into one that counts' USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        RETURN NEW;
    """,
)


@keep_history
class Patient(models.Model):
    """A person who is treated. Has no account; answers through links in e-mails.

    The e-mail address is not unique: a couple may share one. A merged patient's row stays and names the row that
    counts, which was never merged itself.
    """

    class Language(models.TextChoices):
        ENGLISH = "en", _("English")
        SPANISH = "es", _("Spanish")

    record_number = models.CharField(
        _("record number"),
        max_length=20,
        blank=True,
        help_text=_("Empty: the next free one of the site."),
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9][A-Za-z0-9-]*\Z", _("Letters, digits and hyphens only."), "record_number"
            )
        ],
    )
    given_name = models.CharField(
        _("given name"),
        max_length=100,
        blank=True,
        validators=[person_name],
        help_text=_("Empty for somebody with a single name."),
    )
    family_name = models.CharField(_("family name"), max_length=100, validators=[person_name])
    born_on = models.DateField(_("born on"), validators=[likely_date])
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("home site"), related_name="patients")
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True, validators=[phone])
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
    died_on = models.DateField(_("died on"), null=True, blank=True, validators=[likely_date])
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
        permissions = [("merge_patient", "Can merge two records of one patient, for good")]
        triggers = [MERGED_INTO_WHAT_COUNTS]
        indexes = [
            # Any part of a name, of the record number or the address is found in a hundred thousand patients.
            GinIndex(
                OpClass(PlainWords("family_name"), name="gin_trgm_ops"), name="patient_family_name_words"
            ),
            GinIndex(OpClass(PlainWords("given_name"), name="gin_trgm_ops"), name="patient_given_name_words"),
            GinIndex(OpClass(PlainWords("record_number"), name="gin_trgm_ops"), name="patient_number_words"),
            GinIndex(OpClass(PlainWords("email"), name="gin_trgm_ops"), name="patient_email_words"),
            GinIndex(OpClass(Digits("phone"), name="gin_trgm_ops"), name="patient_phone_digits"),
            models.Index(name="patient_birth_date", fields=["born_on"]),
            models.Index(Upper("email"), name="patient_email"),
            models.Index(name="patient_unsubscribe_key", fields=["unsubscribe_key"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="patient_consent_version_with_consent",
                condition=Q(consent_version="") | Q(consented_at__isnull=False),
            ),
            models.UniqueConstraint(
                NumberKey("record_number"),
                name="record_number_once",
                violation_error_code="unique",
                violation_error_message=_("This record number is taken."),
            ),
            models.CheckConstraint(name="patient_has_record_number", condition=~Q(record_number="")),
            models.CheckConstraint(name="patient_not_merged_into_self", condition=~Q(merged_into=F("pk"))),
            models.CheckConstraint(
                name="patient_died_after_birth",
                condition=Q(died_on=None) | Q(died_on__gte=F("born_on")),
                violation_error_code="died_before_birth",
                violation_error_message=_("The date of death is before the date of birth."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.family_name}, {self.given_name}" if self.given_name else self.family_name

    @property
    def called(self) -> str:
        """How a letter that greets by name does: by the given name, or by the only one."""
        return self.given_name or self.family_name

    def age_on(self, day: date) -> int:
        """Full years of age on `day`, as `full_years` says."""
        return full_years(self.born_on, day)

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


class FormerAddress(models.Model):
    """An e-mail address that a patient, or who answers for them, no longer has. What was sent there opens nothing any
    more, and can still stop e-mail to that address.

    `unsubscribe_key`: the patient's or the caregiver's, as long as they had it. `stopped_at`: since when whoever reads
    it wants no e-mail from here; None while they have not said so.
    """

    patient = models.ForeignKey(Patient, models.CASCADE, related_name="former_addresses")
    email = models.EmailField()
    unsubscribe_key = models.UUIDField(unique=True)
    replaced_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("replaced_at", "id")
        indexes = [
            models.Index(Upper("email"), name="former_address_stopped", condition=Q(stopped_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"FormerAddress {self.pk}"


#: More than this is a slip of the keyboard, by unit: a choice, and no statement about what may be given.
MOST_OF_A_DOSE = {"mg/day": Decimal(10_000), "mcg/h": Decimal(1_000)}
#: The last day on which something recorded at `recorded_at` can have begun, on whatever wall: east of Greenwich it is
#: tomorrow already.
LAST_DAY_OF_RECORDING = Func(
    F("recorded_at"),
    template="((%(expressions)s AT TIME ZONE 'UTC')::date + 1)",
    output_field=models.DateField(),
)


class OpioidUseQuerySet(models.QuerySet["OpioidUse"]):
    def visible_to(self, user: User) -> Self:
        """Those of the patients that `user` may see."""
        return self if user.sees_all_sites else self.filter(patient__site__in=user.sites.values("pk"))

    def standing(self) -> Self:
        """Those that were not entered in error."""
        return self.filter(entered_in_error_at=None)

    def taken_on(self, day: date) -> Self:
        """Those that stand and were taken on `day`, a dose that another one took over on it too."""
        return self.standing().filter(Q(until_on=None) | Q(until_on__gte=day), from_on__lte=day)

    def on(self, day: date) -> Self:
        """Those that stand and count on `day`; on the day of a change the new dose, as `mme.holding` has it."""
        begun = (
            OpioidUse.objects.standing()
            .filter(
                patient=OuterRef("patient"),
                drug=OuterRef("drug"),
                intrathecal=OuterRef("intrathecal"),
                from_on=day,
            )
            .filter(Q(until_on=None) | Q(until_on__gt=day) | Q(from_on__gt=OuterRef("from_on")))
        )
        return self.taken_on(day).exclude(Q(until_on=day) & Exists(begun))


@keep_history
class OpioidUse(models.Model):
    """One opioid that a patient takes or took, with one dose, from a day until a day. Another dose is another row.

    `dose`: the whole of a day in `unit`. `until_on`: the last day; None: still taken. `mme_per_day`: its morphine
    milligram equivalents by the table `mme_version`, an estimate that must never be used to switch drugs; None, with
    version "", for what has no factor, and for what goes into the spinal fluid. Nothing is deleted: a mistake is
    marked as entered in error, for a reason, and `corrects` names the row that this one stands in for.
    """

    class Drug(models.TextChoices):
        CODEINE = mme.Drug.CODEINE.value, _("codeine")
        FENTANYL_PATCH = mme.Drug.FENTANYL_PATCH.value, _("fentanyl patch")
        HYDROCODONE = mme.Drug.HYDROCODONE.value, _("hydrocodone")
        HYDROMORPHONE = mme.Drug.HYDROMORPHONE.value, _("hydromorphone")
        METHADONE = mme.Drug.METHADONE.value, _("methadone")
        MORPHINE = mme.Drug.MORPHINE.value, _("morphine")
        OXYCODONE = mme.Drug.OXYCODONE.value, _("oxycodone")
        OXYMORPHONE = mme.Drug.OXYMORPHONE.value, _("oxymorphone")
        TAPENTADOL = mme.Drug.TAPENTADOL.value, _("tapentadol")
        TRAMADOL = mme.Drug.TRAMADOL.value, _("tramadol")
        BUPRENORPHINE = mme.Drug.BUPRENORPHINE.value, _("buprenorphine")
        OTHER = mme.Drug.OTHER.value, _("another opioid")

    class Unit(models.TextChoices):
        MG_A_DAY = mme.Unit.MG_A_DAY.value, _("mg a day")
        MCG_AN_HOUR = mme.Unit.MCG_AN_HOUR.value, _("mcg an hour")

    patient = models.ForeignKey(
        Patient, models.PROTECT, verbose_name=_("patient"), related_name="opioid_uses"
    )
    drug = models.CharField(_("drug"), max_length=20, choices=Drug.choices)
    intrathecal = models.BooleanField(
        _("into the spinal fluid"),
        default=False,
        help_text=_("By a pump. It has no factor, so it is left out of the total."),
    )
    dose = models.DecimalField(
        _("dose of a whole day"),
        max_digits=8,
        decimal_places=3,
        validators=[MinValueValidator(Decimal("0.001")), MaxValueValidator(MOST_OF_A_DOSE["mg/day"])],
        help_text=_("All that is taken in a day; of a patch, what its label says."),
    )
    unit = models.CharField(_("unit"), max_length=6, choices=Unit.choices, default=Unit.MG_A_DAY)
    prescription = models.CharField(
        _("prescription"),
        max_length=300,
        help_text=_("As it is written, for example “5 mg four times a day”."),
    )
    from_on = models.DateField(_("from"))
    until_on = models.DateField(
        _("until"), null=True, blank=True, help_text=_("Last day; empty: still taken.")
    )
    mme_per_day = models.DecimalField(
        _("MME a day"),
        max_digits=11,
        decimal_places=5,
        null=True,
        blank=True,
        editable=False,
        help_text=_("An estimate; never use it to switch drugs."),
    )
    mme_version = models.CharField(_("table of factors"), max_length=20, blank=True, editable=False)
    corrects = models.OneToOneField(
        "self",
        models.PROTECT,
        verbose_name=_("corrects"),
        null=True,
        blank=True,
        editable=False,
        related_name="corrected_by",
    )
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, editable=False, related_name="+"
    )
    recorded_at = models.DateTimeField(_("recorded"), editable=False)
    entered_in_error_at = models.DateTimeField(_("entered in error"), null=True, blank=True, editable=False)
    entered_in_error_reason = models.CharField(
        _("reason of the mistake"), max_length=500, blank=True, editable=False
    )

    objects = OpioidUseQuerySet.as_manager()

    class Meta:
        verbose_name = _("opioid")
        verbose_name_plural = _("opioids")
        ordering = ("-from_on", "-id")
        permissions = [("record_opioiduse", "Can record and correct opioids")]
        indexes = [
            models.Index(
                name="opioid_use_taken",
                fields=["patient", "from_on"],
                condition=Q(entered_in_error_at=None),
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="opioid_dose_above_zero",
                condition=Q(dose__gt=0),
                violation_error_code="dose_not_positive",
                violation_error_message=_("A dose is more than nothing."),
            ),
            models.CheckConstraint(
                name="opioid_use_ends_after_start",
                condition=Q(until_on=None) | Q(until_on__gte=F("from_on")),
                violation_error_code="ends_before_start",
                violation_error_message=_("The last day is before the first."),
            ),
            models.CheckConstraint(
                name="opioid_use_began_before_recorded",
                condition=Q(from_on__lte=LAST_DAY_OF_RECORDING),
                violation_error_code="in_the_future",
                violation_error_message=_("This date is in the future."),
            ),
            models.CheckConstraint(
                name="opioid_patch_by_the_hour",
                condition=Q(drug="fentanyl_patch", unit="mcg/h", intrathecal=False)
                | Q(drug__in=["buprenorphine", "other"])
                | ~Q(drug="fentanyl_patch") & Q(unit="mg/day"),
                violation_error_code="unit_not_possible",
                violation_error_message=_(
                    "A fentanyl patch is counted in mcg an hour and lies on the skin; the other drugs of the table are "
                    "counted in mg a day."
                ),
            ),
            models.CheckConstraint(
                name="opioid_mme_with_its_table",
                condition=Q(mme_per_day=None, mme_version="")
                | Q(mme_per_day__isnull=False) & ~Q(mme_version=""),
            ),
            models.CheckConstraint(
                name="opioid_without_factor_has_no_mme",
                condition=Q(mme_per_day=None)
                | Q(intrathecal=False) & ~Q(drug__in=["buprenorphine", "other"]),
            ),
            models.CheckConstraint(name="opioid_has_its_prescription", condition=~Q(prescription="")),
            models.CheckConstraint(
                name="opioid_error_with_reason",
                condition=Q(entered_in_error_at=None, entered_in_error_reason="")
                | Q(entered_in_error_at__isnull=False) & ~Q(entered_in_error_reason=""),
            ),
            models.UniqueConstraint(
                name="opioid_use_once",
                fields=["patient", "drug", "intrathecal", "dose", "unit", "prescription", "from_on"],
                condition=Q(entered_in_error_at=None),
                violation_error_code="recorded_already",
                violation_error_message=_("This is recorded already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_drug_display()} {self.dose.normalize():f} {self.get_unit_display()}"

    @property
    def left_out(self) -> mme.LeftOut | None:
        """Why it is not counted in a total; None when it is."""
        if self.mme_per_day is not None:
            return None
        return mme.LeftOut.INTRATHECAL if self.intrathecal else mme.LeftOut.NO_FACTOR
