"""Harm that came to a patient in the course after a procedure."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import MD5
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from outcomes.adverse_event_terms import Term
from outcomes.models.follow_ups import FollowUp
from patients.models import LAST_DAY_OF_RECORDING

TERMS = [
    (Term.BLEEDING, _("bleeding")),
    (Term.INFECTION, _("infection")),
    (Term.NERVE_INJURY, _("nerve injury")),
    (Term.SPINAL_HEADACHE, _("spinal headache")),
    (Term.NEW_WEAKNESS, _("new weakness")),
    (Term.NEW_NUMBNESS, _("new numbness")),
    (Term.ALLERGIC_REACTION, _("allergic reaction")),
    (Term.RAISED_BLOOD_GLUCOSE, _("raised blood glucose")),
    (Term.PAIN_FLARE, _("flare of pain")),
    (Term.LEAD_MIGRATION, _("lead migration")),
    (Term.DEVICE_MALFUNCTION, _("device malfunction")),
    (Term.CATHETER_PROBLEM, _("catheter problem")),
    (Term.OVERDOSE_OR_SEDATION, _("overdose or sedation")),
    (Term.WITHDRAWAL, _("withdrawal")),
    (Term.PNEUMOTHORAX, _("pneumothorax")),
    (Term.OTHER, _("something else")),
]


class AdverseEventQuerySet(models.QuerySet["AdverseEvent"]):
    def visible_to(self, user: User) -> Self:
        """Those of the follow-ups that `user` may see."""
        return (
            self
            if user.sees_all_sites
            else self.filter(follow_up__procedure__site__in=user.sites.values("pk"))
        )

    def standing(self) -> Self:
        """Those that were not entered in error."""
        return self.filter(entered_in_error_at=None)


@keep_history
class AdverseEvent(models.Model):
    """Something bad that happened to a patient in the course after a procedure, whatever caused it.

    `onset_on`: the day on which it began, on the site's calendar. `serious` is about its consequences, `severity` about
    how strong it is: a severe headache need not be serious. `relation` says how likely the `suspect` caused it.
    `grade`: 1 mild, 2 moderate, 3 severe, 4 life-threatening, 5 death (the pattern of CTCAE); None: not graded.
    `corrected_reason`: why it was last changed; each earlier version and reason is in the history.
    """

    class Severity(models.TextChoices):
        MILD = "mild", _("mild")
        MODERATE = "moderate", _("moderate")
        SEVERE = "severe", _("severe")

    class Outcome(models.TextChoices):
        """FHIR's."""

        RESOLVED = "resolved", _("resolved")
        RECOVERING = "recovering", _("recovering")
        ONGOING = "ongoing", _("ongoing")
        RESOLVED_WITH_SEQUELAE = "resolved_with_sequelae", _("resolved with sequelae")
        FATAL = "fatal", _("fatal")
        UNKNOWN = "unknown", _("unknown")

    class Relation(models.TextChoices):
        UNRELATED = "unrelated", _("unrelated")
        UNLIKELY = "unlikely", _("unlikely")
        POSSIBLE = "possible", _("possible")
        PROBABLE = "probable", _("probable")
        DEFINITE = "definite", _("definite")

    class Suspect(models.TextChoices):
        PROCEDURE = "procedure", _("the procedure")
        DEVICE = "device", _("the device")

    follow_up = models.ForeignKey(
        FollowUp, models.PROTECT, verbose_name=_("follow-up"), related_name="adverse_events"
    )
    term = models.CharField(_("what happened"), max_length=30, choices=TERMS)
    onset_on = models.DateField(_("began"))
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    serious = models.BooleanField(
        _("serious"),
        default=False,
        help_text=_(
            "Death, danger to life, a stay in hospital, lasting harm, or a step to prevent one of these. Unconfirmed."
        ),
    )
    outcome = models.CharField(_("outcome"), max_length=24, choices=Outcome.choices)
    relation = models.CharField(_("relation"), max_length=10, choices=Relation.choices)
    suspect = models.CharField(_("to"), max_length=10, choices=Suspect.choices, default=Suspect.PROCEDURE)
    grade = models.PositiveSmallIntegerField(
        _("grade, 1–5"),
        null=True,
        blank=True,
        choices=[(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")],
        help_text=_("1 mild, 2 moderate, 3 severe, 4 life-threatening, 5 death. Empty: not graded."),
    )
    description = models.TextField(
        _("description"), max_length=2000, blank=True, help_text=_("Needed for “something else”.")
    )
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, editable=False, related_name="+"
    )
    recorded_at = models.DateTimeField(_("recorded"), editable=False)
    corrected_reason = models.CharField(
        _("reason of the last correction"), max_length=500, blank=True, editable=False
    )
    entered_in_error_at = models.DateTimeField(_("entered in error"), null=True, blank=True, editable=False)
    entered_in_error_reason = models.CharField(
        _("reason of the mistake"), max_length=500, blank=True, editable=False
    )

    objects = AdverseEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("adverse event")
        verbose_name_plural = _("adverse events")
        ordering = ("-onset_on", "-id")
        permissions = [("record_adverseevent", "Can record and correct adverse events")]
        indexes = [models.Index(name="adverse_event_by_onset", fields=["onset_on"])]
        constraints = [
            models.CheckConstraint(
                name="adverse_event_began_before_recorded",
                condition=Q(onset_on__lte=LAST_DAY_OF_RECORDING),
                violation_error_code="after_recording",
                violation_error_message=_("It was recorded before that."),
            ),
            models.CheckConstraint(
                name="fatal_event_is_serious",
                condition=~Q(outcome="fatal") | Q(serious=True, severity="severe"),
                violation_error_code="fatal_not_serious",
                violation_error_message=_("What was fatal is serious and severe."),
            ),
            models.CheckConstraint(
                name="grade_5_is_death",
                condition=Q(grade=None)
                | Q(grade=5, outcome="fatal")
                | Q(grade__gte=1, grade__lte=4) & ~Q(outcome="fatal"),
                violation_error_code="grade_not_possible",
                violation_error_message=_(
                    "A grade is 1 to 4; 5 is for what was fatal, and for nothing else."
                ),
            ),
            models.CheckConstraint(
                name="other_event_is_described",
                condition=~Q(term="other") | ~Q(description=""),
                violation_error_code="description_required",
                violation_error_message=_("Describe what happened."),
            ),
            models.CheckConstraint(
                name="adverse_event_error_with_reason",
                condition=Q(entered_in_error_at=None, entered_in_error_reason="")
                | Q(entered_in_error_at__isnull=False) & ~Q(entered_in_error_reason=""),
            ),
            models.UniqueConstraint(
                "follow_up",
                "term",
                "onset_on",
                MD5("description"),  # as a whole it can be too long for an index
                name="adverse_event_once",
                condition=Q(entered_in_error_at=None),
                violation_error_code="recorded_already",
                violation_error_message=_("This is recorded already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_term_display()} {self.onset_on:%Y-%m-%d}"
