"""Which appointments have lost what they hold: its resource is out of use, closed, or does not work then any more.

The mark is a column, written whenever what decides about it changes, so that lists and the first page only read it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from clinic.models import Closure, Resource, Site, WorkingHours
from procedures.bookable_times import Span, covered, days_touched, open_spans
from procedures.models import Appointment, Reservation

Why = Appointment.Displaced
#: So far ahead the tick looks once more, whatever has changed how: in the database, or by a release.
SOON = timedelta(days=14)


@transaction.atomic
def mark_displaced(
    *,
    site: Site | None = None,
    resource: Resource | None = None,
    before: datetime | None = None,
    now: datetime,
) -> list[Appointment]:
    """Write anew why each appointment to come is displaced; returns those that were not until now, in order of time.

    Of one `site`, of what holds one `resource`, or of all when both are None; those that start before `before`, None:
    however far ahead. Three queries, and one for each reason that changed.

    What somebody else is changing just now is left to the next look: whoever closes has locked the resources, and
    whoever books has locked the appointment and waits for them.
    """
    rows = Appointment.objects.filter(
        status__in=(Appointment.Status.HELD, *Appointment.EXPECTED), starts_at__gt=now
    ).select_related("site")
    if before:
        rows = rows.filter(starts_at__lt=before)
    if site:
        rows = rows.filter(site=site.pk)
    if resource:
        holding = Reservation.objects.filter(
            appointment=OuterRef("pk"), resource=resource.pk, released_at=None
        )
        rows = rows.filter(Exists(holding))
    rows = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
    found = list(rows.order_by("starts_at", "pk"))
    why = reasons(found)
    changed: defaultdict[str, list[int]] = defaultdict(list)
    lost = []
    for row in found:
        reason = why.get(row.pk, Why.NOT)
        if reason != row.displaced_reason:
            changed[reason].append(row.pk)
            if not row.displaced_reason:
                lost.append(row)
            row.displaced_reason = reason
    for reason, numbers in changed.items():
        Appointment.objects.filter(pk__in=numbers).update(displaced_reason=reason)
    return lost


def mark_displaced_soon(*, now: datetime) -> int:
    """The same of what starts within SOON, and on the hour of all; how many were not marked until now. The tick runs
    it."""
    return len(mark_displaced(before=now + SOON if now.minute else None, now=now))


def reasons(rows: Sequence[Appointment]) -> dict[int, str]:
    """Why each of these appointments, with their sites, is displaced, by number; those that are not are missing."""
    if not rows:
        return {}
    held: defaultdict[int, list[Reservation]] = defaultdict(list)
    numbers = [row.pk for row in rows]
    for reservation in Reservation.objects.filter(appointment__in=numbers, released_at=None).select_related(
        "resource"
    ):
        held[reservation.appointment_id].append(reservation)
    every = [reservation for some in held.values() for reservation in some]
    resources = {reservation.resource_id for reservation in every}
    sites = {row.site_id for row in rows}
    first = min([row.starts_at for row in rows] + [reservation.starts_at for reservation in every])
    last = max([row.ends_at for row in rows] + [reservation.ends_at for reservation in every])
    closures: defaultdict[tuple[str, int], list[Closure]] = defaultdict(list)
    for closure in Closure.objects.filter(
        Q(site__in=sites) | Q(resource__in=resources), starts_at__lt=last, ends_at__gt=first
    ):
        of = ("site", closure.site_id) if closure.site_id else ("resource", closure.resource_id)
        closures[of].append(closure)  # type: ignore[index]  # one of the two, by constraint
    hours: defaultdict[tuple[int, int], list[WorkingHours]] = defaultdict(list)
    for row in WorkingHours.objects.filter(resource__in=resources, site__in=sites):
        hours[row.resource_id, row.site_id].append(row)

    def why(row: Appointment) -> str:
        mine = held[row.pk]
        if any(not reservation.resource.active for reservation in mine):
            return Why.INACTIVE
        house = closures["site", row.site_id]
        spans = [
            (row.starts_at, row.ends_at),
            *((reservation.starts_at, reservation.ends_at) for reservation in mine),
        ]
        if any(overlaps(closure, span) for closure in house for span in spans):
            return Why.CLOSED
        for reservation in mine:
            theirs = closures["resource", reservation.resource_id]
            if any(overlaps(closure, (reservation.starts_at, reservation.ends_at)) for closure in theirs):
                return Why.CLOSED
        works = all(
            at_work(reservation, row.site, hours[reservation.resource_id, row.site_id])
            for reservation in mine
        )
        return Why.NOT if works else Why.OUTSIDE_HOURS

    return {row.pk: reason for row in rows if (reason := why(row))}


def overlaps(closure: Closure, span: Span) -> bool:
    return closure.starts_at < span[1] and closure.ends_at > span[0]


def at_work(held: Reservation, site: Site, rows: Sequence[WorkingHours]) -> bool:
    """Whether the hours at the site cover the whole reservation."""
    days = days_touched(held.starts_at, held.ends_at, site.zone)
    spans = [(day, row.opens, row.closes) for day in days for row in rows if holds_on(row, day)]
    return covered(held.starts_at, held.ends_at, open_spans(spans, site.zone))


def holds_on(row: WorkingHours, day: date) -> bool:
    begun = row.valid_from_on is None or row.valid_from_on <= day
    return (
        begun and row.weekday == day.weekday() and (row.valid_until_on is None or row.valid_until_on >= day)
    )
