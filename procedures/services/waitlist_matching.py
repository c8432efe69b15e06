"""Whom a time that came free would suit: waiting patients, ranked, each with the reasons. Nothing books itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import Q

from clinic.models import Resource, User
from procedures.bookable_times import next_on_grid
from procedures.models import Appointment, FreedTime, Reservation, WaitlistEntry
from procedures.models.waitlist import WaitlistQuerySet
from procedures.services.booking import preview_booking
from procedures.services.waitlist import first_that_does, is_stale, rank, there, today_of, ways, wish

#: How many waiting patients are considered for one freed time, in the order of their rank.
CONSIDERED = 200
#: How many different wishes (procedure, side, clinicians) are checked against the calendar for one freed time.
CHECKED = 20
#: How many matches are named at most.
NAMED = 20
#: Categories of resources whose names tell a patient something: who treats them.
CLINICIANS = {"physician", "nurse"}


@dataclass(frozen=True)
class Match:
    """A waiting patient whom a freed time would suit.

    `clinicians`: who would treat them. `reasons`: why it suits, a clause each. `ask_again_since`: the day since which
    it is unsure whether the patient still waits; None while it is sure. `booked_already`: the patient's next
    appointment for the same procedure type, which the freed time would come before or replace; None when there is none.
    """

    entry: WaitlistEntry
    clinicians: list[str]
    reasons: list[str]
    ask_again_since: date | None
    booked_already: Appointment | None


def matches(freed: FreedTime, *, by: User | None = None, now: datetime) -> list[Match]:
    """Whom a freed time would suit, best first: by priority, with those to be asked again last, then by waiting time.

    Only patients whom `by` may see; None: all. At most NAMED of them, out of the first CONSIDERED who accept the site
    and the clinicians, whose first day has come and whose notice is long enough. Whether everything that they need is
    free is what `preview_booking` says, once for each different wish; whether they are free themselves, their own
    appointments. The patient who gave the time back is not offered it again.
    """
    if freed.closed_at or freed.starts_at <= now:
        return []
    entries = list(
        candidates(freed, by=by, now=now)
        .select_related("patient__site", "procedure_type", "created_by")
        .prefetch_related("sites", "clinicians__working_hours")[:CONSIDERED]
    )
    coming = coming_appointments(entries, now=now)
    looked: dict[tuple[object, ...], list[Reservation] | None] = {}
    fits: list[tuple[WaitlistEntry, list[Reservation]]] = []
    for entry in entries:
        if len(fits) == NAMED:
            break
        if any(overlaps(appointment, entry, freed) for appointment in coming.get(entry.patient_id, [])):
            continue
        named = frozenset(clinician.pk for clinician in entry.clinicians.all())
        kind = (entry.procedure_type_id, entry.intent, entry.region, entry.laterality, named)
        if kind not in looked:
            if len(looked) == CHECKED:
                continue
            looked[kind] = would_reserve(entry, freed, now=now)
        reserved = looked[kind]
        if reserved is not None:
            fits.append((entry, reserved))
    names = clinician_names(reservation for _, reservations in fits for reservation in reservations)
    return [
        match(entry, freed, reservations, names, coming.get(entry.patient_id, []), now=now)
        for entry, reservations in fits
    ]


def candidates(freed: FreedTime, *, by: User | None, now: datetime) -> WaitlistQuerySet:
    """The open entries, ranked, that accept the freed time's site, day and notice."""
    entries = WaitlistEntry.objects.all() if by is None else WaitlistEntry.objects.visible_to(by)
    return (
        entries.filter(
            Q(sites=None) | Q(sites=freed.site_id),
            closed_at=None,
            procedure_type__active=True,
            patient__died_on=None,
            patient__merged_into=None,
            earliest_on__lte=freed.starts_at.astimezone(freed.site.zone).date(),
            notice_hours__lte=notice(freed, now),
        )
        .exclude(patient=freed.appointment.patient_id)
        .order_by(*rank(now))
    )


def notice(freed: FreedTime, now: datetime) -> int:
    """How many whole hours before the freed time it is now."""
    return int((freed.starts_at - now).total_seconds() // 3600)


def coming_appointments(entries: Iterable[WaitlistEntry], *, now: datetime) -> dict[int, list[Appointment]]:
    """What the patients have from now on, in order of time, by the patient's number."""
    result: dict[int, list[Appointment]] = {}
    for appointment in (
        Appointment.objects.filter(
            patient__in={entry.patient_id for entry in entries}, status__in=Appointment.LIVE, ends_at__gt=now
        )
        .select_related("site")
        .order_by("starts_at")
    ):
        result.setdefault(appointment.patient_id, []).append(appointment)
    return result


def overlaps(appointment: Appointment, entry: WaitlistEntry, freed: FreedTime) -> bool:
    """Whether what the patient has stands in the way of what they wait for, begun at the freed time."""
    ends_at = freed.starts_at + timedelta(minutes=entry.procedure_type.total_minutes)
    return appointment.starts_at < ends_at and appointment.ends_at > freed.starts_at


def begins(freed: FreedTime) -> datetime:
    """When whoever takes the freed time begins: what an import or overbooking gave back may lie off the grid."""
    return next_on_grid(freed.starts_at, freed.site.zone, freed.site.grid_minutes)


def would_reserve(entry: WaitlistEntry, freed: FreedTime, *, now: datetime) -> list[Reservation] | None:
    """What booking the entry into the freed time would reserve; None when it would be refused."""
    accepted = list(entry.clinicians.all())
    if accepted and not there(accepted, freed.site):
        return None
    asked = wish(entry, starts_at=begins(freed), site=freed.site)
    try:
        return first_that_does(
            lambda chosen: preview_booking(asked, resources=chosen, now=now), ways(entry, freed.site, freed)
        )
    except ValidationError:
        return None


def clinician_names(reservations: Iterable[Reservation]) -> dict[int, str]:
    """The names of those among the reserved resources who are clinicians, by number."""
    ids = {reservation.resource_id for reservation in reservations}
    people = Resource.objects.filter(pk__in=ids, categories__code__in=CLINICIANS).distinct()
    return dict(people.values_list("pk", "name"))


def match(
    entry: WaitlistEntry,
    freed: FreedTime,
    reservations: Iterable[Reservation],
    names: dict[int, str],
    coming: Iterable[Appointment],
    *,
    now: datetime,
) -> Match:
    """Say why the freed time suits the entry's patient."""
    clinicians = [
        names[reservation.resource_id] for reservation in reservations if reservation.resource_id in names
    ]
    clinicians = list(dict.fromkeys(clinicians))
    days = (today_of(entry, now) - entry.created_at.astimezone(entry.patient.site.zone).date()).days
    reasons = [
        str(entry.get_priority_display()),
        f"waiting for {days} {'day' if days == 1 else 'days'}" if days else "waiting since today",
        f"accepts {freed.site}" if entry.sites.all() else "accepts any site",
        f"needs {entry.notice_hours} h notice, has {notice(freed, now)} h",
    ]
    if clinicians:
        who = " and ".join(clinicians)
        reasons.insert(3, f"accepts {who}, free then" if entry.clinicians.all() else f"{who} is free")
    stale = is_stale(entry, now=now)
    if stale:
        reasons.append(f"ask again since {entry.stale_on:%Y-%m-%d}")
    same = (appointment for appointment in coming if appointment.procedure_type_id == entry.procedure_type_id)
    return Match(
        entry=entry,
        clinicians=clinicians,
        reasons=reasons,
        ask_again_since=entry.stale_on if stale else None,
        booked_already=next(
            (appointment for appointment in same if appointment.status in Appointment.EXPECTED), None
        ),
    )
