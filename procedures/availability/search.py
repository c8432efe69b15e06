"""What is asked for: all starts of a span, the first one, a week of them, and with whom."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import islice

from django.db.models import Q

from clinic.models import Resource, Site
from clinic.timezones import day_span
from patients.models import Patient
from procedures.availability.clock_changes import clock
from procedures.availability.offers import Slot
from procedures.availability.query import query_sites
from procedures.bookable_times import last_day
from procedures.models import Appointment, Procedure, ProcedureType

#: More starts than this are not returned unless asked for: nobody reads them.
MOST = 500
#: How far `first_available` looks before it looks at the whole span: most clinics have something within it.
SOON = timedelta(days=14)


def find_slots(
    procedure_type: ProcedureType,
    *,
    sites: Iterable[Site],
    starts_from: datetime,
    starts_before: datetime,
    now: datetime,
    clinician: Resource | None = None,
    resources: Iterable[Resource] = (),
    patient: Patient | None = None,
    replacing: Appointment | None = None,
    limit: int = MOST,
) -> list[Slot]:
    """The first `limit` starts in [starts_from, starts_before) that can be booked, in order of time, then of `sites`.

    All instants are aware; nothing before `now` is offered. Starts lie on each site's own grid (`Site.grid_minutes`),
    counted from midnight on its wall clock. A wall time that the clock shows twice is offered once, the first; one
    that it jumps over never. `clinician` and `resources` must be taken, each for its category, as in `book`; None and
    empty mean anybody. With `patient`, times at which the patient has another appointment are left out. `replacing`
    is the appointment that would be moved: its own time counts as free. Holds that have run out at `now` count as
    free too: `book` gives them back first. Nobody is overbooked.

    Nothing is offered for more than 24 months ahead, for a procedure type without requirements, nor for one that is
    out of use unless `replacing` is booked already (`book` refuses such a type too,
    with "no_requirements"), nor for a patient who has died or was merged into another record, nor at a
    site where a chosen resource is out of use or not needed. One query, however long the span.
    """
    places = list(sites)
    first = max(starts_from, now)
    ends = (day_span(last_day(now, site.zone), site.zone)[1] for site in places)
    starts_before = min((starts_before, *ends))
    # What is booked of a type that is out of use can still be moved.
    booked = replacing is not None and replacing.status != Appointment.Status.REQUESTED
    if not places or not (procedure_type.active or booked) or first >= starts_before or limit <= 0:
        return []
    if patient and (patient.died_on or patient.merged_into_id):
        return []
    chosen = {resource.pk for resource in (*resources, *([clinician] if clinician else []))}
    clocks = {site.pk: clock(site.zone, first, starts_before) for site in places}
    offers = query_sites(
        procedure_type,
        clocks,
        first=first,
        before=starts_before,
        now=now,
        chosen=chosen,
        patient=patient,
        replacing=replacing,
    )
    lasts = timedelta(minutes=procedure_type.total_minutes)
    streams = (
        offers[site.pk].slots(site, rank, clocks[site.pk], lasts)
        for rank, site in enumerate(places)
        if site.pk in offers and chosen <= offers[site.pk].serving
    )
    # The rank decides between sites at the same instant, so that slots themselves are never compared.
    return [slot for _, _, slot in islice(merge(*streams, key=lambda found: found[:2]), limit)]


def first_available(
    procedure_type: ProcedureType,
    *,
    sites: Iterable[Site],
    starts_from: datetime,
    starts_before: datetime,
    now: datetime,
    clinician: Resource | None = None,
    resources: Iterable[Resource] = (),
    patient: Patient | None = None,
    replacing: Appointment | None = None,
) -> Slot | None:
    """The first start that `find_slots` would offer; None when there is none. At most two queries."""
    places, wanted = list(sites), list(resources)
    begin = max(starts_from, now)
    near = min(begin + SOON, starts_before)
    for since, until in ((begin, near), (near, starts_before)):
        found = find_slots(
            procedure_type,
            sites=places,
            starts_from=since,
            starts_before=until,
            now=now,
            clinician=clinician,
            resources=wanted,
            patient=patient,
            replacing=replacing,
            limit=1,
        )
        if found:
            return found[0]
    return None


def by_day(slots: Iterable[Slot]) -> dict[date, list[Slot]]:
    """Slots by the day that the wall shows at their own site, in the order in which they come."""
    days: dict[date, list[Slot]] = {}
    for slot in slots:
        days.setdefault(slot.wall.date(), []).append(slot)
    return days


def same_clinician(patient: Patient) -> Resource | None:
    """Who treated this patient last, to pass as `clinician`; None when nobody did, or cannot be booked any more.

    That is who performed the last procedure; where nobody wrote it down, who was reserved to.
    """
    last = (
        Procedure.objects.filter(patient=patient, status__in=Procedure.FOLLOWED)
        .order_by("-performed_at")
        .first()
    )
    if last is None:
        return None
    if last.performer_id:
        who = Q(user=last.performer_id)
    else:
        who = Q(reservations__appointment=last.appointment_id, categories__needs_privilege=True)
    return Resource.objects.filter(who, active=True).order_by("pk").first()
