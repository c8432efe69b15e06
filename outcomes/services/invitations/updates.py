"""What becomes of the due check-ins of some patients, written down in a handful of statements."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from clinic.models import OutgoingEmail
from clinic.outbox import queue_all
from outcomes.models import CheckIn, ContactAttempt
from outcomes.schedule import reminder_schedule
from patients.models import Reader

#: Nobody is to be telephoned either.
NO_CALL = frozenset({"deceased", "merged", "opted_out"})

Kind, Outcome = ContactAttempt.Kind, ContactAttempt.Outcome

#: What asking changes of a check-in.
CHANGED = ("status", "invited_at", "not_sent_reason", "hold_until", "reminders", "remind_at", "call_at")
#: By hand: `bulk_update` writes a CASE for each column and row, which took two thirds of the time of asking.
UPDATE_CHECK_INS = """
    UPDATE outcomes_checkin AS check_in
       SET status = new.status, invited_at = new.invited_at, not_sent_reason = new.not_sent_reason,
           hold_until = new.hold_until, reminders = new.reminders, remind_at = new.remind_at, call_at = new.call_at
      FROM unnest(%(id)s::bigint[], %(status)s::varchar[], %(invited_at)s::timestamptz[],
                  %(not_sent_reason)s::varchar[], %(hold_until)s::timestamptz[], %(reminders)s::smallint[],
                  %(remind_at)s::timestamptz[], %(call_at)s::timestamptz[])
           AS new (id, status, invited_at, not_sent_reason, hold_until, reminders, remind_at, call_at)
     WHERE check_in.id = new.id
"""


@dataclass
class CheckInUpdates:
    """What becomes of the due check-ins of some patients; written down in a handful of statements by `write`."""

    now: datetime
    tally: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    emails: list[OutgoingEmail] = field(default_factory=list)
    attempts: list[ContactAttempt] = field(default_factory=list)
    changed: list[CheckIn] = field(default_factory=list)

    def record_not_sent(self, check_in: CheckIn, reason: str, *, kind: str = Kind.INVITATION) -> None:
        """Keep why nothing was sent."""
        self.attempts.append(
            ContactAttempt(check_in=check_in, kind=kind, outcome=Outcome.SKIPPED, at=self.now, reason=reason)
        )
        self.changed.append(check_in)

    def queue_email(
        self,
        check_ins: Sequence[CheckIn],
        reader: Reader,
        *,
        kind: str,
        key: str,
        number: int,
        due_at: datetime | None = None,
    ) -> None:
        """Put one e-mail about these check-ins into the outbox. `number`: 0 the invitation, then the reminders.

        `due_at`: when the first of them fell due; None for just now.
        """
        email = OutgoingEmail(
            key=key,
            template="outcomes.emails.invitation",
            context={"check_in_ids": [check_in.pk for check_in in check_ins], "reminder": number},
            to=reader.email,
            site=check_ins[0].follow_up.procedure.site,
            created_at=self.now,
            not_before=self.now,
            due_at=due_at or self.now,
        )
        self.emails.append(email)
        self.attempts += [
            ContactAttempt(check_in=check_in, kind=kind, outcome=Outcome.QUEUED, at=self.now, email=email)
            for check_in in check_ins
        ]
        self.changed += check_ins

    def write(self) -> None:
        """Save everything, in the caller's transaction."""
        queued = {email.key: email for email in queue_all(self.emails)}
        for attempt in self.attempts:
            if attempt.email is not None:
                attempt.email = queued[attempt.email.key]
        ContactAttempt.objects.bulk_create(self.attempts)
        changed = list({check_in.pk: check_in for check_in in self.changed}.values())
        with connection.cursor() as cursor:
            cursor.execute(
                UPDATE_CHECK_INS,
                {"id": [check_in.pk for check_in in changed]}
                | {column: [getattr(check_in, column) for check_in in changed] for column in CHANGED},
            )


def reminder_times(check_in: CheckIn, asked_at: datetime) -> tuple[datetime, ...]:
    """When to remind of a check-in that was asked at `asked_at`, and in the end to telephone."""
    confirmation = check_in.kind == CheckIn.Kind.CONFIRMATION
    return reminder_schedule(asked_at, check_in.closes_at, confirmation=confirmation)


def invitation_key(check_in: CheckIn) -> str:
    """The outbox key of the invitation that a check-in is the first of: it is never invited twice."""
    return f"check-in {check_in.pk} invitation"


def reminder_key(check_in: CheckIn, number: int) -> str:
    """The outbox key of a reminder."""
    return f"check-in {check_in.pk} reminder {number}"
