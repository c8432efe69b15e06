"""The audit trail: one append-only, sealed log of actions, reads, exports, sign-ins and refusals.

Events are written in the transaction of what they tell of. Once a minute the tick seals the new ones: each seal is a
hash over its events and the seal before it, so that no sealed event can be altered, dropped or slipped in unnoticed.
(A hash in every event would make all writers of the clinic wait for each other; docs/decisions/0004.)
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, models, transaction
from django.http import HttpRequest
from pghistory.middleware import HistoryMiddleware as PghistoryMiddleware

from clinic.models import AuditEvent, AuditSeal, Site, User

#: Advisory lock that lets one sealer work at a time. Any number, used nowhere else.
SEALING = 7_461_001
#: How many events one seal covers at most, so that sealing never holds much memory.
BATCH = 5_000
#: An event unsealed for longer than this means that the tick is not running.
SEALED_WITHIN = timedelta(minutes=10)


def record(
    action: str,
    obj: models.Model | None,
    *,
    by: User | None,
    at: datetime,
    site: Site | None = None,
    reason: str = "",
    actor: str = "",
) -> None:
    """Write down that `by` did `action` ("appointment.booked") to `obj` at the instant `at`.

    `by` None: `actor` says who it was, "patient", "time", "import", "mail". Names, scores and diagnoses do not belong
    into `reason`; what changed in a row is in that row's history.
    """
    context = structlog.contextvars.get_contextvars()
    AuditEvent.objects.create(
        at=at,
        by=by,
        actor=actor or ("staff" if by else "time"),
        action=action,
        object_type=obj._meta.label_lower if obj else "",
        object_id=obj.pk if obj else None,
        site=site,
        reason=" ".join(reason.split())[:500],
        request_id=str(context.get("request_id", ""))[:64],
    )


def seal(*, now: datetime) -> int:
    """Seal what is not sealed yet, oldest first; the number of events sealed. Two sealers never meet."""
    sealed = 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALING])
                row = cursor.fetchone()
            if row is None or not row[0]:
                return sealed
            events = list(AuditEvent.objects.filter(seal=None).order_by("id")[:BATCH])
            if not events:
                return sealed
            last = AuditSeal.objects.order_by("id").last()
            previous = last.hash if last else ""
            link = AuditSeal.objects.create(
                at=now, events=len(events), previous_hash=previous, hash=digest(previous, events)
            )
            AuditEvent.objects.filter(pk__in=[event.pk for event in events]).update(seal=link)
            sealed += len(events)


def digest(previous: str, events: Iterable[AuditEvent]) -> str:
    """SHA-256, in hex, over the seal before ("" for the first) and the events in order of their numbers."""
    running = hashlib.sha256(previous.encode())
    for event in events:
        fields = [
            event.pk,
            event.at.isoformat(),
            event.recorded_at.isoformat(),
            event.by_id,
            event.actor,
            event.action,
            event.object_type,
            event.object_id,
            event.site_id,
            event.reason,
            event.request_id,
        ]
        running.update(json.dumps(fields, separators=(",", ":")).encode())
    return running.hexdigest()


def verify(*, now: datetime) -> list[str]:
    """What is wrong with the trail, a sentence each; an empty list when every seal holds and nothing waits unsealed."""
    faults = []
    previous = ""
    for link in AuditSeal.objects.order_by("id").iterator():
        events = list(AuditEvent.objects.filter(seal=link).order_by("id"))
        if link.previous_hash != previous:
            faults.append(
                f"Seal {link.pk} does not follow the one before it: a seal is missing or was replaced."
            )
        if len(events) != link.events or digest(link.previous_hash, events) != link.hash:
            faults.append(f"The events under seal {link.pk} are not those that were sealed.")
        previous = link.hash
    waiting = AuditEvent.objects.filter(seal=None, recorded_at__lt=now - SEALED_WITHIN).count()
    if waiting:
        faults.append(f"{waiting} events wait for a seal: is the tick running?")
    return faults


class HistoryMiddleware(PghistoryMiddleware):
    """Puts the user and the request's id beside every changed row; never a URL, which may hold a token."""

    def get_context(self, request: HttpRequest) -> dict[str, Any]:
        return behind(request)


def behind(request: HttpRequest) -> dict[str, Any]:
    """What is put beside every row that the request changes."""
    context = structlog.contextvars.get_contextvars()
    user = getattr(request, "user", None)
    return {"user": user.pk if user else None, "request": str(context.get("request_id", ""))}
