"""Locks: who wants the same resources or the same patient waits, always in one order; and the look behind them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Exists, OuterRef, Q

from clinic import planned_once
from clinic.models import Closure
from procedures.models import Appointment, Reservation
from procedures.services.booking_checks import SlotUnavailable, closed, own_ids, span_words


class LostRace(Exception):
    """A rival took what had been chosen, or closed it; perhaps something else is free."""


#: The patient's row is not even looked for before all the resources are locked: it waits for their number.
LOCK = """
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
    planned_once.fetch_all(LOCK, {"resources": resources, "patient": patient_id})


#: Whether anything overlaps by now, of the patient's or of the resources' that are about to be reserved, or the record
#: was merged into another one meanwhile. Who overbooks
#: has seen that others have the resource, and needs the chosen lane only.
RIVAL = """
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
    [(overtaken,)] = planned_once.fetch_all(RIVAL, asked)
    if overtaken:
        raise LostRace


def refuse_if_closed_since(held: Appointment) -> None:
    """With the locks held: Refusal "closed" when anything that `held` holds was closed after it was taken."""
    holding = Reservation.objects.filter(
        Q(resource=OuterRef("resource")) | Q(appointment__site=OuterRef("site")),
        appointment=held,
        released_at=None,
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    )
    during = Q(site=held.site_id, starts_at__lt=held.ends_at, ends_at__gt=held.starts_at)
    closure = Closure.objects.select_related("site", "resource").filter(Exists(holding) | during).first()
    if closure:
        words = span_words(held.starts_at, held.ends_at, held.site)
        raise closed(str(closure.site or closure.resource), words, closure.reason)


def refuse_if_taken_again(gone: Appointment) -> None:
    """With the locks held: SlotUnavailable when the patient, or anything that `gone` held, was given to another since.

    Who shares a resource with it for a reason, in another lane, is not in its way.
    """
    during = Q(starts_at__lt=gone.ends_at, ends_at__gt=gone.starts_at)
    busy = Appointment.objects.filter(during, patient=gone.patient_id, status__in=Appointment.LIVE).first()
    if busy:
        words = span_words(busy.starts_at, busy.ends_at, gone.site)
        raise SlotUnavailable(f"The patient has another appointment {words}.")
    held = gone.reservations.filter(
        resource=OuterRef("resource"), starts_at__lt=OuterRef("ends_at"), ends_at__gt=OuterRef("starts_at")
    )
    in_the_way = Q(Exists(held.filter(lane=OuterRef("lane"))))
    if not gone.overbooked_reason:
        in_the_way |= Q(Exists(held), appointment__overbooked_reason="")
    rival = Reservation.objects.filter(in_the_way, released_at=None).select_related("resource").first()
    if rival:
        words = span_words(rival.starts_at, rival.ends_at, gone.site)
        raise SlotUnavailable(f"{rival.resource} is taken {words}.")
