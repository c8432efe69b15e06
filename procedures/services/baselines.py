"""Noting what patients say before a procedure, and correcting which score counted."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients.models import AnsweredBy
from procedures.baselines import (
    ITEMS,
    OLDEST_DAYS,
    PAIN,
    BaselineScore,
    RecordedScore,
    days_before,
    resolve,
    source_of,
)
from procedures.models import Appointment, Baseline, Procedure
from procedures.services.transitions import lock_appointment, refuse_unless
from procedures.signals import baseline_corrected

#: The states of an appointment in which scores from before it can be noted.
NOTED_IN = frozenset((*Appointment.LIVE, Appointment.Status.REQUESTED))


def check_scores(values: Mapping[str, int]) -> None:
    """Refuse what nobody asks before a procedure.

    Raises Refusal, with the key as its field: "unknown_item" for a key that is not in `procedures.baselines.ITEMS`,
    "score_out_of_range" for anything but a whole number that the item can have.
    """
    for key, value in values.items():
        item = ITEMS.get(key)
        if item is None:
            raise Refusal(f"“{key}” is not asked before a procedure.", code="unknown_item", field=key)
        if type(value) is not int or not item.least <= value <= item.most:
            raise Refusal(
                f"A score here is a whole number from {item.least} to {item.most}.",
                code="score_out_of_range",
                field=key,
            )


@transaction.atomic
def note_baseline(
    appointment_id: int,
    *,
    values: Mapping[str, int],
    taken_at: datetime,
    by: User | None,
    channel: str = "",
    answered_by: str = AnsweredBy.PATIENT,
    now: datetime,
) -> list[Baseline]:
    """Keep what a patient said before the procedure; the rows, in the order of `values`.

    `values` by "instrument.item": {"nrs.now": 7, "peg.pain": 6}. `taken_at`: when the patient said it. Another value of
    an item at the same instant takes the place of the first, which stays in its history. `channel`: one of Baseline.OWN
    for what the patient noted (`say_before` looks whether they may), with `by` None; else "": staff, or an import.
    `answered_by`: the patient, or a caregiver in their place; both count.

    Raises PermissionDenied when `by` may not; Refusal as `check_scores` does; "item_missing" for no values;
    "in_the_future"; "not_allowed_now" for an appointment that has ended without a procedure; "performed_already"
    (field "taken_at", or "nrs.now") for a score from after the procedure, and for the pain of one that has been
    performed: that is a correction.
    """
    if by is not None and not by.has_perm("procedures.record_baseline"):
        raise PermissionDenied
    check_scores(values)
    if not values:
        raise Refusal("Name at least one score.", code="item_missing", field=PAIN)
    if taken_at > now:
        raise Refusal("A score cannot have been named in the future.", code="in_the_future", field="taken_at")
    appointment = lock_appointment(appointment_id)
    refuse_unless(appointment, NOTED_IN)
    procedure: Procedure | None = getattr(appointment, "procedure", None)
    if procedure is not None:
        if PAIN in values:
            raise Refusal(
                "The procedure has been performed: correct its pain before instead.",
                code="performed_already",
                field=PAIN,
            )
        if taken_at > procedure.performed_at:
            raise Refusal(
                "This is after the procedure, and no score from before it.",
                code="performed_already",
                field="taken_at",
            )
    rows, changed = keep(
        appointment, values, taken_at=taken_at, by=by, channel=channel, answered_by=answered_by, now=now
    )
    if changed:
        actor = "patient" if channel in Baseline.OWN else ""
        audit.record("baseline.noted", appointment, by=by, at=now, site=appointment.site, actor=actor)
    return rows


def keep(
    appointment: Appointment,
    values: Mapping[str, int],
    *,
    taken_at: datetime,
    by: User | None,
    channel: str = "",
    answered_by: str = AnsweredBy.PATIENT,
    now: datetime,
) -> tuple[list[Baseline], bool]:
    """Write the scores down, one row each; and whether that changed anything. The appointment must be locked.

    `channel` "": staff, or an import where `by` is None.
    """
    rows, changed = [], False
    channel = channel or (Baseline.Channel.STAFF if by else Baseline.Channel.IMPORT)
    for key, value in values.items():
        instrument, _, item = key.partition(".")
        row = Baseline.objects.filter(
            appointment=appointment, instrument=instrument, item=item, taken_at=taken_at
        ).first() or Baseline(appointment=appointment, instrument=instrument, item=item, taken_at=taken_at)
        if row.pk is None or (row.value, row.answered_by) != (value, answered_by):
            row.version, row.value, row.recorded_by, row.recorded_at = ITEMS[key].version, value, by, now
            row.channel, row.answered_by = channel, answered_by
            row.save()
            changed = True
        rows.append(row)
    return rows, changed


def noted_for(appointments: Collection[Appointment]) -> dict[int, dict[str, list[RecordedScore]]]:
    """Every score noted for each appointment, or for one from which it was rescheduled, by "instrument.item".

    One query for any number of them, and one more for each time that the one moved most often was moved.
    """
    before = {appointment.pk: appointment.rescheduled_from_id for appointment in appointments}
    links = latest = {
        (appointment.pk, appointment.pk) for appointment in appointments
    }  # an appointment, and the one that it became
    while latest := {(early, now) for late, now in latest if (early := before.get(late)) is not None}:
        links = links | latest
        rows = Appointment.objects.filter(pk__in={early for early, _ in latest})
        before = dict(rows.values_list("pk", "rescheduled_from"))
    became: dict[int, list[int]] = {}
    for early, now in links:
        became.setdefault(early, []).append(now)
    found: dict[int, dict[str, list[RecordedScore]]] = {appointment.pk: {} for appointment in appointments}
    for row in Baseline.objects.filter(appointment__in=became):
        for number in became[row.appointment_id]:
            found[number].setdefault(row.key, []).append(RecordedScore(row.taken_at, row.value))
    return found


def baselines_of(appointment: Appointment, *, performed_at: datetime) -> dict[str, BaselineScore]:
    """The scores that count for a procedure performed then, by "instrument.item"; without those that there are not."""
    return baselines_of_each([(appointment, performed_at)])[appointment.pk]


def baselines_of_each(
    performed: Collection[tuple[Appointment, datetime]],
) -> dict[int, dict[str, BaselineScore]]:
    """The same for several appointments and when each was performed, by the appointments' numbers. Wants `site`."""
    noted = noted_for([appointment for appointment, _ in performed])
    found: dict[int, dict[str, BaselineScore]] = {}
    for appointment, performed_at in performed:
        zone = appointment.site.zone
        resolved = {
            key: resolve(each, performed_at=performed_at, zone=zone)
            for key, each in noted[appointment.pk].items()
        }
        found[appointment.pk] = {key: used for key, used in resolved.items() if used is not None}
    return found


def use(procedure: Procedure, used: BaselineScore | None) -> None:
    """Have the procedure keep the pain that counts, None for none. Saves nothing."""
    procedure.baseline_pain = used.value if used else None
    procedure.baseline_taken_at = used.taken_at if used else None
    procedure.baseline_source = used.source.value if used else ""


@transaction.atomic
def correct_baseline(
    procedure_id: int,
    *,
    pain: int | None,
    taken_at: datetime | None = None,
    reason: str,
    by: User | None,
    now: datetime,
) -> Procedure:
    """Say what the pain before a procedure really was. Its follow-up is judged again by it.

    `pain` 0–10, None: nobody asked, and relief cannot be computed. `taken_at` None: when the score in use was taken, or
    else at the procedure. The score that stood stays in the history. The same once more changes nothing.

    Raises PermissionDenied without the permission to perform procedures; Refusal "score_out_of_range" (field "pain"),
    "reason_required", "after_procedure" and "too_old" (field "taken_at"), "not_allowed_now" for a procedure that was
    entered in error.
    """
    if by is not None and not by.has_perm("procedures.perform_procedure"):
        raise PermissionDenied
    if pain is not None and (type(pain) is not int or not 0 <= pain <= 10):
        raise Refusal("A pain score is a whole number from 0 to 10.", code="score_out_of_range", field="pain")
    if not reason.strip():
        raise Refusal("Say why.", code="reason_required", field="reason")
    number = Procedure.objects.values_list("appointment", flat=True).get(pk=procedure_id)
    appointment = lock_appointment(number)  # first, as when it is performed
    procedure = Procedure.objects.select_for_update(of=("self",)).select_related("site").get(pk=procedure_id)
    if procedure.status == Procedure.Status.ENTERED_IN_ERROR:
        raise Refusal("This procedure was entered in error.", code="not_allowed_now", field="pain")
    stood = procedure.baseline_taken_at
    at = taken_at or stood or procedure.performed_at
    if at > procedure.performed_at:
        raise Refusal("This is after the procedure.", code="after_procedure", field="taken_at")
    zone = procedure.site.zone
    if days_before(at, procedure.performed_at, zone=zone) > OLDEST_DAYS:
        raise Refusal(f"A score counts for {OLDEST_DAYS} days at most.", code="too_old", field="taken_at")
    if (procedure.baseline_pain, stood) == (pain, None if pain is None else at):
        return procedure
    if pain is None:
        if stood:
            instrument, _, item = PAIN.partition(".")
            Baseline.objects.filter(
                appointment=appointment, instrument=instrument, item=item, taken_at=stood
            ).delete()
        use(procedure, None)
    else:
        keep(appointment, {PAIN: pain}, taken_at=at, by=by, now=now)
        use(procedure, BaselineScore(pain, at, source_of(at, procedure.performed_at, zone=zone)))
    procedure.save(update_fields=["baseline_pain", "baseline_taken_at", "baseline_source"])
    audit.record("procedure.baseline_corrected", procedure, by=by, at=now, site=procedure.site, reason=reason)
    baseline_corrected.send(Procedure, procedure=procedure, now=now)
    return procedure
