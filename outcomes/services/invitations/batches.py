"""Batch after batch of patients who have something waiting; nobody else is at those of one batch."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from django.db.models import Q, QuerySet

from clinic.database import is_away
from outcomes.models import CheckIn
from outcomes.services.invitations.hours import asked_at_this_hour
from patients.models import Patient

logger = logging.getLogger(__name__)

#: So many patients are asked in one transaction.
BATCH = 100


class Batch(Protocol):
    """What is done for some patients, by their numbers, who had something waiting; its tally."""

    def __call__(
        self, waiting: QuerySet[CheckIn], patients: Sequence[int], *, now: datetime
    ) -> dict[str, int]: ...


def in_batches(
    act: Batch, *, waiting: QuerySet[CheckIn], now: datetime, limit: int, tally: Sequence[str]
) -> dict[str, int]:
    """Do `act` for batch after batch of the patients who have something `waiting`; what it did, added up.

    They are listed once: after an outage to look for them anew in each batch took most of the time. A batch that fails
    is done once more patient by patient, so that one sick row silences nobody else; its fault is raised at the end.

    Raises OperationalError at once when the database is away.
    """
    total = dict.fromkeys(tally, 0)
    waiting = waiting.filter(asked_at_this_hour(now))
    patients = patients_of(waiting, limit)
    faults = []
    for first in range(0, len(patients), BATCH):
        some = patients[first : first + BATCH]
        try:
            add(total, act(waiting, some, now=now))
        except Exception:
            logger.warning("a batch of check-ins failed: its patients are taken one by one")
            for patient in some:
                try:
                    add(total, act(waiting, [patient], now=now))
                except Exception as exc:
                    if is_away(exc):  # it is for everybody
                        raise
                    faults.append(exc)
    if faults:
        raise ExceptionGroup("check-ins of some patients failed", faults)
    return total


def add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def due_now(now: datetime) -> QuerySet[CheckIn]:
    """Check-ins that are to be asked now."""
    return CheckIn.objects.filter(
        Q(hold_until=None) | Q(hold_until__lte=now),
        status=CheckIn.Status.PLANNED,
        not_sent_reason="",
        due_at__lte=now,
        closes_at__gt=now,
    )


def to_remind(now: datetime) -> QuerySet[CheckIn]:
    """Check-ins of which the patient is to be reminded now."""
    return CheckIn.objects.filter(status=CheckIn.Status.INVITED, remind_at__lte=now, closes_at__gt=now)


def patients_of(waiting: QuerySet[CheckIn], limit: int) -> list[int]:
    """The numbers of the patients of the first `limit` that wait, who has waited longest first."""
    ids = waiting.order_by("due_at", "id").values_list("follow_up__patient", flat=True)[:limit]
    return list(dict.fromkeys(ids))


def lock_due_check_ins(waiting: QuerySet[CheckIn], patients: Sequence[int]) -> list[CheckIn]:
    """What is waiting of these patients, in order of time, without those whom somebody else is at; all of it locked.

    The patient is the claim: two ticks at once share the patients and never one patient's questions.
    """
    claimed = (
        Patient.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .filter(pk__in=patients)
        .order_by("pk")
    )
    return list(with_details(waiting.filter(follow_up__patient__in=[patient.pk for patient in claimed])))


def with_details(check_ins: QuerySet[CheckIn]) -> QuerySet[CheckIn]:
    """These check-ins in order of time, locked, with everything that asking looks at.

    Sites and profiles are few: read once a batch, and not once a row.
    """
    return (
        check_ins.select_for_update(of=("self",))
        .select_related("follow_up__patient", "follow_up__procedure")
        .prefetch_related("follow_up__procedure__site", "follow_up__relief_profile")
        .order_by("due_at", "id")
    )


def of_patients(check_ins: Iterable[CheckIn]) -> dict[Patient, list[CheckIn]]:
    """The check-ins by patient, in their order."""
    result: dict[Patient, list[CheckIn]] = defaultdict(list)
    for check_in in check_ins:
        result[check_in.follow_up.patient].append(check_in)
    return result
