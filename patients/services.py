"""Every write to patients."""

from collections.abc import Collection
from datetime import datetime

from django.db import IntegrityError, transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients.models import Patient


def check(patient: Patient, *, now: datetime) -> None:
    """Refuse what a patient's row must not say.

    Raises ValidationError by field; Refusal "in_the_future" for a birth, a death or an agreement still to come.
    """
    patient.created_at = patient.created_at or now
    patient.full_clean()
    if patient.consented_at and patient.consented_at > now:
        raise Refusal("This time is in the future.", code="in_the_future", field="consented_at")
    today = now.astimezone(patient.site.zone).date()
    for field in ("born_on", "died_on"):
        day = getattr(patient, field)
        if day and day > today:
            raise Refusal("This date is in the future.", code="in_the_future", field=field)


@transaction.atomic
def save(
    patient: Patient, *, changed: Collection[str] | None = None, by: User | None, now: datetime
) -> Patient:
    """Register a patient, or save what was changed about one.

    `changed` names the columns to write, so that what somebody else said meanwhile (the patient: no more e-mails)
    stays; None means all of them. Raises as `check` does, and Refusal "unique" when somebody has just registered the
    same record number.
    """
    new = patient._state.adding
    check(patient, now=now)
    columns = None if new or changed is None else set(changed)
    if not new:
        before = Patient.objects.select_for_update().get(pk=patient.pk)
        if before.email.lower() != patient.email.lower() and patient.bounced_at == before.bounced_at:
            patient.bounced_at = None  # what bounced was the old address
            columns = columns and columns | {"bounced_at"}
    try:
        with transaction.atomic():
            patient.save(force_insert=new, update_fields=columns)
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", None) != "23505":
            raise
        patient._state.adding = new
        raise Refusal(
            "Somebody has just registered this record number.", code="unique", field="record_number"
        ) from None
    audit.record(
        "patient.registered" if new else "patient.changed", patient, by=by, at=now, site=patient.site
    )
    return patient


@transaction.atomic
def opt_out(patient_id: int, *, by: User | None, now: datetime, actor: str = "patient") -> Patient:
    """Stop all e-mail to the patient, by their own wish. A second time changes nothing."""
    patient = Patient.objects.select_for_update().select_related("site").get(pk=patient_id)
    if patient.opted_out_at is None:
        patient.opted_out_at = now
        patient.save(update_fields=["opted_out_at"])
        audit.record(
            "patient.opted_out", patient, by=by, at=now, site=patient.site, actor="staff" if by else actor
        )
    return patient


def read(patient: Patient, *, by: User, now: datetime) -> None:
    """Write down that `by` looked at the patient's page."""
    audit.record("patient.read", patient, by=by, at=now, site=patient.site)
