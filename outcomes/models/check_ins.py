"""Check-ins: what is asked and when, by which link, and every attempt to reach the patient."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import OutgoingEmail, Site, User, keep_history
from outcomes.models.follow_ups import FollowUp
from patients.models import Caregiver


class CheckInQuerySet(models.QuerySet["CheckIn"]):
    def visible_to(self, user: User) -> Self:
        """Check-ins of the follow-ups that `user` may see."""
        return (
            self
            if user.sees_all_sites
            else self.filter(follow_up__procedure__site__in=user.sites.values("pk"))
        )

    def to_call(self, now: datetime) -> Self:
        """Those about which somebody should telephone at the instant `now`: open, and the time for it has come."""
        return self.filter(
            status__in=CheckIn.OPEN,
            opens_at__lte=now,
            call_at__lte=now,
            closes_at__gt=now,
            follow_up__patient__died_on=None,
            follow_up__patient__merged_into=None,
        )

    def not_sent(self, reason: str) -> Self:
        """Those of which an e-mail was never queued, or was held back when its turn came, for a reason by its code."""
        attempts = ContactAttempt.objects.filter(
            Q(outcome=ContactAttempt.Outcome.SKIPPED, reason=reason)
            | Q(email__status=OutgoingEmail.Status.SKIPPED, email__problem=reason)
        )
        return self.filter(pk__in=attempts.values("check_in"))


@keep_history
class CheckIn(models.Model):
    """One planned question to the patient within a follow-up.

    `offset_minutes` after the procedure it is meant for; answers are taken from `opens_at` until `closes_at`; at
    `due_at` it is asked. `not_sent_reason` is the code of the reason why no e-mail went out, "" otherwise.
    `hold_until`: it is due but waits, because the patient has had enough e-mails or another question is about to
    come; None: it does not wait. `remind_at` is when the next reminder is due, None when none is; `reminders` counts
    those that were queued. `call_at` is since when staff should telephone, or when to call again; None: no call.

    `kind`: a check-in of the plan; a confirmation, which asks once more some days after a first bad score (`confirms`
    is the check-in with that score; None of the other kinds); or a report, which nobody asked for: the patient, or
    staff for them, said that the pain is back. Only the plan's are moved when the plan changes, supersede each other
    and count in rates by check-in; all count for the verdict.
    """

    class Kind(models.TextChoices):
        PLANNED = "planned", _("planned")
        CONFIRMATION = "confirmation", _("confirmation")
        REPORT = "report", _("the patient says that the pain is back")

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
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.PLANNED)
    confirms = models.ForeignKey(
        "self",
        models.PROTECT,
        verbose_name=_("confirms"),
        null=True,
        blank=True,
        related_name="confirmations",
    )
    offset_minutes = models.PositiveIntegerField(_("minutes after the procedure"))
    opens_at = models.DateTimeField(_("opens"))
    due_at = models.DateTimeField(_("due"))
    closes_at = models.DateTimeField(_("closes"))
    status = models.CharField(_("status"), max_length=12, choices=Status.choices, default=Status.PLANNED)
    invited_at = models.DateTimeField(_("asked at"), null=True, blank=True)
    not_sent_reason = models.CharField(_("no e-mail because"), max_length=20, blank=True)
    hold_until = models.DateTimeField(_("waits until"), null=True, blank=True)
    reminders = models.PositiveSmallIntegerField(_("reminders"), default=0)
    remind_at = models.DateTimeField(_("next reminder"), null=True, blank=True)
    call_at = models.DateTimeField(_("to be called"), null=True, blank=True)
    #: Through whose link it was opened; None: the patient's. Set by `services.open_link`, and kept nowhere.
    opened_by: Caregiver | None = None

    objects = CheckInQuerySet.as_manager()

    class Meta:
        verbose_name = _("check-in")
        verbose_name_plural = _("check-ins")
        ordering = ("follow_up", "offset_minutes")
        indexes = [
            models.Index(
                name="check_in_due", fields=["due_at"], condition=Q(status="planned", not_sent_reason="")
            ),
            models.Index(
                name="check_in_to_close", fields=["closes_at"], condition=Q(status__in=["planned", "invited"])
            ),
            models.Index(
                name="check_in_to_remind",
                fields=["remind_at"],
                condition=Q(status="invited", remind_at__isnull=False),
            ),
            models.Index(
                name="check_in_to_call",
                fields=["call_at"],
                condition=Q(status__in=["planned", "invited"], call_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                name="check_in_once", fields=["follow_up", "offset_minutes"], condition=Q(kind="planned")
            ),
            models.UniqueConstraint(
                name="one_confirmation_of_a_check_in", fields=["confirms"], condition=~Q(status="voided")
            ),
            models.UniqueConstraint(
                name="one_open_confirmation",
                fields=["follow_up"],
                condition=Q(kind="confirmation", status__in=["planned", "invited"]),
            ),
            models.CheckConstraint(
                name="confirmation_confirms",
                condition=Q(kind="confirmation", confirms__isnull=False)
                | ~Q(kind="confirmation") & Q(confirms=None),
            ),
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
    def site(self) -> Site:
        """Where the procedure was performed. Wants `follow_up__procedure__site` selected."""
        return self.follow_up.procedure.site

    @property
    def when(self) -> str:
        """Which one it is, as staff say it: "day 92", "hour 3.5", "day 99, confirmation", "day 120, pain is back"."""
        days, rest = divmod(self.offset_minutes, 24 * 60)
        if self.kind != self.Kind.PLANNED:
            what = "confirmation" if self.kind == self.Kind.CONFIRMATION else "pain is back"
            return f"day {days}, {what}"
        return f"day {days}" if days and not rest else f"hour {self.offset_minutes / 60:g}"

    def open_at(self, moment: datetime) -> bool:
        """Whether an answer is taken at the instant `moment`."""
        return self.status in self.OPEN and self.opens_at <= moment < self.closes_at


class Link(models.Model):
    """A secret address: of one check-in, at which it is answered, or of one follow-up, at which the patient says that
    the pain is back. Only the SHA-256 of its token is kept.

    Every e-mail carries links of its own; all of a check-in's links work until it closes, a follow-up's while its
    course runs, or until `revoked_at`. `caregiver`: to whom it was e-mailed in the patient's place; None: to the
    patient. `stop_key`: the `unsubscribe_key` of whoever it went to when it was made, by which its reader stops e-mail
    to that address; None of those made before it was kept.
    """

    check_in = models.ForeignKey(CheckIn, models.CASCADE, null=True, related_name="links")
    follow_up = models.ForeignKey(FollowUp, models.CASCADE, null=True, related_name="links")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    stop_key = models.UUIDField(null=True)
    caregiver = models.ForeignKey(Caregiver, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(name="link_of_one_thing", condition=Q(check_in=None) ^ Q(follow_up=None))
        ]

    def __str__(self) -> str:
        return f"Link {self.pk}"

    @property
    def is_readers(self) -> bool:
        """Whether its reader is still the one who is asked: a caregiver who is asked, at the same address. Of
        the patient's links `revoked_at` tells. Wants `caregiver` selected."""
        caregiver = self.caregiver
        return caregiver is None or (caregiver.is_asked and caregiver.unsubscribe_key == self.stop_key)


class Draft(models.Model):
    """What a patient has filled in of a check-in so far. It goes when the answer is sent.

    `values` by "instrument.item", whole numbers: {"nrs.now": 7}. `step`: how many steps are done.
    """

    check_in = models.OneToOneField(CheckIn, models.CASCADE, related_name="draft")
    values = models.JSONField(default=dict)
    remark = models.TextField(max_length=2000, blank=True)
    step = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Draft {self.pk}"


class ContactAttempt(models.Model):
    """Somebody or something tried to reach the patient about a check-in: how, when, and what came of it.

    `reason` is the code of why it was skipped. `email` is the outbox's row, which tells what became of it; several
    check-ins may share one. `again_at`: when the patient asked to be called again.
    """

    class Kind(models.TextChoices):
        INVITATION = "invitation", _("invitation")
        REMINDER = "reminder", _("reminder")
        SMS = "sms", _("text message")
        CALL = "call", _("telephone call")

    class Outcome(models.TextChoices):
        QUEUED = "queued", _("put into the outbox")
        SKIPPED = "skipped", _("not sent")
        REACHED = "reached", _("reached")
        NO_ANSWER = "no_answer", _("nobody answered")
        CALL_AGAIN = "call_again", _("call again later")
        WRONG_NUMBER = "wrong_number", _("wrong number")
        DECLINED = "declined", _("does not want to answer")

    check_in = models.ForeignKey(
        CheckIn, models.CASCADE, verbose_name=_("check-in"), related_name="contact_attempts"
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome.choices)
    at = models.DateTimeField(_("at"))
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by"), null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    email = models.ForeignKey(OutgoingEmail, models.PROTECT, null=True, related_name="contact_attempts")
    again_at = models.DateTimeField(_("call again"), null=True)

    class Meta:
        verbose_name = _("contact attempt")
        verbose_name_plural = _("contact attempts")
        ordering = ("id",)
        indexes = [
            models.Index(name="contact_skipped", fields=["at"], condition=Q(outcome="skipped")),
        ]
        constraints = [
            models.CheckConstraint(
                name="skipped_contact_has_a_reason", condition=~Q(outcome="skipped") | ~Q(reason="")
            ),
        ]
        triggers = [pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
