"""Every write to follow-ups, check-ins, answers and alerts: one function an action, one transaction each."""

from outcomes.services.adverse_events import (
    check_adverse_event,
    correct_adverse_event,
    record_adverse_event,
    void_adverse_event,
)
from outcomes.services.alert_actions import (
    acknowledge,
    escalate_due,
    hand_over,
    resolve,
    snooze,
    take_alert,
)
from outcomes.services.alerts import ended_of, raise_alert, raise_red_flags, settle_ended
from outcomes.services.answers import diary_of, save_step, store_answer
from outcomes.services.assignments import follow_performer, handlers, reassign_alerts
from outcomes.services.birth_date_checks import prove_birth_date
from outcomes.services.calls import note_call
from outcomes.services.check_in_questions import steps_of
from outcomes.services.corrections import (
    change_own_answer,
    changeable_until,
    correct_answer,
    why_not_to_change,
)
from outcomes.services.courses import course_from, course_of
from outcomes.services.devices import DueDevice, due_of, end_explanted, look_after_devices, review_devices
from outcomes.services.diaries import fill_in
from outcomes.services.expiry import call_bounced, call_unsent, close_past
from outcomes.services.exports import download, expire_exports, make_export, make_exports, request_export
from outcomes.services.follow_ups import (
    extend_plans,
    open_follow_up,
    open_missing_follow_ups,
    void_follow_up,
)
from outcomes.services.invitations import ask_at_new_address, ask_new_reader, invite_due, remind_due
from outcomes.services.judgement import judge_by_baseline, summarise_missing, update_verdict
from outcomes.services.links import (
    issue_link,
    next_of_several,
    open_link,
    open_report_link,
    stop_token,
    takes_reports,
    token_of_all,
    void_links,
)
from outcomes.services.merges import join_courses, obstacles_to_merging
from outcomes.services.pain_reports import report_pain, report_unasked
from outcomes.services.plans import (
    clear_confounding,
    end_follow_up,
    record_consistent_duration,
    rejudge_after_death_taken_back,
    replan,
    replan_marked,
    replan_procedure,
    replan_site,
    resume_follow_up,
    take_new_plan,
)
from outcomes.services.rejudgement import judge_again
from outcomes.services.report_views import view_report
from outcomes.services.staff_answers import find_by_code, record_answer, report_red_flags
from outcomes.services.tick_steps import tick
from outcomes.services.trial_ends import end_trial, trial_of
from outcomes.services.verdicts import diary_result
