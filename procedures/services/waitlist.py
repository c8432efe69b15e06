"""The waitlist: who would come at short notice, and booking them. Whom a freed time would suit, says
`waitlist_matching`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import (
    BooleanField,
    DateField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    OrderBy,
    OuterRef,
    Q,
    Value,
)
from django.db.models.functions import Cast

from clinic import audit
from clinic.models import Resource, Site, User
from clinic.refusals import Refusal
from clinic.row_versions import read_before
from procedures.bookable_times import next_on_grid
from procedures.models import Appointment, FreedTime, Reservation, WaitlistEntry
from procedures.services.booking import book, fill_in, made_before, refuse_impossible
from procedures.services.openings import close_freed, locked_freed, refuse_unless_allowed
from procedures.workflow import BOOK

T = TypeVar("T")

#: After so many days it needs to be asked again whether a patient still waits.
ASK_AGAIN_DAYS = 60
#: A day after this year is a slip of the keyboard.
LAST_YEAR = 2199


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
    (`earliest_on`, or `stale_on` not after today), "out_of_range" for a year that nobody plans,
    "unknown_procedure_type", "intent_not_possible", "side_required", "side_not_possible", "region_not_possible",
    "patient_not_bookable", "inactive" and "not_needed" for a clinician, "not_here" for one who works at none of the
    sites, "already_waiting".
    """
    entry.created_at = entry.created_at or now
    read = read_before(entry, "patient", "procedure_type")
    blank = set() if entry.stale_on else {"stale_on"}
    entry.full_clean(exclude=read | blank, validate_constraints=False)
    today = today_of(entry, now)
    for name in ("earliest_on", "stale_on"):
        if (day := getattr(entry, name)) and day.year > LAST_YEAR:
            raise Refusal(f"No year after {LAST_YEAR} is planned.", code="out_of_range", field=name)
    if entry.earliest_on < today:
        raise Refusal("This day is in the past.", code="in_the_past", field="earliest_on")
    entry.stale_on = entry.stale_on or max(today, entry.earliest_on) + timedelta(days=ASK_AGAIN_DAYS)
    if entry.stale_on <= today:
        raise Refusal("Ask again on a day after today.", code="in_the_past", field="stale_on")
    # What no appointment may say, no wish for one may say either.
    asked = wish(entry, starts_at=now, site=entry.patient.site)
    fill_in(asked)
    refuse_impossible(asked, now=now)
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
        raise already_waiting() from None  # another clerk was faster
    entry.sites.set(sites)
    entry.clinicians.set(clinicians)
    record("joined", entry, by=by, now=now)
    return entry


@transaction.atomic
def withdraw(entry_id: int, *, by: User | None, now: datetime) -> WaitlistEntry:
    """The patient waits no more. Raises PermissionDenied, and Refusal "not_waiting" when that is so already."""
    refuse_unless_allowed(by)
    entry = lock_entry(entry_id)
    refuse_unless_waiting(entry)
    entry.closed_at, entry.closed_reason = now, WaitlistEntry.Closed.WITHDRAWN
    entry.save(update_fields=["closed_at", "closed_reason"])
    record("withdrawn", entry, by=by, now=now)
    return entry


@transaction.atomic
def still_waiting(entry_id: int, *, by: User | None, now: datetime) -> WaitlistEntry:
    """The patient was asked and still waits: ask again ASK_AGAIN_DAYS from now, or when it was meant, if later.

    Raises PermissionDenied, and Refusal "not_waiting".
    """
    refuse_unless_allowed(by)
    entry = lock_entry(entry_id)
    refuse_unless_waiting(entry)
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
    request_key: str = "",
) -> Appointment:
    """Book a waiting patient into a freed time, or at a site and an instant of the clerk's choice.

    The entry, and the freed time, are closed in the same transaction. Without `resources` one of the clinicians whom
    the patient accepts is taken, and what came free before anything else. The patient's other wishes (sites, first
    day, notice) are not enforced here: `matches` keeps to them, and a clerk who chooses otherwise has spoken with the
    patient.

    `request_key`: the caller's name for this request, as for `book`; the same one again returns the appointment that
    it made the first time.

    Raises PermissionDenied when `by` may not manage the waitlist or book; Refusal "freed_time_closed", "not_waiting",
    "not_here" when no accepted clinician works at the site; and as `book` does.
    """
    refuse_unless_allowed(by)
    if by is not None and not by.has_perm(BOOK):
        raise PermissionDenied
    if freed_id is not None:
        offered = FreedTime.objects.select_related("site").get(pk=freed_id)
        site = offered.site
        starts_at = next_on_grid(offered.starts_at, site.zone, site.grid_minutes)
    if starts_at is None or site is None:
        raise TypeError("name a freed time, or a start and a site")
    # Entry, then freed time, then (in `book`) resources and patient: nobody waits for anybody in a ring.
    entry = lock_entry(entry_id)
    asked = wish(entry, starts_at=starts_at, site=site)
    if request_key and entry.closed_at and (first := made_before(asked, request_key, by=by)):
        return first  # the same click, a moment earlier
    refuse_unless_waiting(entry)
    freed = locked_freed(freed_id, now=now) if freed_id is not None else None
    resources = list(resources)
    choices = [resources]
    if not choices[0]:
        accepted = list(entry.clinicians.prefetch_related("working_hours"))
        if accepted and not there(accepted, site):
            raise Refusal(
                "None of the clinicians whom the patient accepts works at this site.",
                code="not_here",
                field="resources",
            )
        choices = ways(entry, site, freed)
    appointment = first_that_does(
        lambda chosen: book(asked, resources=chosen, by=by, now=now, request_key=request_key), choices
    )
    # What came free was offered, not asked for: moving need not keep it.
    asked_for = {resource.pk for resource in (*resources, *entry.clinicians.all())}
    appointment.reservations.exclude(resource__in=asked_for).filter(named=True).update(named=False)
    entry.appointment, entry.closed_at, entry.closed_reason = appointment, now, WaitlistEntry.Closed.BOOKED
    entry.save(update_fields=["appointment", "closed_at", "closed_reason"])
    record("booked", entry, by=by, now=now)
    if freed is not None:
        close_freed(freed, FreedTime.Closed.FILLED, by=by, now=now)
    return appointment


def lock_entry(entry_id: int) -> WaitlistEntry:
    """The entry, open or not, locked until the transaction ends."""
    return (
        WaitlistEntry.objects.select_for_update(of=("self",))
        .select_related("patient__site", "procedure_type")
        .get(pk=entry_id)
    )


def refuse_unless_waiting(entry: WaitlistEntry) -> None:
    """Raise Refusal "not_waiting" unless the entry is open."""
    if entry.closed_at:
        how = entry.get_closed_reason_display()
        raise Refusal(f"This patient is not waiting any more: {how}.", code="not_waiting")


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
    return [clinician for clinician in clinicians if clinician.active and site.pk in places(clinician)]


def ways(entry: WaitlistEntry, site: Site, freed: FreedTime | None) -> list[list[Resource]]:
    """What to insist on for the entry's patient, best first: what came free and would serve; else the accepted alone.

    Whoever looks at a freed time sees whose it was, and expects to give just that.
    """
    accepted = there(entry.clinicians.all(), site)
    if freed is None:
        return [accepted]
    came_free = Reservation.objects.filter(
        appointment=freed.appointment_id, resource=OuterRef("resource"), resource__active=True
    )
    serving = list(
        Resource.categories.through.objects.annotate(came_free=Exists(came_free))
        .filter(
            Q(came_free=True) | Q(resource__in=accepted),
            resourcecategory__requirements__procedure_type=entry.procedure_type_id,
        )
        .select_related("resource")
        .distinct()
    )
    theirs = {row.resourcecategory_id for row in serving if row.resource in accepted}
    again = {
        row.resource
        for row in serving
        if row.came_free and (row.resource in accepted or row.resourcecategory_id not in theirs)
    }
    if not again:
        return [accepted]
    # Where an accepted clinician is among them, the other accepted ones need not come as well.
    return [[*again, *([] if again & {*accepted} else accepted)], accepted]


def first_that_does(attempt: Callable[[list[Resource]], T], choices: Sequence[list[Resource]]) -> T:
    """What `attempt` gives for the first of the choices that it does not refuse; else its refusal of the last one."""
    for chosen in choices[:-1]:
        try:
            return attempt(chosen)
        except Refusal:
            continue
    return attempt(choices[-1])
