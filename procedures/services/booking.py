"""Booking: all or nothing over every resource that the procedure type needs, and never anything twice.

Exclusion constraints guarantee it, locks avoid conflicts, and checks say what is wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from clinic import audit, prepared_statements
from clinic.models import Resource, User
from clinic.refusals import Refusal
from procedures.bookable_times import last_day, on_grid
from procedures.models import Appointment, AppointmentStep, Intent, ProcedureType, Reservation
from procedures.services import notifications
from procedures.services.booking_checks import (
    SlotUnavailable,
    choose_resources,
    is_overbooked,
    lock,
    own_ids,
    refuse_gone,
    resource_needs,
)
from procedures.services.transitions import release_expired_holds

#: How often a booking that may take any resource of a category looks again after a rival took the one it had chosen.
ATTEMPTS = 5
#: How long a time is held for a clerk who is still talking.
HOLD_LASTS = timedelta(minutes=10)
#: An appointment may be entered this long after it began: the patient stands at the desk.
LATE_ENTRY = timedelta(minutes=15)

#: PostgreSQL's code for spans that overlap (exclusion_violation).
OVERLAP = "23P01"
BY_A_RIVAL = "Somebody else has just taken this time."

#: What makes two requests under one key the same; the rest is detail.
IDENTIFYING_FIELDS = ("patient_id", "procedure_type_id", "site_id", "starts_at", "region", "laterality")

#: What need not be looked for: without one of them it is refused, and the foreign keys refuse what is gone since.
REFERENCES = ("patient", "procedure_type", "site", "booked_by")

INTENTS: dict[str, tuple[Intent, ...]] = {
    ProcedureType.Purpose.DIAGNOSTIC: (Intent.DIAGNOSTIC,),
    ProcedureType.Purpose.THERAPEUTIC: (Intent.THERAPEUTIC,),
    ProcedureType.Purpose.BOTH: (Intent.DIAGNOSTIC, Intent.THERAPEUTIC),
    ProcedureType.Purpose.TRIAL: (Intent.TRIAL,),
    ProcedureType.Purpose.IMPLANT: (Intent.IMPLANT,),
    ProcedureType.Purpose.MAINTENANCE: (Intent.MAINTENANCE,),
}


class LostRace(Exception):
    """A rival took what had been chosen, or closed it; perhaps something else is free."""


def book(
    appointment: Appointment,
    *,
    resources: Iterable[Resource] = (),
    by: User | None,
    now: datetime,
    request_key: str = "",
    hold: bool = False,
    request: bool = False,
    quietly: bool = False,
    imported: bool = False,
) -> Appointment:
    """Save a new appointment with all its reservations, or nothing.

    `request_key`: the caller's name for this request; the same one again from the same `by` returns the appointment
    that it made the first time. `hold`: keep the time for HOLD_LASTS only, unless `take_step(…, "book")` follows.
    `request`: only write down that it is wanted; nothing is reserved and nobody is told, until `accept` follows.
    `quietly`: the patient knows already and gets no confirmation by e-mail. `imported`: as for `preview_booking`.

    Raises as `preview_booking` does, for a request as `check_requested`; "taken" also when a rival was faster;
    "key_reused" when the key was used for something else; PermissionDenied for overbooking without the permission.
    """
    refuse_overbooking(appointment.overbooked_reason, by=by)
    if request_key and (first := made_before(appointment, request_key, by=by)):
        return first
    appointment.request_key, appointment.booked_by = request_key, by
    chosen = list(resources)
    if request:
        check_requested(appointment, resources=chosen, hold=hold, now=now)
        appointment.status = Appointment.Status.REQUESTED
    elif hold:
        appointment.status, appointment.held_until = Appointment.Status.HELD, now + HOLD_LASTS
    try:
        for _ in range(ATTEMPTS):
            with booking_transaction(now=now):
                reservations = [] if request else reserve(appointment, chosen, imported=imported, now=now)
                appointment.save(force_insert=True)
                Reservation.objects.bulk_create(reservations)
                step = AppointmentStep.objects.create(
                    appointment=appointment,
                    at=now,
                    step="request" if request else "hold" if hold else "book",
                    status=appointment.status,
                    by=by,
                    reason=appointment.overbooked_reason,
                )
                audit.record(
                    f"appointment.{appointment.status!s}",
                    appointment,
                    by=by,
                    at=now,
                    site=appointment.site,
                    reason=appointment.overbooked_reason,
                )
                if not quietly:
                    notifications.notify_booked(appointment, now=now)
                appointment.made_with = reservations, step
                return appointment
        raise SlotUnavailable(BY_A_RIVAL)
    except (SlotUnavailable, IntegrityError):
        appointment.pk = None  # it was not saved after all
        if request_key and (first := made_before(appointment, request_key, by=by)):
            return first  # the same click, a moment earlier, took it
        raise


@contextmanager
def booking_transaction(*, now: datetime) -> Iterator[None]:
    """One transaction that takes time; left without an error where a rival came in between, for another look.

    Raises SlotUnavailable where the database itself refused an overlap.
    """
    try:
        with transaction.atomic():
            yield
    except LostRace:
        # The locks went with the transaction or its savepoint. The next look says who was faster, or finds another
        # free resource of the category. Perhaps it was no rival but a hold that has run out.
        release_expired_holds(now=now)
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", None) != OVERLAP:
            raise
        raise SlotUnavailable(BY_A_RIVAL) from exc


def reserve(
    appointment: Appointment, chosen: list[Resource], *, imported: bool = False, now: datetime
) -> list[Reservation]:
    """What the appointment is to hold, in order of time and not saved yet, with the locks on all of it.

    Raises as `preview_booking` does, and LostRace when a rival came in between choosing and locking.
    """
    validate_appointment(appointment, imported=imported, now=now)
    needs = resource_needs(appointment, chosen, now=now)
    reservations = choose_resources(appointment, needs, overbook=bool(appointment.overbooked_reason))
    asked_for = {resource.pk: resource for resource in chosen}
    for reservation in reservations:
        if reservation.resource_id in asked_for:
            reservation.resource, reservation.named = asked_for[reservation.resource_id], True
    lock(reservations, appointment.patient_id)
    refuse_if_taken_since(appointment, reservations)
    if not is_overbooked(needs, reservations):
        appointment.overbooked_reason = ""  # everything was free after all
    return sorted(reservations, key=lambda reservation: reservation.starts_at)


def validate_appointment(appointment: Appointment, *, imported: bool = False, now: datetime) -> None:
    """The part of `preview_booking` that asks for nobody's time."""
    fill_in(appointment)
    appointment.created_at = appointment.created_at or now
    named = {name for name in REFERENCES if getattr(appointment, f"{name}_id")}
    appointment.full_clean(exclude=named, validate_constraints=False)
    refuse_impossible(appointment, now=now)
    refuse_start(appointment, any_minute=imported or bool(appointment.overbooked_reason), now=now)


def fill_in(appointment: Appointment) -> None:
    """Fill in what follows from the procedure type: the end, and the intent where there is no choice."""
    kind = appointment.procedure_type
    if appointment.starts_at and appointment.starts_at.tzinfo:
        appointment.ends_at = appointment.starts_at + timedelta(minutes=kind.total_minutes)
    possible = INTENTS[kind.purpose]
    if not appointment.intent and len(possible) == 1:
        appointment.intent = possible[0]


def refuse_impossible(appointment: Appointment, *, now: datetime) -> None:
    """Refuse what makes no sense whoever is free; see `preview_booking` for the codes."""
    if appointment.starts_at < now - LATE_ENTRY:
        raise Refusal("This time is in the past.", code="in_the_past", field="starts_at")
    # A move changes the time alone: what is booked of a type that is out of use, or another one by now, can be moved.
    if not appointment.rescheduled_from_id:
        refuse_other_kind(appointment)
    refuse_gone(appointment.patient)


def refuse_other_kind(appointment: Appointment) -> None:
    """Refuse what the procedure type is not, or does not offer."""
    kind = appointment.procedure_type
    if not kind.active:
        raise Refusal(
            "This procedure type is not offered.", code="unknown_procedure_type", field="procedure_type"
        )
    if appointment.intent not in INTENTS[kind.purpose]:
        allowed = " or ".join(str(intent.label) for intent in INTENTS[kind.purpose])
        raise Refusal(f"This procedure type is {allowed}.", code="intent_not_possible", field="intent")
    refuse_side(kind, appointment.laterality)
    if appointment.region and appointment.region not in kind.regions:
        raise Refusal(
            f"Possible here: {', '.join(kind.regions)}.", code="region_not_possible", field="region"
        )


def refuse_side(kind: ProcedureType, laterality: str) -> None:
    """Refuse a side that the procedure type does not have, or none where it wants one."""
    if kind.laterality == kind.Sided.REQUIRED and not laterality:
        raise Refusal("Name the side.", code="side_required", field="laterality")
    if laterality and laterality not in kind.laterality_options:
        allowed = ", ".join(kind.laterality_options) or "no side"
        raise Refusal(f"Possible here: {allowed}.", code="side_not_possible", field="laterality")


def refuse_start(appointment: Appointment, *, any_minute: bool, now: datetime) -> None:
    """Refuse a start off the site's grid, or off the minute where `any_minute` will do, and one too far ahead."""
    site = appointment.site
    if not on_grid(appointment.starts_at, site.zone, 1 if any_minute else site.grid_minutes):
        every = "on a full minute" if any_minute else f"every {site.grid_minutes} minutes"
        raise Refusal(f"Appointments at {site} begin {every}.", code="off_grid", field="starts_at")
    last = last_day(now, site.zone)
    if appointment.starts_at.astimezone(site.zone).date() > last:
        raise Refusal(
            f"The last day that can be booked is {last:%Y-%m-%d}.", code="too_far_ahead", field="starts_at"
        )


#: Whether anything overlaps by now, of the patient's or of the resources' that are about to be reserved, or the record
#: was merged into another one meanwhile. Who overbooks
#: has seen that others have the resource, and needs the chosen lane only.
TAKEN_SINCE_QUERY = """
    SELECT EXISTS (
        SELECT FROM procedures_appointment
         WHERE patient_id = %(patient)s::bigint
           AND status NOT IN ('requested', 'no_show', 'cancelled', 'entered_in_error')
           AND TSTZRANGE(starts_at, ends_at, '[)')
               && TSTZRANGE(%(starts_at)s::timestamptz, %(ends_at)s::timestamptz, '[)')
           AND id <> ALL (%(own)s::bigint[])
    ) OR EXISTS (
        SELECT FROM patients_patient WHERE id = %(patient)s::bigint AND merged_into_id IS NOT NULL
    ) OR EXISTS (
        SELECT FROM clinic_closure
         WHERE site_id = %(site)s::bigint
           AND starts_at < %(ends_at)s::timestamptz AND ends_at > %(starts_at)s::timestamptz
    ) OR EXISTS (
        SELECT FROM UNNEST(
                   %(resources)s::bigint[], %(lanes)s::int[], %(from)s::timestamptz[], %(until)s::timestamptz[]
               ) AS wanted (resource_id, lane, starts_at, ends_at)
         CROSS JOIN LATERAL (
                SELECT FROM clinic_closure
                 WHERE (resource_id = wanted.resource_id OR site_id = %(site)s::bigint)
                   AND starts_at < wanted.ends_at AND ends_at > wanted.starts_at
             UNION ALL
              (SELECT FROM procedures_reservation AS held
                 WHERE held.resource_id = wanted.resource_id AND released_at IS NULL
                   AND (held.lane = wanted.lane OR NOT %(overbook)s::bool)
                   AND appointment_id <> ALL (%(own)s::bigint[])
                   AND TSTZRANGE(held.starts_at, held.ends_at, '[)')
                       && TSTZRANGE(wanted.starts_at, wanted.ends_at, '[)')
                 LIMIT 1  -- keeps the planner to the index, one probe a resource
              )) AS rival
    )
"""


def refuse_if_taken_since(appointment: Appointment, reservations: Sequence[Reservation]) -> None:
    """With the locks held, look once more: what a rival committed while we waited is visible now.

    The constraints would refuse it too, but PostgreSQL would then write the row, with the patient's data, to its log.
    """
    asked = {
        "patient": appointment.patient_id,
        "starts_at": appointment.starts_at,
        "ends_at": appointment.ends_at,
        "own": own_ids(appointment),
        "site": appointment.site_id,
        "overbook": bool(appointment.overbooked_reason),
        "resources": [reservation.resource_id for reservation in reservations],
        "lanes": [reservation.lane for reservation in reservations],
        "from": [reservation.starts_at for reservation in reservations],
        "until": [reservation.ends_at for reservation in reservations],
    }
    [(overtaken,)] = prepared_statements.fetch_all(TAKEN_SINCE_QUERY, asked)
    if overtaken:
        raise LostRace


def refuse_overbooking(reason: str, *, by: User | None) -> None:
    """Raise PermissionDenied for a reason to overbook from somebody who may not."""
    if reason and by is not None and not by.has_perm("procedures.overbook_appointment"):
        raise PermissionDenied


def made_before(appointment: Appointment, request_key: str, *, by: User | None) -> Appointment | None:
    """The appointment that the same request made already; Refusal "key_reused" when it was another request."""
    first = with_key(request_key, by=by)
    if first:
        # Its first row of history says what was asked for: a request may have been accepted at another time since.
        asked = first.events.order_by("pgh_id").first() or first  # type: ignore[attr-defined]
        if any(getattr(asked, name) != getattr(appointment, name) for name in IDENTIFYING_FIELDS):
            raise key_reused()
    return first


def with_key(request_key: str, *, by: User | None) -> Appointment | None:
    """What `by` has asked for under this key; None when nothing, which is nearly always."""
    return Appointment.objects.filter(booked_by=by, request_key=request_key).first()


def key_reused() -> Refusal:
    """The refusal of a key that already named something else."""
    return Refusal("This key was used for another request.", code="key_reused", field="Idempotency-Key")


def preview_booking(
    appointment: Appointment, *, resources: Iterable[Resource] = (), imported: bool = False, now: datetime
) -> list[Reservation]:
    """What booking `appointment` would reserve, or the refusal that it would meet. Saves and locks nothing.

    Fills in `ends_at`, and `intent` where the procedure type leaves no choice. `resources` are those that must be
    taken; for every category without one among them, any that is free is chosen.

    With a reason in `overbooked_reason`, resources that are taken may be held a second time, as far as each allows.
    `imported`: it comes from another calendar, and begins at any minute, not only at those of the site's grid.

    Raises ValidationError by field for values that no appointment may have, and Refusal with the codes "in_the_past",
    "off_grid", "too_far_ahead",
    "unknown_procedure_type", "intent_not_possible", "side_required", "side_not_possible", "region_not_possible",
    "patient_not_bookable", "no_requirements", "not_needed", "inactive", "no_privilege", "outside_hours", "closed",
    "taken".
    """
    validate_appointment(appointment, imported=imported, now=now)
    needs = resource_needs(appointment, list(resources), now=now)
    return choose_resources(appointment, needs, overbook=bool(appointment.overbooked_reason))


def check_requested(
    appointment: Appointment, *, resources: Iterable[Resource] = (), hold: bool = False, now: datetime
) -> None:
    """The refusal that a mere request for `appointment` would meet. Nobody's time is looked at, for none is taken.

    Raises as `preview_booking` does, and Refusal "not_needed" for resources, a hold or a reason to overbook: they would
    be lost.
    """
    taking = {"resources": resources, "hold": hold, "overbooked_reason": appointment.overbooked_reason}
    for field, given in taking.items():
        if given:
            raise Refusal("A request takes no time yet.", code="not_needed", field=field)
    validate_appointment(appointment, now=now)
