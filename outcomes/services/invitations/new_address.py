"""Asking once more where an address was wrong, somebody else answers from now on, or a death was recorded by mistake:
what was sent before opens nothing any more."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction

from clinic.models import OutgoingEmail
from outcomes.models import CheckIn, ContactAttempt, Draft, FollowUp
from outcomes.services.invitations.batches import with_details
from outcomes.services.invitations.updates import NO_CALL, CheckInUpdates, Kind, reminder_times
from outcomes.services.links import void_links
from patients.models import Caregiver, Patient, Reader

#: Why nothing was sent, as long as the address was wrong or the patient taken for dead.
WRONG = ("bounced", "no_address", "deceased")
#: The same as long as nobody could be asked; a caregiver needs no agreement of the patient to e-mail.
NOBODY = (*WRONG, "no_consent", "opted_out")


@transaction.atomic
def ask_at_new_address(
    patient: Patient, follow_ups: Sequence[int], *, reason: Collection[str] = WRONG, now: datetime
) -> int:
    """Put into the outbox what was asked about these follow-ups, by number, at an address that the patient or who
    answers for them no longer has, or before a death that is taken back, and is still open; how many.

    Its reminders and the call begin anew. What waits in the outbox goes to the new address anyhow; what was not asked
    for one of the reasons in `reason` is due again. Nothing where nobody may be mailed. Wants the patient locked.
    """
    reader: Reader = Caregiver.objects.asked_for([patient]).get(patient.pk, patient)
    if reader.why_no_email:
        return 0
    still_open = CheckIn.objects.filter(follow_up__in=follow_ups, closes_at__gt=now)
    still_open.filter(status=CheckIn.Status.PLANNED, not_sent_reason__in=reason).update(
        not_sent_reason="", call_at=None
    )
    asked = list(with_details(still_open.filter(status=CheckIn.Status.INVITED)))
    waiting = ContactAttempt.objects.filter(
        check_in__in=[check_in.pk for check_in in asked], email__status=OutgoingEmail.Status.QUEUED
    )
    queued = set(waiting.values_list("check_in", flat=True))
    asked = [check_in for check_in in asked if check_in.pk not in queued]
    updates = CheckInUpdates(now)
    for check_in in asked:
        check_in.invited_at, check_in.not_sent_reason = now, ""
        if check_in.remind_at or check_in.call_at:  # entries of a diary have neither
            *reminders, call = reminder_times(check_in, now)
            left = reminders[check_in.reminders :]
            check_in.remind_at, check_in.call_at = (left[0], None) if left else (None, call)
    if asked:
        key = f"check-in {asked[0].pk} invitation {now:%Y-%m-%dT%H:%M:%S.%f}"
        updates.queue_email(asked, reader, kind=Kind.INVITATION, key=key, number=0)
        updates.write()
    return len(asked)


@transaction.atomic
def ask_new_reader(patient: Patient, *, now: datetime) -> int:
    """Somebody else is asked about a patient from now on, or at another address: ask them what is open; how many
    check-ins were asked.

    What was e-mailed to whoever was asked before is void, and what they had begun to fill in is gone: nobody sees or
    sends what somebody else typed. Where nobody may be mailed any more, what is open is to be called about, if that may
    be. Wants the patient locked.
    """
    follow_ups = list(FollowUp.objects.filter(patient=patient).values_list("pk", flat=True))
    void_links(follow_ups, now=now)
    begun = Draft.objects.filter(check_in__follow_up__in=follow_ups, check_in__status__in=CheckIn.OPEN)
    begun.delete()
    reader: Reader = Caregiver.objects.asked_for([patient]).get(patient.pk, patient)
    if not reader.why_no_email:
        return ask_at_new_address(patient, follow_ups, reason=NOBODY, now=now)
    call_instead(follow_ups, reader.why_no_email, now=now)
    return 0


def call_instead(follow_ups: Sequence[int], reason: str, *, now: datetime) -> None:
    """Nobody may be mailed about what was asked: no reminder goes out, and somebody telephones, if they may."""
    updates = CheckInUpdates(now)
    invited = CheckIn.objects.filter(
        follow_up__in=follow_ups, status=CheckIn.Status.INVITED, remind_at__isnull=False, closes_at__gt=now
    )
    for check_in in with_details(invited):
        check_in.remind_at = None
        check_in.call_at = None if reason in NO_CALL else check_in.call_at or now
        updates.record_not_sent(check_in, reason, kind=Kind.REMINDER)
    if updates.changed:
        updates.write()
