"""Follow-ups, their check-ins, and what came back."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import User, keep_history
from outcomes.relief import Verdict
from patients.models import Patient
from procedures.models import Procedure, ReliefProfile

VERDICTS = [
    (Verdict.TOO_EARLY, _("too early")),
    (Verdict.IN_RELIEF, _("in relief")),
    (Verdict.PARTIAL, _("partial relief")),
    (Verdict.NO_RELIEF, _("no relief")),
    (Verdict.LOST_EARLY, _("lost early")),
    (Verdict.LOST_WITHIN, _("lost within the window")),
    (Verdict.OUTLASTING, _("outlasting the window")),
    (Verdict.CONFOUNDED, _("confounded")),
    (Verdict.NO_BASELINE, _("no baseline")),
    (Verdict.UNKNOWN, _("unknown")),
]


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: User) -> Self:
        """Follow-ups of procedures performed at the sites that `user` works at; all for an administrator."""
        return self if user.sees_all_sites else self.filter(procedure__site__in=user.sites.values("pk"))


@keep_history
class FollowUp(models.Model):
    """The course after one procedure, judged by the relief profile that was in force on that day.

    `closed_at` is the instant at which the course ended, None while it runs; `closed_because` says why.
    `confounded_by` is the other follow-up on the same region whose window overlaps this one's; None usually.
    """

    class Closed(models.TextChoices):
        NOT = "", _("open")
        REPEATED = "repeated", _("the treatment was repeated")
        VOIDED = "voided", _("the procedure was entered in error")

    procedure = models.OneToOneField(
        Procedure, models.PROTECT, verbose_name=_("procedure"), related_name="follow_up"
    )
    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="follow_ups")
    relief_profile = models.ForeignKey(
        ReliefProfile, models.PROTECT, verbose_name=_("relief profile"), related_name="follow_ups"
    )
    opened_at = models.DateTimeField(_("opened"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_because = models.CharField(_("closed because"), max_length=10, choices=Closed.choices, blank=True)
    confounded_by = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("confounded by"),
        null=True,
        blank=True,
        related_name="confounds",
    )
    verdict = models.CharField(_("verdict"), max_length=20, choices=VERDICTS, default=Verdict.TOO_EARLY.value)
    verdict_reason = models.CharField(_("reason"), max_length=500, blank=True)
    judged_at = models.DateTimeField(_("judged"), null=True, blank=True)

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        verbose_name = _("follow-up")
        verbose_name_plural = _("follow-ups")
        ordering = ("-procedure__performed_at",)
        indexes = [models.Index(name="follow_up_by_verdict", fields=["verdict"])]
        constraints = [
            models.CheckConstraint(
                name="follow_up_closed_with_reason",
                condition=Q(closed_at=None, closed_because="")
                | Q(closed_at__isnull=False) & ~Q(closed_because=""),
            ),
            models.CheckConstraint(
                name="follow_up_not_confounded_by_self", condition=~Q(confounded_by=F("pk"))
            ),
        ]

    def __str__(self) -> str:
        return str(self.procedure)


class CheckInQuerySet(models.QuerySet["CheckIn"]):
    def visible_to(self, user: User) -> Self:
        """Check-ins of the follow-ups that `user` may see."""
        return (
            self
            if user.sees_all_sites
            else self.filter(follow_up__procedure__site__in=user.sites.values("pk"))
        )


@keep_history
class CheckIn(models.Model):
    """One planned question to the patient within a follow-up.

    `offset_minutes` after the procedure it is meant for; answers are taken from `opens_at` until `closes_at`; at
    `due_at` it is asked. `not_sent_because` is the code of the reason why no e-mail went out, "" otherwise.
    """

    class Status(models.TextChoices):
        PLANNED = "planned", _("planned")
        INVITED = "invited", _("asked")
        ANSWERED = "answered", _("answered")
        MISSED = "missed", _("not answered")
        SUPERSEDED = "superseded", _("replaced by a newer one")
        VOIDED = "voided", _("void")

    #: A check-in in one of these can still be answered.
    OPEN = (Status.PLANNED, Status.INVITED)

    follow_up = models.ForeignKey(
        FollowUp, models.CASCADE, verbose_name=_("follow-up"), related_name="check_ins"
    )
    offset_minutes = models.PositiveIntegerField(_("minutes after the procedure"))
    opens_at = models.DateTimeField(_("opens"))
    due_at = models.DateTimeField(_("due"))
    closes_at = models.DateTimeField(_("closes"))
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.PLANNED)
    invited_at = models.DateTimeField(_("asked at"), null=True, blank=True)
    not_sent_because = models.CharField(_("no e-mail because"), max_length=20, blank=True)

    objects = CheckInQuerySet.as_manager()

    class Meta:
        verbose_name = _("check-in")
        verbose_name_plural = _("check-ins")
        ordering = ("follow_up", "offset_minutes")
        indexes = [
            models.Index(
                name="check_in_due", fields=["due_at"], condition=Q(status="planned", not_sent_because="")
            ),
            models.Index(
                name="check_in_to_close", fields=["closes_at"], condition=Q(status__in=["planned", "invited"])
            ),
        ]
        constraints = [
            models.UniqueConstraint(name="check_in_once", fields=["follow_up", "offset_minutes"]),
            models.CheckConstraint(
                name="check_in_in_order",
                condition=Q(opens_at__lte=F("due_at")) & Q(due_at__lt=F("closes_at")),
            ),
            models.CheckConstraint(
                name="check_in_asked_with_time", condition=~Q(status="invited") | Q(invited_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.when

    @property
    def when(self) -> str:
        """Which one it is, as staff say it: "day 92" or "hour 3.5"."""
        days, rest = divmod(self.offset_minutes, 24 * 60)
        return f"day {days}" if days and not rest else f"hour {self.offset_minutes / 60:g}"

    def open_at(self, moment: datetime) -> bool:
        """Whether an answer is taken at the instant `moment`."""
        return self.status in self.OPEN and self.opens_at <= moment < self.closes_at


class Link(models.Model):
    """A secret address at which one check-in is answered. Only the SHA-256 of its token is kept.

    Every e-mail carries a link of its own; all of a check-in's links work until it closes or `revoked_at`.
    """

    check_in = models.ForeignKey(CheckIn, models.CASCADE, related_name="links")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Link {self.pk}"


@keep_history
class Answer(models.Model):
    """What came back for a check-in: through which channel, and when. Its figures are its measurements."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("e-mail link")
        PHONE = "phone", _("telephone")
        CLINIC = "clinic", _("in the clinic")

    check_in = models.OneToOneField(
        CheckIn, models.PROTECT, verbose_name=_("check-in"), related_name="answer"
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    language = models.CharField(_("language"), max_length=5)
    answered_at = models.DateTimeField(_("answered"))
    recorded_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("recorded by"), null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering = ("-answered_at",)
        permissions = [("record_answer", "Can record an answer on a patient's behalf")]

    def __str__(self) -> str:
        return f"{self.check_in}"


@keep_history
class Measurement(models.Model):
    """One figure of an answer: an item of an instrument's version, as a whole number on the item's own scale.

    The pain score now is instrument "nrs", version "1", item "now", from 0 (none) to 10 (worst imaginable).
    """

    answer = models.ForeignKey(Answer, models.CASCADE, verbose_name=_("answer"), related_name="measurements")
    instrument = models.SlugField(_("instrument"))
    version = models.CharField(_("version"), max_length=20)
    item = models.SlugField(_("item"))
    value = models.SmallIntegerField(_("value"))

    class Meta:
        verbose_name = _("measurement")
        verbose_name_plural = _("measurements")
        constraints = [
            models.UniqueConstraint(name="measured_once", fields=["answer", "instrument", "item"]),
            models.CheckConstraint(
                name="nrs_0_to_10",
                condition=~Q(instrument="nrs") | Q(value__gte=0, value__lte=10),
                violation_error_code="score_out_of_range",
                violation_error_message=_("A pain score is a whole number from 0 to 10."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instrument}.{self.item} {self.value}"


class VerdictChange(models.Model):
    """A follow-up's verdict became another one: when, and because of what. Never changed."""

    follow_up = models.ForeignKey(
        FollowUp, models.CASCADE, verbose_name=_("follow-up"), related_name="verdict_changes"
    )
    at = models.DateTimeField(_("at"))
    previous = models.CharField(_("before"), max_length=20, choices=VERDICTS, blank=True)
    verdict = models.CharField(_("verdict"), max_length=20, choices=VERDICTS)
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("change of verdict")
        verbose_name_plural = _("changes of verdict")
        ordering = ("id",)
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} {self.at:%Y-%m-%d}"
