"""What is asked before a booking: what stands in the way of an appointment now, and which resources would serve it.

And the locks: who wants the same resources or the same patient waits, always in one order.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic import prepared_statements
from clinic.models import Resource, Site
from clinic.refusals import Refusal
from patients.models import Patient
from procedures.bookable_times import Span, covered, days_touched, open_spans
from procedures.models import Appointment, Reservation
from procedures.models.catalogue import LONGEST_BUFFER_MINUTES

#: What tells the clerk most comes first.
NEAREST = ("taken", "closed", "outside_hours", "no_privilege")


@dataclass(frozen=True)
class Candidate:
    """A resource that could serve a need, and what stands in its way over the need's span.

    `hours` are its working spans in UTC on the days that the appointment touches, in order. `closed` says what is
    closed and why, `held` the span in UTC of a reservation that overlaps; both None when there is nothing. `taken`
    are the lanes that overlapping reservations are in; above lane 0 there are as many as `overbooking` says.
    `privileged`: whether it may do procedures of this family.
    """

    resource_id: int
    name: str
    hours: Sequence[Span]
    closed: tuple[str, str] | None
    held: Span | None
    taken: frozenset[int] = frozenset()
    overbooking: int = 0
    privileged: bool = True

    def lane(self, *, overbook: bool) -> int | None:
        """The first lane that is free; None when there is none.

        Without `overbook`, lane 0 while no lane is taken: whoever was overbooked needs the resource as well, though the
        appointment beside which it was squeezed in be gone since.
        """
        if not overbook:
            return None if self.taken else 0
        return next((lane for lane in range(self.overbooking + 1) if lane not in self.taken), None)


@dataclass(frozen=True)
class Need:
    """One requirement of an appointment over its span in UTC, and the resources that could serve."""

    category: str
    starts_at: datetime
    ends_at: datetime
    candidates: list[Candidate]


class SlotUnavailable(Refusal):
    """Somebody or something is not free at that time; code "taken"."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="taken", field="starts_at")


#: All that decides about a booking, in one round trip: what else the patient has in the span, and for each requirement
#: every resource that could serve it, with its hours on the days that are touched, what closes it and what holds it.
#: Overlaps are written as in the exclusion constraints, so that their indexes are used.
RESOURCES_QUERY = """
    SELECT busy.starts_at, busy.ends_at, need.id, need.category, need.starts_at, need.ends_at,
           candidate.id, candidate.name, hours.days, hours.opens, hours.closes,
           closure.site_id, closure.reason, held.starts_at, held.ends_at, held.lanes, candidate.overbooking,
           candidate.privileged, shut.reason
      FROM (
        SELECT %(starts_at)s::timestamptz AS starts_at,
               TSTZRANGE(%(starts_at)s::timestamptz, %(ends_at)s::timestamptz, '[)') AS span,
               -- Its own, the one that it replaces, and holds that have run out: these stand in nobody's way.
               %(own)s::bigint[] || ARRAY(
                   SELECT id FROM procedures_appointment WHERE status = 'held' AND held_until <= %(now)s::timestamptz
               ) AS own
           ) AS whole
 LEFT JOIN LATERAL (
        SELECT starts_at, ends_at FROM procedures_appointment
         WHERE patient_id = %(patient)s::bigint
           AND status NOT IN ('requested', 'no_show', 'cancelled', 'entered_in_error')
           AND TSTZRANGE(starts_at, ends_at, '[)') && whole.span AND id <> ALL (own)
         LIMIT 1
           ) AS busy ON TRUE
 LEFT JOIN LATERAL (
        SELECT reason FROM clinic_closure
         WHERE site_id = %(site)s::bigint
           AND starts_at < %(ends_at)s::timestamptz AND ends_at > %(starts_at)s::timestamptz
         LIMIT 1
           ) AS shut ON TRUE
 LEFT JOIN (
        SELECT requirement.id, category_id, category.name AS category, starts_after_minutes,
               needs_privilege,
               %(starts_at)s::timestamptz + (starts_after_minutes - setup_minutes) * INTERVAL '1 minute' AS starts_at,
               %(starts_at)s::timestamptz
                   + (starts_after_minutes + lasts_minutes + turnover_minutes) * INTERVAL '1 minute' AS ends_at
          FROM procedures_resourcerequirement AS requirement
          JOIN clinic_resourcecategory AS category ON category.id = category_id
         WHERE procedure_type_id = %(kind)s::bigint
           ) AS need ON TRUE
 LEFT JOIN LATERAL (
        SELECT resource.id, name, overbooking,
               NOT need.needs_privilege OR EXISTS (
                   SELECT FROM procedures_privilege
                    WHERE resource_id = resource.id AND family = %(family)s::text
                      AND (valid_until_on IS NULL OR valid_until_on >= %(day)s::date)
               ) AS privileged
          FROM clinic_resource AS resource
          JOIN clinic_resource_categories AS serves ON serves.resource_id = resource.id
         WHERE serves.resourcecategory_id = need.category_id AND active
           AND (site_id = %(site)s::bigint
                OR EXISTS (SELECT FROM clinic_workinghours
                            WHERE resource_id = resource.id AND site_id = %(site)s::bigint))
           AND (resource.id = ANY (%(chosen)s::bigint[])
                OR NOT EXISTS (SELECT FROM clinic_resource_categories
                                WHERE resourcecategory_id = need.category_id
                                  AND resource_id = ANY (%(chosen)s::bigint[])))
           ) AS candidate ON TRUE
 LEFT JOIN LATERAL (
        SELECT ARRAY_AGG(day) AS days, ARRAY_AGG(opens) AS opens, ARRAY_AGG(closes) AS closes
          FROM clinic_workinghours
          JOIN UNNEST(%(days)s::date[]) AS day ON weekday = EXTRACT(ISODOW FROM day) - 1
         WHERE resource_id = candidate.id AND site_id = %(site)s::bigint
           AND (valid_from_on IS NULL OR valid_from_on <= day)
           AND (valid_until_on IS NULL OR valid_until_on >= day)
           ) AS hours ON TRUE
 LEFT JOIN LATERAL (
        SELECT site_id, reason FROM clinic_closure
         WHERE (resource_id = candidate.id OR site_id = %(site)s::bigint)
           AND starts_at < need.ends_at AND ends_at > need.starts_at
         LIMIT 1
           ) AS closure ON TRUE
 LEFT JOIN LATERAL (
        SELECT MIN(starts_at) AS starts_at, MAX(ends_at) AS ends_at, ARRAY_AGG(lane) AS lanes
          FROM procedures_reservation
         WHERE resource_id = candidate.id AND released_at IS NULL AND appointment_id <> ALL (own)
           AND TSTZRANGE(starts_at, ends_at, '[)') && TSTZRANGE(need.starts_at, need.ends_at, '[)')
           ) AS held ON TRUE
  ORDER BY need.starts_after_minutes, need.id, candidate.name
"""


def resource_needs(appointment: Appointment, chosen: Sequence[Resource], *, now: datetime) -> list[Need]:
    """What stands in the way now: each requirement over its span, with the resources that could serve it.

    A hold that has run out at `now` no longer blocks the time, even before it is released.

    Those are the chosen ones, or all of the category when none of it was chosen. Raises SlotUnavailable when the
    patient has another live appointment in the span; Refusal "closed" when the site is closed at any moment of it,
    "inactive" for a chosen resource that is out of use, "not_needed" for one that no requirement asks for,
    "no_requirements" for a procedure type that asks for nothing: no hours and no closure would keep it from the middle
    of the night.
    """
    site, zone = appointment.site, appointment.site.zone
    asked = {
        "starts_at": appointment.starts_at,
        "ends_at": appointment.ends_at,
        "patient": appointment.patient_id,
        "kind": appointment.procedure_type_id,
        "site": appointment.site_id,
        "own": own_ids(appointment),
        "now": now,
        "chosen": [resource.pk for resource in chosen],
        "days": days_touched(*whole_span(appointment), zone),
        "family": appointment.procedure_type.family,
        "day": appointment.starts_at.astimezone(zone).date(),
    }
    rows = prepared_statements.fetch_all(RESOURCES_QUERY, asked)
    busy_from, busy_until, *_, shut = rows[0]
    if busy_from:
        raise SlotUnavailable(
            f"The patient has another appointment {span_words(busy_from, busy_until, site)}."
        )
    if shut is not None:
        words = span_words(appointment.starts_at, appointment.ends_at, site)
        raise closed(str(site), words, shut)
    needs: dict[int, Need] = {}
    for _, _, need_id, category, starts_at, ends_at, resource_id, name, *facts in rows:
        if need_id is None:
            continue
        need = needs.setdefault(need_id, Need(category, starts_at, ends_at, []))
        if resource_id is not None:
            days, opens, closes, closed_site, closed_reason, held_from, held_until, *more = facts
            lanes, overbooking, privileged, _ = more
            need.candidates.append(
                Candidate(
                    resource_id,
                    name,
                    hours=open_spans(zip(days or (), opens or (), closes or (), strict=True), zone),
                    closed=None
                    if closed_reason is None
                    else (str(site) if closed_site else name, closed_reason),
                    held=(held_from, held_until) if held_from else None,
                    taken=frozenset(lanes or ()),
                    overbooking=overbooking,
                    privileged=privileged,
                )
            )
    if not needs:
        raise Refusal(
            "This procedure type says nothing of what it needs, so that no time can be taken for it.",
            code="no_requirements",
            field="procedure_type",
        )
    serving = {candidate.resource_id for need in needs.values() for candidate in need.candidates}
    for resource in chosen:
        if not resource.active:
            raise Refusal(f"{resource} is out of use.", code="inactive", field="resources")
        if resource.pk not in serving:
            raise Refusal(
                f"{resource} is not needed for this procedure at this site.",
                code="not_needed",
                field="resources",
            )
    return list(needs.values())


def closed(what: str, when: str, why: str) -> Refusal:
    """The refusal of a time at which a site or a resource is closed."""
    return Refusal(f"{what} is closed {when}: {why}.", code="closed", field="starts_at")


def whole_span(appointment: Appointment) -> Span:
    """From the first set-up to the last turnover, or longer: what days must be looked at."""
    margin = timedelta(minutes=LONGEST_BUFFER_MINUTES)
    return appointment.starts_at - margin, appointment.ends_at + margin


def own_ids(appointment: Appointment) -> list[int]:
    """The appointments that do not stand in this one's way: itself and the one that it replaces."""
    return [pk for pk in (appointment.pk, appointment.rescheduled_from_id) if pk]


def choose_resources(
    appointment: Appointment, needs: Sequence[Need], *, overbook: bool = False
) -> list[Reservation]:
    """One reservation a need, of the first candidate that is there, open and free.

    Needs with the fewest candidates choose first. With `overbook` a resource that is taken may be held in one of its
    overbooking lanes as well, when none is free. Raises Refusal "no_privilege", "outside_hours" or "closed", or
    SlotUnavailable, whichever comes closest to succeeding, with the resource's name and the time.
    """
    result: list[Reservation] = []
    for need in sorted(needs, key=lambda need: len(need.candidates)):
        refusals: list[Refusal] = []
        for lanes_too in (False, True) if overbook else (False,):
            for candidate in need.candidates:
                refusal = why_not(candidate, need, appointment.site, result, overbook=lanes_too)
                if refusal is None:
                    break
                refusals.append(refusal)
            else:
                continue
            result.append(
                Reservation(
                    appointment=appointment,
                    resource_id=candidate.resource_id,
                    starts_at=need.starts_at,
                    ends_at=need.ends_at,
                    lane=candidate.lane(overbook=lanes_too) or 0,
                )
            )
            break
        else:
            raise nearest(need, refusals, appointment.site)
    return result


def is_overbooked(needs: Iterable[Need], chosen: Iterable[Reservation]) -> bool:
    """Whether any of the chosen reservations is of a resource that somebody else has at that time, in any lane."""
    taken = {
        (need.starts_at, candidate.resource_id)
        for need in needs
        for candidate in need.candidates
        if candidate.taken
    }
    return any((reservation.starts_at, reservation.resource_id) in taken for reservation in chosen)


def why_not(
    candidate: Candidate,
    need: Need,
    site: Site,
    just_chosen: Iterable[Reservation],
    *,
    overbook: bool,
) -> Refusal | None:
    """Why the candidate cannot serve `need`, or None when it can; with `overbook`, in a lane of its own."""
    if not candidate.privileged:
        return Refusal(
            f"{candidate.name} has no privilege for procedures of this kind.",
            code="no_privilege",
            field="resources",
        )
    if not covered(need.starts_at, need.ends_at, candidate.hours):
        words = span_words(need.starts_at, need.ends_at, site)
        return Refusal(f"{candidate.name} does not work {words}.", code="outside_hours", field="starts_at")
    if candidate.closed:
        what, why = candidate.closed
        words = span_words(need.starts_at, need.ends_at, site)
        return closed(what, words, why)
    for other in just_chosen:
        if (
            other.resource_id == candidate.resource_id
            and other.starts_at < need.ends_at
            and other.ends_at > need.starts_at
        ):
            return SlotUnavailable(
                f"{candidate.name} is taken {span_words(other.starts_at, other.ends_at, site)}."
            )
    if candidate.held and candidate.lane(overbook=overbook) is None:
        return SlotUnavailable(f"{candidate.name} is taken {span_words(*candidate.held, site)}.")
    return None


def nearest(need: Need, refusals: Sequence[Refusal], site: Site) -> Refusal:
    """The refusal that tells the clerk most, in the order of NEAREST."""
    category = need.category.lower()
    if not refusals:
        return Refusal(f"There is no {category} at this site.", code="outside_hours", field="starts_at")
    best = min(refusals, key=lambda refusal: NEAREST.index(str(refusal.code)))
    if len(need.candidates) == 1 or best.code != "taken":
        return best
    return SlotUnavailable(f"Every {category} is taken {span_words(need.starts_at, need.ends_at, site)}.")


def span_words(starts_at: datetime, ends_at: datetime, site: Site) -> str:
    """How a clerk says a span: from 09:00 to 09:45 on 2027-01-15, on the site's wall clock."""
    start, end = starts_at.astimezone(site.zone), ends_at.astimezone(site.zone)
    return f"from {start:%H:%M} to {end:%H:%M} on {start:%Y-%m-%d}"


def refuse_gone(patient: Patient) -> None:
    """Raise Refusal "patient_not_bookable" for a patient who has died or whose record is part of another."""
    if patient.died_on or patient.merged_into_id:
        state = "has died" if patient.died_on else "was merged into another record"
        raise Refusal(f"This patient {state}.", code="patient_not_bookable", field="patient")


#: The patient's row is not even looked for before all the resources are locked: it waits for their number.
LOCK_QUERY = """
    SELECT id FROM patients_patient
     WHERE id = %(patient)s::bigint AND 0 <= (
        SELECT COUNT(*) FROM (
            SELECT FROM clinic_resource WHERE id = ANY (%(resources)s::bigint[]) ORDER BY id FOR NO KEY UPDATE
        ) AS resources
     )
       FOR NO KEY UPDATE
"""

#: Whether bookings lock the resources that they take (`no_resource_locked`).
resources_are_locked: ContextVar[bool] = ContextVar("resources_are_locked", default=True)


@contextmanager
def no_resource_locked() -> Iterator[None]:
    """Within it bookings lock the patient alone, and hold up no other booking until they are committed.

    For times long past, such as the demo's history, which nobody else books. Two of one resource are kept apart by
    the constraint: the later one is refused instead of waiting its turn.
    """
    before = resources_are_locked.set(False)
    try:
        yield
    finally:
        resources_are_locked.reset(before)


def lock(reservations: Iterable[Reservation], patient_id: int) -> None:
    """Wait for every rival booking of the same resources or the same patient to finish, and keep later ones waiting.

    Always in this order, resources by number and then the patient: two bookings never wait for each other in a ring.
    """
    resources = [reservation.resource_id for reservation in reservations if resources_are_locked.get()]
    prepared_statements.fetch_all(LOCK_QUERY, {"resources": resources, "patient": patient_id})
