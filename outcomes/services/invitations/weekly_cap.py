"""How much a patient is asked: the cap of a week, and one e-mail for questions that fall due together."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import Count

from outcomes.models import CheckIn, ContactAttempt
from outcomes.schedule import DAY
from patients.models import Patient

#: Questions of other follow-ups that fall due so soon are waited for, and all are asked in one e-mail.
TOGETHER = timedelta(days=2)
#: Until this day after the procedure a check-in also asks whether something is wrong: it never waits for another.
SAFETY_DAYS = 14
#: The cap counts the e-mails of so long a time.
WEEK = timedelta(days=7)


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
