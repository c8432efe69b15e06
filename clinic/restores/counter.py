"""The counter of batches, in the database and outside of it, and the look at whether the two fit.

Each raise is two steps. First the database's counter is raised and committed, then the outside copy is written, each
under the lock of the identity's row: so the copy is never ahead of what is committed, whatever is killed, and of two
senders none writes an older number over a newer one. The counter is raised before the first message of a batch leaves
and once more after the last: a dump that was taken in between knows the number before, and so is told as well.
"""

import logging
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max

from clinic import audit
from clinic.models import DatabaseIdentity, OutgoingEmail, OutgoingText, SendingPause
from clinic.restores import outside_copy

logger = logging.getLogger(__name__)
Reason = SendingPause.Reason


class Run:
    """One run of a sender, as far as the counter goes. `counts` False: for what delivers nothing.

    `doubtful_until`: what fell due until then may have gone out before a restore and is not sent before a person has
    said so; None when there is no such time.
    """

    def __init__(self, *, now: datetime, counts: bool = True) -> None:
        self.now, self.counts = now, counts
        self.raised = False
        self.doubtful_until: datetime | None = None

    def may_begin(self) -> bool:
        """Whether anything may be sent at all. What speaks against it is noticed and kept as a SendingPause."""
        if not self.counts:
            return True
        well = look(now=self.now)
        self.doubtful_until = doubtful_until()
        return well

    def may_send_batch(self) -> bool:
        """Count the batch that is about to leave; False: it must not leave."""
        if not self.counts:
            return True
        self.raised = raise_counter(now=self.now)
        return self.raised

    def end(self) -> None:
        """Count that the last batch is over."""
        if self.raised:
            raise_counter(now=self.now)


def why_paused() -> SendingPause | None:
    """Why nothing is sent; None when everything may. One query, for pages, API and health.

    Senders find it out, once a minute at least: so all machines see the same, also those without the outside copy.
    """
    return SendingPause.objects.filter(ended_at=None).first()


def doubtful_until() -> datetime | None:
    """What fell due until then and still waits may have gone out before a restore; None when there was none."""
    until: datetime | None = SendingPause.objects.aggregate(until=Max("sent_until"))["until"]
    return until


def lock_identity() -> DatabaseIdentity:
    """The database's identity, locked; made where there is none. Wants a transaction.

    A database that has sent without counting (before it could, or before somebody removed the row) begins at 1: it may
    be a restored one, and without an outside copy nobody could tell.
    """
    rows = DatabaseIdentity.objects.select_for_update()
    row = rows.first()
    if row is None:
        sent = any(model.objects.filter(status="sent").exists() for model in (OutgoingEmail, OutgoingText))
        DatabaseIdentity.objects.bulk_create([DatabaseIdentity(counter=int(sent))], ignore_conflicts=True)
        row = rows.get()
    return row


@transaction.atomic
def look(*, now: datetime) -> bool:
    """Whether database and outside copy fit. Ends or begins a pause as it finds them."""
    return fits(lock_identity(), now=now)


def raise_counter(*, now: datetime) -> bool:
    """Raise the counter here and outside; False when that cannot or must not be, and nothing may leave."""
    with transaction.atomic():
        with connection.cursor() as cursor:  # what is written outside must not be lost here
            cursor.execute("SET LOCAL synchronous_commit = on")
        row = lock_identity()
        if not fits(row, now=now):
            return False
        row.counter += 1
        row.counted_at = max(now, row.counted_at or now)
        row.save(update_fields=["counter", "counted_at"])
    with transaction.atomic():
        row = lock_identity()
        return fits(row, now=now, write=True)


def fits(row: DatabaseIdentity, *, now: datetime, write: bool = False) -> bool:
    """See `look`; `row` is locked. `write`: bring the outside copy up to the row."""
    copy, reason = read_and_compare(row)
    try:
        if not reason and row.counter == 0:
            # The first sender of a new database. From 1 on a missing copy means that this is not its place.
            if copy is None:
                outside_copy.write(outside_copy.OutsideCopy(row.identity, 0, None))
            row.counter = 1
            row.save(update_fields=["counter"])
        if not reason and write:
            outside_copy.write(outside_copy.OutsideCopy(row.identity, row.counter, row.counted_at))
    except OSError as exc:
        logger.error("the copy outside of the database cannot be written: %s", type(exc).__name__)
        reason = Reason.COPY_UNREACHABLE
    if reason:
        notice(reason, row, copy, now=now)
    else:
        end_by_itself(now=now)
    return not reason


def read_and_compare(row: DatabaseIdentity) -> tuple[outside_copy.OutsideCopy | None, str]:
    """The outside copy, where it could be read, and what is wrong with it, as a SendingPause.Reason; "" for nothing."""
    try:
        copy = outside_copy.read_copy()
    except outside_copy.UnreadableCopy:
        return None, Reason.COPY_UNREADABLE
    except OSError as exc:
        logger.error("the copy outside of the database cannot be read: %s", type(exc).__name__)
        return None, Reason.COPY_UNREACHABLE
    if copy is None:
        return None, Reason.COPY_MISSING if row.counter else ""
    if copy.identity != row.identity:
        return copy, Reason.OTHER_IDENTITY
    return copy, Reason.COUNTER_BEHIND if row.counter < copy.counter else ""


def notice(
    reason: str, row: DatabaseIdentity, copy: outside_copy.OutsideCopy | None, *, now: datetime
) -> None:
    """Begin a pause, unless it is on. One that wants a decision is not forgotten over one that ends by itself."""
    pause = why_paused()
    if pause and (reason in (pause.reason, Reason.COPY_UNREACHABLE)):
        logger.warning("nothing is sent: %s", pause.reason)
        return
    if pause:
        pause.ended_at = now
        pause.save(update_fields=["ended_at"])
    until = None if reason == Reason.COPY_UNREACHABLE else now
    if copy and reason == Reason.COUNTER_BEHIND:
        until = copy.at or now  # with the last batch that was counted
    pause = SendingPause.objects.create(
        reason=reason,
        began_at=now,
        sent_from=row.counted_at,
        sent_until=until,
        counter=row.counter,
        outside_counter=copy.counter if copy else None,
    )
    audit.record("sending.paused", pause, by=None, at=now, reason=reason)
    logger.error("nothing is sent from now on: %s", reason)


def end_by_itself(*, now: datetime) -> None:
    """The outside copy is as it should be: nothing was set back, and nothing is doubtful."""
    pause = why_paused()
    if pause:
        pause.ended_at, pause.sent_until = now, None
        pause.save(update_fields=["ended_at", "sent_until"])
        audit.record("sending.resumed", pause, by=None, at=now, reason=pause.reason)
        logger.warning("sending goes on: the outside copy is as it should be")
