"""Another time for each of many appointments: proposed one after the other, so that no two get the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.models import Resource, User
from clinic.refusals import Refusal
from clinic.timezones import day_span
from procedures.availability import Slot, find_slots
from procedures.bookable_times import Span
from procedures.models import Appointment
from procedures.services.rescheduling import kept_resources, reschedule

#: How far ahead another time is looked for, and among how many.
WITHIN, STARTS = timedelta(days=60), 400
#: How many appointments are rebooked at once.
AT_ONCE = 25


@dataclass(frozen=True)
class Proposal:
    """Another time for an appointment; `slot` None: there is none. `keep` False: only without what would go along."""

    appointment: Appointment
    slot: Slot | None
    keep: bool
    along: list[Resource]


def propose(appointments: Sequence[Appointment], *, now: datetime) -> list[Proposal]:
    """For each of up to AT_ONCE appointments, in their order, the first time from its own day on that would do.

    With what goes along when it is moved; where that is not free within WITHIN, with whoever is. What is proposed to
    one is not proposed to the next. Two or three queries an appointment; nothing is held.
    """
    taken: defaultdict[int, list[Span]] = defaultdict(list)
    patients: defaultdict[int, list[Span]] = defaultdict(list)
    result = []
    for old in appointments[:AT_ONCE]:
        along = kept_resources(old)
        slot, keep = None, True
        for keep in (True, False):
            slot = first_free(old, along if keep else [], taken, patients[old.patient_id], now=now)
            if slot or not along:
                break
        if slot:
            patients[old.patient_id].append((slot.starts_at, slot.ends_at))
            for number, span in holds(old, slot):
                taken[number].append(span)
        result.append(Proposal(old, slot, keep, along))
    return result


def first_free(
    old: Appointment,
    along: list[Resource],
    taken: defaultdict[int, list[Span]],
    busy: list[Span],
    *,
    now: datetime,
) -> Slot | None:
    """The first time that nothing proposed before takes."""
    since = max(now, day_span(old.starts_at.astimezone(old.site.zone).date(), old.site.zone)[0])
    slots = find_slots(
        old.procedure_type,
        sites=[old.site],
        starts_from=since,
        starts_before=since + WITHIN,
        now=now,
        resources=along,
        patient=old.patient,
        replacing=old,
        limit=STARTS,
    )
    return next(
        (
            slot
            for slot in slots
            if not meets((slot.starts_at, slot.ends_at), busy)
            and not any(meets(span, taken[number]) for number, span in holds(old, slot))
        ),
        None,
    )


def holds(old: Appointment, slot: Slot) -> Iterable[tuple[int, Span]]:
    """What a slot would hold, and when."""
    needs = sorted(
        old.procedure_type.requirements.all(),
        key=lambda resource_requirement: (resource_requirement.starts_after_minutes, resource_requirement.pk),
    )
    for need, held in zip(needs, slot.resources, strict=True):
        begins = slot.starts_at + timedelta(minutes=need.starts_after_minutes)
        until = begins + timedelta(minutes=need.lasts_minutes + need.turnover_minutes)
        yield held.resource_id, (begins - timedelta(minutes=need.setup_minutes), until)


def meets(span: Span, others: Iterable[Span]) -> bool:
    return any(span[0] < other[1] and span[1] > other[0] for other in others)


def rebook(
    appointment_id: int,
    *,
    starts_at: datetime,
    keep: bool,
    by: User | None,
    now: datetime,
    request_key: str = "",
) -> Appointment:
    """Move an appointment as it was proposed, by the clinic, in a transaction of its own.

    Raises as `reschedule`, and Refusal "not_displaced" where by now it can stay: somebody has opened again.
    """
    old = Appointment.objects.get(pk=appointment_id)
    if old.status in Appointment.EXPECTED and not old.lies_displaced(now):
        raise Refusal("Nothing displaces this appointment any more.", code="not_displaced")
    reason = "What it held is not there any more."
    return reschedule(
        appointment_id,
        starts_at=starts_at,
        keep=keep,
        reason=reason,
        ended_by=Appointment.EndedBy.CLINIC,
        by=by,
        now=now,
        request_key=request_key,
    )
