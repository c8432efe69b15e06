"""The audit trail: what was done, read, taken out and refused. Instants in UTC."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from clinic.models.sites import Site
from clinic.models.staff import User

NEVER_EMPTIED = pgtrigger.Trigger(
    name="never_emptied",
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    operation=pgtrigger.Truncate,
    func="RAISE EXCEPTION 'the audit trail is never emptied';",
)


class AuditSeal(models.Model):
    """A link of the chain that proves the audit trail whole: the hash over one batch of events and the link before."""

    at = models.DateTimeField()
    events = models.PositiveIntegerField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            NEVER_EMPTIED,
        ]

    def __str__(self) -> str:
        return self.hash[:12]


class AuditEvent(models.Model):
    """One action, read, export, sign-in or refusal: who, what, when, why. Never changed, never deleted.

    Holds ids and codes, no names and no scores. `by` is None for what time or a patient did (`actor` then says
    which). The database lets an event be sealed once (`seal` from None to a seal) and refuses every other change.
    """

    at = models.DateTimeField(_("at"), help_text=_("What the clock of the actor's edge showed."))
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now())
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by"), null=True, related_name="+")
    actor = models.CharField(_("actor"), max_length=20, help_text=_("staff, patient, time, import or mail"))
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("object"), max_length=60)
    object_id = models.BigIntegerField(_("number"), null=True)
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    seal = models.ForeignKey(
        AuditSeal, models.PROTECT, verbose_name=_("seal"), null=True, related_name="sealed"
    )

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ("-id",)
        indexes = [
            models.Index(name="audit_of_object", fields=["object_type", "object_id"]),
            models.Index(name="audit_unsealed", fields=["id"], condition=Q(seal=None)),
            models.Index(name="audit_by_time", fields=["at"]),
        ]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            NEVER_EMPTIED,
            pgtrigger.Protect(
                name="only_sealed_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.seal_id IS NOT NULL OR NEW.seal_id IS NULL"
                    " OR (to_jsonb(OLD.*) - 'seal_id') IS DISTINCT FROM (to_jsonb(NEW.*) - 'seal_id')"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id or ''}".strip()
