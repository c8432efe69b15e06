"""Tables that somebody asked for: taken down, made piece by piece, and deleted after some days."""

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from outcomes.exports import TABLES, Shielding, Writer
from outcomes.exports.columns import MARK, lines
from outcomes.exports.rare_groups import recognisable
from outcomes.models import Export, ExportPart
from outcomes.reports import Selection

#: What staff must hold.
EXPORT = "outcomes.export_outcomes"
#: How long a file is kept (a choice; unconfirmed).
KEPT = timedelta(days=7)
#: A worker that has written nothing for so long is dead, and another begins anew.
ABANDONED = timedelta(minutes=10)
#: After so many dead workers an export is given up.
MOST_CLAIMS = 3
#: Exports of fewer rows are made while one waits.
SMALL = 2_000
#: As small as the highest level makes it, but for a thirtieth, in a third of the time.
GZIP = 6
#: Exports of one user that wait or are being made.
MOST_AT_ONCE = 5


def request_export(kind: str, selection: Selection, *, deidentified: bool, by: User, now: datetime) -> Export:
    """Take down that `by` wants a table. A small one is made at once; others wait for the next tick.

    Raises PermissionDenied without the permission "outcomes.export_outcomes"; Refusal "unknown_table" (field "kind"),
    "too_many" with MOST_AT_ONCE unfinished ones, and as `Selection.check` does.
    """
    if not by.has_perm(EXPORT):
        raise PermissionDenied
    if kind not in TABLES:
        raise Refusal("There is no such table.", code="unknown_table", field="kind")
    selection.check(by)
    unfinished = Q(status__in=[Export.Status.QUEUED, Export.Status.RUNNING])
    with transaction.atomic():
        # Two clicks of one person wait for each other here, so that neither slips past the limit.
        User.objects.select_for_update(no_key=True).only("pk").get(pk=by.pk)
        if Export.objects.filter(unfinished, requested_by=by).count() >= MOST_AT_ONCE:
            raise Refusal(
                f"Wait until one of your {MOST_AT_ONCE} exports is ready.", code="too_many", field="kind"
            )
        export = Export.objects.create(
            kind=kind,
            selection=selection.query(),
            deidentified=deidentified,
            requested_by=by,
            requested_at=now,
            rows_total=TABLES[kind].rows(selection, by).count(),
            expires_at=now + KEPT,
        )
        audit.record("export.requested", export, by=by, at=now, reason=export_text(export))
    if export.rows_total <= SMALL:
        make_export(export.pk, now=now)
    export.refresh_from_db()
    return export


def export_text(export: Export) -> str:
    """What the trail says of an export: its table and size, no patient's data and no selection."""
    manner = "de-identified" if export.deidentified else "identified"
    return f"{export.kind}, {manner}, {export.rows_done or export.rows_total} rows"


def make_exports(*, now: datetime, limit: int = 10) -> int:
    """Make what waits, and what dead workers have left; how many. Two workers never make the same one."""
    waiting = Export.objects.filter(
        Q(status=Export.Status.QUEUED) | Q(status=Export.Status.RUNNING, claimed_at__lt=Now() - ABANDONED)
    )
    found = list(waiting.order_by("pk").values_list("pk", flat=True)[:limit])
    return sum(make_export(pk, now=now) for pk in found)


def make_export(export_id: int, *, now: datetime) -> bool:
    """Make one export from its beginning; whether this call made it. The pieces are there as they are written.

    It holds what its owner may see now, not what they might see when they asked. Who may not export any more, or has
    left, gets nothing: problem "not_allowed". After MOST_CLAIMS workers that died it fails as "abandoned".
    """
    export = claim(export_id, now=now)
    if export is None:
        return False
    owner = export.requested_by
    if not owner.is_active or not owner.has_perm(EXPORT):
        return finish(export, "not_allowed", now=now)
    try:
        selection = Selection.from_query(export.selection)
        selection.check(owner)
    except Refusal:
        return finish(export, "not_allowed", now=now)
    for number, (text, rows, suppressed) in enumerate(pieces(export, selection)):
        with transaction.atomic():
            held = Export.objects.filter(
                pk=export.pk, status=Export.Status.RUNNING, claims=export.claims
            ).update(
                claimed_at=Now(),
                rows_done=export.rows_done + rows,
                rows_suppressed=export.rows_suppressed + suppressed,
            )
            if not held:
                return False  # it took so long that another worker began anew
            ExportPart.objects.create(export=export, number=number, data=gzip.compress(text.encode(), GZIP))
        export.rows_done += rows
        export.rows_suppressed += suppressed
    return finish(export, "", now=now)


@transaction.atomic
def claim(export_id: int, *, now: datetime) -> Export | None:
    """Take the right to make an export, with nothing of it written yet; None when another has it or it is made."""
    export = (
        Export.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(
            Q(status=Export.Status.QUEUED)
            | Q(status=Export.Status.RUNNING, claimed_at__lt=Now() - ABANDONED),
            pk=export_id,
        )
        .select_related("requested_by")
        .first()
    )
    if export is None:
        return None
    if export.claims >= MOST_CLAIMS:
        finish(export, "abandoned", now=now)
        return None
    export.parts.all().delete()
    export.status, export.claims = Export.Status.RUNNING, export.claims + 1
    export.rows_done = export.rows_suppressed = 0
    export.save()
    # By the database's clock, as it is judged by: `now` stands still while a long export is made.
    Export.objects.filter(pk=export.pk).update(claimed_at=Now())
    return export


@transaction.atomic
def finish(export: Export, problem: str, *, now: datetime) -> bool:
    """Mark an export as ready, or as failed with nothing kept of it; whether it is ready."""
    export.status = Export.Status.FAILED if problem else Export.Status.DONE
    export.problem, export.done_at = problem, None if problem else now
    export.save()
    if problem:
        export.parts.all().delete()
    audit.record(
        "export.failed" if problem else "export.made",
        export,
        by=None,
        at=now,
        reason=problem or export_text(export),
    )
    return not problem


def pieces(export: Export, selection: Selection) -> Iterator[tuple[str, int, int]]:
    """The file in pieces: text, how many rows it has, and how many were left out. The first holds the header."""
    table, owner = TABLES[export.kind], export.requested_by
    yield MARK + lines([[column.name for column in table.columns()]]), 0, 0
    rare, common = recognisable(selection, owner) if export.deidentified else (set(), {})
    writer = Writer(table, Shielding(secret_of(export), common) if export.deidentified else None)
    for batch in table.batches(selection, owner, writer.lookups):
        kept = [row for row in batch if not writer.left_out(row, rare)] if export.deidentified else batch
        yield lines(map(writer.cells, kept)), len(kept), len(batch) - len(kept)


def secret_of(export: Export) -> bytes:
    """What the codes and the moved days of a de-identified file follow from.

    The same for all tables of one selection that one person asks for, so that their rows can be put together.
    """
    whose = f"{export.requested_by_id}:{sorted(export.selection.items())}"
    return salted_hmac("outcomes.exports", whose, algorithm="sha256").digest()


def download(export: Export, *, by: User, now: datetime) -> Iterator[bytes]:
    """The file's bytes, piece by piece; that `by` took it is written down.

    Raises PermissionDenied for who may not export, or asked for none of it; Refusal "not_ready", "expired".
    """
    if not by.has_perm(EXPORT) or not Export.objects.visible_to(by).filter(pk=export.pk).exists():
        raise PermissionDenied
    if export.status == Export.Status.EXPIRED or export.expires_at <= now:
        raise Refusal("This export is not kept any more. Ask for it again.", code="expired")
    if export.status != Export.Status.DONE:
        raise Refusal("This export is not ready.", code="not_ready")
    audit.record("export.downloaded", export, by=by, at=now, reason=export_text(export))
    numbers = list(export.parts.order_by("number").values_list("number", flat=True))

    def read() -> Iterator[bytes]:
        for number in numbers:
            yield gzip.decompress(export.parts.get(number=number).data)

    return read()


def expire_exports(*, now: datetime, limit: int = 100) -> int:
    """Delete the files that were kept long enough; how many. Who asked for what, and when, stays."""
    old = Export.objects.filter(status=Export.Status.DONE, expires_at__lte=now).order_by("pk")
    expired = 0
    for pk in list(old.values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            ExportPart.objects.filter(export=pk).delete()
            expired += Export.objects.filter(pk=pk, status=Export.Status.DONE).update(
                status=Export.Status.EXPIRED
            )
    return expired
