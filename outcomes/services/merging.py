"""What merging two records of one patient means for their courses."""

from datetime import datetime

from django.db.models import Q

from clinic.models import OutgoingEmail
from outcomes.models import CheckIn, FollowUp
from outcomes.services.following import settle_neighbours
from outcomes.services.judging import judge, same_side
from outcomes.services.linking import void_links_of
from patients.models import Patient
from patients.services import Obstacle


def obstacles_to_merging(duplicate: Patient, kept: Patient) -> list[Obstacle]:
    """Courses of both records that run in the same region and on the same side."""
    running = (
        FollowUp.objects.seeking_relief()
        .filter(closed_at=None)
        .exclude(procedure__region="")
        .select_related("procedure__procedure_type", "procedure__site")
    )
    ours = list(running.filter(patient=kept))
    return [
        Obstacle(
            "courses_overlap",
            f"Two courses of one region run: {one}, and {other}. End the one that is over, or mark the procedure that "
            "was recorded twice as entered in error.",
        )
        for one in running.filter(patient=duplicate)
        for other in ours
        if one.procedure.region == other.procedure.region
        and same_side(one.procedure.laterality, other.procedure.laterality)
    ]


def follow_merged(
    duplicate: Patient, kept: Patient, *, follow_ups: list[int], new_address: bool, now: datetime
) -> None:
    """After a merge: the courses that came with the duplicate, by number, meet those of the kept record, and what was
    asked at an address which is no longer the patient's is asked at the one that is.
    """
    ask_elsewhere(duplicate, kept, follow_ups=follow_ups, new_address=new_address, now=now)
    moved = (
        FollowUp.objects.filter(pk__in=follow_ups)
        .exclude(closed_because=FollowUp.Closed.VOIDED)
        .order_by("procedure__performed_at", "pk")
    )
    # A record that was only marked as merged was not asked meanwhile: what is still open is.
    CheckIn.objects.filter(
        follow_up__in=follow_ups, status=CheckIn.Status.PLANNED, not_sent_because="merged", closes_at__gt=now
    ).update(not_sent_because="")
    for pk in list(moved.values_list("pk", flat=True)):
        one = FollowUp.objects.select_for_update(of=("self",)).select_related(
            "procedure__site", "procedure__procedure_type", "relief_profile", "patient"
        )
        settle_neighbours(one.get(pk=pk), now=now)
        judge(pk, now=now)


def ask_elsewhere(
    duplicate: Patient, kept: Patient, *, follow_ups: list[int], new_address: bool, now: datetime
) -> None:
    """End the links that went to an address which is no longer the patient's; where a question is open, its next
    reminder, with a link of its own, goes to the new address at once. E-mails that are still queued go there, too."""
    whose = Q(pk__in=[])
    if duplicate.email.casefold() != kept.email.casefold():
        whose |= Q(pk__in=follow_ups)
    if new_address:
        whose |= Q(patient=kept) & ~Q(pk__in=follow_ups)
    courses = list(FollowUp.objects.filter(whose).values_list("pk", flat=True))
    if not courses:
        return
    void_links_of(courses, now=now)
    if not kept.email:
        return
    queued = OutgoingEmail.objects.filter(
        contact_attempts__check_in__follow_up__in=courses, status=OutgoingEmail.Status.QUEUED
    )
    OutgoingEmail.objects.filter(pk__in=list(queued.values_list("pk", flat=True))).update(to=kept.email)
    waiting = CheckIn.objects.filter(
        follow_up__in=courses, status=CheckIn.Status.INVITED, remind_at__gt=now, closes_at__gt=now
    )
    waiting.exclude(contact_attempts__email__status=OutgoingEmail.Status.QUEUED).update(remind_at=now)
