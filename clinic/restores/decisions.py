"""What a person decides after a restore: which messages go out once more, which went out already, and that sending
goes on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from clinic import audit
from clinic.models import OutgoingEmail, OutgoingText, SendingPause, User
from clinic.refusals import Refusal
from clinic.restores import counter, outside_copy

#: In the problem of a message that a person marked as sent.
MARKED = "marked_as_sent"
WAITING = ("queued", "sending")

#: A row of one of the two outboxes.
Row = TypeVar("Row", OutgoingEmail, OutgoingText)


@dataclass(frozen=True)
class ChosenMessages:
    """Rows of the two outboxes, by number."""

    emails: Collection[int] = ()
    texts: Collection[int] = ()


def doubtful(model: type[Row]) -> QuerySet[Row]:
    """What waits and probably went out before a restore: it fell due in the time that the database does not know of.

    The longest due first, with `fell_due`.
    """
    until = counter.doubtful_until()
    rows = model._default_manager.alias(when=Coalesce("due_at", "not_before", "created_at"))
    rows = rows.annotate(fell_due=Coalesce("due_at", "not_before", "created_at")).order_by("fell_due", "pk")
    return rows.filter(status__in=WAITING, when__lte=until) if until else rows.none()


def to_go(model: type[Row], *, now: datetime) -> QuerySet[Row]:
    """What goes out as soon as sending goes on: due by now, and not before the restore."""
    until = counter.doubtful_until()
    when = Coalesce("not_before", "created_at")
    rows = model._default_manager.annotate(fell_due=Coalesce("due_at", "not_before", "created_at"), at=when)
    rows = rows.filter(status__in=WAITING, at__lte=now).order_by("fell_due", "pk")
    return rows.filter(fell_due__gt=until) if until else rows


@transaction.atomic
def send_again(chosen: ChosenMessages, *, by: User, now: datetime) -> int:
    """Let these go out although they probably did already; how many. Those that are not doubtful are left as they are.

    They go when sending goes on, each after the usual last look.
    """
    return change(OutgoingEmail, chosen.emails, sent=False, by=by, now=now) + change(
        OutgoingText, chosen.texts, sent=False, by=by, now=now
    )


@transaction.atomic
def mark_as_sent(chosen: ChosenMessages, *, by: User, now: datetime) -> int:
    """Let these not go out, because they did already; how many. Those that do not wait are left as they are.

    What follows a sent message follows: its reminder, and in the end a call. Its problem is MARKED.
    """
    return change(OutgoingEmail, chosen.emails, sent=True, by=by, now=now) + change(
        OutgoingText, chosen.texts, sent=True, by=by, now=now
    )


def change(model: type[Row], numbers: Collection[int], *, sent: bool, by: User, now: datetime) -> int:
    """One outbox's part of the two above."""
    rows = model._default_manager.filter(status__in=WAITING) if sent else doubtful(model)
    found = list(
        model._default_manager.select_for_update(of=("self",))
        .select_related("site")
        .filter(pk__in=rows.filter(pk__in=numbers).values("pk"))
        .order_by("pk")
    )
    for row in found:
        if sent:
            row.status, row.sent_at, row.problem = "sent", now, MARKED
        else:
            row.status, row.due_at, row.not_before, row.problem, row.attempts = "queued", now, now, "", 0
        row.save(update_fields=["status", "sent_at", "due_at", "not_before", "problem", "attempts"])
        kind = "email" if isinstance(row, OutgoingEmail) else "text"
        audit.record(
            f"{kind}.{MARKED if sent else 'sent_again'}", row, by=by, at=now, site=row.site, reason="restore"
        )
    return len(found)


@transaction.atomic
def go_on(*, by: User, now: datetime) -> SendingPause:
    """Make the database's counter and the outside copy equal again, and let sending go on.

    What is doubtful and nobody has decided about stays where it is. Refusals: "not_paused"; "copy_unreachable" when the
    copy cannot be written from here, as when this machine does not share its folder.
    """
    row = counter.lock_identity()
    pause = counter.why_paused()
    if pause is None:
        raise Refusal(_("Sending is not paused."), code="not_paused")
    if not pause.wants_decision:
        raise Refusal(
            _("Sending goes on by itself as soon as the outside copy can be written."),
            code="copy_unreachable",
        )
    try:
        copy = outside_copy.read_copy()
    except (outside_copy.UnreadableCopy, OSError):
        copy = None
    row.counter = max(row.counter, copy.counter if copy else 0) + 1
    row.counted_at = max(now, row.counted_at or now)
    try:
        outside_copy.write(outside_copy.OutsideCopy(row.identity, row.counter, row.counted_at))
    except OSError as exc:
        raise Refusal(
            _("The outside copy cannot be written from here: look at the folder SENDING_COPY_DIR."),
            code="copy_unreachable",
        ) from exc
    row.save(update_fields=["counter", "counted_at"])
    pause.ended_at, pause.ended_by = now, by
    pause.save(update_fields=["ended_at", "ended_by"])
    audit.record("sending.resumed", pause, by=by, at=now, reason=pause.reason)
    return pause
