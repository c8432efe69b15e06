"""The first time that a check-in is asked."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max, QuerySet

from outcomes.models import CheckIn
from outcomes.schedule import diary
from outcomes.services.invitations import weekly_cap
from outcomes.services.invitations.batches import (
    due_now,
    in_batches,
    lock_due_check_ins,
    of_patients,
    with_details,
)
from outcomes.services.invitations.rules import NO_CALL
from outcomes.services.invitations.updates import CheckInUpdates, Kind, invitation_key, reminder_times
from patients.models import Caregiver, Reader

INVITED = ("invited", "not_sent", "superseded", "held")


def invite_due(*, now: datetime, limit: int = 100_000) -> dict[str, int]:
    """Put an e-mail into the outbox for the check-ins that are due, a batch of patients a transaction.

    Returns how many check-ins were "invited", "not_sent" (the patient must not be mailed: the check-in stays open for
    other channels), "superseded" (a newer one of the same follow-up is due as well, as after an outage) and "held" (the
    patient has had enough e-mails this week, or another question is about to come). At most about `limit` of them.
    """
    return in_batches(invite_some, waiting=due_now(now), now=now, limit=limit, tally=INVITED)


@transaction.atomic
def invite_some(waiting: QuerySet[CheckIn], patients: Sequence[int], *, now: datetime) -> dict[str, int]:
    """Ask these patients what is waiting of theirs. See `invite_due`."""
    due = lock_due_check_ins(waiting, patients)
    asking = CheckInUpdates(now)
    newest = dict(
        CheckIn.objects.filter(
            follow_up__in={check_in.follow_up_id for check_in in due},
            kind=CheckIn.Kind.PLANNED,
            due_at__lte=now,
        )
        .exclude(status=CheckIn.Status.VOIDED)  # the plan has it no longer: it replaces nothing
        .order_by()
        .values_list("follow_up")
        .annotate(Max("offset_minutes"))
    )
    by_patient = of_patients(due)
    had = weekly_cap.emails_this_week(by_patient, now=now)
    coming = weekly_cap.coming_soon(by_patient, now=now)
    caregivers = Caregiver.objects.asked_for(by_patient)
    for patient, check_ins in by_patient.items():
        reader: Reader = caregivers.get(patient.pk, patient)
        why_not, wanted = reader.why_no_email, []
        for check_in in check_ins:
            planned = check_in.kind == CheckIn.Kind.PLANNED
            newer = planned and newest.get(check_in.follow_up_id, 0) > check_in.offset_minutes
            if newer and not diary_entry(check_in):
                check_in.status = CheckIn.Status.SUPERSEDED
                asking.skip(check_in, "superseded")
                asking.tally["superseded"] += 1
            elif why_not:
                refuse(asking, check_in, why_not)
            else:
                wanted.append(check_in)
        if not wanted:
            continue
        wait = weekly_cap.wait_until(wanted, had.get(patient.pk, []), coming.get(patient.pk, []), now=now)
        for check_in in wanted:
            if until := wait.get(check_in.pk):
                check_in.hold_until = until
                asking.changed.append(check_in)
                asking.tally["held"] += 1
        invite(asking, reader, [check_in for check_in in wanted if check_in.pk not in wait])
    asking.write()
    return dict(asking.tally)


def refuse(asking: CheckInUpdates, check_in: CheckIn, reason: str) -> None:
    """Nobody may be mailed about it: the check-in stays open, and somebody telephones if they may."""
    check_in.not_sent_reason = reason
    if reason not in NO_CALL and not diary_entry(check_in):
        check_in.call_at = asking.now
    asking.skip(check_in, reason)
    asking.tally["not_sent"] += 1


def invite(asking: CheckInUpdates, reader: Reader, check_ins: list[CheckIn]) -> None:
    """Ask all of them with one e-mail. A diary is asked as a whole, by its first entry."""
    if not check_ins:
        return
    now = asking.now
    asked: list[CheckIn] = []
    for check_in in check_ins:
        if check_in.status != CheckIn.Status.PLANNED:
            continue  # another entry of a diary that was asked a moment ago
        rest = rest_of_diary(check_in) if diary_entry(check_in) else [check_in]
        same = {given.pk: given for given in check_ins}
        for found in rest:
            entry = same.get(found.pk, found)
            entry.status, entry.invited_at = CheckIn.Status.INVITED, now
            if not diary_entry(entry):
                entry.remind_at = reminder_times(entry, now)[0]
            asked.append(entry)
    first = min(asked, key=lambda check_in: (check_in.due_at, check_in.pk))
    key = invitation_key(first)
    asking.send(asked, reader, kind=Kind.INVITATION, key=key, number=0, due_at=first.due_at)
    asking.tally["invited"] += len(asked)


def hours_of(check_in: CheckIn) -> set[int]:
    """The offsets in minutes of the diary of its follow-up."""
    profile = check_in.follow_up.relief_profile
    return diary(days=profile.check_in_days, minutes=profile.check_in_minutes)


def diary_entry(check_in: CheckIn) -> bool:
    """Whether it is an entry of a diary."""
    return check_in.kind == CheckIn.Kind.PLANNED and check_in.offset_minutes in hours_of(check_in)


def rest_of_diary(check_in: CheckIn) -> list[CheckIn]:
    """The entries of its diary that are still to be asked, in order; locked."""
    rows = CheckIn.objects.filter(
        follow_up=check_in.follow_up_id,
        kind=CheckIn.Kind.PLANNED,
        status=CheckIn.Status.PLANNED,
        offset_minutes__in=hours_of(check_in),
    )
    return list(with_details(rows))
