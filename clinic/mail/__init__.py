"""The outbox: an e-mail is a row; sending it is claim, send, mark, and the row is the retry.

`messages` is what an e-mail says, `rows` what becomes of its row, `sending` what happens between the two, `reports`
what is said of it afterwards.
"""

from clinic.mail.letterheads import Letterhead, shown_with_logo
from clinic.mail.messages import NAME, Attachment, Message, Skip, Wait, html_of, in_bulk
from clinic.mail.previews import EXAMPLE, Preview
from clinic.mail.rows import PAUSES, TRIES, queue, queue_all, retry
from clinic.mail.sending import send_due

__all__ = [
    "EXAMPLE",
    "NAME",
    "PAUSES",
    "TRIES",
    "Attachment",
    "Letterhead",
    "Message",
    "Preview",
    "Skip",
    "Wait",
    "html_of",
    "in_bulk",
    "queue",
    "queue_all",
    "retry",
    "send_due",
    "shown_with_logo",
]
