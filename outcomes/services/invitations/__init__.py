"""Asking patients: check-ins that have fallen due become e-mails in the outbox, each once.

A patient is the unit: their row is locked, everything of theirs that is due is looked at together, and what may be
asked now goes into one e-mail. `invite` asks, `remind` climbs the ladder to a call; `hours` and `weekly_cap` say what
waits, `rules` what must not go out any more; `batches` takes patients, `updates` keeps what became of them.
"""

from outcomes.services.invitations.batches import due_now, in_batches, lock_due_check_ins, to_remind
from outcomes.services.invitations.hours import asked_at_this_hour, quiet_at, waits_until
from outcomes.services.invitations.invite import invite_due, invite_some
from outcomes.services.invitations.new_address import ask_at_new_address, ask_new_reader
from outcomes.services.invitations.remind import remind_due, remind_some, schedule_next_reminder
from outcomes.services.invitations.rules import NO_CALL, why_not_to_ask
from outcomes.services.invitations.updates import invitation_key, reminder_key
