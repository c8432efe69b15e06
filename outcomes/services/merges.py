"""What merging two records of one patient means for their courses."""

from datetime import datetime

from outcomes.models import CheckIn, FollowUp
from outcomes.services.courses import same_side
from outcomes.services.follow_ups import settle_neighbours
from outcomes.services.judgement import update_verdict
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
            f"Two courses of one region run: {follow_up}, and {other}. End the one that is over, or mark the procedure "
            "that was recorded twice as entered in error.",
        )
        for follow_up in running.filter(patient=duplicate)
        for other in ours
        if follow_up.procedure.region == other.procedure.region
        and same_side(follow_up.procedure.laterality, other.procedure.laterality)
    ]


def join_courses(follow_ups: list[int], *, now: datetime) -> None:
    """After a merge: the courses that came with the duplicate, by number, meet those of the kept record."""
    moved = (
        FollowUp.objects.filter(pk__in=follow_ups)
        .exclude(closed_reason=FollowUp.Closed.VOIDED)
        .order_by("procedure__performed_at", "pk")
    )
    # A record that was only marked as merged was not asked meanwhile: what is still open is.
    CheckIn.objects.filter(
        follow_up__in=follow_ups, status=CheckIn.Status.PLANNED, not_sent_reason="merged", closes_at__gt=now
    ).update(not_sent_reason="")
    for pk in list(moved.values_list("pk", flat=True)):
        with_its_plan = FollowUp.objects.select_for_update(of=("self",)).select_related(
            "procedure__site", "procedure__procedure_type", "relief_profile", "patient"
        )
        settle_neighbours(with_its_plan.get(pk=pk), now=now)
        update_verdict(pk, now=now)
