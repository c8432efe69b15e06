"""The first time that a check-in is asked, and how much a patient is asked: the cap of a week, and one e-mail for
questions that fall due together."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Max, QuerySet

from outcomes.models import CheckIn, ContactAttempt
from outcomes.schedule import DAY, diary
from outcomes.services.invitations.batches import (
    due_now,
    in_batches,
    lock_due_check_ins,
    of_patients,
    with_details,
)
from outcomes.services.invitations.updates import (
    NO_CALL,
    CheckInUpdates,
    Kind,
    invitation_key,
    reminder_times,
)
from patients.models import Caregiver, Patient, Reader

#: Questions of other follow-ups that fall due so soon are waited for, and all are asked in one e-mail.
TOGETHER = timedelta(days=2)
#: Until this day after the procedure a check-in also asks whether something is wrong: it never waits for another.
SAFETY_DAYS = 14
#: The cap counts the e-mails of so long a time.
WEEK = timedelta(days=7)

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
    updates = CheckInUpdates(now)
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
    had = emails_this_week(by_patient, now=now)
    coming = coming_soon(by_patient, now=now)
    caregivers = Caregiver.objects.asked_for(by_patient)
    for patient, check_ins in by_patient.items():
        reader: Reader = caregivers.get(patient.pk, patient)
        why_not, wanted = reader.why_no_email, []
        for check_in in check_ins:
            planned = check_in.kind == CheckIn.Kind.PLANNED
            newer = planned and newest.get(check_in.follow_up_id, 0) > check_in.offset_minutes
            if newer and not diary_entry(check_in):
                check_in.status = CheckIn.Status.SUPERSEDED
                updates.record_not_sent(check_in, "superseded")
                updates.tally["superseded"] += 1
            elif why_not:
                refuse(updates, check_in, why_not)
            else:
                wanted.append(check_in)
        if not wanted:
            continue
        wait = wait_until(wanted, had.get(patient.pk, []), coming.get(patient.pk, []), now=now)
        for check_in in wanted:
            if until := wait.get(check_in.pk):
                check_in.hold_until = until
                updates.changed.append(check_in)
                updates.tally["held"] += 1
        invite(updates, reader, [check_in for check_in in wanted if check_in.pk not in wait])
    updates.write()
    return dict(updates.tally)


def refuse(updates: CheckInUpdates, check_in: CheckIn, reason: str) -> None:
    """Nobody may be mailed about it: the check-in stays open, and somebody telephones if they may."""
    check_in.not_sent_reason = reason
    if reason not in NO_CALL and not diary_entry(check_in):
        check_in.call_at = updates.now
    updates.record_not_sent(check_in, reason)
    updates.tally["not_sent"] += 1


def invite(updates: CheckInUpdates, reader: Reader, check_ins: list[CheckIn]) -> None:
    """Ask all of them with one e-mail. A diary is asked as a whole, by its first entry."""
    if not check_ins:
        return
    now = updates.now
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
    updates.queue_email(asked, reader, kind=Kind.INVITATION, key=key, number=0, due_at=first.due_at)
    updates.tally["invited"] += len(asked)


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


def emails_this_week(patients: Collection[Patient], *, now: datetime) -> dict[int, list[datetime]]:
    """When each patient was sent questions of a plan in the last seven days, by patient number, oldest first.

    What confirms a bad score is not counted: nothing of a plan waits for it.
    """
    rows = (
        ContactAttempt.objects.filter(
            check_in__kind=CheckIn.Kind.PLANNED,
            check_in__follow_up__patient__in=[patient.pk for patient in patients],
            outcome=ContactAttempt.Outcome.QUEUED,
            kind__in=[ContactAttempt.Kind.INVITATION, ContactAttempt.Kind.REMINDER],
            at__gt=now - WEEK,
        )
        .order_by("at")
        .values_list("check_in__follow_up__patient", "at")
        .annotate(Count("email", distinct=True))
    )
    result: dict[int, list[datetime]] = defaultdict(list)
    for patient, at, emails in rows:
        result[patient] += [at] * emails
    return result


def coming_soon(patients: Collection[Patient], *, now: datetime) -> dict[int, list[CheckIn]]:
    """The planned check-ins of each patient that fall due within TOGETHER, by patient number, soonest first."""
    rows = (
        CheckIn.objects.filter(
            kind=CheckIn.Kind.PLANNED,
            follow_up__patient__in=[patient.pk for patient in patients],
            status=CheckIn.Status.PLANNED,
            due_at__gt=now,
            due_at__lte=now + TOGETHER,
        )
        .select_related("follow_up")
        .order_by("due_at", "id")
    )
    result: dict[int, list[CheckIn]] = defaultdict(list)
    for row in rows:
        result[row.follow_up.patient_id].append(row)
    return result


def wait_until(
    wanted: Sequence[CheckIn], had: Sequence[datetime], coming: Sequence[CheckIn], *, now: datetime
) -> dict[int, datetime]:
    """Which check-ins wait, and until when, by number; the others are asked now.

    Those that also look after safety never wait, nor do those that confirm a bad score. Another waits for a question of
    another follow-up that comes within TOGETHER of its own due time, or until the site's cap for a week allows one
    e-mail more; never beyond its close.
    """
    result: dict[int, datetime] = {}
    safe = [
        check_in
        for check_in in wanted
        if check_in.kind == CheckIn.Kind.PLANNED and check_in.offset_minutes > SAFETY_DAYS * DAY
    ]
    for check_in in safe:
        for other in coming:
            if other.follow_up_id != check_in.follow_up_id and other.due_at <= min(
                check_in.due_at + TOGETHER, check_in.closes_at - timedelta(hours=1)
            ):
                result[check_in.pk] = other.due_at
    cap = wanted[0].follow_up.procedure.site.emails_a_week
    if len(had) >= cap and len(safe) == len(wanted):
        free = had[len(had) - cap] + WEEK
        for check_in in safe:
            if free < check_in.closes_at:
                result[check_in.pk] = max(free, result.get(check_in.pk, free))
    return result


def why_not_to_ask(check_in: CheckIn, reader: Reader, *, now: datetime) -> str:
    """The code of the reason why an e-mail that is queued must not go out any more; "" when it may.

    `reader`: who is asked, the patient or a caregiver in the patient's place.

    Looked at when the e-mail is sent, because minutes or days may lie between.
    """
    if check_in.status == CheckIn.Status.ANSWERED:
        return "answered"
    if check_in.status == CheckIn.Status.VOIDED:
        return "voided"
    if check_in.status not in CheckIn.OPEN or now >= check_in.closes_at:
        return "closed"
    if check_in.follow_up.procedure.site.emails_paused:
        return "paused"
    return reader.why_no_email
