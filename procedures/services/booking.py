"""Booking: all or nothing over every resource that the procedure type needs, and never anything twice.

The database's exclusion constraints are the guarantee, the locks are the manners, and the checks are the words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction

from clinic import audit
from clinic.models import Resource, Site, User
from clinic.refusals import Refusal
from procedures.hours import Span, covered, days_touched, open_spans
from procedures.models import Appointment, Intent, ProcedureType, Reservation

#: How often a booking that may take any resource of a category looks again after a rival took the one it had chosen.
LOOKS = 5
#: An appointment may be entered this long after it began: the patient stands at the desk.
LATE_ENTRY = timedelta(minutes=15)

INTENTS: dict[str, tuple[Intent, ...]] = {
    ProcedureType.Purpose.DIAGNOSTIC: (Intent.DIAGNOSTIC,),
    ProcedureType.Purpose.THERAPEUTIC: (Intent.THERAPEUTIC,),
    ProcedureType.Purpose.BOTH: (Intent.DIAGNOSTIC, Intent.THERAPEUTIC),
    ProcedureType.Purpose.TRIAL: (Intent.TRIAL,),
    ProcedureType.Purpose.IMPLANT: (Intent.IMPLANT,),
    ProcedureType.Purpose.MAINTENANCE: (Intent.MAINTENANCE,),
}


@dataclass(frozen=True)
class Candidate:
    """A resource that could serve a need, and what stands in its way over the need's span.

    `hours` are its working spans in UTC on the days that the appointment touches, in order. `closed` says what is
    closed and why, `held` the span in UTC of a reservation that overlaps; both None when there is nothing.
    """

    resource_id: int
    name: str
    hours: Sequence[Span]
    closed: tuple[str, str] | None
    held: Span | None


@dataclass(frozen=True)
class Need:
    """One requirement of an appointment over its span in UTC, and the resources that could serve."""

    category: str
    starts_at: datetime
    ends_at: datetime
    candidates: list[Candidate]


class Taken(Refusal):
    """Somebody or something is not free at that time; code "taken"."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="taken", field="starts_at")


def check(
    appointment: Appointment, *, resources: Iterable[Resource] = (), now: datetime
) -> list[Reservation]:
    """What booking `appointment` would reserve, or the refusal that it would meet. Saves and locks nothing.

    Fills in `ends_at`, and `intent` where the procedure type leaves no choice. `resources` are those that must be
    taken; for every category without one among them, any that is free is chosen.

    Raises ValidationError by field for values that no appointment may have, and Refusal with the codes "in_the_past",
    "unknown_procedure_type", "intent_required", "intent_not_possible", "side_required", "side_not_possible",
    "region_not_possible", "patient_not_bookable", "not_needed", "inactive", "outside_hours", "closed", "taken".
    """
    complete(appointment)
    appointment.created_at = appointment.created_at or now
    # What was read from the database need not be asked for again: the foreign keys refuse what is gone since.
    read = {
        name for name in ("patient", "procedure_type", "site") if appointment._state.fields_cache.get(name)
    }
    appointment.full_clean(exclude=read, validate_constraints=False)
    check_request(appointment, now=now)
    return choose(appointment, look(appointment, list(resources)))


def complete(appointment: Appointment) -> None:
    """Fill in what follows from the procedure type: the end, and the intent where there is no choice."""
    kind = appointment.procedure_type
    if appointment.starts_at and appointment.starts_at.tzinfo:
        appointment.ends_at = appointment.starts_at + timedelta(minutes=kind.total_minutes)
    possible = INTENTS[kind.purpose]
    if not appointment.intent and len(possible) == 1:
        appointment.intent = possible[0]


def check_request(appointment: Appointment, *, now: datetime) -> None:
    """Refuse what makes no sense whoever is free; see `check` for the codes."""
    kind = appointment.procedure_type
    if appointment.starts_at < now - LATE_ENTRY:
        raise Refusal("This time is in the past.", code="in_the_past", field="starts_at")
    if not kind.active:
        raise Refusal(
            "This procedure type is not offered.", code="unknown_procedure_type", field="procedure_type"
        )
    if appointment.intent not in INTENTS[kind.purpose]:
        allowed = " or ".join(str(intent.label) for intent in INTENTS[kind.purpose])
        raise Refusal(f"This procedure type is {allowed}.", code="intent_not_possible", field="intent")
    if kind.laterality == kind.Sided.REQUIRED and not appointment.laterality:
        raise Refusal("Name the side.", code="side_required", field="laterality")
    if appointment.laterality and appointment.laterality not in kind.laterality_options:
        allowed = ", ".join(kind.laterality_options) or "no side"
        raise Refusal(f"Possible here: {allowed}.", code="side_not_possible", field="laterality")
    if appointment.region and appointment.region not in kind.regions:
        raise Refusal(
            f"Possible here: {', '.join(kind.regions)}.", code="region_not_possible", field="region"
        )
    patient = appointment.patient
    if patient.died_on or patient.merged_into_id:
        state = "has died" if patient.died_on else "was merged into another record"
        raise Refusal(f"This patient {state}.", code="patient_not_bookable", field="patient")


#: All that decides about a booking, in one round trip: what else the patient has in the span, and for each requirement
#: every resource that could serve it, with its hours on the days that are touched, what closes it and what holds it.
#: The overlaps are asked in the words of the exclusion constraints, whose indexes answer them.
LOOK = """
    SELECT busy.starts_at, busy.ends_at, need.id, need.category, need.starts_at, need.ends_at,
           candidate.id, candidate.name, hours.days, hours.opens, hours.closes,
           closure.site_id, closure.reason, held.starts_at, held.ends_at
      FROM (SELECT TSTZRANGE(%(starts_at)s, %(ends_at)s, '[)') AS span) AS whole
 LEFT JOIN LATERAL (
        SELECT starts_at, ends_at FROM procedures_appointment
         WHERE patient_id = %(patient)s::bigint AND status IN ('booked', 'arrived', 'completed')
           AND TSTZRANGE(starts_at, ends_at, '[)') && whole.span AND id <> ALL (%(own)s::bigint[])
         LIMIT 1
           ) AS busy ON TRUE
 LEFT JOIN (
        SELECT requirement.id, category_id, category.name AS category, starts_after_minutes,
               %(starts_at)s + starts_after_minutes * INTERVAL '1 minute' AS starts_at,
               %(starts_at)s + (starts_after_minutes + lasts_minutes) * INTERVAL '1 minute' AS ends_at
          FROM procedures_resourcerequirement AS requirement
          JOIN clinic_resourcecategory AS category ON category.id = category_id
         WHERE procedure_type_id = %(kind)s::bigint
           ) AS need ON TRUE
 LEFT JOIN LATERAL (
        SELECT resource.id, name FROM clinic_resource AS resource
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
        SELECT starts_at, ends_at FROM procedures_reservation
         WHERE resource_id = candidate.id AND released_at IS NULL AND appointment_id <> ALL (%(own)s::bigint[])
           AND TSTZRANGE(starts_at, ends_at, '[)') && TSTZRANGE(need.starts_at, need.ends_at, '[)')
         LIMIT 1
           ) AS held ON TRUE
  ORDER BY need.starts_after_minutes, need.id, candidate.name
"""


def look(appointment: Appointment, chosen: Sequence[Resource]) -> list[Need]:
    """What stands in the way now: each requirement over its span, with the resources that could serve it.

    Those are the chosen ones, or all of the category when none of it was chosen. Raises Taken when the patient has
    another live appointment in the span; Refusal "inactive" for a chosen resource that is out of use, "not_needed"
    for one that no requirement asks for.
    """
    site, zone = appointment.site, appointment.site.zone
    with connection.cursor() as cursor:
        cursor.execute(
            LOOK,
            {
                "starts_at": appointment.starts_at,
                "ends_at": appointment.ends_at,
                "patient": appointment.patient_id,
                "kind": appointment.procedure_type_id,
                "site": appointment.site_id,
                "own": own_ids(appointment),
                "chosen": [resource.pk for resource in chosen],
                "days": days_touched(appointment.starts_at, appointment.ends_at, zone),
            },
        )
        rows = cursor.fetchall()
    busy_from, busy_until = rows[0][:2]
    if busy_from:
        raise Taken(f"The patient has another appointment {span_words(busy_from, busy_until, site)}.")
    needs: dict[int, Need] = {}
    for _, _, need_id, category, starts_at, ends_at, resource_id, name, *facts in rows:
        if need_id is None:
            continue
        need = needs.setdefault(need_id, Need(category, starts_at, ends_at, []))
        if resource_id is not None:
            days, opens, closes, closed_site, closed_reason, held_from, held_until = facts
            need.candidates.append(
                Candidate(
                    resource_id,
                    name,
                    hours=open_spans(zip(days or (), opens or (), closes or (), strict=True), zone),
                    closed=None
                    if closed_reason is None
                    else (str(site) if closed_site else name, closed_reason),
                    held=(held_from, held_until) if held_from else None,
                )
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


def own_ids(appointment: Appointment) -> list[int]:
    """The appointments that do not stand in this one's way: itself and the one that it replaces."""
    return [pk for pk in (appointment.pk, appointment.rescheduled_from_id) if pk]


def choose(appointment: Appointment, needs: Sequence[Need]) -> list[Reservation]:
    """One reservation a need, of the first candidate that is there, open and free.

    Needs with the fewest candidates choose first. Raises Refusal "outside_hours" or "closed", or Taken, whichever
    comes closest to succeeding, with the resource's name and the time.
    """
    result: list[Reservation] = []
    for need in sorted(needs, key=lambda need: len(need.candidates)):
        refusals: list[Refusal] = []
        for candidate in need.candidates:
            refusal = why_not(candidate, need, appointment.site, result)
            if refusal is None:
                result.append(
                    Reservation(
                        appointment=appointment,
                        resource_id=candidate.resource_id,
                        starts_at=need.starts_at,
                        ends_at=need.ends_at,
                    )
                )
                break
            refusals.append(refusal)
        else:
            raise nearest(need, refusals, appointment.site)
    return result


def why_not(
    candidate: Candidate, need: Need, site: Site, just_chosen: Iterable[Reservation]
) -> Refusal | None:
    """Why the candidate cannot serve `need`, or None when it can."""
    if not covered(need.starts_at, need.ends_at, candidate.hours):
        words = span_words(need.starts_at, need.ends_at, site)
        return Refusal(f"{candidate.name} does not work {words}.", code="outside_hours", field="starts_at")
    if candidate.closed:
        what, why = candidate.closed
        words = span_words(need.starts_at, need.ends_at, site)
        return Refusal(f"{what} is closed {words}: {why}.", code="closed", field="starts_at")
    held = candidate.held
    for other in just_chosen:
        if (
            other.resource_id == candidate.resource_id
            and other.starts_at < need.ends_at
            and other.ends_at > need.starts_at
        ):
            held = (other.starts_at, other.ends_at)
    return Taken(f"{candidate.name} is taken {span_words(*held, site)}.") if held else None


def nearest(need: Need, refusals: Sequence[Refusal], site: Site) -> Refusal:
    """The refusal that tells the clerk most: taken before closed before outside hours."""
    category = need.category.lower()
    if not refusals:
        return Refusal(f"There is no {category} at this site.", code="outside_hours", field="starts_at")
    best = min(refusals, key=lambda refusal: ("taken", "closed", "outside_hours").index(str(refusal.code)))
    if len(refusals) == 1 or best.code != "taken":
        return best
    return Taken(f"Every {category} is taken {span_words(need.starts_at, need.ends_at, site)}.")


def span_words(starts_at: datetime, ends_at: datetime, site: Site) -> str:
    """How a clerk says a span: from 09:00 to 09:45 on 2027-01-15, on the site's wall clock."""
    start, end = starts_at.astimezone(site.zone), ends_at.astimezone(site.zone)
    return f"from {start:%H:%M} to {end:%H:%M} on {start:%Y-%m-%d}"


def hold(reservations: Iterable[Reservation], patient_id: int) -> None:
    """Wait for every rival booking of the same resources or the same patient to finish, and keep later ones waiting.

    Always in this order, resources by number and then the patient: two bookings never wait for each other in a ring.
    """
    ids = [reservation.resource_id for reservation in reservations]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM clinic_resource WHERE id = ANY (%s::bigint[]) ORDER BY id FOR NO KEY UPDATE;"
            "SELECT FROM patients_patient WHERE id = %s FOR NO KEY UPDATE",
            [ids, patient_id],
        )


def book(
    appointment: Appointment, *, resources: Iterable[Resource] = (), by: User | None, now: datetime
) -> Appointment:
    """Save a new appointment with all its reservations, or nothing.

    Raises as `check` does; "taken" also when a rival was faster.
    """
    chosen = list(resources)
    for _ in range(LOOKS):
        try:
            with transaction.atomic():
                return book_once(appointment, chosen, by=by, now=now)
        except Overtaken:
            # The locks went with the transaction or its savepoint. The next look says who was faster, or finds another
            # free resource of the category.
            continue
        except IntegrityError as exc:
            appointment.pk = None
            appointment._state.adding = True
            if is_overlap(exc):
                break
            raise
    raise Taken("Somebody else has just taken this time.")


class Overtaken(Exception):
    """A rival took what had been chosen; perhaps something else is free."""


def book_once(
    appointment: Appointment, chosen: list[Resource], *, by: User | None, now: datetime
) -> Appointment:
    """Choose, lock, look again, save. Raises Overtaken when a rival came in between choosing and locking."""
    reservations = check(appointment, resources=chosen, now=now)
    hold(reservations, appointment.patient_id)
    refuse_if_taken_since(appointment, reservations)
    appointment.save(force_insert=True)
    Reservation.objects.bulk_create(reservations)
    audit.record("appointment.booked", appointment, by=by, at=now, site=appointment.site)
    return appointment


#: Whether anything overlaps by now, of the patient's or of the resources' that are about to be reserved.
RIVAL = """
    SELECT EXISTS (
        SELECT FROM procedures_appointment
         WHERE patient_id = %(patient)s::bigint AND status IN ('booked', 'arrived', 'completed')
           AND TSTZRANGE(starts_at, ends_at, '[)') && TSTZRANGE(%(starts_at)s, %(ends_at)s, '[)')
           AND id <> ALL (%(own)s::bigint[])
    ) OR EXISTS (
        SELECT FROM UNNEST(%(resources)s::bigint[], %(from)s::timestamptz[], %(until)s::timestamptz[])
                 AS wanted (resource_id, starts_at, ends_at)
         CROSS JOIN LATERAL (
                SELECT FROM procedures_reservation AS held
                 WHERE held.resource_id = wanted.resource_id AND released_at IS NULL
                   AND appointment_id <> ALL (%(own)s::bigint[])
                   AND TSTZRANGE(held.starts_at, held.ends_at, '[)')
                       && TSTZRANGE(wanted.starts_at, wanted.ends_at, '[)')
                 LIMIT 1  -- keeps the planner to the index, one probe a resource
                   ) AS rival
    )
"""


def refuse_if_taken_since(appointment: Appointment, reservations: Sequence[Reservation]) -> None:
    """With the locks held, look once more: what a rival committed while we waited is visible now.

    The constraints would refuse it too, but PostgreSQL would then write the row, with the patient's data, to its log.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            RIVAL,
            {
                "patient": appointment.patient_id,
                "starts_at": appointment.starts_at,
                "ends_at": appointment.ends_at,
                "own": own_ids(appointment),
                "resources": [reservation.resource_id for reservation in reservations],
                "from": [reservation.starts_at for reservation in reservations],
                "until": [reservation.ends_at for reservation in reservations],
            },
        )
        overtaken = cursor.fetchone() == (True,)
    if overtaken:
        raise Overtaken


def is_overlap(exc: IntegrityError) -> bool:
    """Whether the database refused because two spans overlap (SQLSTATE 23P01)."""
    return getattr(exc.__cause__, "sqlstate", None) == "23P01"


def locked(appointment_id: int) -> Appointment:
    """The appointment, locked until the transaction ends."""
    return (
        Appointment.objects.select_for_update(of=("self",))
        .select_related("site", "patient", "procedure_type")
        .get(pk=appointment_id)
    )


def step(
    appointment_id: int,
    *,
    to: str,
    allowed: tuple[str, ...],
    by: User | None,
    now: datetime,
    reason: str = "",
) -> Appointment:
    """Move an appointment to status `to`; Refusal "not_allowed_now" unless its status is among `allowed`."""
    appointment = locked(appointment_id)
    if appointment.status not in allowed:
        raise Refusal(
            f"This appointment is {appointment.get_status_display()}.", code="not_allowed_now", field="status"
        )
    appointment.status = to
    appointment.save(update_fields=["status"])
    if not appointment.live:
        appointment.reservations.filter(released_at=None).update(released_at=now)
    audit.record(f"appointment.{to}", appointment, by=by, at=now, site=appointment.site, reason=reason)
    return appointment


@transaction.atomic
def cancel(appointment_id: int, *, reason: str, by: User | None, now: datetime) -> Appointment:
    """Cancel a booked appointment; its time is free at once.

    Raises Refusal "reason_required" without a reason, "not_allowed_now" unless it is booked or arrived.
    """
    if not reason.strip():
        raise Refusal("Say why it is cancelled.", code="reason_required", field="reason")
    status = Appointment.Status
    return step(
        appointment_id,
        to=status.CANCELLED,
        allowed=(status.BOOKED, status.ARRIVED),
        by=by,
        now=now,
        reason=reason.strip(),
    )


@transaction.atomic
def arrive(appointment_id: int, *, by: User | None, now: datetime) -> Appointment:
    """The patient is here. Raises Refusal "not_allowed_now" unless it is booked, "not_today" on another day."""
    appointment = locked(appointment_id)
    zone = appointment.site.zone
    if appointment.starts_at.astimezone(zone).date() != now.astimezone(zone).date():
        raise Refusal("This appointment is not today.", code="not_today", field="status")
    status = Appointment.Status
    return step(appointment_id, to=status.ARRIVED, allowed=(status.BOOKED,), by=by, now=now)


@transaction.atomic
def mark_no_show(appointment_id: int, *, by: User | None, now: datetime) -> Appointment:
    """The patient did not come. Raises Refusal "too_early" before the start, "not_allowed_now" unless booked."""
    if locked(appointment_id).starts_at > now:
        raise Refusal("The appointment has not begun yet.", code="too_early", field="status")
    status = Appointment.Status
    return step(appointment_id, to=status.NO_SHOW, allowed=(status.BOOKED,), by=by, now=now)


@transaction.atomic
def reschedule(
    appointment_id: int,
    *,
    starts_at: datetime,
    resources: Iterable[Resource] = (),
    by: User | None,
    now: datetime,
) -> Appointment:
    """Move a booked appointment: take the new time, then free the old one, both or neither.

    Returns the new appointment, whose `rescheduled_from` is the old one. Raises as `book` does, and "not_allowed_now"
    unless the old one is booked.
    """
    old = locked(appointment_id)
    if old.status != Appointment.Status.BOOKED:
        raise Refusal(
            f"This appointment is {old.get_status_display()}.", code="not_allowed_now", field="status"
        )
    # The old time is given back first inside the transaction, so that the new may overlap it; nobody else sees a gap.
    step(
        appointment_id,
        to=Appointment.Status.CANCELLED,
        allowed=(Appointment.Status.BOOKED,),
        by=by,
        now=now,
        reason="rescheduled",
    )
    new = Appointment(
        patient=old.patient,
        procedure_type=old.procedure_type,
        site=old.site,
        starts_at=starts_at,
        intent=old.intent,
        region=old.region,
        laterality=old.laterality,
        levels=old.levels,
        indication=old.indication,
        note=old.note,
        rescheduled_from=old,
    )
    return book(new, resources=resources, by=by, now=now)
