"""Closing a site or a resource for a while, and seeing beforehand whom that displaces."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from clinic import audit
from clinic.models import Closure, Resource, Site, User, WorkingHours
from clinic.wall_clock import on_wall
from procedures.models import Appointment, Reservation

#: A yearly closure is written down for so many years ahead; the tick adds the next when one has come.
YEARS_AHEAD = 2


def displaced_by(closure: Closure) -> QuerySet[Appointment]:
    """The appointments that still hold something which `closure`, saved or not, takes away; in order of time."""
    whom = Q(resource__site=closure.site_id) if closure.site_id else Q(resource=closure.resource_id)
    if closure.site_id:
        whom |= Q(appointment__site=closure.site_id)
    return (
        Appointment.objects.filter(
            pk__in=Reservation.objects.filter(
                whom, released_at=None, starts_at__lt=closure.ends_at, ends_at__gt=closure.starts_at
            ).values("appointment")
        )
        .exclude(status=Appointment.Status.COMPLETED)
        .select_related("patient", "procedure_type", "site")
        .order_by("starts_at")
    )


@transaction.atomic
def close(closure: Closure, *, by: User | None, now: datetime) -> Closure:
    """Save a closure. From then on nobody can book into it; what is booked already stays and is shown as displaced.

    Waits for bookings of what it closes that are under way. Raises ValidationError by field.
    """
    closure.full_clean()
    here = Q(site=closure.site_id) | Q(
        pk__in=WorkingHours.objects.filter(site=closure.site_id).values("resource")
    )
    whom = here if closure.site_id else Q(pk=closure.resource_id)
    list(Resource.objects.select_for_update(no_key=True).filter(whom).order_by("pk").values_list("pk"))
    new = closure._state.adding
    closure.save()
    site = closure.site or (closure.resource.site if closure.resource else None)
    audit.record("closure.added" if new else "closure.changed", closure, by=by, at=now, site=site)
    closure.repetitions.all().delete()
    if closure.yearly:
        repeat_yearly(closure, now=now)
    return closure


@transaction.atomic
def reopen(closure: Closure, *, by: User | None, now: datetime) -> None:
    """Take a closure back, with its repetitions."""
    site = closure.site or (closure.resource.site if closure.resource else None)
    audit.record("closure.removed", closure, by=by, at=now, site=site)
    closure.delete()


def repeat_yearly(closure: Closure, *, now: datetime) -> int:
    """Write the yearly closure's next years, as far as YEARS_AHEAD of `now`; how many were missing.

    On the same days and wall times of the site's calendar; one that begins on 29 February is kept on the 28th.
    """
    site: Site = closure.site or closure.resource.site  # type: ignore[union-attr]  # one of the two, by constraint
    start, end = closure.starts_at.astimezone(site.zone), closure.ends_at.astimezone(site.zone)
    until = (now + timedelta(days=366 * YEARS_AHEAD)).year
    rows = [
        Closure(
            site=closure.site,
            resource=closure.resource,
            starts_at=on_wall(in_year(start, start.year + count).date(), start.time(), site.zone),
            ends_at=on_wall(in_year(end, end.year + count).date(), end.time(), site.zone),
            reason=closure.reason,
            repeats=closure,
        )
        for count in range(1, max(0, until - start.year) + 1)
    ]
    there = closure.repetitions.count()
    Closure.objects.bulk_create(rows, ignore_conflicts=True)
    return closure.repetitions.count() - there


def in_year(moment: datetime, year: int) -> datetime:
    """The date of `moment` in another year."""
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)


def extend_yearly_closures(*, now: datetime) -> int:
    """Keep every yearly closure written down for the years ahead; how many rows were added. The tick runs it."""
    return sum(repeat_yearly(closure, now=now) for closure in Closure.objects.filter(yearly=True))
