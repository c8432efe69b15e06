"""What time does: everything that has come due, done once, in an order that lets each step see the one before."""

from datetime import datetime

from clinic import audit
from outcomes.services.asking import close_past, invite_due
from outcomes.services.following import extend_plans, open_missing_follow_ups
from procedures.services import close_passed_times, extend_yearly_closures, release_expired_holds, remind_due


def tick(*, now: datetime) -> dict[str, int]:
    """Do what is due at `now` except sending, and return what was done, counted by name.

    Each piece of work is a transaction of its own; a tick that is cut off is made up for by the next, and two at once
    do nothing twice.
    """
    done = {
        "holds_released": release_expired_holds(now=now),
        "freed_times_passed": close_passed_times(now=now),
        "closures_added": extend_yearly_closures(now=now),
        "reminders_queued": remind_due(now=now),
        "follow_ups_opened": open_missing_follow_ups(now=now),
        "check_ins_added": extend_plans(now=now),
        "check_ins_missed": close_past(now=now),
    }
    done |= {f"check_ins_{outcome}": count for outcome, count in invite_due(now=now).items()}
    done["audit_events_sealed"] = audit.seal(now=now)
    return done
