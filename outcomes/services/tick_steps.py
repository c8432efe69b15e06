"""What time does: everything that has come due, done once, in an order that lets each step see the one before."""

from collections.abc import Callable
from datetime import datetime
from time import monotonic

import structlog

from clinic import audit, jobs
from clinic.database import advisory_lock, is_away, short_waits
from clinic.models import Job
from clinic.services import drop_expired_sessions, drop_old_answers
from outcomes.services.alert_actions import escalate_due
from outcomes.services.alerts import settle_ended
from outcomes.services.assignments import reassign_alerts
from outcomes.services.devices import end_explanted, review_devices
from outcomes.services.expiry import call_unsent, close_diaries, close_past
from outcomes.services.exports import expire_exports
from outcomes.services.follow_ups import extend_plans, open_missing_follow_ups
from outcomes.services.invitations import invite_due, remind_due
from outcomes.services.judgement import summarise_missing
from outcomes.services.plans import replan_marked
from outcomes.services.sms_reminders import text_due
from procedures.services import (
    close_filled_times,
    close_passed_times,
    extend_yearly_closures,
    mark_displaced_soon,
    release_expired_holds,
)
from procedures.services import queue_due_reminders as remind_of_appointments

#: Advisory lock that lets one tick work at a time. Any number, used nowhere else.
TICKING = 7_461_005
#: A step waits so long for a row that somebody else has locked; milliseconds. The next tick tries again.
WAITS = 2_000
#: After so many seconds no step is begun any more: what is left is the next tick's. As the task's soft time limit.
LASTS = 240

logger = structlog.get_logger(__name__)


def tick(*, now: datetime, pretended: bool = False) -> dict[str, int]:
    """Do what is due at `now` except sending, and return what was done, counted by name.

    How it ended stands in the row of the job "tick" and in one line of the log. `pretended`: `now` is no clock's time,
    and tells nothing of whether the tick runs.

    One tick works at a time: one that finds another at work does nothing and returns nothing. Each piece of work is a
    transaction of its own, and none waits longer than WAITS for what others hold locked; a tick that is cut off is made
    up for by the next.

    Raises:
        ExceptionGroup: steps failed. The others were done all the same: one sick row must not silence a clinic.
        OperationalError: the database is away.
    """
    steps: dict[str, Callable[..., int | dict[str, int]]] = {
        "holds_released": release_expired_holds,
        "freed_times_filled": close_filled_times,
        "freed_times_passed": close_passed_times,
        "closures_added": extend_yearly_closures,
        "displaced_marked": mark_displaced_soon,
        "appointment_reminders_queued": remind_of_appointments,
        "alerts_reassigned": reassign_alerts,  # before courses are counted anew, with who performed them
        "follow_ups_opened": open_missing_follow_ups,
        "follow_ups_replanned": replan_marked,
        "check_ins_added": extend_plans,
        "check_ins_missed": close_past,
        "diaries_over": close_diaries,
        "check_ins": invite_due,
        "texts_queued": text_due,  # before the reminders by e-mail, which it stands in for
        "check_in_reminders": remind_due,
        "check_ins_to_call": call_unsent,
        "summaries_written": summarise_missing,
        "follow_ups_explanted": end_explanted,
        "device_alerts": review_devices,
        "alerts_settled": settle_ended,
        "alerts_escalated": escalate_due,
        "exports_expired": expire_exports,
        "answers_forgotten": drop_old_answers,
        "sessions_forgotten": drop_expired_sessions,
        "audit_events_sealed": audit.seal,
    }
    began = monotonic()
    with advisory_lock(TICKING) as mine:
        if not mine:
            logger.info("tick_left_to_another")
            return {}
        with short_waits(WAITS):
            done, faults = run_steps(steps, now=now)
        if not pretended:
            record_tick(done, faults, seconds=monotonic() - began, now=now)
    if faults:
        raise ExceptionGroup("steps of the tick failed", list(faults.values()))
    return done


def run_steps(
    steps: dict[str, Callable[..., int | dict[str, int]]], *, now: datetime
) -> tuple[dict[str, int], dict[str, Exception]]:
    """Do each step, whatever became of the others: what they did, counted by name, and what went wrong, by step."""
    began = monotonic()
    done: dict[str, int] = {}
    faults: dict[str, Exception] = {}
    for name, step in steps.items():
        if monotonic() - began > LASTS:
            faults[name] = TimeoutError("the tick has lasted too long")
            break
        try:
            result = step(now=now)
        except Exception as exc:
            if is_away(exc):  # nothing more can be done now
                raise
            logger.error("tick_step_failed", step=name, exc_info=exc)
            faults[name] = exc
            continue
        if isinstance(result, dict):
            done |= {f"{name}_{outcome}": count for outcome, count in result.items()}
        else:
            done[name] = result
    return done, faults


def record_tick(done: dict[str, int], faults: dict[str, Exception], *, seconds: float, now: datetime) -> None:
    """Write down how a tick ended: in the row of its job, and in one line of the log."""
    failed = ", ".join(f"{name} {jobs.fault_name(fault)}" for name, fault in faults.items())
    counts = None if faults else done
    jobs.record_run(Job.Name.TICK, problem=failed, counts=counts, complete=not faults, now=now)
    work = {name: count for name, count in done.items() if count}
    logger.info("tick", counts=work, failed=list(faults), seconds=round(seconds, 1))
