"""Moving an appointment to another time: who and what goes along, and what is free where that cannot be."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import prefetch_related_objects

from clinic.models import Resource, User
from clinic.refusals import Refusal
from procedures.availability import find_slots
from procedures.models import Appointment
from procedures.services.booking import book, key_reused, validate_appointment, with_key
from procedures.services.booking_checks import choose_resources, resource_needs, why_not
from procedures.services.openings import note_freed
from procedures.services.transitions import apply_step, lock_appointment, refuse_unless
from procedures.workflow import EXPECTED

#: Refusals that another time, or somebody else, would answer.
BUSY = {"taken", "closed", "outside_hours", "no_privilege", "inactive", "not_needed"}
#: How far ahead free times are looked for when a move is refused, and how many of them are told.
FREE_WITHIN, FREE_TOLD = timedelta(days=28), 3
#: Why, where nobody says more.
MOVED = "Moved to another time."


@transaction.atomic
def reschedule(
    appointment_id: int,
    *,
    starts_at: datetime,
    resources: Iterable[Resource] = (),
    keep: bool = True,
    overbooked_reason: str = "",
    reason: str = "",
    ended_by: str = "",
    by: User | None,
    now: datetime,
    request_key: str = "",
) -> Appointment:
    """Move an expected appointment: take the new time, then free the old one, both or neither.

    Returns the new appointment, whose `rescheduled_from` is the old one. The patient gets one letter, with
    the new time. What `kept_resources` names goes along, unless `keep` is False: then only `resources` are insisted on,
    and whatever else is needed is chosen among what is free. `reason`, and `ended_by`, "patient" or "clinic": why and
    whose wish it is; "" for the patient's where they have asked for another time, else the clinic's. `request_key`: as
    for `book`; the same one again returns what the first one made.

    Raises as `book` does, and "not_allowed_now" unless the old one is booked or confirmed. Where somebody or something
    is not free the refusal says what is, in words and in `free`: as "starts_at" the next times at which the move would
    do. When only what goes along stands in the way it is "kept_not_free", with who could come instead as "resources".
    """
    old = lock_appointment(appointment_id)
    if request_key and (first := moved_before(old, starts_at, request_key, by=by)):
        return first
    refuse_unless(old, frozenset(EXPECTED))
    named = list(resources)
    along = kept_resources(old, named) if keep else []
    # The old time is given back first inside the transaction, so that the new may overlap it; nobody else sees a gap.
    theirs = Appointment.EndedBy.PATIENT if old.wants_change_at else Appointment.EndedBy.CLINIC
    old.ended_by, old.ended_reason = ended_by or theirs, reason.strip() or MOVED
    apply_step(
        old, "reschedule", Appointment.Status.CANCELLED, by=by, now=now, reason=old.ended_reason, frees=False
    )

    new = successor(old, starts_at=starts_at, overbooked_reason=overbooked_reason)
    try:
        booked = book(new, resources=[*named, *along], by=by, now=now, request_key=request_key)
    except Refusal as refusal:
        if refusal.code not in BUSY:
            raise
        raise with_what_is_free(refusal, old, named, along, starts_at=starts_at, now=now) from None
    note_freed(old, now=now)  # only now is it known what of the old time the new one has taken again
    return booked


def successor(old: Appointment, *, starts_at: datetime, overbooked_reason: str = "") -> Appointment:
    """The appointment that takes the place of `old`, not saved."""
    return Appointment(
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
        overbooked_reason=overbooked_reason,
        sequence=old.sequence + 1,
        rescheduled_from=old,
    )


def kept_resources(old: Appointment, instead: Iterable[Resource] = ()) -> list[Resource]:
    """What goes along when `old` is moved: its clinicians, and what was asked for by name when it was booked.

    Not what the procedure type needs no more, nor what one of `instead` replaces, which serves all that it serves.
    """
    needed = set(old.procedure_type.requirements.values_list("category", flat=True))
    named = {resource.pk for resource in instead}
    held = old.reservations.filter(released_at=None).select_related("resource")
    rows = list(held.prefetch_related("resource__categories"))
    others = list(Resource.objects.filter(pk__in=named).prefetch_related("categories"))
    replaced = [{category.pk for category in other.categories.all()} for other in others]
    result: dict[int, Resource] = {}
    for row in rows:
        serves = [category for category in row.resource.categories.all() if category.pk in needed]
        treats = any(category.code == "physician" or category.needs_privilege for category in serves)
        numbers = {category.pk for category in serves}
        if (row.named or treats) and serves and not any(numbers <= other for other in replaced):
            result[row.resource_id] = row.resource
    return list(result.values())


def with_what_is_free(
    refusal: Refusal,
    old: Appointment,
    named: Sequence[Resource],
    along: Sequence[Resource],
    *,
    starts_at: datetime,
    now: datetime,
) -> Refusal:
    """The refusal of a move, with what is free instead; see `reschedule`."""
    zone = old.site.zone
    slots = find_slots(
        old.procedure_type,
        sites=[old.site],
        starts_from=max(starts_at, now),
        starts_before=max(starts_at, now) + FREE_WITHIN,
        now=now,
        resources=[*named, *along],
        patient=old.patient,
        replacing=old,
        limit=FREE_TOLD,
    )
    others = instead_of(old, named, along, starts_at=starts_at, now=now)
    sentence, free = " ".join(refusal.messages), dict[str, list[object]]()
    if others:
        free["resources"] = [{"id": pk, "name": name} for pk, name in others.items()]
        sentence += f" Free then: {', '.join(others.values())}."
    if slots:
        free["starts_at"] = [slot.starts_at for slot in slots]
        times = ", ".join(f"{slot.starts_at.astimezone(zone):%a %-d %b %Y %H:%M}" for slot in slots)
        sentence += f" Free with {', '.join(map(str, along))}: {times}." if along else f" Free: {times}."
    if others:
        return Refusal(sentence, code="kept_not_free", field="resources", free=free)
    return Refusal(sentence, code=str(refusal.code), field=refusal.field, free=free)


def instead_of(
    old: Appointment,
    named: Sequence[Resource],
    along: Sequence[Resource],
    *,
    starts_at: datetime,
    now: datetime,
) -> dict[int, str]:
    """Who and what could serve instead of `along` at that time, by number; empty when the move would not do then."""
    if not along:
        return {}
    asked, gone = successor(old, starts_at=starts_at), {resource.pk for resource in along}
    try:
        validate_appointment(asked, now=now)
        needs = resource_needs(asked, named, now=now)
        choose_resources(asked, needs)
    except Refusal:
        return {}
    kinds = set(
        Resource.categories.through.objects.filter(resource__in=gone).values_list(
            "resourcecategory__name", flat=True
        )
    )
    return {
        candidate.resource_id: candidate.name
        for need in needs
        if need.category in kinds
        for candidate in need.candidates
        if candidate.resource_id not in gone
        and why_not(candidate, need, old.site, (), overbook=False) is None
    }


def moved_before(
    old: Appointment, starts_at: datetime, request_key: str, *, by: User | None
) -> Appointment | None:
    """What the same request to move `old` made already; Refusal "key_reused" when it was another request."""
    first = with_key(request_key, by=by)
    if first and (first.rescheduled_from_id != old.pk or first.starts_at != starts_at):
        raise key_reused()
    return first


@transaction.atomic
def check_reschedule(
    appointment_id: int,
    *,
    starts_at: datetime,
    resources: Iterable[Resource] = (),
    keep: bool = True,
    by: User | None,
    now: datetime,
) -> Appointment:
    """The appointment that `reschedule` would make, with its reservations, or the refusal that it would meet.

    It is done and taken back, so that what it says is what moving says. Nothing is kept.
    """
    try:
        new = reschedule(appointment_id, starts_at=starts_at, resources=resources, keep=keep, by=by, now=now)
        prefetch_related_objects([new], "reservations__resource")
        return new
    finally:
        transaction.set_rollback(True)
