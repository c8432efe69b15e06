"""Telephone calls: whom nobody could ask by e-mail, or who did not answer, is called; what came of it is kept."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from clinic import audit
from clinic.models import Closure, Site, User, WorkingHours
from clinic.refusals import Refusal
from clinic.timezones import on_wall
from outcomes.models import ContactAttempt
from outcomes.services.answers import lock_check_in

Outcome = ContactAttempt.Outcome

#: After so many calls that nobody answered a check-in is off the list (a choice, unconfirmed).
TRIES = 3
#: What can come of a call besides an answer.
NOTED = (Outcome.NO_ANSWER, Outcome.CALL_AGAIN, Outcome.WRONG_NUMBER, Outcome.DECLINED)
#: So far ahead a working day is looked for.
LOOK_AHEAD = timedelta(days=31)


@transaction.atomic
def note_call(
    check_in_id: int, *, outcome: str, again_at: datetime | None = None, by: User, now: datetime
) -> ContactAttempt:
    """Write down a call that brought no answer, and when to call next. `outcome`: one of NOTED.

    Nobody answered: again on the next working day at this hour, at most TRIES times in all. Call again: at
    `again_at`, an instant, None for every other outcome. A wrong number, or a patient who does not want to answer:
    off the list; who does not want to is not reminded either. What was noted stays, whatever comes after.

    The same once more, while the check-in is not to be called again yet, changes nothing and returns the first: it
    is a second click.

    Raises Refusal "unknown_outcome"; "again_at_required" and "again_at_not_wanted"; "closed" when the check-in takes
    no answers at `now`; "not_to_call" when nobody ever asked for a call; "in_the_past"; "after_close" for a call when
    the check-in takes no answers any more.
    """
    if outcome not in NOTED:
        raise Refusal("A call does not end like that.", code="unknown_outcome", field="outcome")
    if outcome == Outcome.CALL_AGAIN and again_at is None:
        raise Refusal("Say when to call again.", code="again_at_required", field="again_at")
    if outcome != Outcome.CALL_AGAIN and again_at is not None:
        raise Refusal(
            "A time is only kept for “call again later”.", code="again_at_not_wanted", field="again_at"
        )
    follow_up, check_in = lock_check_in(check_in_id)
    if not check_in.open_at(now):
        raise Refusal("This check-in is closed.", code="closed", field="check_in")
    calls = list(check_in.contact_attempts.filter(kind=ContactAttempt.Kind.CALL))
    if check_in.call_at is None and not calls:
        raise Refusal("Nobody asked for a call about this check-in.", code="not_to_call", field="check_in")
    waits = check_in.call_at is not None and check_in.call_at <= now
    if not waits and calls and (calls[-1].outcome, calls[-1].again_at) == (outcome, again_at):
        return calls[-1]
    if again_at is not None and again_at <= now:
        raise Refusal("That time has passed.", code="in_the_past", field="again_at")
    if again_at is not None and again_at >= check_in.closes_at:
        raise Refusal(
            "The check-in is closed by then: call before that, or let it go.",
            code="after_close",
            field="again_at",
        )
    attempt = ContactAttempt.objects.create(
        check_in=check_in,
        kind=ContactAttempt.Kind.CALL,
        outcome=outcome,
        at=now,
        by=by,
        again_at=again_at,
    )
    check_in.call_at = again_at
    if outcome == Outcome.NO_ANSWER and tries([*calls, attempt]) < TRIES:
        again = same_hour_on_a_working_day(follow_up.procedure.site, now)
        check_in.call_at = again if again < check_in.closes_at else None
    if outcome == Outcome.DECLINED:
        check_in.remind_at = None
    check_in.save(update_fields=["call_at", "remind_at"])
    audit.record("check_in.called", check_in, by=by, at=now, site=follow_up.procedure.site, reason=outcome)
    return attempt


def tries(attempts: list[ContactAttempt]) -> int:
    """How many of the attempts were calls that nobody answered."""
    return sum(
        attempt.kind == ContactAttempt.Kind.CALL and attempt.outcome == Outcome.NO_ANSWER
        for attempt in attempts
    )


def same_hour_on_a_working_day(site: Site, now: datetime) -> datetime:
    """The next day after `now` on which the site works, at the hour that its clock shows at `now`; in UTC.

    A site works on the weekdays on which anybody has hours there, Monday to Friday where nobody has, unless it is
    closed at that hour. When no such day comes within LOOK_AHEAD, tomorrow.
    """
    wall = now.astimezone(site.zone)
    hours = list(WorkingHours.objects.filter(site=site).distinct())
    closed = list(
        Closure.objects.filter(Q(site=site), ends_at__gt=now, starts_at__lt=now + LOOK_AHEAD).values_list(
            "starts_at", "ends_at"
        )
    )
    days = [wall.date() + timedelta(days=ahead) for ahead in range(1, LOOK_AHEAD.days)]
    for day in days:
        works = (
            day.weekday() < 5
            if not hours
            else any(
                hour.weekday == day.weekday()
                and (hour.valid_from_on is None or hour.valid_from_on <= day)
                and (hour.valid_until_on is None or day <= hour.valid_until_on)
                for hour in hours
            )
        )
        at = on_wall(day, wall.time().replace(second=0, microsecond=0), site.zone)
        if works and not any(start <= at < end for start, end in closed):
            return at
    return on_wall(days[0], wall.time(), site.zone)


def wrong_number_since(patient_id: int) -> datetime | None:
    """When the patient's number was last found to be wrong; None when it was not, or a later call went through."""
    last = (
        ContactAttempt.objects.filter(check_in__follow_up__patient=patient_id, kind=ContactAttempt.Kind.CALL)
        .order_by("-id")
        .first()
    )
    return last.at if last is not None and last.outcome == Outcome.WRONG_NUMBER else None
