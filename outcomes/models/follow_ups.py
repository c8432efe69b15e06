"""Follow-ups: the course after one procedure, and what it was judged to show."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from outcomes.questions import short_days
from outcomes.relief import Verdict
from outcomes.schedule import DAY
from patients.models import Caregiver, Patient
from procedures.models import Intent, Procedure, ReliefProfile

VERDICTS = [
    (Verdict.TOO_EARLY, _("too early")),
    (Verdict.IN_RELIEF, _("in relief")),
    (Verdict.PARTIAL, _("partial relief")),
    (Verdict.NO_RELIEF, _("no relief")),
    (Verdict.LOST_EARLY, _("lost early")),
    (Verdict.POSSIBLY_EARLY, _("possibly lost early")),
    (Verdict.DATE_UNKNOWN, _("lost, date unknown")),
    (Verdict.LOST_WITHIN, _("lost within the window")),
    (Verdict.REACHED_END, _("reached the end of the window")),
    (Verdict.OUTLASTING, _("outlasting the window")),
    (Verdict.LOST, _("effect lost")),
    (Verdict.LOST_UNCONFIRMED, _("lost, unconfirmed")),
    (Verdict.FLUCTUATING, _("fluctuating")),
    (Verdict.CONFOUNDED, _("confounded")),
    (Verdict.NO_BASELINE, _("no baseline")),
    (Verdict.UNKNOWN, _("unknown")),
    (Verdict.POSITIVE, _("positive")),
    (Verdict.NEGATIVE, _("negative")),
    (Verdict.INDETERMINATE, _("indeterminate")),
    (Verdict.PASSED, _("passed")),
    (Verdict.FAILED, _("failed")),
    (Verdict.NOT_JUDGED, _("no verdict")),
]


class JudgedAs(StrEnum):
    """What a follow-up is judged as. The procedure's intent decides, not its type."""

    TREATMENT = "treatment"
    TEST = "test"
    TRIAL = "trial"
    UPKEEP = "upkeep"


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: User) -> Self:
        """Follow-ups of procedures performed at the sites that `user` works at; all for an administrator."""
        return self if user.sees_all_sites else self.filter(procedure__site__in=user.sites.values("pk"))

    def seeking_relief(self) -> Self:
        """Those after procedures that are to bring relief for themselves, see `FollowUp.seeks_relief`."""
        return self.exclude(procedure__intent=Intent.DIAGNOSTIC).exclude(
            procedure__intent=Intent.MAINTENANCE, procedure__procedure_type__restarts=[]
        )


@keep_history
class FollowUp(models.Model):
    """The course after one procedure, judged by the relief profile that was in force on that day.

    `closed_at` is the instant at which the course ended, None while it runs; `closed_reason` says why. `ended_by` is
    the follow-up of the procedure that ended this one, because it repeated the treatment or was another treatment of
    the same region within the window; None unless that is why. `confounded_by` is the follow-up of another treatment of
    the same region from which this one's relief cannot be told apart: nothing was known when the other one began, or
    the other one was not known to be lost when this one did. None usually. With `not_confounded_reason` staff say, for
    a reason, that the two can be told apart after all.

    `relief_profile` gives the figures of judgement, as they were on the day. `check_in_profile` is a later version
    whose check-ins are asked instead; None: those of `relief_profile` (`plan_profile`).

    `consistent_with_agent` is a clinician's answer about a diagnostic block: whether its relief lasted as long as the
    agent that was injected works. None while nobody has said it; what the diary shows does not answer it.

    `trial_ended_on`: of a trial, the day on which the lead or catheter came out, on the site's calendar; None while
    nobody has said it.

    `replan_reason`: what was not asked yet is to be planned again, by the tick, for this reason; "": the plan holds.
    """

    class Closed(models.TextChoices):
        NOT = "", _("open")
        REPEATED = "repeated", _("a later procedure of the same kind followed")
        OTHER_TREATMENT = "other_treatment", _("another treatment of the same region")
        EXPLANTED = "explanted", _("the device was taken out")
        TRANSFERRED = "transferred", _("another clinic treats the patient now")
        OTHER_CARE = "other_care", _("the patient chose other care")
        DIED = "died", _("the patient has died")
        DIARY_OVER = "diary_over", _("the diary is over")
        VOIDED = "voided", _("the procedure was entered in error")

    procedure = models.OneToOneField(
        Procedure, models.PROTECT, verbose_name=_("procedure"), related_name="follow_up"
    )
    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="follow_ups")
    relief_profile = models.ForeignKey(
        ReliefProfile, models.PROTECT, verbose_name=_("relief profile"), related_name="follow_ups"
    )
    check_in_profile = models.ForeignKey(
        ReliefProfile,
        models.PROTECT,
        verbose_name=_("check-ins of"),
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    opened_at = models.DateTimeField(_("opened"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_reason = models.CharField(_("closed because"), max_length=20, choices=Closed.choices, blank=True)
    ended_by = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("ended by"),
        null=True,
        blank=True,
        related_name="ended",
    )
    confounded_by = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("confounded by"),
        null=True,
        blank=True,
        related_name="confounds",
    )
    not_confounded_reason = models.CharField(_("not confounded because"), max_length=500, blank=True)
    consistent_with_agent = models.BooleanField(
        _("duration consistent with the agent"), null=True, blank=True, editable=False
    )
    trial_ended_on = models.DateField(_("lead or catheter out on"), null=True, blank=True, editable=False)
    replan_reason = models.CharField(max_length=200, blank=True, editable=False)
    verdict = models.CharField(_("verdict"), max_length=20, choices=VERDICTS, default=Verdict.TOO_EARLY.value)
    verdict_reason = models.CharField(_("reason"), max_length=1000, blank=True)
    judged_at = models.DateTimeField(_("judged"), null=True, blank=True)

    #: Through whose link it was opened; None: the patient's. Set by `services.open_report_link`, and kept nowhere.
    opened_by: Caregiver | None = None

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        verbose_name = _("follow-up")
        verbose_name_plural = _("follow-ups")
        ordering = ("-procedure__performed_at",)
        indexes = [
            models.Index(name="follow_up_by_verdict", fields=["verdict"]),
            models.Index(name="follow_up_to_replan", fields=["id"], condition=~Q(replan_reason="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="follow_up_closed_with_reason",
                condition=Q(closed_at=None, closed_reason="")
                | Q(closed_at__isnull=False) & ~Q(closed_reason=""),
            ),
            models.CheckConstraint(
                name="follow_up_ended_by_another",
                condition=(
                    Q(closed_reason__in=["repeated", "other_treatment"])
                    & Q(ended_by__isnull=False)
                    & ~Q(ended_by=F("pk"))
                )
                | (~Q(closed_reason__in=["repeated", "other_treatment"]) & Q(ended_by=None)),
            ),
            models.CheckConstraint(
                name="follow_up_not_confounded_by_self", condition=~Q(confounded_by=F("pk"))
            ),
        ]

    def __str__(self) -> str:
        return str(self.procedure)

    @property
    def plan_profile(self) -> ReliefProfile:
        """The version of the relief profile whose check-ins are asked."""
        return self.check_in_profile or self.relief_profile

    @property
    def short_check_ins(self) -> set[int]:
        """The check-ins of the plan that ask for the pain now and nothing else, in minutes after the procedure. Another
        one comes soon after each: that nobody answers them is no silence."""
        days = short_days(
            self.plan_profile.check_in_days,
            evaluate_after=self.relief_profile.evaluate_after_days,
            window_from=self.relief_profile.window_from_days,
        )
        return {day * DAY for day in days}

    @property
    def judged_as(self) -> JudgedAs:
        """A test, done to find out where the pain comes from, is judged by its diary; a trial of a device by its days.
        Upkeep of a device, such as a refill, only keeps the implant's relief. A revision that starts it anew is a
        treatment, as all else is.

        Wants `procedure__procedure_type` selected.
        """
        procedure = self.procedure
        if procedure.intent == Intent.DIAGNOSTIC:
            return JudgedAs.TEST
        if procedure.intent == Intent.TRIAL:
            return JudgedAs.TRIAL
        if procedure.intent == Intent.MAINTENANCE and not procedure.procedure_type.restarts:
            return JudgedAs.UPKEEP
        return JudgedAs.TREATMENT

    @property
    def seeks_relief(self) -> bool:
        """Whether the procedure was to bring relief for itself: a treatment, or a trial of one."""
        return self.judged_as in (JudgedAs.TREATMENT, JudgedAs.TRIAL)

    @property
    def asks_days(self) -> bool:
        """Whether the days of the check-in plan are asked. A test's course is over with its diary, unless a steroid was
        given, which works on for weeks; a test whose profile has no diary asks by its days as well."""
        if self.judged_as != JudgedAs.TEST:
            return True
        return bool(self.procedure.steroid_given) or not self.relief_profile.check_in_minutes


class VerdictChange(models.Model):
    """A follow-up's verdict became another one: when, and because of what. Never changed."""

    follow_up = models.ForeignKey(
        FollowUp, models.CASCADE, verbose_name=_("follow-up"), related_name="verdict_changes"
    )
    at = models.DateTimeField(_("at"))
    previous = models.CharField(_("before"), max_length=20, choices=VERDICTS, blank=True)
    verdict = models.CharField(_("verdict"), max_length=20, choices=VERDICTS)
    reason = models.CharField(_("reason"), max_length=1000)

    class Meta:
        verbose_name = _("change of verdict")
        verbose_name_plural = _("changes of verdict")
        ordering = ("id",)
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} {self.at:%Y-%m-%d}"
