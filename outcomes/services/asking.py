"""Asking patients: check-ins that have fallen due become e-mails in the outbox, each once."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from clinic import mail
from outcomes.models import CheckIn, FollowUp
from outcomes.services.judging import judge
from patients.models import Patient


def invite_due(*, now: datetime, limit: int = 5000) -> dict[str, int]:
    """Put an e-mail into the outbox for every check-in that is due, one transaction each.

    Returns how many were "invited", "not_sent" (the patient must not be mailed: the check-in stays open for other
    channels) and "superseded" (a newer one of the same follow-up is due as well, as after an outage).
    """
    tally = {"invited": 0, "not_sent": 0, "superseded": 0}
    for _ in range(limit):
        outcome = invite_next(now=now)
        if outcome is None:
            break
        tally[outcome] += 1
    return tally


@transaction.atomic
def invite_next(*, now: datetime, follow_up_id: int | None = None) -> str | None:
    """Take the next due check-in that nobody else is at, look again, and ask; None when none is due.

    `follow_up_id` given: only one of that follow-up's.
    """
    mine = Q() if follow_up_id is None else Q(follow_up=follow_up_id)
    check_in = (
        CheckIn.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(mine, status=CheckIn.Status.PLANNED, not_sent_because="", due_at__lte=now, closes_at__gt=now)
        .select_related("follow_up__patient", "follow_up__procedure__site")
        .order_by("due_at", "id")
        .first()
    )
    if check_in is None:
        return None
    follow_up = check_in.follow_up
    newer = follow_up.check_ins.filter(offset_minutes__gt=check_in.offset_minutes, due_at__lte=now).exists()
    if newer:
        check_in.status = CheckIn.Status.SUPERSEDED
        check_in.save(update_fields=["status"])
        return "superseded"
    patient = follow_up.patient
    if patient.why_no_email:
        check_in.not_sent_because = patient.why_no_email
        check_in.save(update_fields=["not_sent_because"])
        return "not_sent"
    check_in.status, check_in.invited_at = CheckIn.Status.INVITED, now
    check_in.save(update_fields=["status", "invited_at"])
    mail.queue(
        invitation_key(check_in),
        template="outcomes.emails.invitation",
        context={"check_in_id": check_in.pk},
        to=patient.email,
        site=follow_up.procedure.site,
        now=now,
    )
    return "invited"


def invitation_key(check_in: CheckIn) -> str:
    """The outbox key of a check-in's invitation: the same check-in is never invited twice."""
    return f"check-in {check_in.pk} invitation"


def why_not_to_ask(check_in: CheckIn, patient: Patient, *, now: datetime) -> str:
    """The code of the reason why an invitation that is queued must not go out any more; "" when it may.

    Looked at when the e-mail is sent, because minutes or days may lie between.
    """
    if check_in.status == CheckIn.Status.ANSWERED:
        return "answered"
    if check_in.status == CheckIn.Status.VOIDED:
        return "voided"
    if check_in.status not in CheckIn.OPEN or now >= check_in.closes_at:
        return "closed"
    return patient.why_no_email


def close_past(*, now: datetime, limit: int = 5000) -> int:
    """Mark the check-ins that nobody answered in time as missed and judge their follow-ups again; how many."""
    past = CheckIn.objects.filter(status__in=CheckIn.OPEN, closes_at__lte=now)
    follow_ups = past.order_by("follow_up").values_list("follow_up", flat=True).distinct()[:limit]
    return sum(close_past_of(follow_up, now=now) for follow_up in list(follow_ups))


@transaction.atomic
def close_past_of(follow_up_id: int, *, now: datetime) -> int:
    """The same for one follow-up. Locks it before its check-ins, as every service does."""
    follow_up = FollowUp.objects.select_for_update().get(pk=follow_up_id)
    closed = follow_up.check_ins.filter(status__in=CheckIn.OPEN, closes_at__lte=now).update(
        status=CheckIn.Status.MISSED
    )
    if closed:
        judge(follow_up_id, now=now)
    return closed
