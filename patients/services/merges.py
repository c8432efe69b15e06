"""Merging two records of one person: everything that points to the duplicate points to the kept record afterwards.

There is no way back, so what would break a rule of the database or of a course is listed first and settled by staff.
The duplicate's row stays: its record number finds the kept record. Merges are never chains: what was merged into the
duplicate before points to the kept record as well.
"""

from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from pghistory.models import Event

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients.models import Caregiver, FormerAddress, OpioidUse, Patient
from patients.services.patients import check, refuse_address_of_caregiver, void_links
from patients.signals import links_void, merging, patient_merged, reader_changed

#: What can be chosen from either record. The record number is that of the kept one; consents choose themselves.
CHOICES = ("family_name", "given_name", "born_on", "site", "language", "phone", "email", "died_on")
#: What the stricter record says.
STRICTER = ("consented_at", "consent_version", "sms_consented_at", "opted_out_at", "bounced_at")
#: Where a row of the trail is cut into two.
LONGEST = 500


@dataclass(frozen=True)
class Obstacle:
    """What must be settled before two records can be merged. `code` is stable, `sentence` is for staff."""

    code: str
    sentence: str


@dataclass(frozen=True)
class Merged:
    """What became of a merge. `moved`: the numbers of the rows that were moved, by model ("outcomes.followup")."""

    kept: Patient
    moved: dict[str, list[int]]


def pointers() -> Iterator["models.ForeignKey[Any, Any]"]:
    """Every column by which a row belongs to a patient, in every app. Not `merged_into`, and not the history, which
    tells how things were."""
    for relation in Patient._meta.get_fields(include_hidden=True):
        if not (relation.auto_created and relation.is_relation and not relation.concrete):
            continue
        field = getattr(relation, "field", None)
        if not isinstance(field, models.ForeignKey) or issubclass(field.model, Event):
            continue
        if field.model is not Patient:
            yield field


def belonging(patient: Patient) -> dict[str, list[int]]:
    """The numbers of the rows that belong to a patient, by model; without those that have none."""
    found: dict[str, list[int]] = {}
    for field in pointers():
        rows = field.model._base_manager.filter(**{field.name: patient}).order_by("pk")
        if numbers := list(rows.values_list("pk", flat=True)):
            found.setdefault(field.model._meta.label_lower, []).extend(numbers)
    return found


def refuse_pair(duplicate: Patient, kept: Patient) -> None:
    """Refuse two records that can never be merged; see `merge` for the codes."""
    if duplicate.pk == kept.pk:
        raise Refusal("This is one and the same record.", code="same_record", field="duplicate")
    if kept.merged_into_id:
        raise Refusal(
            "The record to keep was itself merged into another one. Merge into that one.",
            code="patient_not_current",
            field="kept",
        )
    if duplicate.merged_into_id not in (None, kept.pk):
        raise Refusal("This record was merged into another one.", code="merged_already", field="duplicate")


def obstacles(duplicate: Patient, kept: Patient, *, now: datetime) -> list[Obstacle]:
    """What must be settled first, of every app: two appointments at once, two courses of one region …"""
    found = opioids_twice(duplicate, kept) + caregivers_twice(duplicate, kept)
    for _receiver, some in merging.send(Patient, duplicate=duplicate, kept=kept, now=now):
        found += cast(list[Obstacle], some)
    return found


def opioids_twice(duplicate: Patient, kept: Patient) -> list[Obstacle]:
    """The same opioid with the same dose from the same day in both records."""
    columns = ("drug", "intrathecal", "dose", "unit", "prescription", "from_on")
    ours = set(kept.opioid_uses.standing().values_list(*columns))
    return [
        Obstacle(
            "opioid_twice",
            f"Both records hold the same opioid: {use}, from {use.from_on:%Y-%m-%d}. "
            "Mark one of them as entered in error.",
        )
        for use in OpioidUse.objects.standing().filter(patient=duplicate)
        if tuple(getattr(use, name) for name in columns) in ours
    ]


def caregivers_twice(duplicate: Patient, kept: Patient) -> list[Obstacle]:
    """Somebody answers for each of the two records: only one can, and which one nobody but staff can know."""
    standing = Caregiver.objects.standing().filter(patient__in=(duplicate, kept)).count()
    words = (
        "Both records have a caregiver, and one patient has only one. Ask who answers, and revoke the other."
    )
    return [Obstacle("caregiver_twice", words)] if standing > 1 else []


@transaction.atomic
def merge(
    duplicate_id: int, kept_id: int, *, take: Collection[str] = (), by: User | None, now: datetime
) -> Merged:
    """Make the record `duplicate_id` part of `kept_id`, for good.

    `take`: which of CHOICES are taken from the duplicate; the others stay as the kept record has them. A death is never
    lost: where only one record knows of it, that one's day counts. A caregiver of either record answers for the kept
    one. Consents and stops are the stricter of both: agreed
    only where both agreed, stopped where either one is. A pair that was only marked as merged before is finished.

    Raises Refusal "same_record", "patient_not_current" for a kept record that was merged itself, "merged_already" for a
    duplicate that was merged into another record, or of which nothing is left to move, "unknown_choice"; a
    ValidationError with one Refusal for each of `obstacles`; "not_settled" where the database keeps the two apart for
    another reason; "address_of_caregiver" (field "email") for an address at which a caregiver of either is asked; and
    as `check` does, for what was taken.
    """
    locked = Patient.objects.select_for_update(of=("self",)).select_related("site").order_by("pk")
    rows = {row.pk: row for row in locked.filter(pk__in=(duplicate_id, kept_id))}
    duplicate, kept = rows[duplicate_id], rows[kept_id]
    refuse_pair(duplicate, kept)
    if unknown := set(take) - set(CHOICES):
        raise Refusal(f"There is no choice “{min(unknown)}”.", code="unknown_choice", field="take")
    found = obstacles(duplicate, kept, now=now)
    if found:
        raise ValidationError([Refusal(obstacle.sentence, code=obstacle.code) for obstacle in found])
    finished = duplicate.merged_into_id == kept.pk
    moved = belonging(duplicate)
    if finished and not moved:
        raise Refusal("These records are merged already.", code="merged_already", field="duplicate")
    before = copy(kept)
    combine(duplicate, kept, take=take)
    if kept.email.casefold() != before.email.casefold():
        kept.unsubscribe_key = uuid4()
    check(kept, changed=set(take), now=now)
    if kept.email:
        refuse_address_of_caregiver(kept, duplicate.pk, kept.pk)
    try:
        with transaction.atomic():
            Patient.objects.filter(merged_into=duplicate).update(merged_into=kept)
            kept.save(update_fields=[*CHOICES, *STRICTER, "unsubscribe_key"])
            void_links(before, kept.pk, now=now)  # of its own rows: those of the duplicate have not come yet
            Patient.objects.filter(pk=duplicate.pk).update(merged_into=kept)
            for field in pointers():
                field.model._base_manager.filter(**{field.name: duplicate}).update(**{field.name: kept})
            keep_address(duplicate, kept, now=now)
    except IntegrityError:
        raise Refusal(
            "Both records hold something that one patient can have only once.", code="not_settled"
        ) from None
    patient_merged.send(Patient, duplicate=duplicate, kept=kept, moved=moved, now=now)
    if kept.why_no_email or kept.email.casefold() != duplicate.email.casefold():
        links_void.send(Patient, patient=kept, cause="merged", moved=moved, now=now)
    if kept.caregivers.asked().exists():  # who is asked about all of it from now on
        reader_changed.send(Patient, patient=kept, now=now)
    write_down(duplicate, kept, moved, take, by=by, now=now)
    return Merged(kept, moved)


def keep_address(duplicate: Patient, kept: Patient, *, now: datetime) -> None:
    """Keep to which address the duplicate was written: whoever reads it stops e-mail to it, and to no other that the
    kept record has or will have."""
    if duplicate.email:
        FormerAddress.objects.get_or_create(
            unsubscribe_key=duplicate.unsubscribe_key,
            defaults={"patient": kept, "email": duplicate.email, "replaced_at": now},
        )


def combine(duplicate: Patient, kept: Patient, *, take: Collection[str]) -> None:
    """Write into the kept record what was chosen from the duplicate, and the stricter of what both agreed to."""
    both = {kept.email.casefold(): kept.bounced_at}
    theirs = duplicate.email.casefold()
    both[theirs] = earliest(both.get(theirs), duplicate.bounced_at)
    died = kept.died_on or duplicate.died_on
    for name in take:
        setattr(kept, name, getattr(duplicate, name))
    kept.died_on = kept.died_on or died
    kept.bounced_at = both[kept.email.casefold()] if kept.email else None
    kept.opted_out_at = earliest(kept.opted_out_at, duplicate.opted_out_at)
    if kept.consented_at and duplicate.consented_at:
        if duplicate.consented_at > kept.consented_at:
            kept.consented_at, kept.consent_version = duplicate.consented_at, duplicate.consent_version
    else:
        kept.consented_at, kept.consent_version = None, ""
    texted = kept.sms_consented_at, duplicate.sms_consented_at
    kept.sms_consented_at = max(texted) if all(texted) else None  # type: ignore[type-var]


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the instants that there are; None without any."""
    return min((moment for moment in moments if moment), default=None)


def write_down(
    duplicate: Patient,
    kept: Patient,
    moved: dict[str, list[int]],
    take: Collection[str],
    *,
    by: User | None,
    now: datetime,
) -> None:
    """Put the merge into the trail: at the duplicate where it went, at the kept record every row that came with it."""
    audit.record(
        "patient.merged", duplicate, by=by, at=now, site=duplicate.site, reason=f"into patient {kept.pk}"
    )
    taken = ", ".join(name for name in CHOICES if name in take)
    lines = [f"patient {duplicate.pk}" + (f", taken: {taken}" if taken else "")]
    for label, numbers in sorted(moved.items()):
        line = f"{label}:"
        for number in numbers:
            if len(line) + len(str(number)) + 1 > LONGEST:
                lines.append(line)
                line = f"{label}:"
            line += f" {number}"
        lines.append(line)
    for line in lines:
        audit.record("patient.absorbed", kept, by=by, at=now, site=kept.site, reason=line)
