"""Making summaries anew, from what is stored."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max

from outcomes.models import FollowUp
from outcomes.services.course_data import check_ins_of_courses
from outcomes.services.judgement import course_from_rows, endings, judge, pegs_before
from outcomes.services.summaries import keep, summary_of
from outcomes.services.verdicts import judgement_of

#: Among so many follow-ups each tick looks for some without a summary.
LATEST = 5000


def summarise(follow_ups: list[FollowUp], *, now: datetime) -> None:
    """Write the summaries of these follow-ups, locked by whoever calls, in a fixed number of queries.

    Whose verdict is another by now is judged again, so that screens and reports say the same: a few more for each.
    """
    rows, how, pegs = (
        check_ins_of_courses([up.pk for up in follow_ups]),
        endings(follow_ups),
        pegs_before(follow_ups),
    )
    summaries = []
    for up in follow_ups:
        course = course_from_rows(up, rows[up.pk], how[up.pk])
        judgement = judgement_of(up, course, rows[up.pk])
        if up.verdict_reason and (up.verdict, up.verdict_reason) != (judgement.verdict, judgement.reason):
            judge(up.pk, now=now)
        else:
            summaries.append(summary_of(up, course, judgement, rows[up.pk], baseline_peg=pegs.get(up.pk)))
    keep(summaries)


def summarise_missing(*, now: datetime, limit: int = 1000) -> int:
    """Write the summaries that an import, a restore or an upgrade has left out; how many. The tick runs it.

    Looks among the LATEST follow-ups, and on the hour among all: that takes longer with every year of the clinic.
    """
    wanted = FollowUp.objects.filter(summary=None)
    if now.minute:
        newest = FollowUp.objects.aggregate(newest=Max("pk"))["newest"] or 0
        wanted = wanted.filter(pk__gt=newest - LATEST)
    with transaction.atomic():
        missing = list(
            wanted.select_for_update(of=("self",), skip_locked=True)
            .select_related(
                "procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile"
            )
            .order_by("pk")[:limit]
        )
        summarise(missing, now=now)
    return len(missing)
