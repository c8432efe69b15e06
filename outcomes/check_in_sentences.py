"""What the page "why" says of a check-in: for each code of the API its sentences, in the order of the API's list.

Marked for translation here, translated where they are shown.
"""

from typing import Any

from django.utils.translation import gettext_noop as _

# ruff: noqa: E501  # a sentence a line
# fmt: off
SENTENCES: dict[str, Any] = {
    "facts": {
        "planned": {
            "day": _("Planned for %(when)s of the relief profile %(profile)s, at %(at)s on the clock of %(site)s: %(due)s. Answers are taken until %(closes)s."),
            "diary": _("Planned for %(when)s after the procedure, from the diary of the relief profile %(profile)s: %(due)s. Answers are taken until %(closes)s."),
            "repeated": _("Planned for %(when)s, as the relief profile %(profile)s repeats its question every %(days)s days, at %(at)s on the clock of %(site)s: %(due)s. Answers are taken until %(closes)s."),
            "other": _("Planned for %(when)s by the relief profile %(profile)s: %(due)s. Answers are taken until %(closes)s."),
            "confirmation": _("Asks once more, because of a first bad score after relief on %(confirms)s: %(due)s. Answers are taken until %(closes)s."),
        },
        "reported": {
            "reported": _("The pain is back: said without being asked."),
        },
        "moved": {
            "moved": _("Moved from %(before)s to %(after)s. %(why)s"),
        },
        "waits": {
            "waits": _("It waits until %(until)s: another question is about to come, or the patient has had enough e-mails."),
        },
        "not_sent": {
            "not_sent": _("No %(what)s was sent: %(why)s"),
        },
        "queued": {
            "email": _("An e-mail (%(what)s) to %(to)s was put into the outbox."),
            "text": _("A text message was put into the outbox."),
            "other": _("A %(what)s was put into the outbox."),
        },
        "waiting": {
            "email": _("The %(what)s has not gone out yet. It is due: %(due)s."),
            "email_held": _("The %(what)s has not gone out yet. %(held)s It is due: %(due)s."),
            "email_tried": _("The %(what)s did not go out in %(tries)s: %(why)s Next try: %(due)s."),
            "text": _("The text message has not gone out yet."),
            "text_tried": _("The text message has not gone out yet. %(held)s Next try: %(due)s."),
        },
        "sending": {
            "email": _("The %(what)s is just being sent."),
        },
        "sent": {
            "email": _("The mail server took the %(what)s to %(to)s, after %(tries)s."),
            "text": _("The text message went out."),
        },
        "held_back": {
            "email": _("The %(what)s was held back: %(held)s"),
            "email_marked": _("Not sent again: somebody said after a restore that the %(what)s had gone out already."),
            "text": _("The text message was held back: %(held)s"),
            "text_marked": _("Not sent again: somebody said after a restore that it had gone out already."),
        },
        "failed": {
            "email": _("The %(what)s was given up after %(tries)s: %(why)s"),
            "text": _("The text message did not go out (%(problem)s); it is not tried again."),
        },
        "delivered": {
            "delivered": _("The %(what)s to %(to)s was delivered."),
        },
        "delayed": {
            "delayed": _("The %(what)s to %(to)s is not delivered yet."),
        },
        "came_back": {
            "bounced": _("The %(what)s came back: there is no address %(to)s."),
            "refused": _("The %(what)s to %(to)s came back: the mailbox did not take it."),
            "unknown": _("An e-mail to %(to)s came back, and none goes there any more."),
        },
        "complained": {
            "complained": _("The %(what)s was marked as spam at %(to)s; none is sent any more."),
        },
        "unsubscribed": {
            "unsubscribed": _("Somebody unsubscribed %(to)s at the mail service; none is sent any more."),
        },
        "opened": {
            "opened": _("The link was opened and an answer begun; nothing was sent yet."),
        },
        "called": {
            "called": _("%(who)s called: %(what)s."),
            "again": _("%(who)s called: %(what)s. The patient is to be called again: %(again)s."),
        },
        "answered": {
            "answered": _("Answered; channel: %(channel)s."),
            "by_staff": _("Answered; channel: %(channel)s, written down by %(by)s."),
        },
        "corrected": {
            "corrected": _("Corrected by %(by)s, version %(version)s: %(why)s"),
        },
        "missed": {
            "missed": _("Nobody answered until it closed: %(closed)s."),
        },
        "superseded": {
            "known": _("Not asked any more: %(newer)s was due by then as well, and only the newest is asked."),
            "unknown": _("Not asked any more: a newer one was due by then as well."),
        },
        "voided": {
            "ended": _("Void: the follow-up ended, because %(why)s."),
            "withdrawn": _("Withdrawn: there is nothing left to confirm."),
            "voided": _("Void."),
        },
        "to_remind": {
            "to_remind": _("A reminder is due: %(due)s."),
        },
        "to_call": {
            "to_call": _("To be called: %(due)s."),
        },
    },
    "held_back": {
        "answered": _("The patient had answered by then."),
        "voided": _("The check-in was void by then."),
        "closed": _("The check-in was closed by then."),
        "paused": _("All questions of this site were stopped."),
        "not_asked": _("Nothing was sent before it closed."),
        "superseded": _("A newer question was due as well."),
        "quiet_hours": _("It was too late or too early in the day."),
        "no_phone": _("No phone number is known."),
        "caregiver": _("A caregiver is asked in the patient's place, by e-mail."),
        "next_reminder": _("The next reminder was due as well."),
        "weekly_cap": _("The patient had had as many e-mails that week as the site allows."),
    },
    "problems": {
        "recipient": _("The mail server refuses this address (reply %(reply)s)."),
        "sender": _("The mail server refuses the clinic as a sender (reply %(reply)s)."),
        "message": _("The mail server refuses the message (reply %(reply)s)."),
        "abandoned": _("Sending stopped in the middle, time after time."),
        "other": _("The mail server could not be reached (%(code)s)."),
    },
}
# fmt: on
