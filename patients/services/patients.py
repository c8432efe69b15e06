"""Every write to patients."""

from collections.abc import Collection
from copy import copy
from datetime import datetime
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from clinic.row_versions import read_before
from patients import consent
from patients.models import Caregiver, FormerAddress, Patient
from patients.services.caregivers import stop_writing
from patients.services.duplicates import IDENTITY, LikelyDuplicate, Match, matches, new_matches
from patients.services.former_addresses import is_stopped
from patients.services.record_numbers import give_number, is_taken, taken
from patients.services.withdrawals import withdrawals
from patients.signals import links_void


def check(patient: Patient, *, changed: Collection[str] | None = None, now: datetime) -> None:
    """Refuse what a patient's row must not say.

    Without consent there is no version of it either. `changed`: the columns that are new, the only ones that are
    looked at each for itself; None: all of them. Raises ValidationError by field; Refusal "in_the_future" for a birth,
    a death or an agreement still to come, "unknown_consent_version" for a text that is not ours, "unique" for a record
    number that somebody has, whose sentence names a free one; "required" for a registered patient without one;
    "address_of_caregiver" for the address of who answers for the patient.
    """
    patient.created_at = patient.created_at or now
    if not patient.consented_at:
        patient.consent_version = ""
    # What was read from the database need not be asked for again, nor what the constraints say of rows that end.
    read = read_before(patient, "site")
    if changed is not None:
        read |= {field.name for field in Patient._meta.fields} - set(changed)
    ends = patient.died_on is not None or patient.merged_into_id is not None
    patient.full_clean(exclude=read, validate_constraints=False)
    if changed is None or "record_number" in changed:
        if patient.record_number and is_taken(patient):
            raise taken(patient.site)
        if not patient.record_number and not patient._state.adding:
            raise Refusal("This cannot be empty.", code="required", field="record_number")
    if ends:
        patient.validate_constraints(exclude={"record_number"})  # looked at already
    for field in ("consented_at", "sms_consented_at"):
        moment = getattr(patient, field)
        if moment and moment > now:
            raise Refusal("This time is in the future.", code="in_the_future", field=field)
    agreed = changed is None or {"consented_at", "consent_version"} & set(changed)
    if agreed and patient.consent_version and not consent.known(patient.consent_version):
        raise Refusal(
            "There is no such consent text.", code="unknown_consent_version", field="consent_version"
        )
    if patient.email and patient.pk and (changed is None or "email" in changed):
        refuse_address_of_caregiver(patient, patient.pk)
    today = now.astimezone(patient.site.zone).date()
    for field in ("born_on", "died_on"):
        day = getattr(patient, field)
        if day and day > today:
            raise Refusal("This date is in the future.", code="in_the_future", field=field)


def refuse_address_of_caregiver(patient: Patient, *numbers: int) -> None:
    """Refuse an address at which who answers for one of the records with these `numbers` is asked: nobody could tell
    any more who answered."""
    if Caregiver.objects.standing().filter(patient__in=numbers, email__iexact=patient.email).exists():
        raise Refusal(
            "This is the address of the caregiver. A patient and who answers for them need one each.",
            code="address_of_caregiver",
            field="email",
        )


@transaction.atomic
def save(
    patient: Patient,
    *,
    changed: Collection[str] | None = None,
    insist: bool = False,
    by: User | None,
    now: datetime,
    actor: str = "",
) -> Patient:
    """Register a patient, or save what was changed about one. Who is new and has no record number gets the next free
    one of their site.

    `insist`: save although records are there that may be of the same person; without it who is new, and a change that
    makes somebody look like another, is refused, as `duplicates.LikelyDuplicate`, code "likely_duplicate", with those
    records that `by` may see.

    `changed` names the columns to write, so that what somebody else said meanwhile (the patient: no more e-mails)
    stays; None means all of them. `actor`: as for `audit.record`. Raises as `check` does, and Refusal
    "patient_not_current" for a record that was merged, "withdrawn_since" for an agreement that was taken back later.

    A new address has not bounced. Where its reader wants no e-mail from here, the patient gets none either, until staff
    say otherwise. Links that were e-mailed before are void when the address changes, the patient has died, opted out or
    takes the consent back (`links_void`).
    """
    new = patient._state.adding
    columns = None if new or changed is None else set(changed)
    before = None if new else Patient.objects.select_for_update().get(pk=patient.pk)
    if before is not None:
        if before.merged_into_id:
            raise Refusal("This record was merged into another one.", code="patient_not_current")
        if columns and "consented_at" in columns:
            columns |= {"consent_version"}
    written = columns is None or "email" in columns
    moves = written and (before is None or before.email.lower() != patient.email.lower())
    if before is not None and moves:
        if patient.bounced_at == before.bounced_at:
            patient.bounced_at = None  # what bounced was the old address
        patient.unsubscribe_key = uuid4()
        columns = columns and columns | {"bounced_at", "unsubscribe_key"}
    if moves and is_stopped(patient.email) and patient.opted_out_at is None:
        patient.opted_out_at = now
        columns = columns and columns | {"opted_out_at"}
    check(patient, changed=columns, now=now)
    agreed = columns is None or "consented_at" in columns
    if before is not None and agreed and patient.consented_at and not before.consented_at:
        since = withdrawals([patient.pk]).get(patient.pk)
        if since and patient.consented_at < since:
            raise Refusal(
                "The patient has taken back this agreement since. Only a later one counts.",
                code="withdrawn_since",
                field="consented_at",
            )
    if not insist and (found := look_alikes(before, patient, columns, by=by)):
        raise LikelyDuplicate(found)
    if new and not patient.record_number:
        give_number(patient)
    try:
        with transaction.atomic():
            patient.save(force_insert=new, update_fields=columns)
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", None) != "23505":
            raise
        raise taken(patient.site) from None
    audit.record(
        "patient.registered" if new else "patient.changed",
        patient,
        by=by,
        at=now,
        site=patient.site,
        actor=actor,
    )
    if before is not None and agreed and bool(before.consented_at) != bool(patient.consented_at):
        action = "patient.consented" if patient.consented_at else "patient.consent_withdrawn"
        version = f"text {patient.consent_version}" if patient.consent_version else ""
        audit.record(action, patient, by=by, at=now, site=patient.site, actor=actor, reason=version)
    if before is not None:
        void_links(before, patient.pk, now=now)
    return patient


def look_alikes(
    before: Patient | None, patient: Patient, columns: Collection[str] | None, *, by: User | None
) -> list[Match]:
    """The records that may be of the same person: as the patient who is new, or by what is written about one."""
    if before is None:
        return matches(patient, by=by)
    after = copy(before)
    for name in IDENTITY if columns is None else IDENTITY & set(columns):
        setattr(after, name, getattr(patient, name))
    return new_matches(before, after, by=by)


def void_links(before: Patient, patient_id: int, *, now: datetime) -> None:
    """Announce that what was e-mailed to a patient is void, where what was saved differs from `before` in that: what
    was void by a death that is taken back stays so, and what is open can be asked again."""
    patient = Patient.objects.select_related("site").get(pk=patient_id)  # what was written, and nothing else
    if before.email and before.email.lower() != patient.email.lower():
        FormerAddress.objects.create(
            patient=patient, email=before.email, unsubscribe_key=before.unsubscribe_key, replaced_at=now
        )
    causes = {
        "deceased": patient.died_on and not before.died_on,
        "consent_withdrawn": before.consented_at and not patient.consented_at,
        "opted_out": patient.opted_out_at and not before.opted_out_at,
        "address_changed": before.email.lower() != patient.email.lower(),
        "alive": before.died_on and not patient.died_on,
    }
    cause = next((cause for cause, holds in causes.items() if holds), None)
    if cause:
        links_void.send(Patient, patient=patient, cause=cause, moved=None, now=now)


@transaction.atomic
def stop_address(former_id: int, *, now: datetime) -> FormerAddress:
    """The reader of an address that nobody is known by any more wants no e-mail from here: nobody is sent any to it.

    Whoever is written to there again by now stops too, however often it was said before.
    """
    former = (
        FormerAddress.objects.select_for_update(of=("self",))
        .select_related("patient__site")
        .get(pk=former_id)
    )
    if former.stopped_at is None:
        former.stopped_at = now
        former.save(update_fields=["stopped_at"])
        audit.record(
            "patient.former_address_stopped",
            former.patient,
            by=None,
            at=now,
            site=former.patient.site,
            actor="reader",
        )
    note_stop(former.email, reason="unsubscribed", now=now)
    return former


@transaction.atomic
def opt_out(
    patient_id: int, *, by: User | None, now: datetime, actor: str = "patient", reason: str = ""
) -> Patient:
    """Stop all e-mail to the patient, by their own wish. A second time changes nothing.

    `reason`: how the wish was heard, as a code. The consent stays as it was: the patient once gave it. Said of a record
    that was merged, it is the kept record that stops, and is returned.
    """
    patient = current(patient_id)
    if patient.opted_out_at is None:
        patient.opted_out_at = now
        patient.save(update_fields=["opted_out_at"])
        audit.record(
            "patient.opted_out",
            patient,
            by=by,
            at=now,
            site=patient.site,
            actor="staff" if by else actor,
            reason=reason,
        )
        links_void.send(Patient, patient=patient, cause="opted_out", moved=None, now=now)
    return patient


def current(patient_id: int) -> Patient:
    """The record that counts, locked: the one with this number, or the one that it was merged into."""
    rows = Patient.objects.select_for_update(of=("self",)).select_related("site")
    patient = rows.get(pk=patient_id)
    return rows.get(pk=patient.merged_into_id) if patient.merged_into_id else patient


@transaction.atomic
def withdraw_consent(patient_id: int, *, by: User | None, now: datetime, actor: str = "") -> Patient:
    """The patient takes back their agreement to e-mail: as if they had never agreed. A second time changes nothing.

    Not the same as opting out, which keeps the agreement and stops e-mails until the patient wants them again.
    """
    patient = current(patient_id)
    if patient.consented_at is None:
        return patient
    patient.consented_at = None
    return save(patient, changed=["consented_at"], by=by, now=now, actor=actor)


@transaction.atomic
def note_bounce(address: str, *, now: datetime) -> int:
    """No e-mail reaches `address`: send none to it until it is corrected; how many patients and caregivers it concerns.

    A couple may share it. Who is marked already stays so, since when they were.
    """
    patients, caregivers = at_address(address)
    patients = [patient for patient in patients if patient.bounced_at is None]
    for patient in patients:
        patient.bounced_at = now
        patient.save(update_fields=["bounced_at"])
        audit.record("patient.address_bounced", patient, by=None, at=now, site=patient.site, actor="mail")
    caregivers = [caregiver for caregiver in caregivers if caregiver.bounced_at is None]
    for caregiver in caregivers:
        stop_writing(caregiver, "bounced_at", "caregiver.address_bounced", actor="mail", now=now)
    return len(patients) + len(caregivers)


@transaction.atomic
def note_stop(address: str, *, reason: str, now: datetime) -> int:
    """Whoever reads `address` called an e-mail spam, or unsubscribed at the mail service; how many stop.

    `reason`: "complained" or "unsubscribed". Of a couple who share the address both stop, patient or caregiver: nobody
    says which one it was.
    """
    patients, caregivers = at_address(address)
    patients = [patient for patient in patients if patient.opted_out_at is None]
    for patient in patients:
        opt_out(patient.pk, by=None, now=now, actor="mail", reason=reason)
    caregivers = [caregiver for caregiver in caregivers if caregiver.opted_out_at is None]
    for caregiver in caregivers:
        stop_writing(caregiver, "opted_out_at", "caregiver.opted_out", actor="mail", reason=reason, now=now)
    return len(patients) + len(caregivers)


def at_address(address: str) -> tuple[list[Patient], list[Caregiver]]:
    """The patients and the caregivers whose e-mail goes to `address`, in upper or lower case. Locked in order of the
    patients' ids, a caregiver's patient before the caregiver. Not records that were merged: they are sent none, and
    the kept one may have another address; nor who was revoked."""
    if not address:
        return [], []
    standing = Caregiver.objects.standing().filter(email__iexact=address)
    theirs = list(standing.values_list("patient", flat=True))
    known = {
        patient.pk: patient
        for patient in Patient.objects.select_for_update(of=("self",), no_key=True)
        .select_related("site")
        .filter(Q(email__iexact=address) | Q(pk__in=theirs), merged_into=None)
        .order_by("pk")
    }
    locked = standing.filter(patient__in=known).select_for_update(of=("self",), no_key=True)
    caregivers = list(locked.order_by("patient"))
    for caregiver in caregivers:
        caregiver.patient = known[caregiver.patient_id]
    lower = address.casefold()
    return [patient for patient in known.values() if patient.email.casefold() == lower], caregivers


def record_page_view(patient: Patient, *, by: User, now: datetime) -> None:
    """Write down that `by` looked at the patient's page."""
    audit.record("patient.read", patient, by=by, at=now, site=patient.site)
