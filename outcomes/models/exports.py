"""Tables that somebody asked for, made in the background and kept for a few days."""

from __future__ import annotations

from typing import Self

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models import User


class ExportQuerySet(models.QuerySet["Export"]):
    def visible_to(self, user: User) -> Self:
        """A user's own; all of them for an administrator."""
        return self if user.sees_all_sites else self.filter(requested_by=user)


class Export(models.Model):
    """One table of outcomes as a CSV file: who asked for it, of which follow-ups, and how far it is.

    `selection` by name, as `outcomes.reports.Selection` writes it. The row waits until a worker claims it
    (`claimed_at`, by the database's clock, renewed with each piece; `claims` counts the workers). `rows_total` is what
    was counted at the request; `rows_suppressed` were left out of a de-identified export because too few patients were
    like them. The pieces are deleted at `expires_at`. `key` is the address of the download, which wants a sign-in as
    well. `problem` is the code of why it failed.
    """

    class Kind(models.TextChoices):
        FOLLOW_UPS = "follow_ups", _("follow-ups")
        CHECK_INS = "check_ins", _("check-ins and answers")
        ADVERSE_EVENTS = "adverse_events", _("adverse events")
        HARM = "harm", _("adverse events by procedure type")

    class Status(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("being made")
        DONE = "done", _("ready")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    key = models.UUIDField(unique=True, db_default=RandomUUID(), editable=False)
    kind = models.CharField(_("table"), max_length=20, choices=Kind.choices)
    selection = models.JSONField(_("selection"), default=dict)
    deidentified = models.BooleanField(_("de-identified"), default=False)
    requested_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("asked for by"), related_name="exports"
    )
    requested_at = models.DateTimeField(_("asked for"))
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.QUEUED)
    claimed_at = models.DateTimeField(null=True)
    claims = models.PositiveSmallIntegerField(default=0)
    rows_done = models.PositiveIntegerField(_("rows"), default=0)
    rows_total = models.PositiveIntegerField(default=0)
    rows_suppressed = models.PositiveIntegerField(_("rows left out"), default=0)
    done_at = models.DateTimeField(_("ready"), null=True)
    expires_at = models.DateTimeField(_("kept until"))
    problem = models.CharField(_("problem"), max_length=20, blank=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ("-id",)
        permissions = [("export_outcomes", "Can export outcomes")]
        indexes = [
            models.Index(
                name="export_unfinished", fields=["id"], condition=Q(status__in=["queued", "running"])
            ),
            models.Index(name="export_to_expire", fields=["expires_at"], condition=Q(status="done")),
        ]
        constraints = [
            models.CheckConstraint(
                name="export_failed_with_problem",
                condition=Q(status="failed") & ~Q(problem="") | ~Q(status="failed") & Q(problem=""),
            ),
            models.CheckConstraint(
                name="export_done_with_time",
                condition=~Q(status__in=["done", "expired"]) | Q(done_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.requested_at:%Y-%m-%d}"


class ExportPart(models.Model):
    """A piece of an export's file, in order: whole lines of CSV, compressed with gzip."""

    export = models.ForeignKey(Export, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ("export", "number")
        constraints = [models.UniqueConstraint(name="export_part_once", fields=["export", "number"])]

    def __str__(self) -> str:
        return f"Part {self.number}"
