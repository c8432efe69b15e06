"""Every write to the catalogue, appointments and procedures: one function an action, one transaction each."""

from procedures.services.baselines import baselines_of, correct_baseline, note_baseline
from procedures.services.booking import book, check_requested, preview_booking
from procedures.services.calendar_feeds import (
    can_be_published,
    feed_address,
    feed_in_force,
    issue_feed,
    may_hand_out,
    open_feed,
    revoke_feed,
)
from procedures.services.closures import (
    check_deputy,
    close,
    deputies,
    displaced_by,
    extend_yearly_closures,
    refuse_twice,
    reopen,
)
from procedures.services.corrections import correct
from procedures.services.deceased import cancel_of_deceased
from procedures.services.devices import (
    battery_checked,
    check_device,
    explant,
    record_device,
    refilled,
    takes_a_device,
    void_device,
)
from procedures.services.displacement import mark_displaced, mark_displaced_soon
from procedures.services.figure_confirmations import confirm_figure
from procedures.services.merges import obstacles_to_merging
from procedures.services.notifications import (
    latest,
    notify_at_new_address,
    open_link,
    queue_due_reminders,
    stop_token,
    void_links,
)
from procedures.services.openings import close_filled_times, close_passed_times, dismiss_freed, note_freed
from procedures.services.patient_baselines import (
    offer_tablet,
    offered_code,
    open_baseline_link,
    open_on_tablet,
    record_own_baseline,
    said_today,
    why_not_to_say,
    why_too_late,
)
from procedures.services.patient_replies import ask_for_change, confirm_by_patient, may_reply, settle_change
from procedures.services.procedures import Performed, correct_time, perform, performers, void
from procedures.services.rebookings import AT_ONCE, Proposal, propose, rebook
from procedures.services.relief_profiles import add_profile, check_profile
from procedures.services.requests import accept
from procedures.services.rescheduling import check_reschedule, kept_resources, reschedule
from procedures.services.transitions import arrive, cancel, mark_no_show, release_expired_holds, take_step
from procedures.services.waitlist import (
    book_from_waitlist,
    check_waiting,
    join_waitlist,
    still_waiting,
    withdraw,
)
from procedures.services.waitlist_matching import Match, matches
