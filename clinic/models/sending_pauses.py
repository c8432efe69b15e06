"""Whether anything may be sent: which database this is, how often it has sent, and why it does not now."""

from __future__ import annotations

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models.staff import User


class DatabaseIdentity(models.Model):
    """The one row that says which database this is and how often it has begun or ended a batch of messages.

    Both also stand in the outside copy (`clinic.restores.outside_copy`), which no restore of the database sets back.
    The database refuses another identity and a lower counter. `counted_at`: the sender's clock when the counter was
    last raised; None before the first time.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.UUIDField(default=uuid.uuid4, editable=False)
    counter = models.BigIntegerField(default=0)
    counted_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(name="one_database_identity", condition=Q(id=1))]
        triggers = [
            pgtrigger.Protect(
                name="only_grows",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "NEW.identity IS DISTINCT FROM OLD.identity OR NEW.counter < OLD.counter"
                ),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="never_emptied",
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                operation=pgtrigger.Truncate,
                func="RAISE EXCEPTION 'the identity of the database is never emptied';",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.identity} {self.counter}"


class SendingPause(models.Model):
    """A time in which nothing is sent: no e-mail, no text message; at most one is open.

    The first four reasons mean that this database may be a restored one; a person ends such a pause (`ended_by`), or it
    ends by itself when the outside copy is as it should be again. The last one ends by itself only. `sent_until`: what
    fell due until then may have gone out already, from the database that this one is a copy of; None when that is not
    so. `sent_from`: when this database had last sent; None if never.
    """

    class Reason(models.TextChoices):
        OTHER_IDENTITY = "other_identity", _("the outside copy belongs to another database")
        COPY_MISSING = "copy_missing", _("the outside copy is missing")
        COUNTER_BEHIND = "counter_behind", _("more was sent than this database knows of")
        COPY_UNREADABLE = "copy_unreadable", _("the outside copy makes no sense")
        COPY_UNREACHABLE = "copy_unreachable", _("the outside copy cannot be read or written")

    reason = models.CharField(_("reason"), max_length=20, choices=Reason.choices)
    began_at = models.DateTimeField(_("began"))
    sent_from = models.DateTimeField(null=True)
    sent_until = models.DateTimeField(null=True)
    counter = models.BigIntegerField(help_text="The database's, when it was noticed.")
    outside_counter = models.BigIntegerField(
        null=True, help_text="The outside copy's; empty where none was read."
    )
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("ended by"), null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("pause of sending")
        verbose_name_plural = _("pauses of sending")
        default_permissions = ("view",)
        permissions = [
            ("decide_sending", "Can say what goes out after a restore, and end a pause of sending")
        ]
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                name="one_open_sending_pause",
                fields=["ended_at"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return self.get_reason_display()

    @property
    def wants_decision(self) -> bool:
        """Whether a person has to say what goes out; else it ends by itself."""
        return self.reason != self.Reason.COPY_UNREACHABLE
