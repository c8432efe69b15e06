"""Batch after batch of patients who have something waiting, at the hours at which their sites ask; nobody else is at
those of one batch."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Protocol

from django.db.models import Q, QuerySet

from clinic.database import is_away
from clinic.models import Site
from clinic.timezones import on_wall
from outcomes.models import CheckIn
from outcomes.schedule import DAY, quiet_until
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
    is done once more patient by patient, so that one bad row does not block others; its error is raised at the end.

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


def asked_at_this_hour(now: datetime, sites: Sequence[Site] | None = None) -> Q:
    """Of check-ins: their sites ask now. In its quiet hours a site asks nothing but diaries of that day.

    `sites`: those that have not stopped all questions, where they are known.
    """
    sites = list(Site.objects.filter(emails_paused=False)) if sites is None else sites
    quiet = {site: quiet_at(site, now) for site in sites}
    asked = Q(follow_up__procedure__site__in=[site.pk for site in sites if not quiet[site]])
    for site in sites:
        if quiet[site]:
            today = on_wall(now.astimezone(site.zone).date(), time(0), site.zone)
            asked |= Q(
                follow_up__procedure__site=site.pk,
                follow_up__procedure__performed_at__gte=today,
                kind=CheckIn.Kind.PLANNED,
                offset_minutes__gt=0,
                offset_minutes__lt=DAY,
            )
    return asked


def quiet_at(site: Site, now: datetime) -> datetime | None:
    """The end of the site's quiet hours when `now` lies in them, in UTC; else None."""
    return quiet_until(now, quiet_from=site.quiet_from, quiet_until=site.quiet_until, zone=site.zone)


def waits_until(check_in: CheckIn, *, now: datetime) -> datetime | None:
    """The end of the quiet hours for which a question waits, in UTC; None when it may go out now.

    The diary of a procedure of the same day never waits. It asks by the hour how an anaesthetic works that is gone by
    the morning, and the patient was told at the clinic that it would come.
    """
    procedure = check_in.follow_up.procedure
    zone = procedure.site.zone
    on_the_day = procedure.performed_at.astimezone(zone).date() == now.astimezone(zone).date()
    if on_the_day and check_in.kind == CheckIn.Kind.PLANNED and 0 < check_in.offset_minutes < DAY:
        return None
    return quiet_at(procedure.site, now)
