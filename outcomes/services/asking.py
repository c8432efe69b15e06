"""Asking patients: check-ins that have fallen due become e-mails in the outbox, each once.

A patient is the unit: their row is locked, everything of theirs that is due is looked at together, and what may be
asked now goes into one e-mail.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Protocol

from django.db import connection, transaction
from django.db.models import Count, Max, Q, QuerySet

from clinic.mail import queue_all
from clinic.models import OutgoingEmail, Site
from clinic.wall_clock import on_wall
from outcomes.models import CheckIn, ContactAttempt
from outcomes.schedule import DAY, diary, ladder, quiet_until
from patients.models import Patient

logger = logging.getLogger(__name__)

#: So many patients are asked in one transaction.
BATCH = 100
#: Questions of other follow-ups that fall due so soon are waited for, and all are asked in one e-mail.
TOGETHER = timedelta(days=2)
#: Until this day after the procedure a check-in also asks whether something is wrong: it never waits for another.
SAFETY_DAYS = 14
#: The cap counts the e-mails of so long a time.
WEEK = timedelta(days=7)
#: Nobody is to be telephoned either.
NO_CALL = frozenset({"deceased", "merged", "opted_out"})

Kind, Outcome = ContactAttempt.Kind, ContactAttempt.Outcome


#: What asking changes of a check-in.
CHANGED = ("status", "invited_at", "not_sent_because", "hold_until", "reminders", "remind_at", "call_at")
#: By hand: `bulk_update` writes a CASE for each column and row, which took two thirds of the time of asking.
CHANGE = """
    UPDATE outcomes_checkin AS one
       SET status = new.status, invited_at = new.invited_at, not_sent_because = new.not_sent_because,
           hold_until = new.hold_until, reminders = new.reminders, remind_at = new.remind_at, call_at = new.call_at
      FROM unnest(%(id)s::bigint[], %(status)s::varchar[], %(invited_at)s::timestamptz[],
                  %(not_sent_because)s::varchar[], %(hold_until)s::timestamptz[], %(reminders)s::smallint[],
                  %(remind_at)s::timestamptz[], %(call_at)s::timestamptz[])
           AS new (id, status, invited_at, not_sent_because, hold_until, reminders, remind_at, call_at)
     WHERE one.id = new.id
"""


class Batch(Protocol):
    """What is done for so many patients who have something waiting; its tally, or None when nobody is left."""

    def __call__(
        self, waiting: QuerySet[CheckIn], patients: int, *, now: datetime
    ) -> dict[str, int] | None: ...


@dataclass
class Asking:
    """What becomes of the due check-ins of some patients; written down in a handful of statements by `write`."""

    now: datetime
    tally: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    emails: list[OutgoingEmail] = field(default_factory=list)
    attempts: list[ContactAttempt] = field(default_factory=list)
    changed: list[CheckIn] = field(default_factory=list)

    def skip(self, check_in: CheckIn, reason: str, *, kind: str = Kind.INVITATION) -> None:
        """Keep why nothing was sent."""
        self.attempts.append(
            ContactAttempt(check_in=check_in, kind=kind, outcome=Outcome.SKIPPED, at=self.now, reason=reason)
        )
        self.changed.append(check_in)

    def send(
        self, check_ins: Sequence[CheckIn], patient: Patient, *, kind: str, key: str, number: int
    ) -> None:
        """Put one e-mail about these check-ins into the outbox. `number`: 0 the invitation, then the reminders."""
        email = OutgoingEmail(
            key=key,
            template="outcomes.emails.invitation",
            context={"check_in_ids": [check_in.pk for check_in in check_ins], "reminder": number},
            to=patient.email,
            site=check_ins[0].follow_up.procedure.site,
            created_at=self.now,
            not_before=self.now,
        )
        self.emails.append(email)
        self.attempts += [
            ContactAttempt(check_in=one, kind=kind, outcome=Outcome.QUEUED, at=self.now, email=email)
            for one in check_ins
        ]
        self.changed += check_ins

    def write(self) -> None:
        """Save everything, in the caller's transaction."""
        queued = {email.key: email for email in queue_all(self.emails)}
        for attempt in self.attempts:
            if attempt.email is not None:
                attempt.email = queued[attempt.email.key]
        ContactAttempt.objects.bulk_create(self.attempts)
        changed = list({check_in.pk: check_in for check_in in self.changed}.values())
        with connection.cursor() as cursor:
            cursor.execute(
                CHANGE,
                {"id": [one.pk for one in changed]}
                | {column: [getattr(one, column) for one in changed] for column in CHANGED},
            )


def sites_that_ask(now: datetime) -> list[Site]:
    """The sites at which texts may go out now: not stopped, and not in their quiet hours."""
    return [site for site in Site.objects.filter(emails_paused=False) if not quiet_at(site, now)]


def asked_at_this_hour(now: datetime) -> Q:
    """Of check-ins: their sites ask now. In its quiet hours a site asks nothing but diaries of that day."""
    sites = list(Site.objects.filter(emails_paused=False))
    quiet = {site: quiet_at(site, now) for site in sites}
    asked = Q(follow_up__procedure__site__in=[site.pk for site in sites if not quiet[site]])
    for site in sites:
        if quiet[site]:
            today = on_wall(now.astimezone(site.zone).date(), time(0), site.zone)
            asked |= Q(
                follow_up__procedure__site=site.pk,
                follow_up__procedure__performed_at__gte=today,
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
    if on_the_day and 0 < check_in.offset_minutes < DAY:
        return None
    return quiet_at(procedure.site, now)


def invite_due(*, now: datetime, limit: int = 100_000) -> dict[str, int]:
    """Put an e-mail into the outbox for the check-ins that are due, a batch of patients a transaction.

    Returns how many check-ins were "invited", "not_sent" (the patient must not be mailed: the check-in stays open for
    other channels), "superseded" (a newer one of the same follow-up is due as well, as after an outage) and "held" (the
    patient has had enough e-mails this week, or another question is about to come). At most about `limit` of them.
    """
    return in_batches(invite_some, waiting=due_now(now), now=now, limit=limit, tally=INVITED)


def remind_due(*, now: datetime, limit: int = 100_000) -> dict[str, int]:
    """Remind of what was asked and not answered, or have the patient called; see the module.

    Returns how many check-ins were "reminded" and "not_sent".
    """
    return in_batches(remind_some, waiting=to_remind(now), now=now, limit=limit, tally=REMINDED)


INVITED = ("invited", "not_sent", "superseded", "held")
REMINDED = ("reminded", "not_sent")


def in_batches(
    act: Batch, *, waiting: QuerySet[CheckIn], now: datetime, limit: int, tally: Sequence[str]
) -> dict[str, int]:
    """Do `act` for batch after batch of patients who have something `waiting`; what it did, added up.

    A batch that fails is done once more patient by patient, so that one sick row silences nobody else; its fault is
    raised at the end.
    """
    total = dict.fromkeys(tally, 0)
    waiting = waiting.filter(asked_at_this_hour(now))
    done, faults, sick = 0, [], set[int]()
    while done < limit:
        some = waiting.exclude(follow_up__patient__in=sick) if sick else waiting
        try:
            result = act(some, BATCH, now=now)
        except Exception:
            logger.warning("a batch of check-ins failed: its patients are taken one by one")
            ids = some.order_by("due_at", "id").values_list("follow_up__patient", flat=True)[:BATCH]
            for patient in dict.fromkeys(ids):
                try:
                    add(total, act(waiting.filter(follow_up__patient=patient), 1, now=now) or {})
                except Exception as exc:
                    sick.add(patient)
                    faults.append(exc)
            continue
        if result is None:
            break
        add(total, result)
        done += sum(result.values())
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
        not_sent_because="",
        due_at__lte=now,
        closes_at__gt=now,
    )


def to_remind(now: datetime) -> QuerySet[CheckIn]:
    """Check-ins of which the patient is to be reminded now."""
    return CheckIn.objects.filter(status=CheckIn.Status.INVITED, remind_at__lte=now, closes_at__gt=now)


def locked(waiting: QuerySet[CheckIn], patients: int) -> list[CheckIn]:
    """What is waiting of so many patients whom nobody else is at, in order of time; patients and check-ins are locked.

    The patient is the claim: two ticks at once share the patients and never one patient's questions.
    """
    ids = list(waiting.order_by("due_at", "id").values_list("follow_up__patient", flat=True)[: 2 * patients])
    claimed = (
        Patient.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .filter(pk__in=list(dict.fromkeys(ids))[:patients])
        .order_by("pk")
    )
    return list(
        waiting.select_for_update(of=("self",))
        .filter(follow_up__patient__in=[patient.pk for patient in claimed])
        .select_related("follow_up__patient", "follow_up__procedure__site", "follow_up__relief_profile")
        .order_by("due_at", "id")
    )


def of_patients(check_ins: Iterable[CheckIn]) -> dict[Patient, list[CheckIn]]:
    """The check-ins by patient, in their order."""
    result: dict[Patient, list[CheckIn]] = defaultdict(list)
    for check_in in check_ins:
        result[check_in.follow_up.patient].append(check_in)
    return result


@transaction.atomic
def invite_some(waiting: QuerySet[CheckIn], patients: int, *, now: datetime) -> dict[str, int] | None:
    """Ask up to so many patients what is due; None when nobody is left. See `invite_due`."""
    due = locked(waiting, patients)
    if not due:
        return None
    asking = Asking(now)
    newest = dict(
        CheckIn.objects.filter(follow_up__in={one.follow_up_id for one in due}, due_at__lte=now)
        .order_by()
        .values_list("follow_up")
        .annotate(Max("offset_minutes"))
    )
    by_patient = of_patients(due)
    had = emails_this_week(by_patient, now=now)
    coming = coming_soon(by_patient, now=now)
    for patient, check_ins in by_patient.items():
        wanted = []
        for check_in in check_ins:
            newer = newest[check_in.follow_up_id] > check_in.offset_minutes
            if newer and not diary_entry(check_in):
                check_in.status = CheckIn.Status.SUPERSEDED
                asking.skip(check_in, "superseded")
                asking.tally["superseded"] += 1
            elif patient.why_no_email:
                refuse(asking, check_in, patient.why_no_email)
            else:
                wanted.append(check_in)
        if not wanted:
            continue
        wait = wait_until(wanted, had.get(patient.pk, []), coming.get(patient.pk, []), now=now)
        for check_in in wanted:
            if until := wait.get(check_in.pk):
                check_in.hold_until = until
                asking.changed.append(check_in)
                asking.tally["held"] += 1
        invite(asking, patient, [one for one in wanted if one.pk not in wait])
    asking.write()
    return dict(asking.tally)


def refuse(asking: Asking, check_in: CheckIn, reason: str) -> None:
    """The patient must not be mailed: the check-in stays open, and somebody telephones if they may."""
    check_in.not_sent_because = reason
    if reason not in NO_CALL and not diary_entry(check_in):
        check_in.call_at = asking.now
    asking.skip(check_in, reason)
    asking.tally["not_sent"] += 1


def invite(asking: Asking, patient: Patient, check_ins: list[CheckIn]) -> None:
    """Ask all of them with one e-mail. A diary is asked as a whole, by its first entry."""
    if not check_ins:
        return
    now = asking.now
    asked: list[CheckIn] = []
    for check_in in check_ins:
        if check_in.status != CheckIn.Status.PLANNED:
            continue  # another entry of a diary that was asked a moment ago
        rest = rest_of_diary(check_in) if diary_entry(check_in) else [check_in]
        same = {one.pk: one for one in check_ins}
        for one in rest:
            entry = same.get(one.pk, one)
            entry.status, entry.invited_at = CheckIn.Status.INVITED, now
            if not diary_entry(entry):
                entry.remind_at = ladder(now, entry.closes_at)[0]
            asked.append(entry)
    first = min(asked, key=lambda one: (one.due_at, one.pk))
    asking.send(asked, patient, kind=Kind.INVITATION, key=invitation_key(first), number=0)
    asking.tally["invited"] += len(asked)


def hours_of(check_in: CheckIn) -> set[int]:
    """The offsets in minutes of the diary of its follow-up."""
    profile = check_in.follow_up.relief_profile
    return diary(days=profile.check_in_days, minutes=profile.check_in_minutes)


def diary_entry(check_in: CheckIn) -> bool:
    """Whether it is an entry of a diary."""
    return check_in.offset_minutes in hours_of(check_in)


def rest_of_diary(check_in: CheckIn) -> list[CheckIn]:
    """The entries of its diary that are still to be asked, in order; locked."""
    rows = (
        CheckIn.objects.select_for_update(of=("self",))
        .select_related("follow_up__patient", "follow_up__procedure__site", "follow_up__relief_profile")
        .filter(
            follow_up=check_in.follow_up_id,
            status=CheckIn.Status.PLANNED,
            offset_minutes__in=hours_of(check_in),
        )
    )
    return list(rows.order_by("offset_minutes"))


def emails_this_week(patients: Collection[Patient], *, now: datetime) -> dict[int, list[datetime]]:
    """When each patient was sent questions in the last seven days, by patient number, oldest first."""
    rows = (
        ContactAttempt.objects.filter(
            check_in__follow_up__patient__in=[patient.pk for patient in patients],
            outcome=Outcome.QUEUED,
            kind__in=[Kind.INVITATION, Kind.REMINDER],
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
    """The check-ins of each patient that fall due within TOGETHER, by patient number, soonest first."""
    rows = (
        CheckIn.objects.filter(
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

    Those that also look after safety never wait. Another waits for a question of another follow-up that comes within
    TOGETHER of its own due time, or until the site's cap for a week allows one e-mail more; never beyond its close.
    """
    result: dict[int, datetime] = {}
    safe = [one for one in wanted if one.offset_minutes > SAFETY_DAYS * DAY]
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


@transaction.atomic
def remind_some(waiting: QuerySet[CheckIn], patients: int, *, now: datetime) -> dict[str, int] | None:
    """Remind up to so many patients; None when nobody is left.

    After the last reminder, and at once where no e-mail may be sent, a call falls due instead. A reminder that would
    go beyond the cap of a week is left out, and so is one after which the next is due as well; the ladder goes on.
    """
    due = locked(waiting, patients)
    if not due:
        return None
    asking = Asking(now)
    by_patient = of_patients(due)
    had = emails_this_week(by_patient, now=now)
    for patient, check_ins in by_patient.items():
        if reason := patient.why_no_email:
            for check_in in check_ins:
                check_in.remind_at = None
                check_in.call_at = None if reason in NO_CALL else now
                asking.skip(check_in, reason, kind=Kind.REMINDER)
                asking.tally["not_sent"] += 1
            continue
        capped = len(had.get(patient.pk, [])) >= check_ins[0].follow_up.procedure.site.emails_a_week
        for check_in in check_ins:
            for _left_out in range(climb(check_in, now=now)):
                asking.skip(check_in, "next_reminder", kind=Kind.REMINDER)
            if capped:
                asking.skip(check_in, "weekly_cap", kind=Kind.REMINDER)
                asking.tally["not_sent"] += 1
        if not capped:
            first = check_ins[0]
            number = first.reminders
            key = reminder_key(first, number)
            asking.send(check_ins, patient, kind=Kind.REMINDER, key=key, number=number)
            asking.tally["reminded"] += len(check_ins)
    asking.write()
    return dict(asking.tally)


def climb(check_in: CheckIn, *, now: datetime) -> int:
    """Count the reminder that is due, and set what comes after it: another one, or a call.

    After an outage or a night the next one may be due as well: then only one goes out. Returns how many are left out.
    """
    steps = ladder(check_in.invited_at or check_in.due_at, check_in.closes_at)
    before = check_in.reminders + 1
    check_in.reminders = min(max(before, sum(step <= now for step in steps)), len(steps) - 1)
    if check_in.reminders < len(steps) - 1:
        check_in.remind_at = steps[check_in.reminders]
    else:
        check_in.remind_at, check_in.call_at = None, steps[-1]
    return max(0, check_in.reminders - before)


def invitation_key(check_in: CheckIn) -> str:
    """The outbox key of the invitation that a check-in is the first of: it is never invited twice."""
    return f"check-in {check_in.pk} invitation"


def reminder_key(check_in: CheckIn, number: int) -> str:
    """The outbox key of a reminder."""
    return f"check-in {check_in.pk} reminder {number}"


def why_not_to_ask(check_in: CheckIn, patient: Patient, *, now: datetime) -> str:
    """The code of the reason why an e-mail that is queued must not go out any more; "" when it may.

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
    return patient.why_no_email
