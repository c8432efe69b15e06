"""When patients and caregivers took back their agreement to e-mail. What was written before cannot bring it back."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from clinic.models import AuditEvent
from patients.models import Caregiver, Patient


def withdrawals(patient_ids: Collection[int]) -> dict[int, datetime]:
    """The last time at which each of them took back their agreement; who never did is left out. Two queries.

    It counts as well when it was said of a record that was merged into theirs. What a file took back is left out:
    another file may say that it was wrong.
    """
    if not patient_ids:
        return {}
    kept = {pk: pk for pk in patient_ids}
    merged = Patient.objects.filter(merged_into__in=patient_ids)
    kept |= {pk: into for pk, into in merged.values_list("pk", "merged_into") if into}
    events = AuditEvent.objects.filter(
        object_type=Patient._meta.label_lower, object_id__in=list(kept), action="patient.consent_withdrawn"
    ).exclude(actor="import")
    return {kept[pk]: at for pk, at in events.order_by("at").values_list("object_id", "at") if pk is not None}


def withdrawal_of(caregiver: Caregiver) -> datetime | None:
    """The last time at which a caregiver took back their agreement; None for never. One query.

    It counts as well when the caregiver was revoked since and is recorded anew, for this patient with this address.
    """
    same = Q(patient=caregiver.patient_id, email__iexact=caregiver.email) | Q(pk=caregiver.pk)
    events = AuditEvent.objects.filter(
        object_type=Caregiver._meta.label_lower,
        object_id__in=Caregiver.objects.filter(same).values("pk"),
        action="caregiver.consent_withdrawn",
    )
    return events.order_by("-at").values_list("at", flat=True).first()
