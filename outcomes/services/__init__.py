"""Every write to follow-ups, check-ins, answers and alerts: one function an action, one transaction each."""

from outcomes.services.alerting import raise_alert, raise_red_flags, settle_ended
from outcomes.services.answering import (
    answer,
    diary_of,
    fill_in,
    issue_link,
    open_link,
    save_step,
    steps_of,
    stop_emails,
)
from outcomes.services.asking import invite_due, remind_due
from outcomes.services.calling import note_call
from outcomes.services.closing import call_unsent, close_past
from outcomes.services.correcting import correct_answer
from outcomes.services.following import (
    extend_plans,
    open_follow_up,
    open_missing_follow_ups,
    void_follow_up,
)
from outcomes.services.handling import (
    acknowledge,
    escalate_due,
    hand_over,
    handlers,
    resolve,
    snooze,
    take,
)
from outcomes.services.judging import course_from, course_of, diary_result, judge
from outcomes.services.planning import (
    end_follow_up,
    replan,
    replan_marked,
    replan_procedure,
    replan_site,
    tell_apart,
)
from outcomes.services.proving import prove_birth_date
from outcomes.services.rebuilding import rebuild_summaries, summarise_missing
from outcomes.services.recording import find_by_code, record_answer, report_red_flags
from outcomes.services.reporting import note_report
from outcomes.services.ticking import tick

__all__ = [
    "acknowledge",
    "answer",
    "call_unsent",
    "close_past",
    "correct_answer",
    "course_from",
    "course_of",
    "diary_of",
    "diary_result",
    "end_follow_up",
    "escalate_due",
    "extend_plans",
    "fill_in",
    "find_by_code",
    "hand_over",
    "handlers",
    "invite_due",
    "issue_link",
    "judge",
    "note_call",
    "note_report",
    "open_follow_up",
    "open_link",
    "open_missing_follow_ups",
    "prove_birth_date",
    "raise_alert",
    "raise_red_flags",
    "rebuild_summaries",
    "record_answer",
    "remind_due",
    "replan",
    "replan_marked",
    "replan_procedure",
    "replan_site",
    "report_red_flags",
    "resolve",
    "save_step",
    "settle_ended",
    "snooze",
    "steps_of",
    "stop_emails",
    "summarise_missing",
    "take",
    "tell_apart",
    "tick",
    "void_follow_up",
]
