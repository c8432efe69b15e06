"""Reminding of what was asked and not answered, and in the end a call."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from outcomes.models import CheckIn
from outcomes.services.invitations.batches import (
    in_batches,
    lock_due_check_ins,
    of_patients,
    to_remind,
    with_details,
)
from outcomes.services.invitations.invite import TOGETHER, emails_this_week
from outcomes.services.invitations.updates import NO_CALL, CheckInUpdates, Kind, reminder_key, reminder_times
from patients.models import Caregiver, Reader

REMINDED = ("reminded", "not_sent")


def remind_due(*, now: datetime, limit: int = 100_000) -> dict[str, int]:
    """Remind of what was asked and not answered, or have the patient called; see the module.

    Returns how many check-ins were "reminded" and "not_sent".
    """
    return in_batches(remind_some, waiting=to_remind(now), now=now, limit=limit, tally=REMINDED)


@transaction.atomic
def remind_some(waiting: QuerySet[CheckIn], patients: Sequence[int], *, now: datetime) -> dict[str, int]:
    """Remind these patients of what is waiting of theirs.

    After the last reminder, and at once where no e-mail may be sent, a call falls due instead. A reminder over the
    weekly cap is skipped, and so is one whose successor is due already; the next ones still follow. The cap does not
    apply to confirmations of a bad score.
    """
    due = lock_due_check_ins(waiting, patients)
    updates = CheckInUpdates(now)
    by_patient, also = of_patients(due), of_patients(asked_with(due, now=now))
    had = emails_this_week(by_patient, now=now)
    caregivers = Caregiver.objects.asked_for(by_patient)
    for patient, check_ins in by_patient.items():
        reader: Reader = caregivers.get(patient.pk, patient)
        if reason := reader.why_no_email:
            for check_in in check_ins:
                check_in.remind_at = None
                check_in.call_at = None if reason in NO_CALL else check_in.call_at or now
                updates.record_not_sent(check_in, reason, kind=Kind.REMINDER)
                updates.tally["not_sent"] += 1
            continue
        capped = len(had.get(patient.pk, [])) >= check_ins[0].follow_up.procedure.site.emails_a_week
        if not capped:
            check_ins += also.get(patient, [])
        reminded = []
        fell_due = min(reminder.remind_at for reminder in check_ins if reminder.remind_at)
        for check_in in check_ins:
            for _left_out in range(schedule_next_reminder(check_in, now=now)):
                updates.record_not_sent(check_in, "next_reminder", kind=Kind.REMINDER)
            if capped and check_in.kind == CheckIn.Kind.PLANNED:
                updates.record_not_sent(check_in, "weekly_cap", kind=Kind.REMINDER)
                updates.tally["not_sent"] += 1
            else:
                reminded.append(check_in)
        if reminded:
            first = reminded[0]
            number = first.reminders
            key = reminder_key(first, number)
            updates.queue_email(reminded, reader, kind=Kind.REMINDER, key=key, number=number, due_at=fell_due)
            updates.tally["reminded"] += len(reminded)
    updates.write()
    return dict(updates.tally)


def asked_with(due: Sequence[CheckIn], *, now: datetime) -> list[CheckIn]:
    """What was asked in one e-mail with something that is `due`, and would be due itself within TOGETHER; locked.

    It is reminded of in the same e-mail: questions that were asked together must not come back one by one.
    """
    emails = {(check_in.follow_up.patient_id, check_in.invited_at) for check_in in due}
    soon = (
        to_remind(now + TOGETHER)
        .filter(follow_up__patient__in={patient for patient, _at in emails})
        .exclude(pk__in=[check_in.pk for check_in in due])
    )
    return [
        check_in
        for check_in in with_details(soon)
        if (check_in.follow_up.patient_id, check_in.invited_at) in emails
    ]


def schedule_next_reminder(check_in: CheckIn, *, now: datetime) -> int:
    """Count the reminder that is due, and set what comes after it: another one, or a call.

    After an outage or a night the next one may be due as well: then only one goes out. Returns how many are left out.
    """
    steps = reminder_times(check_in, check_in.invited_at or check_in.due_at)
    before = check_in.reminders + 1
    check_in.reminders = min(max(before, sum(step <= now for step in steps)), len(steps) - 1)
    if check_in.reminders < len(steps) - 1:
        check_in.remind_at = steps[check_in.reminders]
    else:
        check_in.remind_at, check_in.call_at = None, steps[-1]
    return max(0, check_in.reminders - before)
