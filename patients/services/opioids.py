"""The opioids that patients take. No row is deleted or rewritten: another dose and a correction are rows of their own.

No drug and no dose stands in the audit trail; why a row was a mistake is kept in the row itself.
"""

from datetime import date, datetime

from django.db import transaction

from clinic import audit
from clinic.models import User
from clinic.refusals import Refusal
from patients import mme
from patients.models import MOST_OF_A_DOSE, OpioidUse, Patient


def check_opioid_use(use: OpioidUse, *, now: datetime) -> None:
    """Refuse what a row must not say; fills in its MME by the table of today.

    Raises ValidationError by field, with "recorded_already" for what stands already; Refusal "in_the_future" and
    "before_birth" for the first day, "ends_before_start", "unit_not_possible", "route_not_possible", "dose_too_high",
    "patient_not_current" for a record that was merged into another one.
    """
    patient = use.patient
    if patient.merged_into_id:
        raise Refusal("This record was merged into another one.", code="patient_not_current", field="patient")
    use.recorded_at = use.recorded_at or now
    drug, unit = use.drug, use.unit
    if drug == OpioidUse.Drug.FENTANYL_PATCH and use.intrathecal:
        raise Refusal(
            "A patch lies on the skin; no drug of it goes into the spinal fluid.",
            code="route_not_possible",
            field="intrathecal",
        )
    if drug in OpioidUse.Drug.values and unit in OpioidUse.Unit.values:
        possible = mme.units_of(mme.Drug(drug))
        if unit not in possible:
            words = " or ".join(str(OpioidUse.Unit(unit.value).label) for unit in possible)
            raise Refusal(
                f"Of this drug the dose is counted in {words}.", code="unit_not_possible", field="unit"
            )
        if use.dose > MOST_OF_A_DOSE[unit]:
            words = f"A dose is at most {MOST_OF_A_DOSE[unit]} {OpioidUse.Unit(unit).label}: is a nought too many?"
            raise Refusal(words, code="dose_too_high", field="dose")
        counted = mme.per_day(mme.Drug(drug), use.dose, mme.Unit(unit), intrathecal=use.intrathecal)
        use.mme_per_day = counted
        use.mme_version = mme.CDC_2022.version if counted is not None else ""
    use.full_clean(exclude={"corrects", "recorded_by"})
    if use.from_on > now.astimezone(patient.site.zone).date():
        raise Refusal("This date is in the future.", code="in_the_future", field="from_on")
    if use.from_on < patient.born_on:
        raise Refusal("This is before the patient was born.", code="before_birth", field="from_on")


@transaction.atomic
def record_opioid_use(use: OpioidUse, *, by: User | None, now: datetime) -> OpioidUse:
    """Write down that a patient takes, or took, an opioid. Raises as `check_opioid_use` does."""
    Patient.objects.select_for_update().only("pk").get(
        pk=use.patient_id
    )  # of two clicks at once, one is second
    use.recorded_by, use.recorded_at = by, now
    check_opioid_use(use, now=now)
    use.save(force_insert=True)
    audit.record("opioid_use.recorded", use, by=by, at=now, site=use.patient.site)
    return use


def lock_opioid_use(use_id: int) -> OpioidUse:
    """The row, for this transaction alone, after its patient. Raises Refusal "not_allowed_now" for a mistake."""
    patient_id = OpioidUse.objects.values_list("patient", flat=True).get(pk=use_id)
    Patient.objects.select_for_update().only("pk").get(pk=patient_id)
    rows = OpioidUse.objects.select_for_update(of=("self",)).select_related("patient__site")
    use = rows.get(pk=use_id)
    if use.entered_in_error_at:
        raise Refusal("This was entered in error.", code="not_allowed_now")
    return use


@transaction.atomic
def end_opioid_use(use_id: int, *, until_on: date, by: User | None, now: datetime) -> OpioidUse:
    """Say on which day it is, or was, taken for the last time. The same day again changes nothing.

    A last day that is still to come can be moved; one that is past is corrected instead. Raises Refusal
    "not_allowed_now", "ended_already", "ends_before_start".
    """
    use = lock_opioid_use(use_id)
    if use.until_on == until_on:
        return use
    if use.until_on is not None and use.until_on < now.astimezone(use.patient.site.zone).date():
        raise Refusal(
            "It has ended already. If the day is wrong, correct it.", code="ended_already", field="until_on"
        )
    if until_on < use.from_on:
        raise Refusal("The last day is before the first.", code="ends_before_start", field="until_on")
    use.until_on = until_on
    use.save(update_fields=["until_on"])
    audit.record("opioid_use.ended", use, by=by, at=now, site=use.patient.site)
    return use


@transaction.atomic
def correct_opioid_use(
    use_id: int, *, instead: OpioidUse | None = None, reason: str, by: User | None, now: datetime
) -> OpioidUse:
    """Say, for a reason of up to 500 characters, that a row was a mistake; it stays, marked as entered in error.

    `instead`: what is right, a new row of the same patient; None: the patient never took it. Returns what stands now,
    or the mistake. Raises as `check_opioid_use` does, and Refusal "reason_required", "reason_too_long",
    "not_allowed_now".
    """
    reason = reason.strip()
    if not reason:
        raise Refusal("Say why.", code="reason_required", field="reason")
    if len(reason) > 500:
        raise Refusal("Say it in at most 500 characters.", code="reason_too_long", field="reason")
    use = lock_opioid_use(use_id)
    use.entered_in_error_at, use.entered_in_error_reason = now, reason
    use.save(update_fields=["entered_in_error_at", "entered_in_error_reason"])
    if instead is None:
        audit.record("opioid_use.entered_in_error", use, by=by, at=now, site=use.patient.site)
        return use
    instead.patient, instead.corrects = use.patient, use
    audit.record("opioid_use.corrected", use, by=by, at=now, site=use.patient.site)
    return record_opioid_use(instead, by=by, now=now)
