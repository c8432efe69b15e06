"""What goes out, e-mails and texts, and what was said about it. Instants in UTC."""

from __future__ import annotations

import secrets

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.models.sites import Site


def message_id() -> str:
    """A Message-ID's unguessable left part; kept with the row, so that a second attempt carries the same."""
    return secrets.token_hex(16)


class OutgoingEmail(models.Model):
    """The outbox: one row, one e-mail, once. Its status is the retry.

    `key` names the reason it is sent ("check-in 17 invitation"): the same reason never makes two. What it says is
    rendered when it is sent, from `template` (a dotted path to a function) and `context` (ids only), so a row holds
    nothing about anybody's health.

    `due_at`: since when there is reason to send it; a wait for the morning or another try does not move it. By it is
    told after a restore what had gone out already (`clinic.restores`). None in rows of before: `not_before` stands in.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")

    key = models.CharField(_("key"), max_length=120, unique=True)
    template = models.CharField(_("template"), max_length=120)
    context = models.JSONField(_("context"), default=dict)
    to = models.EmailField(_("to"))
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"))
    not_before = models.DateTimeField(_("not before"))
    due_at = models.DateTimeField(_("fell due"), null=True, editable=False)
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    message_id = models.CharField(max_length=32, default=message_id, editable=False)
    provider_id = models.CharField(
        max_length=200, blank=True, editable=False, help_text="What a mail service calls it; empty for SMTP."
    )
    problem = models.CharField(
        _("problem"), max_length=100, blank=True, help_text=_("Why it was skipped, or what went wrong last.")
    )

    class Meta:
        verbose_name = _("outgoing e-mail")
        verbose_name_plural = _("outgoing e-mails")
        ordering = ("-id",)
        indexes = [
            models.Index(
                name="outbox_due", fields=["not_before", "id"], condition=Q(status__in=["queued", "sending"])
            ),
            models.Index(
                name="outbox_unsent", fields=["created_at"], condition=Q(status__in=["failed", "skipped"])
            ),
            models.Index(name="outbox_by_message", fields=["message_id"]),
            models.Index(name="outbox_by_provider_id", fields=["provider_id"], condition=~Q(provider_id="")),
        ]
        constraints = [
            models.CheckConstraint(
                name="sent_email_has_its_time", condition=~Q(status="sent") | Q(sent_at__isnull=False)
            ),
            models.CheckConstraint(
                name="sending_email_is_claimed", condition=~Q(status="sending") | Q(claimed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class DeliveryReport(models.Model):
    """What was said about an e-mail after, or instead of, taking it: the first report of each kind.

    `at` is when the service heard of it. `reason` is anymail's code ("bounced", "invalid", "spam" …) or an SMTP
    reply's number; "" where none was given. What a mail server wrote is kept nowhere: it may quote the address.
    """

    class Kind(models.TextChoices):
        DELIVERED = "delivered", _("delivered")
        DELAYED = "delayed", _("not delivered yet")
        BOUNCED = "bounced", _("came back: the address does not exist")
        REFUSED = "refused", _("came back for another reason")
        COMPLAINED = "complained", _("marked as spam")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed at the mail service")

    email = models.ForeignKey(OutgoingEmail, models.CASCADE, verbose_name=_("e-mail"), related_name="reports")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("delivery report")
        verbose_name_plural = _("delivery reports")
        ordering = ("id",)
        constraints = [models.UniqueConstraint(name="report_once_a_kind", fields=["email", "kind"])]

    def __str__(self) -> str:
        return self.kind


class OutgoingText(models.Model):
    """The outbox of text messages: one row, one text, once. Its status is the retry.

    What it says, and the number, are found when it is sent. `key` names the reason it is sent ("check-in 17 text"): the
    same reason never makes two.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")

    key = models.CharField(_("key"), max_length=120, unique=True)
    template = models.CharField(_("template"), max_length=120)
    context = models.JSONField(_("context"), default=dict)
    site = models.ForeignKey(Site, models.PROTECT, verbose_name=_("site"), related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"))
    not_before = models.DateTimeField(_("not before"), null=True)  # None: at once
    due_at = models.DateTimeField(_("fell due"), null=True, editable=False)
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    sent_at = models.DateTimeField(_("sent"), null=True)
    provider_id = models.CharField(max_length=200, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("outgoing text message")
        verbose_name_plural = _("outgoing text messages")
        ordering = ("-id",)
        indexes = [
            models.Index(name="texts_due", fields=["id"], condition=Q(status__in=["queued", "sending"]))
        ]
        constraints = [
            models.CheckConstraint(
                name="sent_text_has_its_time", condition=~Q(status="sent") | Q(sent_at__isnull=False)
            ),
            models.CheckConstraint(
                name="sending_text_is_claimed", condition=~Q(status="sending") | Q(claimed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key
