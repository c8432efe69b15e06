"""Rejudgement: follow-ups are judged again after a release that judges otherwise, an import or a restore."""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from outcomes.models import FollowUp
from outcomes.relief import DEFINITION
from outcomes.services.expiry import close_diary
from outcomes.services.follow_ups import settle_neighbours
from outcomes.services.judgement import mark_confounded, summarise
from outcomes.services.plans import write_plan
from procedures.models import Intent

#: Follow-ups a transaction: each locks its rows, so that no answer slips in between reading and writing.
BATCH = 500
#: The order in which follow-ups are locked: an answer to one is followed by those of later treatments.
IN_TIME = ("procedure__performed_at", "pk")


class Progress(NamedTuple):
    """How many follow-ups are done, of how many, and which verdicts have changed so far: (before, after), how often."""

    done: int
    total: int
    changed: Counter[tuple[str, str]]


def judge_again(*, everything: bool = False, now: datetime) -> Iterator[Progress]:
    """Judge follow-ups again and make their summaries anew, batch by batch. Idempotent.

    Those that an earlier definition of verdicts has judged (`outcomes.relief.DEFINITION`), or all of them. Each changed
    verdict is kept with its reason, and alerts follow. Answers may come in meanwhile: each locks its own follow-up, and
    then those of later treatments that it blurs, in order of time, as here. What is cut off goes on where it was.
    """
    outdated = Q(summary=None) | Q(summary__definition__lt=DEFINITION)
    wanted = FollowUp.objects.all() if everything else FollowUp.objects.filter(outdated)
    left = list(wanted.order_by(*IN_TIME).values_list("pk", flat=True))
    total, done = len(left), 0
    changed: Counter[tuple[str, str]] = Counter()
    for first in range(0, total, BATCH):
        numbers = left[first : first + BATCH]
        with transaction.atomic():
            before = {follow_up.pk: follow_up.verdict for follow_up in lock_follow_ups(numbers)}
            for follow_up in lock_follow_ups(numbers, confounded_by__isnull=False):
                if not follow_up.closed_at:
                    settle_neighbours(follow_up, now=now)  # another treatment ends a course now
                mark_confounded(follow_up.pk, now=now)
            for follow_up in lock_follow_ups(numbers, closed_at=None, procedure__intent=Intent.DIAGNOSTIC):
                write_plan(follow_up, now=now)  # a test asks no days any more, unless a steroid was given
                close_diary(follow_up.pk, now=now)
            summarise(lock_follow_ups(numbers), now=now)
            verdicts = FollowUp.objects.filter(pk__in=numbers).values_list("pk", "verdict")
            changed.update((before[pk], verdict) for pk, verdict in verdicts if before[pk] != verdict)
        done += len(numbers)
        yield Progress(done, total, changed)


def lock_follow_ups(numbers: Collection[int], **only: object) -> list[FollowUp]:
    """These follow-ups as they are now, for this transaction alone."""
    rows = FollowUp.objects.select_for_update(of=("self",)).filter(pk__in=numbers, **only)
    return list(
        rows.select_related(
            "procedure__site", "procedure__procedure_type", "relief_profile", "check_in_profile"
        ).order_by(*IN_TIME)
    )
