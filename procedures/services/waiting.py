"""The waitlist: who would come at short notice, and whom a time that came free would suit. Nothing books itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import (
    BooleanField,
    DateField,
    DateTimeField,
    ExpressionWrapper,
    F,
    Func,
    OrderBy,
    Q,
    Value,
)
from django.db.models.functions import Cast

from clinic import audit
from clinic.models import Resource, Site, User
from clinic.refusals import Refusal
from procedures.models import Appointment, FreedTime, Reservation, WaitlistEntry
from procedures.models.waiting import WaitlistQuerySet
from procedures.services.booking import book, check, check_request, complete
from procedures.services.freeing import close_freed, locked_freed, refuse_unless_allowed
from procedures.steps import BOOK

#: After so many days it needs to be asked again whether a patient still waits.
ASK_AGAIN_DAYS = 60
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


def today_of(entry: WaitlistEntry, now: datetime) -> date:
    """The day at the home site of the patient."""
    return now.astimezone(entry.patient.site.zone).date()


def is_stale(entry: WaitlistEntry, *, now: datetime) -> bool:
    """Whether it needs to be asked again if the patient still waits."""
    return entry.closed_at is None and entry.stale_on <= today_of(entry, now)


def stale_when(now: datetime) -> "ExpressionWrapper[Any]":
    """For queries: what `is_stale` says of one entry."""
    today = Cast(
        Func(
            F("patient__site__time_zone"),
            Value(now, output_field=DateTimeField()),
            function="TIMEZONE",
            output_field=DateTimeField(),
        ),
        DateField(),
    )
    return ExpressionWrapper(Q(closed_at=None, stale_on__lte=today), output_field=BooleanField())


def rank(now: datetime) -> tuple[str | OrderBy, ...]:
    """For queries: by priority, those to be asked again last within each, then by waiting time."""
    return ("priority", OrderBy(stale_when(now)), "created_at", "pk")


def check_waiting(
    entry: WaitlistEntry,
    *,
    sites: Iterable[Site] = (),
    clinicians: Iterable[Resource] = (),
    now: datetime,
) -> None:
    """Refuse an entry that could never be booked. Saves nothing.

    Fills in `stale_on`, ASK_AGAIN_DAYS ahead, and `intent` where the procedure type leaves no choice.

    Raises ValidationError by field for values that no entry may have, and Refusal with the codes "in_the_past"
    (`earliest_on`, or `stale_on` not after today), "unknown_procedure_type", "intent_not_possible", "side_required",
    "side_not_possible", "region_not_possible", "patient_not_bookable", "inactive" and "not_needed" for a clinician,
    "not_here" for one who works at none of the sites, "already_waiting".
    """
    entry.created_at = entry.created_at or now
    read = {name for name in ("patient", "procedure_type") if entry._state.fields_cache.get(name)}
    blank = set() if entry.stale_on else {"stale_on"}
    entry.full_clean(exclude=read | blank, validate_constraints=False)
    today = today_of(entry, now)
    if entry.earliest_on < today:
        raise Refusal("This day is in the past.", code="in_the_past", field="earliest_on")
    entry.stale_on = entry.stale_on or max(today, entry.earliest_on) + timedelta(days=ASK_AGAIN_DAYS)
    if entry.stale_on <= today:
        raise Refusal("Ask again on a day after today.", code="in_the_past", field="stale_on")
    # What no appointment may say, no wish for one may say either.
    asked = wish(entry, starts_at=now, site=entry.patient.site)
    complete(asked)
    check_request(asked, now=now)
    entry.intent = asked.intent
    check_clinicians(entry, list(sites), list(clinicians))
    same = WaitlistEntry.objects.filter(
        patient=entry.patient_id,
        procedure_type=entry.procedure_type_id,
        region=entry.region,
        laterality=entry.laterality,
        closed_at=None,
    )
    if same.exclude(pk=entry.pk).exists():
        raise already_waiting()


def already_waiting() -> Refusal:
    return Refusal("This patient is waiting for this already.", code="already_waiting", field="patient")


def check_clinicians(entry: WaitlistEntry, sites: Sequence[Site], clinicians: Sequence[Resource]) -> None:
    """Refuse clinicians who could never serve; see `check_waiting` for the codes."""
    if not clinicians:
        return
    needed = set(entry.procedure_type.requirements.values_list("category", flat=True))
    accepted = {site.pk for site in sites}
    for clinician in clinicians:
        if not clinician.active:
            raise Refusal(f"{clinician} is out of use.", code="inactive", field="clinicians")
        if not needed & {category.pk for category in clinician.categories.all()}:
            raise Refusal(
                f"{clinician} is not needed for this procedure.", code="not_needed", field="clinicians"
            )
        if accepted and not accepted & places(clinician):
            raise Refusal(f"{clinician} does not work at these sites.", code="not_here", field="clinicians")


def places(resource: Resource) -> set[int]:
    """The numbers of the sites at which a resource can be booked."""
    return {resource.site_id, *(hours.site_id for hours in resource.working_hours.all())}


@transaction.atomic
def join_waitlist(
    entry: WaitlistEntry,
    *,
    sites: Iterable[Site] = (),
    clinicians: Iterable[Resource] = (),
    by: User | None,
    now: datetime,
) -> WaitlistEntry:
    """Put a patient on the waitlist. No `sites`, no `clinicians`: any will do.

    Raises PermissionDenied when `by` may not manage the waitlist, and as `check_waiting` does.
    """
    refuse_unless_allowed(by)
    sites, clinicians = list(sites), list(clinicians)
    check_waiting(entry, sites=sites, clinicians=clinicians, now=now)
    entry.created_at, entry.created_by = now, by
    try:
        with transaction.atomic():
            entry.save(force_insert=True)
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", None) != "23505":
            raise
        entry.pk, entry._state.adding = None, True
        raise already_waiting() from None  # another clerk was faster
    entry.sites.set(sites)
    entry.clinicians.set(clinicians)
    record("joined", entry, by=by, now=now)
    return entry


@transaction.atomic
def withdraw(entry_id: int, *, by: User | None, now: datetime) -> WaitlistEntry:
    """The patient waits no more. Raises PermissionDenied, and Refusal "not_waiting" when that is so already."""
    refuse_unless_allowed(by)
    entry = locked_entry(entry_id)
    entry.closed_at, entry.closed_because = now, WaitlistEntry.Closed.WITHDRAWN
    entry.save(update_fields=["closed_at", "closed_because"])
    record("withdrawn", entry, by=by, now=now)
    return entry


@transaction.atomic
def still_waiting(entry_id: int, *, by: User | None, now: datetime) -> WaitlistEntry:
    """The patient was asked and still waits: ask again ASK_AGAIN_DAYS from now, or when it was meant, if later.

    Raises PermissionDenied, and Refusal "not_waiting".
    """
    refuse_unless_allowed(by)
    entry = locked_entry(entry_id)
    entry.stale_on = max(entry.stale_on, today_of(entry, now) + timedelta(days=ASK_AGAIN_DAYS))
    entry.save(update_fields=["stale_on"])
    record("still_waiting", entry, by=by, now=now)
    return entry


@transaction.atomic
def book_from_waitlist(
    entry_id: int,
    *,
    freed_id: int | None = None,
    starts_at: datetime | None = None,
    site: Site | None = None,
    resources: Iterable[Resource] = (),
    by: User | None,
    now: datetime,
) -> Appointment:
    """Book a waiting patient into a freed time, or at a site and an instant of the clerk's choice.

    The entry, and the freed time, are closed in the same transaction. Without `resources` one of the clinicians whom
    the patient accepts is taken. The patient's other wishes (sites, first day, notice) are not enforced here: `matches`
    keeps to them, and a clerk who chooses otherwise has spoken with the patient.

    Raises PermissionDenied when `by` may not manage the waitlist or book; Refusal "freed_time_closed", "not_waiting",
    "not_here" when no accepted clinician works at the site; and as `book` does.
    """
    refuse_unless_allowed(by)
    if by is not None and not by.has_perm(BOOK):
        raise PermissionDenied
    # Entry, then freed time, then (in `book`) resources and patient: nobody waits for anybody in a ring.
    entry = locked_entry(entry_id)
    freed = locked_freed(freed_id, now=now) if freed_id is not None else None
    if freed is not None:
        starts_at, site = freed.starts_at, freed.site
    if starts_at is None or site is None:
        raise TypeError("name a freed time, or a start and a site")
    chosen = list(resources)
    if not chosen and (accepted := list(entry.clinicians.prefetch_related("working_hours"))):
        chosen = there(accepted, site)
        if not chosen:
            raise Refusal(
                "None of the clinicians whom the patient accepts works at this site.",
                code="not_here",
                field="resources",
            )
    appointment = book(wish(entry, starts_at=starts_at, site=site), resources=chosen, by=by, now=now)
    entry.appointment, entry.closed_at, entry.closed_because = appointment, now, WaitlistEntry.Closed.BOOKED
    entry.save(update_fields=["appointment", "closed_at", "closed_because"])
    record("booked", entry, by=by, now=now)
    if freed is not None:
        close_freed(freed, FreedTime.Closed.FILLED, by=by, now=now)
    return appointment


def locked_entry(entry_id: int) -> WaitlistEntry:
    """The entry, locked until the transaction ends. Raises Refusal "not_waiting" unless it is open."""
    entry = (
        WaitlistEntry.objects.select_for_update(of=("self",))
        .select_related("patient__site", "procedure_type")
        .get(pk=entry_id)
    )
    if entry.closed_at:
        how = entry.get_closed_because_display()
        raise Refusal(f"This patient is not waiting any more: {how}.", code="not_waiting")
    return entry


def record(what: str, entry: WaitlistEntry, *, by: User | None, now: datetime) -> None:
    audit.record(f"waitlist.{what}", entry, by=by, at=now, site=entry.patient.site)


def wish(entry: WaitlistEntry, *, starts_at: datetime, site: Site) -> Appointment:
    """The appointment that the entry's patient waits for, at that instant and place. Not saved."""
    return Appointment(
        patient=entry.patient,
        procedure_type=entry.procedure_type,
        site=site,
        starts_at=starts_at,
        intent=entry.intent,
        region=entry.region,
        laterality=entry.laterality,
    )


def there(clinicians: Iterable[Resource], site: Site) -> list[Resource]:
    """Those who are in use and work at the site."""
    return [one for one in clinicians if one.active and site.pk in places(one)]


def matches(freed: FreedTime, *, by: User | None = None, now: datetime) -> list[Match]:
    """Whom a freed time would suit, best first: by priority, with those to be asked again last, then by waiting time.

    Only patients whom `by` may see; None: all. At most NAMED of them, out of the first CONSIDERED who accept the site
    and the clinicians, whose first day has come and whose notice is long enough. Whether everything that they need is
    free is what `check` says, once for each different wish; whether they are free themselves, their own appointments.
    The patient who gave the time back is not offered it again.
    """
    if freed.closed_at or freed.starts_at <= now:
        return []
    entries = list(
        candidates(freed, by=by, now=now)
        .select_related("patient__site", "procedure_type")
        .prefetch_related("sites", "clinicians__working_hours")[:CONSIDERED]
    )
    coming = coming_appointments(entries, now=now)
    looked: dict[tuple[object, ...], list[Reservation] | None] = {}
    fits: list[tuple[WaitlistEntry, list[Reservation]]] = []
    for entry in entries:
        if len(fits) == NAMED:
            break
        if any(overlaps(one, entry, freed) for one in coming.get(entry.patient_id, [])):
            continue
        named = frozenset(one.pk for one in entry.clinicians.all())
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


def would_reserve(entry: WaitlistEntry, freed: FreedTime, *, now: datetime) -> list[Reservation] | None:
    """What booking the entry into the freed time would reserve; None when it would be refused."""
    accepted = list(entry.clinicians.all())
    chosen = there(accepted, freed.site)
    if accepted and not chosen:
        return None
    try:
        return check(wish(entry, starts_at=freed.starts_at, site=freed.site), resources=chosen, now=now)
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
    clinicians = [names[one.resource_id] for one in reservations if one.resource_id in names]
    clinicians = list(dict.fromkeys(clinicians))
    days = (today_of(entry, now) - entry.created_at.astimezone(entry.patient.site.zone).date()).days
    reasons = [
        str(entry.get_priority_display()),
        f"waiting for {days} {'day' if days == 1 else 'days'}",
        f"accepts {freed.site}" if entry.sites.all() else "accepts any site",
        f"needs {entry.notice_hours} h notice, has {notice(freed, now)} h",
    ]
    if clinicians:
        who = " and ".join(clinicians)
        reasons.insert(3, f"accepts {who}, free then" if entry.clinicians.all() else f"{who} is free")
    stale = is_stale(entry, now=now)
    if stale:
        reasons.append(f"ask again since {entry.stale_on:%Y-%m-%d}")
    same = (one for one in coming if one.procedure_type_id == entry.procedure_type_id)
    return Match(
        entry=entry,
        clinicians=clinicians,
        reasons=reasons,
        ask_again_since=entry.stale_on if stale else None,
        booked_already=next((one for one in same if one.status in Appointment.EXPECTED), None),
    )
