"""Asking patients: check-ins that have fallen due become e-mails in the outbox, each once.

A patient is the unit: their row is locked, everything of theirs that is due is looked at together, and what may be
asked now goes into one e-mail. `batches` takes patients at the hours of their sites, `invite` asks or lets wait,
`remind` climbs the ladder to a call; `updates` writes down what became of their check-ins.
"""

from outcomes.services.invitations.batches import (
    asked_at_this_hour,
    due_now,
    in_batches,
    lock_due_check_ins,
    quiet_at,
    to_remind,
    waits_until,
)
from outcomes.services.invitations.invite import invite_due, invite_some, why_not_to_ask
from outcomes.services.invitations.new_address import ask_at_new_address, ask_new_reader
from outcomes.services.invitations.remind import remind_due, remind_some, schedule_next_reminder
from outcomes.services.invitations.updates import NO_CALL, invitation_key, reminder_key
