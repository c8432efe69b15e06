"""Booking: all or nothing over every resource that the procedure type needs, and never anything twice.

The database's exclusion constraints are the guarantee, the locks are the manners, and the checks are the words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from clinic import audit
from clinic.models import Closure, Resource, Site, User, WorkingHours
from clinic.refusals import Refusal
from patients.models import Patient
from procedures.hours import Hours, covered
from procedures.models import Appointment, Intent, ProcedureType, Reservation, ResourceRequirement

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
class Need:
    """One requirement of an appointment over its span in UTC, and the resources that could serve."""

    requirement: ResourceRequirement
    starts_at: datetime
    ends_at: datetime
    candidates: Sequence[Resource]


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
    appointment.full_clean(validate_constraints=False)
    check_request(appointment, now=now)
    own = Q(appointment=appointment.pk) | Q(appointment=appointment.rescheduled_from_id)
    check_patient_free(appointment)
    return choose(appointment, needs(appointment, list(resources)), own=own)


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


def check_patient_free(appointment: Appointment) -> None:
    """Raise Taken when the patient has another live appointment in the span."""
    clash = (
        Appointment.objects.filter(
            patient=appointment.patient_id,
            status__in=Appointment.LIVE,
            starts_at__lt=appointment.ends_at,
            ends_at__gt=appointment.starts_at,
        )
        .exclude(pk__in=[pk for pk in (appointment.pk, appointment.rescheduled_from_id) if pk])
        .only("starts_at", "ends_at")
        .first()
    )
    if clash:
        raise Taken(
            f"The patient has another appointment {span_words(clash.starts_at, clash.ends_at, appointment.site)}."
        )


def needs(appointment: Appointment, chosen: Sequence[Resource]) -> list[Need]:
    """Each requirement over its span, with the resources that could serve: the chosen one, or any of the category.

    Raises Refusal "not_needed" for a chosen resource that no requirement asks for, "inactive" for one out of use.
    """
    requirements = list(appointment.procedure_type.requirements.select_related("category"))
    for resource in chosen:
        if not resource.active:
            raise Refusal(f"{resource} is out of use.", code="inactive", field="resources")
    by_category: dict[int, list[Resource]] = {}
    for resource in (
        Resource.objects.filter(active=True, categories__in=[r.category_id for r in requirements])
        .filter(Q(site=appointment.site_id) | Q(working_hours__site=appointment.site_id))
        .distinct()
        .prefetch_related("categories")
    ):
        for category in resource.categories.all():
            by_category.setdefault(category.pk, []).append(resource)
    serving: set[int] = set()
    result = []
    for requirement in requirements:
        candidates = by_category.get(requirement.category_id, [])
        named = [resource for resource in candidates if resource in chosen]
        serving.update(resource.pk for resource in named)
        start = appointment.starts_at + timedelta(minutes=requirement.starts_after_minutes)
        result.append(
            Need(
                requirement, start, start + timedelta(minutes=requirement.lasts_minutes), named or candidates
            )
        )
    for resource in chosen:
        if resource.pk not in serving:
            raise Refusal(
                f"{resource} is not needed for this procedure at this site.",
                code="not_needed",
                field="resources",
            )
    return result


def choose(appointment: Appointment, wanted: Sequence[Need], *, own: Q) -> list[Reservation]:
    """One reservation a need, of the first candidate that is there, open and free; `own` reservations do not count.

    Needs with the fewest candidates choose first. Raises Refusal "outside_hours" or "closed", or Taken, whichever
    comes closest to succeeding, with the resource's name and the time.
    """
    ids = {candidate.pk for need in wanted for candidate in need.candidates}
    hours = Hours.of(
        WorkingHours.objects.filter(resource__in=ids, site=appointment.site_id), zone=appointment.site.zone
    )
    closures = list(
        Closure.objects.filter(
            Q(resource__in=ids) | Q(site=appointment.site_id),
            starts_at__lt=appointment.ends_at,
            ends_at__gt=appointment.starts_at,
        )
    )
    held = list(
        Reservation.objects.filter(
            resource__in=ids,
            released_at=None,
            starts_at__lt=appointment.ends_at,
            ends_at__gt=appointment.starts_at,
        )
        .exclude(own)
        .only("resource_id", "starts_at", "ends_at")
    )
    result: list[Reservation] = []
    for need in sorted(wanted, key=lambda need: len(need.candidates)):
        refusals: list[Refusal] = []
        for candidate in need.candidates:
            refusal = why_not(candidate, need, appointment.site, hours, closures, [*held, *result])
            if refusal is None:
                result.append(
                    Reservation(
                        appointment=appointment,
                        resource=candidate,
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
    resource: Resource,
    need: Need,
    site: Site,
    hours: Hours,
    closures: Iterable[Closure],
    held: Iterable[Reservation],
) -> Refusal | None:
    """Why `resource` cannot serve `need`, or None when it can."""
    words = span_words(need.starts_at, need.ends_at, site)
    if not covered(need.starts_at, need.ends_at, hours.spans(resource.pk, need.starts_at, need.ends_at)):
        return Refusal(f"{resource} does not work {words}.", code="outside_hours", field="starts_at")
    for closure in closures:
        concerns = closure.site_id == site.pk or closure.resource_id == resource.pk
        if concerns and closure.starts_at < need.ends_at and closure.ends_at > need.starts_at:
            return Refusal(
                f"{closure.site or resource} is closed {words}: {closure.reason}.",
                code="closed",
                field="starts_at",
            )
    for other in held:
        if (
            other.resource_id == resource.pk
            and other.starts_at < need.ends_at
            and other.ends_at > need.starts_at
        ):
            return Taken(f"{resource} is taken {span_words(other.starts_at, other.ends_at, site)}.")
    return None


def nearest(need: Need, refusals: Sequence[Refusal], site: Site) -> Refusal:
    """The refusal that tells the clerk most: taken before closed before outside hours."""
    category = need.requirement.category
    if not refusals:
        return Refusal(
            f"There is no {category.name.lower()} at this site.", code="outside_hours", field="starts_at"
        )
    best = min(refusals, key=lambda refusal: ("taken", "closed", "outside_hours").index(str(refusal.code)))
    if len(refusals) == 1 or best.code != "taken":
        return best
    return Taken(f"Every {category.name.lower()} is taken {span_words(need.starts_at, need.ends_at, site)}.")


def span_words(starts_at: datetime, ends_at: datetime, site: Site) -> str:
    """How a clerk says a span: from 09:00 to 09:45 on 2027-01-15, on the site's wall clock."""
    start, end = starts_at.astimezone(site.zone), ends_at.astimezone(site.zone)
    return f"from {start:%H:%M} to {end:%H:%M} on {start:%Y-%m-%d}"


def hold(reservations: Iterable[Reservation], patient_id: int) -> None:
    """Wait for every rival booking of the same resources or the same patient to finish, and keep later ones waiting.

    Always in this order, resources by number and then the patient: two bookings never wait for each other in a ring.
    """
    ids = sorted({reservation.resource_id for reservation in reservations})
    locked = Resource.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    list(locked.values_list("pk"))
    list(Patient.objects.select_for_update(no_key=True).filter(pk=patient_id).values_list("pk"))


def book(
    appointment: Appointment, *, resources: Iterable[Resource] = (), by: User | None, now: datetime
) -> Appointment:
    """Save a new appointment with all its reservations, or nothing.

    Raises as `check` does; "taken" also when a rival was faster.
    """
    chosen = list(resources)
    for look in range(LOOKS):
        try:
            with transaction.atomic():
                return book_once(appointment, chosen, by=by, now=now)
        except Overtaken as rival:
            # The locks went with the savepoint: another free resource of the category can be looked for.
            if look == LOOKS - 1:
                raise rival.refusal from None
    raise AssertionError("unreachable")


class Overtaken(Exception):
    """A rival took what had been chosen; perhaps something else is free."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


def book_once(
    appointment: Appointment, chosen: list[Resource], *, by: User | None, now: datetime
) -> Appointment:
    """Choose, lock, look again, save. Raises Overtaken when a rival came in between choosing and locking."""
    reservations = check(appointment, resources=chosen, now=now)
    hold(reservations, appointment.patient_id)
    refuse_if_taken_since(appointment, reservations)
    try:
        with transaction.atomic():
            appointment.save(force_insert=True)
            Reservation.objects.bulk_create(reservations)
    except IntegrityError as exc:
        appointment.pk = None
        appointment._state.adding = True
        if is_overlap(exc):
            raise Taken("Somebody else has just taken this time.") from None
        raise
    audit.record("appointment.booked", appointment, by=by, at=now, site=appointment.site)
    return appointment


def refuse_if_taken_since(appointment: Appointment, reservations: Sequence[Reservation]) -> None:
    """With the locks held, look once more: what a rival committed while we waited is visible now."""
    check_patient_free(appointment)
    clash = Q()
    for reservation in reservations:
        clash |= Q(
            resource=reservation.resource_id,
            starts_at__lt=reservation.ends_at,
            ends_at__gt=reservation.starts_at,
        )
    own = Q(appointment=appointment.pk) | Q(appointment=appointment.rescheduled_from_id)
    rival = (
        Reservation.objects.filter(clash, released_at=None).exclude(own).select_related("resource").first()
        if reservations
        else None
    )
    if rival:
        raise Overtaken(
            Taken(
                f"{rival.resource} is taken {span_words(rival.starts_at, rival.ends_at, appointment.site)}."
            )
        )


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
