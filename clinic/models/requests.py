"""Requests of other programs that can be sent again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from clinic.models.staff import User


class SentRequest(models.Model):
    """One request that `by` sent under a key of their own and that was done: what it was and how it was answered.

    The row stays, so that nothing is ever done twice. The answer, JSON of the API, goes after some days
    (clinic.services.drop_old_answers); None: gone, never kept because it held a secret, or given anew by the service.
    """

    by = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(null=True)  # noqa: DJ001  # "" is the answer without a body

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(name="sent_once", fields=["by", "key"])]
        indexes = [models.Index(name="answers_kept", fields=["at"], condition=Q(answer__isnull=False))]

    def __str__(self) -> str:
        return f"{self.by_id} {self.key}"
