"""What becomes of questions that led to nothing: somebody telephones, and in the end they are missed. And the end of a
test's course, which is over with its diary."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from clinic.database import for_each_row
from clinic.models import OutgoingEmail
from outcomes.models import CheckIn, ContactAttempt, FollowUp
from outcomes.schedule import MOST_TOLERANCE
from outcomes.services.invitations import NO_CALL
from outcomes.services.judgement import update_verdict
from outcomes.services.plans import close_and_judge
from patients.models import Caregiver
from procedures.models import Intent


def call_unsent(*, now: datetime, limit: int = 1000) -> int:
    """Have the patients called whose e-mail was given up or held back at the last moment; how many check-ins."""
    given_up = OutgoingEmail.objects.filter(
        status__in=[OutgoingEmail.Status.FAILED, OutgoingEmail.Status.SKIPPED],
        created_at__gt=now - MOST_TOLERANCE,
    ).exclude(problem__in=["answered", "voided", "closed", *NO_CALL])
    called = ContactAttempt.objects.filter(kind=ContactAttempt.Kind.CALL)
    unsent = (
        ContactAttempt.objects.filter(
            email__in=given_up,
            check_in__status=CheckIn.Status.INVITED,
            check_in__call_at=None,
            check_in__closes_at__gt=now,
        )
        .exclude(check_in__in=called.values("check_in"))  # they were, and it came to nothing
        .values_list("check_in", flat=True)[:limit]
    )
    return CheckIn.objects.filter(pk__in=list(unsent), status=CheckIn.Status.INVITED, call_at=None).update(
        call_at=now, remind_at=None
    )


def call_bounced(address: str, *, now: datetime) -> int:
    """Have the patients called whose question went to an address that does not exist; how many check-ins.

    Their reminders stay due: whoever corrects the address before has them go out. Not where a caregiver is asked, at
    another address; of a caregiver's own `reader_changed` tells.
    """
    others = Caregiver.objects.asked().filter(patient=OuterRef("follow_up__patient"))
    return CheckIn.objects.filter(
        ~Exists(others),
        status=CheckIn.Status.INVITED,
        remind_at__isnull=False,
        call_at=None,
        closes_at__gt=now,
        follow_up__patient__email__iexact=address,
    ).update(call_at=now)


def close_past(*, now: datetime, limit: int = 5000) -> int:
    """Mark the check-ins that nobody answered in time as missed and judge their follow-ups again; how many."""
    past = CheckIn.objects.filter(status__in=CheckIn.OPEN, closes_at__lte=now)
    follow_ups = past.order_by("follow_up").values_list("follow_up", flat=True).distinct()[:limit]
    return for_each_row(list(follow_ups), lambda pk: close_past_of(pk, now=now))


@transaction.atomic
def close_past_of(follow_up_id: int, *, now: datetime) -> int:
    """The same for one follow-up. Locks it before its check-ins, as every service does."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site")
        .get(pk=follow_up_id)
    )
    past = follow_up.check_ins.filter(status__in=CheckIn.OPEN, closes_at__lte=now)
    # What was never asked says why: the site had stopped all questions, or nothing ran.
    why = "paused" if follow_up.procedure.site.emails_paused else "not_asked"
    never = list(past.filter(status=CheckIn.Status.PLANNED, not_sent_reason=""))
    past.filter(pk__in=[check_in.pk for check_in in never]).update(not_sent_reason=why)
    ContactAttempt.objects.bulk_create(
        ContactAttempt(
            check_in=check_in,
            kind=ContactAttempt.Kind.INVITATION,
            outcome=ContactAttempt.Outcome.SKIPPED,
            at=now,
            reason=why,
        )
        for check_in in never
    )
    closed = past.update(status=CheckIn.Status.MISSED)
    if closed:
        update_verdict(follow_up_id, now=now)
    return closed


def close_diaries(*, now: datetime, limit: int = 1000) -> int:
    """End the courses of tests whose diary is over and that ask nothing more; how many. The tick runs it.

    What is written about them later, such as a correction, is still judged.
    """
    asked = CheckIn.objects.filter(follow_up=OuterRef("pk"))
    over = FollowUp.objects.filter(
        ~Exists(asked.filter(status__in=CheckIn.OPEN)),
        Exists(asked),
        procedure__intent=Intent.DIAGNOSTIC,
        closed_at=None,
        replan_reason="",
    )
    return for_each_row(
        list(over.order_by("pk").values_list("pk", flat=True)[:limit]), lambda pk: close_diary(pk, now=now)
    )


@transaction.atomic
def close_diary(follow_up_id: int, *, now: datetime) -> bool:
    """End the course of one test, unless it asks something still or has ended."""
    follow_up = (
        FollowUp.objects.select_for_update(of=("self",))
        .select_related("procedure__site")
        .get(pk=follow_up_id)
    )
    if follow_up.closed_at or follow_up.check_ins.filter(status__in=CheckIn.OPEN).exists():
        return False
    close_and_judge(follow_up, FollowUp.Closed.DIARY_OVER, at=now, by=None, now=now)
    return True
