"""Asking once more where a patient's address was wrong, or a death that was recorded: what was sent before opens
nothing any more."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from clinic.models import OutgoingEmail
from outcomes.models import CheckIn, ContactAttempt
from outcomes.services.invitations.batches import with_all
from outcomes.services.invitations.updates import CheckInUpdates, Kind, rungs
from patients.models import Patient

#: Why nothing was sent, as long as the address was wrong or the patient taken for dead.
WRONG = ("bounced", "no_address", "deceased")


@transaction.atomic
def ask_at_new_address(patient: Patient, follow_ups: Sequence[int], *, now: datetime) -> int:
    """Put into the outbox what was asked about these follow-ups, by number, at an address that the patient no longer
    has, or before a death that is taken back, and is still open; how many.

    Its reminders and the call begin anew. What waits in the outbox goes to the new address anyhow; what was not asked
    because there was no good address is due again. Wants the patient locked.
    """
    if patient.why_no_email:
        return 0
    still_open = CheckIn.objects.filter(follow_up__in=follow_ups, closes_at__gt=now)
    still_open.filter(status=CheckIn.Status.PLANNED, not_sent_reason__in=WRONG).update(
        not_sent_reason="", call_at=None
    )
    asked = list(with_all(still_open.filter(status=CheckIn.Status.INVITED)))
    waiting = ContactAttempt.objects.filter(
        check_in__in=[one.pk for one in asked], email__status=OutgoingEmail.Status.QUEUED
    )
    queued = set(waiting.values_list("check_in", flat=True))
    asked = [one for one in asked if one.pk not in queued]
    asking = CheckInUpdates(now)
    for check_in in asked:
        check_in.invited_at, check_in.not_sent_reason = now, ""
        if check_in.remind_at or check_in.call_at:  # entries of a diary have neither
            *reminders, call = rungs(check_in, now)
            left = reminders[check_in.reminders :]
            check_in.remind_at, check_in.call_at = (left[0], None) if left else (None, call)
    if asked:
        key = f"check-in {asked[0].pk} invitation {now:%Y-%m-%dT%H:%M:%S.%f}"
        asking.send(asked, patient, kind=Kind.INVITATION, key=key, number=0)
        asking.write()
    return len(asked)
