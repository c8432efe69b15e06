"""Closing a site or a resource for a while, and seeing beforehand whom that displaces."""

from datetime import datetime, timedelta
from typing import NoReturn

from django.db import transaction
from django.db.models import Q, QuerySet

from clinic import audit
from clinic.database import for_each_row
from clinic.models import Closure, Resource, Site, User, WorkingHours
from clinic.refusals import Refusal
from clinic.timezones import on_wall
from procedures.models import Appointment, Reservation
from procedures.services.displacement import mark_displaced

#: A yearly closure is written down for so many years ahead; the tick adds the next when one has come.
YEARS_AHEAD = 2
#: What a deputy must be allowed to do. The app above gives it its meaning.
SEES_TO_ALERTS = "outcomes.handle_alert"


def displaced_by(closure: Closure, *, now: datetime) -> QuerySet[Appointment]:
    """The appointments that still hold something which `closure`, saved or not, takes away; in order of time.

    Of a yearly closure the years ahead that are written down count as well, or would be when it is saved at `now`.
    """
    when = Q()
    later = years_ahead(closure, now=now) if closure._state.adding else closure.repetitions.all()
    for span in (closure, *later):
        when |= Q(starts_at__lt=span.ends_at, ends_at__gt=span.starts_at)
    # A visiting physician's appointments elsewhere stay: their home site may close without them.
    whom = Q(appointment__site=closure.site_id) if closure.site_id else Q(resource=closure.resource_id)
    found = Reservation.objects.filter(whom, when, released_at=None).values("appointment")
    if closure.site_id:  # the patient may be there at a moment at which nothing is reserved
        found = found.union(
            Appointment.objects.filter(when, site=closure.site_id, status__in=Appointment.LIVE).values("pk")
        )
    return (
        Appointment.objects.filter(pk__in=found)
        .exclude(status=Appointment.Status.COMPLETED)
        .select_related("patient", "procedure_type", "site")
        .order_by("starts_at")
    )


@transaction.atomic
def close(closure: Closure, *, by: User | None, now: datetime) -> Closure:
    """Save a closure. From then on nobody can book into it; what is booked already stays and is shown as displaced.

    Waits for bookings of what it closes that are under way. Raises ValidationError by field; Refusal "not_yours" when
    `by` may enter their own leave only, and this is not theirs or was not, as `check_deputy` does, and as
    `refuse_twice`.
    """
    refuse_unless_theirs(closure, by)
    check_deputy(closure)
    closure.full_clean()
    here = Q(site=closure.site_id) | Q(
        pk__in=WorkingHours.objects.filter(site=closure.site_id).values("resource")
    )
    whom = here if closure.site_id else Q(pk=closure.resource_id)
    if closure.site_id:
        Site.objects.select_for_update(no_key=True).get(pk=closure.site_id)
    list(Resource.objects.select_for_update(no_key=True).filter(whom).order_by("pk").values_list("pk"))
    refuse_twice(closure)
    earlier = Closure.objects.select_related("site", "resource").filter(pk=closure.pk).first()
    new = closure._state.adding
    closure.repeated_until = None
    closure.save()
    site = closure.site or (closure.resource.site if closure.resource else None)
    audit.record("closure.added" if new else "closure.changed", closure, by=by, at=now, site=site)
    closure.repetitions.all().delete()
    repeat_yearly(closure, now=now)
    for span in (earlier, closure):
        if span:
            mark_displaced(site=span.site, resource=span.resource, now=now)
    return closure


def refuse_twice(closure: Closure) -> None:
    """Raise Refusal "closed_already" for one that closes the same, from and until the same instants, as another."""
    same = Closure.objects.filter(
        site=closure.site_id,
        resource=closure.resource_id,
        starts_at=closure.starts_at,
        ends_at=closure.ends_at,
    )
    if same.exclude(pk=closure.pk).exists():
        raise Refusal("This is closed then already.", code="closed_already", field="starts_at")


@transaction.atomic
def reopen(closure: Closure, *, by: User | None, now: datetime) -> None:
    """Take a closure back, with its repetitions. Raises Refusal "not_yours" as `close` does."""
    refuse_unless_theirs(closure, by)
    site = closure.site or (closure.resource.site if closure.resource else None)
    audit.record("closure.removed", closure, by=by, at=now, site=site)
    whose, what = closure.site, closure.resource
    closure.delete()
    mark_displaced(site=whose, resource=what, now=now)


def refuse_unless_theirs(closure: Closure, by: User | None) -> None:
    """Who may not close what is others' enters leave for the resource that is themselves, and for nothing else."""
    if by is None or by.has_perm("clinic.close_others"):
        return
    whose = [closure.resource.user_id if closure.resource else None]
    if closure.pk:  # what it closed until now
        whose += Closure.objects.filter(pk=closure.pk).values_list("resource__user", flat=True)
    if any(user_id != by.pk for user_id in whose):
        raise Refusal("You can enter leave for yourself only.", code="not_yours", field="resource")


def check_deputy(closure: Closure) -> None:
    """Refuse a deputy who cannot see to the alerts about the patients of whoever is away.

    Raises Refusal, field "deputy": "deputy_of_a_site" and "deputy_of_a_thing" (nobody is away), "own_deputy" (the
    person themself), "not_allowed" for one who is not active or may not handle alerts at the person's home site. That
    the deputy is away as well is no reason: theirs is asked next, when an alert is raised.
    """
    deputy, resource = closure.deputy, closure.resource
    if deputy is None:
        return
    if resource is None:
        refuse_deputy("Only a person’s time off has a deputy.", "deputy_of_a_site")
    elif resource.user_id is None:
        refuse_deputy("Only a person’s time off has a deputy, and this is no person.", "deputy_of_a_thing")
    elif resource.user_id == deputy.pk:
        refuse_deputy("Nobody is their own deputy.", "own_deputy")
    elif not deputies(resource.site).filter(pk=deputy.pk).exists():
        refuse_deputy("This person may not handle alerts at the home site of who is away.", "not_allowed")


def refuse_deputy(sentence: str, code: str) -> NoReturn:
    raise Refusal(sentence, code=code, field="deputy")


def deputies(*sites: Site) -> QuerySet[User]:
    """Who can be the deputy of somebody whose home is one of the sites: those who may handle alerts there."""
    return User.objects.able(SEES_TO_ALERTS, *sites)


def years_ahead(closure: Closure, *, now: datetime) -> list[Closure]:
    """The later years of a yearly closure that are not written down yet, as far as YEARS_AHEAD of `now`; unsaved.

    On the same days and wall times of the site's calendar; one that begins on 29 February is kept on the 28th. Empty
    for one that is not yearly.
    """
    if not closure.yearly:
        return []
    site = closure.place
    start, end = closure.starts_at.astimezone(site.zone), closure.ends_at.astimezone(site.zone)
    first = (closure.repeated_until or start.year) + 1
    until = (now + timedelta(days=366 * YEARS_AHEAD)).year
    return [
        Closure(
            site=closure.site,
            resource=closure.resource,
            starts_at=on_wall(in_year(start, year).date(), start.time(), site.zone),
            ends_at=on_wall(in_year(end, year + end.year - start.year).date(), end.time(), site.zone),
            reason=closure.reason,
            deputy_id=closure.deputy_id,
            repeats=closure,
        )
        for year in range(first, until + 1)
    ]


def repeat_yearly(closure: Closure, *, now: datetime) -> int:
    """Write down the years of a yearly closure that are missing; how many. A year that was reopened stays open."""
    rows = years_ahead(closure, now=now)
    if rows:
        Closure.objects.bulk_create(rows, ignore_conflicts=True)
        closure.repeated_until = (now + timedelta(days=366 * YEARS_AHEAD)).year
        closure.save(update_fields=["repeated_until"])
    return len(rows)


def in_year(moment: datetime, year: int) -> datetime:
    """The date of `moment` in another year."""
    try:
        return moment.replace(year=year)
    except ValueError:
        return moment.replace(year=year, day=28)


def extend_yearly_closures(*, now: datetime) -> int:
    """Keep every yearly closure written down for the years ahead; how many rows were added. The tick runs it."""
    due = Closure.objects.filter(yearly=True).values_list("pk", flat=True)
    return for_each_row(list(due), lambda pk: extend_closure(pk, now=now))


@transaction.atomic
def extend_closure(closure_id: int, *, now: datetime) -> int:
    """The same for one, locked: two ticks at once write nothing twice."""
    closure = Closure.objects.select_for_update(of=("self",)).filter(pk=closure_id, yearly=True).first()
    added = repeat_yearly(closure, now=now) if closure else 0
    if closure and added:
        mark_displaced(site=closure.site, resource=closure.resource, now=now)
    return added
