"""What a named person must look at."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from clinic.models import Site, User, keep_history
from outcomes.models.check_ins import CheckIn
from outcomes.models.follow_ups import FollowUp
from patients.models import Patient


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> Self:
        """Alerts of the follow-ups that `user` may see."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))

    def open(self) -> Self:
        """Those that nobody has resolved."""
        return self.filter(resolved_at=None)

    def snoozed(self, now: datetime) -> Self:
        """Open ones that nobody wants to see at `now`."""
        return self.open().filter(snoozed_until__gt=now)

    def waiting(self, now: datetime) -> Self:
        """Open ones that are not snoozed at `now`."""
        return self.open().filter(Q(snoozed_until=None) | Q(snoozed_until__lte=now))

    def overdue(self, now: datetime) -> Self:
        """Those of the waiting ones whose time has passed."""
        return self.waiting(now).filter(due_at__lte=now)

    def to_escalate(self, now: datetime) -> Self:
        """Those of the overdue ones of which the site has not been told since they fell due."""
        return self.overdue(now).filter(Q(escalated_at=None) | Q(escalated_at__lt=F("due_at")))

    def weighed(self) -> Self:
        """With `weight`: 0 for an emergency, 1 for the same day, 2 for routine."""
        return self.annotate(weight=weight_of_urgency())


def weight_of_urgency() -> Case:
    """What `weighed` computes, for sorting."""
    whens = [When(urgency=urgency, then=Value(weight)) for weight, urgency in enumerate(Alert.Urgency.values)]
    return Case(*whens, output_field=models.PositiveSmallIntegerField())


@keep_history
class Alert(models.Model):
    """Something a named person must look at by a certain time. At most one open a follow-up and kind.

    `codes`: of the red flags that the patient said yes to. `owner`: whose it is; None: everybody's at the site.
    `confirmed` False: a first bad score raised it that nothing has confirmed yet. `due_at`: by when somebody must look
    at it; once that is acknowledged, by when it must be resolved. `snoozed_until`: not shown before then, and not
    escalated; None: shown. `escalated_at`: when the whole site was last told that it is overdue; None: never.
    `resolved_by` None: resolved by nobody, because the reason is gone. `since`: the day of the course, counted from the
    procedure, since which its reason held when the course was last judged while it was open; None: no course calls for
    it, or it is from before this was kept.
    """

    class Kind(models.TextChoices):
        RED_FLAG = "red_flag", _("red flag")
        LOST_EARLY = "lost_early", _("losing relief early")
        LOST_EFFECT = "lost_effect", _("loss of effect")
        PAIN_BACK = "pain_back", _("says that the pain is back")
        NO_RELIEF = "no_relief", _("no relief")
        WORSE = "worse", _("worse than before the procedure")
        SILENT = "silent", _("silent")
        DEVICE_DUE = "device_due", _("device is due")

    class Urgency(models.TextChoices):
        EMERGENCY = "emergency", _("emergency")
        SAME_DAY = "same_day", _("same day")
        ROUTINE = "routine", _("routine")

    class Resolution(models.TextChoices):
        SPOKEN = "spoken", _("spoken with the patient")
        SEEN = "seen", _("the patient was seen")
        EMERGENCY = "emergency", _("sent to the emergency department")
        NOT_REACHED = "not_reached", _("could not be reached")
        NO_ACTION = "no_action", _("looked at; nothing to be done")
        MISTAKE = "mistake", _("answered by mistake")
        SETTLED = "settled", _("the reason is gone")

    follow_up = models.ForeignKey(
        FollowUp, models.PROTECT, verbose_name=_("follow-up"), related_name="alerts"
    )
    patient = models.ForeignKey(Patient, models.PROTECT, verbose_name=_("patient"), related_name="alerts")
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    check_in = models.ForeignKey(CheckIn, models.PROTECT, null=True, related_name="alerts")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    urgency = models.CharField(_("urgency"), max_length=10, choices=Urgency.choices)
    codes = ArrayField(models.SlugField(), default=list, blank=True)
    confirmed = models.BooleanField(_("confirmed"), default=True)
    raised_at = models.DateTimeField(_("raised"))
    since = models.IntegerField(null=True, editable=False)
    due_at = models.DateTimeField(_("due"))
    owner = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("owner"), null=True, blank=True, related_name="alerts"
    )
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    escalated_at = models.DateTimeField(_("escalated"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)
    resolved_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("resolved by"), null=True, blank=True, related_name="+"
    )
    resolution = models.CharField(_("resolution"), max_length=12, choices=Resolution.choices, blank=True)
    resolution_note = models.CharField(_("note"), max_length=500, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ("due_at", "id")
        permissions = [("handle_alert", "Can acknowledge, snooze and resolve alerts")]
        indexes = [
            models.Index(name="alert_open", fields=["site", "due_at"], condition=Q(resolved_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_open_alert_a_kind", fields=["follow_up", "kind"], condition=Q(resolved_at=None)
            ),
            models.CheckConstraint(
                name="alert_resolved_with_reason",
                condition=Q(resolved_at=None, resolution="")
                | Q(resolved_at__isnull=False) & ~Q(resolution=""),
            ),
            models.CheckConstraint(name="alert_due_after_raised", condition=Q(due_at__gte=F("raised_at"))),
            models.CheckConstraint(
                name="red_flag_alert_has_codes", condition=~Q(kind="red_flag") | ~Q(codes=[])
            ),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())

    def state(self, now: datetime) -> Literal["open", "overdue", "snoozed", "resolved"]:
        """How it stands at `now`; an overdue one is open as well."""
        if self.resolved_at:
            return "resolved"
        if self.snoozed_until and self.snoozed_until > now:
            return "snoozed"
        return "overdue" if self.due_at <= now else "open"
