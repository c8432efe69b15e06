"""Who answers for a patient: recorded, changed, revoked, and stopped by their own wish."""

from collections.abc import Collection
from datetime import datetime
from uuid import uuid4

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients import consent
from patients.models import Caregiver, FormerAddress, Patient
from patients.services.former_addresses import is_stopped
from patients.services.withdrawals import withdrawal_of
from patients.signals import reader_changed

#: What staff say about a caregiver.
SAID = (
    *("name", "relation", "email", "language", "consented_at", "consent_version"),
    *("permitted_by", "permitted_on"),
)


def locked_patient(patient_id: int) -> Patient:
    """The patient, locked: before their caregiver, as everywhere. Refusal "patient_not_current" for a merged record."""
    # Not for its key: rows that point to the patient, as of an answer that comes in, need not wait.
    rows = Patient.objects.select_for_update(of=("self",), no_key=True).select_related("site")
    patient = rows.get(pk=patient_id)
    if patient.merged_into_id:
        raise Refusal("This record was merged into another one.", code="patient_not_current")
    return patient


def lock_caregiver(caregiver_id: int) -> Caregiver:
    """The caregiver with their patient, both locked."""
    number = Caregiver.objects.values_list("patient", flat=True).get(pk=caregiver_id)
    patient = locked_patient(number)
    caregiver = Caregiver.objects.select_for_update(of=("self",), no_key=True).get(pk=caregiver_id)
    caregiver.patient = patient
    return caregiver


def check_caregiver(caregiver: Caregiver, *, now: datetime) -> None:
    """Refuse what a caregiver's row must not say. Without consent there is no version of it either.

    Raises ValidationError by field; Refusal "address_of_patient" (field "email") for the patient's own address, which
    would tell nobody who answered; "in_the_future" for an agreement or a permission still to come;
    "unknown_consent_version" for a text that is not ours.
    """
    caregiver.recorded_at = caregiver.recorded_at or now
    if not caregiver.consented_at:
        caregiver.consent_version = ""
    caregiver.full_clean(exclude={"patient"}, validate_constraints=False)
    patient = caregiver.patient
    if patient.email and caregiver.email.casefold() == patient.email.casefold():
        raise Refusal(
            "This is the patient's own address. A caregiver answers from their own; take it out of the patient's "
            "contact facts first if it is the caregiver's.",
            code="address_of_patient",
            field="email",
        )
    if caregiver.consented_at and caregiver.consented_at > now:
        raise Refusal("This time is in the future.", code="in_the_future", field="consented_at")
    if caregiver.permitted_on > now.astimezone(patient.site.zone).date():
        raise Refusal("This date is in the future.", code="in_the_future", field="permitted_on")
    if caregiver.consent_version and not consent.known(caregiver.consent_version, consent.CAREGIVER):
        raise Refusal(
            "There is no such consent text.", code="unknown_consent_version", field="consent_version"
        )


@transaction.atomic
def save_caregiver(
    caregiver: Caregiver, *, changed: Collection[str] | None = None, by: User | None, now: datetime
) -> Caregiver:
    """Record who answers for a patient from now on, or save what was changed about them.

    `changed`: the columns to write of one who is known; None: all of SAID. Another person is another caregiver: revoke
    the one before. A new address has not bounced; where its reader wants no e-mail from here, the caregiver gets none
    either, until staff say otherwise. Where that changes who is asked, what was e-mailed before is void and what is
    open is asked of whoever is right now (`reader_changed`).

    Raises as `check_caregiver` does, and Refusal "patient_not_current" for a record that was merged, "deceased" for a
    new caregiver of a patient who has died, "caregiver_already" where one stands, "revoked_already", "withdrawn_since"
    (field "consented_at") for an agreement that was taken back later.
    """
    new = caregiver._state.adding
    before = None
    if new:
        caregiver.patient = patient = locked_patient(caregiver.patient_id)
        if patient.died_on:
            raise Refusal("The patient has died.", code="deceased", field="patient")
        if patient.caregivers.standing().exists():
            raise Refusal(
                "Somebody answers for this patient already. Revoke that caregiver first.",
                code="caregiver_already",
                field="patient",
            )
        caregiver.recorded_by, caregiver.recorded_at = by, now
    else:
        before = lock_caregiver(caregiver.pk)
        caregiver.patient = patient = before.patient
        if before.revoked_at:
            raise Refusal("This caregiver was revoked.", code="revoked_already")
    columns = set(SAID if changed is None else changed)
    moves = before is None or before.email.casefold() != caregiver.email.casefold()
    if moves:
        caregiver.unsubscribe_key = uuid4()
        columns |= {"unsubscribe_key"}
        if before and caregiver.bounced_at == before.bounced_at:
            caregiver.bounced_at = None
            columns |= {"bounced_at"}
        if is_stopped(caregiver.email) and caregiver.opted_out_at is None:
            caregiver.opted_out_at = now
            columns |= {"opted_out_at"}
    if "consented_at" in columns:
        columns |= {"consent_version"}
    check_caregiver(caregiver, now=now)
    had = bool(before and before.consented_at)
    if "consented_at" in columns and caregiver.consented_at and not had:
        since = withdrawal_of(caregiver)
        if since and caregiver.consented_at < since:
            raise Refusal(
                "The caregiver has taken back this agreement since. Only a later one counts.",
                code="withdrawn_since",
                field="consented_at",
            )
    if new:
        caregiver.save(force_insert=True)
    else:
        caregiver.save(update_fields=columns)
    if before and moves:
        keep_address(before, now=now)
    action = "caregiver.recorded" if new else "caregiver.changed"
    audit.record(action, caregiver, by=by, at=now, site=patient.site)
    if had != bool(caregiver.consented_at):
        action = "caregiver.consented" if caregiver.consented_at else "caregiver.consent_withdrawn"
        version = f"text {caregiver.consent_version}" if caregiver.consent_version else ""
        audit.record(action, caregiver, by=by, at=now, site=patient.site, reason=version)
    announce(before, Caregiver.objects.get(pk=caregiver.pk), patient, now=now)
    return caregiver


@transaction.atomic
def revoke_caregiver(caregiver_id: int, *, reason: str, by: User | None, now: datetime) -> Caregiver:
    """Somebody answers for the patient no longer; the patient is asked again. A second time changes nothing.

    Raises Refusal "reason_required" (field "reason"), "reason_too_long", and "patient_not_current" as above.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise Refusal("Say why.", code="reason_required", field="reason")
    if len(reason) > 500:
        raise Refusal("Say it in at most 500 characters.", code="reason_too_long", field="reason")
    caregiver = lock_caregiver(caregiver_id)
    if caregiver.revoked_at:
        return caregiver
    before = Caregiver.objects.get(pk=caregiver_id)
    caregiver.revoked_at, caregiver.revoked_by, caregiver.revoked_reason = now, by, reason
    caregiver.save(update_fields=["revoked_at", "revoked_by", "revoked_reason"])
    keep_address(caregiver, now=now)
    audit.record("caregiver.revoked", caregiver, by=by, at=now, site=caregiver.patient.site)
    announce(before, caregiver, caregiver.patient, now=now)
    return caregiver


@transaction.atomic
def revoke_caregiver_of(patient_id: int, *, reason: str, by: User | None, now: datetime) -> Caregiver:
    """The same, by the patient. Raises Refusal "revoked_already" where nobody answers for the patient."""
    patient = locked_patient(patient_id)
    caregiver = patient.caregivers.standing().first()
    if caregiver is None:
        raise Refusal("Nobody answers for this patient.", code="revoked_already")
    return revoke_caregiver(caregiver.pk, reason=reason, by=by, now=now)


@transaction.atomic
def opt_out_caregiver(
    caregiver_id: int, *, reason: str, actor: str = "caregiver", now: datetime
) -> Caregiver:
    """Stop e-mail to the caregiver, by their own wish, and to nobody else: the patient is asked again, if they may be.

    A second time changes nothing. `reason`: how the wish was heard, as a code.
    """
    caregiver = lock_caregiver(caregiver_id)
    if caregiver.opted_out_at is None and caregiver.revoked_at is None:
        stop_writing(caregiver, "opted_out_at", "caregiver.opted_out", actor=actor, reason=reason, now=now)
    return caregiver


def stop_writing(
    caregiver: Caregiver, column: str, action: str, *, actor: str, reason: str = "", now: datetime
) -> None:
    """Mark since when no e-mail goes to a caregiver, whose patient is locked."""
    before = Caregiver.objects.get(pk=caregiver.pk)
    setattr(caregiver, column, now)
    caregiver.save(update_fields=[column])
    site = caregiver.patient.site
    audit.record(action, caregiver, by=None, at=now, site=site, actor=actor, reason=reason)
    announce(before, caregiver, caregiver.patient, now=now)


def keep_address(caregiver: Caregiver, *, now: datetime) -> None:
    """Keep to which address a caregiver was written: whoever reads it stops e-mail to it, and to no other."""
    FormerAddress.objects.create(
        patient=caregiver.patient,
        email=caregiver.email,
        unsubscribe_key=caregiver.unsubscribe_key,
        replaced_at=now,
        stopped_at=caregiver.opted_out_at if caregiver.revoked_at else None,
    )


def announce(before: Caregiver | None, after: Caregiver, patient: Patient, *, now: datetime) -> None:
    """Say that somebody else is asked, or at another address, where that is so."""
    if asked_at(before, patient) != asked_at(after, patient):
        reader_changed.send(Patient, patient=patient, now=now)


def asked_at(caregiver: Caregiver | None, patient: Patient) -> object:
    """What tells where a caregiver is asked; None when it is not the caregiver who is."""
    if caregiver is None:
        return None
    caregiver.patient = patient
    return None if caregiver.why_no_email else caregiver.unsubscribe_key


def read_caregiver(patient_id: int) -> Caregiver | None:
    """Who answers for the patient; None for nobody."""
    return Caregiver.objects.standing().filter(patient=patient_id).select_related("patient__site").first()


def who_is_asked(patient: Patient, caregiver: Caregiver | None) -> str:
    """Who gets the e-mails about check-ins: "caregiver", "patient" or "nobody". `caregiver`: who stands, if anybody."""
    if caregiver is not None:
        caregiver.patient = patient
        if not caregiver.why_no_email:
            return "caregiver"
    return "nobody" if patient.why_no_email else "patient"
