"""What was not sent and why, counted: whoever wonders why few answer sees here what kept the questions back."""

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count

from clinic.models import OutgoingEmail, OutgoingText, Site
from outcomes.models import ContactAttempt

Kind, Outcome = ContactAttempt.Kind, ContactAttempt.Outcome


class NotSent(NamedTuple):
    """How often one reason, by its code, kept something back.

    `invitations` and `reminders` were never put into the outbox, counted by check-in; `at_last` were, by e-mail, and
    held back when their turn came; `texts` too.
    """

    reason: str
    invitations: int
    reminders: int
    at_last: int
    texts: int


def not_sent(sites: Collection[Site], *, since: datetime) -> list[NotSent]:
    """What these sites have not sent since the instant `since`, the most frequent reason first. Three queries."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    skipped = (
        ContactAttempt.objects.filter(
            outcome=Outcome.SKIPPED, at__gte=since, check_in__follow_up__procedure__site__in=sites
        )
        .order_by()
        .values_list("reason", "kind")
        .annotate(Count("pk"))
    )
    for reason, kind, count in skipped:
        counts[reason][kind] += count
    emails = OutgoingEmail.objects.filter(
        status=OutgoingEmail.Status.SKIPPED,
        template="outcomes.emails.invitation",
        created_at__gte=since,
        site__in=sites,
    )
    texts = OutgoingText.objects.filter(
        status=OutgoingText.Status.SKIPPED, created_at__gte=since, site__in=sites
    )
    for name, rows in (("at_last", emails), ("texts", texts)):
        for reason, count in rows.order_by().values_list("problem").annotate(Count("pk")):
            counts[reason][name] += count
    found = [
        NotSent(reason, count[Kind.INVITATION], count[Kind.REMINDER], count["at_last"], count["texts"])
        for reason, count in counts.items()
    ]
    return sorted(found, key=lambda count: (-sum(count[1:]), count.reason))
