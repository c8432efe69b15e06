"""What reports count, one row a follow-up."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.models import Site, User
from outcomes.models.answers import Answer
from outcomes.models.follow_ups import VERDICTS, FollowUp
from patients.models import Patient
from procedures.models import Intent, ProcedureType

#: What a number in `CourseSummary.channels` stands for; the first means that nothing came back.
CHANNELS = ("", *Answer.Channel.values)


class CourseSummaryQuerySet(models.QuerySet["CourseSummary"]):
    def visible_to(self, user: User) -> Self:
        """Those of procedures performed at the sites that `user` works at; all for an administrator."""
        return self if user.sees_all_sites else self.filter(site__in=user.sites.values("pk"))

    def counted(self) -> Self:
        """Without procedures that were entered in error."""
        return self.filter(voided=False)


class CourseSummary(models.Model):
    """What reports count of one follow-up, so that a million answers can be counted while somebody waits.

    Derived: `outcomes.services.update_verdict` writes it with every judgement, and `manage.py judge_follow_ups --all`
    makes all of them anew. Positions count from the procedure in `unit`: calendar days on the site's wall clock, or
    minutes for a diagnostic block. Pain and baseline are the pain now, 0–10.

    `performed_on` is a date on the site's wall clock. `success_percent` is the relief that counts. Relief ended after
    `lost_after` and not later than `lost_until` (None: not seen to end); `lost_after` None: nothing can be said,
    because there is no baseline above 0, the course is confounded, or nothing could be judged yet. `responded`: seen in
    relief at a judged answer that counts. `suspected_until`: the end by a first bad score that nothing confirmed;
    curves end relief by it. `loss_kind`: what the loss, confirmed or not, is against the window, as the code of its
    verdict; "" without one. `back_since`: where relief that was lost was back, when the latest judged answers, two or
    more in a row, are in relief; None otherwise. `covered_percent`: of a test, the share of its window that entries of
    the diary cover; None of others. Of a test nothing is kept of a loss. `remarks`: codes of `outcomes.relief.Note`, in
    order. `repeated_at`: where the treatment was repeated. `last_answer`: where the last answer lies; None without one.
    `lords_after` and `lords_until`: the interval for a curve by Lord's rule, to which exactly half of the pain before
    is pain that has returned; `lords_after` is 0 where it never saw relief. `definition`: by which version of the
    definition of verdicts it was judged, `outcomes.relief.DEFINITION`.

    The arrays hold one entry for each check-in that fell due, in order: where it was planned (`days`, in `unit`), the
    pain (`scores`; None: no answer), how it came (`channels`, a place in CHANNELS; 0: no answer), the sum of the PEG's
    three items, 0–30 (`pegs`), the global impression of change, 1–7 (`changes`), the satisfaction, 1–5 (`satisfied`);
    None in the last three: not asked or not answered.
    """

    class Unit(models.TextChoices):
        DAY = "day", _("day")
        MINUTE = "minute", _("minute")

    follow_up = models.OneToOneField(FollowUp, models.CASCADE, primary_key=True, related_name="summary")
    patient = models.ForeignKey(Patient, models.CASCADE, related_name="+")
    procedure_type = models.ForeignKey(ProcedureType, models.CASCADE, related_name="+")
    site = models.ForeignKey(Site, models.CASCADE, related_name="+")
    performer = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    intent = models.CharField(max_length=12, choices=Intent.choices)
    indication = models.CharField(max_length=8, blank=True)
    region = models.SlugField(blank=True, db_index=False)
    performed_on = models.DateField()
    voided = models.BooleanField(default=False)
    verdict = models.CharField(max_length=20, choices=VERDICTS)
    unit = models.CharField(max_length=6, choices=Unit.choices)
    evaluate_after = models.PositiveIntegerField()
    window_from = models.PositiveIntegerField()
    window_until = models.PositiveIntegerField()
    success_percent = models.PositiveSmallIntegerField()
    baseline = models.PositiveSmallIntegerField(null=True)
    baseline_peg = models.PositiveSmallIntegerField(null=True)
    lost_after = models.PositiveIntegerField(null=True)
    lost_until = models.PositiveIntegerField(null=True)
    responded = models.BooleanField(default=False)
    suspected_until = models.PositiveIntegerField(null=True)
    loss_kind = models.CharField(max_length=20, blank=True)
    back_since = models.PositiveIntegerField(null=True)
    remarks = ArrayField(models.CharField(max_length=20), default=list)
    covered_percent = models.PositiveSmallIntegerField(null=True)
    definition = models.PositiveSmallIntegerField(default=1)
    repeated_at = models.PositiveIntegerField(null=True)
    last_answer = models.PositiveIntegerField(null=True)
    lords_after = models.PositiveIntegerField(null=True)
    lords_until = models.PositiveIntegerField(null=True)
    days = ArrayField(models.PositiveIntegerField(), default=list)
    scores = ArrayField(models.PositiveSmallIntegerField(null=True), default=list)
    channels = ArrayField(models.PositiveSmallIntegerField(), default=list)
    pegs = ArrayField(models.PositiveSmallIntegerField(null=True), default=list)
    changes = ArrayField(models.PositiveSmallIntegerField(null=True), default=list)
    satisfied = ArrayField(models.PositiveSmallIntegerField(null=True), default=list)

    objects = CourseSummaryQuerySet.as_manager()

    class Meta:
        verbose_name = _("summary of a follow-up")
        verbose_name_plural = _("summaries of follow-ups")
        permissions = [("view_reports", "Can see reports")]
        indexes = [
            models.Index(name="summary_of_type", fields=["procedure_type", "performed_on"]),
            models.Index(name="summary_of_site", fields=["site", "performed_on"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="summary_interval",
                condition=Q(lost_until=None) | Q(lost_until__gt=F("lost_after")),
            ),
        ]

    def __str__(self) -> str:
        return f"Summary {self.pk}"
