"""What keeps the service from doing what is due, in a few queries whose number never changes.

The first page of the admin and /health/jobs show the same. It only reads, but for one case: a tick may be late because
the database takes no writes, which only a write tells. Whether its disk is full, a question tells that needs room.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.utils.translation import gettext as _

from clinic import jobs
from clinic.database import disk_is_full
from clinic.models import Job, Site
from clinic.outbox import sender_health
from clinic.restores import why_paused
from outcomes.services.invitations import asked_at_this_hour, due_now

#: A tick that did everything is never older than this while the service is well: there is one a minute.
TICK_LASTS = timedelta(minutes=5)
#: A step that fails in ticks so far apart fails in each: what was locked for a moment is done by the next.
TWO_TICKS = timedelta(seconds=50)
#: From this age of the last tick on it is tried whether the database takes writes.
TRY_TO_WRITE = timedelta(minutes=2)
#: A check-in that could have been asked for so long was forgotten.
OVERDUE = timedelta(minutes=30)
#: A mail server may be away for so long: they are started anew, too.
MAIL_AWAY = timedelta(minutes=5)


@dataclass(frozen=True)
class Trouble:
    """One thing that stands still: a stable code, since when (UTC; None: always or unknown), and words for people.

    `detail`: codes that help whoever repairs it, such as the steps that fail; nothing about anybody.
    """

    code: str
    since: datetime | None
    what: str
    do: str
    detail: str = ""


def troubles(*, broker: bool, now: datetime) -> list[Trouble]:
    """What stands still at `now`, the worst first; an empty list when all that is due is being done.

    `broker`: whether Valkey answers. Codes: "broker_away", "disk_full", "database_refuses_writes", "tick_late" (none
    has ended for TICK_LASTS), "tick_incomplete" (they end, and a step of each fails), "check_ins_overdue",
    "sending_paused" (`detail`: the SendingPause.Reason), "sender_refused", "mail_server_away".
    """
    known = {job.name: job for job in Job.objects.all()}
    tick, post = known.get(Job.Name.TICK), known.get(Job.Name.MAIL)
    found = [] if broker else [broker_away()]
    found += [*of_the_database(tick, now), *of_the_tick(tick, now), *of_check_ins(now)]
    return found + of_sending() + (of_the_post(post, now) if post else [])


def broker_away() -> Trouble:
    return Trouble(
        "broker_away",
        None,
        _("Valkey does not answer: nothing that is due reaches a worker."),
        _("Start Valkey again. Nothing is lost: what is due stands in the database."),
    )


def of_the_database(tick: Job | None, now: datetime) -> list[Trouble]:
    """Whether its disk has room; and whether it takes writes, asked when the tick is late."""
    if disk_is_full():
        return [
            Trouble(
                "disk_full",
                None,
                _(
                    "The disk of the database is full: what patients answer and what is booked is lost or refused."
                ),
                _("Free some space on it or enlarge it. What is due is made up for by itself."),
            )
        ]
    if tick and tick.completed_at and now - tick.completed_at < TRY_TO_WRITE:
        return []
    kind = jobs.write_failure(now=now)
    if not kind:
        return []
    return [
        Trouble(
            "database_refuses_writes",
            None,
            _("The database takes no changes: nothing is booked, answered or asked."),
            _("See that it is no standby, and look into its log."),
            detail=kind,
        )
    ]


def of_the_tick(tick: Job | None, now: datetime) -> list[Trouble]:
    """Whether the job of every minute runs, and does all that it should."""
    done, ended = (tick.completed_at, tick.ended_at) if tick else (None, None)
    fresh = done is not None and now - done <= TICK_LASTS
    failing = tick.problem_since if tick and ended and now - ended <= TICK_LASTS else None
    if tick and ended and failing and (not fresh or ended - failing >= TWO_TICKS):
        return [
            Trouble(
                "tick_incomplete",
                failing,
                _("A part of what is done every minute fails again and again."),
                _(
                    "Look into the worker’s log for the steps that fail, and for what holds their rows locked."
                ),
                detail=tick.problem,
            )
        ]
    if fresh:
        return []
    return [
        Trouble(
            "tick_late",
            done,
            _("Nobody is being asked or reminded: the job that runs every minute stands still."),
            _("Start beat and worker again, and look into their logs; see that Valkey runs."),
        )
    ]


def of_check_ins(now: datetime) -> list[Trouble]:
    """Check-ins that should have been asked long ago. What a site has paused or the week's cap holds back is not.

    Of those that wait for the morning the time counts from the end of the site's quiet hours.
    """
    sites = list(Site.objects.filter(emails_paused=False))
    then = now - OVERDUE
    late = due_now(then).filter(
        asked_at_this_hour(now, sites), asked_at_this_hour(then, sites), closes_at__gt=now
    )
    seen = late.aggregate(count=Count("pk"), since=Min("due_at"))
    if not seen["count"]:
        return []
    return [
        Trouble(
            "check_ins_overdue",
            seen["since"],
            _("%(count)s check-ins should have been asked more than half an hour ago.")
            % {"count": seen["count"]},
            _("See that beat and worker run, and look into the worker’s log for the step “check_ins”."),
            detail=str(seen["count"]),
        )
    ]


def of_sending() -> list[Trouble]:
    """Whether everything that is sent waits, because this database may be a restored one or a copy."""
    pause = why_paused()
    if pause is None:
        return []
    return [
        Trouble(
            "sending_paused",
            pause.began_at,
            _("No e-mail and no text message is sent: sending is paused."),
            _("An administrator looks at the page “Sending”, which says why, and decides."),
            detail=pause.reason,
        )
    ]


def of_the_post(post: Job, now: datetime) -> list[Trouble]:
    """Whether the mail server takes what is sent."""
    if sender_health.refused(post):
        return [
            Trouble(
                "sender_refused",
                post.problem_since,
                _("The mail server refuses this clinic’s e-mails."),
                _(
                    "See that user and password in EMAIL_URL are valid and the account is open; start web and worker"
                    " again after a change. Then try the failed e-mails again."
                ),
                detail=post.problem,
            )
        ]
    if sender_health.unreachable(post) and post.problem_since and now - post.problem_since > MAIL_AWAY:
        return [
            Trouble(
                "mail_server_away",
                post.problem_since,
                _("The mail server cannot be reached, and e-mails wait."),
                _("See that the server in EMAIL_URL runs and can be reached from the worker."),
                detail=post.problem,
            )
        ]
    return []
